//! What a transport asks of its owner.

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

/// What a [`Transport`] asks of its owner.
#[derive(Debug)]
#[non_exhaustive]
// A message is kept where it is: boxing it would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
pub enum Output {
    /// Something for the application.
    Event(Event),
    /// Send a datagram. If that fails, say so by [`Transport::handle_datagram_failed`].
    Datagram {
        /// On this socket.
        socket: SocketId,
        /// The datagram.
        transmit: Transmit,
    },
    /// A connection has bytes to write: [`Transport::transmit`] shows them. Comes again after
    /// each input that leaves some.
    Writable(ConnectionId),
    /// Open a connection; answer with [`Transport::handle_connected`] or
    /// [`Transport::handle_error`].
    Connect {
        /// Its id.
        connection: ConnectionId,
        /// Where to.
        remote: SocketAddr,
        /// The local address to connect from, if not any.
        local: Option<IpAddr>,
    },
    /// Close a connection's socket. The id is done with.
    Close(ConnectionId),
    /// Bind a datagram socket on this address, with port 0; answer with
    /// [`Transport::handle_bound`].
    Bind {
        /// The channel it is for.
        channel: ChannelId,
        /// The address.
        local: SocketAddr,
    },
    /// Look up DNS records; answer with [`Transport::handle_lookup`]. The name is complete: no
    /// search list applies.
    Lookup {
        /// The question.
        id: LookupId,
        /// The type of record.
        kind: LookupKind,
        /// The name.
        name: DomainName,
    },
    /// Nobody waits for this lookup any more: the asking may end, and an answer is ignored.
    CancelLookup(LookupId),
    /// The answer to [`Transport::plan`].
    Planned {
        /// Which.
        query: QueryId,
        /// The targets, best first, at least one.
        result: Result<Vec<Target>, SendCause>,
    },
    /// Find the address that the system sends from; answer with
    /// [`Transport::handle_local_address`].
    LocalAddress {
        /// The question.
        query: QueryId,
        /// The destination.
        remote: SocketAddr,
    },
    /// Nothing more for now: wait for input, or until then, and for what.
    Timeout(Option<(Instant, Deadline)>),
}
