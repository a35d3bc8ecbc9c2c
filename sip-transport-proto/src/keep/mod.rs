//! Keep-alives: what keeps a flow open through NATs, and notices when it is dead (RFC 5626 §3.5, §4.4;
//! RFC 6223).

mod datagrams;

use core::fmt;
use core::time::Duration;

use sip_core::header::Via;
use thiserror::Error;

use crate::config::check_duration;
use crate::{Config, ConfigError, Protocol};

pub(crate) use datagrams::{Due, KeptFlows, Place};

/// How to keep a flow alive.
///
/// A connection, or a pair of a UDP channel and a peer's address, is kept where this is asked for:
/// by [`SendOptions::keep`](crate::SendOptions::keep), by
/// [`ChannelConfig::keep`](crate::ChannelConfig::keep), or by
/// [`Transport::keep`](crate::Transport::keep). The answering side needs no setting: pings and
/// STUN requests are always answered.
///
/// ```
/// use std::time::Duration;
/// use sip_transport_proto::{Keep, SendOptions};
///
/// // Pings at the default interval; a peer that does not answer is left alone.
/// let quiet = SendOptions::new().keep(Keep::new());
/// // As a registrar's `Flow-Timer: 90` asks (RFC 5626 §4.4): an answer is due, or the flow is dead.
/// let outbound = Keep::new().interval(Duration::from_secs(90))?.required();
/// # Ok::<(), sip_transport_proto::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keep {
    kind: Option<KeepKind>,
    interval: Option<Duration>,
    required: bool,
    negotiated: bool,
}

/// What is sent to keep a flow alive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeepKind {
    /// A double CRLF, answered with a single one (RFC 5626 §3.5.1): the default on TCP and TLS. On
    /// UDP it is one-way: it keeps a NAT open and is not answered.
    Crlf,
    /// A STUN binding request (RFC 5626 §3.5.2): the default on UDP, and for nothing else.
    Stun,
    /// A ping frame (RFC 6455 §5.5.2): the default on WebSocket, and for nothing else.
    WebSocketPing,
}

/// Why a flow is not kept.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeepError {
    /// There is no such connection or UDP channel (any more), or it does not reach the peer.
    #[error("there is no such flow")]
    UnknownFlow,
}

/// Why keep-alives on a flow have stopped though nothing says that it is dead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeepStop {
    /// The peer answered none and had promised nothing: it may know no STUN. No more are sent
    /// (RFC 6223 §10).
    NoAnswer,
    /// More UDP flows are kept than [`Config::max_kept_flows`]: the one that was asked for first
    /// makes room.
    Crowded,
}

impl Keep {
    /// Begins at once, at the default interval of the protocol; a peer that does not answer is
    /// left alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to send. A protocol that cannot carry it takes its own default: STUN is for UDP alone
    /// (RFC 5626 §4.4.2).
    #[must_use]
    pub fn kind(mut self, kind: KeepKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The longest time between two keep-alives; each period is drawn anew between 80 % of it and
    /// all of it (RFC 5626 §4.4.1). Default: [`Config::stream_keep_interval`],
    /// [`Config::datagram_keep_interval`].
    ///
    /// # Errors
    /// It has to be 1 s or more, 10 years at most.
    pub fn interval(mut self, interval: Duration) -> Result<Self, ConfigError> {
        let (shortest, expected) = (Duration::from_secs(1), "1 s or more, 10 years at most");
        self.interval = Some(check_duration("interval", interval, shortest, expected)?);
        Ok(self)
    }

    /// Answers are due, because the peer is known to give them (`ob`, Flow-Timer, configuration):
    /// without one in time the flow is dead (RFC 5626 §4.4.1).
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Begins when the peer agrees (RFC 6223): requests carry `keep` in their top Via, and a value
    /// in that of a response starts the keep-alives, to be answered, at the interval that it asks
    /// for. Meant for REGISTER and for requests that create or refresh a dialog; not within a
    /// dialog in which it was agreed on already (§4.3).
    #[must_use]
    pub fn negotiated(mut self) -> Self {
        self.negotiated = true;
        self
    }

    pub(crate) fn is_negotiated(self) -> bool {
        self.negotiated
    }

    fn kind_on(self, protocol: Protocol) -> KeepKind {
        match (protocol, self.kind) {
            (Protocol::Udp, Some(KeepKind::Crlf)) => KeepKind::Crlf,
            (Protocol::Udp, _) => KeepKind::Stun,
            (Protocol::Ws | Protocol::Wss, Some(KeepKind::Crlf)) => KeepKind::Crlf,
            (Protocol::Ws | Protocol::Wss, _) => KeepKind::WebSocketPing,
            (Protocol::Tcp | Protocol::Tls, _) => KeepKind::Crlf,
        }
    }
}

/// How one flow is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    asked: Keep,
    /// What the peer agreed to: its interval in seconds, 0 for any.
    agreed: Option<u32>,
}

impl Keeping {
    pub(crate) fn new(asked: Keep) -> Self {
        Self {
            asked,
            agreed: None,
        }
    }

    /// The same is asked for once more: nothing changes.
    pub(crate) fn is(&self, keep: Keep) -> bool {
        self.asked == keep
    }

    /// Whether the peer's word is still of interest.
    pub(crate) fn is_negotiated(&self) -> bool {
        self.asked.negotiated
    }

    /// Whether keep-alives are sent, and not only offered.
    pub(crate) fn has_begun(&self) -> bool {
        !self.asked.negotiated || self.agreed.is_some()
    }

    /// The peer agrees. Says whether that is news.
    pub(crate) fn agree(&mut self, seconds: u32) -> bool {
        self.asked.negotiated && self.agreed.replace(seconds) != Some(seconds)
    }

    pub(crate) fn is_required(&self) -> bool {
        self.asked.required || self.agreed.is_some()
    }

    pub(crate) fn kind(&self, protocol: Protocol) -> KeepKind {
        self.asked.kind_on(protocol)
    }

    /// The time to the next keep-alive, by `random`: a new draw each time, at 80 % to 100 % of what
    /// is asked for (RFC 5626 §4.4.1, RFC 6223 §5).
    pub(crate) fn period(&self, config: &Config, protocol: Protocol, random: [u8; 4]) -> Duration {
        let default = if protocol.is_stream() {
            config.stream_keep_interval
        } else {
            config.datagram_keep_interval
        };
        let agreed = self.agreed.filter(|&seconds| seconds > 0);
        let agreed = agreed.map(|seconds| Duration::from_secs(seconds.into()));
        // At least as often as the peer asks.
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

/// The value of a Via's `keep` parameter: a number of seconds, 0 for any. `None` if there is none,
/// or it is no number (RFC 6223 §8.2).
pub(crate) fn agreed_seconds(via: &Via<'_>) -> Option<u32> {
    let digits = via.params().value("keep")?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More seconds than that is as good as for ever.
    Some(str::from_utf8(digits).ok()?.parse().unwrap_or(u32::MAX))
}

impl fmt::Display for KeepStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "no keep-alive was answered",
            Self::Crowded => "too many flows are kept",
        })
    }
}
