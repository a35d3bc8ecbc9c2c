//! The limits on received messages.

use thiserror::Error;

/// The strictness with which a received message is read.
///
/// What two readers could interpret in two ways is refused in either mode: line ends, NUL, the
/// start line, header names, Content-Length, CSeq, a second Call-ID, CSeq, From or To, and the
/// destination of a response. [`message`](crate::message) has the list.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// Only what transport and transactions need must be readable; everything else is kept as
    /// received (RFC 3261 §16.3 step 1). The default.
    #[default]
    Lenient,
    /// The request URI, every Via, From, To and Call-ID follow their grammar as well, every line of
    /// the head is a header, and nothing that may occur once is repeated.
    Strict,
}

/// The limits on the size of a received message, and the strictness with which it is read.
///
/// Offsets inside a head are 16 bits wide, which is why a head ends at [`Limits::HEAD_MAX`] bytes.
///
/// ```
/// use sip_core::Limits;
/// let limits = Limits::default().with_message(128 * 1024)?.with_rows(64)?;
/// assert_eq!(limits.head(), 32 * 1024);
/// # Ok::<(), sip_core::LimitError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    message: usize,
    head: usize,
    header: usize,
    rows: usize,
    start_line: usize,
    reading: Reading,
}

/// The error of a limit outside its range.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the limit of the {what} must be {min} to {max}, not {value}")]
#[non_exhaustive]
pub struct LimitError {
    /// The limit.
    pub what: &'static str,
    /// The given value.
    pub value: usize,
    /// The least value.
    pub min: usize,
    /// The greatest value.
    pub max: usize,
}

impl Limits {
    /// The longest head that can be set, in bytes: 65,535 less the room for `received` and `rport`
    /// in the top Via.
    pub const HEAD_MAX: usize = 65_000;

    /// The longest message that can be set, in bytes.
    pub const MESSAGE_MAX: usize = 1 << 30;

    /// The size of the whole message in bytes, 64 KiB by default.
    pub const fn message(&self) -> usize {
        self.message
    }

    /// The size of start line, headers and the empty line in bytes, 32 KiB by default.
    pub const fn head(&self) -> usize {
        self.head
    }

    /// The size of a header row in bytes, without the CRLF that ends it, 16 KiB by default: room
    /// for the Contact of a registrar's response with some 150 bindings. On a stream only the
    /// message with a longer one is refused; what follows it is read.
    pub const fn header(&self) -> usize {
        self.header
    }

    /// The number of header rows in a message, 512 by default.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The size of the start line in bytes, without its CRLF, 8 KiB by default.
    pub const fn start_line(&self) -> usize {
        self.start_line
    }

    /// The strictness of reading, [`Reading::Lenient`] by default.
    pub const fn reading(&self) -> Reading {
        self.reading
    }

    /// Sets the strictness of reading.
    #[must_use]
    pub const fn with_reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    /// Sets the longest message: 1 to [`Limits::MESSAGE_MAX`] bytes.
    pub const fn with_message(mut self, bytes: usize) -> Result<Self, LimitError> {
        self.message = match within("message", bytes, Self::MESSAGE_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return Err(error),
        };
        Ok(self)
    }

    /// Sets the longest head: 1 to [`Limits::HEAD_MAX`] bytes.
    pub const fn with_head(mut self, bytes: usize) -> Result<Self, LimitError> {
        self.head = match within("head", bytes, Self::HEAD_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return Err(error),
        };
        Ok(self)
    }

    /// Sets the longest header row: 1 to [`Limits::HEAD_MAX`] bytes.
    pub const fn with_header(mut self, bytes: usize) -> Result<Self, LimitError> {
        self.header = match within("header", bytes, Self::HEAD_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return Err(error),
        };
        Ok(self)
    }

    /// Sets the number of header rows: 1 to [`Limits::HEAD_MAX`].
    pub const fn with_rows(mut self, rows: usize) -> Result<Self, LimitError> {
        self.rows = match within("header rows", rows, Self::HEAD_MAX) {
            Ok(rows) => rows,
            Err(error) => return Err(error),
        };
        Ok(self)
    }

    /// Sets the longest start line: 1 to [`Limits::HEAD_MAX`] bytes.
    pub const fn with_start_line(mut self, bytes: usize) -> Result<Self, LimitError> {
        self.start_line = match within("start line", bytes, Self::HEAD_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return Err(error),
        };
        Ok(self)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 64 * 1024,
            head: 32 * 1024,
            header: 16 * 1024,
            rows: 512,
            start_line: 8 * 1024,
            reading: Reading::Lenient,
        }
    }
}

const fn within(what: &'static str, value: usize, max: usize) -> Result<usize, LimitError> {
    if value == 0 || value > max {
        return Err(LimitError {
            what,
            value,
            min: 1,
            max,
        });
    }
    Ok(value)
}
