//! `Replaces`.

use core::fmt;

use super::known::{self, params_methods};
use super::{CallId, Header, scan::Scan};
use crate::chars::ascii;
use crate::{Name, Params, ValueError};

/// `Replaces`: the dialog that this one replaces (RFC 3891 §6.1).
///
/// ```
/// use sip_core::header::{Header, Replaces};
///
/// let replaces = Replaces::parse(b"98732@example.com;from-tag=r33th4x0r;to-tag=ff87ff")?;
/// assert_eq!(replaces.call_id().as_str(), "98732@example.com");
/// assert_eq!((replaces.to_tag(), replaces.is_early_only()), ("ff87ff", false));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Replaces<'a> {
    call_id: CallId<'a>,
    to_tag: &'a [u8],
    from_tag: &'a [u8],
    early_only: bool,
    params: Params<'a>,
}

params_methods!(Replaces);

impl<'a> Replaces<'a> {
    /// The dialog with these identifiers.
    pub fn new(
        call_id: CallId<'a>,
        to_tag: &'a str,
        from_tag: &'a str,
    ) -> Result<Self, ValueError> {
        Ok(Self {
            call_id,
            to_tag: known::own_token(to_tag, "a token as tag")?,
            from_tag: known::own_token(from_tag, "a token as tag")?,
            early_only: false,
            params: Params::EMPTY,
        })
    }

    /// The Call-ID of the dialog.
    pub const fn call_id(&self) -> CallId<'a> {
        self.call_id
    }

    /// The tag of the side that receives this.
    pub fn to_tag(&self) -> &'a str {
        ascii(self.to_tag)
    }

    /// The tag of the other side.
    pub fn from_tag(&self) -> &'a str {
        ascii(self.from_tag)
    }

    /// Returns true if only an early dialog may be replaced.
    pub const fn is_early_only(&self) -> bool {
        self.early_only
    }

    /// The same for an early dialog only, or for any.
    #[must_use]
    pub const fn with_early_only(mut self, early_only: bool) -> Self {
        self.early_only = early_only;
        self
    }
}

impl<'a> Header<'a> for Replaces<'a> {
    const NAME: Name = Name::Replaces;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let call_id = CallId::read(&mut scan)?;
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        let params = Params::walk(value, scan.at(), |name, text, at| {
            if name.eq_ignore_ascii_case(b"to-tag") {
                to_tag = Some(known::token(text, at, "to-tag=token")?);
            } else if name.eq_ignore_ascii_case(b"from-tag") {
                from_tag = Some(known::token(text, at, "from-tag=token")?);
            } else if name.eq_ignore_ascii_case(b"early-only") {
                early_only = true;
            }
            Ok(())
        })?;
        // RFC 3891 §6.1: exactly one of each.
        let missing = |what| ValueError::unexpected(what, value, value.len());
        Ok(Self {
            call_id,
            to_tag: to_tag.ok_or_else(|| missing("to-tag=token"))?,
            from_tag: from_tag.ok_or_else(|| missing("from-tag=token"))?,
            early_only,
            params,
        })
    }
}

impl fmt::Display for Replaces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to_tag, from_tag) = (self.to_tag(), self.from_tag());
        write!(f, "{};to-tag={to_tag};from-tag={from_tag}", self.call_id)?;
        if self.early_only {
            f.write_str(";early-only")?;
        }
        known::print_others(self.params, &["to-tag", "from-tag", "early-only"], f)
    }
}
