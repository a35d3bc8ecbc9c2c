//! The headers that hold an address: `name-addr` or `addr-spec` with parameters.

use alloc::borrow::Cow;
use alloc::string::ToString;
use core::fmt;

use memchr::memchr;

use super::{Header, known};
use crate::chars::{Line, TOKEN, ascii, is_lws, is_token, run, skip_lws};
use crate::{Name, Params, ValueError, quote, quoted, unquote};

/// The part that is the same in all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameAddr<'a> {
    display_name: DisplayName<'a>,
    pub(super) uri: &'a [u8],
    pub(super) params: Params<'a>,
}

#[derive(Clone, Copy, Debug)]
enum DisplayName<'a> {
    None,
    /// As received: a quoted string or tokens.
    Wire(&'a [u8]),
    /// To be quoted.
    Plain(&'a str),
}

/// Whether the angle brackets may be left out.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Brackets {
    Required,
    Optional,
}

impl<'a> NameAddr<'a> {
    pub(super) const fn new(uri: &'a str) -> Self {
        Self {
            display_name: DisplayName::None,
            uri: uri.as_bytes(),
            params: Params::EMPTY,
        }
    }

    #[inline]
    pub(super) fn parse(
        value: &'a [u8],
        brackets: Brackets,
        each: impl FnMut(&'a [u8], Option<&'a [u8]>, usize) -> Result<(), ValueError>,
    ) -> Result<Self, ValueError> {
        let (display_name, open) = display_name(value)?;
        let (uri, end) = match open {
            Some(open) => in_brackets(value, open)?,
            None if brackets == Brackets::Optional => bare(value)?,
            None => return Err(ValueError::unexpected("'<'", value, 0)),
        };
        let params = Params::walk(value, end, each)?;
        Ok(Self {
            display_name,
            uri,
            params,
        })
    }

    pub(super) const fn with_display_name(mut self, name: &'a str) -> Self {
        self.display_name = DisplayName::Plain(name);
        self
    }

    pub(super) const fn with_params(mut self, params: Params<'a>) -> Self {
        self.params = params;
        self
    }

    pub(super) fn display_name(&self) -> Option<Cow<'a, [u8]>> {
        match self.display_name {
            DisplayName::None => None,
            DisplayName::Plain(text) => Some(Cow::Borrowed(text.as_bytes())),
            DisplayName::Wire(text) if text.starts_with(b"\"") => Some(unquote(text)),
            DisplayName::Wire(text) if text.contains(&b'\n') => {
                Some(Cow::Owned(Line(text).to_string().into_bytes()))
            }
            DisplayName::Wire(text) => Some(Cow::Borrowed(text)),
        }
    }

    /// RFC 3261 §20.20: the display name does not count, nor do extensions that one side lacks.
    fn equivalent(&self, other: &Self, known: &'static [&'static str]) -> bool {
        self.uri == other.uri
            && known::others(self.params, known).all(|a| {
                let b = other.params.get(a.name());
                b.is_none_or(|b| known::same(a.value(), b.value()))
            })
    }
}

/// The display name, and where the bracket behind it is; `None` if there is no bracket.
#[inline]
fn display_name(value: &[u8]) -> Result<(DisplayName<'_>, Option<usize>), ValueError> {
    let start = skip_lws(value, 0);
    let (end, open) = match value.get(start) {
        Some(b'<') => return Ok((DisplayName::None, Some(start))),
        Some(b'"') => {
            let end = quoted::scan(value, start)?;
            (end, skip_lws(value, end))
        }
        _ => {
            // RFC 4475 §3.1.1.6: white space before the bracket may be missing.
            let (mut end, mut open) = (start, start);
            while value.get(open).is_some_and(|&b| is_token(b)) {
                end = run(value, open, TOKEN);
                open = skip_lws(value, end);
            }
            if value.get(open) != Some(&b'<') {
                return Ok((DisplayName::None, None));
            }
            (end, open)
        }
    };
    if value.get(open) != Some(&b'<') {
        return Err(ValueError::unexpected("'<'", value, open));
    }
    let name = value.get(start..end).unwrap_or_default();
    Ok((DisplayName::Wire(name), Some(open)))
}

#[inline]
fn in_brackets(value: &[u8], open: usize) -> Result<(&[u8], usize), ValueError> {
    let rest = value.get(open + 1..).unwrap_or_default();
    let Some(len) = memchr(b'>', rest) else {
        return Err(ValueError::unexpected("'>'", value, value.len()));
    };
    let uri = rest.get(..len).unwrap_or_default();
    Ok((uri, open + 1 + len + 1))
}

/// A URI without brackets: its end is the first semicolon or white space, and commas and question
/// marks may not be in it (RFC 3261 §20, RFC 8217 §3).
#[inline]
fn bare(value: &[u8]) -> Result<(&[u8], usize), ValueError> {
    let start = skip_lws(value, 0);
    let rest = value.get(start..).unwrap_or_default();
    let len = rest
        .iter()
        .position(|&b| b == b';' || is_lws(b))
        .unwrap_or(rest.len());
    let uri = rest.get(..len).unwrap_or_default();
    if let Some(at) = uri.iter().position(|b| matches!(b, b',' | b'?')) {
        return Err(ValueError::unexpected(
            "a URI in angle brackets",
            value,
            start + at,
        ));
    }
    Ok((uri, start + len))
}

/// The getters and setters that all of them have.
macro_rules! address_methods {
    ($name:ident, $addr:tt) => {
        impl<'a> $name<'a> {
            /// The display name without quotes and escapes; not always UTF-8.
            pub fn display_name(&self) -> Option<Cow<'a, [u8]>> {
                self.$addr.display_name()
            }

            /// The URI as it was written, without brackets.
            pub const fn uri_text(&self) -> &'a [u8] {
                self.$addr.uri
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

            /// The same with these parameters in the place of the others. Those that have a
            /// method of their own are ignored here.
            #[must_use]
            pub const fn with_params(mut self, params: Params<'a>) -> Self {
                self.$addr = self.$addr.with_params(params);
                self
            }
        }
    };
}

impl fmt::Display for NameAddr<'_> {
    /// Always with brackets: so every URI is legal, and no parameter is taken for the other kind
    /// (RFC 8217 §3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.display_name {
            DisplayName::None => {}
            DisplayName::Wire(text) => write!(f, "{} ", Line(text))?,
            DisplayName::Plain(text) => write!(f, "{} ", quote(text))?,
        }
        write!(f, "<{}>", ascii(self.uri))
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
            pub const fn new(uri: &'a str) -> Self {
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
    /// `Refer-To`: where to (RFC 3515 §2.1).
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
            pub const fn new(uri: &'a str) -> Self {
                Self { addr: NameAddr::new(uri), tag: None }
            }

            /// The tag: this side's part of the dialog identifier (RFC 3261 §19.3).
            pub fn tag(&self) -> Option<&'a str> {
                self.tag.map(ascii)
            }

            /// The same with a tag, which is a token.
            #[must_use]
            pub const fn with_tag(mut self, tag: &'a str) -> Self {
                self.tag = Some(tag.as_bytes());
                self
            }

            /// Whether both name the same: URI and tag are equal, and so are the parameters that
            /// both have (RFC 3261 §20.20).
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
                    if name.eq_ignore_ascii_case(b"tag") {
                        tag = Some(known::token(text, at, "tag=token")?);
                    }
                    Ok(())
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
    /// `From`: who sends the request (RFC 3261 §20.20).
    ///
    /// ```
    /// use sip_core::header::{From, Header};
    ///
    /// let from = From::parse(b"\"J. User\" <sip:j@example.com>;tag=456248")?;
    /// assert_eq!(from.tag(), Some("456248"));
    /// assert_eq!(from.display_name().as_deref(), Some(&b"J. User"[..]));
    /// # Ok::<(), sip_core::ValueError>(())
    /// ```
    From;
    /// `To`: whom the request is for (RFC 3261 §20.39). Built like [`From`].
    To;
}
