//! The errors of the crate: one enum for each operation.

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

/// The error of a send that ended without its message being sent.
///
/// Returns the message unchanged, and lists the targets that were tried.
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

    /// The cause of the failure.
    pub fn cause(&self) -> &SendCause {
        &self.0.cause
    }

    /// The id of the send.
    pub fn send(&self) -> SendId {
        self.0.send
    }

    /// The targets that were tried, in order, with the cause of each failure.
    pub fn tried(&self) -> &[Attempt] {
        &self.0.tried
    }

    /// The message as it was submitted.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// Returns the message.
    pub fn into_message(self) -> Message {
        self.0.message
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.cause)?;
        for attempt in &self.0.tried {
            if matches!(&attempt.cause, AttemptCause::Send(cause) if **cause == self.0.cause) {
                // Printed above.
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

/// The cause that ended a send.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SendCause {
    /// A part of the message that sending depends on is missing or malformed.
    #[error("the message cannot be sent: {what}: {error}")]
    Malformed {
        /// The part of the message.
        what: &'static str,
        /// The error in it.
        #[source]
        error: ValueError,
    },
    /// The message lacks this header.
    #[error("the message has no {0}")]
    Missing(&'static str),
    /// The next hop's URI names no host that SIP can be sent to.
    #[error("a {scheme} URI names no host to send to")]
    NoHost {
        /// The URI's scheme.
        scheme: String,
    },
    /// The next hop's URI or Via asks for a transport that is not supported.
    #[error("transport {0} is not supported")]
    UnsupportedTransport(String),
    /// A `sips` target over a transport that cannot protect it (RFC 3261 §26.2.2).
    #[error("sips cannot go over {0}")]
    Insecure(Protocol),
    /// The response's Via names no address, or one that is not accepted from a Via.
    #[error("the response's Via names no address to send to")]
    NoResponseAddress,
    /// No channel can send there, and none may be created. For a multicast group: none has joined
    /// it.
    #[error("no channel carries {protocol} to {remote}")]
    NoChannel {
        /// The protocol required.
        protocol: Protocol,
        /// The destination.
        remote: IpAddr,
    },
    /// The destination is an IPv6 multicast group, which
    /// [`Config::ipv6_multicast`](crate::Config::ipv6_multicast) does not allow (RFC 3261 §18.1.1).
    #[error("sending to {0} is not allowed: multicast over IPv6")]
    Ipv6Multicast(IpAddr),
    /// The connection that the response needs is closed, and none may be opened.
    #[error("the connection is closed")]
    ConnectionClosed,
    /// The next hop's name could not be resolved (RFC 3263).
    #[error("{0}")]
    Resolve(#[source] PlanError),
    /// Every target failed; [`SendError::tried`] lists the causes.
    #[error("no target took the message")]
    AllTargetsFailed,
    /// The connection's send queue is full, or the total of all send queues has been reached.
    #[error("the send queue is full ({limit} bytes)")]
    QueueFull {
        /// The limit that was reached.
        limit: usize,
    },
    /// Too many sends are waiting for lookups and connections.
    #[error("{limit} sends are waiting already")]
    TooManyWaiting {
        /// The limit.
        limit: usize,
    },
    /// The limit of connections has been reached.
    #[error("there are {limit} connections already")]
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// Neither the channel nor the transport has a TLS configuration to connect with.
    #[error("there is no TLS configuration to connect with")]
    NoTlsConfig,
    /// TLS needs a name or address for the peer to prove, and the message has none.
    #[error("there is no name for the peer to prove")]
    NoTlsName,
    /// The message is larger than a datagram can be.
    #[error("{len} bytes do not fit into a datagram")]
    TooLarge {
        /// The message's length.
        len: usize,
    },
    /// The channel was removed while the send was waiting.
    #[error("the channel was removed")]
    ChannelRemoved,
    /// The application's [header hook](crate::Config::header_hook) panicked.
    #[error("the application's header hook panicked")]
    HookPanicked,
    /// The transport is shutting down.
    #[error("the transport is shutting down")]
    ShuttingDown,
}

/// The error of deriving an ACK or a CANCEL from a request.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeriveError {
    /// The message as sent cannot be parsed.
    #[error("the request as sent cannot be read: {0}")]
    Parse(#[from] ParseError),
    /// The message is a response, or lacks a header that is to be copied.
    #[error("a request with {0} is needed")]
    Missing(&'static str),
}

/// A failed attempt of a send at one target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Attempt {
    /// The target, with the reason for its selection.
    pub target: Target,
    /// The cause of the failure.
    pub cause: AttemptCause,
}

/// The cause of a failed attempt at a target.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AttemptCause {
    /// The connection was refused or failed otherwise.
    #[error("could not connect: {0}")]
    Connect(io::ErrorKind),
    /// The connection or socket could not be opened for lack of a local resource. The target is not
    /// at fault, and is not deferred for it.
    #[error("a fault of this machine: {0}")]
    LocalFault(#[source] LocalFault),
    /// The operating system has no route there.
    #[error("no route: {0}")]
    NoRoute(io::ErrorKind),
    /// The TLS handshake failed, or the certificate does not match the expected name.
    #[error("TLS: {0}")]
    Tls(#[source] TlsError),
    /// The peer did not accept the connection as SIP over WebSocket.
    #[error("{0}")]
    WebSocket(#[source] WebSocketError),
    /// A deadline passed.
    #[error("{0}")]
    Deadline(Deadline),
    /// The connection closed before the message could be handed to it.
    #[error("the connection closed: {0}")]
    Closed(#[source] CloseReason),
    /// The connection had closed when the message reached it; the target is tried once more.
    #[error("the connection is gone")]
    Gone,
    /// The request is too large for UDP (RFC 3261 §18.1.1): reported by
    /// [`Dispatch::render`](crate::parts::Dispatch::render), upon which
    /// [`Router::retry`](crate::parts::Router::retry) goes on over TCP.
    #[error("{len} bytes are more than the {limit} that may go over UDP")]
    TooLargeForUdp {
        /// The request's length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The send could not begin.
    #[error("{0}")]
    Send(#[source] Box<SendCause>),
    /// The message was sent there, and the application moved on to the next target, without an
    /// answer or after a 503 (RFC 3263 §4.3).
    #[error("the application moved on to the next target")]
    Left,
}

impl AttemptCause {
    /// Returns true if the target itself is at fault, so that it is tried last for a while.
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
    /// The cause for a send that was waiting for the connection.
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
    /// A closed connection concerns its target only; any other cause ends the send.
    fn from(cause: SendCause) -> Self {
        match cause {
            SendCause::ConnectionClosed => Self::Gone,
            cause => Self::Send(Box::new(cause)),
        }
    }
}

/// The reason why a connection closed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The connection could not be opened.
    #[error("could not connect: {0}")]
    ConnectFailed(io::ErrorKind),
    /// The connection could not be opened, for lack of a local resource.
    #[error("could not connect, for a local reason: {0}")]
    LocalFault(#[source] LocalFault),
    /// The peer closed it.
    #[error("closed by the peer")]
    Peer,
    /// The operating system reported an error.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The data received is not SIP, or exceeds a limit: nothing after it can be trusted (RFC 3261
    /// §18.3).
    #[error("the stream cannot be parsed: {0}")]
    Framing(sip_core::message::ParseErrorKind),
    /// The PROXY header of a load balancer was missing or malformed.
    #[error("{0}")]
    Proxy(#[source] ProxyError),
    /// TLS failed, during or after the handshake.
    #[error("TLS: {0}")]
    Tls(#[source] TlsError),
    /// WebSocket failed, during or after the handshake.
    #[error("{0}")]
    WebSocket(#[source] WebSocketError),
    /// A deadline passed.
    #[error("{0}")]
    Deadline(Deadline),
    /// The connection made room for another one.
    #[error("closed to keep within the limits")]
    Limit,
    /// A connection to another address of the same server was established first (RFC 8305 §5).
    #[error("another address of the server was faster")]
    Overtaken,
    /// The application closed the connection.
    #[error("closed by the application")]
    Application,
    /// Its channel was removed.
    #[error("the channel was removed")]
    ChannelRemoved,
    /// Its channel failed.
    #[error("the channel failed: {0}")]
    ChannelFailed(#[source] ChannelFailure),
    /// The transport shut down.
    #[error("the transport shut down")]
    Shutdown,
}

/// The local resource that was lacking for a connection or socket.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum LocalFault {
    /// The process has reached its limit of open files (EMFILE).
    #[error("this process has too many open files")]
    ProcessFiles,
    /// The system has reached its limit of open files (ENFILE).
    #[error("the system has too many open files")]
    SystemFiles,
    /// No local port is free, or the local address is not one of this host (EADDRNOTAVAIL).
    #[error("no local address or port is left")]
    NoAddress,
    /// The system has no memory for the socket (ENOBUFS, ENOMEM).
    #[error("the system is out of memory for sockets")]
    NoMemory,
    /// A local firewall or policy forbids it (EACCES, EPERM).
    #[error("the system does not permit it")]
    NotPermitted,
}

/// The cause of the failure of a channel.
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

/// The error in the PROXY header of a connection from a trusted load balancer.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ProxyError {
    /// Other data came in place of a header.
    #[error("expected a PROXY header first")]
    NoHeader,
    /// The header does not follow the grammar of its version.
    #[error("the PROXY header of version {version} is malformed")]
    Malformed {
        /// The version of the header: 1 or 2.
        version: u8,
    },
    /// The header is too long.
    #[error("the PROXY header has more than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

/// The evidence that a flow is dead (RFC 5626 §4.4).
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FlowFailure {
    /// No pong arrived in time (RFC 5626 §4.4.1). The connection closes.
    #[error("no pong arrived in time")]
    NoPong,
    /// No STUN request was answered (RFC 5626 §4.4.2).
    #[error("no keep-alive was answered")]
    NoAnswer,
    /// The peer answered a STUN request with this error (RFC 5626 §4.4.2).
    #[error("the keep-alive was refused: {0}")]
    Refused(u16),
    /// The peer sees us at a different address than before: a NAT on the path has lost its binding
    /// (RFC 5626 §4.4.2).
    #[error("our address as seen by the peer changed from {from} to {to}")]
    AddressChanged {
        /// The address before.
        from: SocketAddr,
        /// The address now.
        to: SocketAddr,
    },
    /// The operating system reports that the peer does not listen (RFC 8489 §6.2.1).
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// The cause, as far as is known locally, why a message reported as sent did not arrive.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SendFailure {
    /// The operating system refused the datagram or reported an ICMP error for it
    /// (RFC 3261 §18.4).
    #[error("{0}")]
    Io(io::ErrorKind),
    /// The operating system reports that the datagram exceeds the MTU (EMSGSIZE). The peer is not
    /// at fault: the same message may reach it over TCP, which is used if it is sent with
    /// [`SizeRule::PathMtu`](crate::SizeRule::PathMtu).
    #[error("the datagram is too long for the path")]
    TooLarge,
    /// The connection closed before the whole message was written.
    #[error("the connection closed: {0}")]
    Closed(#[source] CloseReason),
    /// The channel was removed before the message was written.
    #[error("the channel was removed")]
    ChannelRemoved,
}

impl From<io::ErrorKind> for SendFailure {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Io(kind)
    }
}

/// The error of adding or changing a channel.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ChannelError {
    /// The protocol is not part of this build.
    #[error("{0} is not supported by this build")]
    Unsupported(Protocol),
    /// A TLS listener needs a configuration with a certificate.
    #[error("a {0} listener needs a TLS configuration with a certificate")]
    NoCertificate(Protocol),
    /// The group cannot be joined: groups are IPv4 multicast addresses, at most 255 of them, on UDP
    /// channels bound to all IPv4 addresses.
    #[error("{0} cannot be joined: multicast needs a UDP channel on all IPv4 addresses")]
    CannotJoin(Ipv4Addr),
    /// The address has no port: channels are added after binding.
    #[error("{0} has no port: bind first")]
    NoPort(SocketAddr),
    /// There is a channel on this address already.
    #[error("{0} has this address already")]
    Exists(ChannelId),
    /// There is no such channel.
    #[error("no such channel: {0}")]
    Unknown(ChannelId),
}

/// The reason why a connection was not accepted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AcceptError {
    /// The channel does not exist (any more), or does not listen.
    #[error("{0} does not exist or does not listen")]
    Unknown(ChannelId),
    /// The address (in IPv6 the /64) has reached its limit of connections, all of them in use.
    #[error(
        "{limit} connections from this address are open, all in use: `Config::max_connections_per_ip` \
         allows no more, `Config::per_ip_exempt` would exempt the address"
    )]
    PerAddress {
        /// The limit.
        limit: usize,
    },
    /// The connection comes from none of the load balancers that the channel trusts.
    #[error("it does not come from a load balancer that `ProxyProtocol` trusts")]
    Untrusted,
    /// The application's filter refused it.
    #[error("`Config::accept_filter` refused it")]
    Filtered,
    /// The limit of connections has been reached and none makes room for this one: those of its own
    /// address are in use and no other address holds more, or all are trusted and in use.
    #[error(
        "{limit} connections are open, and none makes room for another of this address: \
         `Config::max_connections` or the limit of open files allows no more"
    )]
    Full {
        /// The limit.
        limit: usize,
    },
}
