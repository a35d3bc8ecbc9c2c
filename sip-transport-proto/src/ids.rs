//! Names of the things in a transport. None is used twice within one transport.

use core::fmt;
use core::net::IpAddr;

/// Which transport an id belongs to: ids of one mean nothing to another.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct TransportId(pub(crate) u32);

/// A channel: a bound address and protocol, or a client-only way out.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelId {
    pub(crate) transport: TransportId,
    pub(crate) index: u32,
}

impl ChannelId {
    /// One of the sockets of a datagram channel, counted from 0.
    pub fn socket(self, index: u16) -> SocketId {
        SocketId {
            channel: self,
            index,
        }
    }
}

/// A stream connection, from the decision to connect (or the accept) to its close.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId {
    pub(crate) transport: TransportId,
    pub(crate) serial: u64,
}

impl ConnectionId {
    /// A number that spreads connections over `workers` evenly; 0 if there are none.
    pub fn shard(self, workers: usize) -> usize {
        usize::try_from(self.serial)
            .ok()
            .and_then(|n| n.checked_rem(workers))
            .unwrap_or(0)
    }
}

/// One of the sockets of a datagram channel: a channel may have several, one for each worker.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketId {
    /// The channel.
    pub channel: ChannelId,
    /// Which of its sockets, from 0.
    pub index: u16,
}

/// One send, in `Sent`, in errors and in events.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SendId(pub(crate) u64);

impl From<SendId> for u64 {
    fn from(id: SendId) -> Self {
        id.0
    }
}

/// Back from the number that a socket carried.
impl From<u64> for SendId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// A question to the outside world: a lookup or the local address towards a peer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueryId(pub(crate) u64);

/// A number that no other connection of the transport has, now or later: for a table of sockets.
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

/// What carries the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carrier {
    /// A datagram socket, with the source address to send from where it is bound to all.
    Datagram {
        /// The socket.
        socket: SocketId,
        /// The source address, where the socket has several.
        source: Option<IpAddr>,
    },
    /// A connection, open or being opened.
    Connection(ConnectionId),
}
