//! The queue between the tap and who encodes.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, UNIX_EPOCH};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use sip_capture::CapturedMessage;
use sip_transport_proto::{Protocol, Tapped};

use crate::capture::counters::CaptureCounters;
use crate::hub::follower::Follower;
use crate::sync::lock;

/// The pause of a consumer after what it took: so it takes many messages at a time, and is woken
/// rarely.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// A copy of a message that the tap was shown.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: Instant,
    pub(super) protocol: Protocol,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) peer: IpAddr,
    pub(super) bound: SocketAddr,
    pub(super) bytes: Bytes,
}

impl Record {
    fn new(seen: &Tapped<'_>) -> Self {
        // The time by the wall clock is known later.
        let message = CapturedMessage::from_tapped(seen, UNIX_EPOCH);
        Self {
            at: seen.at,
            protocol: message.protocol,
            source: message.source,
            destination: message.destination,
            peer: seen.remote.addr.ip(),
            bound: seen.bound,
            bytes: Bytes::copy_from_slice(seen.bytes),
        }
    }
}

/// A bounded queue of messages, with one consumer.
#[derive(Debug)]
pub(super) struct Intake {
    waiting: Mutex<Waiting>,
    limit: usize,
    consumer: AtomicWaker,
    /// True once the consumer has ended.
    has_ended: AtomicBool,
    ended: AtomicWaker,
    pub(super) counters: Arc<CaptureCounters>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Record>,
    bytes: usize,
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
            consumer: AtomicWaker::new(),
            has_ended: AtomicBool::new(false),
            ended: AtomicWaker::new(),
            counters,
        }
    }

    /// Takes a message in if there is room. Never waits.
    pub(super) fn offer(&self, seen: &Tapped<'_>) {
        let size = seen.bytes.len() + size_of::<Record>();
        let has_room = |waiting: &Waiting| !waiting.is_closed && waiting.bytes + size <= self.limit;
        if !has_room(&lock(&self.waiting)) {
            self.counters.count_overrun();
            return;
        }
        // Copied with no lock held; the room may be gone then.
        let record = Record::new(seen);
        let mut waiting = lock(&self.waiting);
        if !has_room(&waiting) {
            drop(waiting);
            self.counters.count_overrun();
            return;
        }
        waiting.bytes += size;
        waiting.records.push(record);
        let wakes = std::mem::take(&mut waiting.is_awaited);
        drop(waiting);
        if wakes {
            self.consumer.wake();
        }
    }

    /// Swaps `records`, which are empty, for those that wait. Ready with true if there are some,
    /// with false once there are none and will be none.
    pub(super) fn poll_take(&self, cx: &Context<'_>, records: &mut Vec<Record>) -> Poll<bool> {
        self.consumer.register(cx.waker());
        let mut waiting = lock(&self.waiting);
        if !waiting.records.is_empty() {
            waiting.bytes = 0;
            std::mem::swap(&mut waiting.records, records);
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
