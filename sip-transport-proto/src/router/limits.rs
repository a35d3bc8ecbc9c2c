//! The limits on connections and queued bytes, and the eviction of connections.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tracing::warn;

use super::Router;
use super::shares::Candidate;
use crate::config::SHORTEST_IDLE;
use crate::config::party::Party;
use crate::context::accept_filter::AcceptFilter;
use crate::error::{AcceptError, CloseReason};
use crate::ids::{ChannelId, ConnectionId};
use crate::observe::counters::{Counter, Counters};
use crate::observe::trace::LIMIT;

impl Router {
    /// The application's filter for accepted connections, if it has one. Call it before
    /// [`accept`](Self::accept), without holding the router's lock.
    pub fn accept_filter(&self, channel: ChannelId) -> Option<AcceptFilter> {
        self.context.config.accept_filter.as_ref()?;
        let found = self.channels.get(channel)?;
        Some(AcceptFilter {
            context: Arc::clone(&found.context),
            channel: (channel, found.protocol()),
            proxy: found.config.proxy.clone(),
        })
    }

    /// Makes room for one more connection on a channel, accepted from `from` or, without it, opened
    /// by us. For a proxied connection the per-address limit is checked when its PROXY header
    /// arrives.
    pub(super) fn make_room(
        &mut self,
        now: Instant,
        channel: ChannelId,
        from: Option<IpAddr>,
    ) -> Result<(), AcceptError> {
        let config = &self.context.config;
        let (max_silent, max_connections) = (config.silent_limit(), config.max_connections);
        let known = from.filter(|ip| self.awaited_header(channel, *ip).is_none());
        let party = known.and_then(|ip| self.party(ip));
        let replaces = self.make_room_in_party(now, channel, party)?;
        if from.is_some() && self.connections.shares().silent() >= max_silent {
            self.log_full(now, channel, from, ("max_silent", max_silent));
            if let Some(oldest) = self.connections.shares().first_silent(party) {
                self.close_for(oldest, CloseReason::Limit);
                return Ok(());
            }
        }
        if replaces || self.connections.len() < max_connections {
            return Ok(());
        }
        self.log_full(now, channel, from, ("max_connections", max_connections));
        let first = self.connections.shares().first(party, from.is_some());
        self.replace(now, channel, first).ok_or(AcceptError::Full {
            limit: max_connections,
        })
    }

    /// Makes room for one more connection of a party. Returns true if it replaces one of the
    /// party's own.
    pub(super) fn make_room_in_party(
        &mut self,
        now: Instant,
        channel: ChannelId,
        party: Option<Party>,
    ) -> Result<bool, AcceptError> {
        let limit = self.context.config.limit_per_ip();
        let shares = self.connections.shares();
        let Some(party) = party.filter(|party| shares.held_by(*party) >= limit) else {
            return Ok(false);
        };
        self.log_full(now, channel, Some(party), ("max_connections_per_ip", limit));
        let first = self.connections.shares().first_of(party);
        self.replace(now, channel, first)
            .map(|()| true)
            .ok_or(AcceptError::PerAddress { limit })
    }

    /// Closes a connection in favour of another. One that transactions may still be using is spared
    /// (RFC 3261 §18, §17.1.1.1), unless its party holds more than the newcomer's: otherwise a
    /// party could keep all others out by keeping its connections active.
    fn replace(
        &mut self,
        now: Instant,
        channel: ChannelId,
        first: Option<Candidate>,
    ) -> Option<()> {
        let config = &self.context.config;
        // The record of its activity may be late by this much.
        let spared = SHORTEST_IDLE.saturating_add(config.activity_grain());
        let in_use = |at: Instant| now.saturating_duration_since(at) < spared;
        let first = first.filter(|first| first.holds_more || !first.active.is_some_and(in_use));
        match first {
            Some(Candidate {
                id, active: None, ..
            }) => self.close_for(id, CloseReason::Limit),
            Some(Candidate { id, .. }) => self.evict(id, |counters| &counters.idle_evicted),
            None => {
                let context = self.channels.context_of(channel, &self.context);
                context.counters.connections_limited.one();
            }
        }
        first.map(drop)
    }

    fn log_full(
        &self,
        now: Instant,
        channel: ChannelId,
        from: Option<impl fmt::Debug>,
        (setting, limit): (&str, usize),
    ) {
        if let Some(left_out) = self.context.log_limits.connections.now(now) {
            warn!(target: LIMIT, %channel, ?from, setting, limit, left_out, "too many connections");
        }
    }

    /// If the queues of all connections together were full, closes the one that has been behind for
    /// longest.
    pub(super) fn relieve_queues(&mut self) {
        if !self.context.queued.take_refusal() {
            return;
        }
        if let Some(connection) = self.connections.longest_behind() {
            self.evict(connection, |counters| &counters.behind_evicted);
        }
    }

    /// Closes a connection to make room, and counts the reason.
    pub(super) fn evict(&mut self, connection: ConnectionId, why: fn(&Counters) -> &Counter) {
        if let Some(record) = self.connections.get(connection) {
            let context = self.channels.context_of(record.channel, &self.context);
            why(&context.counters).one();
        }
        self.close_for(connection, CloseReason::Limit);
    }

    /// The party whose share a connection from `ip` counts towards; `None` if the address is
    /// exempt.
    pub(super) fn party(&self, ip: IpAddr) -> Option<Party> {
        self.context.config.party(ip)
    }
}
