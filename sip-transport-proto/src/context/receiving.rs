//! The bytes that connections have received and not passed on yet, against a limit for all of them.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::Config;
use crate::config::party::Party;
use crate::ids::ConnectionId;

/// The holder that a connection's bytes are charged to: its party, or, if its address is exempt,
/// the connection alone.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Holder {
    Party(Party),
    Connection(ConnectionId),
}

impl Holder {
    pub(crate) fn new(config: &Config, ip: IpAddr, connection: ConnectionId) -> Self {
        let party = config.party(ip);
        party.map_or(Self::Connection(connection), Self::Party)
    }
}

/// The bytes that one connection holds, and the time since which it has been receiving a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnfinishedMessage {
    pub(crate) holder: Holder,
    pub(crate) since: Instant,
    pub(crate) bytes: usize,
}

/// The bytes that all connections hold. Only connections that hold bytes between two reads are
/// entered, so a message that arrives in one piece costs nothing here.
#[derive(Debug, Default)]
pub(crate) struct Receiving(Mutex<Holdings>);

#[derive(Debug, Default)]
struct Holdings {
    total: usize,
    held: BTreeMap<ConnectionId, UnfinishedMessage>,
    shares: BTreeMap<Holder, Share>,
    by_bytes: BTreeSet<(usize, Holder)>,
}

/// The bytes of one holder.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// Its connections, the one that has been receiving for longest first.
    by_age: BTreeSet<(Instant, ConnectionId)>,
}

impl Receiving {
    /// Sets the bytes that a connection holds. Returns the connections to close so that the total
    /// is within `limit`: repeatedly, of the holder with the most bytes, the one that has been
    /// receiving for longest. So no holder loses a connection to one that holds more.
    pub(crate) fn set(
        &self,
        connection: ConnectionId,
        held: UnfinishedMessage,
        limit: usize,
    ) -> Vec<ConnectionId> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(connection);
        table.add(connection, held);
        let mut closing = Vec::new();
        while table.total > limit
            && let Some(first) = table.first()
        {
            table.remove(first);
            closing.push(first);
        }
        closing
    }

    /// Removes a connection, which holds nothing any more.
    pub(crate) fn remove(&self, connection: ConnectionId) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(connection);
    }
}

impl Holdings {
    fn add(&mut self, connection: ConnectionId, held: UnfinishedMessage) {
        self.total = self.total.saturating_add(held.bytes);
        self.held.insert(connection, held);
        self.change(held.holder, |share| {
            share.bytes = share.bytes.saturating_add(held.bytes);
            share.by_age.insert((held.since, connection));
        });
    }

    fn remove(&mut self, connection: ConnectionId) {
        let Some(held) = self.held.remove(&connection) else {
            return;
        };
        self.total = self.total.saturating_sub(held.bytes);
        self.change(held.holder, |share| {
            share.bytes = share.bytes.saturating_sub(held.bytes);
            share.by_age.remove(&(held.since, connection));
        });
    }

    fn change(&mut self, holder: Holder, change: impl FnOnce(&mut Share)) {
        let share = self.shares.entry(holder).or_default();
        self.by_bytes.remove(&(share.bytes, holder));
        change(share);
        if share.by_age.is_empty() {
            self.shares.remove(&holder);
        } else {
            self.by_bytes.insert((share.bytes, holder));
        }
    }

    /// The connection to close first.
    fn first(&self) -> Option<ConnectionId> {
        let (_, most) = self.by_bytes.last()?;
        let (_, first) = self.shares.get(most)?.by_age.first()?;
        Some(*first)
    }
}
