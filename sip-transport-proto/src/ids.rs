//! Identifiers of the objects in a transport. None is reused within one transport.

use core::fmt;
use core::net::IpAddr;

/// The transport that an id belongs to: ids of one transport mean nothing to another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct TransportId(pub(crate) u32);

/// A channel: a protocol on a bound address, or a client-only channel.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelId {
    pub(crate) transport: TransportId,
    pub(crate) index: u32,
}

impl ChannelId {
    /// The id of a socket of this datagram channel, by its index from 0.
    pub fn socket(self, index: u16) -> SocketId {
        SocketId {
            channel: self,
            index,
        }
    }
}

/// A stream connection, from the decision to connect, or the accept, until its close.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId {
    pub(crate) transport: TransportId,
    pub(crate) serial: u64,
}

impl ConnectionId {
    /// A number below `workers` that distributes connections evenly; 0 if there are no workers.
    pub fn shard(self, workers: usize) -> usize {
        usize::try_from(self.serial)
            .ok()
            .and_then(|n| n.checked_rem(workers))
            .unwrap_or(0)
    }
}

/// A socket of a datagram channel, which may have several, one for each worker.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "made by users, and complete")]
pub struct SocketId {
    /// The channel.
    pub channel: ChannelId,
    /// The index of the socket, from 0.
    pub index: u16,
}

/// A send, as named in [`Sent`](crate::Sent), in errors and in events.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SendId(pub(crate) u64);

impl From<SendId> for u64 {
    fn from(id: SendId) -> Self {
        id.0
    }
}

/// The inverse of `u64::from`, for a number that was attached to a socket.
impl From<u64> for SendId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// A query: a plan that the application asked for, or the local address towards a peer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueryId(pub(crate) u64);

/// A number that is unique to the connection within its transport, for use in a table of sockets.
impl From<ConnectionId> for u64 {
    fn from(id: ConnectionId) -> Self {
        id.serial
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {}", self.index)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.serial)
    }
}

impl fmt::Display for SendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "send {}", self.0)
    }
}

/// The carrier of a message's bytes: a datagram socket or a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are only these")]
pub enum Carrier {
    /// A datagram socket.
    Datagram {
        /// The socket.
        socket: SocketId,
        /// The source address to send from, if the socket is bound to the unspecified address.
        source: Option<IpAddr>,
    },
    /// A connection, open or being opened.
    Connection(ConnectionId),
}

impl Carrier {
    /// The connection, if it is one.
    pub(crate) const fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::Connection(id) => Some(id),
            Self::Datagram { .. } => None,
        }
    }
}
