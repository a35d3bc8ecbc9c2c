//! Messages shown to who watches them: the application's tap, and `tracing`.

use core::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::message::ParseError;
use tracing::{Level, enabled, trace};

use crate::SipEndpoint;
use crate::config::Callback;
use crate::shared::{Scope, Shared};
use crate::trace::{CONTENT, MESSAGE};

/// A message that came or goes, as [`Config::tap`](crate::Config::tap) shows it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Tapped<'a> {
    /// Whether it came or goes.
    pub direction: Direction,
    /// Our own end.
    pub local: SipEndpoint,
    /// The peer's end.
    pub remote: SipEndpoint,
    /// When: the instant of the input or of the send.
    pub at: Instant,
    /// The message as the peer wrote it or is to read it: without TLS and WebSocket around it, and
    /// before `received` and `rport` are stamped. Over UDP, the datagram; of a stream that cannot be
    /// read on, what was read.
    pub bytes: &'a [u8],
    /// What is wrong with it, if it came and breaks a rule.
    pub error: Option<ParseError>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// It came.
    In,
    /// It goes out.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// What the application wants to be called for each message.
#[derive(Clone)]
pub(crate) struct Tap(Arc<TapFn>);

type TapFn = dyn Fn(Tapped<'_>) + Send + Sync;

impl Tap {
    pub(crate) fn new(tap: impl Fn(Tapped<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tap))
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// A message to be shown: code of the application, so no lock should be held.
#[derive(Debug)]
pub struct TapCall {
    scope: Arc<Scope>,
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

impl Scope {
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

impl Shared {
    /// Whether anybody wants to see messages.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.config.tap.is_some()
            || enabled!(target: MESSAGE, Level::TRACE)
            || enabled!(target: CONTENT, Level::TRACE)
    }
}

impl Scope {
    /// Shows a message to all who want to see it.
    pub(crate) fn show(&self, seen: Tapped<'_>) {
        if let Some(tap) = &self.config.tap {
            // Whoever fails to watch stops nothing.
            _ = self.call(Callback::Tap, || (tap.0)(seen));
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
fn start_line(bytes: &[u8]) -> impl fmt::Display {
    const LONGEST: usize = 256;
    let begin = bytes.trim_ascii_start();
    let end = begin.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let len = end.unwrap_or(begin.len()).min(LONGEST);
    begin.get(..len).unwrap_or_default().escape_ascii()
}
