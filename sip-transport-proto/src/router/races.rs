//! Connections to several addresses of one server that race (RFC 8305 §5).
//!
//! Each attempt is a connection of its own, with its own channel, deadline and place among the
//! limits. The message waits in the first. The others carry nothing unless one of them connects
//! first: then the first returns the message, which is routed over the winner.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use smallvec::SmallVec;

use super::dispatch::{ConnectNeeds, Obstacle};
use super::{Router, RouterOutput};
use crate::error::CloseReason;
use crate::ids::ConnectionId;
use crate::resolve::Target;

/// The id of a race.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct RaceId(u64);

#[derive(Debug)]
struct Race {
    /// The attempts in progress.
    racers: SmallVec<[ConnectionId; 2]>,
    /// The addresses not tried yet, best first.
    rest: VecDeque<Target>,
    needs: ConnectNeeds,
    /// The time at which the next is tried, unless its local address has to be found first.
    due: Option<Instant>,
}

/// The races in progress.
#[derive(Debug, Default)]
pub(crate) struct Races {
    races: BTreeMap<RaceId, Race>,
    by_racer: BTreeMap<ConnectionId, RaceId>,
    timers: BTreeSet<(Instant, RaceId)>,
    next: u64,
}

impl Races {
    /// The time at which the next address is tried.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The number of races.
    pub(super) fn len(&self) -> usize {
        self.races.len()
    }

    fn begin(&mut self, rest: VecDeque<Target>, needs: ConnectNeeds) -> RaceId {
        self.next = self.next.wrapping_add(1);
        let id = RaceId(self.next);
        let race = Race {
            racers: SmallVec::new(),
            rest,
            needs,
            due: None,
        };
        self.races.insert(id, race);
        id
    }

    fn enter(&mut self, id: RaceId, racer: ConnectionId) {
        if let Some(race) = self.races.get_mut(&id) {
            race.racers.push(racer);
            self.by_racer.insert(racer, id);
        }
    }

    /// Sets the time at which the next address is tried, if there is one.
    fn set_due(&mut self, id: RaceId, due: Option<Instant>) {
        let Some(race) = self.races.get_mut(&id) else {
            return;
        };
        let due = due.filter(|_| !race.rest.is_empty());
        let before = core::mem::replace(&mut race.due, due);
        if let Some(before) = before {
            self.timers.remove(&(before, id));
        }
        if let Some(due) = due {
            self.timers.insert((due, id));
        }
    }

    fn pop_due(&mut self, now: Instant) -> Option<RaceId> {
        let (_, id) = self.timers.first().filter(|(at, _)| *at <= now)?;
        let id = *id;
        self.set_due(id, None);
        Some(id)
    }

    /// The next address to try, and what its connection has to meet.
    fn next(&mut self, id: RaceId) -> Option<(Target, ConnectNeeds)> {
        let race = self.races.get_mut(&id)?;
        let target = race.rest.pop_front()?;
        Some((target, race.needs.clone()))
    }

    /// Puts back an address that has to wait.
    fn put_back(&mut self, id: RaceId, target: Target) {
        if let Some(race) = self.races.get_mut(&id) {
            race.rest.push_front(target);
        }
    }

    /// Removes one from its race, which ends with its last. Returns the race if it goes on.
    fn leave(&mut self, racer: ConnectionId) -> Option<RaceId> {
        let id = self.by_racer.remove(&racer)?;
        let race = self.races.get_mut(&id)?;
        race.racers.retain(|other| *other != racer);
        if race.racers.is_empty() {
            self.end(id);
            return None;
        }
        Some(id)
    }

    /// Ends the race that one has won. Returns the others.
    fn won(&mut self, winner: ConnectionId) -> SmallVec<[ConnectionId; 2]> {
        let id = self.by_racer.get(&winner).copied();
        let mut others = id.map(|id| self.end(id)).unwrap_or_default();
        others.retain(|other| *other != winner);
        others
    }

    fn end(&mut self, id: RaceId) -> SmallVec<[ConnectionId; 2]> {
        self.set_due(id, None);
        let race = self.races.remove(&id);
        let racers = race.map(|race| race.racers).unwrap_or_default();
        for racer in &racers {
            self.by_racer.remove(racer);
        }
        racers
    }

    /// Ends all races.
    pub(super) fn clear(&mut self) {
        *self = Self {
            next: self.next,
            ..Self::default()
        };
    }
}

impl Router {
    /// Starts a race between a server's other addresses and the first, to which a connection is
    /// being opened.
    pub(super) fn begin_race(
        &mut self,
        now: Instant,
        first: ConnectionId,
        others: VecDeque<Target>,
        needs: ConnectNeeds,
    ) {
        if others.is_empty() {
            return;
        }
        let race = self.races.begin(others, needs);
        self.races.enter(race, first);
        self.races.set_due(race, Some(now + self.attempt_delay()));
    }

    /// Tries the addresses that are due.
    pub(super) fn run_races(&mut self, now: Instant) {
        while let Some(race) = self.races.pop_due(now) {
            self.next_racer(now, race);
        }
    }

    /// Tries the next address. An address that cannot be opened is skipped; if the others fail too,
    /// the send reaches it as an ordinary target and reports the error.
    pub(super) fn next_racer(&mut self, now: Instant, race: RaceId) {
        // A speculative attempt must not evict another connection.
        while self.connections.len() < self.context.config.max_connections
            && let Some((target, needs)) = self.races.next(race)
        {
            if self.is_open_to(now, &target, &needs) {
                // Another send has opened a connection: those waiting use it (RFC 3261 §18).
                let racers = self.races.end(race);
                return self.overtake(racers);
            }
            match self.open(now, &target, &needs, true) {
                Ok(racer) => {
                    self.races.enter(race, racer);
                    let due = now + self.attempt_delay();
                    return self.races.set_due(race, Some(due));
                }
                Err(Obstacle::NeedsLocal(remote)) => {
                    self.races.put_back(race, target);
                    let query = self.queries.find_local_for_race(now, remote, race);
                    let ask = query.map(|query| RouterOutput::LocalAddress { query, remote });
                    return self.outputs.extend(ask);
                }
                Err(_) => {}
            }
        }
    }

    /// Skips the next address of a race, as there is no local address for it.
    pub(super) fn skip_racer(&mut self, now: Instant, race: RaceId) {
        if self.races.next(race).is_some() {
            self.next_racer(now, race);
        }
    }

    /// Handles the end of a connection. If it raced, the next address is tried at once.
    pub(super) fn racer_gone(&mut self, now: Instant, racer: ConnectionId) {
        if let Some(race) = self.races.leave(racer) {
            self.races.set_due(race, None);
            self.next_racer(now, race);
        }
    }

    /// Handles a connection that is established: if it raced, and is not being closed already, it
    /// has won.
    pub(super) fn race_won(&mut self, winner: ConnectionId) {
        let record = self.connections.get(winner);
        if record.is_some_and(|record| !record.is_closing()) {
            let losers = self.races.won(winner);
            self.overtake(losers);
        }
    }

    fn overtake(&mut self, losers: impl IntoIterator<Item = ConnectionId>) {
        for loser in losers {
            self.close_with(loser, CloseReason::Overtaken);
        }
    }

    fn attempt_delay(&self) -> Duration {
        self.context.config.attempt_delay
    }
}
