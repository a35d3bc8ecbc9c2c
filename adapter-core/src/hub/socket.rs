//! A UDP socket shared by its task and its senders.

use std::sync::Mutex;

use atomic_waker::AtomicWaker;
use sip_transport_proto::parts::TapCall;
use sip_transport_proto::{SocketId, Transmit};

use crate::runtime::Datagrams;
use crate::runtime::batch::{BatchFull, SendBatch};
use crate::sync::lock;

/// The senders' view of a UDP socket: a batch that its task sends at once.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    pub(crate) id: SocketId,
    pub(crate) io: Box<dyn Datagrams>,
    pub(crate) worker: usize,
    out: Mutex<Outbox>,
    pub(crate) waker: AtomicWaker,
}

#[derive(Debug)]
struct Outbox {
    batch: SendBatch,
    /// The tap calls of its messages, to be run before they are sent.
    taps: Vec<TapCall>,
}

impl SharedSocket {
    pub(crate) fn new(id: SocketId, io: Box<dyn Datagrams>, worker: usize, limit: usize) -> Self {
        let out = Mutex::new(Outbox {
            batch: SendBatch::new(limit),
            taps: Vec::new(),
        });
        Self {
            id,
            io,
            worker,
            out,
            waker: AtomicWaker::new(),
        }
    }

    /// Queues a datagram; the socket's task sends it in its next turn.
    pub(crate) fn queue(&self, transmit: &Transmit, tap: Option<TapCall>) -> Result<(), BatchFull> {
        let Transmit {
            destination,
            source,
            ttl,
            ref bytes,
            send,
            ..
        } = *transmit;
        // No send has the id 0.
        let send = send.map_or(0, u64::from);
        let mut out = lock(&self.out);
        let first = out.batch.is_empty();
        out.batch
            .push_with_ttl(destination, source, ttl, send, |buffer| {
                buffer.extend_from_slice(bytes)
            })?;
        out.taps.extend(tap);
        drop(out);
        if first {
            self.waker.wake();
        }
        Ok(())
    }

    /// The number of bytes that wait.
    pub(crate) fn queued(&self) -> usize {
        lock(&self.out).batch.bytes()
    }

    /// Takes the waiting batch, leaving an empty one, so that senders can continue while it is
    /// sent. Returns its tap calls.
    pub(crate) fn take(&self, empty: &mut SendBatch) -> Vec<TapCall> {
        let mut out = lock(&self.out);
        std::mem::swap(&mut out.batch, empty);
        std::mem::take(&mut out.taps)
    }
}
