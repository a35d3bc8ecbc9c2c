//! The header rows of a message, well-formed or not.
//!
//! The parser of `sip-core` refuses what is malformed, which is just what a capture is to show and
//! to redact: so rows are found here by their lines alone.

use core::ops::Range;

use memchr::{memchr, memchr2};

/// A header row, as ranges of the message's bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    name: Range<usize>,
    /// From behind the colon to the end of the last line, folded ones included.
    pub(crate) value: Range<usize>,
}

impl Row {
    /// The row that a line begins: with a token, and a colon behind it (RFC 3261 §7.3.1).
    fn begin(bytes: &[u8], line: &Range<usize>) -> Option<Self> {
        let text = bytes.get(line.clone())?;
        let colon = memchr(b':', text)?;
        let name = text.get(..colon)?.trim_ascii_end();
        let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b);
        if name.is_empty() || !name.iter().all(is_token) {
            return None;
        }
        let behind = line.start.saturating_add(colon).saturating_add(1);
        Some(Self {
            name: line.start..line.start.saturating_add(name.len()),
            value: behind..line.end,
        })
    }

    /// The name, in the message that the row is of.
    pub(crate) fn name<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        message.get(self.name.clone()).unwrap_or_default()
    }
}

/// The start line and rows of a message.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The row that was read to find the end of the one before.
    ahead: Option<Row>,
    /// The range of the start line, without its line end.
    start_line: Range<usize>,
    /// The position behind the empty line, once that was read.
    pub(crate) body: Option<usize>,
}

impl<'a> Rows<'a> {
    /// Reads the start line. Line ends before it are skipped (RFC 3261 §7.5).
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let is_line_end = |b: &u8| matches!(b, b'\r' | b'\n');
        let begin = bytes.iter().position(|b| !is_line_end(b));
        let (start_line, at) = line(bytes, begin.unwrap_or(bytes.len()));
        Self {
            bytes,
            at,
            ahead: None,
            start_line,
            body: None,
        }
    }

    /// Reads rows from a position on.
    pub(crate) fn at(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            ahead: None,
            start_line: at..at,
            body: None,
        }
    }

    /// The value of the first row with one of these names, without white space around it.
    fn value_of(mut self, names: &[&str]) -> Option<&'a [u8]> {
        let bytes = self.bytes;
        let row = self.find(|row| is_one_of(row.name(bytes), names))?;
        Some(bytes.get(row.value)?.trim_ascii())
    }
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let mut row = self.ahead.take();
        while self.body.is_none() && self.at < self.bytes.len() {
            let (range, next) = line(self.bytes, self.at);
            self.at = next;
            if range.is_empty() {
                self.body = Some(next);
                break;
            }
            match (Row::begin(self.bytes, &range), &mut row) {
                (Some(next), Some(_)) => {
                    self.ahead = Some(next);
                    break;
                }
                (Some(first), None) => row = Some(first),
                // A folded line, or one that cannot begin a row: it belongs to the one before.
                (None, Some(row)) => row.value.end = range.end,
                (None, None) => {}
            }
        }
        row
    }
}

/// Returns true if a header's name is one of these, ignoring case.
pub(crate) fn is_one_of(name: &[u8], names: &[impl AsRef<[u8]>]) -> bool {
    names
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other.as_ref()))
}

/// The Call-ID of a message.
pub(crate) fn call_id(bytes: &[u8]) -> Option<&[u8]> {
    Rows::new(bytes).value_of(&["Call-ID", "i"])
}

/// The method of a request, or of the request that a response answers (its CSeq).
pub(crate) fn method(bytes: &[u8]) -> Option<&[u8]> {
    let rows = Rows::new(bytes);
    let start_line = bytes.get(rows.start_line.clone())?;
    let mut words = start_line.split(|b| *b == b' ');
    let first = words.next().filter(|word| !word.is_empty())?;
    if !first.starts_with(b"SIP/") {
        return Some(first);
    }
    let cseq = rows.value_of(&["CSeq"])?;
    cseq.rsplit(u8::is_ascii_whitespace).next()
}

/// The line at a position, and the position behind its line end: CRLF, CR or LF.
fn line(bytes: &[u8], at: usize) -> (Range<usize>, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let len = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
    let end = at.saturating_add(len);
    let skipped = match rest.get(len..) {
        Some([b'\r', b'\n', ..]) => 2,
        Some([_, ..]) => 1,
        _ => 0,
    };
    (at..end, end.saturating_add(skipped))
}
