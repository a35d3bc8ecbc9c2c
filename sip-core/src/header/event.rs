//! `Event` and `Subscription-State` (RFC 6665).

use core::fmt;

use super::known::{self, params_methods};
use super::{Header, scan::Scan};
use crate::chars::ascii;
use crate::{Name, Params, ValueError};

/// `Event`: the event package of a subscription (RFC 6665 §8.2.1).
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    package: &'a [u8],
    id: Option<&'a [u8]>,
    params: Params<'a>,
}

params_methods!(Event);

impl<'a> Event<'a> {
    /// An event package, with its templates: `presence.winfo`.
    pub fn new(package: &'a str) -> Result<Self, ValueError> {
        let package = known::own_token(package, "an event package")?;
        Ok(Self {
            package,
            id: None,
            params: Params::EMPTY,
        })
    }

    /// The package, with its templates; it is case-sensitive (RFC 6665 §8.2.1).
    pub fn package(&self) -> &'a str {
        ascii(self.package)
    }

    /// The id that distinguishes several subscriptions of one dialog.
    pub fn id(&self) -> Option<&'a str> {
        self.id.map(ascii)
    }

    /// The same with an id, which is a token.
    pub fn with_id(mut self, id: &'a str) -> Result<Self, ValueError> {
        self.id = Some(known::own_token(id, "a token as id")?);
        Ok(self)
    }
}

impl<'a> Header<'a> for Event<'a> {
    const NAME: Name = Name::Event;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let package = scan.token("an event package")?;
        let mut id = None;
        let params = Params::walk(value, scan.at(), |name, text, at| {
            if name.eq_ignore_ascii_case(b"id") {
                id = Some(known::token(text, at, "id=token")?);
            }
            Ok(())
        })?;
        Ok(Self {
            package,
            id,
            params,
        })
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.package())?;
        if let Some(id) = self.id() {
            write!(f, ";id={id}")?;
        }
        known::print_others(self.params, &["id"], f)
    }
}

/// `Subscription-State`: the state of a subscription (RFC 6665 §8.2.3).
///
/// ```
/// use sip_core::header::{Header, SubscriptionState};
///
/// let state = SubscriptionState::parse(b"terminated;reason=deactivated;retry-after=5")?;
/// assert_eq!((state.state(), state.reason()), ("terminated", Some("deactivated")));
/// assert_eq!(state.retry_after(), Some(5));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionState<'a> {
    state: &'a [u8],
    reason: Option<&'a [u8]>,
    expires: Option<u32>,
    retry_after: Option<u32>,
    params: Params<'a>,
}

params_methods!(SubscriptionState);

impl<'a> SubscriptionState<'a> {
    /// A state without parameters: `active`, `pending`, `terminated` or another token.
    pub fn new(state: &'a str) -> Result<Self, ValueError> {
        Ok(Self {
            state: known::own_token(state, "a subscription state")?,
            reason: None,
            expires: None,
            retry_after: None,
            params: Params::EMPTY,
        })
    }

    /// The state.
    pub fn state(&self) -> &'a str {
        ascii(self.state)
    }

    /// The reason that the subscription ended.
    pub fn reason(&self) -> Option<&'a str> {
        self.reason.map(ascii)
    }

    /// The seconds that the subscription still lasts.
    pub const fn expires(&self) -> Option<u32> {
        self.expires
    }

    /// The seconds to wait before another attempt.
    pub const fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// The same with a reason, which is a token.
    pub fn with_reason(mut self, reason: &'a str) -> Result<Self, ValueError> {
        self.reason = Some(known::own_token(reason, "a token as reason")?);
        Ok(self)
    }

    /// The same with the seconds that it still lasts.
    #[must_use]
    pub const fn with_expires(mut self, seconds: u32) -> Self {
        self.expires = Some(seconds);
        self
    }

    /// The same with the seconds to wait.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl<'a> Header<'a> for SubscriptionState<'a> {
    const NAME: Name = Name::SubscriptionState;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let state = scan.token("a subscription state")?;
        let (mut reason, mut expires, mut retry_after) = (None, None, None);
        let params = Params::walk(value, scan.at(), |name, text, at| {
            if name.eq_ignore_ascii_case(b"reason") {
                reason = Some(known::token(text, at, "reason=token")?);
            } else if name.eq_ignore_ascii_case(b"expires") {
                expires = Some(known::int(text, at, u32::MAX, "expires=seconds")?);
            } else if name.eq_ignore_ascii_case(b"retry-after") {
                retry_after = Some(known::int(text, at, u32::MAX, "retry-after=seconds")?);
            }
            Ok(())
        })?;
        Ok(Self {
            state,
            reason,
            expires,
            retry_after,
            params,
        })
    }
}

impl fmt::Display for SubscriptionState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state())?;
        if let Some(reason) = self.reason() {
            write!(f, ";reason={reason}")?;
        }
        if let Some(expires) = self.expires {
            write!(f, ";expires={expires}")?;
        }
        if let Some(retry_after) = self.retry_after {
            write!(f, ";retry-after={retry_after}")?;
        }
        known::print_others(self.params, &["reason", "expires", "retry-after"], f)
    }
}
