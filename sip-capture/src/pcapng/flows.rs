//! The sequence numbers of TCP flows.

use core::net::SocketAddr;
use std::collections::BTreeMap;

/// The most flows that are remembered: some 10 MB.
const FLOWS_MAX: usize = 65_536;

/// The next sequence number of each direction of each TCP flow.
///
/// A flow begins at the number of bytes that all flows together have had: so no flow ever goes back,
/// which Wireshark would take for a retransmission, even where it was forgotten between or where
/// its ports are used again.
#[derive(Debug, Default)]
pub(super) struct Flows {
    next: BTreeMap<(SocketAddr, SocketAddr), u32>,
    total: u32,
}

impl Flows {
    /// The sequence number of `length` bytes from `source`, and the next that is expected from the
    /// other side.
    pub(super) fn take(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        length: u32,
    ) -> (u32, u32) {
        if self.next.len() >= FLOWS_MAX && !self.next.contains_key(&(source, destination)) {
            self.next.clear();
        }
        let start = self.total;
        let other = *self.next.entry((destination, source)).or_insert(start);
        let next = self.next.entry((source, destination)).or_insert(start);
        let sequence = *next;
        *next = sequence.wrapping_add(length);
        self.total = self.total.wrapping_add(length);
        (sequence, other)
    }
}
