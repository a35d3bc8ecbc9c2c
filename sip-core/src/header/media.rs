//! `Content-Type` and `Accept`: media types.

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

    /// The media type, and where its parameters start.
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

            /// Whether these are type and subtype, in any case of letters.
            pub fn is(&self, main: &str, sub: &str) -> bool {
                self.main().eq_ignore_ascii_case(main) && self.sub().eq_ignore_ascii_case(sub)
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

impl<'a> Header<'a> for Accept<'a> {
    const NAME: Name = Name::Accept;
    const LIST: bool = true;
    const MAY_BE_EMPTY: bool = true;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let (media, at) = Media::parse(value)?;
        let mut q = None;
        let params = Params::walk(value, at, |name, text, at| {
            if name.eq_ignore_ascii_case(b"q") {
                q = Some(QValue::take(text, at)?);
            }
            Ok(())
        })?;
        Ok(Self { media, params, q })
    }
}

impl fmt::Display for Accept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.media.fmt(f)?;
        // The parameters of the type come first: what follows q is about the preference.
        known::print_others(self.params, &["q"], f)?;
        match self.q {
            Some(q) => write!(f, ";q={q}"),
            None => Ok(()),
        }
    }
}
