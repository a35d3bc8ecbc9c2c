//! Keep-alives, which keep NAT bindings of a flow open and detect when the flow is dead (RFC 5626
//! §3.5, §4.4; RFC 6223).

mod flows;
pub(crate) mod stun;

use core::time::Duration;

use sip_core::header::Via;

use crate::config::Config;
use crate::config::keep::{Keep, KeepKind};
use crate::protocol::Protocol;

pub(crate) use flows::{Due, KeepSource, KeptFlows};

/// The keep-alive state of one flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepState {
    asked: Keep,
    /// The interval that the peer agreed to, in seconds; 0 for any.
    agreed: Option<u32>,
}

impl KeepState {
    pub(crate) fn new(asked: Keep) -> Self {
        Self {
            asked,
            agreed: None,
        }
    }

    /// Returns true if the same keep-alives are requested: nothing changes.
    pub(crate) fn same_as(&self, keep: Keep) -> bool {
        self.asked == keep
    }

    /// Returns true if keep-alives depend on the peer's agreement.
    pub(crate) fn is_negotiated(&self) -> bool {
        self.asked.negotiated
    }

    /// Returns true if keep-alives are being sent, not only offered.
    pub(crate) fn has_begun(&self) -> bool {
        !self.asked.negotiated || self.agreed.is_some()
    }

    /// Records the peer's agreement; returns true on change.
    pub(crate) fn agree(&mut self, seconds: u32) -> bool {
        self.asked.negotiated && self.agreed.replace(seconds) != Some(seconds)
    }

    pub(crate) fn is_required(&self) -> bool {
        self.asked.required || self.agreed.is_some()
    }

    pub(crate) fn kind(&self, protocol: Protocol) -> KeepKind {
        self.asked.kind_on(protocol)
    }

    /// The time to the next keep-alive, drawn anew by `random` each time, at 80 % to 100 % of the
    /// interval (RFC 5626 §4.4.1, RFC 6223 §5).
    pub(crate) fn period(&self, config: &Config, protocol: Protocol, random: [u8; 4]) -> Duration {
        let default = if protocol.is_stream() {
            config.stream_keep_interval
        } else {
            config.datagram_keep_interval
        };
        let agreed = self.agreed.filter(|&seconds| seconds > 0);
        let agreed = agreed.map(|seconds| Duration::from_secs(seconds.into()));
        // At least as often as the peer asks for.
        let longest = match (self.asked.interval, agreed) {
            (Some(asked), Some(agreed)) => asked.min(agreed),
            (asked, agreed) => asked.or(agreed).unwrap_or(default),
        };
        let fifth = longest.as_nanos() / 5;
        let less = fifth.saturating_mul(u32::from_be_bytes(random).into()) >> 32;
        longest.saturating_sub(Duration::from_nanos(
            u64::try_from(less).unwrap_or(u64::MAX),
        ))
    }
}

/// The value of a Via's `keep` parameter: a number of seconds, 0 for any. `None` without a value,
/// or if it is not a number (RFC 6223 §8.2).
pub(crate) fn agreed_seconds(via: &Via<'_>) -> Option<u32> {
    let digits = via.params().value("keep")?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // A larger number of seconds is as good as infinite.
    Some(str::from_utf8(digits).ok()?.parse().unwrap_or(u32::MAX))
}
