//! `Contact`.

use alloc::borrow::Cow;
use core::fmt;

use super::name_addr::{Brackets, NameAddr};
use super::{Header, known};
use crate::chars::is_keyword;
use crate::uri::Uri;
use crate::{Name, Params, ValueError};

/// One value of `Contact` (RFC 3261 §20.10): an address, or `*` for all of them.
///
/// ```
/// use sip_core::header::{Contact, Header};
///
/// let contact = Contact::parse(b"<sip:anna@192.0.2.4>;q=0.7;expires=3600")?;
/// assert_eq!(contact.expires(), Some(3600));
/// assert_eq!(contact.q().map(|q| q.thousandths()), Some(700));
/// assert!(Contact::parse(b"*")?.is_wildcard());
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Contact<'a> {
    addr: Option<NameAddr<'a>>,
    q: Option<QValue>,
    expires: Option<u32>,
}

const KNOWN: &[&str] = &["q", "expires"];

impl<'a> Contact<'a> {
    /// `*`: every binding of the address of record (RFC 3261 §10.2.2).
    pub const WILDCARD: Self = Self {
        addr: None,
        q: None,
        expires: None,
    };

    /// A Contact with this URI.
    pub const fn new(uri: Uri<'a>) -> Self {
        Self {
            addr: Some(NameAddr::new(uri)),
            q: None,
            expires: None,
        }
    }

    /// Returns true if this is `*`.
    pub const fn is_wildcard(&self) -> bool {
        self.addr.is_none()
    }

    /// The URI; none for `*`.
    pub fn uri(&self) -> Option<Uri<'a>> {
        self.addr.map(|addr| addr.uri)
    }

    /// The URI as received, without brackets: a part of the value that was parsed. Empty for `*`
    /// and if this was built from parts.
    pub fn uri_text(&self) -> &'a [u8] {
        self.addr.map(|addr| addr.uri_text).unwrap_or_default()
    }

    /// The display name without quotes and escapes; not always UTF-8.
    pub fn display_name(&self) -> Option<Cow<'a, [u8]>> {
        self.addr.and_then(|addr| addr.display_name())
    }

    /// The preference among several.
    pub const fn q(&self) -> Option<QValue> {
        self.q
    }

    /// The lifetime of the binding, in seconds. A value that is not a number of 32 bits reads as
    /// 3600 (RFC 3261 §20.10).
    pub const fn expires(&self) -> Option<u32> {
        self.expires
    }

    /// Every parameter: those of received text, or those of [`with_params`](Self::with_params).
    pub fn params(&self) -> Params<'a> {
        self.addr.map(|addr| addr.params).unwrap_or_default()
    }

    /// The same with a display name; it is quoted and escaped when it is printed.
    #[must_use]
    pub fn with_display_name(mut self, name: &'a str) -> Self {
        self.addr = self.addr.map(|addr| addr.with_display_name(name));
        self
    }

    /// The same with a preference.
    #[must_use]
    pub const fn with_q(mut self, q: QValue) -> Self {
        self.q = Some(q);
        self
    }

    /// The same with a lifetime in seconds.
    #[must_use]
    pub const fn with_expires(mut self, seconds: u32) -> Self {
        self.expires = Some(seconds);
        self
    }

    /// The same with these parameters in place of the others. Those that have a method of their own
    /// are ignored here.
    #[must_use]
    pub fn with_params(mut self, params: Params<'a>) -> Self {
        self.addr = self.addr.map(|addr| addr.with_params(params));
        self
    }
}

impl<'a> Header<'a> for Contact<'a> {
    const NAME: Name = Name::Contact;
    const LIST: bool = true;

    #[inline]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        if value == b"*" {
            return Ok(Self::WILDCARD);
        }
        let (mut q, mut expires) = (None, None);
        let addr = NameAddr::parse(value, Brackets::Optional, |name, text, at| {
            if is_keyword(name, b"q") {
                q = Some(QValue::take(text, at)?);
            } else if is_keyword(name, b"expires") {
                expires = Some(known::int(text, at, u32::MAX, "expires").unwrap_or(3600));
            }
            Ok(())
        })?;
        Ok(Self {
            addr: Some(addr),
            q,
            expires,
        })
    }

    fn stands_alone(&self) -> bool {
        self.is_wildcard()
    }
}

impl fmt::Display for Contact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(addr) = self.addr else {
            return f.write_str("*");
        };
        addr.fmt(f)?;
        if let Some(q) = self.q {
            write!(f, ";q={q}")?;
        }
        if let Some(expires) = self.expires {
            write!(f, ";expires={expires}")?;
        }
        known::print_others(addr.params, KNOWN, f)
    }
}

/// A preference from 0 to 1, in thousandths (RFC 3261 §25.1 `qvalue`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QValue(u16);

impl QValue {
    /// The preference of this many thousandths; `None` above 1000.
    pub const fn new(thousandths: u16) -> Option<Self> {
        if thousandths <= 1000 {
            Some(Self(thousandths))
        } else {
            None
        }
    }

    /// The preference in thousandths.
    pub const fn thousandths(&self) -> u16 {
        self.0
    }

    /// The value of the parameter `q`.
    pub(super) fn take(text: Option<&[u8]>, at: usize) -> Result<Self, ValueError> {
        let expected = "q=number from 0 to 1";
        let text = known::value(text, at, expected)?;
        Self::parse(text).ok_or_else(|| known::wrong(text, at, expected))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (whole, decimals) = match text {
            [whole @ b'0'..=b'1'] => (whole, &[][..]),
            [whole @ b'0'..=b'1', b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
            _ => return None,
        };
        let mut sum = u16::from(whole - b'0');
        for i in 0..3 {
            let digit = decimals.get(i).copied().unwrap_or(b'0');
            if !digit.is_ascii_digit() {
                return None;
            }
            sum = sum * 10 + u16::from(digit - b'0');
        }
        Self::new(sum)
    }
}

impl fmt::Display for QValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1000 => f.write_str("1"),
            0 => f.write_str("0"),
            n if n % 100 == 0 => write!(f, "0.{}", n / 100),
            n if n % 10 == 0 => write!(f, "0.{:02}", n / 10),
            n => write!(f, "0.{n:03}"),
        }
    }
}
