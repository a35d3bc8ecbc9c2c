//! Events on their way to the application.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use sip_transport_proto::Event;

use crate::sync::lock;

/// One worker's queue of events. Messages count against its limits; what must be known (a
/// connection closed, a send failed) always gets in.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    limits: QueueLimits,
    dropped: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Event>,
    /// Messages and bytes queued, and those that the application has taken in its last batch.
    messages: usize,
    bytes: usize,
    taken: Held,
    receiver: Option<Waker>,
    /// Tasks that read on when there is room again.
    paused: Vec<Waker>,
    closed: bool,
    /// Nobody receives any more.
    abandoned: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    messages: usize,
    bytes: usize,
}

/// What the application takes at once.
const TAKE: usize = 64;

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            inner: Mutex::default(),
            limits,
            dropped: AtomicU64::new(0),
        }
    }

    /// Messages dropped because the queue was full or nobody received them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// How much room there is for messages; if none, `cx` is woken when there is.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Room> {
        let mut inner = lock(&self.inner);
        if inner.abandoned || inner.has_room(self.limits) {
            return Poll::Ready(inner.room(self.limits));
        }
        if !inner.paused.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.paused.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Adds events in order, all under one lock and with one wake. Those who bring messages have
    /// asked for room before, so all get in.
    pub(crate) fn push(&self, events: &mut Vec<Event>) {
        self.add(events, false);
    }

    /// Like [`push`](Self::push), for messages that nobody can make wait: those beyond the limits
    /// are dropped and counted.
    pub(crate) fn offer(&self, events: &mut Vec<Event>) {
        self.add(events, true);
    }

    fn add(&self, events: &mut Vec<Event>, limited: bool) {
        if events.is_empty() {
            return;
        }
        let mut inner = lock(&self.inner);
        let mut dropped = 0;
        for event in events.drain(..) {
            let message = is_message(&event);
            if inner.abandoned || (limited && message && !inner.has_room(self.limits)) {
                dropped += u64::from(message);
                continue;
            }
            if message {
                inner.messages += 1;
                inner.bytes += event.held();
            }
            inner.events.push_back(event);
        }
        let receiver = inner.receiver.take();
        drop(inner);
        self.dropped.fetch_add(dropped, Relaxed);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    /// Moves the next events into `batch`, which must be empty: the application is done with those
    /// of the last one. `None` when the queue is closed and empty.
    pub(crate) fn poll_take(
        &self,
        cx: &Context<'_>,
        batch: &mut VecDeque<Event>,
    ) -> Poll<Option<()>> {
        let mut inner = lock(&self.inner);
        let had_room = inner.has_room(self.limits);
        let taken = std::mem::take(&mut inner.taken);
        inner.messages = inner.messages.saturating_sub(taken.messages);
        inner.bytes = inner.bytes.saturating_sub(taken.bytes);
        let paused = if !had_room && inner.has_room(self.limits) {
            std::mem::take(&mut inner.paused)
        } else {
            Vec::new()
        };
        let count = inner.events.len().min(TAKE);
        batch.extend(inner.events.drain(..count));
        for event in batch.iter().filter(|event| is_message(event)) {
            inner.taken.messages += 1;
            inner.taken.bytes += event.held();
        }
        let result = if count > 0 {
            Poll::Ready(Some(()))
        } else if inner.closed {
            Poll::Ready(None)
        } else {
            inner.receiver = Some(cx.waker().clone());
            Poll::Pending
        };
        drop(inner);
        paused.into_iter().for_each(Waker::wake);
        result
    }

    /// No more events will come.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let receiver = inner.receiver.take();
        drop(inner);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    /// Nobody receives any more: what is queued and what comes is dropped.
    pub(crate) fn abandon(&self) {
        let mut inner = lock(&self.inner);
        inner.abandoned = true;
        let events = std::mem::take(&mut inner.events);
        let paused = std::mem::take(&mut inner.paused);
        drop(inner);
        let dropped = events.iter().filter(|event| is_message(event)).count();
        self.dropped.fetch_add(dropped as u64, Relaxed);
        paused.into_iter().for_each(Waker::wake);
    }
}

impl Inner {
    fn has_room(&self, limits: QueueLimits) -> bool {
        self.messages < limits.messages && self.bytes < limits.bytes
    }

    fn room(&self, limits: QueueLimits) -> Room {
        if self.abandoned {
            return Room(Held {
                messages: usize::MAX,
                bytes: usize::MAX,
            });
        }
        Room(Held {
            messages: limits.messages.saturating_sub(self.messages),
            bytes: limits.bytes.saturating_sub(self.bytes),
        })
    }
}

/// Room for so many messages and bytes; the last message may go over the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room(Held);

impl Room {
    /// What is left after this event; `None` if nothing is.
    pub(crate) fn after(self, event: &Event) -> Option<Self> {
        if !is_message(event) {
            return Some(self);
        }
        let left = Held {
            messages: self.0.messages.saturating_sub(1),
            bytes: self.0.bytes.saturating_sub(event.held()),
        };
        (left.messages > 0 && left.bytes > 0).then_some(Self(left))
    }
}

fn is_message(event: &Event) -> bool {
    matches!(
        event,
        Event::Request { .. } | Event::Response { .. } | Event::Malformed { .. }
    )
}
