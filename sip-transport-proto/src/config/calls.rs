//! What the application wants to be asked.

use core::fmt;
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::panic::catch_unwind;
use std::sync::Arc;

use sip_core::Message;
use tracing::error;

use crate::shared::Scope;
use crate::trace::CALLBACK;
use crate::{ChannelId, Protocol, SipEndpoint};

/// A call that the application has given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Callback {
    Tap,
    AcceptFilter,
    HeaderHook,
    #[cfg(feature = "ws")]
    UpgradeCheck,
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tap => "the tap",
            Self::AcceptFilter => "the accept filter",
            Self::HeaderHook => "the header hook",
            #[cfg(feature = "ws")]
            Self::UpgradeCheck => "the upgrade check",
        })
    }
}

/// A call of the application panicked, and did not do what it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Panicked;

/// Makes a call of the application, whose panic must not end the task that makes it: channels and
/// sends of others depend on that.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

impl Scope {
    /// Makes a call of the application; counts its panic, and logs the first.
    pub(crate) fn call<T>(
        &self,
        callback: Callback,
        call: impl FnOnce() -> T,
    ) -> Result<T, Panicked> {
        caught(call).inspect_err(|_| self.panicked(callback))
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

/// The application's last word on a message.
#[derive(Clone)]
pub(crate) struct Hook(pub(super) Arc<HookFn>);

pub(super) type HookFn = dyn Fn(&mut Message, SipEndpoint, SipEndpoint) + Send + Sync;

impl Hook {
    pub(crate) fn call(&self, message: &mut Message, local: SipEndpoint, remote: SipEndpoint) {
        (self.0)(message, local, remote);
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// What the application says to connections that listeners accept.
#[derive(Clone)]
pub(crate) struct Filter(pub(super) Arc<FilterFn>);

pub(super) type FilterFn = dyn Fn(SipEndpoint, SipEndpoint) -> bool + Send + Sync;

impl Filter {
    /// Whether a connection on this channel may stay.
    pub(crate) fn allows(
        &self,
        (channel, protocol): (ChannelId, Protocol),
        local: SocketAddr,
        remote: SocketAddr,
    ) -> bool {
        let end = |addr| SipEndpoint {
            channel: Some(channel),
            ..SipEndpoint::new(protocol, addr)
        };
        (self.0)(end(local), end(remote))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}
