//! `Alert-Info`, `Call-Info` and `Error-Info`: URIs with parameters.

use core::fmt;

use super::Header;
use super::name_addr::{Brackets, NameAddr};
use crate::uri::Uri;
use crate::{Name, Params, ValueError};

macro_rules! infos {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a>(NameAddr<'a>);

        impl<'a> $name<'a> {
            /// The header with this URI.
            pub const fn new(uri: Uri<'a>) -> Self {
                Self(NameAddr::new(uri))
            }

            /// The URI.
            pub const fn uri(&self) -> Uri<'a> {
                self.0.uri
            }

            /// Every parameter.
            pub const fn params(&self) -> Params<'a> {
                self.0.params
            }

            /// The same with these parameters in place of the others.
            #[must_use]
            pub const fn with_params(mut self, params: Params<'a>) -> Self {
                self.0 = self.0.with_params(params);
                self
            }
        }

        impl<'a> Header<'a> for $name<'a> {
            const NAME: Name = Name::$name;
            const LIST: bool = true;

            fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
                let info = NameAddr::parse(value, Brackets::Required, |_, _, _| Ok(()))?;
                match info.display_name() {
                    None => Ok(Self(info)),
                    Some(_) => Err(ValueError::unexpected("'<'", value, 0)),
                }
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", self.0, self.0.params)
            }
        }
    )+};
}

infos! {
    /// One value of `Alert-Info`: a ring tone (RFC 3261 §20.4).
    AlertInfo;
    /// One value of `Call-Info`: information about caller or callee, of the kind in `purpose` (RFC
    /// 3261 §20.9).
    CallInfo;
    /// One value of `Error-Info`: information about the error (RFC 3261 §20.18).
    ErrorInfo;
}
