//! Turns: the limit of lookups being asked at one time, shared out among domains.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{DomainName, LookupId};

/// The open lookups being asked, and those waiting for their turn.
///
/// Lookups are shared out among domains. A domain may have as many lookups asked as it leaves free:
/// half of all when it is the only one, a third each for two, so that the next domain always finds
/// some free. The next lookup is one of the domain with the fewest; among equals the newest, since
/// one that has waited for long behind many unanswered ones is likely to wait in vain.
#[derive(Debug)]
pub(super) struct Turns {
    max_asked: usize,
    asked: BTreeSet<(Instant, LookupId)>,
    waiting: usize,
    domains: BTreeMap<DomainName, DomainLookups>,
}

/// The open lookups of one domain.
#[derive(Debug, Default)]
struct DomainLookups {
    asked: usize,
    waiting: BTreeSet<LookupId>,
}

impl DomainLookups {
    fn open(&self) -> usize {
        self.asked.saturating_add(self.waiting.len())
    }
}

impl Turns {
    pub(super) fn new(max_asked: usize) -> Self {
        Self {
            max_asked,
            asked: BTreeSet::new(),
            waiting: 0,
            domains: BTreeMap::new(),
        }
    }

    /// The number of lookups being asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// The lookup that has been asked for longest, with its start time, if others wait.
    pub(super) fn held_up_since(&self) -> Option<(Instant, LookupId)> {
        self.asked.first().filter(|_| self.waiting > 0).copied()
    }

    /// Adds a lookup that waits for its turn.
    pub(super) fn wait(&mut self, id: LookupId, domain: &DomainName) {
        let lookups = self.domains.entry(domain.clone()).or_default();
        if lookups.waiting.insert(id) {
            self.waiting = self.waiting.saturating_add(1);
        }
    }

    /// The next lookup to ask, if any may be asked; it counts as asked from now on.
    pub(super) fn next(&mut self, now: Instant) -> Option<LookupId> {
        if self.waiting == 0 {
            return None;
        }
        let free = self.max_asked.saturating_sub(self.asked.len());
        let may = self.domains.values_mut().filter(|d| d.asked < free);
        let turns = may.filter_map(|domain| Some((*domain.waiting.last()?, domain)));
        let (id, domain) = turns.min_by_key(|(id, domain)| (domain.asked, Reverse(*id)))?;
        domain.waiting.remove(&id);
        domain.asked = domain.asked.saturating_add(1);
        self.waiting = self.waiting.saturating_sub(1);
        self.asked.insert((now, id));
        Some(id)
    }

    /// The lookup to evict for one more of this domain: the oldest waiting one of the domain with
    /// the most lookups. Domains with at most `few` count as equal, so that the lookups of one plan
    /// are let in together; the domain with the most does not push out others.
    pub(super) fn lookup_to_evict(&self, newcomer: &DomainName, few: usize) -> Option<LookupId> {
        let own = self.domains.get(newcomer).map_or(0, DomainLookups::open);
        let rank = |open: usize| open.max(few);
        let full = |(name, domain): (&DomainName, &DomainLookups)| {
            let open = domain.open().saturating_add(usize::from(name == newcomer));
            let oldest = *domain.waiting.first()?;
            (rank(open) >= rank(own.saturating_add(1))).then_some((rank(open), Reverse(oldest)))
        };
        let (_, Reverse(oldest)) = self.domains.iter().filter_map(full).max()?;
        Some(oldest)
    }

    /// Removes a lookup, which was waiting, or has been asked since then.
    pub(super) fn end(&mut self, id: LookupId, domain: &DomainName, asked: Option<Instant>) {
        let Some(lookups) = self.domains.get_mut(domain) else {
            return;
        };
        match asked {
            Some(since) => {
                self.asked.remove(&(since, id));
                lookups.asked = lookups.asked.saturating_sub(1);
            }
            None if lookups.waiting.remove(&id) => {
                self.waiting = self.waiting.saturating_sub(1);
            }
            None => {}
        }
        if lookups.open() == 0 {
            self.domains.remove(domain);
        }
    }
}
