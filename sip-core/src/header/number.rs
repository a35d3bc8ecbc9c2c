//! Headers that are numbers.

use core::fmt;

use super::{Header, scan::Scan};
use crate::chars::ascii;
use crate::{Name, ValueError};

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident($int:ty) is $id:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[expect(clippy::exhaustive_structs, reason = "fixed by the RFC")]
        pub struct $name(pub $int);

        impl<'a> Header<'a> for $name {
            const NAME: Name = Name::$id;

            #[inline]
            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                let mut scan = Scan::new(value);
                let number = scan.number(<$int>::MAX.into(), Name::$id.as_str())?;
                scan.end()?;
                Ok(Self(number as $int))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

number! {
    /// `Content-Length`: the size of the body in bytes (RFC 3261 §20.14).
    ContentLength(u32) is ContentLength;
    /// `Max-Forwards`: the number of further hops that the request may take, 0 to 255 (RFC 3261
    /// §20.22).
    MaxForwards(u8) is MaxForwards;
    /// `Expires`, in seconds (RFC 3261 §20.19).
    Expires(u32) is Expires;
    /// `Min-Expires`, in seconds (RFC 3261 §20.23).
    MinExpires(u32) is MinExpires;
    /// `RSeq`: the number of a reliable provisional response (RFC 3262 §7.1).
    RSeq(u32) is RSeq;
}

/// `MIME-Version`: the numbers before and after the dot (RFC 3261 §20.24).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the RFC")]
pub struct MimeVersion(pub u32, pub u32);

impl<'a> Header<'a> for MimeVersion {
    const NAME: Name = Name::MimeVersion;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let major = scan.number(u32::MAX, "a version")?;
        if !scan.eat(b'.') {
            return Err(scan.unexpected("'.'"));
        }
        let minor = scan.number(u32::MAX, "a version")?;
        scan.end()?;
        Ok(Self(major, minor))
    }
}

impl fmt::Display for MimeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// `Timestamp`: the time the request was sent, in seconds, by the sender's clock (RFC 3261 §20.38).
/// It is text, as a 100 returns it unchanged (§8.2.6.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Timestamp<'a> {
    time: &'a [u8],
    delay: Option<&'a [u8]>,
}

impl<'a> Timestamp<'a> {
    /// The header from text: the time and, after white space, the delay, if any.
    pub fn new(text: &'a str) -> Result<Self, ValueError> {
        Self::parse(text.as_bytes())
    }

    /// The time.
    pub fn time(&self) -> &'a str {
        ascii(self.time)
    }

    /// The time that the request waited before it was answered.
    pub fn delay(&self) -> Option<&'a str> {
        self.delay.map(ascii)
    }
}

impl<'a> Header<'a> for Timestamp<'a> {
    const NAME: Name = Name::Timestamp;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        if !scan.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Err(scan.unexpected("a digit"));
        }
        let time = decimal(&mut scan);
        let delay = (scan.lws() && scan.peek().is_some()).then(|| decimal(&mut scan));
        scan.end()?;
        Ok(Self { time, delay })
    }
}

/// `*DIGIT ["." *DIGIT]`
fn decimal<'a>(scan: &mut Scan<'a>) -> &'a [u8] {
    let start = scan.at();
    let digits = |scan: &mut Scan<'a>| {
        while scan.peek().is_some_and(|b| b.is_ascii_digit()) {
            scan.go(scan.at() + 1);
        }
    };
    digits(scan);
    if scan.eat(b'.') {
        digits(scan);
    }
    scan.since(start)
}

impl fmt::Display for Timestamp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.time())?;
        match self.delay() {
            Some(delay) => write!(f, " {delay}"),
            None => Ok(()),
        }
    }
}
