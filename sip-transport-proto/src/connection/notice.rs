//! What a connection and the router have to say to each other. Whoever runs them passes it on
//! unread.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::config::keep::Keep;
use crate::error::{AcceptError, CloseReason};
use crate::ids::ConnectionId;
use crate::tls::Identity;
use crate::websocket::Refusal;

/// A message of a [`Connection`](crate::parts::Connection) to its router:
/// [`Router::handle_notice`](crate::parts::Router::handle_notice) takes it.
#[derive(Debug, Eq, PartialEq)]
pub struct Notice(pub(crate) NoticeKind);

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum NoticeKind {
    /// The socket is connected, of a connection that races with others.
    Reached,
    /// A load balancer has said that this is the peer, and the application has nothing against it.
    Announced { remote: SocketAddr },
    /// Messages can pass.
    Connected {
        local: SocketAddr,
        /// Whom the peer has proved to be.
        identity: Option<Arc<Identity>>,
        /// Sends wait for [`CommandKind::Serve`].
        waits: bool,
    },
    /// The first valid message came over an accepted connection.
    FirstMessage,
    /// The peer listens on this port, and offers the connection for requests to it (RFC 5923).
    Alias { port: u16 },
    /// It carries messages. Comes now and then.
    Active,
    /// It carries keep-alives alone. Comes now and then.
    Alive,
    /// Since when bytes have waited for the peer to take them, if they do.
    Behind(Option<Instant>),
    /// All connections together have received more than they may, and this one has to close.
    ReceiveFull(ConnectionId),
    /// It is closed.
    Closed(CloseReason),
}

impl Notice {
    /// The notice that a connection is closed, for an owner who has lost its machine. The machine
    /// itself says so too; the first such notice counts.
    #[must_use]
    pub fn closed(reason: CloseReason) -> Self {
        Self(NoticeKind::Closed(reason))
    }

    /// The notice of the first valid message over an accepted connection.
    #[must_use]
    pub fn first_message() -> Self {
        Self(NoticeKind::FirstMessage)
    }

    /// The notice that a connection carries messages.
    #[must_use]
    pub fn active() -> Self {
        Self(NoticeKind::Active)
    }

    /// The notice that bytes have waited since then for the peer to take them, or do no longer.
    #[must_use]
    pub fn behind(since: Option<Instant>) -> Self {
        Self(NoticeKind::Behind(since))
    }
}

/// A message to a [`Connection`](crate::parts::Connection), of its router or in answer to a
/// [`Call`](crate::parts::Call): [`Connection::handle_command`](crate::parts::Connection::handle_command) takes
/// it.
#[derive(Debug)]
pub struct Command(pub(crate) CommandKind);

#[derive(Debug)]
pub(crate) enum CommandKind {
    /// Let go what waits for the connection to open.
    Serve,
    Close(CloseReason),
    /// Keep the connection alive in this way, or no longer.
    Keep(Option<Keep>),
    /// Whether the application allows the peer that was announced.
    Screened {
        allowed: bool,
    },
    /// Whether the limits do.
    Admit(Result<(), AcceptError>),
    /// What the application says to an upgrade.
    Decide(Result<(), Refusal>),
}

impl Command {
    /// Why the connection is to close, if that is what the command says.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.0 {
            CommandKind::Close(reason) => Some(reason),
            _ => None,
        }
    }
}
