use core::time::Duration;

use crate::protocol::Protocol;
use crate::setting::{ConfigError, check_duration};

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
#[must_use = "a flow is kept once it is given to a send, a channel or a transport"]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Keep {
    pub(crate) kind: Option<KeepKind>,
    pub(crate) interval: Option<Duration>,
    pub(crate) required: bool,
    pub(crate) negotiated: bool,
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

impl Keep {
    /// Begins at once, at the default interval of the protocol; a peer that does not answer is
    /// left alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to send. A protocol that cannot carry it takes its own default: STUN is for UDP alone
    /// (RFC 5626 §4.4.2).
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
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Begins when the peer agrees (RFC 6223): requests carry `keep` in their top Via, and a value
    /// in that of a response starts the keep-alives, to be answered, at the interval that it asks
    /// for. Meant for REGISTER and for requests that create or refresh a dialog; not within a
    /// dialog in which it was agreed on already (§4.3).
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
