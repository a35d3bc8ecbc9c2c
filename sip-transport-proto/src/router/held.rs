//! The resources that a router holds.

use super::Router;

/// The number of resources that a [`Router`] holds at the moment, for monitoring. All are zero
/// again, except [`sent_bys`](Self::sent_bys), once it is shut down and its connections are closed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Held {
    /// Connections, open, opening and closing: at most
    /// [`max_connections`](crate::Config::max_connections).
    pub connections: usize,
    /// Sends and plans that wait for a lookup, a local address or a socket: at most
    /// [`max_waiting_sends`](crate::Config::max_waiting_sends).
    pub waiting: usize,
    /// Bytes queued for all connections.
    pub queued_bytes: usize,
    /// Races in progress: servers of which several addresses are being tried (RFC 8305 §5).
    pub races: usize,
    /// Plans in progress.
    pub plans: usize,
    /// Lookups not answered yet.
    pub lookups: usize,
    /// Cached answers.
    pub answers: usize,
    /// Targets that failed recently.
    pub failed_targets: usize,
    /// Targets to which no TCP connection could be opened for a request too large for UDP.
    pub targets_without_tcp: usize,
    /// Cached local addresses, by destination: at most 1,024.
    pub local_addresses: usize,
    /// UDP flows kept alive.
    pub kept_flows: usize,
    /// Names that requests carried as sent-by, besides those of channels: at most
    /// [`max_remembered_sent_by`](crate::Config::max_remembered_sent_by). Responses may arrive as
    /// long as there is a socket.
    pub sent_bys: usize,
}

impl Router {
    /// The resources that the router holds at the moment.
    pub fn held(&self) -> Held {
        Held {
            connections: self.connections.len(),
            waiting: self.queries.len(),
            queued_bytes: self.queued_bytes(),
            races: self.races.len(),
            plans: self.resolver.plans(),
            lookups: self.resolver.open_lookups(),
            answers: self.resolver.remembered(),
            failed_targets: self.resolver.failed_targets(),
            targets_without_tcp: self.without_tcp.len(),
            local_addresses: self.queries.local_addresses(),
            kept_flows: self.kept_flows(),
            sent_bys: self.context.names.seen(),
        }
    }
}
