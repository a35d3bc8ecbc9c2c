//! The queue of bytes that a connection writes.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::context::ChannelContext;
use crate::ids::SendId;

/// Bytes that wait to be written, in whole messages and in order.
///
/// The messages are contiguous, so that one write can take as many as the socket accepts.
#[derive(Debug)]
pub(crate) struct SendQueue {
    context: Arc<ChannelContext>,
    buffer: Vec<u8>,
    /// The number of bytes of `buffer` that are written.
    written: usize,
    /// The end of each message, counted in bytes since the connection opened.
    ends: VecDeque<(SendId, u64)>,
    queued_ever: u64,
    written_ever: u64,
    /// A position in the stream, and the time it was queued; not all bytes before it are written.
    mark: Option<(u64, Instant)>,
}

/// The initial capacity of a buffer for more than one message.
const FIRST_CAPACITY: usize = 8_192;

impl SendQueue {
    pub(crate) fn new(context: Arc<ChannelContext>) -> Self {
        Self {
            context,
            buffer: Vec::new(),
            written: 0,
            ends: VecDeque::new(),
            queued_ever: 0,
            written_ever: 0,
            mark: None,
        }
    }

    /// The time since which bytes have waited here, at least; `None` if none do. To be asked after
    /// each change.
    ///
    /// A peer that reads a few bytes now and then still counts as behind.
    pub(crate) fn waiting_since(&mut self, now: Instant) -> Option<Instant> {
        let ahead = |(end, _): &(u64, Instant)| *end > self.written_ever;
        if self.is_empty() {
            self.mark = None;
        } else if !self.mark.as_ref().is_some_and(ahead) {
            self.mark = Some((self.queued_ever, now));
        }
        self.mark.map(|(_, since)| since)
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len().saturating_sub(self.written)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what `write` appends, at most `bound` bytes, unless that could go over `limit` or over
    /// the limit of all queues together: then it returns the limit that was reached.
    pub(crate) fn push(
        &mut self,
        bound: usize,
        message: Option<SendId>,
        limit: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), usize> {
        if self.len().checked_add(bound).is_none_or(|len| len > limit) {
            return Err(limit);
        }
        let total = self.context.config.total_send_queue;
        if !self.context.queued.take(bound, total) {
            return Err(total);
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(FIRST_CAPACITY.max(bound));
        }
        self.append(bound, write);
        if let Some(id) = message {
            self.ends.push_back((id, self.queued_ever));
        }
        Ok(())
    }

    /// Adds what `write` appends: answers to the peer's bytes, which are few.
    pub(crate) fn push_control(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.append(0, write);
    }

    fn append(&mut self, charged: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.written > self.len() {
            // More than half is written: move the rest to the front.
            self.buffer.drain(..self.written);
            self.written = 0;
        }
        let before = self.buffer.len();
        write(&mut self.buffer);
        let added = self.buffer.len().saturating_sub(before);
        self.queued_ever = self.queued_ever.saturating_add(added as u64);
        self.context.queued.correct(charged, added);
        self.context.counters.queued_bytes.up(added);
    }

    /// The bytes to be written next.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.written..).unwrap_or_default()
    }

    /// Removes `n` bytes that are written.
    pub(crate) fn advance(&mut self, n: usize) {
        let n = n.min(self.len());
        self.give_back(n);
        self.written = self.written.saturating_add(n);
        self.written_ever = self.written_ever.saturating_add(n as u64);
        while self
            .ends
            .front()
            .is_some_and(|&(_, end)| end <= self.written_ever)
        {
            self.ends.pop_front();
        }
        if self.is_empty() {
            // An idle connection holds no buffer.
            self.buffer = Vec::new();
            self.written = 0;
        }
    }

    fn give_back(&self, n: usize) {
        self.context.queued.give_back(n);
        self.context.counters.queued_bytes.down(n);
    }

    /// Discards what is left. Returns the messages that were not written completely, each once
    /// however often it was queued.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = SendId> {
        self.give_back(self.len());
        self.buffer = Vec::new();
        self.written = 0;
        let mut returned = BTreeSet::new();
        core::mem::take(&mut self.ends)
            .into_iter()
            .map(|(id, _)| id)
            .filter(move |id| returned.insert(*id))
    }
}

impl Drop for SendQueue {
    fn drop(&mut self) {
        self.give_back(self.len());
    }
}
