//! Room for what connections receive.

use std::time::Instant;

use tracing::warn;

use super::Router;
use crate::ids::ConnectionId;
use crate::observe::trace::LIMIT;

impl Router {
    /// All connections together have received more than they may: this one has to close.
    pub(super) fn receive_full(&mut self, now: Instant, connection: ConnectionId) {
        let record = self.connections.get(connection);
        let Some(record) = record.filter(|record| !record.is_closing()) else {
            return;
        };
        let remote = record.remote;
        if let Some(left_out) = self.shared.said.receiving.now(now) {
            let limit = self.shared.config.total_receive_buffer;
            let setting = "total_receive_buffer";
            warn!(target: LIMIT, setting, limit, left_out, %remote, "too much is being received: a connection closes");
        }
        self.evict(connection, |counters| &counters.receiving_evicted);
    }
}
