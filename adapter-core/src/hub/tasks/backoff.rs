use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use sip_transport_proto::parts::LogLimiter;

use crate::hub::alarm::Alarm;
use crate::runtime::Runtime;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses after errors of a system call that may pass, such as "too many open files": longer each
/// time, until it works again.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
    until: Option<Instant>,
    alarm: Alarm,
    said: LogLimiter,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            pause: FIRST,
            until: None,
            alarm: Alarm::default(),
            said: LogLimiter::default(),
        }
    }

    /// Ready when the call is worth a try.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, runtime: &dyn Runtime) -> Poll<()> {
        if let Some(at) = self.until {
            ready!(self.alarm.poll(cx, runtime, Some(at)));
            self.until = None;
        }
        Poll::Ready(())
    }

    /// The call worked.
    pub(super) fn reset(&mut self) {
        self.pause = FIRST;
    }

    /// The call failed. Whether to say so; if so, how often that was left out.
    pub(super) fn failed(&mut self, now: Instant) -> Option<u64> {
        self.until = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
        self.said.now(now)
    }
}
