//! Messages shown to who watches them: the application's tap, and `tracing`.

use core::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::message::ParseError;
use tracing::{Level, enabled, trace};

use crate::config::calls::{Direction, Tapped};
use crate::endpoint::SipEndpoint;
use crate::observe::trace::{CONTENT, MESSAGE};
use crate::shared::callbacks::Callback;
use crate::shared::{ChannelContext, TransportContext};

/// A message to be shown: code of the application, so no lock should be held.
#[derive(Debug)]
pub struct TapCall {
    scope: Arc<ChannelContext>,
    direction: Direction,
    local: SipEndpoint,
    remote: SipEndpoint,
    at: Instant,
    bytes: Bytes,
    error: Option<ParseError>,
}

impl TapCall {
    /// Shows it.
    pub fn run(self) {
        self.scope.show(Tapped {
            direction: self.direction,
            local: self.local,
            remote: self.remote,
            at: self.at,
            bytes: &self.bytes,
            error: self.error,
        });
    }
}

impl ChannelContext {
    /// The call that shows a message later, with no lock held; `None` if nobody watches.
    pub(crate) fn tap<'a>(self: &Arc<Self>, seen: impl FnOnce() -> Tapped<'a>) -> Option<TapCall> {
        self.is_watched().then(|| {
            let seen = seen();
            TapCall {
                scope: Arc::clone(self),
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
    /// Whether anybody wants to see messages.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.config.tap.is_some()
            || enabled!(target: MESSAGE, Level::TRACE)
            || enabled!(target: CONTENT, Level::TRACE)
    }
}

impl ChannelContext {
    /// Shows a message to all who want to see it.
    pub(crate) fn show(&self, seen: Tapped<'_>) {
        if let Some(tap) = &self.config.tap {
            // Whoever fails to watch stops nothing.
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

/// The first line, with what is not ASCII escaped; of bytes without one, the beginning.
pub(crate) fn start_line(bytes: &[u8]) -> impl fmt::Display {
    const LONGEST: usize = 256;
    let begin = bytes.trim_ascii_start();
    let end = begin.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let len = end.unwrap_or(begin.len()).min(LONGEST);
    begin.get(..len).unwrap_or_default().escape_ascii()
}
