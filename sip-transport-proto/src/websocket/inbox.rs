//! The buffer of bytes received but not parsed yet.

/// Bytes received and not yet read. An empty inbox holds no memory.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// The number of bytes that were read.
    start: usize,
}

impl Inbox {
    /// Appends `data`; the caller has checked that it fits within `limit`.
    pub(super) fn push(&mut self, data: &[u8], limit: usize) {
        // Not for every few bytes read: the rest would be moved again and again.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.max((self.bytes.capacity() * 2).min(limit));
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
    }

    pub(super) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub(super) fn unread_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.unread().len()
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n);
        if self.start >= self.bytes.len() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
