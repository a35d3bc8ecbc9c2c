//! The dice of a script: a function of the seed.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use sip_transport_proto::Tokens;

/// See the [module](self).
#[derive(Debug)]
pub struct Dice(Tokens);

impl Dice {
    /// Dice that fall as the seed says.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0xd1; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self(Tokens::new(bytes))
    }

    /// A number from 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % n
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A probability below that of `most` in a hundred.
    pub fn percent(&mut self, most: u64) -> f64 {
        self.below(most) as f64 / 100.0
    }

    /// So many milliseconds at most.
    pub fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most + 1))
    }

    /// One of them; there must be some.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        let which = self.below(among.len() as u64);
        &among[usize::try_from(which).unwrap()]
    }

    /// Random bytes, as builders want them.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
