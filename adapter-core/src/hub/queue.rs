//! Events on their way to the application.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::vec;

use sip_transport_proto::Event;

use crate::sync::lock;

/// One worker's queue of events. Messages count against its limits; what must be known (a
/// connection closed, a send failed) always gets in, and while as much of that waits as there may
/// be messages, no connection is accepted.
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
    /// Events cross in the batches in which they were found: none is moved one by one.
    batches: VecDeque<Batch>,
    /// What is queued, and of that what the application has taken in its last batch.
    held: Held,
    taken: Held,
    receiver: Option<Waker>,
    /// Tasks that read on when there is room again.
    paused: Vec<Waker>,
    /// Tasks that accept connections then.
    accepting: Vec<Waker>,
    closed: bool,
    /// Nobody receives any more.
    abandoned: bool,
}

#[derive(Debug)]
struct Batch {
    events: Vec<Event>,
    held: Held,
}

/// Messages, the bytes that they hold, and other events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) others: usize,
}

impl Held {
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

    /// Messages dropped because the queue was full or nobody received them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// What waits for the application or is with it.
    pub(crate) fn held(&self) -> Held {
        lock(&self.inner).held
    }

    /// How much room there is for messages; if none, `cx` is woken when there is.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<Room> {
        let mut inner = lock(&self.inner);
        if inner.abandoned || inner.has_room(self.limits) {
            return Poll::Ready(inner.room(self.limits));
        }
        remember(&mut inner.paused, cx);
        Poll::Pending
    }

    /// Ready when a connection may be accepted: each brings events that always get in.
    pub(crate) fn poll_accept(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = lock(&self.inner);
        if inner.abandoned || inner.held.lets_accept(self.limits) {
            return Poll::Ready(());
        }
        remember(&mut inner.accepting, cx);
        Poll::Pending
    }

    /// Adds events in order, all under one lock and with one wake. Those who bring messages have
    /// asked for room before, so all get in.
    pub(crate) fn push(&self, events: &mut Vec<Event>) {
        self.add(events, false);
    }

    /// Like [`push`](Self::push), for messages that nobody can make wait: those beyond the limits
    /// are dropped and counted. Says how many, if somebody receives.
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
            let dropped = Held::of(&events).messages;
            self.dropped.fetch_add(dropped as u64, Relaxed);
            // Nobody is late: nobody wants them.
            return 0;
        }
        if limited {
            let mut held = inner.held;
            events.retain(|event| {
                let fits = !is_message(event) || held.leaves_room(self.limits);
                if fits {
                    held.add(Held::of(std::slice::from_ref(event)));
                }
                fits
            });
        }
        let dropped = count - events.len();
        self.dropped.fetch_add(dropped as u64, Relaxed);
        if events.is_empty() {
            return dropped;
        }
        let held = Held::of(&events);
        inner.held.add(held);
        inner.batches.push_back(Batch { events, held });
        let receiver = inner.receiver.take();
        drop(inner);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        dropped
    }

    /// The next batch of events: the application is done with the last one. `None` when the queue
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
            return Room(Held {
                messages: usize::MAX,
                bytes: usize::MAX,
                others: 0,
            });
        }
        Room(Held {
            messages: limits.messages.saturating_sub(self.held.messages),
            bytes: limits.bytes.saturating_sub(self.held.bytes),
            others: 0,
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
            others: 0,
        };
        (left.messages > 0 && left.bytes > 0).then_some(Self(left))
    }
}

/// Wakes this task too.
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
