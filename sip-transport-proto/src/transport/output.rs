//! The outputs of a transport.

use core::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::deadline::Deadline;
use crate::endpoint::Transmit;
use crate::error::SendCause;
use crate::event::Event;
use crate::ids::{ChannelId, ConnectionId, QueryId, SocketId};
use crate::resolve::{DomainName, LookupId, LookupKind, Target};
#[cfg(doc)]
use crate::transport::Transport;

/// An output of a [`Transport`]: a request to its owner, or an event.
#[derive(Debug)]
#[non_exhaustive]
// A message is not boxed, as that would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
pub enum Output {
    /// An event for the application.
    Event(Event),
    /// Send a datagram. If that fails, report it to [`Transport::handle_datagram_failed`].
    Datagram {
        /// The socket to send on.
        socket: SocketId,
        /// The datagram.
        transmit: Transmit,
    },
    /// A connection has bytes to write: [`Transport::transmit`] returns them. Repeated after each
    /// input that leaves some.
    Writable(ConnectionId),
    /// Open a connection; answer with [`Transport::handle_connected`] or
    /// [`Transport::handle_error`].
    Connect {
        /// The id of the connection.
        connection: ConnectionId,
        /// The address to connect to.
        remote: SocketAddr,
        /// The local address to connect from, if not any.
        local: Option<IpAddr>,
    },
    /// Close a connection's socket. Its id is not used again.
    Close(ConnectionId),
    /// Bind a datagram socket on this address, with port 0; answer with
    /// [`Transport::handle_bound`].
    Bind {
        /// The channel.
        channel: ChannelId,
        /// The address.
        local: SocketAddr,
    },
    /// Look up DNS records; answer with [`Transport::handle_lookup`]. The name is complete: no
    /// search list applies.
    Lookup {
        /// The lookup.
        id: LookupId,
        /// The type of record.
        kind: LookupKind,
        /// The name.
        name: DomainName,
    },
    /// This lookup is no longer needed: it may be stopped, and an answer is ignored.
    CancelLookup(LookupId),
    /// The answer to [`Transport::plan`].
    Planned {
        /// The query.
        query: QueryId,
        /// The targets, best first, at least one.
        result: Result<Vec<Target>, SendCause>,
    },
    /// Find the local address that the system uses towards a destination; answer with
    /// [`Transport::handle_local_address`].
    LocalAddress {
        /// The query.
        query: QueryId,
        /// The destination.
        remote: SocketAddr,
    },
    /// Nothing more for now: wait for input, or until this time, which is that of this deadline.
    Timeout(Option<(Instant, Deadline)>),
}
