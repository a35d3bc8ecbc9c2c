//! The errors of parsing and editing.

use thiserror::Error;

use super::Row;
use crate::{Name, ValueError, message::StatusCode};

/// The error of bytes that are not a usable SIP message, with its position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseError {
    kind: ParseErrorKind,
    offset: usize,
    header: Option<Name>,
}

/// The kind of a [`ParseError`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The head is incomplete: no empty line before the end of the datagram.
    #[error("the head has no empty line at its end")]
    Incomplete,
    /// The start line is neither a request line nor a status line (RFC 3261 §7.1, §7.2).
    #[error("the start line needs {0}")]
    StartLine(&'static str),
    /// The start line names a version other than SIP/2.0 (RFC 3261 §21.5.6).
    #[error("the version is not SIP/2.0")]
    Version,
    /// The request URI does not follow its grammar.
    #[error("request URI: {0}")]
    RequestUri(ValueError),
    /// A line of the head ends in LF without CR.
    #[error("LF without CR")]
    BareLf,
    /// A CR that is not followed by LF.
    #[error("CR without LF")]
    BareCr,
    /// A control character outside a quoted pair (RFC 3261 §25.1).
    #[error("control character 0x{0:02x}")]
    Control(u8),
    /// A header line that does not start with a token and a colon (RFC 3261 §7.3.1).
    #[error("a header line needs a name and a colon")]
    HeaderLine,
    /// White space at the start of the first header line continues nothing (RFC 3261 §7.3.1).
    #[error("a folded line needs a header before it")]
    Fold,
    /// The start line is longer than [`Limits::start_line`](crate::Limits::start_line).
    #[error("the start line is longer than {0} bytes")]
    StartLineTooLong(usize),
    /// A header is longer than [`Limits::header`](crate::Limits::header).
    #[error("a header is longer than {0} bytes")]
    HeaderTooLong(usize),
    /// The head is longer than [`Limits::head`](crate::Limits::head).
    #[error("the head is longer than {0} bytes")]
    HeadTooLong(usize),
    /// There are more header rows than [`Limits::rows`](crate::Limits::rows).
    #[error("there are more than {0} header rows")]
    TooManyRows(usize),
    /// The message is longer than [`Limits::message`](crate::Limits::message).
    #[error("the message is longer than {0} bytes")]
    MessageTooLong(usize),
    /// Content-Length is not a number that a message can have.
    #[error("Content-Length is not a number of bytes")]
    ContentLength,
    /// A stream needs a Content-Length in each message (RFC 3261 §18.3).
    #[error("a message on a stream needs a Content-Length")]
    ContentLengthMissing,
    /// The datagram ends before the body does (RFC 3261 §18.3).
    #[error("Content-Length says {announced} bytes and {available} came")]
    BodyShort {
        /// The length that Content-Length announces.
        announced: usize,
        /// The number of bytes after the empty line.
        available: usize,
    },
    /// Bytes after the message, where exactly one message is required (RFC 7118 §5).
    #[error("{0} bytes stand behind the message")]
    Surplus(usize),
    /// A header that every message must have is missing.
    #[error("{0} is missing")]
    Missing(Name),
    /// A header that may occur once is repeated (RFC 3261 §7.3.1).
    #[error("{0} is repeated")]
    Repeated(Name),
    /// A header value does not follow its grammar.
    #[error("{header}: {error}")]
    Value {
        /// The header.
        header: Name,
        /// The error in its value.
        error: ValueError,
    },
    /// The method in CSeq is not that of the request (RFC 3261 §8.1.1.5).
    #[error("the method in CSeq is not the method of the request")]
    CSeqMethod,
}

impl ParseError {
    pub(crate) const fn new(kind: ParseErrorKind, offset: usize) -> Self {
        Self {
            kind,
            offset,
            header: None,
        }
    }

    pub(crate) const fn in_header(mut self, name: Name) -> Self {
        self.header = Some(name);
        self
    }

    /// The error in the value of a row, `error` counting from its start.
    #[cold]
    pub(crate) fn of_value(row: Row, error: ValueError) -> Self {
        let header = row.name();
        let at = usize::from(row.value) + error.offset();
        Self::new(ParseErrorKind::Value { header, error }, at).in_header(header)
    }

    /// The same error in a row, whose header may be unknown.
    pub(crate) fn in_row(self, row: Row) -> Self {
        match row.name() {
            Name::Other => self,
            name => self.in_header(name),
        }
    }

    /// The kind of the error.
    pub const fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// The position, in bytes from the start of the message (after the CRLFs that may precede it).
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The header in which it was found, if any.
    pub const fn header(&self) -> Option<Name> {
        self.header
    }

    /// The status that a response to such a request should have (RFC 3261 §21.4, §21.5).
    pub const fn status(&self) -> StatusCode {
        match self.kind {
            ParseErrorKind::Version => StatusCode::VERSION_NOT_SUPPORTED,
            ParseErrorKind::StartLineTooLong(_) => StatusCode::REQUEST_URI_TOO_LONG,
            ParseErrorKind::MessageTooLong(_) | ParseErrorKind::HeaderTooLong(_) => {
                StatusCode::REQUEST_ENTITY_TOO_LARGE
            }
            ParseErrorKind::HeadTooLong(_) | ParseErrorKind::TooManyRows(_) => {
                StatusCode::MESSAGE_TOO_LARGE
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns true if the end of this message on a stream is unknown, so that nothing after it can
    /// be read: true for all errors but those of [`Head::check`](super::Head::check).
    pub const fn is_fatal_for_stream(&self) -> bool {
        match self.kind {
            ParseErrorKind::Repeated(Name::ContentLength) => true,
            ParseErrorKind::HeaderTooLong(_)
            | ParseErrorKind::RequestUri(_)
            | ParseErrorKind::Missing(_)
            | ParseErrorKind::Repeated(_)
            | ParseErrorKind::Value { .. }
            | ParseErrorKind::Surplus(_)
            | ParseErrorKind::CSeqMethod => false,
            _ => true,
        }
    }
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for ParseError {}

/// The error of a header that cannot be returned as the requested type.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The message has no such header.
    #[error("{0} is missing")]
    Missing(Name),
    /// The value does not follow the header's grammar.
    #[error("{header}: {error}")]
    Value {
        /// The header.
        header: Name,
        /// The error, with offsets from the start of the value.
        error: ValueError,
    },
}

/// The reason that an edit was refused. The message is unchanged.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EditError {
    /// A header name, a method or a parameter name that is not a token (RFC 3261 §25.1).
    #[error("{what} is not a token")]
    NotToken {
        /// The kind of name.
        what: &'static str,
    },
    /// CR, LF or NUL, which would end the header or hide what follows.
    #[error("0x{byte:02x} at byte {offset} must not stand in {what}")]
    Forbidden {
        /// The kind of text.
        what: &'static str,
        /// The byte.
        byte: u8,
        /// The position of the byte in the text.
        offset: usize,
    },
    /// The message has no such header or value to edit.
    #[error("there is no {0} to edit")]
    NoSuch(Name),
    /// The edit would leave a part of a fold.
    #[error("the edit of {0} cuts through a fold")]
    CutFold(Name),
    /// The header that was to be edited does not follow its grammar.
    #[error("{header}: {error}")]
    Value {
        /// The header.
        header: Name,
        /// The error in its value.
        error: ValueError,
    },
    /// The request URI that was given does not follow its grammar.
    #[error("request URI: {0}")]
    RequestUri(ValueError),
    /// The message is a response, which has no request URI.
    #[error("a response has no request URI")]
    NotRequest,
    /// The text of a head and of its edits is at most 65,535 bytes each.
    #[error("the message has no room for {0} more bytes")]
    TooLong(usize),
}
