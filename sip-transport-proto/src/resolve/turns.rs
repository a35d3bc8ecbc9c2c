use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::{DomainName, LookupId};

/// Which open lookups are asked, and which wait for their turn.
///
/// Domains have shares. One may have as many lookups asked as are free beside them: alone it has
/// half of all, two have a third each, so that the next domain finds some free however many lookups
/// the others have. Whose domain has the fewest is asked first; among equals the newest, as who has
/// waited for long among many that are not answered is likely to wait in vain.
#[derive(Debug)]
pub(super) struct Turns {
    max_asked: usize,
    asked: BTreeSet<(Instant, LookupId)>,
    waiting: usize,
    domains: BTreeMap<DomainName, Lookups>,
}

/// The open lookups of one domain.
#[derive(Debug, Default)]
struct Lookups {
    asked: usize,
    waiting: BTreeSet<LookupId>,
}

impl Lookups {
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

    /// How many are asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Since when the lookup is asked that is asked for longest, if others wait.
    pub(super) fn held_up_since(&self) -> Option<(Instant, LookupId)> {
        self.asked.first().filter(|_| self.waiting > 0).copied()
    }

    /// Has a lookup wait for its turn.
    pub(super) fn wait(&mut self, id: LookupId, domain: &DomainName) {
        let lookups = self.domains.entry(domain.clone()).or_default();
        if lookups.waiting.insert(id) {
            self.waiting = self.waiting.saturating_add(1);
        }
    }

    /// The lookup to ask next, if there is one that may be asked; it counts as asked from now on.
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

    /// Who makes room for one more lookup of this domain: the oldest that waits of the domain that
    /// has most. Those that have no more than `few` are equal, so that the lookups of one plan come
    /// in together; the domain that has most does not push out others.
    pub(super) fn who_makes_room(&self, newcomer: &DomainName, few: usize) -> Option<LookupId> {
        let own = self.domains.get(newcomer).map_or(0, Lookups::open);
        let rank = |open: usize| open.max(few);
        let full = |(name, domain): (&DomainName, &Lookups)| {
            let open = domain.open().saturating_add(usize::from(name == newcomer));
            let oldest = *domain.waiting.first()?;
            (rank(open) >= rank(own.saturating_add(1))).then_some((rank(open), Reverse(oldest)))
        };
        let (_, Reverse(oldest)) = self.domains.iter().filter_map(full).max()?;
        Some(oldest)
    }

    /// Forgets a lookup, which waited, or was asked since then.
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
