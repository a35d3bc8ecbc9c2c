use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::endpoint::normalise;
use crate::ids::TransportId;
use crate::tls::{Identity, TlsChoice, TlsName};
use crate::{ChannelId, Config, ConnectionId, Protocol};

/// What the router knows of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) channel: ChannelId,
    pub(crate) protocol: Protocol,
    pub(crate) remote: SocketAddr,
    /// Our end, once it is connected.
    pub(crate) local: Option<SocketAddr>,
    /// The address that it is opened from, where one was chosen.
    pub(crate) from: Option<IpAddr>,
    pub(crate) accepted: bool,
    /// What the peer had to prove to be for the connection to open.
    pub(crate) name: Option<TlsName>,
    /// What the send that it was opened for asked for.
    tls: TlsChoice,
    /// Whom it has proved to be.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Accepted and without a valid message: it counts against the limits for those.
    unproven: bool,
    /// The address that requests go to over it too (RFC 5923 §8.2).
    alias: Option<SocketAddr>,
    /// It is being closed: nothing new goes over it.
    pub(crate) closing: bool,
}

/// The index of connections (RFC 3261 §18: by address, port and protocol of the far end) and the
/// counts that their limits need. Every call is a few tree look-ups.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    records: BTreeMap<ConnectionId, Record>,
    by_remote: BTreeMap<(Protocol, SocketAddr), SmallVec<[ConnectionId; 2]>>,
    by_alias: BTreeMap<SocketAddr, SmallVec<[ConnectionId; 2]>>,
    /// Accepted, no valid message yet; the lowest id is the oldest.
    unproven: BTreeSet<ConnectionId>,
    unproven_per_ip: BTreeMap<IpAddr, usize>,
    next: u64,
}

/// What has to happen before a connection may be added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    /// Nothing.
    Free,
    /// This one has to be closed.
    Evict(ConnectionId),
    /// It may not be added: too many from its address.
    AddressFull,
    /// It may not be added: too many in all.
    Full,
}

impl Connections {
    /// Whether there is room for one more, accepted from `from` or, without it, opened by us.
    ///
    /// The oldest accepted connection without a valid message makes room for a newcomer.
    pub(crate) fn room(&self, config: &Config, from: Option<IpAddr>) -> Room {
        if let Some(ip) = from {
            let count = self.unproven_per_ip.get(&group(ip)).copied().unwrap_or(0);
            if count >= config.max_unproven_per_ip {
                return Room::AddressFull;
            }
        }
        let crowded = from.is_some() && self.unproven.len() >= config.max_unproven;
        if crowded || self.records.len() >= config.max_connections {
            return self
                .unproven
                .first()
                .map_or(Room::Full, |&oldest| Room::Evict(oldest));
        }
        Room::Free
    }

    pub(crate) fn add(
        &mut self,
        transport: TransportId,
        channel: ChannelId,
        protocol: Protocol,
        remote: SocketAddr,
        accepted_at: Option<SocketAddr>,
        name: Option<TlsName>,
    ) -> ConnectionId {
        let id = ConnectionId {
            transport,
            serial: self.next,
        };
        self.next = self.next.wrapping_add(1);
        let remote = normalise(remote);
        let accepted = accepted_at.is_some();
        self.records.insert(
            id,
            Record {
                channel,
                protocol,
                remote,
                local: accepted_at,
                from: None,
                accepted,
                name,
                tls: TlsChoice::default(),
                identity: None,
                unproven: accepted,
                alias: None,
                closing: false,
            },
        );
        self.by_remote
            .entry((protocol, remote))
            .or_default()
            .push(id);
        if accepted {
            self.unproven.insert(id);
            let count = self.unproven_per_ip.entry(group(remote.ip())).or_default();
            *count = count.saturating_add(1);
        }
        id
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Record> {
        self.records.get(&id)
    }

    /// It is to be opened from this address, under this TLS configuration.
    pub(crate) fn opens(&mut self, id: ConnectionId, from: Option<IpAddr>, tls: TlsChoice) {
        if let Some(record) = self.records.get_mut(&id) {
            record.from = from;
            record.tls = tls;
        }
    }

    pub(crate) fn opened(
        &mut self,
        id: ConnectionId,
        local: SocketAddr,
        identity: Option<Arc<Identity>>,
    ) {
        if let Some(record) = self.records.get_mut(&id) {
            record.local = Some(local);
            record.identity = identity;
        }
    }

    /// A valid message came over it.
    pub(crate) fn proven(&mut self, id: ConnectionId) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        if core::mem::replace(&mut record.unproven, false) {
            let ip = record.remote.ip();
            self.forget_unproven(id, ip);
        }
    }

    /// Nothing new goes over it from now on, and another may take its place. Says whether that is
    /// news.
    pub(crate) fn close(&mut self, id: ConnectionId) -> bool {
        self.proven(id);
        self.records
            .get_mut(&id)
            .is_some_and(|r| !core::mem::replace(&mut r.closing, true))
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Record> {
        self.proven(id);
        let record = self.records.remove(&id)?;
        leave(&mut self.by_remote, &(record.protocol, record.remote), id);
        if let Some(alias) = record.alias {
            leave(&mut self.by_alias, &alias, id);
        }
        Some(record)
    }

    /// Requests for this port of the peer's address go over the connection too. Says whether that
    /// is news.
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

    fn forget_unproven(&mut self, id: ConnectionId, ip: IpAddr) {
        self.unproven.remove(&id);
        let key = group(ip);
        if let Some(count) = self.unproven_per_ip.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.unproven_per_ip.remove(&key);
            }
        }
    }

    /// The newest usable connection to `remote`, on `channel` if given. Over TLS it has to be one
    /// to the peer of that name, if given, and under the configuration that was asked for.
    pub(crate) fn find(
        &self,
        protocol: Protocol,
        remote: SocketAddr,
        channel: Option<ChannelId>,
        name: Option<&TlsName>,
        tls: &TlsChoice,
    ) -> Option<(ConnectionId, &Record)> {
        let remote = normalise(remote);
        let usable = |id: &ConnectionId| {
            let record = self.records.get(id)?;
            let fits = !record.closing
                && channel.is_none_or(|c| c == record.channel)
                && (!protocol.is_secure() || record.tls.is(tls));
            fits.then_some((*id, record))
        };
        let direct = self.by_remote.get(&(protocol, remote));
        let mut direct = direct.into_iter().flatten().rev().filter_map(usable);
        let proves =
            |record: &Record| !protocol.is_secure() || name.is_none_or(|name| record.is_to(name));
        if let Some(found) = direct.find(|(_, record)| proves(record)) {
            return Some(found);
        }
        // An alias counts only for a name that the peer has proved (RFC 5923 §8.1).
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Record)> {
        self.records.iter().map(|(&id, record)| (id, record))
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

impl Record {
    /// Whether the peer has proved, or must prove before anything is sent, to be `name`
    /// (RFC 5923 §9.3: the address alone says nothing).
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

/// What one party may hold: an IPv4 address, or an IPv6 /64.
fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}
