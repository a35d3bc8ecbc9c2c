use super::Router;

/// How much a [`Router`] holds at the moment, by number: to be watched, and all zero again, but for
/// [`sent_bys`](Self::sent_bys), once it is shut down and its connections are closed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Held {
    /// Connections, open, opening and closing: at most
    /// [`max_connections`](crate::Config::max_connections).
    pub connections: usize,
    /// Sends that wait for a lookup, a local address or a socket: at most
    /// [`max_waiting_sends`](crate::Config::max_waiting_sends).
    pub waiting: usize,
    /// Bytes queued for all connections.
    pub queued_bytes: usize,
    /// Servers to several of whose addresses connections are being opened (RFC 8305 §5).
    pub races: usize,
    /// Plans that have not ended.
    pub plans: usize,
    /// Lookups that are not answered.
    pub lookups: usize,
    /// Answers that are remembered.
    pub answers: usize,
    /// Targets that failed lately.
    pub failed_targets: usize,
    /// Targets that gave no connection to a request too large for UDP.
    pub targets_without_tcp: usize,
    /// Local addresses that are remembered, by destination: at most 1,024.
    pub local_addresses: usize,
    /// UDP flows that are kept alive.
    pub kept_flows: usize,
    /// Names that requests carried as sent-by, beside those of channels: at most
    /// [`max_remembered_sent_by`](crate::Config::max_remembered_sent_by). Responses may come as long
    /// as there is a socket.
    pub sent_bys: usize,
}

impl Router {
    /// What it holds at the moment.
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
            sent_bys: self.shared.names.seen(),
        }
    }
}
