use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{DomainName, LookupId, ResolveConfig};

/// How many make room within the shortest turn.
const PAUSES: u32 = 16;

/// Which open lookups are asked, and which wait for their turn.
///
/// Domains have shares. One may have as many lookups asked as are free beside them: alone it has
/// half of all, two have a third each, so that the next domain finds some free however many lookups
/// the others have. Whose domain has the fewest is asked first; among equals the newest, as who has
/// waited for long among many that are not answered is likely to wait in vain.
///
/// Where a domain waits that has none asked, and no place is free, one falls free soon: of those that
/// are asked for the shortest turn and longer, the one that is asked for longest waits once more,
/// behind all that were not asked yet. So a name that is answered soon finds its turn soon, whatever
/// many others do. Only so many make room in a time, and a quarter of the places takes no part in
/// it: for slow answers, and for the next name server where the first is silent.
#[derive(Debug)]
pub(super) struct Turns {
    max_asked: usize,
    shortest: Duration,
    /// Not before then does the next make room.
    next_pause: Option<Instant>,
    /// Since when each is asked, less the time that it waited in between.
    asked: BTreeSet<(Instant, LookupId)>,
    waiting: usize,
    /// How many domains are newcomers.
    newcomers: usize,
    domains: BTreeMap<DomainName, Lookups>,
}

/// The open lookups of one domain.
#[derive(Debug, Default)]
struct Lookups {
    asked: usize,
    new: BTreeSet<LookupId>,
    /// Those that made room, and for how long they were asked.
    paused: BTreeMap<LookupId, Duration>,
}

impl Lookups {
    fn waiting(&self) -> usize {
        self.new.len().saturating_add(self.paused.len())
    }

    fn open(&self) -> usize {
        self.asked.saturating_add(self.waiting())
    }

    /// Whether none is asked, and one was not yet.
    fn is_newcomer(&self) -> bool {
        self.asked == 0 && !self.new.is_empty()
    }

    /// Which is asked next, and whether it was asked before.
    fn next(&self) -> Option<(bool, LookupId)> {
        let new = self.new.last().map(|id| (false, *id));
        new.or_else(|| Some((true, *self.paused.keys().next_back()?)))
    }

    /// Which is given up for others: the oldest that waits, of those first that were asked before.
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

    /// How many are asked.
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Since when the lookup is asked that is asked for longest, if others wait.
    pub(super) fn held_up_since(&self) -> Option<(Instant, LookupId)> {
        self.asked.first().filter(|_| self.waiting > 0).copied()
    }

    /// When a lookup is to wait once more, and which, if a newcomer needs the place.
    pub(super) fn next_pause(&self) -> Option<(Instant, LookupId)> {
        if self.newcomers == 0 || self.asked.len() < self.max_asked {
            return None;
        }
        let kept = self.max_asked.div_ceil(4);
        let (since, id) = *self.asked.iter().nth(kept)?;
        let at = self.next_pause.max(Some(since + self.shortest))?;
        Some((at, id))
    }

    /// Takes note that a lookup made room as it was to do at that time.
    pub(super) fn paused(&mut self, at: Instant) {
        self.next_pause = Some(at + self.shortest / PAUSES);
    }

    /// Has a lookup wait for its turn, which was asked for so long before.
    pub(super) fn wait(&mut self, id: LookupId, domain: &DomainName, before: Duration) {
        self.change(domain, |lookups| match before.is_zero() {
            true => drop(lookups.new.insert(id)),
            false => drop(lookups.paused.insert(id, before)),
        });
    }

    /// The lookup to ask next, if there is one that may be asked; it counts as asked from now on,
    /// and since then.
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

    /// Who makes room for one more lookup of this domain: the oldest that waits of the domain that
    /// has most. Those that have no more than `few` are equal, so that the lookups of one plan come
    /// in together; the domain that has most does not push out others.
    pub(super) fn who_makes_room(&self, newcomer: &DomainName, few: usize) -> Option<LookupId> {
        let own = self.domains.get(newcomer).map_or(0, Lookups::open);
        let rank = |open: usize| open.max(few);
        let full = |(name, domain): (&DomainName, &Lookups)| {
            let open = domain.open().saturating_add(usize::from(name == newcomer));
            let oldest = domain.oldest()?;
            let paused = !domain.paused.is_empty();
            let may = rank(open) >= rank(own.saturating_add(1));
            may.then_some((rank(open), paused, Reverse(oldest)))
        };
        let (.., Reverse(oldest)) = self.domains.iter().filter_map(full).max()?;
        Some(oldest)
    }

    /// Forgets a lookup, which waited, or was asked since then.
    pub(super) fn end(&mut self, id: LookupId, domain: &DomainName, asked: Option<Instant>) {
        let was_asked = asked.is_some_and(|since| self.asked.remove(&(since, id)));
        self.change(domain, |lookups| {
            lookups.asked = lookups.asked.saturating_sub(usize::from(was_asked));
            lookups.new.remove(&id);
            lookups.paused.remove(&id);
        });
    }

    /// Changes what a domain has, and counts anew.
    fn change(&mut self, domain: &DomainName, change: impl FnOnce(&mut Lookups)) {
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
