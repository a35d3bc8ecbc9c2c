//! Connections that load balancers pass on: where they may come from, and whose they are.

use core::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Router;
use crate::config::proxy::ProxyProtocol;
use crate::endpoint::normalise;
use crate::error::AcceptError;
use crate::ids::{ChannelId, ConnectionId};

impl Router {
    /// Whether a channel takes connections from there.
    pub(super) fn check_source(
        &self,
        channel: ChannelId,
        remote: SocketAddr,
    ) -> Result<(), AcceptError> {
        if let Some(proxy) = self.proxy_of(channel)
            && proxy.refuses(remote.ip())
        {
            let scope = self.channels.scope(channel, &self.shared);
            scope.counters.accepts_filtered.one();
            return Err(AcceptError::Untrusted);
        }
        Ok(())
    }

    /// The settings of the header that a connection from there has to begin with, if it has to:
    /// whose it is shows only then.
    pub(super) fn awaited_header(
        &self,
        channel: ChannelId,
        from: IpAddr,
    ) -> Option<&ProxyProtocol> {
        self.proxy_of(channel).filter(|proxy| proxy.trusts(from))
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

    fn proxy_of(&self, channel: ChannelId) -> Option<&ProxyProtocol> {
        self.channels.get(channel)?.config.proxy.as_ref()
    }
}
