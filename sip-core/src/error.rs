use thiserror::Error;

/// Why a header value or a URI does not follow its grammar, and where.
///
/// Offsets count bytes from the start of the value that was given to the parse function.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ValueError {
    /// Something other than what the grammar asks for.
    #[error("expected {expected} at byte {offset}, found {}", Found(*.found))]
    Unexpected {
        /// What the grammar asks for here.
        expected: &'static str,
        /// The byte that stood there, or `None` at the end of the value.
        found: Option<u8>,
        /// Where it stood.
        offset: usize,
    },
    /// A number or text that is well formed but outside the range of its field.
    #[error("{what} at byte {offset} is out of range")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// Where it starts.
        offset: usize,
    },
    /// Something that may stand only once came twice (RFC 3261 §7.3.1, §19.1.1).
    #[error("{what} is repeated at byte {offset}")]
    Repeated {
        /// The field.
        what: &'static str,
        /// Where the second one starts.
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

    /// Where the error was found, in bytes from the start of the value.
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
