use core::ops::RangeInclusive;
use core::time::Duration;

/// How bytes travel between two hosts. The default loses nothing and takes no time.
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
        /// How long everything takes at least.
        with_latency: latency: Duration;
        /// How much longer it may take. Streams keep their order.
        with_jitter: jitter: Duration;
        /// The probability that a packet is lost. On streams it comes again, 200 ms later.
        with_loss: loss: f64;
        /// The probability that a datagram comes twice.
        with_duplication: duplication: f64;
        /// The probability that a datagram takes a way three times as long.
        with_reordering: reordering: f64;
        /// The probability that a write breaks its connection.
        with_reset: reset: f64;
        /// The probability that a read or write that could go on says `WouldBlock`, for 1 ms.
        with_would_block: would_block: f64;
        /// The largest datagram that travels in one piece. Larger ones travel in several, each of
        /// which can be lost.
        with_mtu: mtu: usize;
        /// Whether datagrams in several pieces get through at all.
        with_fragments: fragments: bool;
        /// How many bytes one write takes at most: drawn for each from this range, at least 1.
        with_write_sizes: write_sizes: RangeInclusive<usize>;
        /// How many bytes one read gives at most: drawn for each from this range, at least 1.
        with_read_sizes: read_sizes: RangeInclusive<usize>;
        /// How many bytes a stream holds that the far end has not read.
        with_window: window: usize;
    }
}
