//! The counters of a sender.

/// The counters of a [`Sender`](crate::Sender) since its start, and its gauge.
///
/// Each message that was pushed is in `sent`, in one of the four counts of those that were not, or
/// waits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct SenderStats {
    /// Messages handed to the system.
    pub sent: u64,
    /// Messages dropped as the queue was full.
    pub queue_full: u64,
    /// Messages dropped as they are too long for a frame, or over UDP for a datagram.
    pub too_long: u64,
    /// Messages whose datagram could not be sent.
    pub failed: u64,
    /// Reports of the network that nobody takes the datagrams, which count as sent.
    pub unreachable: u64,
    /// Messages dropped as the capture ended before they were sent.
    pub abandoned: u64,
    /// Connections opened.
    pub connected: u64,
    /// Connections that were lost, or could not be opened.
    pub disconnected: u64,
    /// Connections closed as the collector took nothing.
    pub stalled: u64,
    /// Connections closed as the collector sent what nobody asked for.
    pub flooded: u64,
    /// The bytes of the frames that wait.
    pub queued_bytes: u64,
}
