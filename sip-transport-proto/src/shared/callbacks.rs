//! Calls of the application, whose panics are caught, counted, and logged once.

use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use std::panic::catch_unwind;

use tracing::error;

use crate::observe::trace::CALLBACK;
use crate::shared::ChannelContext;

/// A call that the application has given.
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

/// A call of the application panicked, and did not do what it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Panicked;

impl ChannelContext {
    /// Makes a call of the application; counts its panic, and logs the first. A panic must not end the
    /// task that makes the call: channels and sends of others depend on that.
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
        if self.said.panics.is_first(callback) {
            error!(target: CALLBACK, "{callback} panicked: further panics of it are only counted");
        }
    }
}

/// The callbacks of which a panic was logged.
#[derive(Debug, Default)]
pub(crate) struct Panics([AtomicBool; 4]);

impl Panics {
    fn is_first(&self, callback: Callback) -> bool {
        let said = self.0.get(callback as usize);
        said.is_some_and(|said| !said.swap(true, Relaxed))
    }
}
