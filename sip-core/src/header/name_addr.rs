//! The headers that contain an address: `name-addr` or `addr-spec` with parameters.

use alloc::borrow::Cow;
use core::fmt;

use memchr::memchr;

use super::text::Text;
use super::{Header, known};
use crate::chars::{TOKEN, ascii, is_keyword, is_lws, is_token, run, skip_lws};
use crate::uri::Uri;
use crate::{Name, Params, ValueError, quoted};

/// The part that all of them share.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameAddr<'a> {
    display_name: Option<Text<'a>>,
    pub(super) uri: Uri<'a>,
    pub(super) uri_text: &'a [u8],
    pub(super) params: Params<'a>,
}

/// The rule on omitting the angle brackets.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Brackets {
    Required,
    Optional,
}

impl<'a> NameAddr<'a> {
    pub(super) const fn new(uri: Uri<'a>) -> Self {
        Self {
            display_name: None,
            uri,
            uri_text: &[],
            params: Params::EMPTY,
        }
    }

    #[inline(always)]
    pub(super) fn parse(
        value: &'a [u8],
        brackets: Brackets,
        each: impl FnMut(&'a [u8], Option<&'a [u8]>, usize) -> Result<(), ValueError>,
    ) -> Result<Self, ValueError> {
        let (display_name, (at, end), params) = places(value, brackets)?;
        let uri_text = value.get(at..end).unwrap_or_default();
        let uri = Uri::parse(uri_text).map_err(|error| error.shifted(at))?;
        let params = Params::walk(value, params, each)?;
        Ok(Self {
            display_name,
            uri,
            uri_text,
            params,
        })
    }

    pub(super) const fn with_display_name(mut self, name: &'a str) -> Self {
        self.display_name = Some(Text::Plain(name));
        self
    }

    pub(super) const fn with_params(mut self, params: Params<'a>) -> Self {
        self.params = params;
        self
    }

    #[inline(always)]
    pub(super) fn display_name(&self) -> Option<Cow<'a, [u8]>> {
        self.display_name.map(Text::decode)
    }

    /// Returns true if URI and parameters are equivalent (RFC 3261 §20.20: the display name is
    /// ignored, and so are extensions that one side lacks).
    fn equivalent(&self, other: &Self, known: &'static [&'static str]) -> bool {
        self.uri.equivalent(&other.uri)
            && known::others(self.params, known).all(|a| {
                let b = other.params.get(a.name());
                b.is_none_or(|b| known::same(a.value(), b.value()))
            })
    }
}

/// The display name, the range of the URI, and the start of the parameters.
type Places<'a> = (Option<Text<'a>>, (usize, usize), usize);

#[inline(always)]
fn places(value: &[u8], brackets: Brackets) -> Result<Places<'_>, ValueError> {
    let (display_name, open) = display_name(value)?;
    let (at, end) = match open {
        Some(open) => in_brackets(value, open)?,
        None if brackets == Brackets::Optional => bare(value)?,
        None => return Err(ValueError::unexpected("'<'", value, 0)),
    };
    let params = end + usize::from(open.is_some());
    Ok((display_name, (at, end), params))
}

/// Checks a From or To on receipt, and finds its tag: all of it but the inside of a SIP URI, of
/// which only the characters are checked until it is read.
#[inline]
pub(crate) fn check_tagged(value: &[u8]) -> Result<Option<&[u8]>, ValueError> {
    let (_, (at, end), params) = places(value, Brackets::Optional)?;
    let uri = value.get(at..end).unwrap_or_default();
    Uri::check_characters(uri).map_err(|error| error.shifted(at))?;
    let mut tag = None;
    Params::walk(value, params, |name, text, at| {
        take_tag(&mut tag, name, text, at)
    })?;
    Ok(tag)
}

#[inline(always)]
fn take_tag<'a>(
    tag: &mut Option<&'a [u8]>,
    name: &[u8],
    text: Option<&'a [u8]>,
    at: usize,
) -> Result<(), ValueError> {
    if is_keyword(name, b"tag") {
        *tag = Some(known::token(text, at, "tag=token")?);
    }
    Ok(())
}

/// The display name, and the position of the bracket after it; `None` if there is no bracket.
#[inline(always)]
fn display_name(value: &[u8]) -> Result<(Option<Text<'_>>, Option<usize>), ValueError> {
    let start = skip_lws(value, 0);
    let (end, open) = match value.get(start) {
        Some(b'<') => return Ok((None, Some(start))),
        Some(b'"') => {
            let end = quoted::scan(value, start)?;
            (end, skip_lws(value, end))
        }
        _ => {
            // RFC 4475 §3.1.1.6: white space before the bracket may be missing.
            let (mut end, mut open) = (start, start);
            while value.get(open).is_some_and(|&b| is_token(b)) {
                end = run::<TOKEN>(value, open);
                open = skip_lws(value, end);
            }
            if value.get(open) != Some(&b'<') {
                return Ok((None, None));
            }
            (end, open)
        }
    };
    if value.get(open) != Some(&b'<') {
        return Err(ValueError::unexpected("'<'", value, open));
    }
    let name = value.get(start..end).unwrap_or_default();
    Ok((Some(Text::Wire(name)), Some(open)))
}

/// The range of the URI after the bracket at `open`.
#[inline(always)]
fn in_brackets(value: &[u8], open: usize) -> Result<(usize, usize), ValueError> {
    let start = open + 1;
    match memchr(b'>', value.get(start..).unwrap_or_default()) {
        Some(len) => Ok((start, start + len)),
        None => Err(ValueError::unexpected("'>'", value, value.len())),
    }
}

/// The range of a URI without brackets: the first semicolon or white space ends it, and it must not
/// contain commas and question marks (RFC 3261 §20, RFC 8217 §3).
#[inline]
fn bare(value: &[u8]) -> Result<(usize, usize), ValueError> {
    let start = skip_lws(value, 0);
    let mut end = start;
    while let Some(&b) = value.get(end)
        && b != b';'
        && !is_lws(b)
    {
        if matches!(b, b',' | b'?') {
            return Err(ValueError::unexpected(
                "a URI in angle brackets",
                value,
                end,
            ));
        }
        end += 1;
    }
    Ok((start, end))
}

/// The getters and setters that all of them have.
macro_rules! address_methods {
    ($name:ident, $addr:tt) => {
        impl<'a> $name<'a> {
            /// The display name without quotes and escapes; not always UTF-8.
            pub fn display_name(&self) -> Option<Cow<'a, [u8]>> {
                self.$addr.display_name()
            }

            /// The URI.
            pub const fn uri(&self) -> Uri<'a> {
                self.$addr.uri
            }

            /// The URI as received, without brackets: a part of the value that was parsed. Empty if
            /// this was built from parts.
            pub const fn uri_text(&self) -> &'a [u8] {
                self.$addr.uri_text
            }

            /// Every parameter of the header: those of received text, or those of
            /// [`with_params`](Self::with_params).
            pub const fn params(&self) -> Params<'a> {
                self.$addr.params
            }

            /// The same with a display name; it is quoted and escaped when it is printed.
            #[must_use]
            pub const fn with_display_name(mut self, name: &'a str) -> Self {
                self.$addr = self.$addr.with_display_name(name);
                self
            }

            /// The same with these parameters in place of the others. Those that have a method of
            /// their own are ignored here.
            #[must_use]
            pub const fn with_params(mut self, params: Params<'a>) -> Self {
                self.$addr = self.$addr.with_params(params);
                self
            }
        }
    };
}

impl fmt::Display for NameAddr<'_> {
    /// Always writes brackets, so that every URI is legal, and no parameter is taken for the other
    /// kind (RFC 8217 §3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.display_name {
            write!(f, "{name} ")?;
        }
        write!(f, "<{}>", self.uri)
    }
}

macro_rules! addresses {
    ($($(#[$doc:meta])* $name:ident, $brackets:ident, list: $list:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a>(NameAddr<'a>);

        address_methods!($name, 0);

        impl<'a> $name<'a> {
            /// The header with this URI.
            pub const fn new(uri: Uri<'a>) -> Self {
                Self(NameAddr::new(uri))
            }
        }

        impl<'a> Header<'a> for $name<'a> {
            const NAME: Name = Name::$name;
            const LIST: bool = $list;

            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                NameAddr::parse(value, Brackets::$brackets, |_, _, _| Ok(())).map(Self)
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", self.0, self.0.params)
            }
        }
    )+};
}

addresses! {
    /// One value of `Route` (RFC 3261 §20.34).
    Route, Required, list: true;
    /// One value of `Record-Route` (RFC 3261 §20.30).
    RecordRoute, Required, list: true;
    /// One value of `Path` (RFC 3327 §4).
    Path, Required, list: true;
    /// One value of `Service-Route` (RFC 3608 §5).
    ServiceRoute, Required, list: true;
    /// `Refer-To`: the target of a referral (RFC 3515 §2.1).
    ReferTo, Optional, list: false;
    /// One value of `P-Asserted-Identity` (RFC 3325 §9.1).
    PAssertedIdentity, Optional, list: true;
}

macro_rules! tagged {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            addr: NameAddr<'a>,
            tag: Option<&'a [u8]>,
        }

        address_methods!($name, addr);

        impl<'a> $name<'a> {
            /// The header with this URI.
            pub const fn new(uri: Uri<'a>) -> Self {
                Self { addr: NameAddr::new(uri), tag: None }
            }

            /// The tag: this side's part of the dialog identifier (RFC 3261 §19.3).
            pub fn tag(&self) -> Option<&'a str> {
                self.tag.map(ascii)
            }

            /// The same with a tag, which is a token.
            pub fn with_tag(mut self, tag: &'a str) -> Result<Self, ValueError> {
                self.tag = Some(known::own_token(tag, "a token as tag")?);
                Ok(self)
            }

            /// Returns true if both are equivalent: URI and tag are equal, and so are the
            /// parameters that both have (RFC 3261 §20.20).
            pub fn equivalent(&self, other: &Self) -> bool {
                known::same(self.tag, other.tag) && self.addr.equivalent(&other.addr, &["tag"])
            }
        }

        impl<'a> Header<'a> for $name<'a> {
            const NAME: Name = Name::$name;

            #[inline]
            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                let mut tag = None;
                let addr = NameAddr::parse(value, Brackets::Optional, |name, text, at| {
                    take_tag(&mut tag, name, text, at)
                })?;
                Ok(Self { addr, tag })
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.addr.fmt(f)?;
                if let Some(tag) = self.tag() {
                    write!(f, ";tag={tag}")?;
                }
                known::print_others(self.addr.params, &["tag"], f)
            }
        }
    )+};
}

tagged! {
    /// `From`: the sender of the request (RFC 3261 §20.20).
    ///
    /// ```
    /// use sip_core::header::{From, Header};
    ///
    /// let from = From::parse(b"\"J. User\" <sip:j@example.com>;tag=456248")?;
    /// assert_eq!(from.tag(), Some("456248"));
    /// assert_eq!(from.display_name().as_deref(), Some(&b"J. User"[..]));
    ///
    /// let mine = From::new(from.uri()).with_display_name("Jo").with_tag("77")?;
    /// assert_eq!(mine.to_string(), "\"Jo\" <sip:j@example.com>;tag=77");
    /// # Ok::<(), sip_core::ValueError>(())
    /// ```
    From;
    /// `To`: the recipient of the request (RFC 3261 §20.39). Built like [`From`].
    To;
}
