//! Why something did not work: one enum for each operation.

mod keep;
mod websocket;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io;

use sip_core::ValueError;
use sip_core::message::{Message, ParseError};
use thiserror::Error;

use crate::deadline::Deadline;
use crate::ids::{ChannelId, SendId};
use crate::protocol::Protocol;
use crate::resolve::{PlanError, Target};
use crate::tls::TlsError;

pub use crate::outgoing::sent::NextError;
pub use keep::{KeepError, KeepStop};
pub use websocket::{HandshakeError, ProtocolViolation, WebSocketError};

/// Why a send ended without its message going out.
///
/// Gives the message back, unchanged, and lists the targets that were tried.
///
/// ```
/// use sip_transport_proto::error::{SendCause, SendError};
/// use sip_transport_proto::sip_core::Message;
///
/// /// The message, if it is worth another try once there is room.
/// fn again(error: SendError) -> Option<Message> {
///     for attempt in error.tried() {
///         println!("{}: {}", attempt.target, attempt.cause);
///     }
///     match error.cause() {
///         SendCause::QueueFull { .. } | SendCause::TooManyWaiting { .. } => Some(error.into_message()),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SendError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    cause: SendCause,
    send: SendId,
    message: Message,
    tried: Vec<Attempt>,
}

impl SendError {
    pub(crate) fn new(
        cause: SendCause,
        send: SendId,
        message: Message,
        tried: Vec<Attempt>,
    ) -> Self {
        Self(Box::new(Failure {
            cause,
            send,
            message,
            tried,
        }))
    }

    /// What ended it.
    pub fn cause(&self) -> &SendCause {
        &self.0.cause
    }

    /// Which send it was.
    pub fn send(&self) -> SendId {
        self.0.send
    }

    /// The targets that were tried, in order, with what each failed of.
    pub fn tried(&self) -> &[Attempt] {
        &self.0.tried
    }

    /// The message as it was given.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// Takes the message back.
    pub fn into_message(self) -> Message {
        self.0.message
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.cause)?;
        for attempt in &self.0.tried {
            if matches!(&attempt.cause, AttemptCause::Send(cause) if **cause == self.0.cause) {
                // Said already.
                continue;
            }
            let Target { protocol, addr, .. } = &attempt.target;
            write!(f, "; {protocol}:{addr} {}", attempt.cause)?;
        }
        Ok(())
    }
}

impl std::error::Error for SendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.cause)
    }
}

/// What ended a send.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SendCause {
    /// The message lacks what sending needs, or holds it malformed.
    #[error("the message cannot be sent: {what}: {error}")]
    Malformed {
        /// The part.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        error: ValueError,
    },
    /// The message has no such header.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// The next hop's URI names no host that SIP can reach.
    #[error("a {scheme} URI names no host to send to")]
    NoHost {
        /// Its scheme.
        scheme: String,
    },
    /// The next hop's URI or Via asks for a transport that there is not here.
    #[error("transport {0} is not supported")]
    UnsupportedTransport(String),
    /// A `sips` target over a transport that cannot protect it (RFC 3261 §26.2.2).
    #[error("sips cannot go over {0}")]
    Insecure(Protocol),
    /// A response whose Via names no address, or one that this transport will not take from a Via.
    #[error("the response's Via names no address to send to")]
    NoResponseAddress,
    /// There is no channel for this, and none may be made. For a group: none has joined it.
    #[error("no channel carries {protocol} to {remote}")]
    NoChannel {
        /// The protocol wanted.
        protocol: Protocol,
        /// The destination.
        remote: IpAddr,
    },
    /// A group of IPv6, which [`Config::ipv6_multicast`](crate::Config::ipv6_multicast) does not
    /// allow (RFC 3261 §18.1.1).
    #[error("sending to {0} is not allowed: multicast over IPv6")]
    Ipv6Multicast(IpAddr),
    /// The connection that a response needs is closed, and none may be opened.
    #[error("the connection is closed")]
    ConnectionClosed,
    /// The next hop's name leads nowhere (RFC 3263).
    #[error("{0}")]
    Resolve(#[source] PlanError),
    /// Every target failed; [`SendError::tried`] says of what.
    #[error("no target took the message")]
    AllTargetsFailed,
    /// The connection's queue, or all queues together, are full.
    #[error("the send queue is full ({limit} bytes)")]
    QueueFull {
        /// The limit that was hit.
        limit: usize,
    },
    /// Too many sends wait for lookups and connections.
    #[error("{limit} sends are waiting already")]
    TooManyWaiting {
        /// The limit.
        limit: usize,
    },
    /// There are as many connections as may be.
    #[error("there are {limit} connections already")]
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// The channel, and the transport, have no TLS configuration to connect with.
    #[error("there is no TLS configuration to connect with")]
    NoTlsConfig,
    /// TLS needs the name or address that the peer must prove to be, and the message has none.
    #[error("there is no name for the peer to prove")]
    NoTlsName,
    /// A message larger than a datagram can be.
    #[error("{len} bytes do not fit into a datagram")]
    TooLarge {
        /// The message's length.
        len: usize,
    },
    /// The channel was removed while the send waited.
    #[error("the channel was removed")]
    ChannelRemoved,
    /// The application's [header hook](crate::Config::header_hook) panicked.
    #[error("the application's header hook panicked")]
    HookPanicked,
    /// The transport is shutting down.
    #[error("the transport is shutting down")]
    ShuttingDown,
}

/// Why an ACK or a CANCEL could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeriveError {
    /// The message that was sent cannot be read.
    #[error("the request as sent cannot be read: {0}")]
    Parse(#[from] ParseError),
    /// It is a response, or it lacks a header that is to be copied.
    #[error("a request with {0} is needed")]
    Missing(&'static str),
}

/// One target that a send tried in vain.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// The target, with the reason why it was one.
    pub target: Target,
    /// What it failed of.
    pub cause: AttemptCause,
}

/// What a target failed of.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AttemptCause {
    /// The connection was refused or failed otherwise.
    #[error("could not connect: {0}")]
    Connect(io::ErrorKind),
    /// The connection could not be opened for want of something here. No target is to blame, and so
    /// none is tried last for it.
    #[error("could not connect, by a fault of this machine: {0}")]
    LocalFault(#[source] LocalFault),
    /// The operating system has no route there.
    #[error("no route: {0}")]
    NoRoute(io::ErrorKind),
    /// TLS could not be agreed on, or the peer did not prove to be whom the send is for.
    #[error("TLS: {0}")]
    Tls(#[source] TlsError),
    /// The peer did not take the connection for one of SIP over WebSocket.
    #[error("{0}")]
    WebSocket(#[source] WebSocketError),
    /// A deadline passed.
    #[error("{0}")]
    Deadline(Deadline),
    /// The connection closed before the message could be handed to it.
    #[error("the connection closed: {0}")]
    Closed(#[source] CloseReason),
    /// The connection was gone when the message came to it: the target is tried once more.
    #[error("the connection is gone")]
    Gone,
    /// The request is too large for UDP (RFC 3261 §18.1.1): [`Dispatch::render`](crate::parts::Dispatch::render)
    /// says so, and [`Router::retry`](crate::parts::Router::retry) goes on over TCP.
    #[error("{len} bytes are more than the {limit} that may go over UDP")]
    TooLargeForUdp {
        /// The request's length.
        len: usize,
        /// The longest that may.
        limit: usize,
    },
    /// The send could not even begin.
    #[error("{0}")]
    Send(#[source] Box<SendCause>),
    /// The message was sent there, and the application went on to the next target: no answer came,
    /// or a 503 (RFC 3263 §4.3).
    #[error("the application went on to the next target")]
    Left,
}

impl AttemptCause {
    /// Whether the fault is the target's own: then it is tried last for a while.
    pub(crate) fn is_of_target(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Tls(_)
            | Self::WebSocket(_)
            | Self::Deadline(Deadline::Connect | Deadline::Handshake)
            | Self::Closed(CloseReason::Peer | CloseReason::Io(_)) => true,
            Self::Deadline(_)
            | Self::Closed(_)
            | Self::Gone
            | Self::LocalFault(_)
            | Self::NoRoute(_)
            | Self::TooLargeForUdp { .. }
            | Self::Send(_)
            | Self::Left => false,
        }
    }
}

impl From<CloseReason> for AttemptCause {
    /// What a send failed of that waited for the connection.
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::ConnectFailed(kind) => Self::Connect(kind),
            CloseReason::LocalFault(fault) => Self::LocalFault(fault),
            CloseReason::Deadline(deadline) => Self::Deadline(deadline),
            CloseReason::Tls(error) => Self::Tls(error),
            CloseReason::WebSocket(error) => Self::WebSocket(error),
            reason => Self::Closed(reason),
        }
    }
}

impl From<SendCause> for AttemptCause {
    /// A closed connection is its target's matter; of anything else the send ends.
    fn from(cause: SendCause) -> Self {
        match cause {
            SendCause::ConnectionClosed => Self::Gone,
            cause => Self::Send(Box::new(cause)),
        }
    }
}

/// Why a connection closed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// It could not be opened.
    #[error("could not connect: {0}")]
    ConnectFailed(io::ErrorKind),
    /// It could not be opened, for want of something here.
    #[error("could not connect, by a fault of this machine: {0}")]
    LocalFault(#[source] LocalFault),
    /// The peer closed it.
    #[error("closed by the peer")]
    Peer,
    /// The operating system reported an error.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// What came is not SIP, or breaks a limit: nothing after it can be trusted (RFC 3261 §18.3).
    #[error("the stream cannot be read: {0}")]
    Framing(sip_core::message::ParseErrorKind),
    /// What a load balancer has to say first was missing or cannot be read.
    #[error("{0}")]
    Proxy(#[source] ProxyError),
    /// TLS failed: the handshake, or what came after it.
    #[error("TLS: {0}")]
    Tls(#[source] TlsError),
    /// WebSocket failed: the upgrade, or what came after it.
    #[error("{0}")]
    WebSocket(#[source] WebSocketError),
    /// A deadline passed.
    #[error("{0}")]
    Deadline(Deadline),
    /// It made room for another connection.
    #[error("closed to keep within the limits")]
    Limit,
    /// Another address of the same server was connected first (RFC 8305 §5).
    #[error("another address of the server was faster")]
    Overtaken,
    /// The application asked for it.
    #[error("closed by the application")]
    Application,
    /// Its channel was removed.
    #[error("the channel was removed")]
    ChannelRemoved,
    /// Its channel came to an end that nobody asked for.
    #[error("the channel failed: {0}")]
    ChannelFailed(#[source] ChannelFailure),
    /// The transport shut down.
    #[error("the transport shut down")]
    Shutdown,
}

/// What was missing on this machine to open a connection.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LocalFault {
    /// This process has as many files open as it may (EMFILE).
    #[error("this process has too many open files")]
    ProcessFiles,
    /// So has the whole system (ENFILE).
    #[error("the system has too many open files")]
    SystemFiles,
    /// No local port is free, or the local address is none of this machine (EADDRNOTAVAIL).
    #[error("no local address or port is left")]
    NoAddress,
    /// There is no memory for it (ENOBUFS, ENOMEM).
    #[error("the system is out of memory for sockets")]
    NoMemory,
    /// A firewall or policy of this machine forbids it (EACCES, EPERM).
    #[error("the system does not permit it")]
    NotPermitted,
}

/// Why a channel that nobody removed has come to its end.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ChannelFailure {
    /// The task of its listener, or of one of its sockets, panicked.
    #[error("its task panicked")]
    Panicked,
    /// The runtime of that task was shut down, or dropped the task.
    #[error("its runtime dropped its task")]
    Dropped,
}

/// What is wrong with the PROXY header of a connection from a trusted load balancer.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ProxyError {
    /// Something else came first.
    #[error("a PROXY header was expected first")]
    NoHeader,
    /// It does not follow the grammar of its version.
    #[error("the PROXY header of version {version} cannot be read")]
    Malformed {
        /// 1 or 2.
        version: u8,
    },
    /// It is longer than it may be.
    #[error("the PROXY header has more than {limit} bytes")]
    TooLong {
        /// How long it may be.
        limit: usize,
    },
}

/// Why a flow that was kept counts as dead (RFC 5626 §4.4).
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FlowFailure {
    /// No pong came in time (RFC 5626 §4.4.1). The connection closes.
    #[error("no pong came")]
    NoPong,
    /// No STUN request was answered (RFC 5626 §4.4.2).
    #[error("no keep-alive was answered")]
    NoAnswer,
    /// The peer answered a STUN request with this error (RFC 5626 §4.4.2).
    #[error("the keep-alive was refused: {0}")]
    Refused(u16),
    /// The peer sees us at another address than before: a NAT on the way has forgotten the flow
    /// (RFC 5626 §4.4.2).
    #[error("our address at the peer was {from} and is {to}")]
    AddressChanged {
        /// The address before.
        from: SocketAddr,
        /// The address now.
        to: SocketAddr,
    },
    /// The operating system reports that nobody listens there (RFC 8489 §6.2.1).
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// Why a message that counted as sent did not arrive, as far as this machine knows.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SendFailure {
    /// The operating system refused the datagram or reported an ICMP error for it
    /// (RFC 3261 §18.4).
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The operating system says that the datagram is too long for its way (EMSGSIZE). Nothing is
    /// wrong with the peer: the same message may reach it over TCP, which it takes if sent with
    /// [`SizeRule::PathMtu`](crate::SizeRule::PathMtu).
    #[error("the datagram is too long for its path")]
    TooLarge,
    /// The connection closed before all of it was written.
    #[error("the connection closed: {0}")]
    Closed(#[source] CloseReason),
    /// The channel was removed before it was written.
    #[error("the channel was removed")]
    ChannelRemoved,
}

impl From<io::ErrorKind> for SendFailure {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Io(kind)
    }
}

/// Why a channel was not added.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ChannelError {
    /// The protocol is not compiled in.
    #[error("{0} is not supported by this build")]
    Unsupported(Protocol),
    /// A listener for TLS needs a configuration with a certificate.
    #[error("a {0} listener needs a TLS configuration with a certificate")]
    NoCertificate(Protocol),
    /// Groups are IPv4 multicast addresses, at most 255, and for UDP on all IPv4 addresses.
    #[error("{0} cannot be heard: groups are for UDP on all IPv4 addresses")]
    CannotJoin(Ipv4Addr),
    /// The address has no port: channels are added after binding.
    #[error("{0} has no port: bind first")]
    NoPort(SocketAddr),
    /// There is one on this address already.
    #[error("{0} is there already")]
    Exists(ChannelId),
    /// There is no such channel.
    #[error("there is no {0}")]
    Unknown(ChannelId),
}

/// Why a connection was not accepted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AcceptError {
    /// There is no such channel (any more), or it does not listen.
    #[error("there is no listening {0}")]
    Unknown(ChannelId),
    /// The address (IPv6: /64) has as many connections as it may, all of them in use.
    #[error(
        "{limit} connections from this address are open, all in use: `Config::max_connections_per_ip` \
         allows no more, `Config::per_ip_exempt` would except the address"
    )]
    PerAddress {
        /// The limit.
        limit: usize,
    },
    /// It comes from none of the load balancers that the channel is for.
    #[error("it comes from no load balancer that `ProxyProtocol` trusts")]
    Untrusted,
    /// The application's filter refused it.
    #[error("`Config::accept_filter` refused it")]
    Filtered,
    /// There are as many connections as may be, and none makes room for this one: those of its own
    /// address are in use and no other holds more than it would, or all are trusted and in use.
    #[error(
        "{limit} connections are open, and none makes room for another of this address: \
         `Config::max_connections` or the limit of open files allows no more"
    )]
    Full {
        /// The limit.
        limit: usize,
    },
}
