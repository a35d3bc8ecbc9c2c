//! A UDP socket as its task and senders share it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use atomic_waker::AtomicWaker;
use sip_transport_proto::SocketId;

use crate::sync::lock;
use crate::{BatchFull, Datagrams, SendBatch};

/// What senders see of a UDP socket: a batch that its task sends in one go.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) id: SocketId,
    pub(crate) io: Box<dyn Datagrams>,
    pub(crate) worker: usize,
    out: Mutex<SendBatch>,
    pub(crate) task: AtomicWaker,
}

impl Socket {
    pub(crate) fn new(id: SocketId, io: Box<dyn Datagrams>, worker: usize, limit: usize) -> Self {
        let out = Mutex::new(SendBatch::new(limit));
        Self {
            id,
            io,
            worker,
            out,
            task: AtomicWaker::new(),
        }
    }

    /// Queues a datagram; the socket's task sends it in its next turn. `send` 0 is nobody's.
    pub(crate) fn queue(
        &self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        send: u64,
        bytes: &[u8],
    ) -> Result<(), BatchFull> {
        let mut out = lock(&self.out);
        let first = out.is_empty();
        out.push(destination, source, send, |buffer| {
            buffer.extend_from_slice(bytes)
        })?;
        drop(out);
        if first {
            self.task.wake();
        }
        Ok(())
    }

    /// Bytes that wait.
    pub(crate) fn queued(&self) -> usize {
        lock(&self.out).bytes()
    }

    /// Takes what waits, leaving an empty batch: senders go on while it is sent.
    pub(crate) fn take(&self, empty: &mut SendBatch) {
        std::mem::swap(&mut *lock(&self.out), empty);
    }
}
