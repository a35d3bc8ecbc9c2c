//! The counters of a capture.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sip_capture::SenderStats;

use crate::sync::lock;

/// The counters of one capture, which go on after the transport has ended.
#[derive(Debug, Default)]
pub struct CaptureCounters {
    overrun: AtomicU64,
    filtered: AtomicU64,
    sender: Mutex<SenderStats>,
}

/// A reading of [`CaptureCounters`].
///
/// Each message that the transport has shown is in `overrun`, `filtered`, a count of `sender`, or
/// waits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CaptureStats {
    /// Messages dropped as too many waited to be encoded.
    pub overrun: u64,
    /// Messages that the filter does not choose.
    pub filtered: u64,
    /// What became of the others. Of a file, `sent` counts those that were written, `failed` those
    /// that could not be.
    pub sender: SenderStats,
}

impl CaptureCounters {
    /// The counters since the start.
    pub fn stats(&self) -> CaptureStats {
        CaptureStats {
            overrun: self.overrun.load(Relaxed),
            filtered: self.filtered.load(Relaxed),
            sender: *lock(&self.sender),
        }
    }

    pub(super) fn count_overrun(&self) {
        self.overrun.fetch_add(1, Relaxed);
    }

    pub(super) fn count_filtered(&self, messages: u64) {
        self.filtered.fetch_add(messages, Relaxed);
    }

    pub(super) fn set_sender(&self, stats: SenderStats) {
        *lock(&self.sender) = stats;
    }
}
