//! What connections tell the router.

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
    /// Takes a notice of a [`Connection`](crate::parts::Connection), which
    /// [`ConnectionEvent::Notice`](crate::parts::ConnectionEvent::Notice) hands out. Notices of a
    /// connection that is gone are ignored.
    pub fn handle_notice(&mut self, now: Instant, connection: ConnectionId, notice: Notice) {
        match notice.0 {
            NoticeKind::Reached => self.race_won(connection),
            NoticeKind::Announced { remote } => {
                let answer = self.announced(now, connection, remote);
                self.command(connection, CommandKind::Admit(answer));
            }
            NoticeKind::Connected {
                local,
                identity,
                waits,
            } => {
                // What waits in one that is being closed comes back.
                if self.connected(connection, local, identity) && waits {
                    self.command(connection, CommandKind::Serve);
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

    /// A connection is open, from this address of ours, to a peer that has proved to be this. False
    /// if it is being closed.
    fn connected(
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

    /// A connection is gone, or failed to open.
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
