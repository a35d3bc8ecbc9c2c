//! The limit on the bytes that connections have received.

use std::time::Instant;

use tracing::warn;

use super::Router;
use crate::ids::ConnectionId;
use crate::observe::trace::LIMIT;

impl Router {
    /// Closes a connection, as all together have received more than they may.
    pub(super) fn receive_full(&mut self, now: Instant, connection: ConnectionId) {
        let record = self.connections.get(connection);
        let Some(record) = record.filter(|record| !record.is_closing()) else {
            return;
        };
        let remote = record.remote;
        if let Some(left_out) = self.context.log_limits.receiving.now(now) {
            let limit = self.context.config.total_receive_buffer;
            let setting = "total_receive_buffer";
            warn!(target: LIMIT, setting, limit, left_out, %remote, "receive buffers full: closing a connection");
        }
        self.evict(connection, |counters| &counters.receiving_evicted);
    }
}
