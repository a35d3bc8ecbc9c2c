//! What a connection tells its owner.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{AttemptCause, CloseReason};
use crate::event::Event;
#[cfg(feature = "proxy")]
use crate::ids::ChannelId;
use crate::ids::ConnectionId;
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::shared::tap::TapCall;
use crate::tls::Identity;
#[cfg(feature = "ws")]
use crate::websocket::UpgradeCheck;

/// What a connection tells its owner.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)]
pub enum ConnectionEvent {
    /// For the application.
    Event(Event),
    /// A trusted load balancer has said who has connected, or that it has itself: ask
    /// [`Router::accept_filter`](crate::Router::accept_filter) and then
    /// [`Router::handle_announced`](crate::Router::handle_announced), with no lock held on this
    /// connection, and hand what they say to [`Connection::admit`](crate::Connection::admit).
    #[cfg(feature = "proxy")]
    Announced {
        /// The channel.
        channel: ChannelId,
        /// Our own end.
        local: SocketAddr,
        /// The peer's end, as the header says.
        remote: SocketAddr,
    },
    /// For [`Router::handle_reached`](crate::Router::handle_reached): the socket is connected, of a
    /// connection that races with others.
    Reached,
    /// For [`Router::handle_connected`](crate::Router::handle_connected); if that says so, sends
    /// that waited can be rendered now: ask for [`Connection::next_pending`](crate::Connection::next_pending).
    Connected {
        /// Our own end.
        local: SocketAddr,
        /// Whom the peer has proved to be.
        identity: Option<Arc<Identity>>,
    },
    /// A WebSocket client asks to be let in: run the check, with no lock held, and hand what it says
    /// to [`Connection::decide`](crate::Connection::decide).
    #[cfg(feature = "ws")]
    Upgrade(UpgradeCheck),
    /// A message for those who watch: [run](TapCall::run) it, with no lock held.
    Tap(TapCall),
    /// For [`Router::handle_first_message`](crate::Router::handle_first_message).
    FirstMessage,
    /// For [`Router::handle_alias`](crate::Router::handle_alias).
    Alias {
        /// The port that the peer listens on.
        port: u16,
    },
    /// For [`Router::handle_active`](crate::Router::handle_active): now and then while it carries
    /// messages.
    Active,
    /// For [`Router::handle_alive`](crate::Router::handle_alive): now and then while it carries
    /// keep-alives alone.
    Alive,
    /// For [`Router::handle_behind`](crate::Router::handle_behind): since when the peer has been
    /// behind with the bytes for it, if it is.
    Behind(Option<Instant>),
    /// For [`Router::handle_receive_full`](crate::Router::handle_receive_full): all connections
    /// together have received more than they may, and this one has to close.
    ReceiveFull(ConnectionId),
    /// For [`Router::handle_closed`](crate::Router::handle_closed). Nothing works any more; close
    /// the socket.
    Closed {
        /// Why.
        reason: CloseReason,
    },
    /// For [`Router::retry`](crate::Router::retry): a send that waited here in vain.
    Returned(Box<Outgoing>, AttemptCause),
}

/// What became of a send given to a connection.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Pushed {
    /// The connection is open: render and [`Connection::queue`](crate::Connection::queue).
    Ready(Dispatch, Box<Outgoing>),
    /// It waits, and comes back from [`Connection::next_pending`](crate::Connection::next_pending) or as
    /// [`ConnectionEvent::Returned`].
    Waiting,
    /// It cannot be sent here: for [`Router::retry`](crate::Router::retry).
    Returned(Box<Outgoing>, AttemptCause),
}
