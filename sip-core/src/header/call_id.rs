//! `Call-ID` and `In-Reply-To`.

use core::fmt;

use super::{Header, scan::Scan};
use crate::chars::ascii;
use crate::{Name, ValueError};

/// `Call-ID`: compared byte by byte (RFC 3261 §20.8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallId<'a>(&'a [u8]);

impl<'a> CallId<'a> {
    /// The Call-ID from text: a word, or two with `@` between them.
    pub fn new(text: &'a str) -> Result<Self, ValueError> {
        Self::parse(text.as_bytes())
    }

    /// The whole text.
    pub fn as_str(&self) -> &'a str {
        ascii(self.0)
    }

    /// `word ["@" word]`, read from the position of the scan.
    #[inline]
    pub(super) fn read(scan: &mut Scan<'a>) -> Result<Self, ValueError> {
        let start = scan.at();
        scan.word("a word")?;
        if scan.eat(b'@') {
            scan.word("a word after '@'")?;
        }
        Ok(Self(scan.since(start)))
    }
}

impl<'a> Header<'a> for CallId<'a> {
    const NAME: Name = Name::CallId;

    #[inline]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let call_id = Self::read(&mut scan)?;
        scan.end()?;
        Ok(call_id)
    }
}

/// Reads a Call-ID that need not follow its grammar, but must be writable again.
#[cold]
pub(crate) fn read_call_id(value: &[u8]) -> Result<&[u8], ValueError> {
    match memchr::memchr3(b'\r', b'\n', 0, value) {
        None if !value.is_empty() => Ok(value),
        at => Err(ValueError::unexpected("a Call-ID", value, at.unwrap_or(0))),
    }
}

impl fmt::Display for CallId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One Call-ID of `In-Reply-To` (RFC 3261 §20.21). A comma in a pair of its quotes or brackets
/// would be read as part of it, and is refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the RFC")]
pub struct InReplyTo<'a>(pub CallId<'a>);

impl<'a> Header<'a> for InReplyTo<'a> {
    const NAME: Name = Name::InReplyTo;
    const LIST: bool = true;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        CallId::parse(value).map(Self)
    }
}

impl fmt::Display for InReplyTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
