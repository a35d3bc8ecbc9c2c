use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip_core::message::{ParseError, Request, Response};

use crate::error::{ChannelFailure, CloseReason, FlowFailure, SendError, SendFailure};
use crate::tls::Identity;
use crate::{ChannelId, ConnectionId, KeepStop, SendId, Sent, SipEndpoint};

/// What a transport tells its application.
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

/// What a machine waits for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Deadline {
    /// A connection that is being opened.
    Connect,
    /// TLS and WebSocket being agreed on.
    Handshake,
    /// The first valid message on an accepted connection.
    FirstMessage,
    /// The rest of a message.
    Message,
    /// Any message at all.
    Idle,
    /// The peer taking some of the bytes that wait for it.
    Write,
    /// The peer taking all of them: if it has not by then, it counts as behind.
    Behind,
    /// The last bytes before a close.
    Linger,
    /// A lookup, or the address towards a peer.
    Query,
    /// The next address of a server to which a connection is being opened: it is tried then
    /// (RFC 8305 §5).
    Race,
    /// The next keep-alive: it is sent then.
    Ping,
    /// The answer to a keep-alive (RFC 5626 §4.4.1).
    Pong,
    /// A connection for a request that is too large for UDP (RFC 3261 §18.1.1): it goes over UDP
    /// then.
    SizeRule,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting took too long",
            Self::Handshake => "the handshake took too long",
            Self::FirstMessage => "no message came",
            Self::Message => "a message took too long",
            Self::Idle => "idle for too long",
            Self::Write => "the peer does not read",
            Self::Behind => "the peer reads slowly",
            Self::Linger => "closing took too long",
            Self::Query => "a lookup took too long",
            Self::Race => "the next address is due",
            Self::Ping => "a keep-alive is due",
            Self::Pong => "no keep-alive was answered",
            Self::SizeRule => "connecting took too long for what UDP can carry",
        })
    }
}
