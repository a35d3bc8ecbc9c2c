//! Proxied connections: their permitted sources, and the parties they count towards.

use core::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Router;
use crate::config::proxy::ProxyProtocol;
use crate::endpoint::normalise;
use crate::error::AcceptError;
use crate::ids::{ChannelId, ConnectionId};

impl Router {
    /// Checks that a channel accepts connections from this address.
    pub(super) fn check_source(
        &self,
        channel: ChannelId,
        remote: SocketAddr,
    ) -> Result<(), AcceptError> {
        if let Some(proxy) = self.proxy_of(channel)
            && proxy.refuses(remote.ip())
        {
            let context = self.channels.context_of(channel, &self.context);
            context.counters.accepts_filtered.one();
            return Err(AcceptError::Untrusted);
        }
        Ok(())
    }

    /// The settings of the PROXY header with which a connection from this address must begin, if it
    /// must: the remote address is known only then.
    pub(super) fn awaited_header(
        &self,
        channel: ChannelId,
        from: IpAddr,
    ) -> Option<&ProxyProtocol> {
        self.proxy_of(channel).filter(|proxy| proxy.trusts(from))
    }

    /// Takes the remote address that a PROXY header announces: the connection is indexed by it, and
    /// counts towards its share.
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
            let limit = self.context.config.max_connections;
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
