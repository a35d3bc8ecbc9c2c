//! Turns: the limit of lookups being asked at one time, shared out among domains.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{DomainName, LookupId, ResolveConfig};

/// The number of lookups that may make room within the shortest turn.
const PAUSES: u32 = 16;

/// The open lookups being asked, and those waiting for their turn.
///
/// Lookups are shared out among domains. A domain may have as many lookups asked as it leaves free:
/// half of all when it is the only one, a third each for two, so that the next domain always finds
/// some free. The next lookup is one of the domain with the fewest; among equals the newest, since
/// one that has waited for long behind many unanswered ones is likely to wait in vain.
///
/// Where a domain waits that has none asked, and no place is free, a lookup makes room: of those
/// asked for at least the shortest turn, the one asked for longest waits once more, behind all that
/// were not asked yet. So a name that is answered soon finds its turn soon, whatever the others do.
/// The rate of this is limited, and a quarter of the places takes no part in it: for slow answers,
/// and for the next name server where the first is silent.
#[derive(Debug)]
pub(super) struct Turns {
    max_asked: usize,
    shortest: Duration,
    /// The earliest time at which the next makes room.
    next_pause: Option<Instant>,
    /// The time since which each is asked, less the time that it waited in between.
    asked: BTreeSet<(Instant, LookupId)>,
    waiting: usize,
    /// The number of domains that are newcomers.
    newcomers: usize,
    domains: BTreeMap<DomainName, DomainLookups>,
}

/// The open lookups of one domain.
#[derive(Debug, Default)]
struct DomainLookups {
    asked: usize,
    new: BTreeSet<LookupId>,
    /// Those that made room, with the time for which they were asked.
    paused: BTreeMap<LookupId, Duration>,
}

impl DomainLookups {
    fn waiting(&self) -> usize {
        self.new.len().saturating_add(self.paused.len())
    }

    fn open(&self) -> usize {
        self.asked.saturating_add(self.waiting())
    }

    /// Returns true if none is being asked, and one has not been asked yet.
    fn is_newcomer(&self) -> bool {
        self.asked == 0 && !self.new.is_empty()
    }

    /// Which is asked next, and whether it was asked before.
    fn next(&self) -> Option<(bool, LookupId)> {
        let new = self.new.last().map(|id| (false, *id));
        new.or_else(|| Some((true, *self.paused.keys().next_back()?)))
    }

    /// The lookup to evict for others: the oldest that waits, those that were asked before first.
    fn oldest(&self) -> Option<LookupId> {
        let paused = self.paused.keys().next();
        paused.or_else(|| self.new.first()).copied()
    }
}

impl Turns {
    pub(super) fn new(config: &ResolveConfig) -> Self {
        Self {
            max_asked: config.max_asked_lookups,
            shortest: config.shortest_turn,
            next_pause: None,
            asked: BTreeSet::new(),
            waiting: 0,
            newcomers: 0,
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

    /// The lookup that is to wait once more if a newcomer needs its place, and the time for it.
    pub(super) fn next_pause(&self) -> Option<(Instant, LookupId)> {
        if self.newcomers == 0 || self.asked.len() < self.max_asked {
            return None;
        }
        let kept = self.max_asked.div_ceil(4);
        let (since, id) = *self.asked.iter().nth(kept)?;
        let at = self.next_pause.max(Some(since + self.shortest))?;
        Some((at, id))
    }

    /// Records that a lookup made room at the time due for it.
    pub(super) fn paused(&mut self, at: Instant) {
        self.next_pause = Some(at + self.shortest / PAUSES);
    }

    /// Adds a lookup that waits for its turn, and was asked for `before` already.
    pub(super) fn wait(&mut self, id: LookupId, domain: &DomainName, before: Duration) {
        self.change(domain, |lookups| match before.is_zero() {
            true => drop(lookups.new.insert(id)),
            false => drop(lookups.paused.insert(id, before)),
        });
    }

    /// The next lookup to ask, if any may be asked, and the time since which it counts as asked.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Instant, LookupId)> {
        if self.waiting == 0 {
            return None;
        }
        let free = self.max_asked.saturating_sub(self.asked.len());
        let may = self.domains.iter().filter(|(_, d)| d.asked < free);
        let turns = may.filter_map(|(name, domain)| {
            let (paused, id) = domain.next()?;
            Some((domain.asked, paused, Reverse(id), name))
        });
        let (.., Reverse(id), domain) = turns.min()?;
        let mut since = now;
        self.change(&domain.clone(), |lookups| {
            lookups.new.remove(&id);
            let before = lookups.paused.remove(&id);
            since = before.and_then(|b| now.checked_sub(b)).unwrap_or(now);
            lookups.asked = lookups.asked.saturating_add(1);
        });
        self.asked.insert((since, id));
        Some((since, id))
    }

    /// The lookup to evict for one more of this domain: the oldest waiting one of the domain with
    /// the most lookups. Domains with at most `few` count as equal, so that the lookups of one plan
    /// are let in together; the domain with the most does not push out others.
    pub(super) fn lookup_to_evict(&self, newcomer: &DomainName, few: usize) -> Option<LookupId> {
        let own = self.domains.get(newcomer).map_or(0, DomainLookups::open);
        let rank = |open: usize| open.max(few);
        let full = |(name, domain): (&DomainName, &DomainLookups)| {
            let open = domain.open().saturating_add(usize::from(name == newcomer));
            let oldest = domain.oldest()?;
            let paused = !domain.paused.is_empty();
            let may = rank(open) >= rank(own.saturating_add(1));
            may.then_some((rank(open), paused, Reverse(oldest)))
        };
        let (.., Reverse(oldest)) = self.domains.iter().filter_map(full).max()?;
        Some(oldest)
    }

    /// Removes a lookup, which was waiting, or has been asked since then.
    pub(super) fn end(&mut self, id: LookupId, domain: &DomainName, asked: Option<Instant>) {
        let was_asked = asked.is_some_and(|since| self.asked.remove(&(since, id)));
        self.change(domain, |lookups| {
            lookups.asked = lookups.asked.saturating_sub(usize::from(was_asked));
            lookups.new.remove(&id);
            lookups.paused.remove(&id);
        });
    }

    /// Changes the lookups of a domain, and keeps the counts.
    fn change(&mut self, domain: &DomainName, change: impl FnOnce(&mut DomainLookups)) {
        let lookups = self.domains.entry(domain.clone()).or_default();
        let waiting = self.waiting.saturating_sub(lookups.waiting());
        let newcomers = self
            .newcomers
            .saturating_sub(usize::from(lookups.is_newcomer()));
        change(lookups);
        self.waiting = waiting.saturating_add(lookups.waiting());
        self.newcomers = newcomers.saturating_add(usize::from(lookups.is_newcomer()));
        if lookups.open() == 0 {
            self.domains.remove(domain);
        }
    }
}
