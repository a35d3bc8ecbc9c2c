//! The settings of keep-alives.

use core::time::Duration;

use crate::protocol::Protocol;
use crate::setting::{ConfigError, check_duration};

/// The settings for keeping a flow alive.
///
/// A flow, which is a connection or a pair of a UDP channel and a peer's address, is kept alive if
/// that is requested by [`SendOptions::keep`](crate::SendOptions::keep),
/// [`ChannelConfig::keep`](crate::ChannelConfig::keep) or
/// [`Transport::keep`](crate::Transport::keep). The answering side needs no setting: pings and STUN
/// requests are always answered.
///
/// ```
/// use std::time::Duration;
/// use sip_transport_proto::{Keep, SendOptions};
///
/// // Pings at the default interval; a peer that does not answer is left alone.
/// let quiet = SendOptions::new().keep(Keep::new());
/// // As a registrar's `Flow-Timer: 90` asks (RFC 5626 §4.4): without an answer in time it is dead.
/// let outbound = Keep::new().interval(Duration::from_secs(90))?.required();
/// # Ok::<(), sip_transport_proto::ConfigError>(())
/// ```
#[must_use = "a flow is kept once it is given to a send, a channel or a transport"]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keep {
    pub(crate) kind: Option<KeepKind>,
    pub(crate) interval: Option<Duration>,
    pub(crate) required: bool,
    pub(crate) negotiated: bool,
}

/// The kind of keep-alive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeepKind {
    /// A double CRLF, answered by a single one (RFC 5626 §3.5.1): the default on TCP and TLS. On
    /// UDP it is one-way: it keeps NAT bindings open and is not answered.
    Crlf,
    /// A STUN binding request (RFC 5626 §3.5.2): the default on UDP, and available only there.
    Stun,
    /// A ping frame (RFC 6455 §5.5.2): the default on WebSocket, and available only there.
    WebSocketPing,
}

impl Keep {
    /// Keep-alives that begin at once, at the default interval of the protocol; a flow does
    /// not count as dead for want of answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the kind of keep-alive. A protocol that does not support it uses its own default: STUN
    /// is for UDP only (RFC 5626 §4.4.2).
    pub fn kind(mut self, kind: KeepKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets the longest time between two keep-alives; each period is drawn at random from 80 % to
    /// 100 % of it (RFC 5626 §4.4.1). Default:
    /// [`Config::stream_keep_interval`](crate::Config::stream_keep_interval),
    /// [`Config::datagram_keep_interval`](crate::Config::datagram_keep_interval).
    ///
    /// # Errors
    /// The interval must be 1 s or more, 10 years at most.
    pub fn interval(mut self, interval: Duration) -> Result<Self, ConfigError> {
        let (shortest, expected) = (Duration::from_secs(1), "1 s or more, 10 years at most");
        self.interval = Some(check_duration("interval", interval, shortest, expected)?);
        Ok(self)
    }

    /// Requires answers, because the peer is known to give them (`ob`, Flow-Timer, configuration):
    /// without one in time the flow is dead (RFC 5626 §4.4.1).
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Starts only when the peer agrees (RFC 6223): requests carry `keep` in their top Via, and a
    /// value for it in that of a response starts the keep-alives at the interval it gives, with
    /// answers required. Intended for REGISTER and for requests that create or refresh a dialog;
    /// not for use within a dialog for which keep-alives were negotiated already (§4.3).
    pub fn negotiated(mut self) -> Self {
        self.negotiated = true;
        self
    }

    pub(crate) fn is_negotiated(self) -> bool {
        self.negotiated
    }

    pub(crate) fn kind_on(self, protocol: Protocol) -> KeepKind {
        match (protocol, self.kind) {
            (Protocol::Udp, Some(KeepKind::Crlf)) => KeepKind::Crlf,
            (Protocol::Udp, _) => KeepKind::Stun,
            (Protocol::Ws | Protocol::Wss, Some(KeepKind::Crlf)) => KeepKind::Crlf,
            (Protocol::Ws | Protocol::Wss, _) => KeepKind::WebSocketPing,
            (Protocol::Tcp | Protocol::Tls, _) => KeepKind::Crlf,
        }
    }
}
