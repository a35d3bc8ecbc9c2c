//! The cursor that every header parser reads with: forward only, bounded by its value.

use crate::ValueError;
use crate::chars::{is_lws, is_token, is_word};

/// A position in a value.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over `count` bytes that the caller has seen.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.bytes.len());
    }

    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Steps over white space and folds; says whether there were any.
    #[inline]
    pub(crate) fn lws(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(is_lws) {
            self.at += 1;
        }
        self.at > start
    }

    /// A separator with optional white space around it (`SEMI`, `EQUAL`, `SLASH` … of §25.1).
    #[inline]
    pub(crate) fn separator(&mut self, byte: u8) -> bool {
        let start = self.at;
        self.lws();
        if self.eat(byte) {
            self.lws();
            return true;
        }
        self.at = start;
        false
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), ValueError> {
        if self.separator(byte) {
            return Ok(());
        }
        self.lws();
        Err(self.unexpected(expected))
    }

    /// White space that must be there.
    #[inline]
    pub(crate) fn gap(&mut self) -> Result<(), ValueError> {
        if self.lws() { Ok(()) } else { Err(self.unexpected("white space")) }
    }

    #[inline]
    pub(crate) fn token(&mut self, expected: &'static str) -> Result<&'a [u8], ValueError> {
        self.run(is_token, expected)
    }

    #[inline]
    pub(crate) fn word(&mut self, expected: &'static str) -> Result<&'a [u8], ValueError> {
        self.run(is_word, expected)
    }

    /// One or more bytes of a class.
    #[inline]
    pub(crate) fn run(
        &mut self,
        class: impl Fn(u8) -> bool,
        expected: &'static str,
    ) -> Result<&'a [u8], ValueError> {
        let rest = self.rest();
        let (run, _) = rest.split_at(span(rest, class));
        if run.is_empty() {
            return Err(self.unexpected(expected));
        }
        self.at += run.len();
        Ok(run)
    }

    /// `1*DIGIT` up to `max`; leading zeros are legal, a sign is not.
    #[inline]
    pub(crate) fn number(&mut self, what: &'static str, max: u64) -> Result<u64, ValueError> {
        let offset = self.at;
        let digits = self.run(|byte| byte.is_ascii_digit(), "a digit")?;
        digits
            .iter()
            .try_fold(0u64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .filter(|&value| value <= max)
            .ok_or(ValueError::OutOfRange { what, offset })
    }

    /// A number of 32 bits, the width of every delta-seconds and sequence number.
    #[inline]
    pub(crate) fn number32(&mut self, what: &'static str) -> Result<u32, ValueError> {
        self.number(what, u64::from(u32::MAX)).map(|value| value as u32)
    }

    /// A quoted-string, quotes included in what is returned.
    #[inline]
    pub(crate) fn quoted(&mut self) -> Result<&'a [u8], ValueError> {
        let start = self.at;
        if !self.eat(b'"') {
            return Err(self.unexpected("a quoted string"));
        }
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.bytes.get(start..self.at).unwrap_or_default());
                }
                Some(b'\\') => self.quoted_pair()?,
                Some(byte) if is_text(byte) => self.at += 1,
                _ => return Err(self.unexpected("the closing quote")),
            }
        }
    }

    /// `\` and one ASCII character that is neither CR nor LF.
    pub(crate) fn quoted_pair(&mut self) -> Result<(), ValueError> {
        self.at += 1;
        match self.peek() {
            Some(byte) if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.unexpected("a quoted character")),
        }
    }

    /// Nothing may follow but white space.
    #[inline]
    pub(crate) fn end(mut self) -> Result<(), ValueError> {
        self.lws();
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.unexpected("the end of the value"))
    }

    #[cold]
    pub(crate) fn unexpected(&self, expected: &'static str) -> ValueError {
        ValueError::Unexpected { expected, found: self.peek(), offset: self.at }
    }
}

/// Text inside quotes and comments: white space, folds, visible ASCII, and every byte above it,
/// for text that is not UTF-8 stays as it came.
#[inline]
pub(crate) fn is_text(byte: u8) -> bool {
    is_lws(byte) || !byte.is_ascii_control()
}

/// How many bytes at the start are of the class; eight lookups to a branch.
#[inline]
fn span(bytes: &[u8], class: impl Fn(u8) -> bool) -> usize {
    let whole = bytes
        .chunks_exact(8)
        .take_while(|chunk| chunk.iter().fold(true, |all, &byte| all & class(byte)))
        .count()
        * 8;
    let tail = bytes.get(whole..).unwrap_or_default();
    whole + tail.iter().position(|&byte| !class(byte)).unwrap_or(tail.len())
}

/// The text of bytes that a table has already found to be ASCII.
#[inline]
pub(crate) fn ascii(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}
