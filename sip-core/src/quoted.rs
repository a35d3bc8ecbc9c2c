//! The `quoted-string` of RFC 3261 §25.1.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ValueError;
use crate::chars::{QUOTED, is_lws, run, skip_lws};

/// The end of the quoted string that starts with the quote at `at`.
///
/// Bytes over 0x7F are accepted, whether or not they are UTF-8, and kept as received.
pub(crate) fn scan(data: &[u8], at: usize) -> Result<usize, ValueError> {
    let unexpected = |expected, at| Err(ValueError::unexpected(expected, data, at));
    if data.get(at) != Some(&b'"') {
        return unexpected("'\"'", at);
    }
    let mut i = at + 1;
    loop {
        i = run::<QUOTED>(data, i);
        match data.get(i) {
            Some(b'"') => return Ok(i + 1),
            Some(b'\\') => match data.get(i + 1) {
                Some(0x80.. | b'\r' | b'\n') | None => {
                    return unexpected("a character that '\\' can quote", i + 1);
                }
                Some(_) => i += 2,
            },
            Some(b'\t') => i += 1,
            Some(b'\r') => match data.get(i + 1..).and_then(<[u8]>::first_chunk) {
                Some(b"\n " | b"\n\t") => i += 3,
                _ => return unexpected("a fold", i),
            },
            _ => return unexpected("'\"'", i),
        }
    }
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
