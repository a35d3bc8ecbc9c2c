//! The requests of a router to its owner.

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

/// A request of the router to its owner. The enum is exhaustive: an owner that omits one does not
/// compile.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever drives it is to be told by the compiler of what is new"
)]
pub enum RouterOutput {
    /// Open a connection and report progress to its [`Connection`], obtained from
    /// [`Router::take_machine`].
    Connect {
        /// The connection.
        connection: ConnectionId,
        /// The address to connect to.
        remote: SocketAddr,
        /// The local address to connect from, if not any.
        local: Option<IpAddr>,
    },
    /// A command to a connection: give it to [`Connection::handle_command`].
    Command {
        /// The connection.
        connection: ConnectionId,
        /// The command.
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
        /// The lookup.
        id: LookupId,
        /// The type of record.
        kind: LookupKind,
        /// The name.
        name: DomainName,
    },
    /// This lookup is no longer needed: it may be stopped, and an answer is ignored.
    CancelLookup(LookupId),
    /// The answer to [`Router::plan`].
    Planned {
        /// The query.
        query: QueryId,
        /// The targets, best first, at least one.
        result: Result<Vec<Target>, SendCause>,
    },
    /// Find the local address that the system uses towards a destination, and answer with
    /// [`Router::handle_local_address`].
    LocalAddress {
        /// The query.
        query: QueryId,
        /// The destination.
        remote: SocketAddr,
    },
    /// Send a datagram: a keep-alive. If that fails, report it to [`Router::handle_datagram_failed`].
    Datagram {
        /// The socket to send on.
        socket: SocketId,
        /// The datagram.
        transmit: Transmit,
    },
    /// An event for the application.
    Event(Event),
    /// [`Router::poll_timeout`] has become earlier.
    Rearm,
    /// A waiting send has been routed.
    Routed(Dispatch, Box<Outgoing>),
    /// A waiting send has failed.
    Failed(SendError),
}
