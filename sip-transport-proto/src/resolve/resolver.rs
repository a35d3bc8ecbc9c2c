use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use super::memory::Memory;
use super::procedure::{Procedure, Seen, Stop};
use super::records::Known;
use super::{
    AddressRule, Answer, Capabilities, DomainName, Family, LookupKind, PlanError, Question,
    ResolveConfig, Target, TargetHost,
};
use crate::{Protocol, Tokens};

/// One lookup, until it is answered or too late.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LookupId(u64);

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
    /// A plan has ended.
    Planned {
        /// Which.
        plan: PlanId,
        /// Its targets, best first, at least one.
        result: Result<Vec<Target>, PlanError>,
    },
}

/// What has happened in a [`Resolver`] since it began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResolveStats {
    /// Lookups that were asked for.
    pub lookups: u64,
    /// Lookups saved because the answer was remembered.
    pub remembered: u64,
    /// Lookups that failed.
    pub failed: u64,
    /// Lookups that were not answered in time.
    pub timed_out: u64,
    /// Answers to nothing that is open: late, or given twice.
    pub stray_answers: u64,
    /// Lookups left out because a plan had [`ResolveConfig::max_lookups`].
    pub over_plan_limit: u64,
    /// Lookups counted as failed because there were [`ResolveConfig::max_open_lookups`].
    pub over_open_limit: u64,
    /// Answers forgotten for newer ones before their time.
    pub forgotten: u64,
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

type Key = (LookupKind, DomainName);
type GreyKey = (Protocol, SocketAddr, Option<TargetHost>);

#[derive(Debug)]
struct Plan {
    question: Question,
    capabilities: Capabilities,
    seed: [u8; 32],
    deadline: Instant,
    /// No more lookups, and no more waiting.
    closed: bool,
    asked: BTreeMap<Key, State>,
}

#[derive(Debug)]
enum State {
    /// The answer is waited for, at most until then if there is less time than the lookup has.
    Waits(Option<Instant>),
    Known(Known),
}

/// What is known, and what is being asked.
#[derive(Debug)]
struct Dns {
    cache: Memory<Key, Known>,
    open: BTreeMap<LookupId, Lookup>,
    by_key: BTreeMap<Key, LookupId>,
    fresh: VecDeque<LookupId>,
    next: u64,
    stats: ResolveStats,
}

#[derive(Debug)]
struct Lookup {
    key: Key,
    deadline: Instant,
    plans: Vec<PlanId>,
}

impl Resolver {
    /// A resolver that knows nothing yet.
    pub fn new(config: ResolveConfig) -> Self {
        Self {
            dns: Dns {
                cache: Memory::new(config.cache_names, config.cache_bytes),
                open: BTreeMap::new(),
                by_key: BTreeMap::new(),
                fresh: VecDeque::new(),
                next: 0,
                stats: ResolveStats::default(),
            },
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
        let plan = Plan {
            question,
            capabilities,
            seed: if draws { tokens.array() } else { [0; 32] },
            deadline: now + self.config.plan_timeout,
            closed: false,
            asked: BTreeMap::new(),
        };
        let progress = match self.advance(now, id, plan) {
            Some(result) => Progress::Done(result),
            None => Progress::Waiting(id),
        };
        self.emit_lookups();
        progress
    }

    /// Gives a plan up: there will be no [`ResolveOutput::Planned`] for it. What it asked for may
    /// still be answered, and is remembered.
    pub fn cancel(&mut self, plan: PlanId) {
        if let Some(gone) = self.plans.remove(&plan) {
            self.timers.remove(&(gone.wake(), plan));
        }
        let other = |output: &ResolveOutput| !matches!(output, ResolveOutput::Planned { plan: done, .. } if *done == plan);
        self.outputs.retain(other);
    }

    /// The answer to a [`ResolveOutput::Lookup`]. One that is late, or to nothing, is ignored.
    pub fn answer(&mut self, now: Instant, id: LookupId, answer: Answer) {
        let Some(lookup) = self.dns.close(id) else {
            self.dns.stats.stray_answers += 1;
            return;
        };
        let ttl = match &answer {
            Answer::Found { ttl, .. } => (*ttl).min(self.config.max_ttl),
            Answer::NotFound { ttl } => ttl.map_or(self.config.negative_ttl, |t| {
                t.min(self.config.negative_ttl)
            }),
            Answer::Failed(_) => Duration::ZERO,
        };
        let known = Known::new(lookup.key.0, answer, &self.config);
        if let Known::Failed(_) = known {
            // Not remembered: one failure must not be the next send's.
            self.dns.stats.failed += 1;
        } else {
            let until = now + ttl.max(self.config.min_ttl);
            self.dns.remember(lookup.key.clone(), known.clone(), until);
        }
        self.learn(now, lookup, &known);
        self.emit_lookups();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        // All lookups have the same time, so the first is due first.
        let lookup = self.dns.open.first_key_value();
        let lookup = lookup.map(|(_, lookup)| lookup.deadline);
        let plan = self.timers.first().map(|(at, _)| *at);
        lookup.into_iter().chain(plan).min()
    }

    /// Gives up waits whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((&id, lookup)) = self.dns.open.first_key_value()
            && lookup.deadline <= now
        {
            if let Some(lookup) = self.dns.close(id) {
                self.dns.stats.timed_out += 1;
                self.learn(now, lookup, &Known::Failed(io::ErrorKind::TimedOut));
            }
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
        self.emit_lookups();
    }

    /// The next thing that it wants done or has done.
    pub fn poll_output(&mut self) -> Option<ResolveOutput> {
        self.outputs.pop_front()
    }

    /// Takes note that a target failed: it is tried last for a while, but tried.
    pub fn target_failed(&mut self, now: Instant, target: &Target) {
        let until = now + self.config.grey_time;
        self.grey.insert(grey_key(target), (), until, 0);
    }

    /// Takes note that a target works again.
    pub fn target_worked(&mut self, target: &Target) {
        self.grey.remove(&grey_key(target));
    }

    /// Plans that have not ended.
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// Lookups that wait for an answer.
    pub fn open_lookups(&self) -> usize {
        self.dns.open.len()
    }

    /// Answers that are remembered.
    pub fn remembered(&self) -> usize {
        self.dns.cache.len()
    }

    /// What has happened so far.
    pub fn stats(&self) -> ResolveStats {
        self.dns.stats
    }

    /// Tells the plans that wait for a lookup what it came to.
    fn learn(&mut self, now: Instant, lookup: Lookup, known: &Known) {
        for id in lookup.plans {
            let Some(mut plan) = self.plans.remove(&id) else {
                continue;
            };
            self.timers.remove(&(plan.wake(), id));
            // What the plan gave up waiting for stays given up, or its targets would change.
            if let Some(state @ State::Waits(_)) = plan.asked.get_mut(&lookup.key) {
                *state = State::Known(known.clone());
            }
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
        let (dns, config) = (&mut self.dns, &self.config);
        let (asked, closed) = (&mut plan.asked, plan.closed);
        let procedure = Procedure {
            question: &plan.question,
            config,
            capabilities: plan.capabilities,
            draws: Tokens::new(plan.seed),
            ask: |kind, name: &DomainName| {
                let key = (kind, name.clone());
                let full = asked.len() >= config.max_lookups;
                match asked.get(&key) {
                    Some(State::Known(known)) => return Some(known.clone()),
                    Some(State::Waits(_)) => return None,
                    None if closed => return Some(Known::Failed(io::ErrorKind::TimedOut)),
                    None if full => {
                        dns.stats.over_plan_limit += 1;
                        return Some(Known::Nothing);
                    }
                    None => {}
                }
                let known = dns.ask(now, config, id, &key);
                let state = known.clone().map_or(State::Waits(None), State::Known);
                asked.insert(key, state);
                known
            },
            seen: Seen::default(),
        };
        match procedure.run() {
            Ok(targets) => Some(Ok(self.ordered(now, targets))),
            Err(Stop::Fails(error)) => Some(Err(error)),
            Err(Stop::Waits { ready }) => {
                if ready {
                    plan.hurry(now + self.config.later_wait, |_, _| true);
                }
                plan.hurry(now + self.config.other_family_wait, has_other_family);
                self.timers.insert((plan.wake(), id));
                self.plans.insert(id, plan);
                None
            }
        }
    }

    /// Puts grey targets last, and marks the pairs that may race.
    fn ordered(&self, now: Instant, targets: Vec<Target>) -> Vec<Target> {
        let mut targets = targets;
        for target in &mut targets {
            target.reason.grey = self.grey.get(now, &grey_key(target)).is_some();
        }
        targets.sort_by_key(|target| target.reason.grey);
        let races: Vec<_> = targets
            .windows(2)
            .map(|pair| matches!(pair, [a, b] if are_one_server(a, b)))
            .collect();
        for (target, races) in targets.iter_mut().skip(1).zip(races) {
            target.races = races;
        }
        targets
    }

    fn emit_lookups(&mut self) {
        while let Some(id) = self.dns.fresh.pop_front() {
            if let Some(lookup) = self.dns.open.get(&id) {
                let (kind, name) = lookup.key.clone();
                self.outputs
                    .push_back(ResolveOutput::Lookup { id, kind, name });
            }
        }
    }
}

impl Plan {
    /// When it is to be looked at next.
    fn wake(&self) -> Instant {
        let waits = self.asked.values().filter_map(|state| match state {
            State::Waits(until) => *until,
            State::Known(_) => None,
        });
        waits.fold(self.deadline, Instant::min)
    }

    /// Waits no longer than that for such lookups.
    fn hurry(&mut self, until: Instant, which: fn(&BTreeMap<Key, State>, &Key) -> bool) {
        let waits = |state: &State| match state {
            State::Waits(already) => already.is_none_or(|already| until < already),
            State::Known(_) => false,
        };
        let hurried: Vec<_> = self
            .asked
            .iter()
            .filter(|(key, state)| waits(state) && which(&self.asked, key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in hurried {
            self.asked.insert(key, State::Waits(Some(until)));
        }
    }

    fn time_out(&mut self, now: Instant) {
        self.closed = self.deadline <= now;
        for state in self.asked.values_mut() {
            if let State::Waits(until) = state
                && (self.closed || until.is_some_and(|until| until <= now))
            {
                *state = State::Known(Known::Failed(io::ErrorKind::TimedOut));
            }
        }
    }
}

impl Dns {
    /// What is known, or `None` if it is being asked.
    fn ask(
        &mut self,
        now: Instant,
        config: &ResolveConfig,
        plan: PlanId,
        key: &Key,
    ) -> Option<Known> {
        if let Some(known) = self.cache.get(now, key) {
            self.stats.remembered += 1;
            return Some(known.clone());
        }
        let open = self.by_key.get(key);
        if let Some(lookup) = open.and_then(|id| self.open.get_mut(id)) {
            lookup.plans.push(plan);
            return None;
        }
        if self.open.len() >= config.max_open_lookups {
            self.stats.over_open_limit += 1;
            return Some(Known::Failed(io::ErrorKind::ResourceBusy));
        }
        let id = LookupId(self.next);
        self.next = self.next.wrapping_add(1);
        self.stats.lookups += 1;
        let lookup = Lookup {
            key: key.clone(),
            deadline: now + config.lookup_timeout,
            plans: vec![plan],
        };
        self.open.insert(id, lookup);
        self.by_key.insert(key.clone(), id);
        self.fresh.push_back(id);
        None
    }

    fn close(&mut self, id: LookupId) -> Option<Lookup> {
        let lookup = self.open.remove(&id)?;
        self.by_key.remove(&lookup.key);
        Some(lookup)
    }

    fn remember(&mut self, key: Key, known: Known, until: Instant) {
        const ENTRY: usize = 96;
        let weight = known.weight() + key.1.as_str().len() + ENTRY;
        let forgotten = self.cache.insert(key, known, until, weight);
        self.stats.forgotten += forgotten as u64;
    }
}

/// Whether addresses of the same host in the other family are known (RFC 8305 §3).
fn has_other_family(asked: &BTreeMap<Key, State>, (kind, name): &Key) -> bool {
    let other = match kind {
        LookupKind::A => LookupKind::Aaaa,
        LookupKind::Aaaa => LookupKind::A,
        LookupKind::Naptr | LookupKind::Srv => return false,
    };
    let other = asked.get(&(other, name.clone()));
    matches!(other, Some(State::Known(Known::Addresses(_))))
}

fn grey_key(target: &Target) -> GreyKey {
    (target.protocol, target.addr, target.tls_name.clone())
}

/// Whether two targets are the same server's, one for each address family, over a stream.
fn are_one_server(a: &Target, b: &Target) -> bool {
    let host = |target: &Target| match &target.reason.address {
        AddressRule::Record { host, .. } => Some(host.clone()),
        AddressRule::Loopback | AddressRule::Numeric => None,
    };
    a.protocol == b.protocol
        && a.protocol.is_stream()
        && a.addr.port() == b.addr.port()
        && Family::of(a.addr.ip()) != Family::of(b.addr.ip())
        && host(a) == host(b)
}
