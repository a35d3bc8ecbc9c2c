//! The application's filter for accepted connections.

use core::net::SocketAddr;
use std::sync::Arc;

use crate::config::proxy::ProxyProtocol;
use crate::context::ChannelContext;
use crate::context::callbacks::Callback;
use crate::endpoint::normalise;
use crate::ids::ChannelId;
use crate::protocol::Protocol;

/// The application's filter of the connections that a channel accepts
/// ([`Config::accept_filter`](crate::Config::accept_filter)), to be asked with no lock held.
#[derive(Clone, Debug)]
pub struct AcceptFilter {
    pub(crate) context: Arc<ChannelContext>,
    pub(crate) channel: (ChannelId, Protocol),
    pub(crate) proxy: Option<ProxyProtocol>,
}

impl AcceptFilter {
    /// Returns true if a connection between these addresses may stay. If not, close it at once; it
    /// is counted. One from a trusted load balancer stays until its PROXY header names the client.
    #[must_use]
    pub fn allows(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        if let Some(proxy) = &self.proxy
            && proxy.trusts(remote.ip())
        {
            return true;
        }
        self.context.allows_accepted(self.channel, local, remote)
    }
}

impl ChannelContext {
    /// Whether the application allows a connection that was accepted between these addresses.
    pub(crate) fn allows_accepted(
        &self,
        channel: (ChannelId, Protocol),
        local: SocketAddr,
        remote: SocketAddr,
    ) -> bool {
        let filter = self.config.accept_filter.as_ref();
        let (local, remote) = (normalise(local), normalise(remote));
        let allowed = filter.is_none_or(|filter| {
            let asked = || filter.allows(channel, local, remote);
            self.call(Callback::AcceptFilter, asked).unwrap_or(false)
        });
        if !allowed {
            self.counters.accepts_filtered.one();
        }
        allowed
    }
}
