//! The messages between a connection and the router. Their owner passes them on unread.

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
    /// The socket of a connection that races with others is connected.
    Connected,
    /// A PROXY header has announced this peer, and the application does not refuse it.
    Announced { remote: SocketAddr },
    /// The connection is open: messages can pass.
    Opened {
        local: SocketAddr,
        /// The identity that the peer has proved.
        identity: Option<Arc<Identity>>,
        /// Sends wait for [`CommandKind::ReleasePending`].
        waits: bool,
    },
    /// The first valid message was received over an accepted connection.
    FirstMessage,
    /// The peer listens on this port, and offers the connection for requests to it (RFC 5923).
    Alias { port: u16 },
    /// It carries messages. Sent now and then.
    Active,
    /// It carries keep-alives alone. Sent now and then.
    Alive,
    /// The time since which bytes have waited for the peer to read them, if they have.
    Behind(Option<Instant>),
    /// All connections together have received more than they may, and this one has to close.
    ReceiveFull(ConnectionId),
    /// The connection is closed.
    Closed(CloseReason),
}

impl Notice {
    /// The notice that a connection is closed, for an owner that has lost its state machine. The
    /// state machine sends this notice too; the first one counts.
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

    /// The notice that the peer has been behind since this time, or (`None`) has caught up.
    #[must_use]
    pub fn behind(since: Option<Instant>) -> Self {
        Self(NoticeKind::Behind(since))
    }
}

/// A command to a [`Connection`](crate::parts::Connection), from its router or in answer to a
/// [`Call`](crate::parts::Call):
/// [`Connection::handle_command`](crate::parts::Connection::handle_command) takes it.
#[derive(Debug)]
pub struct Command(pub(crate) CommandKind);

#[derive(Debug)]
pub(crate) enum CommandKind {
    /// Give out the sends that wait for the connection to open.
    ReleasePending,
    Close(CloseReason),
    /// Keep the connection alive in this way, or stop keeping it alive.
    Keep(Option<Keep>),
    /// The application's answer about the announced peer.
    Screened {
        allowed: bool,
    },
    /// The router's answer: whether its limits allow the peer.
    Admit(Result<(), AcceptError>),
    /// The application's answer to an upgrade request.
    Decide(Result<(), Refusal>),
}

impl Command {
    /// The reason to close the connection, if the command closes it.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self.0 {
            CommandKind::Close(reason) => Some(reason),
            _ => None,
        }
    }
}
