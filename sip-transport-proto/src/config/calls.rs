//! What the application wants to be asked.

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sip_core::Message;
use sip_core::message::ParseError;

use crate::endpoint::SipEndpoint;
use crate::ids::ChannelId;
use crate::protocol::Protocol;

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

/// A message that came or goes, as [`Config::tap`](crate::Config::tap) shows it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tapped<'a> {
    /// Whether it came or goes.
    pub direction: Direction,
    /// Our own end.
    pub local: SipEndpoint,
    /// The peer's end.
    pub remote: SipEndpoint,
    /// When: the instant of the input or of the send.
    pub at: Instant,
    /// The message as the peer wrote it or is to read it: without TLS and WebSocket around it, and
    /// before `received` and `rport` are stamped. Over UDP, the datagram; of a stream that cannot be
    /// read on, what was read.
    pub bytes: &'a [u8],
    /// What is wrong with it, if it came and breaks a rule.
    pub error: Option<ParseError>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// It came.
    In,
    /// It goes out.
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

/// What the application wants to be called for each message.
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
