//! Request methods.

use core::fmt;

use crate::chars::ascii;

macro_rules! methods {
    ($($(#[$doc:meta])* $id:ident = $text:literal),+ $(,)?) => {
        /// A request method. Methods are case-sensitive (RFC 3261 §7.1): `invite` is an extension
        /// method, not INVITE.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Method<'a> {
            $($(#[$doc])* $id,)+
            /// Any other method, a token as it was written.
            Other(&'a str),
        }

        impl<'a> Method<'a> {
            /// The method of this name.
            pub fn new(name: &'a str) -> Self {
                match name {
                    $($text => Self::$id,)+
                    _ => Self::Other(name),
                }
            }

            /// The method of a token. It compares bytes, and converts to text only for rare
            /// methods.
            #[inline]
            pub(crate) fn of_token(token: &'a [u8]) -> Self {
                $(if token == $text.as_bytes() {
                    return Self::$id;
                })+
                Self::Other(ascii(token))
            }

            /// The method as it is written.
            pub const fn as_str(&self) -> &'a str {
                match self {
                    $(Self::$id => $text,)+
                    Self::Other(name) => name,
                }
            }
        }
    };
}

methods! {
    /// `INVITE` (RFC 3261)
    Invite = "INVITE",
    /// `ACK` (RFC 3261)
    Ack = "ACK",
    /// `BYE` (RFC 3261)
    Bye = "BYE",
    /// `CANCEL` (RFC 3261)
    Cancel = "CANCEL",
    /// `OPTIONS` (RFC 3261)
    Options = "OPTIONS",
    /// `REGISTER` (RFC 3261)
    Register = "REGISTER",
    /// `PRACK` (RFC 3262)
    Prack = "PRACK",
    /// `SUBSCRIBE` (RFC 6665)
    Subscribe = "SUBSCRIBE",
    /// `NOTIFY` (RFC 6665)
    Notify = "NOTIFY",
    /// `PUBLISH` (RFC 3903)
    Publish = "PUBLISH",
    /// `INFO` (RFC 6086)
    Info = "INFO",
    /// `REFER` (RFC 3515)
    Refer = "REFER",
    /// `MESSAGE` (RFC 3428)
    Message = "MESSAGE",
    /// `UPDATE` (RFC 3311)
    Update = "UPDATE",
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for Method<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}
