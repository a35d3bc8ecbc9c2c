//! The notices of connections to the router.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Router, RouterOutput};
use crate::connection::notice::{Command, CommandKind, Notice, NoticeKind};
use crate::error::{AttemptCause, CloseReason};
use crate::ids::ConnectionId;
use crate::protocol::Protocol;
use crate::tls::Identity;

impl Router {
    /// Handles a notice of a [`Connection`](crate::parts::Connection), from
    /// [`ConnectionEvent::Notice`](crate::parts::ConnectionEvent::Notice). Notices of a connection
    /// that is gone are ignored.
    pub fn handle_notice(&mut self, now: Instant, connection: ConnectionId, notice: Notice) {
        match notice.0 {
            NoticeKind::Connected => self.race_won(connection),
            NoticeKind::Announced { remote } => {
                let answer = self.announced(now, connection, remote);
                self.command(connection, CommandKind::Admit(answer));
            }
            NoticeKind::Opened {
                local,
                identity,
                waits,
            } => {
                // A connection that is being closed returns what waits in it.
                if self.opened(connection, local, identity) && waits {
                    self.command(connection, CommandKind::ReleasePending);
                }
            }
            NoticeKind::FirstMessage => self.connections.heard(connection),
            NoticeKind::Alias { port } => self.offered(connection, port),
            NoticeKind::Active => self.connections.active(now, connection),
            NoticeKind::Alive => self.connections.alive(now, connection),
            NoticeKind::Behind(since) => self.connections.behind(connection, since),
            NoticeKind::ReceiveFull(closes) => self.receive_full(now, closes),
            NoticeKind::Closed(reason) => self.closed(now, connection, reason),
        }
    }

    pub(super) fn command(&mut self, connection: ConnectionId, command: CommandKind) {
        self.outputs.push_back(RouterOutput::Command {
            connection,
            command: Command(command),
        });
    }

    /// Handles a connection that has opened, from this local address, to a peer with this identity.
    /// Returns false if it is being closed.
    fn opened(
        &mut self,
        connection: ConnectionId,
        local: SocketAddr,
        identity: Option<Arc<Identity>>,
    ) -> bool {
        self.race_won(connection);
        self.connections.opened(connection, local, identity);
        let Some(record) = self.connections.get(connection) else {
            return false;
        };
        let name = record.name.clone();
        self.resolver
            .worked_at(record.protocol, record.remote, name);
        if record.protocol == Protocol::Tcp {
            self.without_tcp.remove(&record.remote);
        }
        !record.is_closing()
    }

    /// Handles a connection that has closed or failed to open.
    fn closed(&mut self, now: Instant, connection: ConnectionId, reason: CloseReason) {
        let Some(record) = self.connections.remove(connection) else {
            return;
        };
        let failed = record.local.is_none() && AttemptCause::from(reason).is_of_target();
        if failed && !self.closing {
            self.resolver
                .failed_at(now, record.protocol, record.remote, record.name);
        }
        self.racer_gone(now, connection);
    }
}
