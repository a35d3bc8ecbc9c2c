//! The connections of each party, and the order in which they make room for others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::config::party::Party;
use crate::ids::{ConnectionId, TransportId};

/// The standing of a connection's peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// Accepted, and no valid message received.
    Silent,
    /// A valid message was received, or we opened it.
    Heard,
    /// Trusted by the application.
    Trusted,
}

/// The facts about a connection that decide when it makes room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) id: ConnectionId,
    /// `None` counts as a party of its own.
    pub(crate) party: Option<Party>,
    pub(crate) standing: Standing,
    /// The time it was last active.
    pub(crate) active: Instant,
}

/// A place in the order in which connections make room: first the silent ones, the oldest first,
/// then the one that has been idle for longest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    /// The time it was last active; `None` if it is silent.
    active: Option<Instant>,
    id: ConnectionId,
}

impl Rank {
    const FIRST: Self = Self {
        active: None,
        id: ConnectionId {
            transport: TransportId(0),
            serial: 0,
        },
    };
}

/// A connection that may make room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: ConnectionId,
    /// The time it was last active; `None` if it is silent.
    pub(crate) active: Option<Instant>,
    /// Its party holds more than the newcomer's, and it is not trusted.
    pub(crate) holds_more: bool,
}

/// The connections that are not being closed, by party. Every call is a few tree lookups.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// All that are not trusted.
    order: BTreeSet<Rank>,
    /// Those of them that belong to a party.
    members: BTreeSet<(Party, Rank)>,
    held: BTreeMap<Party, Holding>,
    /// The parties that hold more than one, by number.
    by_total: BTreeSet<(u32, Party)>,
    /// The same for silent ones alone.
    by_silent: BTreeSet<(u32, Party)>,
    silent: usize,
    trusted: BTreeSet<(Instant, ConnectionId)>,
}

/// The number of connections that a party holds, excluding trusted ones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Holding {
    total: u32,
    silent: u32,
}

impl Shares {
    pub(crate) fn enter(&mut self, member: Member) {
        if member.standing == Standing::Trusted {
            self.trusted.insert((member.active, member.id));
            return;
        }
        let (rank, silent) = ranked(member);
        self.order.insert(rank);
        self.silent = self.silent.saturating_add(silent as usize);
        if let Some(party) = member.party {
            self.members.insert((party, rank));
            self.count(party, |held| Holding {
                total: held.total.saturating_add(1),
                silent: held.silent.saturating_add(silent),
            });
        }
    }

    pub(crate) fn leave(&mut self, member: Member) {
        if member.standing == Standing::Trusted {
            self.trusted.remove(&(member.active, member.id));
            return;
        }
        let (rank, silent) = ranked(member);
        self.order.remove(&rank);
        self.silent = self.silent.saturating_sub(silent as usize);
        if let Some(party) = member.party {
            self.members.remove(&(party, rank));
            self.count(party, |held| Holding {
                total: held.total.saturating_sub(1),
                silent: held.silent.saturating_sub(silent),
            });
        }
    }

    fn count(&mut self, party: Party, change: impl FnOnce(Holding) -> Holding) {
        let before = self.held.get(&party).copied().unwrap_or_default();
        let after = change(before);
        if after.total == 0 {
            self.held.remove(&party);
        } else {
            self.held.insert(party, after);
        }
        move_to(&mut self.by_total, party, before.total, after.total);
        move_to(&mut self.by_silent, party, before.silent, after.silent);
    }

    /// The number of silent connections.
    pub(crate) fn silent(&self) -> usize {
        self.silent
    }

    pub(crate) fn trusted(&self) -> usize {
        self.trusted.len()
    }

    /// The number of connections that a party holds, excluding trusted ones.
    pub(crate) fn held_by(&self, party: Party) -> usize {
        self.held(Some(party)).total as usize
    }

    /// The connection that makes room for another of the same party.
    pub(crate) fn first_of(&self, party: Party) -> Option<Candidate> {
        let (owner, rank) = self.members.range((party, Rank::FIRST)..).next()?;
        (*owner == party).then(|| rank.candidate(false))
    }

    /// The silent connection that makes room for another: the oldest of the party that has most of
    /// them, the newcomer counted.
    pub(crate) fn first_silent(&self, newcomer: Option<Party>) -> Option<ConnectionId> {
        let own = self.held(newcomer).silent;
        let found = match largest(&self.by_silent, newcomer, own) {
            Some((_, party)) => self.first_of(party)?,
            None => self.order.first()?.candidate(false),
        };
        found.active.is_none().then_some(found.id)
    }

    /// The connection that makes room for another: the first of the party that holds most, the
    /// newcomer counted. If no party holds more than one, the first of all; a trusted one only if
    /// there are no others. An accepted newcomer may replace even a connection in use, so that
    /// those that are there cannot keep others out for good; one that we open may not.
    pub(crate) fn first(&self, newcomer: Option<Party>, accepted: bool) -> Option<Candidate> {
        let own = self.held(newcomer).total;
        if let Some((total, party)) = largest(&self.by_total, newcomer, own) {
            let first = self.first_of(party)?;
            let holds_more = total > own;
            return Some(Candidate {
                holds_more,
                ..first
            });
        }
        if let Some(first) = self.order.first() {
            return Some(first.candidate(accepted));
        }
        let &(active, id) = self.trusted.first()?;
        let active = Some(active);
        Some(Rank { active, id }.candidate(false))
    }

    fn held(&self, party: Option<Party>) -> Holding {
        let held = party.and_then(|party| self.held.get(&party));
        held.copied().unwrap_or_default()
    }
}

impl Rank {
    fn candidate(self, holds_more: bool) -> Candidate {
        Candidate {
            id: self.id,
            active: self.active,
            holds_more,
        }
    }
}

/// The rank of a connection, and 1 if it is silent.
fn ranked(member: Member) -> (Rank, u32) {
    let silent = member.standing == Standing::Silent;
    let rank = Rank {
        active: (!silent).then_some(member.active),
        id: member.id,
    };
    (rank, u32::from(silent))
}

/// The party that holds most, and its number, if any holds more than one. It is the newcomer's if
/// none holds more than that one would then; among equals, the one with the highest address.
fn largest(by: &BTreeSet<(u32, Party)>, newcomer: Option<Party>, own: u32) -> Option<(u32, Party)> {
    let largest = by.last().copied();
    let newcomer = newcomer.filter(|_| own > 0);
    let with_newcomer = own.saturating_add(1);
    match newcomer {
        Some(party) if largest.is_none_or(|(count, _)| count <= with_newcomer) => {
            Some((own, party))
        }
        _ => largest,
    }
}

fn move_to(by: &mut BTreeSet<(u32, Party)>, party: Party, before: u32, after: u32) {
    if before == after {
        return;
    }
    if before > 1 {
        by.remove(&(before, party));
    }
    if after > 1 {
        by.insert((after, party));
    }
}
