//! The limiter of log messages.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two log messages of the same kind.
const PAUSE: Duration = Duration::from_secs(10);

/// A limiter of log messages: allows the first, and then at most one every ten seconds.
#[derive(Debug, Default)]
pub struct LogLimiter(Mutex<LogState>);

#[derive(Debug, Default)]
struct LogState {
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimiter {
    /// Returns `Some` if the message may be logged now, with the number suppressed since the last
    /// one.
    #[must_use]
    pub fn now(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let too_soon = |last| now.saturating_duration_since(last) < PAUSE;
        if state.last.is_some_and(too_soon) {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(core::mem::take(&mut state.left_out))
    }
}
