use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use crate::{ChannelId, Outgoing, QueryId};

/// How long to wait for the outside world to answer.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long the local address towards a peer is taken to stay the same.
const LOCAL_ADDRESS_LIFE: Duration = Duration::from_secs(2);
/// How many of those are remembered.
const LOCAL_ADDRESSES: usize = 1_024;

/// A send that waits for an answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) outgoing: Box<Outgoing>,
}

#[derive(Debug)]
struct Query<T> {
    about: T,
    deadline: Instant,
    waiting: Vec<Waiting>,
}

/// The open questions and the sends that wait for the answers; one question for all that ask the
/// same.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    lookups: BTreeMap<QueryId, Query<String>>,
    by_name: BTreeMap<String, QueryId>,
    locals: BTreeMap<QueryId, Query<IpAddr>>,
    by_ip: BTreeMap<IpAddr, QueryId>,
    binds: BTreeMap<ChannelId, Vec<Waiting>>,
    local_addresses: BTreeMap<IpAddr, (IpAddr, Instant)>,
    next: u64,
    waiting: usize,
}

impl Queries {
    /// Sends that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// Lets a send wait for the addresses of `name`. Gives the question if it is a new one.
    pub(crate) fn look_up(
        &mut self,
        now: Instant,
        name: String,
        outgoing: Box<Outgoing>,
    ) -> Option<(QueryId, String)> {
        self.waiting = self.waiting.saturating_add(1);
        let open = self.by_name.get(&name);
        if let Some(query) = open.and_then(|id| self.lookups.get_mut(id)) {
            query.waiting.push(Waiting { outgoing });
            return None;
        }
        let id = self.next_id();
        self.by_name.insert(name.clone(), id);
        let query = Query {
            about: name.clone(),
            deadline: now + PATIENCE,
            waiting: vec![Waiting { outgoing }],
        };
        self.lookups.insert(id, query);
        Some((id, name))
    }

    pub(crate) fn looked_up(&mut self, id: QueryId) -> Option<(String, Vec<Waiting>)> {
        let query = self.lookups.remove(&id)?;
        self.by_name.remove(&query.about);
        self.waiting = self.waiting.saturating_sub(query.waiting.len());
        Some((query.about, query.waiting))
    }

    /// The local address towards `remote`, if it was found lately.
    pub(crate) fn local_address(&self, now: Instant, remote: IpAddr) -> Option<IpAddr> {
        let (local, found) = self.local_addresses.get(&remote)?;
        (now.saturating_duration_since(*found) <= LOCAL_ADDRESS_LIFE).then_some(*local)
    }

    /// Lets a send wait for the local address towards `remote`. Gives the question if it is new.
    pub(crate) fn find_local(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        outgoing: Box<Outgoing>,
    ) -> Option<QueryId> {
        self.waiting = self.waiting.saturating_add(1);
        let ip = remote.ip();
        let open = self.by_ip.get(&ip);
        if let Some(query) = open.and_then(|id| self.locals.get_mut(id)) {
            query.waiting.push(Waiting { outgoing });
            return None;
        }
        let id = self.next_id();
        self.by_ip.insert(ip, id);
        let query = Query {
            about: ip,
            deadline: now + PATIENCE,
            waiting: vec![Waiting { outgoing }],
        };
        self.locals.insert(id, query);
        Some(id)
    }

    pub(crate) fn local_found(
        &mut self,
        now: Instant,
        id: QueryId,
        local: Option<IpAddr>,
    ) -> Vec<Waiting> {
        let Some(query) = self.locals.remove(&id) else {
            return Vec::new();
        };
        self.by_ip.remove(&query.about);
        if let Some(local) = local {
            if self.local_addresses.len() >= LOCAL_ADDRESSES {
                self.local_addresses.clear();
            }
            self.local_addresses.insert(query.about, (local, now));
        }
        self.waiting = self.waiting.saturating_sub(query.waiting.len());
        query.waiting
    }

    /// Lets a send wait for a channel to be bound.
    pub(crate) fn wait_for_bind(&mut self, channel: ChannelId, outgoing: Box<Outgoing>) {
        self.waiting = self.waiting.saturating_add(1);
        self.binds
            .entry(channel)
            .or_default()
            .push(Waiting { outgoing });
    }

    pub(crate) fn bound(&mut self, channel: ChannelId) -> Vec<Waiting> {
        let waiting = self.binds.remove(&channel).unwrap_or_default();
        self.waiting = self.waiting.saturating_sub(waiting.len());
        waiting
    }

    /// Sends whose question was not answered in time, with the name that was asked for.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<(Option<String>, Waiting)> {
        let mut expired = Vec::new();
        // All wait equally long, so the lowest ids are due first.
        while let Some((&id, query)) = self.lookups.first_key_value()
            && query.deadline <= now
        {
            let (name, waiting) = self.looked_up(id).unwrap_or_default();
            expired.extend(waiting.into_iter().map(|w| (Some(name.clone()), w)));
        }
        while let Some((&id, query)) = self.locals.first_key_value()
            && query.deadline <= now
        {
            expired.extend(
                self.local_found(now, id, None)
                    .into_iter()
                    .map(|w| (None, w)),
            );
        }
        expired
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let lookup = self
            .lookups
            .first_key_value()
            .map(|(_, query)| query.deadline);
        let local = self
            .locals
            .first_key_value()
            .map(|(_, query)| query.deadline);
        lookup.into_iter().chain(local).min()
    }

    pub(crate) fn drain(&mut self) -> Vec<Waiting> {
        self.waiting = 0;
        self.by_name.clear();
        self.by_ip.clear();
        let lookups = core::mem::take(&mut self.lookups)
            .into_values()
            .flat_map(|q| q.waiting);
        let locals = core::mem::take(&mut self.locals)
            .into_values()
            .flat_map(|q| q.waiting);
        let binds = core::mem::take(&mut self.binds).into_values().flatten();
        lookups.chain(locals).chain(binds).collect()
    }

    fn next_id(&mut self) -> QueryId {
        self.next = self.next.wrapping_add(1);
        QueryId(self.next)
    }
}
