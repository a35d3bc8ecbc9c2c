//! The record of a simulation.

use core::fmt;
use core::time::Duration;

/// The record of a simulation, line by line, with the virtual time.
///
/// Two runs are the same if their traces are equal; [`digest`](Self::digest) compares cheaply.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trace {
    lines: Vec<String>,
    digest: u64,
}

impl Trace {
    /// Adds a line. Users may add their own.
    pub fn note(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:>12.6} {what}", at.as_secs_f64());
        self.digest = digest(self.digest, line.as_bytes());
        self.lines.push(line);
    }

    /// The lines so far.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// A hash that differs between different traces.
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// The FNV-1a hash of bytes, continued from `from`.
pub(super) fn digest(from: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(from ^ 0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Bytes, as written in a trace: their number and their hash.
pub(super) struct Digest<'a>(pub(super) &'a [u8]);

impl fmt::Display for Digest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes #{:016x}", self.0.len(), digest(0, self.0))
    }
}
