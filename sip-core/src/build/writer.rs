//! The writer of built messages.

use alloc::vec::Vec;
use core::fmt::{self, Display, Write};

use bytes::Bytes;
use smallvec::SmallVec;

use super::BuildError;
use crate::header::{ContentType, Header};
use crate::message::{EditError, Message, Packed, Row, StartLineSpans, Tolerated, check_value};
use crate::{Name, Reading, chars};

/// A writer of a message and its index at once.
pub(super) struct Writer {
    bytes: Vec<u8>,
    rows: SmallVec<[Packed; 32]>,
    line: StartLineSpans,
}

impl Writer {
    /// Starts with a request line.
    pub(super) fn request(method: &str, uri: &str) -> Result<Self, BuildError> {
        if method.is_empty() || !method.bytes().all(chars::is_token) {
            return Err(EditError::NotToken { what: "a method" }.into());
        }
        let what = "a request URI";
        // A blank would end the URI for another reader.
        if let Some(offset) = uri.bytes().position(|b| b <= b' ' || b == 0x7f) {
            let byte = uri.as_bytes()[offset];
            return Err(EditError::Forbidden { what, byte, offset }.into());
        }
        let mut writer = Self::new(0, method.len(), method.len() + 1 + uri.len());
        writer.push(method.as_bytes());
        writer.push(b" ");
        writer.push(uri.as_bytes());
        writer.push(b" SIP/2.0\r\n");
        Ok(writer)
    }

    /// Starts with a status line.
    pub(super) fn response(status: u16, reason: &str) -> Result<Self, BuildError> {
        check_value("a reason phrase", reason.as_bytes())?;
        let start = b"SIP/2.0 ".len() + 4;
        let mut writer = Self::new(status, start, start + reason.len());
        writer.push(b"SIP/2.0 ");
        writer.decimal(status.into());
        writer.push(b" ");
        writer.push(reason.as_bytes());
        writer.push(b"\r\n");
        Ok(writer)
    }

    fn new(status: u16, middle: usize, end: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(1024),
            rows: SmallVec::new(),
            line: StartLineSpans {
                edited: false,
                status,
                start: 0,
                // Lengths that do not fit are refused in `finish`.
                middle: middle as u16,
                end: end as u16,
                capitals: true,
            },
        }
    }

    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
    }

    pub(super) fn decimal(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut at = digits.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            at -= 1;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(at..).unwrap_or_default());
    }

    /// Adds a row whose value `write` writes. The value is checked for bytes that would end the
    /// header.
    pub(super) fn row(
        &mut self,
        name: Name,
        write: impl FnOnce(&mut Self),
    ) -> Result<(), BuildError> {
        self.row_named(name, name.as_str(), write)
    }

    /// Adds a row that prints a typed header or any other text.
    pub(super) fn print(&mut self, name: Name, value: impl Display) -> Result<(), BuildError> {
        self.row(name, |writer| {
            let _ = write!(writer, "{value}");
        })
    }

    /// Adds a row copied from a parsed message, including folds.
    #[inline]
    pub(super) fn copy(&mut self, name: Name, value: &[u8]) {
        self.copy_parts(name, &[value]);
    }

    /// The same with more text after it.
    #[inline]
    pub(super) fn copy_parts(&mut self, name: Name, value: &[&[u8]]) {
        self.start(name.as_str());
        let start = self.bytes.len();
        value.iter().for_each(|part| self.push(part));
        self.end(name, name.as_str(), start);
    }

    pub(super) fn row_named(
        &mut self,
        name: Name,
        text: &str,
        write: impl FnOnce(&mut Self),
    ) -> Result<(), BuildError> {
        if text.is_empty() || !text.bytes().all(chars::is_token) {
            return Err(EditError::NotToken {
                what: "a header name",
            }
            .into());
        }
        self.start(text);
        let start = self.bytes.len();
        write(self);
        check_value(
            "a header value",
            self.bytes.get(start..).unwrap_or_default(),
        )?;
        self.end(name, text, start);
        Ok(())
    }

    #[inline]
    fn start(&mut self, name: &str) {
        self.push(name.as_bytes());
        self.push(b": ");
    }

    #[inline]
    fn end(&mut self, name: Name, text: &str, value: usize) {
        let written = self.bytes.get(value..).unwrap_or_default();
        let blanks = written.len() - written.trim_ascii_start().len();
        let len = written.trim_ascii().len();
        let row = Row {
            id: name as u8,
            edited: false,
            start: (value - 2 - text.len()) as u16,
            value: (value + blanks) as u16,
            end: (value + blanks + len) as u16,
        };
        self.rows.push(row.pack());
        self.push(b"\r\n");
    }

    /// Writes the Content-Type that a body must have (RFC 3261 §7.4.1).
    pub(super) fn content<'a>(
        &mut self,
        body: Option<(&str, &'a [u8])>,
    ) -> Result<&'a [u8], BuildError> {
        let (content_type, body) = body.unwrap_or_default();
        if !content_type.is_empty() || !body.is_empty() {
            let header = Name::ContentType;
            ContentType::parse(content_type.as_bytes())
                .map_err(|error| EditError::Value { header, error })?;
            self.row(header, |writer| writer.push(content_type.as_bytes()))?;
        }
        Ok(body)
    }

    /// Writes Content-Length, the empty line and the body.
    pub(super) fn finish(mut self, body: &[u8]) -> Result<Message, BuildError> {
        self.row(Name::ContentLength, |writer| {
            writer.decimal(body.len() as u64)
        })?;
        self.push(b"\r\n");
        let head_len = self.bytes.len();
        if head_len > usize::from(u16::MAX) {
            return Err(EditError::TooLong(head_len).into());
        }
        self.bytes.reserve_exact(body.len() + self.rows.len() * 8);
        self.push(body);
        self.bytes.extend_from_slice(self.rows.as_flattened());
        let mut message = Message::packed(
            Bytes::from(self.bytes),
            self.line,
            (head_len, body.len()),
            None,
            (Reading::Strict, Tolerated::default()),
        );
        message.mark_built();
        Ok(message)
    }
}

impl Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// Lower-case hexadecimal digits of random bytes: a token of four bits a character.
pub(super) fn random_token<const N: usize, const M: usize>(
    random: &mut impl FnMut(&mut [u8]),
) -> [u8; M] {
    const { assert!(M == 2 * N) };
    let mut bytes = [0; N];
    random(&mut bytes);
    let mut text = [0; M];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        for (digit, half) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = b"0123456789abcdef"[usize::from(half)];
        }
    }
    text
}
