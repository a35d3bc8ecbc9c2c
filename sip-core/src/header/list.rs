//! Header lines with several comma-separated values (RFC 3261 §7.3.1).

use core::marker::PhantomData;

use memchr::memchr3;

use super::Header;
use crate::automaton::Automaton;
use crate::chars::is_lws;
use crate::{ValueError, steps};

/// Splits a row at its commas, but not at those inside quotes or angle brackets.
///
/// The values exclude the white space around them. A row of white space has no values; a value
/// between two commas with nothing in it is empty, which no header's grammar allows. A quote or
/// bracket that is not closed extends to the end of the row.
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
    /// The start of the next value.
    next: Option<usize>,
}

impl<'a> Split<'a> {
    /// The next value and its position in the row.
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

/// The position of the first comma outside quotes and angle brackets.
#[inline]
pub(crate) fn comma(row: &[u8]) -> Option<usize> {
    let found = memchr3(b',', b'"', b'<', row)?;
    steps::count(found / 32 + 1);
    match row.get(found)? {
        b',' => Some(found),
        _ => Some(found + find_comma::<true>(row.get(found..)?).ok()?),
    }
}

/// The first value of a row's rest that starts at `at`, and the rest after its comma, each with its
/// position.
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

/// The end of the first empty value in a row's rest.
pub(crate) fn first_empty(row: &[u8]) -> Option<usize> {
    match find_comma::<false>(row) {
        Ok(at) => Some(at),
        Err(EMPTY) => Some(row.len()),
        Err(_) => None,
    }
}

/// The first comma outside quotes and angle brackets: any with `ANY`, else only one after an empty
/// value; without one, the state at the end of the row.
///
/// Each byte takes one step from state to state, however the row is written, and bytes far from
/// quotes, brackets and commas take none.
#[inline(always)]
fn find_comma<const ANY: bool>(row: &[u8]) -> Result<usize, u8> {
    // A block is read whole before its comma is looked for, so the first ones are short: most values
    // are.
    const LONGEST: usize = 64;
    let automaton = const { &Automaton::new(&states(ANY)) };
    let (mut state, mut begin, mut len) = (EMPTY, 0, 8);
    while let Some(rest) = row.get(begin..).filter(|rest| !rest.is_empty()) {
        let block = rest.get(..len).unwrap_or(rest);
        if state == VALUE && memchr3(b',', b'"', b'<', block).is_none() {
            steps::count(1);
        } else {
            steps::count(block.len());
            let found;
            (found, state) = automaton.find(state, block, FOUND);
            if let Some(at) = found {
                return Ok(begin + at);
            }
        }
        begin += block.len();
        len = (2 * len).min(LONGEST);
    }
    Err(state)
}

/// The state at the start of a value: nothing but white space.
const EMPTY: u8 = 0;
const VALUE: u8 = 1;
const BRACKETS: u8 = 2;
const QUOTES: u8 = 3;
/// The state after a backslash in quotes.
const PAIR: u8 = 4;
const FOUND: u8 = 5;

/// The state after each byte in each state.
const fn states(any: bool) -> [[u8; 256]; FOUND as usize + 1] {
    let mut next = [[VALUE; 256]; FOUND as usize + 1];
    next[FOUND as usize] = [FOUND; 256];
    let mut b = 0;
    while b < 256 {
        next[BRACKETS as usize][b] = BRACKETS;
        next[QUOTES as usize][b] = QUOTES;
        next[PAIR as usize][b] = QUOTES;
        if matches!(b as u8, b' ' | b'\t' | b'\r' | b'\n') {
            next[EMPTY as usize][b] = EMPTY;
        }
        b += 1;
    }
    let mut outside = 0;
    while outside <= VALUE as usize {
        next[outside][b'"' as usize] = QUOTES;
        next[outside][b'<' as usize] = BRACKETS;
        next[outside][b',' as usize] = EMPTY;
        if any || outside == EMPTY as usize {
            next[outside][b',' as usize] = FOUND;
        }
        outside += 1;
    }
    next[BRACKETS as usize][b'>' as usize] = VALUE;
    next[QUOTES as usize][b'"' as usize] = VALUE;
    next[QUOTES as usize][b'\\' as usize] = PAIR;
    next
}

/// A part of a row and its position.
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

/// Parses every value of one row as its type.
///
/// A header that is not a list is parsed as one value. The offsets of errors count from the start
/// of the row.
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
