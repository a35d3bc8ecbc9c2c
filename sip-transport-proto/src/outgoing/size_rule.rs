//! The requests that are too large for UDP (RFC 3261 §18.1.1).

use core::net::IpAddr;

use sip_core::{Message, Method};

use crate::error::AttemptCause;

/// The effect of the [`SizeRule`](crate::SizeRule) on a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SizeOutcome {
    /// None: the message is small enough, or the rule does not apply to it.
    #[default]
    Unaffected,
    /// It is too large for UDP, and was sent over TCP.
    Tcp,
    /// It is too large for UDP, and was sent over it nevertheless, as TCP failed for this cause.
    TcpFailed(AttemptCause),
    /// The same, without another attempt: TCP to this target failed recently.
    TcpFailedRecently,
}

/// The limit that the rule sets for a dispatch.
#[derive(Clone, Debug)]
pub(crate) enum SizeLimit {
    /// No limit.
    Free,
    /// A longer datagram has to be tried over TCP first.
    Limit(usize),
    /// A longer datagram would have to be tried over TCP first, but TCP to this target failed
    /// recently.
    TcpFailedRecently(usize),
    /// TCP was tried for a longer datagram, and failed for this cause.
    Failed(Box<AttemptCause>),
    /// The message is sent over a connection, as it is too long for a datagram.
    Tcp,
}

impl SizeLimit {
    /// The outcome to report for a message of this length.
    pub(crate) fn outcome(&self, len: usize) -> SizeOutcome {
        match self {
            Self::Tcp => SizeOutcome::Tcp,
            Self::Failed(cause) => SizeOutcome::TcpFailed((**cause).clone()),
            Self::TcpFailedRecently(limit) if len > *limit => SizeOutcome::TcpFailedRecently,
            _ => SizeOutcome::Unaffected,
        }
    }
}

/// Returns true if the rule applies to such a message at all. ACK and CANCEL follow their INVITE
/// (RFC 3261 §9.1, §17.1.1.3), a response follows its Via (§18.2.2).
pub(crate) fn must_avoid_udp(message: &Message) -> bool {
    let method = message.method();
    method.is_some_and(|method| !matches!(method, Method::Ack | Method::Cancel))
}

/// The largest UDP payload: 65,535 less the IP and UDP headers (an IPv6 header is not counted in
/// its payload length).
pub(crate) fn max_datagram(remote: IpAddr) -> usize {
    match remote {
        IpAddr::V4(_) => 65_507,
        IpAddr::V6(_) => 65_527,
    }
}
