use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a thing is said that may happen often.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets a thing be said the first time, and then once in ten seconds at most.
#[derive(Debug, Default)]
pub struct LogLimiter(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimiter {
    /// Whether to say it now; if so, how often it was left out since it was said last.
    #[must_use]
    pub fn now(&self, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let too_soon = |last| now.saturating_duration_since(last) < PAUSE;
        if said.last.is_some_and(too_soon) {
            said.left_out = said.left_out.saturating_add(1);
            return None;
        }
        said.last = Some(now);
        Some(core::mem::take(&mut said.left_out))
    }
}
