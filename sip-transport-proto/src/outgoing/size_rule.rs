//! Which requests are too large for UDP (RFC 3261 §18.1.1).

use core::net::IpAddr;

use sip_core::{Message, Method};

use crate::error::AttemptCause;

/// What the [`SizeRule`](crate::SizeRule) did to a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SizeOutcome {
    /// Nothing: it is small enough, or the rule is not for it.
    #[default]
    Unaffected,
    /// It is too large for UDP, and went over TCP.
    Tcp,
    /// It is too large for UDP, and went over it all the same, as TCP failed of this.
    TcpFailed(AttemptCause),
    /// The same, without another try: TCP to this target failed not long ago.
    TcpFailedLately,
}

/// What the rule says of a way out.
#[derive(Clone, Debug)]
pub(crate) enum SizeLimit {
    /// Nothing.
    Free,
    /// A longer datagram has to be tried over TCP first.
    Limit(usize),
    /// A longer datagram would have to, but TCP to this target failed lately.
    Lately(usize),
    /// A longer datagram: this is what became of TCP.
    Failed(Box<AttemptCause>),
    /// A connection, as the message is too long for a datagram.
    Tcp,
}

impl SizeLimit {
    /// What is to be told of a message of this length.
    pub(crate) fn outcome(&self, len: usize) -> SizeOutcome {
        match self {
            Self::Tcp => SizeOutcome::Tcp,
            Self::Failed(cause) => SizeOutcome::TcpFailed((**cause).clone()),
            Self::Lately(limit) if len > *limit => SizeOutcome::TcpFailedLately,
            _ => SizeOutcome::Unaffected,
        }
    }
}

/// Whether the rule is for such a message at all. ACK and CANCEL go where their INVITE went
/// (RFC 3261 §9.1, §17.1.1.3), a response where its Via says (§18.2.2).
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
