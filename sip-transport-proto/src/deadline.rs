use core::fmt;

/// What a machine waits for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Deadline {
    /// A connection that is being opened.
    Connect,
    /// TLS and WebSocket being agreed on.
    Handshake,
    /// The first valid message on an accepted connection.
    FirstMessage,
    /// The rest of a message.
    Message,
    /// Any message at all.
    Idle,
    /// The peer taking some of the bytes that wait for it.
    Write,
    /// The peer taking all of them: if it has not by then, it counts as behind.
    Behind,
    /// The last bytes before a close.
    Linger,
    /// A lookup, or the address towards a peer.
    Query,
    /// The next address of a server to which a connection is being opened: it is tried then
    /// (RFC 8305 §5).
    Race,
    /// The next keep-alive: it is sent then.
    Ping,
    /// The answer to a keep-alive (RFC 5626 §4.4.1).
    Pong,
    /// A connection for a request that is too large for UDP (RFC 3261 §18.1.1): it goes over UDP
    /// then.
    SizeRule,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting took too long",
            Self::Handshake => "the handshake took too long",
            Self::FirstMessage => "no message came",
            Self::Message => "a message took too long",
            Self::Idle => "idle for too long",
            Self::Write => "the peer does not read",
            Self::Behind => "the peer reads slowly",
            Self::Linger => "closing took too long",
            Self::Query => "a lookup took too long",
            Self::Race => "the next address is due",
            Self::Ping => "a keep-alive is due",
            Self::Pong => "no keep-alive was answered",
            Self::SizeRule => "connecting took too long for what UDP can carry",
        })
    }
}
