//! The resolver: the state machine that turns questions into targets by DNS lookups.

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use super::dns::{Dns, OpenLookup};
use super::expiring_map::ExpiringMap;
use super::plan::Plan;
use super::procedure::Stop;
use super::question::TargetHost;
use super::records::CheckedAnswer;
use super::{
    AddressRule, Answer, Capabilities, DomainName, Family, LookupId, LookupKind, PlanError,
    Question, ResolveConfig, ResolveStats, Target,
};
use crate::protocol::Protocol;
use crate::resolve::ids::PlanId;
use crate::tls::TlsName;
use crate::tokens::Tokens;

/// The result of [`Resolver::start`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are only these")]
pub enum Progress {
    /// The targets in order of preference, at least one.
    Done(Result<Vec<Target>, PlanError>),
    /// The plan waits for lookups; [`ResolveOutput::Planned`] reports its result.
    Waiting(PlanId),
}

/// An output of a [`Resolver`]: a request or a result.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ResolveOutput {
    /// Look up these records, and pass the answer to [`Resolver::answer`]. The name is complete: no
    /// search list applies.
    Lookup {
        /// The id to answer with.
        id: LookupId,
        /// The type of record.
        kind: LookupKind,
        /// The name.
        name: DomainName,
    },
    /// The lookup is no longer needed: it may be aborted, and an answer is ignored.
    CancelLookup(LookupId),
    /// A plan ended.
    Planned {
        /// The plan.
        plan: PlanId,
        /// Its targets in order of preference, at least one.
        result: Result<Vec<Target>, PlanError>,
    },
}

/// The state machine that locates SIP servers (RFC 3263), caches answers, and remembers which
/// targets failed recently.
///
/// See the [module's documentation](super).
#[derive(Debug)]
pub struct Resolver {
    config: ResolveConfig,
    dns: Dns,
    plans: BTreeMap<PlanId, Plan>,
    /// The timeouts of plans.
    timers: BTreeSet<(Instant, PlanId)>,
    grey: ExpiringMap<GreyKey, ()>,
    outputs: VecDeque<ResolveOutput>,
    next_plan: u64,
}

type GreyKey = (Protocol, SocketAddr, Option<TlsName>);

impl Resolver {
    /// A resolver with an empty cache.
    pub fn new(config: ResolveConfig) -> Self {
        Self {
            dns: Dns::new(&config),
            plans: BTreeMap::new(),
            timers: BTreeSet::new(),
            grey: ExpiringMap::new(config.grey_targets, usize::MAX),
            outputs: VecDeque::new(),
            next_plan: 0,
            config,
        }
    }

    /// Starts a plan. `tokens` draw among SRV records of the same priority: the same tokens give
    /// the same order, which a stateless proxy needs (RFC 3263 §4.4).
    pub fn start(
        &mut self,
        now: Instant,
        question: Question,
        capabilities: Capabilities,
        tokens: &mut Tokens,
    ) -> Progress {
        let id = PlanId(self.next_plan);
        self.next_plan = self.next_plan.wrapping_add(1);
        let draws = matches!(question.host, TargetHost::Name(_)) && question.port.is_none();
        let seed = if draws { tokens.array() } else { [0; 32] };
        let deadline = now + self.config.plan_timeout;
        let plan = Plan::new(question, capabilities, seed, deadline);
        let progress = match self.advance(now, id, plan) {
            Some(result) => Progress::Done(result),
            None => Progress::Waiting(id),
        };
        self.emit_lookups(now);
        progress
    }

    /// Cancels a plan: no [`ResolveOutput::Planned`] will follow for it. Lookups made for it may
    /// still be answered, which is cached.
    pub fn cancel(&mut self, plan: PlanId) {
        if let Some(gone) = self.plans.remove(&plan) {
            self.timers.remove(&(gone.wake(), plan));
            self.leave(plan, &gone);
        }
        let other = |output: &ResolveOutput| match output {
            ResolveOutput::Planned { plan: done, .. } => *done != plan,
            ResolveOutput::Lookup { .. } | ResolveOutput::CancelLookup(_) => true,
        };
        self.outputs.retain(other);
    }

    /// Processes the answer to a [`ResolveOutput::Lookup`]. An answer that is late, or to an
    /// unknown lookup, is ignored.
    pub fn answer(&mut self, now: Instant, id: LookupId, answer: Answer) {
        if let Some((lookup, known)) = self.dns.answer(now, id, answer, &self.config) {
            self.learn(now, lookup, &known);
        }
        self.report_crowded_out(now);
        self.emit_lookups(now);
    }

    /// The time at which [`handle_timeout`](Self::handle_timeout) is due, if any.
    pub fn deadline(&self) -> Option<Instant> {
        let lookup = self.dns.deadline();
        let plan = self.timers.first().map(|(at, _)| *at);
        lookup.into_iter().chain(plan).min()
    }

    /// Times out the lookups and waits that are due, and lets other lookups take turns.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.report_crowded_out(now);
        while let Some(lookup) = self.dns.give_up(now) {
            self.learn(now, lookup, &CheckedAnswer::Failed(io::ErrorKind::TimedOut));
        }
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(mut plan) = self.plans.remove(&id) {
                plan.time_out(now);
                self.resume(now, id, plan);
            }
        }
        self.dns.pause(now);
        self.emit_lookups(now);
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<ResolveOutput> {
        self.outputs.pop_front()
    }

    /// Records that a target failed: for a while it is tried last, but not left out.
    pub fn target_failed(&mut self, now: Instant, target: &Target) {
        let (protocol, addr, name) = grey_key(target);
        self.failed_at(now, protocol, addr, name);
    }

    pub(crate) fn failed_at(
        &mut self,
        now: Instant,
        protocol: Protocol,
        addr: SocketAddr,
        name: Option<TlsName>,
    ) {
        let until = now + self.config.grey_time;
        self.grey.insert((protocol, addr, name), (), until, 0);
    }

    /// Records that a target works again.
    pub fn target_worked(&mut self, target: &Target) {
        let (protocol, addr, name) = grey_key(target);
        self.worked_at(protocol, addr, name);
    }

    pub(crate) fn worked_at(
        &mut self,
        protocol: Protocol,
        addr: SocketAddr,
        name: Option<TlsName>,
    ) {
        self.grey.remove(&(protocol, addr, name));
    }

    /// The number of plans that have not ended.
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// The number of open lookups: being asked, or waiting for their turn.
    pub fn open_lookups(&self) -> usize {
        self.dns.open()
    }

    /// The number of lookups being asked: [`ResolveOutput::Lookup`] without an answer, timeout or
    /// cancellation.
    pub fn asked_lookups(&self) -> usize {
        self.dns.asked()
    }

    /// The number of cached answers.
    pub fn remembered(&self) -> usize {
        self.dns.remembered()
    }

    /// The number of targets remembered as failed.
    pub fn failed_targets(&self) -> usize {
        self.grey.len()
    }

    /// Empties the cache and the list of failed targets, for good: for a shutdown.
    pub fn forget(&mut self) {
        self.dns.forget();
        self.grey = ExpiringMap::new(0, 0);
    }

    /// The counters so far.
    pub fn stats(&self) -> ResolveStats {
        self.dns.stats
    }

    /// Informs plans about their lookups that made room for others.
    fn report_crowded_out(&mut self, now: Instant) {
        while let Some(lookup) = self.dns.next_crowded_out() {
            self.learn(
                now,
                lookup,
                &CheckedAnswer::Failed(io::ErrorKind::ResourceBusy),
            );
        }
    }

    /// Informs the plans that wait for a lookup about its answer.
    fn learn(&mut self, now: Instant, lookup: OpenLookup, known: &CheckedAnswer) {
        for id in lookup.plans {
            let Some(mut plan) = self.plans.remove(&id) else {
                continue;
            };
            self.timers.remove(&(plan.wake(), id));
            plan.learn(&lookup.key, known);
            self.resume(now, id, plan);
        }
    }

    fn resume(&mut self, now: Instant, id: PlanId, plan: Plan) {
        if let Some(result) = self.advance(now, id, plan) {
            self.outputs
                .push_back(ResolveOutput::Planned { plan: id, result });
        }
    }

    /// Runs a plan as far as its answers allow, and stores it if it waits.
    fn advance(
        &mut self,
        now: Instant,
        id: PlanId,
        mut plan: Plan,
    ) -> Option<Result<Vec<Target>, PlanError>> {
        let result = match plan.run(now, id, &mut self.dns, &self.config) {
            Ok(targets) => Ok(self.ordered(now, targets)),
            Err(Stop::Fails(error)) => Err(error),
            Err(Stop::Waits { ready }) => {
                plan.hurry(now, ready, &self.config);
                self.timers.insert((plan.wake(), id));
                self.plans.insert(id, plan);
                return None;
            }
        };
        self.leave(id, &plan);
        Some(result)
    }

    /// Removes an ended plan from its lookups.
    fn leave(&mut self, id: PlanId, plan: &Plan) {
        for lookup in plan.lookups() {
            self.dns.leave(id, lookup);
        }
    }

    /// Moves grey targets to the end, and marks the targets that may race.
    fn ordered(&self, now: Instant, targets: Vec<Target>) -> Vec<Target> {
        let mut targets = targets;
        for target in &mut targets {
            target.reason.grey = self.grey.get(now, &grey_key(target)).is_some();
        }
        targets.sort_by_key(|target| target.reason.grey);
        mark_races(&mut targets);
        targets
    }

    fn emit_lookups(&mut self, now: Instant) {
        while let Some(id) = self.dns.next_cancelled() {
            self.outputs.push_back(ResolveOutput::CancelLookup(id));
        }
        while let Some((id, (kind, name))) = self.dns.next_to_ask(now) {
            self.outputs
                .push_back(ResolveOutput::Lookup { id, kind, name });
        }
    }
}

fn grey_key(target: &Target) -> GreyKey {
    (target.protocol, target.addr, target.tls_name.clone())
}

/// Marks the targets that may race with the one before them (RFC 8305 §5): those of one server that
/// has addresses of both families, over a stream protocol.
pub(crate) fn mark_races(targets: &mut [Target]) {
    for server in targets.chunk_by_mut(are_one_server) {
        let has = |family| server.iter().any(|t| Family::of(t.addr.ip()) == family);
        let both = has(Family::Ipv4) && has(Family::Ipv6);
        for (index, target) in server.iter_mut().enumerate() {
            target.races = both && index > 0 && target.protocol.is_stream();
        }
    }
}

/// Returns true if two targets are addresses of the same server.
fn are_one_server(a: &Target, b: &Target) -> bool {
    let host = |target: &Target| match &target.reason.address {
        AddressRule::Record { host, .. } => Some(host.clone()),
        _ => None,
    };
    a.protocol == b.protocol && a.addr.port() == b.addr.port() && host(a) == host(b)
}
