//! The deadlines of the state machines: their kinds, and how each is reported when it passes.

use core::fmt;

/// The kind of a deadline that a state machine waits for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Deadline {
    /// Opening a connection.
    Connect,
    /// The TLS and WebSocket handshakes.
    Handshake,
    /// The first valid message on an accepted connection.
    FirstMessage,
    /// The remainder of a message whose first bytes have arrived.
    Message,
    /// Any traffic on an idle connection.
    Idle,
    /// The peer's reading any of the bytes queued for it.
    Write,
    /// The peer's reading all of them: after this deadline it counts as behind.
    Behind,
    /// Writing the final bytes before a close.
    Linger,
    /// A DNS lookup, or the query for the local address towards a peer.
    Query,
    /// The next connection attempt, to another address of a server to which one is already in
    /// progress (RFC 8305 §5).
    Race,
    /// The next keep-alive to send.
    Ping,
    /// The answer to a keep-alive (RFC 5626 §4.4.1).
    Pong,
    /// A connection for a request that is too large for UDP (RFC 3261 §18.1.1); after this deadline
    /// the request is sent over UDP.
    SizeRule,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting took too long",
            Self::Handshake => "the handshake took too long",
            Self::FirstMessage => "no message arrived in time",
            Self::Message => "a message took too long to arrive",
            Self::Idle => "the connection was idle for too long",
            Self::Write => "the peer does not read",
            Self::Behind => "the peer reads slowly",
            Self::Linger => "closing took too long",
            Self::Query => "a lookup took too long",
            Self::Race => "the next address is due",
            Self::Ping => "a keep-alive is due",
            Self::Pong => "no keep-alive was answered",
            Self::SizeRule => "connecting took too long for a request that UDP can carry",
        })
    }
}
