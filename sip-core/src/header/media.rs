//! The types of bodies, sent and accepted: `Content-Type`, `Content-Disposition`, `Accept`,
//! `Accept-Encoding`.

use core::fmt;

use super::known::{self, params_methods};
use super::{Header, QValue, scan::Scan};
use crate::chars::ascii;
use crate::{Name, Params, ValueError};

/// `Content-Type`: the media type of the body (RFC 3261 §20.15).
///
/// ```
/// use sip_core::header::{ContentType, Header};
///
/// let media = ContentType::parse(b"multipart/mixed;boundary=\"a b\"")?;
/// assert!(media.is("Multipart", "mixed"));
/// assert_eq!(media.params().value("boundary"), Some(&b"\"a b\""[..]));
/// assert_eq!(ContentType::new("application", "sdp")?.to_string(), "application/sdp");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ContentType<'a> {
    media: Media<'a>,
    params: Params<'a>,
}

/// One media range of `Accept` (RFC 3261 §20.1). No such header means `application/sdp`; an empty
/// one means nothing.
#[derive(Clone, Copy, Debug)]
pub struct Accept<'a> {
    media: Media<'a>,
    params: Params<'a>,
    q: Option<QValue>,
}

#[derive(Clone, Copy, Debug)]
struct Media<'a> {
    main: &'a [u8],
    sub: &'a [u8],
}

impl<'a> Media<'a> {
    fn new(main: &'a str, sub: &'a str) -> Result<Self, ValueError> {
        let main = known::own_token(main, "a media type")?;
        let sub = known::own_token(sub, "a media subtype")?;
        Ok(Self { main, sub })
    }

    /// The media type, and the start of its parameters.
    fn parse(value: &'a [u8]) -> Result<(Self, usize), ValueError> {
        let mut scan = Scan::new(value);
        let main = scan.token("a media type")?;
        if !scan.separator(b'/') {
            return Err(scan.unexpected("'/'"));
        }
        let sub = scan.token("a media subtype")?;
        Ok((Self { main, sub }, scan.at()))
    }
}

impl fmt::Display for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", ascii(self.main), ascii(self.sub))
    }
}

macro_rules! media_methods {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// The type, such as `application`.
            pub fn main(&self) -> &'a str {
                ascii(self.media.main)
            }

            /// The subtype, such as `sdp`.
            pub fn sub(&self) -> &'a str {
                ascii(self.media.sub)
            }

            /// Returns true if these are type and subtype, ignoring case.
            pub fn is(&self, main: &str, sub: &str) -> bool {
                self.main().eq_ignore_ascii_case(main) && self.sub().eq_ignore_ascii_case(sub)
            }
        }
    };
}

/// The getter and setter of a preference.
macro_rules! preference_methods {
    ($name:ident) => {
        impl $name<'_> {
            /// The preference; without one it is 1.
            pub const fn q(&self) -> Option<QValue> {
                self.q
            }

            /// The same with a preference.
            #[must_use]
            pub const fn with_q(mut self, q: QValue) -> Self {
                self.q = Some(q);
                self
            }
        }
    };
}

media_methods!(ContentType);
params_methods!(ContentType);

impl<'a> ContentType<'a> {
    /// A media type without parameters.
    pub fn new(main: &'a str, sub: &'a str) -> Result<Self, ValueError> {
        let media = Media::new(main, sub)?;
        Ok(Self {
            media,
            params: Params::EMPTY,
        })
    }
}

impl<'a> Header<'a> for ContentType<'a> {
    const NAME: Name = Name::ContentType;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let (media, at) = Media::parse(value)?;
        let params = Params::walk(value, at, |_, text, at| {
            // RFC 3261 §25.1 m-parameter: never without a value.
            known::value(text, at, "a parameter with a value").map(|_| ())
        })?;
        Ok(Self { media, params })
    }
}

impl fmt::Display for ContentType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.media, self.params)
    }
}

media_methods!(Accept);
params_methods!(Accept);
preference_methods!(Accept);

impl<'a> Accept<'a> {
    /// A media range without parameters; `*` stands for any type or subtype.
    pub fn new(main: &'a str, sub: &'a str) -> Result<Self, ValueError> {
        let media = Media::new(main, sub)?;
        Ok(Self {
            media,
            params: Params::EMPTY,
            q: None,
        })
    }
}

impl<'a> Header<'a> for Accept<'a> {
    const NAME: Name = Name::Accept;
    const LIST: bool = true;
    const MAY_BE_EMPTY: bool = true;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let (media, at) = Media::parse(value)?;
        let (params, q) = with_preference(value, at)?;
        Ok(Self { media, params, q })
    }
}

impl fmt::Display for Accept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.media.fmt(f)?;
        print_preference(self.params, self.q, f)
    }
}

/// One coding of `Accept-Encoding` (RFC 3261 §20.2); `*` stands for any. No such header means
/// `identity`.
#[derive(Clone, Copy, Debug)]
pub struct AcceptEncoding<'a> {
    coding: &'a [u8],
    params: Params<'a>,
    q: Option<QValue>,
}

params_methods!(AcceptEncoding);
preference_methods!(AcceptEncoding);

impl<'a> AcceptEncoding<'a> {
    /// A coding without parameters.
    pub fn new(coding: &'a str) -> Result<Self, ValueError> {
        Ok(Self {
            coding: known::own_token(coding, "a coding")?,
            params: Params::EMPTY,
            q: None,
        })
    }

    /// The coding, such as `gzip`.
    pub fn coding(&self) -> &'a str {
        ascii(self.coding)
    }
}

impl<'a> Header<'a> for AcceptEncoding<'a> {
    const NAME: Name = Name::AcceptEncoding;
    const LIST: bool = true;
    const MAY_BE_EMPTY: bool = true;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let coding = scan.token("a coding")?;
        let (params, q) = with_preference(value, scan.at())?;
        Ok(Self { coding, params, q })
    }
}

impl fmt::Display for AcceptEncoding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.coding())?;
        print_preference(self.params, self.q, f)
    }
}

/// The parameters that start at `at`, and q among them.
fn with_preference(value: &[u8], at: usize) -> Result<(Params<'_>, Option<QValue>), ValueError> {
    let mut q = None;
    let params = Params::walk(value, at, |name, text, at| {
        if name.eq_ignore_ascii_case(b"q") {
            q = Some(QValue::take(text, at)?);
        }
        Ok(())
    })?;
    Ok((params, q))
}

/// Prints the other parameters first: what follows q is about the preference.
fn print_preference(
    params: Params<'_>,
    q: Option<QValue>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    known::print_others(params, &["q"], f)?;
    match q {
        Some(q) => write!(f, ";q={q}"),
        None => Ok(()),
    }
}

/// `Content-Disposition`: the purpose of the body (RFC 3261 §20.11).
///
/// ```
/// use sip_core::header::{ContentDisposition, Header};
///
/// let disposition = ContentDisposition::parse(b"session")?;
/// assert_eq!((disposition.kind(), disposition.handling()), ("session", "required"));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ContentDisposition<'a> {
    kind: &'a [u8],
    handling: Option<&'a [u8]>,
    params: Params<'a>,
}

params_methods!(ContentDisposition);

impl<'a> ContentDisposition<'a> {
    /// A disposition without parameters: `render`, `session`, `icon`, `alert` or another token.
    pub fn new(kind: &'a str) -> Result<Self, ValueError> {
        Ok(Self {
            kind: known::own_token(kind, "a disposition")?,
            handling: None,
            params: Params::EMPTY,
        })
    }

    /// The disposition.
    pub fn kind(&self) -> &'a str {
        ascii(self.kind)
    }

    /// The handling of a body that is not understood: `optional`, `required` or another token. The
    /// default is `required`.
    pub fn handling(&self) -> &'a str {
        self.handling.map_or("required", ascii)
    }

    /// The same with a handling, which is a token.
    pub fn with_handling(mut self, handling: &'a str) -> Result<Self, ValueError> {
        self.handling = Some(known::own_token(handling, "a token as handling")?);
        Ok(self)
    }
}

impl<'a> Header<'a> for ContentDisposition<'a> {
    const NAME: Name = Name::ContentDisposition;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let kind = scan.token("a disposition")?;
        let mut handling = None;
        let params = Params::walk(value, scan.at(), |name, text, at| {
            if name.eq_ignore_ascii_case(b"handling") {
                handling = Some(known::token(text, at, "handling=token")?);
            }
            Ok(())
        })?;
        Ok(Self {
            kind,
            handling,
            params,
        })
    }
}

impl fmt::Display for ContentDisposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        if let Some(handling) = self.handling {
            write!(f, ";handling={}", ascii(handling))?;
        }
        known::print_others(self.params, &["handling"], f)
    }
}
