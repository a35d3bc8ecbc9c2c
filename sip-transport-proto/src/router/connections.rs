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

/// What the router knows of a connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionRecord {
    pub(crate) channel: ChannelId,
    pub(crate) protocol: Protocol,
    pub(crate) remote: SocketAddr,
    /// Our end, once it is connected.
    pub(crate) local: Option<SocketAddr>,
    /// The address that it is opened from, where one was chosen.
    pub(crate) from: Option<IpAddr>,
    pub(crate) accepted: bool,
    /// Closing: nothing new goes over it.
    pub(crate) state: ConnectionState,
    pub(crate) since: Instant,
    /// When it was last active, as far as that is known.
    pub(crate) active: Instant,
    /// What the peer had to prove to be for the connection to open.
    pub(crate) name: Option<TlsName>,
    /// Under what it was opened, or would be to the peer that opened it.
    pub(crate) tls: TlsChoice,
    /// Whom it has proved to be.
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) standing: Standing,
    /// Whose share it counts towards, if anybody's.
    pub(crate) party: Option<Party>,
    /// Since when bytes have waited for the peer to take them, if it is behind.
    behind: Option<Instant>,
    /// The address that requests go to over it too (RFC 5923 §8.2).
    alias: Option<SocketAddr>,
}

/// The index of connections (RFC 3261 §18: by address, port and protocol of the far end) and of
/// what their limits need. Every call is a few tree look-ups.
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
    /// A connection that is being opened, or was accepted at that address of ours.
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

    /// Nothing new goes over it.
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
    /// Who holds those that are not being closed.
    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The connection whose peer has been behind with the bytes for it for longest.
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

    /// It is to be opened from this address.
    pub(crate) fn opens(&mut self, id: ConnectionId, from: Option<IpAddr>) {
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

    /// Its far end is another than was thought, and it counts towards the share of that one.
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

    /// Changes what decides when it makes room. Nothing does of one that is being closed.
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

    /// It carries a message.
    pub(crate) fn active(&mut self, now: Instant, id: ConnectionId) {
        self.change(id, |record| record.active = now);
    }

    /// It carries keep-alives. They say nothing of a peer that anybody may be.
    pub(crate) fn alive(&mut self, now: Instant, id: ConnectionId) {
        let record = self.records.get(&id);
        if record.is_some_and(|r| !r.accepted || r.standing == Standing::Trusted) {
            self.active(now, id);
        }
    }

    /// Bytes have waited since then for its peer to take them, or none do.
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

    /// A valid message came over it.
    pub(crate) fn heard(&mut self, id: ConnectionId) {
        self.change(id, |record| {
            if record.standing == Standing::Silent {
                record.standing = Standing::Heard;
            }
        });
    }

    /// The application trusts its peer. False if there is none, or it is being closed.
    pub(crate) fn trust(&mut self, id: ConnectionId) -> bool {
        let mut known = false;
        self.change(id, |record| {
            known = !record.is_closing();
            record.standing = Standing::Trusted;
        });
        known
    }

    /// Nothing new goes over it from now on, and another may take its place. Says whether that is
    /// news.
    pub(crate) fn close(&mut self, id: ConnectionId) -> bool {
        self.behind(id, None);
        let mut news = false;
        self.change(id, |record| {
            news = !record.is_closing();
            record.state = ConnectionState::Closing;
        });
        news
    }

    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<ConnectionRecord> {
        self.close(id);
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

    /// The newest usable connection to `remote`, on `channel` if given. Over TLS it has to be one
    /// to the peer of that name and under that configuration, as far as they are given.
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
                && (!protocol.is_secure() || tls.is_none_or(|tls| record.tls.is(tls)));
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &ConnectionRecord)> {
        self.records.iter().map(|(&id, record)| (id, record))
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

impl ConnectionRecord {
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
