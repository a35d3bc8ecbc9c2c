use core::fmt;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::ids::SendId;

/// Random names: branches, tags, Call-IDs. A function of its seed.
#[derive(Clone, Debug)]
pub struct Tokens(ChaCha12Rng);

const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

impl Tokens {
    /// Tokens from a seed of 32 bytes, which must come from the operating system wherever peers
    /// are not trusted.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// Fills `bytes`: what the builders of sip-core ask for.
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

    /// A tag of 80 random bits; RFC 3261 §19.3 asks for 32.
    pub fn tag(&mut self) -> Tag {
        Tag(self.array::<16>().map(letter))
    }
}

fn letter(random: u8) -> u8 {
    ALPHABET
        .get(usize::from(random & 31))
        .copied()
        .unwrap_or(b'a')
}

/// A branch parameter's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Branch([u8; 23]);

/// A tag parameter's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tag([u8; 16]);

impl Branch {
    /// The branch of one send, which depends on no other: whoever has the key makes it.
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

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Tag {
    /// The text.
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
