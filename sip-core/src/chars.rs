//! The byte classes of RFC 3261 §25.1, a table for each, and the basic steps of every parser.

use core::fmt;

use crate::{ValueError, steps};

/// `token` characters.
pub(crate) const TOKEN: u8 = 0;
/// `word` characters (Call-ID).
pub(crate) const WORD: u8 = 1;
/// One label of a host name. RFC 3261 has no underscore there, but peers use it.
pub(crate) const LABEL: u8 = 2;
/// `user` without `escaped`.
pub(crate) const USER: u8 = 3;
/// `password` without `escaped`.
pub(crate) const PASSWORD: u8 = 4;
/// `paramchar` without `escaped` (also RFC 3966).
pub(crate) const URI_PARAM: u8 = 5;
/// `hnv-unreserved` and `unreserved`: the names and values of URI headers, without `escaped`.
pub(crate) const URI_HEADER: u8 = 6;
/// `uric` without `escaped`, and the brackets of RFC 2732.
pub(crate) const URI: u8 = 7;
/// The bytes allowed unescaped in a quoted string, except tabs and folds.
pub(crate) const QUOTED: u8 = 8;
/// The bytes accepted in a parameter value: no white space, and nothing that ends it.
pub(crate) const LOOSE_VALUE: u8 = 9;
/// The bytes accepted in the user of a URI, without `escaped`.
pub(crate) const LOOSE_USER: u8 = 10;
/// The bytes accepted in the parameters of a URI, without `escaped`.
pub(crate) const LOOSE_URI_PARAMS: u8 = 11;
/// The bytes accepted in a URI in From and To, without `escaped`.
pub(crate) const LOOSE_URI: u8 = 12;
/// The bytes accepted in the password of a URI, without `escaped`.
pub(crate) const LOOSE_PASSWORD: u8 = 13;

const UNRESERVED: &[u8] = b"-_.!~*'()";
/// No character of a URI (RFC 3986), and yet seen in them.
const NOT_URI: &[u8] = b"#[]{}|^\"";
const TOKEN_MARKS: &[u8] = b"-.!%*_+`'~";

/// The characters of a class besides letters and digits.
const fn marks(class: u8) -> [&'static [u8]; 3] {
    match class {
        TOKEN => [TOKEN_MARKS, b"", b""],
        WORD => [TOKEN_MARKS, b"()<>:\\\"/[]?{}", b""],
        LABEL => [b"-_", b"", b""],
        USER => [UNRESERVED, b"&=+$,;?/", b""],
        PASSWORD => [UNRESERVED, b"&=+$,", b""],
        URI_PARAM => [UNRESERVED, b"[]/:&+$", b""],
        URI_HEADER => [UNRESERVED, b"[]/?:+$", b""],
        URI => [UNRESERVED, b";/?:@&=+$,[]", b""],
        LOOSE_USER => [UNRESERVED, b"&=+$,;?/", NOT_URI],
        LOOSE_PASSWORD => [UNRESERVED, b"&=+$,", NOT_URI],
        LOOSE_URI_PARAMS => [UNRESERVED, b"/:&+$;=", NOT_URI],
        LOOSE_URI => [UNRESERVED, b";/?:@&=+$,", NOT_URI],
        _ => [b"", b"", b""],
    }
}

/// 1 for each byte that is of the class.
const fn table(class: u8) -> [u8; 256] {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        let others = match class {
            QUOTED => byte >= b' ' && !matches!(byte, b'"' | b'\\' | 0x7f),
            LOOSE_VALUE => byte > b' ' && !matches!(byte, b';' | b',' | b'"' | b'<' | b'>' | 0x7f),
            LOOSE_USER | LOOSE_PASSWORD | LOOSE_URI_PARAMS | LOOSE_URI => !byte.is_ascii(),
            _ => false,
        };
        table[b] = (byte.is_ascii_alphanumeric() || others) as u8;
        b += 1;
    }
    let marks = marks(class);
    let mut list = 0;
    while list < marks.len() {
        let mut i = 0;
        while i < marks[list].len() {
            table[marks[list][i] as usize] = 1;
            i += 1;
        }
        list += 1;
    }
    table
}

/// Returns true if `b` is of the class.
#[inline(always)]
pub(crate) fn is<const CLASS: u8>(b: u8) -> bool {
    let table = const { &table(CLASS) };
    table[usize::from(b)] != 0
}

/// `token` characters.
#[inline]
pub(crate) fn is_token(b: u8) -> bool {
    is::<TOKEN>(b)
}

/// Linear white space. CR and LF count: the indexer lets them into a value only as folds.
#[inline]
pub(crate) fn is_lws(b: u8) -> bool {
    b <= b' ' && matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// Returns true if a token is this word of lower-case letters, in any case. (Of the token
/// characters only letters become letters with that bit set.)
#[inline]
pub(crate) fn is_keyword<const N: usize>(token: &[u8], word: &[u8; N]) -> bool {
    let Ok(token) = <&[u8; N]>::try_from(token) else {
        return false;
    };
    let mut differences = 0;
    for (a, b) in token.iter().zip(word) {
        differences |= (a | 0x20) ^ b;
    }
    differences == 0
}

/// The end of the run of a class that starts at `at`.
#[inline(always)]
pub(crate) fn run<const CLASS: u8>(data: &[u8], at: usize) -> usize {
    let table = const { &table(CLASS) };
    let (quads, tail) = data.get(at..).unwrap_or_default().as_chunks::<4>();
    let mut end = at;
    // Four at a time: this is where most of the time of all parsing goes.
    for quad in quads {
        let one = table[usize::from(quad[0])];
        let two = table[usize::from(quad[1])] & one;
        let three = table[usize::from(quad[2])] & two;
        let four = table[usize::from(quad[3])] & three;
        if four == 0 {
            end += usize::from(one) + usize::from(two) + usize::from(three);
            steps::count(end - at + 1);
            return end;
        }
        end += 4;
    }
    for &b in tail {
        if !is::<CLASS>(b) {
            break;
        }
        end += 1;
    }
    steps::count(end - at + 1);
    end
}

/// The end of the run of a class and `%HH` escapes that starts at `at`.
#[inline(always)]
pub(crate) fn escaped_run<const CLASS: u8>(data: &[u8], at: usize) -> usize {
    escaped_rest::<CLASS>(data, run::<CLASS>(data, at))
}

/// The same where a run of the class has ended at `at`.
#[inline(always)]
pub(crate) fn escaped_rest<const CLASS: u8>(data: &[u8], at: usize) -> usize {
    match data.get(at) {
        Some(b'%') => escapes_end::<CLASS>(data, at),
        _ => at,
    }
}

#[inline(never)]
fn escapes_end<const CLASS: u8>(data: &[u8], mut at: usize) -> usize {
    while let Some([b'%', a, b]) = data.get(at..).and_then(<[u8]>::first_chunk)
        && a.is_ascii_hexdigit()
        && b.is_ascii_hexdigit()
    {
        at += 3;
        // Where one stands, more follow.
        if data.get(at) != Some(&b'%') {
            at = run::<CLASS>(data, at);
        }
    }
    at
}

/// The end of the linear white space that starts at `at`, if any does.
#[inline(always)]
pub(crate) fn skip_lws(data: &[u8], at: usize) -> usize {
    steps::count(1);
    match data.get(at) {
        Some(&b) if is_lws(b) => lws_end(data, at + 1),
        _ => at,
    }
}

/// The first byte that, with the one behind it, is what is looked for; behind the last stands NUL.
///
/// In blocks without a branch on what a byte is, which become vector instructions: it costs the same
/// whatever the text repeats.
#[inline(always)]
pub(crate) fn find_pair(text: &[u8], is: impl Fn(u8, u8) -> bool) -> Option<usize> {
    const BLOCK: usize = 16;
    let behind = text.get(1..).unwrap_or_default();
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let none = blocks
        .iter()
        .zip(behind.as_chunks().0)
        .take_while(|&(block, behind): &(_, &[u8; BLOCK])| {
            let pairs = block.iter().zip(behind);
            !pairs.fold(false, |any, (&b, &next)| any | is(b, next))
        })
        .count();
    steps::count(none + BLOCK);
    let at = none * BLOCK;
    let behind = behind.get(at..).unwrap_or_default().iter().chain(&[0]);
    let mut pairs = text.get(at..).unwrap_or_default().iter().zip(behind);
    pairs
        .position(|(&b, &next)| is(b, next))
        .map(|found| at + found)
}

/// The number of leading spaces and tabs.
#[inline]
pub(crate) fn blanks<'a>(text: impl Iterator<Item = &'a u8>) -> usize {
    text.take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// The same where white space stands before `at`: mostly a blank or two.
#[inline(never)]
fn lws_end(data: &[u8], at: usize) -> usize {
    const BLOCK: usize = 16;
    let rest = data.get(at..).unwrap_or_default();
    let blanks = |text: &[u8]| text.iter().take_while(|&&b| is_lws(b)).count();
    let near = blanks(rest.get(..4).unwrap_or(rest));
    if near < 4 {
        steps::count(near);
        return at + near;
    }
    let is_blank = |&b: &u8| (b == b' ') | (b == b'\t') | (b == b'\r') | (b == b'\n');
    let (blocks, _) = rest.as_chunks::<BLOCK>();
    let whole = blocks
        .iter()
        .take_while(|block| block.iter().fold(true, |all, b| all & is_blank(b)))
        .count();
    steps::count(whole + BLOCK);
    at + whole * BLOCK + blanks(rest.get(whole * BLOCK..).unwrap_or_default())
}

/// The value of `1*DIGIT` at `at`, and its end. Leading zeros are legal; values over `max` are not.
#[inline(always)]
pub(crate) fn number(
    data: &[u8],
    at: usize,
    max: u32,
    what: &'static str,
) -> Result<(u32, usize), ValueError> {
    let mut value = 0u64;
    let mut end = at;
    while let Some(digit @ b'0'..=b'9') = data.get(end) {
        // Held just above `max`, so that no run of digits can wrap.
        value = (value * 10 + u64::from(digit - b'0')).min(u64::from(max) + 1);
        end += 1;
    }
    if end == at {
        return Err(ValueError::unexpected(what, data, at));
    }
    match u32::try_from(value) {
        Ok(value) if value <= max => Ok((value, end)),
        _ => Err(ValueError::OutOfRange { what, offset: at }),
    }
}

/// Bytes that a parser has found to be ASCII, as text.
#[inline]
pub(crate) fn ascii(data: &[u8]) -> &str {
    core::str::from_utf8(data).unwrap_or_default()
}

/// A display of header bytes on one line: each fold as one space (RFC 3261 §7.3.1), and invalid
/// UTF-8 as U+FFFD.
pub(crate) struct Unfolded<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Unfolded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        loop {
            let line = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
            let (text, fold) = rest.split_at(line.unwrap_or(rest.len()));
            let text = if fold.is_empty() {
                text
            } else {
                text.trim_ascii_end()
            };
            for chunk in text.utf8_chunks() {
                f.write_str(chunk.valid())?;
                if !chunk.invalid().is_empty() {
                    f.write_str("\u{FFFD}")?;
                }
            }
            if fold.is_empty() {
                return Ok(());
            }
            f.write_str(" ")?;
            rest = fold.get(skip_lws(fold, 0)..).unwrap_or_default();
        }
    }
}
