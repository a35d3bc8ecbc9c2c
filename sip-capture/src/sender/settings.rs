//! The settings of a sender.

use std::time::Duration;

/// The settings of a [`Sender`](crate::Sender).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SenderSettings {
    /// The most bytes of frames that wait. Default: 4 MiB.
    pub queue: usize,
    /// The time in which a connection must be open. Default: 10 s.
    pub connect_timeout: Duration,
    /// The time after which a connection is closed that takes nothing of what waits. Default: 30 s.
    pub stall_timeout: Duration,
    /// The wait before a lost connection is opened again. It doubles each time until something is
    /// written. Default: 1 s; less than 100 ms counts as that.
    pub backoff_min: Duration,
    /// The longest such wait. Default: 60 s.
    pub backoff_max: Duration,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            queue: 4 << 20,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }
}
