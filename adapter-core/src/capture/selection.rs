//! What is captured of the messages that were taken in, and when by the wall clock.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use sip_capture::{CapturedMessage, Filter, Redaction};

use crate::capture::intake::RecordBatch;

/// A filter and a redaction.
#[derive(Debug)]
pub(super) struct Selection {
    filter: Filter,
    redaction: Redaction,
}

impl Selection {
    pub(super) fn new(filter: Filter, redaction: Redaction) -> Self {
        Self { filter, redaction }
    }

    /// Empties `batch` into `take`: each message that the filter chooses, redacted, with the
    /// address of its channel. Returns how many were not chosen. `now` is the runtime's time.
    pub(super) fn take(
        &self,
        batch: &mut RecordBatch,
        now: Instant,
        mut take: impl FnMut(SocketAddr, &CapturedMessage<'_>),
    ) -> u64 {
        // Anew for each batch, as the wall clock may be set.
        let wall = SystemTime::now();
        let mut filtered = 0;
        for (record, bytes) in batch.iter() {
            if !self.filter.matches(record.peer, bytes) {
                filtered += 1;
                continue;
            }
            let (source, destination) = (record.source, record.destination);
            let age = now.saturating_duration_since(record.at);
            let time = wall.checked_sub(age).unwrap_or(wall);
            let bytes = self.redaction.apply(bytes);
            let message = CapturedMessage::new(time, record.protocol, source, destination, &bytes);
            take(record.bound, &message);
        }
        batch.clear();
        filtered
    }
}
