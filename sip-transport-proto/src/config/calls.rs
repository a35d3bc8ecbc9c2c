//! The application's callbacks: header hook, accept filter and tap.

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sip_core::Message;
use sip_core::message::ParseError;

use crate::endpoint::SipEndpoint;
use crate::ids::ChannelId;
use crate::protocol::Protocol;

/// The header hook: may change a message's headers before it is sent.
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

/// The accept filter: decides which connections that listeners accept may stay.
#[derive(Clone)]
pub(crate) struct Filter(pub(super) Arc<FilterFn>);

pub(super) type FilterFn = dyn Fn(SipEndpoint, SipEndpoint) -> bool + Send + Sync;

impl Filter {
    /// Returns true if a connection on this channel may stay.
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

/// A received or sent message, as [`Config::tap`](crate::Config::tap) shows it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tapped<'a> {
    /// The direction of the message.
    pub direction: Direction,
    /// Our end.
    pub local: SipEndpoint,
    /// The peer's end.
    pub remote: SipEndpoint,
    /// The address that the channel is bound to.
    pub bound: SocketAddr,
    /// The instant of the input or of the send.
    pub at: Instant,
    /// The message as the peer wrote it or will read it: without the TLS and WebSocket around it,
    /// and before `received` and `rport` are filled in. Over UDP it is the datagram; on a stream
    /// that cannot be parsed any further, the bytes read so far.
    pub bytes: &'a [u8],
    /// The error, if a received message is malformed.
    pub error: Option<ParseError>,
}

/// The direction of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are only these")]
pub enum Direction {
    /// Received from the peer.
    In,
    /// Sent to the peer.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// The tap: called with each message in and out.
#[derive(Clone)]
pub(crate) struct Tap(Arc<TapFn>);

type TapFn = dyn Fn(Tapped<'_>) + Send + Sync;

impl Tap {
    pub(crate) fn new(tap: impl Fn(Tapped<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tap))
    }

    pub(crate) fn call(&self, seen: Tapped<'_>) {
        (self.0)(seen);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}
