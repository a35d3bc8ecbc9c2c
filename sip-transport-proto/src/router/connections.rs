//! The index of connections.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::shares::{Member, Shares, Standing};
use crate::config::party::Party;
use crate::connection::info::ConnectionState;
use crate::endpoint::normalise;
use crate::ids::{ChannelId, ConnectionId, TransportId};
use crate::protocol::Protocol;
use crate::tls::{Identity, TlsChoice, TlsName};

/// An entry in the index of connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionRecord {
    pub(crate) channel: ChannelId,
    pub(crate) protocol: Protocol,
    pub(crate) remote: SocketAddr,
    /// Our address, once it is open.
    pub(crate) local: Option<SocketAddr>,
    /// The local address it is opened from, if one was chosen.
    pub(crate) from: Option<IpAddr>,
    pub(crate) accepted: bool,
    /// While closing, nothing new is routed over it.
    pub(crate) state: ConnectionState,
    pub(crate) since: Instant,
    /// The time it was last active, as far as known.
    pub(crate) active: Instant,
    /// The name that the peer had to authenticate as.
    pub(crate) name: Option<TlsName>,
    /// The TLS configuration it was opened under, or would be, to the peer that opened it.
    pub(crate) tls: TlsChoice,
    /// The identity that the peer has proved.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) standing: Standing,
    /// The party whose share it counts towards, if any.
    pub(crate) party: Option<Party>,
    /// The time since which bytes have waited for the peer to read them, if it is behind.
    behind: Option<Instant>,
    /// The alias address, requests to which also use the connection (RFC 5923 §8.2).
    alias: Option<SocketAddr>,
}

/// The index of connections (RFC 3261 §18: by remote address, port and protocol) and of what their
/// limits need. Every call is a few tree lookups.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    records: BTreeMap<ConnectionId, ConnectionRecord>,
    by_remote: BTreeMap<(Protocol, SocketAddr), SmallVec<[ConnectionId; 2]>>,
    by_alias: BTreeMap<SocketAddr, SmallVec<[ConnectionId; 2]>>,
    shares: Shares,
    by_behind: BTreeSet<(Instant, ConnectionId)>,
    next: u64,
}

impl ConnectionRecord {
    /// A connection that is being opened, or was accepted at `accepted_at`.
    pub(crate) fn new(
        now: Instant,
        channel: ChannelId,
        (protocol, remote): (Protocol, SocketAddr),
        accepted_at: Option<SocketAddr>,
    ) -> Self {
        Self {
            channel,
            protocol,
            remote: normalise(remote),
            local: accepted_at,
            from: None,
            accepted: accepted_at.is_some(),
            state: ConnectionState::Opening,
            since: now,
            active: now,
            name: None,
            tls: TlsChoice::default(),
            identity: None,
            standing: match accepted_at {
                Some(_) => Standing::Silent,
                None => Standing::Heard,
            },
            party: None,
            behind: None,
            alias: None,
        }
    }

    /// Returns true if nothing new may be routed over it.
    pub(crate) fn is_closing(&self) -> bool {
        self.state == ConnectionState::Closing
    }

    fn member(&self, id: ConnectionId) -> Member {
        Member {
            id,
            party: self.party,
            standing: self.standing,
            active: self.active,
        }
    }
}

impl Connections {
    /// The shares of the parties in the connections that are not being closed.
    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The connection whose peer has been behind for longest.
    pub(crate) fn longest_behind(&self) -> Option<ConnectionId> {
        self.by_behind.first().map(|&(_, id)| id)
    }

    pub(crate) fn add(&mut self, transport: TransportId, record: ConnectionRecord) -> ConnectionId {
        let id = ConnectionId {
            transport,
            serial: self.next,
        };
        self.next = self.next.wrapping_add(1);
        let key = (record.protocol, record.remote);
        self.by_remote.entry(key).or_default().push(id);
        self.shares.enter(record.member(id));
        self.records.insert(id, record);
        id
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&ConnectionRecord> {
        self.records.get(&id)
    }

    /// Marks it as being opened from this address.
    pub(crate) fn set_source(&mut self, id: ConnectionId, from: Option<IpAddr>) {
        if let Some(record) = self.records.get_mut(&id) {
            record.from = from;
        }
    }

    pub(crate) fn opened(
        &mut self,
        id: ConnectionId,
        local: SocketAddr,
        identity: Option<Arc<Identity>>,
    ) {
        if let Some(record) = self.records.get_mut(&id) {
            if !record.is_closing() {
                record.state = ConnectionState::Open;
            }
            record.local = Some(local);
            record.identity = identity;
        }
    }

    /// Replaces the remote address by the one in the PROXY header, and charges that address's
    /// share.
    pub(crate) fn announced(&mut self, id: ConnectionId, remote: SocketAddr, party: Option<Party>) {
        let Some(record) = self.records.get(&id) else {
            return;
        };
        let (protocol, before) = (record.protocol, record.remote);
        leave(&mut self.by_remote, &(protocol, before), id);
        self.by_remote
            .entry((protocol, remote))
            .or_default()
            .push(id);
        self.change(id, |record| {
            record.remote = remote;
            record.party = party;
        });
    }

    /// Changes what its order of eviction depends on. Does nothing to one that is being closed.
    fn change(&mut self, id: ConnectionId, change: impl FnOnce(&mut ConnectionRecord)) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        if record.is_closing() {
            return change(record);
        }
        self.shares.leave(record.member(id));
        change(record);
        if !record.is_closing() {
            self.shares.enter(record.member(id));
        }
    }

    /// Records that it carries a message.
    pub(crate) fn active(&mut self, now: Instant, id: ConnectionId) {
        self.change(id, |record| record.active = now);
    }

    /// Records that it carries keep-alives. These count only for a trusted peer, or where we opened
    /// it.
    pub(crate) fn alive(&mut self, now: Instant, id: ConnectionId) {
        let record = self.records.get(&id);
        if record.is_some_and(|r| !r.accepted || r.standing == Standing::Trusted) {
            self.active(now, id);
        }
    }

    /// Records since when bytes have waited for its peer to read them, if they have.
    pub(crate) fn behind(&mut self, id: ConnectionId, since: Option<Instant>) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        let since = since.filter(|_| !record.is_closing());
        if let Some(before) = record.behind {
            self.by_behind.remove(&(before, id));
        }
        record.behind = since;
        self.by_behind.extend(since.map(|since| (since, id)));
    }

    /// Records that a valid message was received over it.
    pub(crate) fn heard(&mut self, id: ConnectionId) {
        self.change(id, |record| {
            if record.standing == Standing::Silent {
                record.standing = Standing::Heard;
            }
        });
    }

    /// Marks its peer as trusted. Returns false if there is none, or it is being closed.
    pub(crate) fn trust(&mut self, id: ConnectionId) -> bool {
        let mut known = false;
        self.change(id, |record| {
            known = !record.is_closing();
            record.standing = Standing::Trusted;
        });
        known
    }

    /// Marks it as closing: nothing new is routed over it, and another may take its place. Returns
    /// true on change.
    pub(crate) fn mark_closing(&mut self, id: ConnectionId) -> bool {
        self.behind(id, None);
        let mut changed = false;
        self.change(id, |record| {
            changed = !record.is_closing();
            record.state = ConnectionState::Closing;
        });
        changed
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<ConnectionRecord> {
        self.mark_closing(id);
        let record = self.records.remove(&id)?;
        leave(&mut self.by_remote, &(record.protocol, record.remote), id);
        if let Some(alias) = record.alias {
            leave(&mut self.by_alias, &alias, id);
        }
        Some(record)
    }

    /// Routes requests for this port of the peer's address over the connection too. Returns true on
    /// change.
    pub(crate) fn alias(&mut self, id: ConnectionId, port: u16) -> bool {
        let Some(record) = self.records.get_mut(&id) else {
            return false;
        };
        let alias = SocketAddr::new(record.remote.ip(), port);
        let before = record.alias.replace(alias);
        if before == Some(alias) {
            return false;
        }
        if let Some(before) = before {
            leave(&mut self.by_alias, &before, id);
        }
        self.by_alias.entry(alias).or_default().push(id);
        true
    }

    /// The newest usable connection to `remote`, on `channel` if given. Over TLS it must be to the
    /// peer of that name and under that configuration, as far as they are given.
    pub(crate) fn find(
        &self,
        protocol: Protocol,
        remote: SocketAddr,
        channel: Option<ChannelId>,
        name: Option<&TlsName>,
        tls: Option<&TlsChoice>,
    ) -> Option<(ConnectionId, &ConnectionRecord)> {
        let remote = normalise(remote);
        let usable = |id: &ConnectionId| {
            let record = self.records.get(id)?;
            let fits = !record.is_closing()
                && channel.is_none_or(|c| c == record.channel)
                && (!protocol.is_secure() || tls.is_none_or(|tls| record.tls.same_as(tls)));
            fits.then_some((*id, record))
        };
        let direct = self.by_remote.get(&(protocol, remote));
        let mut direct = direct.into_iter().flatten().rev().filter_map(usable);
        let proves = |record: &ConnectionRecord| {
            !protocol.is_secure() || name.is_none_or(|name| record.is_to(name))
        };
        if let Some(found) = direct.find(|(_, record)| proves(record)) {
            return Some(found);
        }
        // An alias is valid only for a name that the peer has proved (RFC 5923 §8.1).
        let name = name.filter(|_| protocol == Protocol::Tls)?;
        let aliases = self.by_alias.get(&remote)?;
        let mut aliases = aliases.iter().rev().filter_map(usable);
        aliases.find(|(_, record)| record.is_to(name))
    }

    pub(crate) fn of_channel(&self, channel: ChannelId) -> impl Iterator<Item = ConnectionId> {
        self.records
            .iter()
            .filter(move |(_, r)| r.channel == channel)
            .map(|(&id, _)| id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &ConnectionRecord)> {
        self.records.iter().map(|(&id, record)| (id, record))
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

impl ConnectionRecord {
    /// Returns true if the peer has proved, or must prove before anything is sent, to be `name`
    /// (RFC 5923 §9.3: the address alone proves nothing).
    fn is_to(&self, name: &TlsName) -> bool {
        self.name.as_ref() == Some(name)
            || self
                .identity
                .as_ref()
                .is_some_and(|identity| identity.covers(name))
    }
}

fn leave<K: Ord>(index: &mut BTreeMap<K, SmallVec<[ConnectionId; 2]>>, key: &K, id: ConnectionId) {
    if let Some(ids) = index.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
