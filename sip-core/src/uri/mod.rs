//! URIs: `sip`, `sips`, `tel`, and any other scheme kept as received.
//!
//! A URI is a view of received text or of borrowed parts, and can be printed. One that was parsed
//! prints exactly the bytes that were parsed: nothing is decoded, re-encoded or reordered.

mod compare;
pub mod escape;
mod headers;
mod params;
mod routing;
mod sip;
mod tel;

use core::fmt;

pub use self::headers::{UriHeader, UriHeaders, UriHeadersIter};
pub use self::params::{UriParam, UriParams, UriParamsIter};
pub use self::routing::RoutingUri;
pub use self::sip::{RequestUri, SipUri};
pub use self::tel::TelUri;

use crate::ValueError;
use crate::chars::{URI, ascii, escaped_run};

/// A URI of any scheme (RFC 3261 §25.1 `addr-spec`).
///
/// There is no `Eq` or `Hash`: the equivalence of SIP URIs is not transitive (RFC 3261 §19.1.4).
///
/// ```
/// use sip_core::uri::Uri;
///
/// let Uri::Sip(uri) = Uri::parse(b"sips:alice@atlanta.example;transport=tcp")? else { panic!() };
/// assert!(uri.is_secure());
/// assert_eq!(uri.user(), Some("alice"));
///
/// let uri = Uri::parse(b"urn:service:sos")?;
/// assert_eq!(uri.scheme(), "urn");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Uri<'a> {
    /// `sip` or `sips` (RFC 3261 §19.1).
    Sip(SipUri<'a>),
    /// `tel` (RFC 3966).
    Tel(TelUri<'a>),
    /// Any other scheme.
    Other(AbsoluteUri<'a>),
}

impl<'a> Uri<'a> {
    /// Parses a URI with nothing around it, neither white space nor `<` and `>`.
    pub fn parse(text: &'a [u8]) -> Result<Self, ValueError> {
        if let Some((secure, at)) = sip::scheme(text) {
            SipUri::parse_after(text, secure, at).map(Self::Sip)
        } else if text
            .get(..4)
            .is_some_and(|s| s.eq_ignore_ascii_case(b"tel:"))
        {
            TelUri::parse(text).map(Self::Tel)
        } else {
            AbsoluteUri::parse(text).map(Self::Other)
        }
    }

    /// Checks only the characters of a SIP URI, and a URI of another scheme completely.
    #[inline]
    pub(crate) fn check_characters(text: &'a [u8]) -> Result<(), ValueError> {
        let Some((_, start)) = sip::scheme(text) else {
            return Self::parse(text).map(drop);
        };
        match escaped_run::<URI>(text, start) {
            end if end > start && end == text.len() => Ok(()),
            end => Err(ValueError::unexpected("a URI character", text, end)),
        }
    }

    /// The scheme in lower case for the known ones, else as it was written.
    pub fn scheme(&self) -> &'a str {
        match self {
            Self::Sip(uri) if uri.is_secure() => "sips",
            Self::Sip(_) => "sip",
            Self::Tel(_) => "tel",
            Self::Other(uri) => uri.scheme(),
        }
    }

    /// The SIP or SIPS URI, if it is one.
    pub const fn as_sip(&self) -> Option<&SipUri<'a>> {
        match self {
            Self::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// Returns true if the two are equivalent: by RFC 3261 §19.1.4 and RFC 5954 for `sip` and
    /// `sips`, by RFC 3966 §4 for `tel`, otherwise byte by byte, ignoring the case of the scheme.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        match (self, other) {
            (Self::Sip(a), Uri::Sip(b)) => a.equivalent(b),
            (Self::Tel(a), Uri::Tel(b)) => a.equivalent(b),
            (Self::Other(a), Uri::Other(b)) => {
                a.scheme().eq_ignore_ascii_case(b.scheme()) && a.rest() == b.rest()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Tel(uri) => uri.fmt(f),
            Self::Other(uri) => uri.fmt(f),
        }
    }
}

impl<'a> TryFrom<&'a str> for Uri<'a> {
    type Error = ValueError;

    fn try_from(text: &'a str) -> Result<Self, ValueError> {
        Self::parse(text.as_bytes())
    }
}

/// A URI of a scheme that this crate does not interpret (RFC 3261 §25.1 `absoluteURI`).
#[derive(Clone, Copy)]
pub struct AbsoluteUri<'a> {
    scheme: &'a [u8],
    rest: &'a [u8],
}

impl<'a> AbsoluteUri<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, ValueError> {
        let is_scheme = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let colon = text.iter().take_while(is_scheme).count();
        if colon == 0 || !text.first().is_some_and(u8::is_ascii_alphabetic) {
            return Err(ValueError::unexpected("a URI scheme", text, 0));
        }
        let (scheme, rest) = text.split_at(colon);
        let Some(rest @ [_, ..]) = rest.strip_prefix(b":") else {
            return Err(ValueError::unexpected(
                "':' and the rest of a URI",
                text,
                colon,
            ));
        };
        let end = escaped_run::<URI>(rest, 0);
        if end < rest.len() {
            return Err(ValueError::unexpected("a URI character", rest, end).shifted(colon + 1));
        }
        Ok(Self { scheme, rest })
    }

    /// The scheme, as it was written.
    pub fn scheme(&self) -> &'a str {
        ascii(self.scheme)
    }

    /// The text after the colon of the scheme.
    pub fn rest(&self) -> &'a str {
        ascii(self.rest)
    }
}

impl fmt::Display for AbsoluteUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme(), self.rest())
    }
}

/// Omits the part before an `@`, which may contain a password.
impl fmt::Debug for AbsoluteUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rest().rsplit_once('@') {
            Some((_, rest)) => write!(f, "{}:***@{rest}", self.scheme()),
            None => write!(f, "{self}"),
        }
    }
}
