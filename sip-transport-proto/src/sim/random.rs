//! The random draws of a simulation.

use core::ops::RangeInclusive;
use core::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The random number generator of a simulation: a function of the seed.
#[derive(Clone, Debug)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Returns true with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        // No draw for a probability of 0, so that switching one fault off does not change the
        // others.
        probability > 0.0 && f64::from(self.0.next_u32()) < probability * 4_294_967_296.0
    }

    pub(super) fn within(&mut self, range: &RangeInclusive<usize>) -> usize {
        let (low, high) = (*range.start(), *range.end());
        let width = (high.saturating_sub(low) as u64).saturating_add(1);
        let offset = match width {
            1 => 0,
            width => self.0.next_u64().checked_rem(width).unwrap_or(0),
        };
        low.saturating_add(usize::try_from(offset).unwrap_or(0))
    }

    pub(super) fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 {
            return Duration::ZERO;
        }
        Duration::from_nanos(self.0.next_u64() % nanos.saturating_add(1).max(1))
    }
}
