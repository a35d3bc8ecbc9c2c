//! Batches of datagrams to receive and to send, many to a system call, in reused buffers.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// The datagrams per system call; more gain nothing measurable and would hold more memory.
pub(crate) const BATCH: usize = 32;

/// The maximum length of a UDP datagram (RFC 768: a 16-bit length).
pub(crate) const LONGEST: usize = 65_535;

/// The distance between receive slots. A round 64 KiB would put the heads of all datagrams into the
/// same few sets of the processor's caches.
pub(crate) const STRIDE: usize = 65_536 + 17 * 64;

/// A report that a datagram did not reach its destination.
#[derive(Debug)]
#[non_exhaustive]
pub struct DatagramFailure {
    /// The id given to [`SendBatch::push`] if this very datagram could not be sent; `None` if the
    /// network reported by ICMP that some datagram to this destination was not delivered.
    pub id: Option<u64>,
    /// The destination.
    pub destination: SocketAddr,
    /// The error.
    pub error: io::Error,
}

impl DatagramFailure {
    /// A report about one datagram (`id`), or about a destination.
    pub fn new(id: Option<u64>, destination: SocketAddr, error: io::Error) -> Self {
        Self {
            id,
            destination,
            error,
        }
    }
}

/// A received datagram, lent from a [`RecvBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// The payload.
    pub data: &'a [u8],
    /// The source; IPv4 on a dual-stack socket is shown as IPv4.
    pub remote: SocketAddr,
    /// The local address on which it was received; unspecified only on a wildcard socket of a
    /// system that does not report it.
    pub local: IpAddr,
    /// True if the payload was longer than the room for it, and the rest is lost.
    pub truncated: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) remote: SocketAddr,
    pub(crate) local: IpAddr,
    pub(crate) truncated: bool,
}

/// Reusable room for up to 32 received datagrams, each of any length.
///
/// It takes 2.1 MiB of address space, of which only the pages that datagrams have reached use
/// memory: 128 to 256 KiB with usual SIP messages. Have one per socket.
pub struct RecvBatch {
    pub(crate) arena: Vec<u8>,
    pub(crate) received: Vec<Received>,
    pub(crate) failures: Vec<DatagramFailure>,
}

impl RecvBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self {
            // The system provides zeroed memory of this size page by page, when touched.
            arena: vec![0; BATCH * STRIDE],
            received: Vec::with_capacity(BATCH),
            failures: Vec::new(),
        }
    }

    /// Drops its datagrams.
    pub fn clear(&mut self) {
        self.received.clear();
        self.failures.clear();
    }

    /// The number of datagrams.
    pub fn len(&self) -> usize {
        self.received.len()
    }

    /// Returns true if it holds no datagram.
    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// Returns true if it has no room for another datagram.
    pub fn is_full(&self) -> bool {
        self.received.len() == BATCH
    }

    /// The datagrams, in the order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Datagram<'_>> {
        self.received
            .iter()
            .zip(self.arena.chunks(STRIDE))
            .map(|(entry, slot)| Datagram {
                data: slot.get(..entry.length).unwrap_or(slot),
                remote: entry.remote,
                local: entry.local,
                truncated: entry.truncated,
            })
    }

    /// ICMP errors about datagrams sent before.
    pub fn failures(&mut self) -> &mut Vec<DatagramFailure> {
        &mut self.failures
    }

    /// Adds a datagram, for sockets that are not the system's. Returns false if there is no room.
    pub fn push(&mut self, remote: SocketAddr, local: IpAddr, data: &[u8]) -> bool {
        let Some(slot) = self.spare().next() else {
            return false;
        };
        let length = data.len().min(slot.len());
        slot[..length].copy_from_slice(&data[..length]);
        self.received.push(Received {
            length,
            remote,
            local,
            truncated: length < data.len(),
        });
        true
    }

    /// The unused slots.
    pub(crate) fn spare(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.arena
            .chunks_mut(STRIDE)
            .skip(self.received.len())
            .map(|slot| &mut slot[..LONGEST])
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch")
            .field("received", &self.received)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// A datagram in a [`SendBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// The payload.
    pub data: &'a [u8],
    /// The destination.
    pub destination: SocketAddr,
    /// The local address to send it from; `None` leaves the choice to the system.
    pub source: Option<IpAddr>,
    /// The TTL to send it with, if it is for a group.
    pub ttl: Option<u8>,
    /// The id given to [`SendBatch::push`].
    pub id: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Queued {
    pub(crate) destination: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    pub(crate) ttl: Option<u8>,
    pub(crate) id: u64,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The batch has no room for another datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the datagram of {length} bytes does not fit: {held} of {limit} bytes are waiting")]
#[non_exhaustive]
pub struct BatchFull {
    /// The bytes of the datagram.
    pub length: usize,
    /// The bytes that wait in the batch.
    pub held: usize,
    /// The bytes that may wait.
    pub limit: usize,
}

/// The bytes that a datagram counts beyond its payload, so that empty ones are bounded too.
const OVERHEAD: usize = size_of::<Queued>();

/// Datagrams that wait to be sent, in one contiguous, reused buffer.
///
/// ```
/// use adapter_core::runtime::SendBatch;
///
/// let mut batch = SendBatch::new(64 * 1024);
/// let destination = "192.0.2.1:5060".parse().unwrap();
/// batch.push(destination, None, 1, |buffer| buffer.extend_from_slice(b"\r\n\r\n")).unwrap();
/// assert_eq!(batch.iter().next().unwrap().data, b"\r\n\r\n");
/// ```
#[derive(Debug)]
pub struct SendBatch {
    pub(crate) arena: Vec<u8>,
    entries: Vec<Queued>,
    head: usize,
    limit: usize,
    pub(crate) failures: Vec<DatagramFailure>,
}

impl SendBatch {
    /// An empty batch that holds up to `limit` bytes; each datagram counts as its payload and a
    /// fixed overhead of less than 100 bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            arena: Vec::new(),
            entries: Vec::new(),
            head: 0,
            limit,
            failures: Vec::new(),
        }
    }

    /// Adds a datagram whose payload `write` appends to the buffer it is given. `id` is not
    /// interpreted, and is returned in a [`DatagramFailure`].
    ///
    /// # Errors
    ///
    /// [`BatchFull`] if it does not fit; the batch is as it was before.
    pub fn push(
        &mut self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        id: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BatchFull> {
        self.push_with_ttl(destination, source, None, id, write)
    }

    /// Like [`push`](Self::push), for a datagram to a group, with its TTL.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push).
    pub fn push_with_ttl(
        &mut self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        ttl: Option<u8>,
        id: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BatchFull> {
        if self.head > 0 && self.arena.len() + self.entries.len() * OVERHEAD >= self.limit {
            self.compact();
        }
        let start = self.arena.len();
        write(&mut self.arena);
        let (length, held) = (self.arena.len().saturating_sub(start), self.bytes());
        if held + length + OVERHEAD > self.limit {
            self.arena.truncate(start);
            return Err(BatchFull {
                length,
                held,
                limit: self.limit,
            });
        }
        self.entries.push(Queued {
            destination,
            source,
            ttl,
            id,
            start,
            end: self.arena.len(),
        });
        Ok(())
    }

    /// The datagrams that wait, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.waiting().iter().map(|entry| Entry {
            data: self.arena.get(entry.start..entry.end).unwrap_or_default(),
            destination: entry.destination,
            source: entry.source,
            ttl: entry.ttl,
            id: entry.id,
        })
    }

    /// The number of datagrams that wait.
    pub fn len(&self) -> usize {
        self.entries.len() - self.head
    }

    /// Returns true if no datagram waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that wait, each datagram counted as its payload and a fixed overhead.
    pub fn bytes(&self) -> usize {
        match self.waiting() {
            [] => 0,
            entries @ [first, .., last] => last.end - first.start + entries.len() * OVERHEAD,
            [only] => only.end - only.start + OVERHEAD,
        }
    }

    /// Datagrams that could not be sent, and ICMP errors about ones that were. Drain it after each
    /// [`try_send`](crate::runtime::Datagrams::try_send).
    pub fn failures(&mut self) -> &mut Vec<DatagramFailure> {
        &mut self.failures
    }

    /// Removes the first `count` datagrams, which have been sent.
    pub fn sent(&mut self, count: usize) {
        self.head = self.entries.len().min(self.head.saturating_add(count));
        if self.head == self.entries.len() {
            self.head = 0;
            self.entries.clear();
            self.arena.clear();
        }
    }

    /// Removes the first datagram, which cannot be sent, as a failure.
    pub fn failed(&mut self, error: io::Error) {
        if let Some(&Queued {
            id, destination, ..
        }) = self.waiting().first()
        {
            self.failures
                .push(DatagramFailure::new(Some(id), destination, error));
            self.sent(1);
        }
    }

    /// Removes all datagrams, each as a failure with the error that `why` makes.
    pub fn fail_all(&mut self, mut why: impl FnMut() -> io::Error) {
        while !self.is_empty() {
            self.failed(why());
        }
    }

    pub(crate) fn waiting(&self) -> &[Queued] {
        self.entries.get(self.head..).unwrap_or_default()
    }

    /// Moves waiting bytes to the front, so that sent bytes do not count as held.
    fn compact(&mut self) {
        let gone = self
            .waiting()
            .first()
            .map_or(self.arena.len(), |first| first.start);
        self.entries.drain(..self.head);
        self.head = 0;
        self.arena.drain(..gone);
        for entry in &mut self.entries {
            entry.start -= gone;
            entry.end -= gone;
        }
    }
}
