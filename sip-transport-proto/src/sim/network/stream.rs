use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use super::{HostId, Socket};

/// One end of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) host: HostId,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The other end, once there is one.
    pub(super) peer: Option<Socket>,
    pub(super) state: State,
    /// What came and was not read.
    pub(super) inbox: VecDeque<u8>,
    /// The far end will send no more.
    pub(super) eof: bool,
    /// What is on its way to the far end, in order.
    pub(super) outgoing: VecDeque<Segment>,
    /// A write found no room: its owner waits to hear of some.
    pub(super) blocked: bool,
    /// Our direction is closed.
    pub(super) shut: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Connecting,
    Open,
    Failed(io::ErrorKind),
    /// Its owner has closed it; what is on its way still goes.
    Closed,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) at: Instant,
    pub(super) what: Payload,
}

#[derive(Debug)]
pub(super) enum Payload {
    /// The far end has accepted.
    Accepted,
    Data(Vec<u8>),
    End,
    Reset,
}

impl Stream {
    pub(super) fn new(host: HostId, local: SocketAddr, remote: SocketAddr, state: State) -> Self {
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

    /// Bytes on their way to the far end.
    pub(super) fn in_flight(&self) -> usize {
        let len = |segment: &Segment| match &segment.what {
            Payload::Data(data) => data.len(),
            _ => 0,
        };
        self.outgoing.iter().map(len).fold(0, usize::saturating_add)
    }
}
