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
    /// [`Router::accept_filter`](crate::parts::Router::accept_filter) and then
    /// [`Router::handle_announced`](crate::parts::Router::handle_announced), with no lock held on this
    /// connection, and hand what they say to [`Connection::admit`](crate::parts::Connection::admit).
    #[cfg(feature = "proxy")]
    Announced {
        /// The channel.
        channel: ChannelId,
        /// Our own end.
        local: SocketAddr,
        /// The peer's end, as the header says.
        remote: SocketAddr,
    },
    /// For [`Router::handle_reached`](crate::parts::Router::handle_reached): the socket is connected, of a
    /// connection that races with others.
    Reached,
    /// For [`Router::handle_connected`](crate::parts::Router::handle_connected); if that says so, sends
    /// that waited can be rendered now: ask for [`Connection::next_pending`](crate::parts::Connection::next_pending).
    Connected {
        /// Our own end.
        local: SocketAddr,
        /// Whom the peer has proved to be.
        identity: Option<Arc<Identity>>,
    },
    /// A WebSocket client asks to be let in: run the check, with no lock held, and hand what it says
    /// to [`Connection::decide`](crate::parts::Connection::decide).
    #[cfg(feature = "ws")]
    Upgrade(UpgradeCheck),
    /// A message for those who watch: [run](TapCall::run) it, with no lock held.
    Tap(TapCall),
    /// For [`Router::handle_first_message`](crate::parts::Router::handle_first_message).
    FirstMessage,
    /// For [`Router::handle_alias`](crate::parts::Router::handle_alias).
    Alias {
        /// The port that the peer listens on.
        port: u16,
    },
    /// For [`Router::handle_active`](crate::parts::Router::handle_active): now and then while it carries
    /// messages.
    Active,
    /// For [`Router::handle_alive`](crate::parts::Router::handle_alive): now and then while it carries
    /// keep-alives alone.
    Alive,
    /// For [`Router::handle_behind`](crate::parts::Router::handle_behind): since when the peer has been
    /// behind with the bytes for it, if it is.
    Behind(Option<Instant>),
    /// For [`Router::handle_receive_full`](crate::parts::Router::handle_receive_full): all connections
    /// together have received more than they may, and this one has to close.
    ReceiveFull(ConnectionId),
    /// For [`Router::handle_closed`](crate::parts::Router::handle_closed). Nothing works any more; close
    /// the socket.
    Closed {
        /// Why.
        reason: CloseReason,
    },
    /// For [`Router::retry`](crate::parts::Router::retry): a send that waited here in vain.
    Returned(Box<Outgoing>, AttemptCause),
}

/// What became of a send given to a connection.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Pushed {
    /// The connection is open: render and [`Connection::queue`](crate::parts::Connection::queue).
    Ready(Dispatch, Box<Outgoing>),
    /// It waits, and comes back from [`Connection::next_pending`](crate::parts::Connection::next_pending) or as
    /// [`ConnectionEvent::Returned`].
    Waiting,
    /// It cannot be sent here: for [`Router::retry`](crate::parts::Router::retry).
    Returned(Box<Outgoing>, AttemptCause),
}
