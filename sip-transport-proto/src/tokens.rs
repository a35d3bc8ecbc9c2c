//! Random tokens: branches and tags, generated from a seed.

use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::ids::SendId;

/// A generator of random tokens, such as branches, tags and Call-IDs: a function of its seed.
#[derive(Clone, Debug)]
pub struct Tokens(ChaCha12Rng);

const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

impl Tokens {
    /// A generator from a seed of 32 bytes, which must come from the operating system's randomness
    /// unless all peers are trusted.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// Fills `bytes` with random bytes, as the builders of sip-core ask for.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A branch with the cookie of RFC 3261 §8.1.1.7 and 80 random bits.
    pub fn branch(&mut self) -> Branch {
        Branch::of_random(self.array())
    }

    /// A tag of 80 random bits; RFC 3261 §19.3 requires 32.
    pub fn tag(&mut self) -> Tag {
        Tag::of_random(self.array())
    }
}

fn letter(random: u8) -> u8 {
    ALPHABET
        .get(usize::from(random & 31))
        .copied()
        .unwrap_or(b'a')
}

/// The value of a `branch` parameter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Branch([u8; 23]);

/// The value of a `tag` parameter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tag([u8; 16]);

impl Branch {
    /// The branch of one send: a function of the key and the send's id alone.
    pub(crate) fn of_send(key: [u8; 32], send: SendId) -> Self {
        let mut random = ChaCha12Rng::from_seed(key);
        random.set_stream(send.0);
        Self::of_random(Tokens(random).array())
    }

    pub(crate) fn of_random(random: [u8; 16]) -> Self {
        let mut text = *b"z9hG4bK................";
        for (byte, random) in text.iter_mut().skip(7).zip(random) {
            *byte = letter(random);
        }
        Self(text)
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Tag {
    pub(crate) fn of_random(random: [u8; 16]) -> Self {
        Self(random.map(letter))
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
