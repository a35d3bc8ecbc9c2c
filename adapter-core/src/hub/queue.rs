//! The queues of events for the application.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::vec;

use sip_transport_proto::Event;

use crate::sync::lock;

/// One worker's queue of events. Messages count against its limits. Other events (a connection
/// closed, a send failed) are always accepted, and while as many of them wait as messages may, no
/// connection is accepted.
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
    /// Events are passed in the batches in which they were found: none is moved on its own.
    batches: VecDeque<Batch>,
    /// The sum of what is queued and what the application has taken in its last batch.
    held: Load,
    taken: Load,
    receiver: Option<Waker>,
    /// The tasks that resume reading when there is room again.
    paused: Vec<Waker>,
    /// The tasks that accept connections then.
    accepting: Vec<Waker>,
    closed: bool,
    /// True once the receiver is gone.
    abandoned: bool,
}

#[derive(Debug)]
struct Batch {
    events: Vec<Event>,
    held: Load,
}

/// The number of messages, of the bytes that they hold, and of other events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) others: usize,
}

impl Load {
    fn of(events: &[Event]) -> Self {
        let mut held = Self::default();
        for event in events {
            if is_message(event) {
                held.messages += 1;
                held.bytes += event.held();
            } else {
                held.others += 1;
            }
        }
        held
    }

    fn add(&mut self, more: Self) {
        self.messages = self.messages.saturating_add(more.messages);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.others = self.others.saturating_add(more.others);
    }

    fn take(&mut self, less: Self) {
        self.messages = self.messages.saturating_sub(less.messages);
        self.bytes = self.bytes.saturating_sub(less.bytes);
        self.others = self.others.saturating_sub(less.others);
    }

    fn lets_accept(self, limits: QueueLimits) -> bool {
        self.others < limits.messages
    }

    fn leaves_room(self, limits: QueueLimits) -> bool {
        self.messages < limits.messages && self.bytes < limits.bytes
    }
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            inner: Mutex::default(),
            limits,
            dropped: AtomicU64::new(0),
        }
    }

    /// The number of messages dropped because the queue was full or the receiver gone.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// The load that waits for the application or is with it.
    pub(crate) fn held(&self) -> Load {
        lock(&self.inner).held
    }

    /// The room for messages; if none, `cx` is woken when there is some.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Room> {
        let mut inner = lock(&self.inner);
        if inner.abandoned || inner.has_room(self.limits) {
            return Poll::Ready(inner.room(self.limits));
        }
        remember(&mut inner.paused, cx);
        Poll::Pending
    }

    /// Ready when a connection may be accepted: each produces events that are always accepted.
    pub(crate) fn poll_accept(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.inner);
        if inner.abandoned || inner.held.lets_accept(self.limits) {
            return Poll::Ready(());
        }
        remember(&mut inner.accepting, cx);
        Poll::Pending
    }

    /// Adds events in order, all under one lock and with one wake. Callers with messages have asked
    /// for room before, so all are accepted.
    pub(crate) fn push(&self, events: &mut Vec<Event>) {
        self.add(events, false);
    }

    /// Like [`push`](Self::push), for messages that cannot be made to wait: those beyond the limits
    /// are dropped and counted. Returns their number, if there is a receiver.
    pub(crate) fn offer(&self, events: &mut Vec<Event>) -> usize {
        self.add(events, true)
    }

    fn add(&self, events: &mut Vec<Event>, limited: bool) -> usize {
        if events.is_empty() {
            return 0;
        }
        let mut events = std::mem::take(events);
        let count = events.len();
        let mut inner = lock(&self.inner);
        if inner.abandoned {
            drop(inner);
            let dropped = Load::of(&events).messages;
            self.dropped.fetch_add(dropped as u64, Relaxed);
            // Without a receiver, no one is too slow.
            return 0;
        }
        if limited {
            let mut held = inner.held;
            events.retain(|event| {
                let fits = !is_message(event) || held.leaves_room(self.limits);
                if fits {
                    held.add(Load::of(std::slice::from_ref(event)));
                }
                fits
            });
        }
        let dropped = count - events.len();
        self.dropped.fetch_add(dropped as u64, Relaxed);
        if events.is_empty() {
            return dropped;
        }
        let held = Load::of(&events);
        inner.held.add(held);
        inner.batches.push_back(Batch { events, held });
        let receiver = inner.receiver.take();
        drop(inner);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        dropped
    }

    /// The next batch of events; the application has finished the last one. `None` when the queue
    /// is closed and empty.
    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<vec::IntoIter<Event>>> {
        let mut inner = lock(&self.inner);
        let had_room = inner.has_room(self.limits);
        let taken = std::mem::take(&mut inner.taken);
        inner.held.take(taken);
        let mut woken = Vec::new();
        if !had_room && inner.has_room(self.limits) {
            woken.append(&mut inner.paused);
        }
        if inner.held.lets_accept(self.limits) {
            woken.append(&mut inner.accepting);
        }
        let result = if let Some(batch) = inner.batches.pop_front() {
            inner.taken = batch.held;
            Poll::Ready(Some(batch.events.into_iter()))
        } else if inner.closed {
            Poll::Ready(None)
        } else {
            inner.receiver = Some(cx.waker().clone());
            Poll::Pending
        };
        drop(inner);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    /// Closes the queue: no more events will follow.
    pub(crate) fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let receiver = inner.receiver.take();
        drop(inner);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
    }

    /// Handles the loss of the receiver: queued and later events are dropped.
    pub(crate) fn abandon(&self) {
        let mut inner = lock(&self.inner);
        inner.abandoned = true;
        let batches = std::mem::take(&mut inner.batches);
        let mut woken = std::mem::take(&mut inner.paused);
        woken.append(&mut inner.accepting);
        drop(inner);
        let dropped: usize = batches.iter().map(|batch| batch.held.messages).sum();
        self.dropped.fetch_add(dropped as u64, Relaxed);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Inner {
    fn has_room(&self, limits: QueueLimits) -> bool {
        self.held.leaves_room(limits)
    }

    fn room(&self, limits: QueueLimits) -> Room {
        if self.abandoned {
            return Room(Load {
                messages: usize::MAX,
                bytes: usize::MAX,
                others: 0,
            });
        }
        Room(Load {
            messages: limits.messages.saturating_sub(self.held.messages),
            bytes: limits.bytes.saturating_sub(self.held.bytes),
            others: 0,
        })
    }
}

/// Room for a number of messages and bytes; the last message may exceed the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room(Load);

impl Room {
    /// The room left after this event; `None` if none is.
    pub(crate) fn after(self, event: &Event) -> Option<Self> {
        if !is_message(event) {
            return Some(self);
        }
        let left = Load {
            messages: self.0.messages.saturating_sub(1),
            bytes: self.0.bytes.saturating_sub(event.held()),
            others: 0,
        };
        (left.messages > 0 && left.bytes > 0).then_some(Self(left))
    }
}

/// Adds the task to those to be woken.
fn remember(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

fn is_message(event: &Event) -> bool {
    matches!(
        event,
        Event::Request { .. } | Event::Response { .. } | Event::Malformed { .. }
    )
}
