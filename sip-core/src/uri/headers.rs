//! The `headers` of a SIP URI: those of a request made from it (RFC 3261 §19.1.5).

use alloc::borrow::Cow;
use core::fmt;

use super::escape;
use crate::ValueError;
use crate::chars::{TOKEN, URI_HEADER, ascii, escaped_run, run};
use crate::names::MAX_PARAMS;

/// One header of a URI; the name `body` stands for the body of the request.
#[derive(Clone, Copy, Debug)]
pub struct UriHeader<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> UriHeader<'a> {
    /// The name as it was written, escapes included.
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The value as it was written, escapes included; may be empty.
    pub const fn value(&self) -> &'a str {
        self.value
    }

    /// The name without escapes.
    pub fn decoded_name(&self) -> Cow<'a, [u8]> {
        escape::decode(self.name)
    }

    /// The value without escapes: octets, not text.
    pub fn decoded_value(&self) -> Cow<'a, [u8]> {
        escape::decode(self.value)
    }

    /// Returns true if a request may take this header from a URI.
    ///
    /// Excluded are those that RFC 3261 §19.1.5 calls dangerous (From, Call-ID, CSeq, Via,
    /// Record-Route, Route) or apt to advertise falsely (Accept, Accept-Encoding, Accept-Language,
    /// Allow, Contact, Organization, Supported, User-Agent), and one whose name is not a token or
    /// whose value would break the line once decoded.
    pub fn may_be_honoured(&self) -> bool {
        // With the compact forms of RFC 3261 §7.3.3.
        const REFUSED: &str = "From f Call-ID i CSeq Via v Record-Route Route Accept Allow \
            Accept-Encoding Accept-Language Contact m Organization Supported k User-Agent";
        let (name, value) = (self.decoded_name(), self.decoded_value());
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let breaks_line = |b: &u8| matches!(b, b'\r' | b'\n' | 0);
        run::<TOKEN>(&name, 0) == name.len()
            && !REFUSED.split_ascii_whitespace().any(is)
            && (is("body") || !value.iter().any(breaks_line))
    }
}

/// The headers of a SIP URI: what follows its `?`.
///
/// ```
/// use sip_core::uri::UriHeaders;
///
/// let headers = UriHeaders::parse(b"subject=project%20x&Route=%3Csip:evil.example%3E")?;
/// let honoured: Vec<_> = headers.iter().filter(|h| h.may_be_honoured()).collect();
/// assert_eq!(honoured.len(), 1);
/// assert_eq!(*honoured[0].decoded_value(), *b"project x");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct UriHeaders<'a>(&'a [u8]);

impl<'a> UriHeaders<'a> {
    /// No headers.
    pub const EMPTY: Self = Self(&[]);

    /// Parses `name=value&name=value`, without the question mark. More than 128 are an error.
    pub fn parse(text: &'a [u8]) -> Result<Self, ValueError> {
        let mut at = 0;
        for _ in 0..MAX_PARAMS {
            let (_, end) = next(text, at)?;
            match text.get(end) {
                None => return Ok(Self(text)),
                Some(b'&') => at = end + 1,
                Some(_) => return Err(ValueError::unexpected("'&' or the end", text, end)),
            }
        }
        Err(ValueError::OutOfRange {
            what: "number of URI headers",
            offset: at,
        })
    }

    /// Returns true if there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The headers in the order they were written.
    pub fn iter(&self) -> UriHeadersIter<'a> {
        UriHeadersIter(self.0)
    }
}

fn next(text: &[u8], at: usize) -> Result<(UriHeader<'_>, usize), ValueError> {
    let equals = escaped_run::<URI_HEADER>(text, at);
    let Some(name @ [_, ..]) = text.get(at..equals) else {
        return Err(ValueError::unexpected("a URI header name", text, at));
    };
    if text.get(equals) != Some(&b'=') {
        return Err(ValueError::unexpected("'='", text, equals));
    }
    let end = escaped_run::<URI_HEADER>(text, equals + 1);
    let value = text.get(equals + 1..end).unwrap_or_default();
    Ok((
        UriHeader {
            name: ascii(name),
            value: ascii(value),
        },
        end,
    ))
}

impl<'a> IntoIterator for UriHeaders<'a> {
    type Item = UriHeader<'a>;
    type IntoIter = UriHeadersIter<'a>;

    fn into_iter(self) -> UriHeadersIter<'a> {
        self.iter()
    }
}

impl fmt::Display for UriHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(self.0))
    }
}

impl fmt::Debug for UriHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UriHeaders({self})")
    }
}

/// An iterator over [`UriHeaders`].
#[derive(Clone, Debug)]
pub struct UriHeadersIter<'a>(&'a [u8]);

impl<'a> Iterator for UriHeadersIter<'a> {
    type Item = UriHeader<'a>;

    fn next(&mut self) -> Option<UriHeader<'a>> {
        let (header, end) = next(self.0, 0).ok()?;
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        Some(header)
    }
}
