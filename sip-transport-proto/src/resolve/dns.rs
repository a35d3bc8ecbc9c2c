//! The cache of DNS answers, and the lookups that are open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use super::expiring_map::ExpiringMap;
use super::records::CheckedAnswer;
use super::turns::Turns;
use super::{Answer, DomainName, LookupKind, ResolveConfig};
use crate::resolve::ids::{LookupId, PlanId};

/// Counters of a [`Resolver`](super::Resolver) since it began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResolveStats {
    /// Lookups opened.
    pub lookups: u64,
    /// Lookups saved because the answer was cached.
    pub remembered: u64,
    /// Lookups that failed.
    pub failed: u64,
    /// Lookups that were not answered in time.
    pub timed_out: u64,
    /// Of those, lookups limited to [`ResolveConfig::crowded_timeout`], as others were waiting.
    pub cut_short: u64,
    /// Lookups that waited for their turn, as [`ResolveConfig::max_asked_lookups`] were being asked
    /// or their domain had its share.
    pub waited: u64,
    /// Lookups that were asked and had to wait once more, as others had not been asked yet.
    pub paused: u64,
    /// Answers to lookups that are not open: late, or given twice.
    pub stray_answers: u64,
    /// Lookups omitted because a plan had [`ResolveConfig::max_lookups`].
    pub over_plan_limit: u64,
    /// Lookups that made room, or found none, because [`ResolveConfig::max_open_lookups`] were
    /// open.
    pub over_open_limit: u64,
    /// Cached answers evicted by newer ones before their time.
    pub forgotten: u64,
}

/// The type and name of a lookup.
pub(super) type LookupKey = (LookupKind, DomainName);

/// The answers that are known, and the lookups that are open.
#[derive(Debug)]
pub(super) struct Dns {
    cache: ExpiringMap<LookupKey, CheckedAnswer>,
    open: BTreeMap<LookupId, OpenLookup>,
    by_age: BTreeSet<(Instant, LookupId)>,
    by_key: BTreeMap<LookupKey, LookupId>,
    turns: Turns,
    /// Lookups whose turn has come, until they are output.
    fresh: VecDeque<(LookupId, LookupKey)>,
    /// Lookups that made room for others, until their plans are informed.
    crowded_out: VecDeque<OpenLookup>,
    /// Lookups abandoned after they were output, until their cancellation is output.
    cancelled: VecDeque<LookupId>,
    lookup_timeout: Duration,
    crowded_timeout: Duration,
    next: u64,
    pub(super) stats: ResolveStats,
}

#[derive(Debug)]
pub(super) struct OpenLookup {
    pub(super) key: LookupKey,
    domain: DomainName,
    opened: Instant,
    /// The time since which it is asked, less the time that it waited in between; `None` while it waits.
    asked: Option<Instant>,
    /// For how long it was asked before it had to wait once more.
    before: Duration,
    pub(super) plans: Vec<PlanId>,
}

impl Dns {
    pub(super) fn new(config: &ResolveConfig) -> Self {
        Self {
            cache: ExpiringMap::new(config.cache_names, config.cache_bytes),
            open: BTreeMap::new(),
            by_age: BTreeSet::new(),
            by_key: BTreeMap::new(),
            turns: Turns::new(config),
            fresh: VecDeque::new(),
            crowded_out: VecDeque::new(),
            cancelled: VecDeque::new(),
            lookup_timeout: config.lookup_timeout,
            crowded_timeout: config.crowded_timeout,
            next: 0,
            stats: ResolveStats::default(),
        }
    }

    /// The number of open lookups.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// The number of cached answers.
    pub(super) fn remembered(&self) -> usize {
        self.cache.len()
    }

    /// Empties the cache, for good.
    pub(super) fn forget(&mut self) {
        self.cache = ExpiringMap::new(0, 0);
    }

    /// The number of lookups being asked.
    pub(super) fn asked(&self) -> usize {
        self.turns.asked()
    }

    /// The next lookup to output.
    pub(super) fn next_to_ask(&mut self, now: Instant) -> Option<(LookupId, LookupKey)> {
        self.start_turns(now);
        self.fresh.pop_front()
    }

    /// Marks the lookups whose turn has come as asked.
    fn start_turns(&mut self, now: Instant) {
        while let Some((since, id)) = self.turns.next(now) {
            if let Some(lookup) = self.open.get_mut(&id) {
                lookup.asked = Some(since);
                let waited = lookup.before.is_zero() && lookup.opened < now;
                self.stats.waited += u64::from(waited);
                self.fresh.push_back((id, lookup.key.clone()));
            }
        }
    }

    /// The next lookup to cancel.
    pub(super) fn next_cancelled(&mut self) -> Option<LookupId> {
        self.cancelled.pop_front()
    }

    /// The time of the next timeout or pause.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let crowded_out = self.crowded_out.front().map(|lookup| lookup.opened);
        let oldest = self.by_age.first();
        let late = oldest.map(|(opened, _)| *opened + self.lookup_timeout);
        let held_up = self.turns.held_up_since();
        let cut_short = held_up.map(|(since, _)| since + self.crowded_timeout);
        let paused = self.turns.next_pause().map(|(at, _)| at);
        let given_up = late.into_iter().chain(cut_short);
        given_up.chain(crowded_out).chain(paused).min()
    }

    /// The next lookup that made room for another.
    pub(super) fn next_crowded_out(&mut self) -> Option<OpenLookup> {
        self.crowded_out.pop_front()
    }

    /// Removes the next lookup that has timed out.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<OpenLookup> {
        let oldest = self.by_age.first();
        let late = oldest.filter(|(opened, _)| *opened + self.lookup_timeout <= now);
        let late = late.map(|(_, id)| *id);
        let held_up = self.turns.held_up_since();
        let cut_short = held_up.filter(|(since, _)| *since + self.crowded_timeout <= now);
        let id = late.or_else(|| cut_short.map(|(_, id)| id))?;
        self.stats.timed_out += 1;
        self.stats.cut_short += u64::from(late.is_none());
        let lookup = self.close(id)?;
        match lookup.asked {
            Some(_) => self.cancelled.push_back(id),
            None => self.stats.waited += u64::from(lookup.before.is_zero()),
        }
        Some(lookup)
    }

    /// Makes lookups wait once more where newcomers need their places. They get new ids for it, so that
    /// late answers to the old ones are strays.
    pub(super) fn pause(&mut self, now: Instant) {
        while let Some((at, id)) = self.turns.next_pause()
            && at <= now
            && let Some(mut lookup) = self.close(id)
        {
            self.turns.paused(at);
            self.cancelled.push_back(id);
            self.stats.paused += 1;
            let since = lookup.asked.take();
            lookup.before = since.map_or(Duration::ZERO, |since| now - since);
            if !lookup.plans.is_empty() {
                self.wait(lookup);
            }
            self.start_turns(now);
        }
    }

    /// Processes an answer, unless no lookup waits for it.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        id: LookupId,
        answer: Answer,
        config: &ResolveConfig,
    ) -> Option<(OpenLookup, CheckedAnswer)> {
        let Some(lookup) = self.close(id) else {
            self.stats.stray_answers += 1;
            return None;
        };
        let ttl = match &answer {
            Answer::Found { ttl, .. } => Some((*ttl).min(config.max_ttl)),
            Answer::NotFound { ttl } | Answer::NoSuchName { ttl } => {
                Some(ttl.map_or(config.negative_ttl, |t| t.min(config.negative_ttl)))
            }
            // Not cached: one failure must not fail the next send.
            Answer::Failed(_) => None,
        };
        let known = CheckedAnswer::new(lookup.key.0, answer, config);
        match ttl {
            Some(ttl) => {
                let until = now + ttl.max(config.min_ttl);
                self.remember(lookup.key.clone(), known.clone(), until);
            }
            None => self.stats.failed += 1,
        }
        Some((lookup, known))
    }

    /// The cached answer, or `None` if the lookup is open.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        config: &ResolveConfig,
        plan: PlanId,
        key: &LookupKey,
    ) -> Option<CheckedAnswer> {
        if let Some(known) = self.cache.get(now, key) {
            self.stats.remembered += 1;
            return Some(known.clone());
        }
        let open = self.by_key.get(key);
        if let Some(lookup) = open.and_then(|id| self.open.get_mut(id)) {
            lookup.plans.push(plan);
            return None;
        }
        let domain = key.1.domain();
        if self.open.len() >= config.max_open_lookups {
            self.stats.over_open_limit += 1;
            let few = config.max_lookups;
            let oldest = self.turns.lookup_to_evict(&domain, few);
            match oldest.and_then(|id| self.close(id)) {
                Some(lookup) => self.crowded_out.push_back(lookup),
                None => return Some(CheckedAnswer::Failed(io::ErrorKind::ResourceBusy)),
            }
        }
        self.stats.lookups += 1;
        self.wait(OpenLookup {
            key: key.clone(),
            domain,
            opened: now,
            asked: None,
            before: Duration::ZERO,
            plans: vec![plan],
        });
        self.start_turns(now);
        None
    }

    /// Adds a lookup that waits for its turn.
    fn wait(&mut self, lookup: OpenLookup) {
        let id = LookupId(self.next);
        self.next = self.next.wrapping_add(1);
        self.turns.wait(id, &lookup.domain, lookup.before);
        self.by_age.insert((lookup.opened, id));
        self.by_key.insert(lookup.key.clone(), id);
        self.open.insert(id, lookup);
    }

    /// Removes an ended plan from a lookup. A lookup without plans is not asked; one that is being
    /// asked may still be answered, which is cached.
    pub(super) fn leave(&mut self, plan: PlanId, key: &LookupKey) {
        let Some((id, lookup)) = self
            .by_key
            .get(key)
            .and_then(|id| Some((*id, self.open.get_mut(id)?)))
        else {
            return;
        };
        lookup.plans.retain(|other| *other != plan);
        if lookup.plans.is_empty() && lookup.asked.is_none() {
            self.close(id);
        }
    }

    fn close(&mut self, id: LookupId) -> Option<OpenLookup> {
        let lookup = self.open.remove(&id)?;
        self.by_age.remove(&(lookup.opened, id));
        self.by_key.remove(&lookup.key);
        self.turns.end(id, &lookup.domain, lookup.asked);
        Some(lookup)
    }

    fn remember(&mut self, key: LookupKey, known: CheckedAnswer, until: Instant) {
        const ENTRY: usize = 96;
        let weight = known.weight() + key.1.as_str().len() + ENTRY;
        let forgotten = self.cache.insert(key, known, until, weight);
        self.stats.forgotten += forgotten as u64;
    }
}
