//! The events of a connection.

use core::net::SocketAddr;
use std::sync::Arc;

use crate::connection::notice::{Command, CommandKind, Notice};
use crate::context::ChannelContext;
use crate::context::tap::TapCall;
use crate::event::Event;
use crate::ids::ChannelId;
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::outgoing::outcome::Returned;
use crate::protocol::Protocol;
use crate::websocket::UpgradeCheck;

/// An event of a [`Connection`](crate::parts::Connection), for its owner to handle before the next
/// one. The enum is exhaustive: an owner that omits one does not compile.
#[derive(Debug)]
// A message is not boxed, as that would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever drives it is to be told by the compiler of what is new"
)]
pub enum ConnectionEvent {
    /// An event for the application.
    Event(Event),
    /// A notice to the router: give it to
    /// [`Router::handle_notice`](crate::parts::Router::handle_notice), with no lock held on this
    /// connection.
    Notice(Notice),
    /// A callback of the application: [run](Call::run) it, with no lock held, and give its answer
    /// to [`Connection::handle_command`](crate::parts::Connection::handle_command).
    Call(Call),
    /// A send that waited for the connection to open: render it, outside any lock, and
    /// [`queue`](crate::parts::Connection::queue) it. Others wait until the next event is polled,
    /// so that the order is kept.
    Ready(Dispatch, Box<Outgoing>),
    /// A send that waited here and failed, for [`Router::retry`](crate::parts::Router::retry).
    Returned(Returned),
    /// The connection is closed: close the socket, and give the state machine nothing more. Other
    /// events may follow.
    Closed,
}

impl ConnectionEvent {
    pub(super) fn tap(call: TapCall) -> Self {
        Self::Call(Call(CallKind::Tap(call)))
    }
}

/// A deferred call of one of the application's callbacks.
#[derive(Debug)]
pub struct Call(pub(super) CallKind);

#[derive(Debug)]
pub(super) enum CallKind {
    Tap(TapCall),
    /// The accept filter, for the peer that a PROXY header has announced.
    Screen {
        context: Arc<ChannelContext>,
        channel: (ChannelId, Protocol),
        local: SocketAddr,
        remote: SocketAddr,
    },
    Upgrade(UpgradeCheck),
}

impl Call {
    /// Makes the call. Its answer is for
    /// [`Connection::handle_command`](crate::parts::Connection::handle_command).
    #[must_use]
    pub fn run(self) -> Option<Command> {
        let answer = match self.0 {
            CallKind::Tap(call) => {
                call.run();
                return None;
            }
            CallKind::Screen {
                context,
                channel,
                local,
                remote,
            } => CommandKind::Screened {
                allowed: context.allows_accepted(channel, local, remote),
            },
            CallKind::Upgrade(check) => CommandKind::Decide(check.run()),
        };
        Some(Command(answer))
    }
}
