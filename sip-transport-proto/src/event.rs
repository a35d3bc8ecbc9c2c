use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip_core::message::{ParseError, Request, Response};

use crate::endpoint::SipEndpoint;
use crate::error::{ChannelFailure, CloseReason, FlowFailure, KeepStop, SendError, SendFailure};
use crate::ids::{ChannelId, ConnectionId, SendId};
use crate::outgoing::sent::Sent;
use crate::tls::Identity;

/// What a transport tells its application.
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
// A message is kept where it is: boxing it would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
pub enum Event {
    /// A valid request; `received` and `rport` are in its top Via (RFC 3261 §18.2.1, RFC 3581 §4).
    Request {
        /// Where it arrived.
        local: SipEndpoint,
        /// Where it came from.
        remote: SipEndpoint,
        /// The request, with the flow that responses built from it take.
        request: Request,
    },
    /// A valid response to a request of ours.
    Response {
        /// Where it arrived.
        local: SipEndpoint,
        /// Where it came from.
        remote: SipEndpoint,
        /// The response.
        response: Response,
    },
    /// Something that breaks the rules. A reply, if one was due, is on its way.
    Malformed {
        /// Where it arrived.
        local: SipEndpoint,
        /// Where it came from.
        remote: SipEndpoint,
        /// What is wrong, and where.
        error: ParseError,
        /// What came; on a stream, as much as was read of it.
        bytes: Bytes,
    },
    /// A connection can carry messages.
    ConnectionOpened {
        /// Its channel.
        channel: ChannelId,
        /// Its own end.
        local: SipEndpoint,
        /// The peer's end.
        remote: SipEndpoint,
        /// Whether the peer opened it.
        accepted: bool,
        /// Whom the peer has proved to be, over TLS.
        identity: Option<Arc<Identity>>,
    },
    /// A connection is gone. Comes once for each that was opened, or tried in vain.
    ConnectionClosed {
        /// The connection.
        connection: ConnectionId,
        /// Its channel.
        channel: ChannelId,
        /// The peer's end.
        remote: SipEndpoint,
        /// Why.
        reason: CloseReason,
    },
    /// A channel that nobody removed has come to its end: the task of its listener or of one of its
    /// sockets has. Its connections close with [`CloseReason::ChannelFailed`]; to have it again, add
    /// it again. Only the adapters report it.
    ChannelClosed {
        /// The channel.
        channel: ChannelId,
        /// Its address.
        local: SipEndpoint,
        /// Why.
        cause: ChannelFailure,
    },
    /// A send has ended: of a [`Transport`](crate::Transport) one that had to wait, in the adapters
    /// each that was started and is not waited for.
    SendCompleted {
        /// The send.
        send: SendId,
        /// How it ended.
        result: Result<Box<Sent>, SendError>,
    },
    /// A message that counted as sent did not reach the network, or a router on the way said so.
    /// Comes once at most for each send, and once more at most each time that the message is sent
    /// again afterwards.
    SendFailed {
        /// The send.
        send: SendId,
        /// Why.
        cause: SendFailure,
    },
    /// A flow that is [kept](crate::Keep) is dead: whoever is registered over it has to register
    /// anew (RFC 5626 §4.4). A connection closes with it; a UDP flow is kept no more.
    FlowDead {
        /// The peer's end.
        remote: SipEndpoint,
        /// How that is known.
        cause: FlowFailure,
    },
    /// A source sends more messages over UDP than it may
    /// ([`ChannelConfig::messages_per_source`](crate::ChannelConfig::messages_per_source)): what is
    /// over its rate is dropped unread. Comes once, and once more when it is held back again after
    /// a minute without.
    SourceLimited {
        /// Where the first message that was dropped arrived.
        local: SipEndpoint,
        /// Where it came from. The rate is that of its IPv4 /24 or IPv6 /56.
        remote: SipEndpoint,
    },
    /// A UDP flow is kept no more, though nothing says that it is dead.
    KeepStopped {
        /// The peer's end.
        remote: SipEndpoint,
        /// Why.
        cause: KeepStop,
    },
    /// The first STUN answer on a UDP flow that is kept: our address as the peer sees it
    /// (RFC 8489 §14.2). If it changes later, the flow is dead.
    MappedAddress {
        /// The peer's end.
        remote: SipEndpoint,
        /// Our own, as the peer sees it.
        mapped: SocketAddr,
    },
}

impl Event {
    /// The bytes that it holds in memory, for the limit of a queue.
    pub fn held(&self) -> usize {
        match self {
            Self::Request { request, .. } => request.held(),
            Self::Response { response, .. } => response.held(),
            Self::Malformed { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }
}
