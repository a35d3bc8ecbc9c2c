//! Calls to the application's callbacks: a panic is caught, counted, and logged once.

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use std::panic::catch_unwind;

use tracing::error;

use crate::context::ChannelContext;
use crate::observe::trace::CALLBACK;

/// A kind of application callback.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Callback {
    Tap,
    AcceptFilter,
    HeaderHook,
    UpgradeCheck,
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tap => "the tap",
            Self::AcceptFilter => "the accept filter",
            Self::HeaderHook => "the header hook",
            Self::UpgradeCheck => "the upgrade check",
        })
    }
}

/// The application's callback panicked, and had no result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Panicked;

impl ChannelContext {
    /// Calls a callback of the application; counts a panic, and logs the first of each kind. A
    /// panic must not end the calling task, on which channels and sends of others depend.
    pub(crate) fn call<T>(
        &self,
        callback: Callback,
        call: impl FnOnce() -> T,
    ) -> Result<T, Panicked> {
        catch_unwind(AssertUnwindSafe(call)).map_err(|_| {
            self.panicked(callback);
            Panicked
        })
    }

    pub(crate) fn panicked(&self, callback: Callback) {
        self.counters.callback_panics.one();
        if self.log_limits.panics.is_first(callback) {
            error!(target: CALLBACK, "{callback} panicked: further panics of it are only counted");
        }
    }
}

/// The kinds of callback of which a panic has been logged.
#[derive(Debug, Default)]
pub(crate) struct LoggedPanics([AtomicBool; 4]);

impl LoggedPanics {
    fn is_first(&self, callback: Callback) -> bool {
        let logged = self.0.get(callback as usize);
        logged.is_some_and(|logged| !logged.swap(true, Relaxed))
    }
}
