//! Start lines.

use core::fmt;

use super::{LossyText, ParseError, ParseErrorKind, StatusCode};
use crate::{Method, chars};

/// A request line or a status line (RFC 3261 §7.1, §7.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the RFC")]
pub enum StartLine<'a> {
    /// `INVITE sip:bob@example.com SIP/2.0`
    Request {
        /// The method.
        method: Method<'a>,
        /// The request URI as received.
        uri: &'a [u8],
    },
    /// `SIP/2.0 200 OK`
    Response {
        /// The status code.
        status: StatusCode,
        /// The reason phrase, free text that may be empty.
        reason: &'a [u8],
    },
}

impl fmt::Display for StartLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { method, uri } => write!(f, "{method} {} SIP/2.0", LossyText(uri)),
            Self::Response { status, reason } => {
                write!(f, "SIP/2.0 {status} {}", LossyText(reason))
            }
        }
    }
}

/// The positions of the parts of a start line in its text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StartLineSpans {
    /// The text is in the message's edit buffer.
    pub(crate) edited: bool,
    /// The status of a response; 0 for a request.
    pub(crate) status: u16,
    pub(crate) start: u16,
    /// The end of the method, or the start of the reason.
    pub(crate) middle: u16,
    /// The end of the request URI, or of the reason.
    pub(crate) end: u16,
    /// The version is in capitals, as it must be when sent (RFC 3261 §7.1).
    pub(crate) capitals: bool,
}

const VERSION: &[u8] = b"SIP/2.0";

impl StartLineSpans {
    /// Parses the first line of a message, which starts at offset 0; `text` has no CRLF.
    #[inline]
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ParseError> {
        if text
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
        {
            Self::parse_status(text)
        } else {
            Self::parse_request(text)
        }
    }

    fn parse_request(text: &[u8]) -> Result<Self, ParseError> {
        let method = text
            .iter()
            .position(|&b| !chars::is_token(b))
            .unwrap_or(text.len());
        let rest = match text.get(method..) {
            Some([b' ', rest @ ..]) if method > 0 => rest,
            _ => return Err(expected("a method and one space", method)),
        };
        let uri = method + 1;
        // Exactly one space on each side: two readers of more could see two different URIs.
        let end = match memchr::memchr2(b' ', b'\t', rest) {
            Some(0) => return Err(expected("a request URI behind one space", uri)),
            Some(length) => uri + length,
            None => return Err(expected("one space and a version", text.len())),
        };
        let version = &text[end + 1..];
        let capitals = version == VERSION;
        if text[end] != b' ' || !(capitals || version.eq_ignore_ascii_case(VERSION)) {
            return Err(match version_of(version) {
                Some(len) if text[end] == b' ' && len == version.len() => {
                    ParseError::new(ParseErrorKind::Version, end + 1)
                }
                _ => expected("one space and SIP/2.0 at its end", end),
            });
        }
        Ok(Self {
            edited: false,
            status: 0,
            start: 0,
            middle: method as u16,
            end: end as u16,
            capitals,
        })
    }

    fn parse_status(text: &[u8]) -> Result<Self, ParseError> {
        let version = text.get(..VERSION.len()).unwrap_or_default();
        let capitals = version == VERSION;
        if !(capitals || version.eq_ignore_ascii_case(VERSION)) {
            return Err(match version_of(text) {
                Some(len) if text.get(len) == Some(&b' ') => {
                    ParseError::new(ParseErrorKind::Version, 0)
                }
                _ => expected("SIP/2.0", 0),
            });
        }
        let code = VERSION.len() + 1;
        let (status, reason) = match &text[VERSION.len()..] {
            // A missing space behind the code is read as an empty reason phrase.
            &[b' ', a, b, c, ref rest @ ..]
                if [a, b, c].iter().all(u8::is_ascii_digit)
                    && (b'1'..=b'6').contains(&a)
                    && matches!(rest.first(), None | Some(b' ')) =>
            {
                let digit = |b: u8| u16::from(b - b'0');
                (
                    digit(a) * 100 + digit(b) * 10 + digit(c),
                    code + 3 + usize::from(!rest.is_empty()),
                )
            }
            _ => return Err(expected("a status code of 100 to 699 and one space", code)),
        };
        Ok(Self {
            edited: false,
            status,
            start: 0,
            middle: reason as u16,
            end: text.len() as u16,
            capitals,
        })
    }

    /// The parts of the line, taken from the text that they were parsed from.
    #[inline]
    pub(crate) fn view(self, text: &[u8]) -> StartLine<'_> {
        let part = |from: u16, to: u16| {
            text.get(usize::from(from)..usize::from(to))
                .unwrap_or_default()
        };
        match StatusCode::new(self.status) {
            Some(status) => StartLine::Response {
                status,
                reason: part(self.middle, self.end),
            },
            None => StartLine::Request {
                method: Method::of_token(part(self.start, self.middle)),
                uri: part(self.middle.saturating_add(1), self.end),
            },
        }
    }

    /// Spells the version in capitals.
    #[cold]
    pub(crate) fn capitalise(self, text: &mut [u8]) {
        let start = if self.status == 0 {
            usize::from(self.end) + 1
        } else {
            0
        };
        if let Some(version) = text.get_mut(start..start + VERSION.len()) {
            version.copy_from_slice(VERSION);
        }
    }

    /// The end of the line in its text, before the CRLF.
    #[inline]
    pub(crate) fn line_end(self) -> usize {
        let version = if self.status == 0 {
            VERSION.len() + 1
        } else {
            0
        };
        usize::from(self.end) + version
    }
}

/// The length of `SIP/` digits `.` digits at the start of `text`.
fn version_of(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        let len = text
            .get(from..)?
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        (len > 0).then_some(from + len)
    };
    if !text.get(..4)?.eq_ignore_ascii_case(b"SIP/") {
        return None;
    }
    let major = digits(4)?;
    (text.get(major) == Some(&b'.')).then_some(())?;
    digits(major + 1)
}

const fn expected(what: &'static str, offset: usize) -> ParseError {
    ParseError::new(ParseErrorKind::StartLine(what), offset)
}
