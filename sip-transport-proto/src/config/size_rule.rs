//! The size from which requests are sent over TCP instead of UDP.

/// The largest request to send over UDP if the path MTU is unknown.
pub(crate) const UNKNOWN_MTU: usize = 1_300;

/// The margin that a request leaves below the path MTU, as its response may be larger.
pub(crate) const MARGIN: usize = 200;

/// The size from which a request is sent over TCP instead of UDP (RFC 3261 §18.1.1).
///
/// The size is that of the request as it would be sent over UDP, to the last byte. TCP is tried at
/// the same address and port, with the top Via saying so; if no connection can be opened, the
/// request is sent over UDP after all, and [`Sent::size_rule`](crate::Sent::size_rule) gives the
/// reason.
///
/// It never applies to ACK and CANCEL, which follow their INVITE, to responses, to multicast, or
/// where the application itself chose UDP: by [`SendOptions::to`](crate::SendOptions::to) or by a
/// channel hint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SizeRule {
    /// TCP for requests of more than 1,300 bytes, as for an unknown path MTU.
    #[default]
    Rfc,
    /// TCP for requests of more than this path MTU minus 200 bytes.
    PathMtu(u16),
    /// UDP, whatever the size.
    PreferUdp,
}

impl SizeRule {
    /// The longest datagram allowed.
    pub(crate) fn limit(self) -> Option<usize> {
        match self {
            Self::Rfc => Some(UNKNOWN_MTU),
            Self::PathMtu(mtu) => Some(usize::from(mtu).saturating_sub(MARGIN)),
            Self::PreferUdp => None,
        }
    }
}
