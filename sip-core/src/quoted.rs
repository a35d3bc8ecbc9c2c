//! The `quoted-string` of RFC 3261 §25.1.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use memchr::memrchr;

use crate::automaton::Automaton;
use crate::chars::{QUOTED, is_lws, run, skip_lws};
use crate::{ValueError, steps};

/// The end of the quoted string that starts with the quote at `at`.
///
/// Bytes over 0x7F are accepted, whether or not they are UTF-8, and kept as received.
pub(crate) fn scan(data: &[u8], at: usize) -> Result<usize, ValueError> {
    if data.get(at) != Some(&b'"') {
        return Err(ValueError::unexpected("'\"'", data, at));
    }
    // Most hold nothing that is quoted by a backslash.
    let end = run::<QUOTED>(data, at + 1);
    match data.get(end) {
        Some(b'"') => Ok(end + 1),
        _ => match find::<false>(data, end, QUOTES)? {
            Some(end) => Ok(end + 1),
            None => Err(ValueError::unexpected("'\"'", data, data.len())),
        },
    }
}

/// Where the first `<` outside quoted strings stands. A quote behind a backslash opens none.
pub(crate) fn bracket(data: &[u8], at: usize) -> Result<Option<usize>, ValueError> {
    find::<true>(data, at, TEXT)
}

/// The first `<` outside quotes or, without `BRACKET`, the quote that closes a string.
#[inline(always)]
fn find<const BRACKET: bool>(
    data: &[u8],
    at: usize,
    state: u8,
) -> Result<Option<usize>, ValueError> {
    let automaton = const { &Automaton::new(&states(BRACKET)) };
    let text = data.get(at..).unwrap_or_default();
    let (found, state) = automaton.find(state, text, FOUND);
    let end = found.map_or(data.len(), |found| at + found);
    steps::count(end - at);
    let unexpected = |expected, at| Err(ValueError::unexpected(expected, data, at));
    match state {
        FOUND => Ok(Some(end)),
        TEXT | ESCAPE => Ok(None),
        QUOTES | NO_QUOTED => unexpected("'\"'", end),
        PAIR | NO_PAIR => unexpected("a character that '\\' can quote", end),
        _ => {
            let fold = memrchr(b'\r', data.get(..end).unwrap_or_default());
            unexpected("a fold", fold.unwrap_or(end))
        }
    }
}

const TEXT: u8 = 0;
/// Behind a backslash outside quotes.
const ESCAPE: u8 = 1;
const QUOTES: u8 = 2;
/// Behind a backslash in quotes.
const PAIR: u8 = 3;
/// Behind the CR of a fold in quotes, and behind its LF.
const FOLD: u8 = 4;
const FOLDED: u8 = 5;
const FOUND: u8 = 6;
/// Behind a byte that does not belong in quotes, in a pair, in a fold.
const NO_QUOTED: u8 = 7;
const NO_PAIR: u8 = 8;
const NO_FOLD: u8 = 9;

/// The state after each byte in each state.
const fn states(bracket: bool) -> [[u8; 256]; 10] {
    let mut next = [[0; 256]; 10];
    let mut state = 0;
    while state < next.len() {
        let mut b = 0;
        while b < 256 {
            next[state][b] = match (state as u8, b as u8) {
                (TEXT | ESCAPE, b'<') => FOUND,
                (TEXT | ESCAPE, b'\\') => ESCAPE,
                (TEXT, b'"') => QUOTES,
                (TEXT | ESCAPE, _) => TEXT,
                (QUOTES, b'"') => {
                    if bracket {
                        TEXT
                    } else {
                        FOUND
                    }
                }
                (QUOTES, b'\\') => PAIR,
                (QUOTES, b'\r') => FOLD,
                (QUOTES, b'\t' | b' '..=b'~' | 0x80..) => QUOTES,
                (QUOTES, _) => NO_QUOTED,
                (PAIR, b'\r' | b'\n' | 0x80..) => NO_PAIR,
                (PAIR, _) | (FOLDED, b' ' | b'\t') => QUOTES,
                (FOLD, b'\n') => FOLDED,
                (FOLD | FOLDED, _) => NO_FOLD,
                (end, _) => end,
            };
            b += 1;
        }
        state += 1;
    }
    next
}

/// The text of a parameter value or display name: a quoted string loses its quotes and backslashes,
/// and a fold in it becomes one space. Anything else is returned as it is.
///
/// ```
/// assert_eq!(*sip_core::unquote(br#""J \"the\" User""#), *br#"J "the" User"#);
/// assert_eq!(*sip_core::unquote(b"token"), *b"token");
/// ```
pub fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
    else {
        return Cow::Borrowed(value);
    };
    if !inner.iter().any(|b| matches!(b, b'\\' | b'\r' | b'\n')) {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut i = 0;
    // The start of the white space at the end of `out` that a fold may swallow; a quoted space
    // stays.
    let mut kept = 0;
    while let Some(&b) = inner.get(i) {
        i += 1;
        match b {
            b'\\' => {
                out.extend(inner.get(i));
                i += 1;
                kept = out.len();
            }
            b'\r' | b'\n' => {
                while out.len() > kept && out.last().is_some_and(|&b| is_lws(b)) {
                    out.pop();
                }
                out.push(b' ');
                i = skip_lws(inner, i);
            }
            _ => out.push(b),
        }
    }
    Cow::Owned(out)
}

/// The text as a quoted string: in quotes, with a backslash before each quote, backslash and
/// control character.
///
/// CR and LF cannot stand in a quoted string, not even quoted (RFC 3261 §25.1): each becomes a
/// space.
///
/// ```
/// assert_eq!(sip_core::quote(r#"J "the" User"#), r#""J \"the\" User""#);
/// ```
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\r' | '\n' => out.push(' '),
            '"' | '\\' | '\0'..='\x08' | '\x0B'..='\x1F' | '\x7F' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}
