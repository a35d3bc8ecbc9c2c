//! `%HH` escapes (RFC 3261 §19.1.2). Each component of a URI has its own set of characters that may
//! occur unescaped; a host has no escapes at all.
//!
//! ```
//! use sip_core::uri::escape;
//!
//! assert_eq!(escape::user("j@s0n"), "j%40s0n");
//! assert_eq!(*escape::decode("j%40s0n"), *b"j@s0n");
//! ```

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::chars::{URI_HEADER, URI_PARAM, USER, ascii, is};

/// Escapes any text as a user.
pub fn user(text: &(impl AsRef<[u8]> + ?Sized)) -> Cow<'_, str> {
    encode(text.as_ref(), is::<USER>)
}

/// Escapes any text as the name or value of a URI parameter.
pub fn param(text: &(impl AsRef<[u8]> + ?Sized)) -> Cow<'_, str> {
    encode(text.as_ref(), is::<URI_PARAM>)
}

/// Escapes any text as the name or value of a URI header.
pub fn header(text: &(impl AsRef<[u8]> + ?Sized)) -> Cow<'_, str> {
    encode(text.as_ref(), is::<URI_HEADER>)
}

/// Decodes the escapes, once; the result is octets, not text, and may contain CR, LF or NUL.
///
/// A `%` without two hex digits is kept.
pub fn decode(text: &(impl AsRef<[u8]> + ?Sized)) -> Cow<'_, [u8]> {
    let text = text.as_ref();
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    out.extend(DecodedOctets(text).map(|octet| octet.byte));
    Cow::Owned(out)
}

pub(super) fn encode(text: &[u8], is_plain: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.iter().all(|&b| is_plain(b)) {
        return Cow::Borrowed(ascii(text));
    }
    let hex = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble & 0xF)]);
    let mut out = String::with_capacity(text.len() + 8);
    for &b in text {
        if is_plain(b) {
            out.push(char::from(b));
        } else {
            out.extend(['%', hex(b >> 4), hex(b)]);
        }
    }
    Cow::Owned(out)
}

/// One octet of decoded text, and whether it was escaped.
pub(super) struct Octet {
    pub(super) byte: u8,
    pub(super) escaped: bool,
}

pub(super) struct DecodedOctets<'a>(pub(super) &'a [u8]);

impl Iterator for DecodedOctets<'_> {
    type Item = Octet;

    fn next(&mut self) -> Option<Octet> {
        let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            self.0 = rest;
            return Some(Octet {
                byte: high << 4 | low,
                escaped: true,
            });
        }
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(Octet {
            byte,
            escaped: false,
        })
    }
}
