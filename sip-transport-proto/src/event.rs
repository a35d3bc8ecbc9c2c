//! The events that a transport reports to its application.

use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip_core::message::{ParseError, Request, Response};

use crate::endpoint::SipEndpoint;
use crate::error::{ChannelFailure, CloseReason, FlowFailure, KeepStop, SendError, SendFailure};
use crate::ids::{ChannelId, ConnectionId, SendId};
use crate::outgoing::sent::Sent;
use crate::tls::Identity;

/// An event that a transport reports to its application.
///
/// ```
/// use sip_transport_proto::Event;
///
/// fn handle(event: Event) {
///     match event {
///         Event::Request { remote, request, .. } => println!("{remote}: {}", request.start_line()),
///         Event::Response { response, .. } => match response.top_via() {
///             Ok(via) => println!("{} answers {:?}", response.status().code(), via.branch()),
///             Err(_) => {} // it was checked before
///         },
///         Event::SendCompleted { send, result: Err(error) } => println!("{send}: {error}"),
///         Event::SendFailed { send, cause } => println!("{send} did not arrive: {cause}"),
///         Event::ConnectionClosed { remote, reason, .. } => println!("{remote} closed: {reason}"),
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
// A message is stored inline: boxing it would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// A valid request. Its top Via has `received` and `rport` filled in (RFC 3261 §18.2.1,
    /// RFC 3581 §4).
    Request {
        /// Our end, where it arrived.
        local: SipEndpoint,
        /// The peer's end, where it came from.
        remote: SipEndpoint,
        /// The request, with the flow that responses built from it inherit.
        request: Request,
    },
    /// A valid response to a request of ours.
    Response {
        /// Our end, where it arrived.
        local: SipEndpoint,
        /// The peer's end, where it came from.
        remote: SipEndpoint,
        /// The response.
        response: Response,
    },
    /// A malformed message. A reply, if one is due, has been queued.
    Malformed {
        /// Our end, where it arrived.
        local: SipEndpoint,
        /// The peer's end, where it came from.
        remote: SipEndpoint,
        /// The error and its position.
        error: ParseError,
        /// The bytes received; on a stream, those read of the message so far.
        bytes: Bytes,
    },
    /// A connection opened and can carry messages.
    ConnectionOpened {
        /// Its channel.
        channel: ChannelId,
        /// Our end.
        local: SipEndpoint,
        /// The peer's end.
        remote: SipEndpoint,
        /// True if the peer opened it.
        accepted: bool,
        /// The identity that the peer proved over TLS.
        identity: Option<Arc<Identity>>,
    },
    /// A connection closed or failed to open; emitted once for each.
    ConnectionClosed {
        /// The connection.
        connection: ConnectionId,
        /// Its channel.
        channel: ChannelId,
        /// The peer's end.
        remote: SipEndpoint,
        /// The reason.
        reason: CloseReason,
    },
    /// A channel failed: the task of its listener or of one of its sockets ended without the
    /// channel having been removed. Its connections close with [`CloseReason::ChannelFailed`]; add
    /// the channel again to restore it. Only the adapters report this.
    ChannelClosed {
        /// The channel.
        channel: ChannelId,
        /// Its address.
        local: SipEndpoint,
        /// The reason.
        cause: ChannelFailure,
    },
    /// The end of a send: of one that had to wait, in a [`Transport`](crate::Transport); of one that
    /// was started without awaiting its outcome, in an adapter.
    SendCompleted {
        /// The send.
        send: SendId,
        /// The outcome.
        result: Result<Box<Sent>, SendError>,
    },
    /// A message reported as sent did not reach the network, or a router on the path reported an
    /// error for it. Emitted at most once for each send, and at most once more each time the
    /// message is retransmitted afterwards.
    SendFailed {
        /// The send.
        send: SendId,
        /// The reason.
        cause: SendFailure,
    },
    /// A flow that was [kept alive](crate::Keep) is dead: a registration over it has to be renewed
    /// (RFC 5626 §4.4). A connection closes with it; keep-alives on a UDP flow stop.
    FlowDead {
        /// The peer's end.
        remote: SipEndpoint,
        /// The evidence.
        cause: FlowFailure,
    },
    /// A source exceeds its rate of messages over UDP
    /// ([`ChannelConfig::messages_per_source`](crate::ChannelConfig::messages_per_source)); the
    /// excess is dropped unread. Emitted once, and again if the source exceeds its rate after a
    /// minute within it.
    SourceLimited {
        /// Our end, where the first dropped message arrived.
        local: SipEndpoint,
        /// The peer's end. The rate applies to its IPv4 /24 or IPv6 /56.
        remote: SipEndpoint,
    },
    /// Keep-alives on a UDP flow stopped without evidence that it is dead.
    KeepStopped {
        /// The peer's end.
        remote: SipEndpoint,
        /// The reason.
        cause: KeepStop,
    },
    /// The first STUN response arrived on a UDP flow that is kept alive: it holds our address as
    /// the peer sees it (RFC 8489 §14.2). If that address changes later, the flow is dead.
    MappedAddress {
        /// The peer's end.
        remote: SipEndpoint,
        /// Our address, as the peer sees it.
        mapped: SocketAddr,
    },
}

impl Event {
    /// The bytes that the event holds in memory, for the limit of a queue.
    pub fn held(&self) -> usize {
        match self {
            Self::Request { request, .. } => request.held(),
            Self::Response { response, .. } => response.held(),
            Self::Malformed { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }
}
