//! A UDP socket as its task and senders share it.

use std::sync::Mutex;

use atomic_waker::AtomicWaker;
use sip_transport_proto::parts::TapCall;
use sip_transport_proto::{SocketId, Transmit};

use crate::runtime::Datagrams;
use crate::runtime::batch::{BatchFull, SendBatch};
use crate::sync::lock;

/// What senders see of a UDP socket: a batch that its task sends in one go.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    pub(crate) id: SocketId,
    pub(crate) io: Box<dyn Datagrams>,
    pub(crate) worker: usize,
    out: Mutex<Outbox>,
    pub(crate) task: AtomicWaker,
}

#[derive(Debug)]
struct Outbox {
    batch: SendBatch,
    /// Those of its messages that somebody watches, to be shown before they are sent.
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
            task: AtomicWaker::new(),
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
        // 0 is nobody's.
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
            self.task.wake();
        }
        Ok(())
    }

    /// Bytes that wait.
    pub(crate) fn queued(&self) -> usize {
        lock(&self.out).batch.bytes()
    }

    /// Takes what waits, leaving an empty batch: senders go on while it is sent. What is to be shown
    /// of it comes back.
    pub(crate) fn take(&self, empty: &mut SendBatch) -> Vec<TapCall> {
        let mut out = lock(&self.out);
        std::mem::swap(&mut out.batch, empty);
        std::mem::take(&mut out.taps)
    }
}
