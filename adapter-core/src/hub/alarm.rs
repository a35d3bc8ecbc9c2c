//! A timer for moving deadlines.

use std::task::{Context, Poll};
use std::time::Instant;

use crate::runtime::{Runtime, Timer};

/// A timer for a deadline that mostly moves away: it is reset only when it fires, or when the
/// deadline becomes earlier.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    timer: Option<(Instant, Box<dyn Timer>)>,
}

impl Alarm {
    /// Ready once the clock has reached `deadline`; never without one.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        runtime: &dyn Runtime,
        deadline: Option<Instant>,
    ) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        // The clock decides: a timer may be late, or have been set for an earlier deadline.
        if runtime.now() >= deadline {
            return Poll::Ready(());
        }
        let (at, timer) = self
            .timer
            .get_or_insert_with(|| (deadline, runtime.timer(deadline)));
        if deadline < *at {
            *at = deadline;
            timer.reset(deadline);
        }
        while timer.poll(cx).is_ready() {
            if runtime.now() >= deadline {
                return Poll::Ready(());
            }
            *at = deadline;
            timer.reset(deadline);
        }
        Poll::Pending
    }
}
