//! Delivery of messages to their observers: the application's tap, and `tracing`.

use core::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::message::ParseError;
use tracing::{Level, enabled, trace};

use crate::config::calls::{Direction, Tapped};
use crate::context::callbacks::Callback;
use crate::context::{ChannelContext, TransportContext};
use crate::endpoint::SipEndpoint;
use crate::observe::trace::{CONTENT, MESSAGE};

/// A deferred call of the tap with a message: it runs code of the application, so no lock should be
/// held.
#[derive(Debug)]
pub struct TapCall {
    context: Arc<ChannelContext>,
    direction: Direction,
    local: SipEndpoint,
    remote: SipEndpoint,
    at: Instant,
    bytes: Bytes,
    error: Option<ParseError>,
}

impl TapCall {
    /// Runs the call.
    pub fn run(self) {
        self.context.show(Tapped {
            direction: self.direction,
            local: self.local,
            remote: self.remote,
            bound: self.context.bound,
            at: self.at,
            bytes: &self.bytes,
            error: self.error,
        });
    }
}

impl ChannelContext {
    /// The deferred call that shows a message, to be run with no lock held; `None` without
    /// observers.
    pub(crate) fn tap<'a>(
        self: &Arc<Self>,
        seen: impl FnOnce(&Self) -> Tapped<'a>,
    ) -> Option<TapCall> {
        self.is_watched().then(|| {
            let seen = seen(self);
            TapCall {
                context: Arc::clone(self),
                direction: seen.direction,
                local: seen.local,
                remote: seen.remote,
                at: seen.at,
                bytes: Bytes::copy_from_slice(seen.bytes),
                error: seen.error,
            }
        })
    }
}

impl TransportContext {
    /// Returns true if messages have an observer.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        !self.config.taps.is_empty()
            || enabled!(target: MESSAGE, Level::TRACE)
            || enabled!(target: CONTENT, Level::TRACE)
    }
}

impl ChannelContext {
    /// Shows a message to the tap and to `tracing`.
    pub(crate) fn show(&self, seen: Tapped<'_>) {
        for tap in &self.config.taps {
            // A panic of the tap does not affect the message.
            _ = self.call(Callback::Tap, || tap.call(seen));
        }
        let Tapped {
            direction,
            local,
            remote,
            bytes,
            ..
        } = seen;
        trace!(
            target: MESSAGE,
            %direction,
            %local,
            %remote,
            length = bytes.len(),
            start_line = %start_line(bytes),
            error = seen.error.map(tracing::field::display),
        );
        trace!(target: CONTENT, %direction, %local, %remote, message = %bytes.escape_ascii());
    }
}

/// The first line, with non-ASCII bytes escaped; without a line end, the first 256 bytes.
pub(crate) fn start_line(bytes: &[u8]) -> impl fmt::Display {
    const LONGEST: usize = 256;
    let begin = bytes.trim_ascii_start();
    let end = begin.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let len = end.unwrap_or(begin.len()).min(LONGEST);
    begin.get(..len).unwrap_or_default().escape_ascii()
}
