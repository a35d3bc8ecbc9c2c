//! Rows with several values (RFC 3261 §7.3.1).

use core::marker::PhantomData;

use memchr::memchr3;

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
    steps::count(found / BLOCK + 1);
    match row.get(found)? {
        b',' => Some(found),
        _ => find_comma(row.get(found..)?, |_| true)
            .ok()
            .map(|at| found + at),
    }
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

/// Where the first value of a row's rest ends that is empty.
pub(crate) fn first_empty(row: &[u8]) -> Option<usize> {
    match find_comma(row, |state| state == EMPTY) {
        Ok(at) => Some(at),
        Err(EMPTY) => Some(row.len()),
        Err(_) => None,
    }
}

/// The first comma outside quotes and angle brackets that is wanted behind a value in that state;
/// without one, the state at the end of the row.
///
/// However the row is written, each byte takes one step from state to state, and those far from
/// quotes, brackets and commas none.
#[inline(always)]
fn find_comma(row: &[u8], is_wanted: impl Fn(u8) -> bool) -> Result<usize, u8> {
    let mut state = EMPTY;
    for (index, block) in row.chunks(BLOCK).enumerate() {
        let is_plain = |b: u8| (b != b',') & (b != b'"') & (b != b'<');
        if state == VALUE && block.iter().fold(true, |all, &b| all & is_plain(b)) {
            steps::count(1);
            continue;
        }
        steps::count(block.len());
        for (at, &b) in block.iter().enumerate() {
            if b == b',' && state <= VALUE && is_wanted(state) {
                return Ok(index * BLOCK + at);
            }
            let class = CLASSES[usize::from(b)];
            state = NEXT[usize::from(state % STATES)][usize::from(class % BYTES)];
        }
    }
    Err(state)
}

const BLOCK: usize = 32;

/// Nothing of a value yet but white space.
const EMPTY: u8 = 0;
const VALUE: u8 = 1;
const BRACKETS: u8 = 2;
const QUOTES: u8 = 3;
const PAIR: u8 = 4;
/// A power of two above them, so that no state is out of bounds.
const STATES: u8 = 8;

/// The kinds of bytes: others, white space, and those of this list.
const MARKS: [u8; 5] = *b",\"<>\\";
const BYTES: u8 = 8;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut b = 0;
    while b < 256 {
        classes[b] = matches!(b as u8, b' ' | b'\t' | b'\r' | b'\n') as u8;
        b += 1;
    }
    let mut mark = 0;
    while mark < MARKS.len() {
        classes[MARKS[mark] as usize] = mark as u8 + 2;
        mark += 1;
    }
    classes
};

#[rustfmt::skip]
static NEXT: [[u8; BYTES as usize]; STATES as usize] = {
    let mut next = [[VALUE; BYTES as usize]; STATES as usize];
    //                        other     space     ,         "         <         >         \
    next[EMPTY as usize] =    [VALUE,    EMPTY,    EMPTY,    QUOTES,   BRACKETS, VALUE,    VALUE,    0];
    next[VALUE as usize] =    [VALUE,    VALUE,    EMPTY,    QUOTES,   BRACKETS, VALUE,    VALUE,    0];
    next[BRACKETS as usize] = [BRACKETS, BRACKETS, BRACKETS, BRACKETS, BRACKETS, VALUE,    BRACKETS, 0];
    next[QUOTES as usize] =   [QUOTES,   QUOTES,   QUOTES,   VALUE,    QUOTES,   QUOTES,   PAIR,     0];
    next[PAIR as usize] =     [QUOTES,   QUOTES,   QUOTES,   QUOTES,   QUOTES,   QUOTES,   QUOTES,   0];
    next
};

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
