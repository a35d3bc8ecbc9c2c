//! Headers whose values are single tokens.

use core::fmt;

use super::{Header, scan::Scan};
use crate::chars::ascii;
use crate::{Method, Name, ValueError};

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident, list: $list:literal, empty: $empty:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub struct $name<'a>(&'a [u8]);

        impl<'a> $name<'a> {
            /// The value from text.
            pub fn new(text: &'a str) -> Result<Self, ValueError> {
                Self::parse(text.as_bytes())
            }

            /// The token as it was written.
            pub fn as_str(&self) -> &'a str {
                ascii(self.0)
            }
        }

        impl<'a> Header<'a> for $name<'a> {
            const NAME: Name = Name::$name;
            const LIST: bool = $list;
            const MAY_BE_EMPTY: bool = $empty;

            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                let mut scan = Scan::new(value);
                let token = scan.token("a token")?;
                scan.end()?;
                Ok(Self(token))
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

tokens! {
    /// One method of `Allow` (RFC 3261 §20.5); an empty row allows none. Methods are
    /// case-sensitive.
    Allow, list: true, empty: true;
    /// One option tag of `Supported` (RFC 3261 §20.37).
    Supported, list: true, empty: true;
    /// One option tag of `Require` (RFC 3261 §20.32).
    Require, list: true, empty: false;
    /// One option tag of `Proxy-Require` (RFC 3261 §20.29).
    ProxyRequire, list: true, empty: false;
    /// One option tag of `Unsupported` (RFC 3261 §20.40).
    Unsupported, list: true, empty: false;
    /// One coding of `Content-Encoding`, in the order in which they were applied
    /// (RFC 3261 §20.12).
    ContentEncoding, list: true, empty: false;
    /// `Priority`: `emergency`, `urgent`, `normal`, `non-urgent` or another token
    /// (RFC 3261 §20.26).
    Priority, list: false, empty: false;
}

impl<'a> Allow<'a> {
    /// The method.
    pub fn method(&self) -> Method<'a> {
        Method::new(self.as_str())
    }
}
