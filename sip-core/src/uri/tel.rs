//! `tel` URIs (RFC 3966), and their form as SIP URIs (RFC 3261 §19.1.6).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::compare::same_text;
use super::{UriParam, UriParams, escape};
use crate::chars::{USER, ascii, is};
use crate::{HostPort, ValueError};

/// A telephone number: `tel:+358-555-1234567;ext=22`.
///
/// A local number should have a `phone-context` (RFC 3966 §5.1.5), but is accepted without one:
/// peers send `tel:911`.
///
/// ```
/// use sip_core::uri::TelUri;
/// use sip_core::HostPort;
///
/// let uri = TelUri::parse(b"tel:+358-555-1234567;POSTD=PP22")?;
/// assert!(uri.is_global());
/// assert_eq!(uri.digits().collect::<String>(), "+3585551234567");
/// let gateway = HostPort::try_from("foo.com")?;
/// assert_eq!(uri.to_sip(gateway), "sip:+358-555-1234567;postd=pp22@foo.com;user=phone");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct TelUri<'a> {
    text: &'a [u8],
    number: &'a [u8],
    params: UriParams<'a>,
}

fn is_separator(b: u8) -> bool {
    matches!(b, b'-' | b'.' | b'(' | b')')
}

impl<'a> TelUri<'a> {
    /// Parses a `tel` URI with nothing around it.
    pub fn parse(text: &'a [u8]) -> Result<Self, ValueError> {
        let unexpected = |expected, at| Err(ValueError::unexpected(expected, text, at));
        let Some((scheme, rest)) = text.split_at_checked(4) else {
            return unexpected("'tel:'", 0);
        };
        if !scheme.eq_ignore_ascii_case(b"tel:") {
            return unexpected("'tel:'", 0);
        }
        let (plus, is_digit): (usize, fn(&u8) -> bool) = if rest.starts_with(b"+") {
            (1, u8::is_ascii_digit)
        } else {
            (0, |b| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#'))
        };
        let digits = rest.get(plus..).unwrap_or_default();
        let len = digits
            .iter()
            .take_while(|b| is_digit(b) || is_separator(**b))
            .count();
        let end = 4 + plus + len;
        if !digits.iter().take(len).any(is_digit) {
            return unexpected("a telephone number", end);
        }
        let (params, after) = UriParams::parse_at(text, end)?;
        if after < text.len() {
            return unexpected("';' or the end", after);
        }
        Ok(Self {
            text,
            number: text.get(4..end).unwrap_or_default(),
            params,
        })
    }

    /// The number as it was written, with its visual separators.
    pub fn number(&self) -> &'a str {
        ascii(self.number)
    }

    /// Returns true if the number is a global one, with a `+`.
    pub fn is_global(&self) -> bool {
        self.number.starts_with(b"+")
    }

    /// The number without visual separators (`-`, `.`, `(`, `)`).
    pub fn digits(&self) -> impl Iterator<Item = char> + use<'a> {
        digits(self.number)
    }

    /// The parameters.
    pub const fn params(&self) -> UriParams<'a> {
        self.params
    }

    /// The `phone-context` parameter: the context in which a local number is valid.
    pub fn phone_context(&self) -> Option<&'a str> {
        self.params.value("phone-context")
    }

    /// Returns true if two numbers are the same by RFC 3966 §4: ignoring case, visual separators
    /// and the order of parameters. A parameter that only one has makes them differ.
    pub fn equivalent(&self, other: &TelUri<'_>) -> bool {
        let match_all = |a: &TelUri<'_>, b: &TelUri<'_>| {
            a.params.iter().all(|p| {
                b.params
                    .get(p.name())
                    .is_some_and(|other| same_param(p, other))
            })
        };
        same_digits(self.number, other.number) && match_all(self, other) && match_all(other, self)
    }

    /// The SIP URI of this number at a gateway (RFC 3261 §19.1.6).
    ///
    /// The user part is converted to lower case and its parameters are sorted, so that equivalent
    /// numbers become equivalent SIP URIs.
    pub fn to_sip(&self, host: HostPort<'_>) -> String {
        let mut uri = String::from("sip:");
        self.write_user(&mut uri);
        // Writing to a String cannot fail.
        let _ = write!(uri, "@{host};user=phone");
        uri
    }

    fn write_user(&self, out: &mut String) {
        // RFC 3261 §19.1.6: isdn-subaddress and post-dial first; RFC 3966 §3: isdn-subaddress or
        // extension, then phone-context; the rest by name.
        const FIRST: [&str; 4] = ["isub", "ext", "postd", "phone-context"];
        let rank = |name: &str| {
            FIRST
                .iter()
                .position(|first| name.eq_ignore_ascii_case(first))
                .unwrap_or(FIRST.len())
        };
        let mut params: Vec<_> = self.params.iter().collect();
        params.sort_by(|a, b| {
            let lower = |p: &UriParam<'a>| p.name().bytes().map(|b| b.to_ascii_lowercase());
            rank(a.name())
                .cmp(&rank(b.name()))
                .then_with(|| lower(a).cmp(lower(b)))
        });
        let mut text = String::from(self.number());
        for param in params {
            let _ = write!(text, ";{param}");
        }
        text.make_ascii_lowercase();
        // What is escaped already stays; what a user part has no place for is escaped.
        out.push_str(&escape::encode(text.as_bytes(), |b| {
            b == b'%' || is::<USER>(b)
        }));
    }
}

fn digits<'a>(text: &'a [u8]) -> impl Iterator<Item = char> + use<'a> {
    text.iter()
        .filter(|b| !is_separator(**b))
        .map(|&b| char::from(b))
}

fn same_digits(a: &[u8], b: &[u8]) -> bool {
    let lower = |c: char| c.to_ascii_lowercase();
    digits(a).map(lower).eq(digits(b).map(lower))
}

fn same_param(a: UriParam<'_>, b: UriParam<'_>) -> bool {
    let (Some(value), Some(other)) = (a.value(), b.value()) else {
        return a.value().is_none() && b.value().is_none();
    };
    // An extension, and a context that is a number, may have visual separators.
    let is_number = a.name().eq_ignore_ascii_case("ext")
        || (a.name().eq_ignore_ascii_case("phone-context") && value.starts_with('+'));
    if is_number {
        same_digits(value.as_bytes(), other.as_bytes())
    } else {
        same_text(value.as_bytes(), other.as_bytes())
    }
}

impl fmt::Display for TelUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(self.text))
    }
}

impl fmt::Debug for TelUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'a> TryFrom<&'a str> for TelUri<'a> {
    type Error = ValueError;

    fn try_from(text: &'a str) -> Result<Self, ValueError> {
        Self::parse(text.as_bytes())
    }
}
