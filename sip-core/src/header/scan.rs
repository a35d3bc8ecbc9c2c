//! The cursor of the header parsers: forward only, bounded by its value.

use crate::chars::{self, TOKEN, WORD, skip_lws};
use crate::{ValueError, quoted};

/// A position in a value.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    value: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { value, at: 0 }
    }

    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.value.get(self.at..).unwrap_or_default()
    }

    /// The text read since `start`.
    #[inline]
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.value.get(start..self.at).unwrap_or_default()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    /// Moves to `at`, which must not be after the end.
    #[inline]
    pub(super) fn go(&mut self, at: usize) {
        self.at = at;
    }

    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Skips white space and folds; returns true if there were any.
    #[inline]
    pub(super) fn lws(&mut self) -> bool {
        let start = self.at;
        self.at = skip_lws(self.value, start);
        self.at > start
    }

    /// A separator with optional white space around it (`SEMI`, `EQUAL`, `SLASH` … of §25.1).
    #[inline]
    pub(super) fn separator(&mut self, byte: u8) -> bool {
        let at = skip_lws(self.value, self.at);
        let found = self.value.get(at) == Some(&byte);
        if found {
            self.at = skip_lws(self.value, at + 1);
        }
        found
    }

    /// Skips white space that is required.
    #[inline]
    pub(super) fn gap(&mut self) -> Result<(), ValueError> {
        if self.lws() {
            Ok(())
        } else {
            Err(self.unexpected("white space"))
        }
    }

    #[inline]
    pub(super) fn token(&mut self, expected: &'static str) -> Result<&'a [u8], ValueError> {
        self.run::<TOKEN>(expected)
    }

    #[inline]
    pub(super) fn word(&mut self, expected: &'static str) -> Result<&'a [u8], ValueError> {
        self.run::<WORD>(expected)
    }

    #[inline]
    fn run<const CLASS: u8>(&mut self, expected: &'static str) -> Result<&'a [u8], ValueError> {
        let start = self.at;
        self.at = chars::run::<CLASS>(self.value, start);
        if self.at == start {
            return Err(self.unexpected(expected));
        }
        Ok(self.since(start))
    }

    /// `1*DIGIT` up to `max`; leading zeros are legal, a sign is not.
    #[inline]
    pub(super) fn number(&mut self, max: u32, what: &'static str) -> Result<u32, ValueError> {
        let (number, end) = chars::number(self.value, self.at, max, what)?;
        self.at = end;
        Ok(number)
    }

    /// A quoted string, with its quotes.
    #[inline]
    pub(super) fn quoted(&mut self) -> Result<&'a [u8], ValueError> {
        let start = self.at;
        self.at = quoted::scan(self.value, start)?;
        Ok(self.since(start))
    }

    /// Checks that only white space follows.
    #[inline]
    pub(super) fn end(&mut self) -> Result<(), ValueError> {
        self.lws();
        if self.at == self.value.len() {
            return Ok(());
        }
        Err(self.unexpected("the end of the value"))
    }

    #[cold]
    pub(super) fn unexpected(&self, expected: &'static str) -> ValueError {
        ValueError::unexpected(expected, self.value, self.at)
    }
}
