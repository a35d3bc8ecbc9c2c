//! How many connections there may be, which of them makes room for another, and which for bytes.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tracing::warn;

use super::Router;
#[cfg(feature = "proxy")]
use crate::ProxyProtocol;
use crate::config::{Callback, SHORTEST_IDLE};
use crate::counters::{Counter, Counters};
use crate::endpoint::normalise;
use crate::error::{AcceptError, CloseReason};
use crate::shared::Scope;
use crate::trace::LIMIT;
use crate::{ChannelId, ConnectionId, Protocol};

/// What the application says to connections that a listener accepts
/// ([`Config::accept_filter`](crate::Config::accept_filter)), to be asked with no lock held.
#[derive(Clone, Debug)]
pub struct AcceptFilter {
    shared: Arc<Scope>,
    channel: (ChannelId, Protocol),
    #[cfg(feature = "proxy")]
    proxy: Option<ProxyProtocol>,
}

impl AcceptFilter {
    /// Whether a connection that was accepted between these addresses may stay. If not, close it at
    /// once; it is counted. One from a trusted load balancer stays until that has said whose it is.
    #[must_use]
    pub fn allows(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &self.proxy
            && proxy.trusts(remote.ip())
        {
            return true;
        }
        self.allows_peer(local, remote)
    }

    /// The same of one whose peer a load balancer [has announced](crate::ConnectionEvent::Announced).
    #[cfg(feature = "proxy")]
    #[must_use]
    pub fn allows_announced(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        self.allows_peer(local, remote)
    }

    fn allows_peer(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let filter = self.shared.config.accept_filter.as_ref();
        let (local, remote) = (normalise(local), normalise(remote));
        let allowed = filter.is_none_or(|filter| {
            let asked = || filter.allows(self.channel, local, remote);
            self.shared
                .call(Callback::AcceptFilter, asked)
                .unwrap_or(false)
        });
        if !allowed {
            self.shared.counters.accepts_filtered.one();
        }
        allowed
    }
}

impl Router {
    /// The filter for the connections that a channel accepts, if the application has one: to be
    /// asked before [`accept`](Self::accept), without a lock on the router.
    pub fn accept_filter(&self, channel: ChannelId) -> Option<AcceptFilter> {
        self.shared.config.accept_filter.as_ref()?;
        let found = self.channels.get(channel)?;
        Some(AcceptFilter {
            shared: Arc::clone(&found.scope),
            channel: (channel, found.protocol()),
            #[cfg(feature = "proxy")]
            proxy: found.config.proxy.clone(),
        })
    }

    /// A connection carries something.
    pub fn handle_active(&mut self, now: Instant, connection: ConnectionId) {
        self.connections.active(now, connection);
    }

    /// Since when bytes have waited for a connection's peer to take them; `None` if none do any
    /// more.
    pub fn handle_behind(&mut self, connection: ConnectionId, since: Option<Instant>) {
        self.connections.behind(connection, since);
    }

    /// Sees to it that one more connection may be on a channel, accepted from `from` or, without
    /// it, opened by us. Whom a load balancer passes on meets the limit for its address once that
    /// is known.
    ///
    /// The oldest accepted connection without a valid message makes room. Only where there is no
    /// such one does the longest idle, and never one that transactions may still be using
    /// (RFC 3261 §18, §17.1.1.1).
    pub(super) fn make_room(
        &mut self,
        now: Instant,
        channel: ChannelId,
        from: Option<IpAddr>,
    ) -> Result<(), AcceptError> {
        let counters = &self.channels.scope(channel, &self.shared).counters;
        let config = &self.shared.config;
        let known = from.filter(|ip| self.awaited_header(channel, *ip).is_none());
        if let Some(ip) = known {
            self.check_party(now, channel, ip)?;
        }
        let crowded = from.is_some() && self.connections.unproven() >= config.unproven_limit();
        if !crowded && self.connections.len() < config.max_connections {
            return Ok(());
        }
        self.say_full(now, channel, from);
        if let Some(oldest) = self.connections.oldest_unproven() {
            self.close_for(oldest, CloseReason::Limit);
            return Ok(());
        }
        // What is known of its activity is late by so much.
        let spared = SHORTEST_IDLE.saturating_add(config.activity_grain());
        let idle = self.connections.longest_idle();
        let idle = idle.filter(|(at, _)| now.saturating_duration_since(*at) >= spared);
        let Some((_, idle)) = idle else {
            counters.connections_limited.one();
            let limit = config.max_connections;
            return Err(AcceptError::Full { limit });
        };
        self.evict(idle, |counters| &counters.idle_evicted);
        Ok(())
    }

    /// Whether one more connection may come from that address.
    pub(super) fn check_party(
        &self,
        now: Instant,
        channel: ChannelId,
        from: IpAddr,
    ) -> Result<(), AcceptError> {
        let limit = self.shared.config.max_unproven_per_ip;
        let party = self.party(from);
        if party.is_none_or(|party| self.connections.unproven_of(party) < limit) {
            return Ok(());
        }
        self.say_full(now, channel, Some(from));
        let scope = self.channels.scope(channel, &self.shared);
        scope.counters.connections_limited.one();
        Err(AcceptError::PerAddress { limit })
    }

    fn say_full(&self, now: Instant, channel: ChannelId, from: Option<IpAddr>) {
        if let Some(left_out) = self.shared.said.connections.now(now) {
            warn!(target: LIMIT, %channel, ?from, left_out, "too many connections");
        }
    }

    /// Where the queues of all connections together were full, the one behind for longest is closed.
    pub(super) fn relieve_queues(&mut self) {
        if !self.shared.queued.take_refusal() {
            return;
        }
        if let Some(connection) = self.connections.longest_behind() {
            self.evict(connection, |counters| &counters.behind_evicted);
        }
    }

    /// Closes a connection to make room, and counts why it was this one.
    pub(super) fn evict(&mut self, connection: ConnectionId, why: fn(&Counters) -> &Counter) {
        if let Some(record) = self.connections.get(connection) {
            let scope = self.channels.scope(record.channel, &self.shared);
            why(&scope.counters).one();
        }
        self.close_for(connection, CloseReason::Limit);
    }

    /// Whose limit of unproven connections one from `ip` counts against: an IPv4 address's or an
    /// IPv6 /64's, and nobody's where the address is exempt.
    pub(super) fn party(&self, ip: IpAddr) -> Option<IpAddr> {
        let ip = ip.to_canonical();
        let mut exempt = self.shared.config.per_ip_exempt.iter();
        if exempt.any(|network| network.contains(&ip)) {
            return None;
        }
        Some(match ip {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
            v4 => v4,
        })
    }
}
