use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Instant;

use super::memory::Memory;
use super::records::Known;
use super::resolver::PlanId;
use super::{Answer, DomainName, LookupKind, ResolveConfig};

/// One lookup, until it is answered or too late.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LookupId(u64);

/// What has happened in a [`Resolver`](super::Resolver) since it began.
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

/// What a lookup is for.
pub(super) type Key = (LookupKind, DomainName);

/// What is known, and what is being asked.
#[derive(Debug)]
pub(super) struct Dns {
    cache: Memory<Key, Known>,
    open: BTreeMap<LookupId, Lookup>,
    by_key: BTreeMap<Key, LookupId>,
    /// Lookups that the outside was not asked for yet.
    fresh: VecDeque<(LookupId, Key)>,
    next: u64,
    pub(super) stats: ResolveStats,
}

#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) key: Key,
    deadline: Instant,
    pub(super) plans: Vec<PlanId>,
}

impl Dns {
    pub(super) fn new(config: &ResolveConfig) -> Self {
        Self {
            cache: Memory::new(config.cache_names, config.cache_bytes),
            open: BTreeMap::new(),
            by_key: BTreeMap::new(),
            fresh: VecDeque::new(),
            next: 0,
            stats: ResolveStats::default(),
        }
    }

    /// Lookups that wait for an answer.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Answers that are remembered.
    pub(super) fn remembered(&self) -> usize {
        self.cache.len()
    }

    /// Remembers nothing any more.
    pub(super) fn forget(&mut self) {
        self.cache = Memory::new(0, 0);
    }

    /// The next lookup to be asked of the outside.
    pub(super) fn next_fresh(&mut self) -> Option<(LookupId, Key)> {
        self.fresh.pop_front()
    }

    /// When the first lookup is late: all have the same time, so the first is due first.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, lookup) = self.open.first_key_value()?;
        Some(lookup.deadline)
    }

    /// Gives up a lookup that is late.
    pub(super) fn pop_late(&mut self, now: Instant) -> Option<Lookup> {
        let (&id, _) = self
            .open
            .first_key_value()
            .filter(|(_, lookup)| lookup.deadline <= now)?;
        self.stats.timed_out += 1;
        self.close(id)
    }

    /// Takes an answer in, unless nothing waits for it.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        id: LookupId,
        answer: Answer,
        config: &ResolveConfig,
    ) -> Option<(Lookup, Known)> {
        let Some(lookup) = self.close(id) else {
            self.stats.stray_answers += 1;
            return None;
        };
        let ttl = match &answer {
            Answer::Found { ttl, .. } => Some((*ttl).min(config.max_ttl)),
            Answer::NotFound { ttl } | Answer::NoSuchName { ttl } => {
                Some(ttl.map_or(config.negative_ttl, |t| t.min(config.negative_ttl)))
            }
            // Not remembered: one failure must not be the next send's.
            Answer::Failed(_) => None,
        };
        let known = Known::new(lookup.key.0, answer, config);
        match ttl {
            Some(ttl) => {
                let until = now + ttl.max(config.min_ttl);
                self.remember(lookup.key.clone(), known.clone(), until);
            }
            None => self.stats.failed += 1,
        }
        Some((lookup, known))
    }

    /// What is known, or `None` if it is being asked.
    pub(super) fn ask(
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
        self.fresh.push_back((id, key.clone()));
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
