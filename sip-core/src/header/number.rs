//! Headers that are one number.

use core::fmt;

use super::{Header, scan::Scan};
use crate::{Name, ValueError};

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident($int:ty) is $id:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
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
    /// `Max-Forwards`: how many more hops the request may take, 0 to 255 (RFC 3261 §20.22).
    MaxForwards(u8) is MaxForwards;
    /// `Expires`, in seconds (RFC 3261 §20.19).
    Expires(u32) is Expires;
    /// `Min-Expires`, in seconds (RFC 3261 §20.23).
    MinExpires(u32) is MinExpires;
    /// `RSeq`: the number of a reliable provisional response (RFC 3262 §7.1).
    RSeq(u32) is RSeq;
}
