use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use super::dns::{Dns, Lookup};
use super::memory::Memory;
use super::plan::Plan;
use super::procedure::Stop;
use super::records::Known;
use super::{
    AddressRule, Answer, Capabilities, DomainName, Family, LookupId, LookupKind, PlanError,
    Question, ResolveConfig, ResolveStats, Target, question::TargetHost,
};
use crate::tls::TlsName;
use crate::{Protocol, Tokens};

/// One plan, until it ends.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PlanId(u64);

/// What [`Resolver::start`] came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The targets, best first, at least one.
    Done(Result<Vec<Target>, PlanError>),
    /// [`ResolveOutput::Planned`] will tell.
    Waiting(PlanId),
}

/// What a [`Resolver`] wants done, or has done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ResolveOutput {
    /// Look up these records, and answer with [`Resolver::answer`]. The name is complete: no
    /// search list applies.
    Lookup {
        /// For the answer.
        id: LookupId,
        /// The type of record.
        kind: LookupKind,
        /// The name.
        name: DomainName,
    },
    /// Nobody waits for this lookup any more: the asking may end, and an answer is ignored.
    CancelLookup(LookupId),
    /// A plan has ended.
    Planned {
        /// Which.
        plan: PlanId,
        /// Its targets, best first, at least one.
        result: Result<Vec<Target>, PlanError>,
    },
}

/// Finds where URIs lead (RFC 3263), remembers answers, and knows which targets failed lately.
///
/// Its documentation is the [module's](super).
#[derive(Debug)]
pub struct Resolver {
    config: ResolveConfig,
    dns: Dns,
    plans: BTreeMap<PlanId, Plan>,
    /// When which plan is to be looked at.
    timers: BTreeSet<(Instant, PlanId)>,
    grey: Memory<GreyKey, ()>,
    outputs: VecDeque<ResolveOutput>,
    next_plan: u64,
}

type GreyKey = (Protocol, SocketAddr, Option<TlsName>);

impl Resolver {
    /// A resolver that knows nothing yet.
    pub fn new(config: ResolveConfig) -> Self {
        Self {
            dns: Dns::new(&config),
            plans: BTreeMap::new(),
            timers: BTreeSet::new(),
            grey: Memory::new(config.grey_targets, usize::MAX),
            outputs: VecDeque::new(),
            next_plan: 0,
            config,
        }
    }

    /// Begins a plan. `tokens` draw among SRV records of the same priority: the same tokens give
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

    /// Gives a plan up: there will be no [`ResolveOutput::Planned`] for it. What is asked for it
    /// may still be answered, and is remembered.
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

    /// The answer to a [`ResolveOutput::Lookup`]. One that is late, or to nothing, is ignored.
    pub fn answer(&mut self, now: Instant, id: LookupId, answer: Answer) {
        if let Some((lookup, known)) = self.dns.answer(now, id, answer, &self.config) {
            self.learn(now, lookup, &known);
        }
        self.tell_crowded_out(now);
        self.emit_lookups(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let lookup = self.dns.deadline();
        let plan = self.timers.first().map(|(at, _)| *at);
        lookup.into_iter().chain(plan).min()
    }

    /// Gives up what has waited for too long, or has others take turns.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tell_crowded_out(now);
        while let Some(lookup) = self.dns.give_up(now) {
            self.learn(now, lookup, &Known::Failed(io::ErrorKind::TimedOut));
        }
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(mut plan) = self.plans.remove(&id) {
                plan.time_out(now);
                self.go_on(now, id, plan);
            }
        }
        self.dns.pause(now);
        self.emit_lookups(now);
    }

    /// The next thing that it wants done or has done.
    pub fn poll_output(&mut self) -> Option<ResolveOutput> {
        self.outputs.pop_front()
    }

    /// Takes note that a target failed: it is tried last for a while, but tried.
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

    /// Takes note that a target works again.
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

    /// Plans that have not ended.
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// Lookups that are asked, or wait for their turn.
    pub fn open_lookups(&self) -> usize {
        self.dns.open()
    }

    /// Lookups that are asked: [`ResolveOutput::Lookup`] without an answer or an end.
    pub fn asked_lookups(&self) -> usize {
        self.dns.asked()
    }

    /// Answers that are remembered.
    pub fn remembered(&self) -> usize {
        self.dns.remembered()
    }

    /// Targets that failed lately, as far as is known.
    pub fn failed_targets(&self) -> usize {
        self.grey.len()
    }

    /// Forgets answers and failed targets, and remembers none from now on: the end is near.
    pub fn forget(&mut self) {
        self.dns.forget();
        self.grey = Memory::new(0, 0);
    }

    /// What has happened so far.
    pub fn stats(&self) -> ResolveStats {
        self.dns.stats
    }

    /// Tells plans of their lookups that made room for others.
    fn tell_crowded_out(&mut self, now: Instant) {
        while let Some(lookup) = self.dns.next_crowded_out() {
            self.learn(now, lookup, &Known::Failed(io::ErrorKind::ResourceBusy));
        }
    }

    /// Tells the plans that wait for a lookup what it came to.
    fn learn(&mut self, now: Instant, lookup: Lookup, known: &Known) {
        for id in lookup.plans {
            let Some(mut plan) = self.plans.remove(&id) else {
                continue;
            };
            self.timers.remove(&(plan.wake(), id));
            plan.learn(&lookup.key, known);
            self.go_on(now, id, plan);
        }
    }

    fn go_on(&mut self, now: Instant, id: PlanId, plan: Plan) {
        if let Some(result) = self.advance(now, id, plan) {
            self.outputs
                .push_back(ResolveOutput::Planned { plan: id, result });
        }
    }

    /// Runs a plan as far as it goes, and keeps it if it waits.
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

    /// A plan that has ended waits for nothing any more.
    fn leave(&mut self, id: PlanId, plan: &Plan) {
        for lookup in plan.lookups() {
            self.dns.leave(id, lookup);
        }
    }

    /// Puts grey targets last, and marks the pairs that may race.
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
/// has addresses of both families, over a stream.
pub(crate) fn mark_races(targets: &mut [Target]) {
    for server in targets.chunk_by_mut(are_one_server) {
        let has = |family| server.iter().any(|t| Family::of(t.addr.ip()) == family);
        let both = has(Family::Ipv4) && has(Family::Ipv6);
        for (place, target) in server.iter_mut().enumerate() {
            target.races = both && place > 0 && target.protocol.is_stream();
        }
    }
}

/// Whether two targets are addresses of the same server.
fn are_one_server(a: &Target, b: &Target) -> bool {
    let host = |target: &Target| match &target.reason.address {
        AddressRule::Record { host, .. } => Some(host.clone()),
        _ => None,
    };
    a.protocol == b.protocol && a.addr.port() == b.addr.port() && host(a) == host(b)
}
