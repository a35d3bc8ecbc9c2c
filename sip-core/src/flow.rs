use core::net::SocketAddr;

/// The way a message came in, as the transport that received it knows it.
///
/// This crate only carries it: from a received request to the responses built from it, so that
/// they go back the way the request came (RFC 3261 §18.2.2). The two words are the transport's own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Flow {
    words: [u64; 2],
    local: SocketAddr,
    remote: SocketAddr,
}

impl Flow {
    /// A flow between two addresses; `words` mean something to the caller only.
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

    /// The address that the message arrived at.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address that the message came from.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }
}
