use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::ids::SendId;
use crate::shared::ChannelContext;

/// Bytes that wait to be written, in whole messages and in order.
///
/// All messages stand behind one another, so that one write takes as many as the socket does.
#[derive(Debug)]
pub(crate) struct SendQueue {
    shared: Arc<ChannelContext>,
    buffer: Vec<u8>,
    /// How much of `buffer` is written.
    written: usize,
    /// Where each message ends, counted in bytes since the connection opened.
    ends: VecDeque<(SendId, u64)>,
    queued_ever: u64,
    written_ever: u64,
    /// What was queued up to here, at that time, is not written wholly.
    mark: Option<(u64, Instant)>,
}

/// What a buffer for more than one message starts with.
const FIRST_CAPACITY: usize = 8_192;

impl SendQueue {
    pub(crate) fn new(shared: Arc<ChannelContext>) -> Self {
        Self {
            shared,
            buffer: Vec::new(),
            written: 0,
            ends: VecDeque::new(),
            queued_ever: 0,
            written_ever: 0,
            mark: None,
        }
    }

    /// Since when bytes have waited here, at least; `None` if none do. To be asked after each change.
    ///
    /// A peer that takes a few bytes now and then is behind all the same.
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
    /// the limit of all queues: then it gives back the limit that was hit.
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
        let total = self.shared.config.total_send_queue;
        if !self.shared.queued.take(bound, total) {
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

    /// Adds what `write` appends: answers that the peer's bytes call for, which are few.
    pub(crate) fn push_control(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.append(0, write);
    }

    fn append(&mut self, charged: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if self.written > self.len() {
            // More dead than alive: move what is alive to the front.
            self.buffer.drain(..self.written);
            self.written = 0;
        }
        let before = self.buffer.len();
        write(&mut self.buffer);
        let added = self.buffer.len().saturating_sub(before);
        self.queued_ever = self.queued_ever.saturating_add(added as u64);
        self.shared.queued.correct(charged, added);
        self.shared.counters.queued_bytes.up(added);
    }

    /// What is to be written next.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.written..).unwrap_or_default()
    }

    /// `n` bytes of that are written.
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
        self.shared.queued.give_back(n);
        self.shared.counters.queued_bytes.down(n);
    }

    /// Gives up what is left; the messages that were not written wholly, each once however often it
    /// was queued.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = SendId> {
        self.give_back(self.len());
        self.buffer = Vec::new();
        self.written = 0;
        let mut told = BTreeSet::new();
        core::mem::take(&mut self.ends)
            .into_iter()
            .map(|(id, _)| id)
            .filter(move |id| told.insert(*id))
    }
}

impl Drop for SendQueue {
    fn drop(&mut self) {
        self.give_back(self.len());
    }
}
