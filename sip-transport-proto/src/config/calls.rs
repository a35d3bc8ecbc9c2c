//! What the application wants to be asked.

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

use sip_core::Message;

use crate::{ChannelId, Protocol, SipEndpoint};

/// The application's last word on a message.
#[derive(Clone)]
pub(crate) struct Hook(pub(super) Arc<HookFn>);

pub(super) type HookFn = dyn Fn(&mut Message, SipEndpoint, SipEndpoint) + Send + Sync;

impl Hook {
    pub(crate) fn call(&self, message: &mut Message, local: SipEndpoint, remote: SipEndpoint) {
        (self.0)(message, local, remote);
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// What the application says to connections that listeners accept.
#[derive(Clone)]
pub(crate) struct Filter(pub(super) Arc<FilterFn>);

pub(super) type FilterFn = dyn Fn(SipEndpoint, SipEndpoint) -> bool + Send + Sync;

impl Filter {
    /// Whether a connection on this channel may stay.
    pub(crate) fn allows(
        &self,
        (channel, protocol): (ChannelId, Protocol),
        local: SocketAddr,
        remote: SocketAddr,
    ) -> bool {
        let end = |addr| SipEndpoint {
            channel: Some(channel),
            ..SipEndpoint::new(protocol, addr)
        };
        (self.0)(end(local), end(remote))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}
