//! What a router asks of its owner.

use core::net::{IpAddr, SocketAddr};

#[cfg(doc)]
use crate::connection::Connection;
use crate::connection::notice::Command;
use crate::endpoint::Transmit;
use crate::error::{SendCause, SendError};
use crate::event::Event;
use crate::ids::{ChannelId, ConnectionId, QueryId, SocketId};
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::resolve::{DomainName, LookupId, LookupKind, Target};
#[cfg(doc)]
use crate::router::Router;

/// Something the router asks of its owner. All kinds there are: an owner who leaves one out does not
/// compile.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub enum RouterOutput {
    /// Open a connection, and report to its machine, which is to be had from
    /// [`Router::take_machine`].
    Connect {
        /// The connection.
        connection: ConnectionId,
        /// The address to connect to.
        remote: SocketAddr,
        /// The local address to connect from, if not any.
        local: Option<IpAddr>,
    },
    /// A message to a connection: give it to [`Connection::handle_command`].
    Command {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        command: Command,
    },
    /// Bind a datagram socket for a channel that only sends, and answer with
    /// [`Router::handle_bound`].
    Bind {
        /// The channel.
        channel: ChannelId,
        /// The address, with port 0.
        local: SocketAddr,
    },
    /// Look up DNS records, and answer with [`Router::handle_lookup`]. The name is complete: no
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
    /// The answer to [`Router::plan`].
    Planned {
        /// Which.
        query: QueryId,
        /// The targets, best first, at least one.
        result: Result<Vec<Target>, SendCause>,
    },
    /// Find the local address that the system sends from, and answer with
    /// [`Router::handle_local_address`].
    LocalAddress {
        /// The question.
        query: QueryId,
        /// The destination.
        remote: SocketAddr,
    },
    /// Send a datagram: a keep-alive. If that fails, say so by [`Router::send_failed`].
    Datagram {
        /// On this socket.
        socket: SocketId,
        /// The datagram.
        transmit: Transmit,
    },
    /// Something for the application.
    Event(Event),
    /// [`Router::poll_timeout`] has come nearer.
    Rearm,
    /// A send that waited has its way.
    Routed(Dispatch, Box<Outgoing>),
    /// A send that waited has failed.
    Failed(SendError),
}
