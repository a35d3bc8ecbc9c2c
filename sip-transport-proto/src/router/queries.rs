//! Queries to the owner, and the sends that wait for them.

// Messages stay in their boxes, as they change hands often.
#![allow(clippy::vec_box)]

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use super::races::RaceId;
use crate::ids::{ChannelId, QueryId};
use crate::outgoing::Outgoing;
use crate::resolve::PlanId;

/// The time to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(6);
/// The time for which the local address towards a peer is assumed to stay the same.
const LOCAL_ADDRESS_LIFE: Duration = Duration::from_secs(2);
/// The maximum number of local addresses remembered.
const LOCAL_ADDRESSES: usize = 1_024;

/// The waiter for a plan.
#[derive(Debug)]
pub(crate) enum PlanWaiter {
    Send(Box<Outgoing>),
    Plan(QueryId, Box<Outgoing>),
}

/// The waiters for a local address.
#[derive(Debug, Default)]
pub(crate) struct LocalWaiters {
    pub(crate) sends: Vec<Box<Outgoing>>,
    pub(crate) races: Vec<RaceId>,
}

#[derive(Debug)]
struct Query {
    about: IpAddr,
    deadline: Instant,
    waiting: LocalWaiters,
}

/// The waiting sends, by what they wait for; one query about a local address serves all that need
/// it.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    plans: BTreeMap<PlanId, PlanWaiter>,
    locals: BTreeMap<QueryId, Query>,
    by_ip: BTreeMap<IpAddr, QueryId>,
    binds: BTreeMap<ChannelId, Vec<Box<Outgoing>>>,
    local_addresses: BTreeMap<IpAddr, (IpAddr, Instant)>,
    next: u64,
    waiting: usize,
}

impl Queries {
    /// The number of waiting sends.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// Makes a send wait for its targets.
    pub(crate) fn wait_for_plan(&mut self, plan: PlanId, outgoing: Box<Outgoing>) {
        self.waiting = self.waiting.saturating_add(1);
        self.plans.insert(plan, PlanWaiter::Send(outgoing));
    }

    /// Makes the application wait for the targets of a message.
    pub(crate) fn ask_for_plan(&mut self, plan: PlanId, query: QueryId, outgoing: Box<Outgoing>) {
        self.waiting = self.waiting.saturating_add(1);
        self.plans.insert(plan, PlanWaiter::Plan(query, outgoing));
    }

    /// Removes and returns the waiter for a plan.
    pub(crate) fn planned(&mut self, plan: PlanId) -> Option<PlanWaiter> {
        let asker = self.plans.remove(&plan)?;
        self.waiting = self.waiting.saturating_sub(1);
        Some(asker)
    }

    /// Removes and returns all waiters for plans.
    pub(crate) fn drain_plans(&mut self) -> BTreeMap<PlanId, PlanWaiter> {
        let plans = core::mem::take(&mut self.plans);
        self.waiting = self.waiting.saturating_sub(plans.len());
        plans
    }

    /// The local address towards `remote`, if it was found recently.
    pub(crate) fn local_address(&self, now: Instant, remote: IpAddr) -> Option<IpAddr> {
        let (local, found) = self.local_addresses.get(&remote)?;
        (now.saturating_duration_since(*found) <= LOCAL_ADDRESS_LIFE).then_some(*local)
    }

    /// The number of local addresses remembered.
    pub(crate) fn local_addresses(&self) -> usize {
        self.local_addresses.len()
    }

    /// Forgets the local addresses.
    pub(crate) fn forget(&mut self) {
        self.local_addresses.clear();
    }

    /// Makes a send wait for the local address towards `remote`. Returns the query if it is new.
    pub(crate) fn find_local(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        outgoing: Box<Outgoing>,
    ) -> Option<QueryId> {
        self.waiting = self.waiting.saturating_add(1);
        self.find_local_for(now, remote, |waiting| {
            waiting.sends.push(outgoing);
        })
    }

    /// The same for a race.
    pub(crate) fn find_local_for_race(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        race: RaceId,
    ) -> Option<QueryId> {
        self.find_local_for(now, remote, |waiting| {
            if !waiting.races.contains(&race) {
                waiting.races.push(race);
            }
        })
    }

    fn find_local_for(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        wait: impl FnOnce(&mut LocalWaiters),
    ) -> Option<QueryId> {
        let ip = remote.ip();
        let open = self.by_ip.get(&ip);
        if let Some(query) = open.and_then(|id| self.locals.get_mut(id)) {
            wait(&mut query.waiting);
            return None;
        }
        let id = self.next_id();
        self.by_ip.insert(ip, id);
        let mut query = Query {
            about: ip,
            deadline: now + PATIENCE,
            waiting: LocalWaiters::default(),
        };
        wait(&mut query.waiting);
        self.locals.insert(id, query);
        Some(id)
    }

    pub(crate) fn local_found(
        &mut self,
        now: Instant,
        id: QueryId,
        local: Option<IpAddr>,
    ) -> LocalWaiters {
        let Some(query) = self.locals.remove(&id) else {
            return LocalWaiters::default();
        };
        self.by_ip.remove(&query.about);
        if let Some(local) = local {
            if self.local_addresses.len() >= LOCAL_ADDRESSES {
                self.local_addresses.clear();
            }
            self.local_addresses.insert(query.about, (local, now));
        }
        self.waiting = self.waiting.saturating_sub(query.waiting.sends.len());
        query.waiting
    }

    /// Makes a send wait for a channel to be bound.
    pub(crate) fn wait_for_bind(&mut self, channel: ChannelId, outgoing: Box<Outgoing>) {
        self.waiting = self.waiting.saturating_add(1);
        self.binds.entry(channel).or_default().push(outgoing);
    }

    pub(crate) fn bound(&mut self, channel: ChannelId) -> Vec<Box<Outgoing>> {
        let waiting = self.binds.remove(&channel).unwrap_or_default();
        self.waiting = self.waiting.saturating_sub(waiting.len());
        waiting
    }

    /// The waiters whose query was not answered in time.
    pub(crate) fn expired(&mut self, now: Instant) -> LocalWaiters {
        let mut expired = LocalWaiters::default();
        // All wait equally long, so the lowest ids are due first.
        while let Some((&id, query)) = self.locals.first_key_value()
            && query.deadline <= now
        {
            let LocalWaiters { sends, races } = self.local_found(now, id, None);
            expired.sends.extend(sends);
            expired.races.extend(races);
        }
        expired
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (_, query) = self.locals.first_key_value()?;
        Some(query.deadline)
    }

    /// Removes and returns all sends that wait for a local address or a socket.
    pub(crate) fn drain(&mut self) -> Vec<Box<Outgoing>> {
        self.by_ip.clear();
        let locals = core::mem::take(&mut self.locals)
            .into_values()
            .flat_map(|query| query.waiting.sends);
        let binds = core::mem::take(&mut self.binds).into_values().flatten();
        let all: Vec<_> = locals.chain(binds).collect();
        self.waiting = self.waiting.saturating_sub(all.len());
        all
    }

    pub(crate) fn next_id(&mut self) -> QueryId {
        self.next = self.next.wrapping_add(1);
        QueryId(self.next)
    }
}
