//! The properties of the path between two hosts.

use core::ops::RangeInclusive;
use core::time::Duration;

/// The path between two hosts: its delays and faults. The default loses nothing and takes no time.
///
/// Probabilities are between 0 and 1.
#[derive(Clone, Debug)]
pub struct Link {
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    pub(super) duplication: f64,
    pub(super) reordering: f64,
    pub(super) reset: f64,
    pub(super) would_block: f64,
    pub(super) mtu: usize,
    pub(super) fragments: bool,
    pub(super) write_sizes: RangeInclusive<usize>,
    pub(super) read_sizes: RangeInclusive<usize>,
    pub(super) window: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            reset: 0.0,
            would_block: 0.0,
            mtu: usize::MAX,
            fragments: true,
            write_sizes: usize::MAX..=usize::MAX,
            read_sizes: usize::MAX..=usize::MAX,
            window: 256 * 1024,
        }
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $setter:ident: $name:ident: $type:ty;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $setter(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        }
    )+};
}

impl Link {
    settings! {
        /// Sets the minimum latency.
        with_latency: latency: Duration;
        /// Sets the maximum additional latency, drawn at random. Streams keep their order.
        with_jitter: jitter: Duration;
        /// Sets the probability that a packet is lost. On streams it is retransmitted after 200 ms.
        with_loss: loss: f64;
        /// Sets the probability that a datagram is duplicated.
        with_duplication: duplication: f64;
        /// Sets the probability that a datagram takes three times as long.
        with_reordering: reordering: f64;
        /// Sets the probability that a write breaks its connection.
        with_reset: reset: f64;
        /// Sets the probability that a read or write that could proceed returns `WouldBlock`, for 1
        /// ms.
        with_would_block: would_block: f64;
        /// Sets the largest datagram that is sent in one piece. Larger ones are sent in several
        /// fragments, each of which can be lost.
        with_mtu: mtu: usize;
        /// Lets fragmented datagrams through, or drops them all.
        with_fragments: fragments: bool;
        /// Sets the most bytes that one write accepts: drawn for each from this range, at least 1.
        with_write_sizes: write_sizes: RangeInclusive<usize>;
        /// Sets the most bytes that one read returns: drawn for each from this range, at least 1.
        with_read_sizes: read_sizes: RangeInclusive<usize>;
        /// Sets the number of bytes that a stream holds that the peer has not read.
        with_window: window: usize;
    }
}
