//! Pauses after errors.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use sip_transport_proto::parts::LogLimiter;

use crate::hub::alarm::Alarm;
use crate::runtime::Runtime;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses after temporary errors of a system call, such as "too many open files": longer each time,
/// until it succeeds again.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    until: Option<Instant>,
    alarm: Alarm,
    log_limiter: LogLimiter,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            pause: FIRST,
            until: None,
            alarm: Alarm::default(),
            log_limiter: LogLimiter::default(),
        }
    }

    /// Ready when the call may be tried.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, runtime: &dyn Runtime) -> Poll<()> {
        if let Some(at) = self.until {
            ready!(self.alarm.poll(cx, runtime, Some(at)));
            self.until = None;
        }
        Poll::Ready(())
    }

    /// Records a success of the call.
    pub(super) fn reset(&mut self) {
        self.pause = FIRST;
    }

    /// Records a failure of the call. Returns the number of suppressed log records if this one is
    /// to be logged.
    pub(super) fn failed(&mut self, now: Instant) -> Option<u64> {
        self.until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
        self.log_limiter.now(now)
    }
}
