//! Connections that load balancers pass on: where they may come from, and whose they are.

// Without the feature nobody is trusted.
#![cfg_attr(
    not(feature = "proxy"),
    allow(unused_variables, clippy::unnecessary_wraps)
)]

use core::net::{IpAddr, SocketAddr};
#[cfg(feature = "proxy")]
use std::time::Instant;

use super::Router;
#[cfg(feature = "proxy")]
use crate::endpoint::normalise;
use crate::error::AcceptError;
use crate::ids::ChannelId;
#[cfg(feature = "proxy")]
use crate::{ConnectionId, ProxyProtocol};

impl Router {
    /// Whether a channel takes connections from there.
    pub(super) fn check_source(
        &self,
        channel: ChannelId,
        remote: SocketAddr,
    ) -> Result<(), AcceptError> {
        #[cfg(feature = "proxy")]
        if let Some(proxy) = self.proxy_of(channel)
            && proxy.refuse_others
            && !proxy.trusts(remote.ip())
        {
            let scope = self.channels.scope(channel, &self.shared);
            scope.counters.accepts_filtered.one();
            return Err(AcceptError::Untrusted);
        }
        Ok(())
    }

    /// How long a header may be that a connection from there has to begin with, if it has to: whose
    /// it is shows only then.
    pub(super) fn awaited_header(&self, channel: ChannelId, from: IpAddr) -> Option<usize> {
        #[cfg(feature = "proxy")]
        return self
            .proxy_of(channel)
            .filter(|proxy| proxy.trusts(from))
            .map(|proxy| proxy.max_header);
        #[cfg(not(feature = "proxy"))]
        None
    }

    /// A load balancer has said that this is the far end of a connection: it is found by that
    /// address, and counts towards its share.
    pub(super) fn announced(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        remote: SocketAddr,
    ) -> Result<(), AcceptError> {
        let remote = normalise(remote);
        let record = self.connections.get(connection);
        let record = record.filter(|record| !record.is_closing());
        let Some(channel) = record.map(|record| record.channel) else {
            let limit = self.shared.config.max_connections;
            return Err(AcceptError::Full { limit });
        };
        let party = self.party(remote.ip());
        self.make_room_in_party(now, channel, party)?;
        self.connections.announced(connection, remote, party);
        Ok(())
    }

    #[cfg(feature = "proxy")]
    fn proxy_of(&self, channel: ChannelId) -> Option<&ProxyProtocol> {
        self.channels.get(channel)?.config.proxy.as_ref()
    }
}
