//! Flows.

use core::net::SocketAddr;

/// The flow on which a message was received, as known to the transport that received it.
///
/// This crate only carries it: from a received request to the responses built from it, so that they
/// return on the same flow (RFC 3261 §18.2.2). The two words belong to the transport.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Flow {
    words: [u64; 2],
    local: SocketAddr,
    remote: SocketAddr,
}

impl Flow {
    /// A flow between two addresses; only the caller interprets `words`.
    pub const fn new(words: [u64; 2], local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            words,
            local,
            remote,
        }
    }

    /// The words given to [`Flow::new`].
    pub const fn words(&self) -> [u64; 2] {
        self.words
    }

    /// The local address on which the message was received.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address from which the message was received.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }
}
