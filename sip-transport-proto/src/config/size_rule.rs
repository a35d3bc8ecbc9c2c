/// Up to here a request may go over UDP where the path MTU is not known.
pub(crate) const UNKNOWN_MTU: usize = 1_300;

/// A request stays below the path MTU by this much, as its response may be larger.
pub(crate) const MARGIN: usize = 200;

/// From which size on a request that would go over UDP goes over TCP (RFC 3261 §18.1.1).
///
/// What counts is the request as it would go over UDP, to the last byte. TCP is tried at the same
/// address and port, with the top Via saying so; where no connection comes about, the request goes
/// over UDP after all, and [`Sent::size_rule`](crate::Sent::size_rule) says why.
///
/// It is never applied to ACK and CANCEL, which follow their INVITE, to responses, to multicast,
/// and where the application itself chose UDP: by
/// [`SendOptions::to`](crate::SendOptions::to) or by the hint of a channel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum SizeRule {
    /// TCP for requests of more than 1,300 bytes: the path MTU is not known.
    #[default]
    Rfc,
    /// TCP for requests of more than this path MTU less 200 bytes.
    PathMtu(u16),
    /// UDP, whatever the size.
    PreferUdp,
}

impl SizeRule {
    /// The longest datagram that it allows.
    pub(crate) fn limit(self) -> Option<usize> {
        match self {
            Self::Rfc => Some(UNKNOWN_MTU),
            Self::PathMtu(mtu) => Some(usize::from(mtu).saturating_sub(MARGIN)),
            Self::PreferUdp => None,
        }
    }
}
