//! The error of a value's grammar.

use thiserror::Error;

/// The error of a header value or a URI that violates its grammar, with its position.
///
/// Offsets count bytes from the start of the value that was given to the parse function.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ValueError {
    /// A byte other than the grammar requires.
    #[error("expected {expected} at byte {offset}, found {}", Found(*.found))]
    Unexpected {
        /// The element that the grammar requires here.
        expected: &'static str,
        /// The byte found there, or `None` at the end of the value.
        found: Option<u8>,
        /// The position of the byte.
        offset: usize,
    },
    /// A number or text that is well formed but outside the range of its field.
    #[error("{what} at byte {offset} is out of range")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// The position of its start.
        offset: usize,
    },
    /// A field that may occur only once is repeated (RFC 3261 §7.3.1, §19.1.1).
    #[error("{what} is repeated at byte {offset}")]
    Repeated {
        /// The field.
        what: &'static str,
        /// The position of the second one.
        offset: usize,
    },
}

impl ValueError {
    /// [`ValueError::Unexpected`] for what stands in `value` at `offset`.
    #[cold]
    pub(crate) fn unexpected(expected: &'static str, value: &[u8], offset: usize) -> Self {
        Self::Unexpected {
            expected,
            found: value.get(offset).copied(),
            offset,
        }
    }

    /// The position of the error, in bytes from the start of the value.
    pub fn offset(&self) -> usize {
        match *self {
            Self::Unexpected { offset, .. }
            | Self::OutOfRange { offset, .. }
            | Self::Repeated { offset, .. } => offset,
        }
    }

    /// The same error for a value that starts `by` bytes later.
    #[must_use]
    pub fn shifted(mut self, by: usize) -> Self {
        match &mut self {
            Self::Unexpected { offset, .. }
            | Self::OutOfRange { offset, .. }
            | Self::Repeated { offset, .. } => *offset = offset.saturating_add(by),
        }
        self
    }
}

struct Found(Option<u8>);

impl core::fmt::Display for Found {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            None => f.write_str("the end"),
            Some(byte) => write!(f, "'{}'", byte.escape_ascii()),
        }
    }
}
