/// How far a response may go that cannot go back the way of its request (RFC 3261 §18.2.2).
///
/// The source of the request is always tried: over UDP at the port that `rport` or the sent-by
/// tells, over TCP and TLS by a new connection to the sent-by's port. Everything beyond is a peer's
/// word: whoever can send requests could aim responses at anyone by it. So it is off, and to be
/// allowed for peers that are trusted: for one response
/// ([`SendOptions::responses`](crate::SendOptions::responses)), for a channel that only such peers
/// reach ([`ChannelConfig::responses`](crate::ChannelConfig::responses)) or for all
/// ([`Config::responses`](crate::Config::responses)); the narrower one counts.
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
    /// Back to the source of the request, over a new connection if need be, and nowhere else.
    pub const fn new() -> Self {
        Self {
            connect: true,
            sent_by: false,
            maddr: false,
        }
    }

    /// Whether a connection is opened for a response, where the one of its request is gone.
    /// Default: yes. Without, such a response fails.
    pub const fn connect(mut self, connect: bool) -> Self {
        self.connect = connect;
        self
    }

    /// Whether the servers of the top Via's sent-by come after the source, as RFC 3263 §5 finds
    /// them. Default: no. Over UDP, [`try_next`](crate::parts::Router::try_next) goes there once
    /// [`Event::SendFailed`](crate::Event::SendFailed) has told that the source does not listen.
    pub const fn sent_by(mut self, follow: bool) -> Self {
        self.sent_by = follow;
        self
    }

    /// Whether a response over UDP goes to the address in the `maddr` of its top Via, before
    /// anything else. Default: no.
    pub const fn maddr(mut self, follow: bool) -> Self {
        self.maddr = follow;
        self
    }
}
