//! One end of a stream.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use super::{HostId, SocketHandle};

/// One end of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) host: HostId,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The other end, once there is one.
    pub(super) peer: Option<SocketHandle>,
    pub(super) state: StreamState,
    /// The bytes received and not read.
    pub(super) inbox: VecDeque<u8>,
    /// True if the peer will send no more.
    pub(super) eof: bool,
    /// The segments in flight to the peer, in order.
    pub(super) outgoing: VecDeque<Segment>,
    /// True if a write found no room and its owner waits for
    /// [`Ready::Writable`](super::Ready::Writable).
    pub(super) blocked: bool,
    /// True if our direction is closed.
    pub(super) shut: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StreamState {
    Connecting,
    Open,
    Failed(io::ErrorKind),
    /// Closed by its owner; segments in flight still arrive.
    Closed,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) at: Instant,
    pub(super) what: Payload,
}

#[derive(Debug)]
pub(super) enum Payload {
    /// The peer accepted the stream.
    Accepted,
    Data(Vec<u8>),
    End,
    Reset,
}

impl Stream {
    pub(super) fn new(
        host: HostId,
        local: SocketAddr,
        remote: SocketAddr,
        state: StreamState,
    ) -> Self {
        Self {
            host,
            local,
            remote,
            peer: None,
            state,
            inbox: VecDeque::new(),
            eof: false,
            outgoing: VecDeque::new(),
            blocked: false,
            shut: false,
        }
    }

    /// The number of bytes in flight to the peer.
    pub(super) fn in_flight(&self) -> usize {
        let len = |segment: &Segment| match &segment.what {
            Payload::Data(data) => data.len(),
            _ => 0,
        };
        self.outgoing.iter().map(len).fold(0, usize::saturating_add)
    }
}
