//! Rows with several values (RFC 3261 §7.3.1).

use core::marker::PhantomData;

use memchr::{memchr, memchr2, memchr3};

use super::Header;
use crate::chars::is_lws;
use crate::{ValueError, steps};

/// Splits a row at its commas, but not at those inside quotes or angle brackets.
///
/// The values come without the white space around them. A row of white space has no values; a
/// value between two commas with nothing in it is empty, which no header's grammar allows.
/// A quote or bracket that is not closed holds the rest of the row together.
///
/// ```
/// use sip_core::header::list;
///
/// let row = br#""Bell, Alexander" <sip:a,b@example.com>, <sip:c@example.com>"#;
/// let last = list::split(row).last();
/// assert_eq!(last, Some(&b"<sip:c@example.com>"[..]));
/// ```
pub fn split(row: &[u8]) -> Split<'_> {
    let row = row.trim_ascii_end();
    Split {
        row,
        next: if trim(row).is_empty() { None } else { Some(0) },
    }
}

/// The values of one row, from [`split`].
#[derive(Clone, Debug)]
pub struct Split<'a> {
    row: &'a [u8],
    /// Where the next value starts.
    next: Option<usize>,
}

impl<'a> Split<'a> {
    /// The next value and where it starts in the row.
    fn next_at(&mut self) -> Option<At<'a>> {
        let start = self.next?;
        let (value, rest) = first_at(start, self.row.get(start..)?);
        self.next = rest.map(|(start, _)| start);
        Some(value)
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.next_at().map(|(_, value)| value)
    }
}

/// Where the first comma outside quotes and angle brackets is.
#[inline]
pub(crate) fn comma(row: &[u8]) -> Option<usize> {
    let found = memchr3(b',', b'"', b'<', row)?;
    steps::count(found + 1);
    match row.get(found)? {
        b',' => Some(found),
        _ => comma_behind(row, found),
    }
}

/// The same where a quote or an angle bracket stands at `at`, which may be one of many: byte by
/// byte until none stands near.
#[inline(never)]
fn comma_behind(row: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = match row.get(at)? {
            b',' => return Some(at),
            b'<' => find(row, at + 1, |b| b == b'>', |rest| memchr(b'>', rest))? + 1,
            _ => quoted_end(row, at)?,
        };
        let special = |b| matches!(b, b',' | b'"' | b'<');
        at = find(row, at, special, |rest| memchr3(b',', b'"', b'<', rest))?;
    }
}

/// Where the quoted-string ends that starts at `at`.
fn quoted_end(row: &[u8], mut at: usize) -> Option<usize> {
    at += 1;
    loop {
        let special = |b| matches!(b, b'"' | b'\\');
        at = find(row, at, special, |rest| memchr2(b'"', b'\\', rest))?;
        match row.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The first byte from `at` on that is wanted. To set out on a vector search takes as long as to
/// look at some bytes, so those are looked at first.
#[inline(always)]
fn find(
    row: &[u8],
    at: usize,
    is_wanted: impl Fn(u8) -> bool,
    search: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    const NEAR: usize = 8;
    let rest = row.get(at..)?;
    let near = rest.get(..NEAR).unwrap_or(rest);
    let found = match near.iter().position(|&b| is_wanted(b)) {
        Some(found) => found,
        None => near.len() + search(rest.get(near.len()..)?)?,
    };
    steps::count(found + 1);
    Some(at + found)
}

/// The first value of a row's rest that starts at `at`, and the rest behind its comma, each with
/// where it starts.
#[inline]
pub(crate) fn first_at(at: usize, rest: &[u8]) -> (At<'_>, Option<At<'_>>) {
    let (value, behind) = match comma(rest).map(|comma| rest.split_at(comma)) {
        Some((value, behind)) => (value, behind.get(1..)),
        None => (rest, None),
    };
    let blanks = value.iter().take_while(|&&byte| is_lws(byte)).count();
    let behind = behind.map(|behind| (at + value.len() + 1, behind));
    ((at + blanks, trim(value)), behind)
}

/// A part of a row and where it starts.
pub(crate) type At<'a> = (usize, &'a [u8]);

fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_lws(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_lws(*last)
    {
        value = rest;
    }
    value
}

/// Every value of one row with its type.
///
/// A header that is no list is parsed as one value. The offsets of errors count from the start of
/// the row.
///
/// ```
/// use sip_core::header::{Supported, list};
///
/// let tags = list::values::<Supported<'_>>(b"100rel, timer").collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(tags[1].as_str(), "timer");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
pub fn values<'a, H: Header<'a>>(row: &'a [u8]) -> Values<'a, H> {
    let mut split = split(row);
    if split.next.is_none() && !H::MAY_BE_EMPTY {
        split.next = Some(0);
    }
    Values {
        split,
        header: PhantomData,
    }
}

/// The typed values of one row, from [`values`].
#[derive(Clone, Debug)]
pub struct Values<'a, H> {
    split: Split<'a>,
    header: PhantomData<fn() -> H>,
}

impl<'a, H: Header<'a>> Iterator for Values<'a, H> {
    type Item = Result<H, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !H::LIST {
            return self.split.next.take().map(|_| H::parse(self.split.row));
        }
        let first = self.split.next == Some(0);
        let (offset, value) = self.split.next_at()?;
        let alone = first && self.split.next.is_none();
        Some(
            H::parse(value)
                .map_err(|error| error.shifted(offset))
                .and_then(|header| {
                    if alone || !header.stands_alone() {
                        return Ok(header);
                    }
                    let found = value.first().copied();
                    Err(ValueError::Unexpected {
                        expected: "a value that may be in a list",
                        found,
                        offset,
                    })
                }),
        )
    }
}
