//! Headers that are seconds with parameters: `Session-Expires`, `Min-SE`, `Retry-After`.

use core::fmt;

use super::known::{self, params_methods};
use super::product::comment;
use super::{Header, scan::Scan};
use crate::chars::Unfolded;
use crate::{Name, Params, ValueError};

/// The side that refreshes a session (RFC 4028 §4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the RFC")]
pub enum Refresher {
    /// The side that sends the request.
    Uac,
    /// The side that answers the request.
    Uas,
}

/// `Session-Expires`: the time after which the session ends unless refreshed (RFC 4028 §4).
#[derive(Clone, Copy, Debug)]
pub struct SessionExpires<'a> {
    seconds: u32,
    refresher: Option<Refresher>,
    params: Params<'a>,
}

params_methods!(SessionExpires);

impl SessionExpires<'_> {
    /// An interval without parameters.
    pub const fn new(seconds: u32) -> Self {
        Self {
            seconds,
            refresher: None,
            params: Params::EMPTY,
        }
    }

    /// The interval in seconds.
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// The side that refreshes.
    pub const fn refresher(&self) -> Option<Refresher> {
        self.refresher
    }

    /// The same with a refresher.
    #[must_use]
    pub const fn with_refresher(mut self, refresher: Refresher) -> Self {
        self.refresher = Some(refresher);
        self
    }
}

impl<'a> Header<'a> for SessionExpires<'a> {
    const NAME: Name = Name::SessionExpires;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let seconds = scan.number(u32::MAX, "seconds")?;
        let mut refresher = None;
        let params = Params::walk(value, scan.at(), |name, text, at| {
            if name.eq_ignore_ascii_case(b"refresher") {
                let text = known::value(text, at, "refresher=uac or uas")?;
                refresher = Some(if text.eq_ignore_ascii_case(b"uac") {
                    Refresher::Uac
                } else if text.eq_ignore_ascii_case(b"uas") {
                    Refresher::Uas
                } else {
                    return Err(known::wrong(text, at, "refresher=uac or uas"));
                });
            }
            Ok(())
        })?;
        Ok(Self {
            seconds,
            refresher,
            params,
        })
    }
}

impl fmt::Display for SessionExpires<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac")?,
            Some(Refresher::Uas) => f.write_str(";refresher=uas")?,
            None => {}
        }
        known::print_others(self.params, &["refresher"], f)
    }
}

/// `Min-SE`: the shortest session interval that is accepted (RFC 4028 §5).
#[derive(Clone, Copy, Debug)]
pub struct MinSe<'a> {
    seconds: u32,
    params: Params<'a>,
}

params_methods!(MinSe);

impl MinSe<'_> {
    /// An interval without parameters.
    pub const fn new(seconds: u32) -> Self {
        Self {
            seconds,
            params: Params::EMPTY,
        }
    }

    /// The interval in seconds.
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }
}

impl<'a> Header<'a> for MinSe<'a> {
    const NAME: Name = Name::MinSe;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let seconds = scan.number(u32::MAX, "seconds")?;
        let params = Params::walk(value, scan.at(), |_, _, _| Ok(()))?;
        Ok(Self { seconds, params })
    }
}

impl fmt::Display for MinSe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seconds, self.params)
    }
}

/// `Retry-After`: the time to wait before another attempt (RFC 3261 §20.33).
///
/// ```
/// use sip_core::header::{Header, RetryAfter};
///
/// let retry = RetryAfter::parse(b"120 (in a meeting);duration=60")?;
/// assert_eq!((retry.seconds(), retry.duration()), (120, Some(60)));
/// assert_eq!(retry.comment(), Some(&b"(in a meeting)"[..]));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RetryAfter<'a> {
    seconds: u32,
    comment: Option<&'a [u8]>,
    duration: Option<u32>,
    params: Params<'a>,
}

params_methods!(RetryAfter);

impl<'a> RetryAfter<'a> {
    /// A delay without anything else.
    pub const fn new(seconds: u32) -> Self {
        Self {
            seconds,
            comment: None,
            duration: None,
            params: Params::EMPTY,
        }
    }

    /// The delay in seconds.
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// The comment as it was written, with its parentheses.
    pub const fn comment(&self) -> Option<&'a [u8]> {
        self.comment
    }

    /// The time that the called party will then be available, in seconds.
    pub const fn duration(&self) -> Option<u32> {
        self.duration
    }

    /// The same with a duration in seconds.
    #[must_use]
    pub const fn with_duration(mut self, seconds: u32) -> Self {
        self.duration = Some(seconds);
        self
    }

    /// The same with a comment, which includes its parentheses.
    pub fn with_comment(mut self, text: &'a str) -> Result<Self, ValueError> {
        let mut scan = Scan::new(text.as_bytes());
        if scan.peek() != Some(b'(') {
            return Err(scan.unexpected("'('"));
        }
        self.comment = Some(comment(&mut scan)?);
        scan.end()?;
        Ok(self)
    }
}

impl<'a> Header<'a> for RetryAfter<'a> {
    const NAME: Name = Name::RetryAfter;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let seconds = scan.number(u32::MAX, "seconds")?;
        scan.lws();
        let comment = if scan.peek() == Some(b'(') {
            Some(comment(&mut scan)?)
        } else {
            None
        };
        let mut duration = None;
        let params = Params::walk(value, scan.at(), |name, text, at| {
            if name.eq_ignore_ascii_case(b"duration") {
                duration = Some(known::int(text, at, u32::MAX, "duration=seconds")?);
            }
            Ok(())
        })?;
        Ok(Self {
            seconds,
            comment,
            duration,
            params,
        })
    }
}

impl fmt::Display for RetryAfter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seconds.fmt(f)?;
        if let Some(comment) = self.comment {
            write!(f, " {}", Unfolded(comment))?;
        }
        if let Some(duration) = self.duration {
            write!(f, ";duration={duration}")?;
        }
        known::print_others(self.params, &["duration"], f)
    }
}
