//! The policy for responses that cannot be sent back the way their request came.

/// The destinations allowed for a response that cannot be sent back the way its request came
/// (RFC 3261 §18.2.2).
///
/// The source of the request is always tried: over UDP at the port that `rport` or the sent-by
/// gives, over TCP and TLS by a new connection to the sent-by's port. Every other destination rests
/// on the peer's word alone, by which anybody who can send requests could direct responses at
/// others. So they are off by default, and can be allowed for trusted peers: for one response
/// ([`SendOptions::responses`](crate::SendOptions::responses)), for a channel that only such peers
/// reach ([`ChannelConfig::responses`](crate::ChannelConfig::responses)) or for all
/// ([`Config::responses`](crate::Config::responses)); the most specific setting applies.
#[must_use = "it is for a response, a channel or a transport"]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponsePolicy {
    pub(crate) connect: bool,
    pub(crate) sent_by: bool,
    pub(crate) maddr: bool,
}

impl Default for ResponsePolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponsePolicy {
    /// The default policy: back to the source of the request, over a new connection if necessary,
    /// and nowhere else.
    pub const fn new() -> Self {
        Self {
            connect: true,
            sent_by: false,
            maddr: false,
        }
    }

    /// Opens a connection for a response if the one of its request is closed. Default: yes.
    /// Otherwise such a response fails.
    pub const fn connect(mut self, connect: bool) -> Self {
        self.connect = connect;
        self
    }

    /// Tries the servers of the top Via's sent-by after the source, as RFC 3263 §5 locates them.
    /// Default: no. Over UDP, [`try_next`](crate::parts::Router::try_next) moves on to them once
    /// [`Event::SendFailed`](crate::Event::SendFailed) has reported that the source does not
    /// listen.
    pub const fn sent_by(mut self, follow: bool) -> Self {
        self.sent_by = follow;
        self
    }

    /// Sends a response over UDP to the address in the `maddr` of its top Via, before anything
    /// else. Default: no.
    pub const fn maddr(mut self, follow: bool) -> Self {
        self.maddr = follow;
        self
    }
}
