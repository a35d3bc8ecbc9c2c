//! Text that is a quoted string on the wire.

use alloc::borrow::Cow;
use alloc::string::ToString;
use core::fmt;

use crate::chars::Unfolded;
use crate::{quote, unquote};

#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    /// As received: a quoted string, or tokens.
    Wire(&'a [u8]),
    /// To be quoted.
    Plain(&'a str),
}

impl<'a> Text<'a> {
    /// The text itself: no quotes, no escapes, each fold one space.
    pub(super) fn decode(self) -> Cow<'a, [u8]> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text.as_bytes()),
            Self::Wire(text) if text.starts_with(b"\"") => unquote(text),
            Self::Wire(text) if text.contains(&b'\n') => {
                Cow::Owned(Unfolded(text).to_string().into_bytes())
            }
            Self::Wire(text) => Cow::Borrowed(text),
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(text) => Unfolded(text).fmt(f),
            Self::Plain(text) => f.write_str(&quote(text)),
        }
    }
}
