//! The queue between the tap and who encodes.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, UNIX_EPOCH};

use atomic_waker::AtomicWaker;
use sip_capture::CapturedMessage;
use sip_transport_proto::{Protocol, Tapped};

use crate::capture::counters::CaptureCounters;
use crate::hub::follower::Follower;
use crate::sync::lock;

/// The pause of a consumer after what it took: so it takes many messages at a time and is woken
/// rarely, but not so many that they leave the processor's cache.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// Messages that the tap was shown, copied into one buffer: no message has an allocation of its own.
#[derive(Debug, Default)]
pub(super) struct RecordBatch {
    records: Vec<Record>,
    bytes: Vec<u8>,
}

/// The path of a message in a batch.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: Instant,
    pub(super) protocol: Protocol,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) peer: IpAddr,
    pub(super) bound: SocketAddr,
    /// The position in the batch's bytes at which the message ends, and the next begins.
    end: usize,
}

impl RecordBatch {
    /// The room that a message takes.
    fn size(message: &[u8]) -> usize {
        message.len() + size_of::<Record>()
    }

    fn push(&mut self, seen: &Tapped<'_>) {
        self.bytes.extend_from_slice(seen.bytes);
        // The time by the wall clock is known later.
        let message = CapturedMessage::from_tapped(seen, UNIX_EPOCH);
        self.records.push(Record {
            at: seen.at,
            protocol: message.protocol,
            source: message.source,
            destination: message.destination,
            peer: seen.remote.addr.ip(),
            bound: seen.bound,
            end: self.bytes.len(),
        });
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The messages, in the order in which they were shown.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Record, &[u8])> {
        let mut start = 0;
        self.records.iter().map(move |record| {
            let bytes = self.bytes.get(start..record.end).unwrap_or_default();
            start = record.end;
            (record, bytes)
        })
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
    }
}

/// A bounded queue of messages, with one consumer.
#[derive(Debug)]
pub(super) struct Intake {
    waiting: Mutex<Waiting>,
    limit: usize,
    /// The bytes that wait, or are about to.
    used: AtomicUsize,
    consumer: AtomicWaker,
    /// True once the consumer has ended.
    has_ended: AtomicBool,
    ended: AtomicWaker,
    pub(super) counters: Arc<CaptureCounters>,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: RecordBatch,
    size: usize,
    /// True while the consumer waits to be woken.
    is_awaited: bool,
    /// True once nothing more is taken in.
    is_closed: bool,
}

impl Intake {
    pub(super) fn new(limit: usize, counters: Arc<CaptureCounters>) -> Self {
        Self {
            waiting: Mutex::default(),
            limit,
            used: AtomicUsize::new(0),
            consumer: AtomicWaker::new(),
            has_ended: AtomicBool::new(false),
            ended: AtomicWaker::new(),
            counters,
        }
    }

    /// Takes a message in if there is room. Never waits.
    pub(super) fn offer(&self, seen: &Tapped<'_>) {
        let size = RecordBatch::size(seen.bytes);
        // Refused with no lock taken, so that a consumer that is behind costs nothing.
        if self.used.fetch_add(size, Ordering::Relaxed) + size > self.limit {
            return self.refuse(size);
        }
        let mut waiting = lock(&self.waiting);
        if waiting.is_closed {
            drop(waiting);
            return self.refuse(size);
        }
        waiting.batch.push(seen);
        waiting.size += size;
        let wakes = std::mem::take(&mut waiting.is_awaited);
        drop(waiting);
        if wakes {
            self.consumer.wake();
        }
    }

    /// Counts a message for which there is no room, and gives back what was reserved for it.
    fn refuse(&self, size: usize) {
        self.used.fetch_sub(size, Ordering::Relaxed);
        self.counters.count_overrun();
    }

    /// Swaps `batch`, which is empty, for the one that waits. Ready with true if that has messages,
    /// with false once there are none and will be none.
    pub(super) fn poll_take(&self, cx: &Context<'_>, batch: &mut RecordBatch) -> Poll<bool> {
        self.consumer.register(cx.waker());
        let mut waiting = lock(&self.waiting);
        if !waiting.batch.is_empty() {
            let size = std::mem::take(&mut waiting.size);
            self.used.fetch_sub(size, Ordering::Relaxed);
            std::mem::swap(&mut waiting.batch, batch);
            return Poll::Ready(true);
        }
        if waiting.is_closed {
            return Poll::Ready(false);
        }
        waiting.is_awaited = true;
        Poll::Pending
    }

    /// Returns true once nothing more is taken in.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.waiting).is_closed
    }
}

impl Follower for Intake {
    fn end(&self) {
        lock(&self.waiting).is_closed = true;
        self.consumer.wake();
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.ended.register(cx.waker());
        match self.has_ended.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// A guard of the consumer: when it ends, however that is, nothing more is taken in.
#[derive(Debug)]
pub(super) struct Consumer(pub(super) Arc<Intake>);

impl Drop for Consumer {
    fn drop(&mut self) {
        self.0.end();
        self.0.has_ended.store(true, Ordering::Release);
        self.0.ended.wake();
    }
}
