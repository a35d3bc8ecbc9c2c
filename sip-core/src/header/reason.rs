//! `Reason` and `Warning`.

use alloc::borrow::Cow;
use core::fmt;

use super::known::{self, params_methods};
use super::text::Text;
use super::{Header, scan::Scan};
use crate::chars::ascii;
use crate::{HostPort, Name, Params, ValueError};

/// One value of `Reason`: the reason that a request was sent (RFC 3326).
///
/// ```
/// use sip_core::header::{Header, Reason};
///
/// let reason = Reason::parse(b"SIP;cause=200;text=\"Call completed elsewhere\"")?;
/// assert_eq!((reason.protocol(), reason.cause()), ("SIP", Some(200)));
/// assert_eq!(reason.text().as_deref(), Some(&b"Call completed elsewhere"[..]));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    protocol: &'a [u8],
    cause: Option<u32>,
    text: Option<Text<'a>>,
    params: Params<'a>,
}

params_methods!(Reason);

impl<'a> Reason<'a> {
    /// A reason without cause; the protocol is `SIP`, `Q.850` or another token.
    pub fn new(protocol: &'a str) -> Result<Self, ValueError> {
        let protocol = known::own_token(protocol, "a protocol")?;
        Ok(Self {
            protocol,
            cause: None,
            text: None,
            params: Params::EMPTY,
        })
    }

    /// The protocol to which the cause belongs.
    pub fn protocol(&self) -> &'a str {
        ascii(self.protocol)
    }

    /// The cause: a status code, or a Q.850 value.
    pub const fn cause(&self) -> Option<u32> {
        self.cause
    }

    /// The text without quotes and escapes; not always UTF-8.
    pub fn text(&self) -> Option<Cow<'a, [u8]>> {
        self.text.map(Text::decode)
    }

    /// The same with a cause.
    #[must_use]
    pub const fn with_cause(mut self, cause: u32) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The same with a text; it is quoted and escaped when it is printed.
    #[must_use]
    pub const fn with_text(mut self, text: &'a str) -> Self {
        self.text = Some(Text::Plain(text));
        self
    }
}

impl<'a> Header<'a> for Reason<'a> {
    const NAME: Name = Name::Reason;
    const LIST: bool = true;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let protocol = scan.token("a protocol")?;
        let (mut cause, mut reason) = (None, None);
        let params = Params::walk(value, scan.at(), |name, text, at| {
            if name.eq_ignore_ascii_case(b"cause") {
                cause = Some(known::int(text, at, u32::MAX, "cause=number")?);
            } else if name.eq_ignore_ascii_case(b"text") {
                reason = Some(Text::Wire(known::value(text, at, "text=\"...\"")?));
            }
            Ok(())
        })?;
        Ok(Self {
            protocol,
            cause,
            text: reason,
            params,
        })
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol())?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = self.text {
            write!(f, ";text={text}")?;
        }
        known::print_others(self.params, &["cause", "text"], f)
    }
}

/// One value of `Warning` (RFC 3261 §20.43).
///
/// ```
/// use sip_core::header::{Header, Warning};
///
/// let warning = Warning::parse(b"370 devnull \"Choose a bigger pipe\"")?;
/// assert_eq!((warning.code(), warning.agent()), (370, "devnull"));
/// assert_eq!(*warning.text(), b"Choose a bigger pipe"[..]);
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    code: u16,
    agent: &'a [u8],
    text: Text<'a>,
}

impl<'a> Warning<'a> {
    /// A warning: a code of three digits, its source (host and port, or a token), and the text,
    /// which is quoted and escaped when it is printed.
    pub fn new(code: u16, agent: &'a str, text: &'a str) -> Result<Self, ValueError> {
        if code > 999 {
            return Err(ValueError::OutOfRange {
                what: "warning code",
                offset: 0,
            });
        }
        let mut scan = Scan::new(agent.as_bytes());
        let agent = warn_agent(&mut scan)?;
        scan.end()?;
        Ok(Self {
            code,
            agent,
            text: Text::Plain(text),
        })
    }

    /// The code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The source of the warning: host and port, or a token.
    pub fn agent(&self) -> &'a str {
        ascii(self.agent)
    }

    /// The text without quotes and escapes; not always UTF-8.
    pub fn text(&self) -> Cow<'a, [u8]> {
        self.text.decode()
    }
}

fn warn_agent<'a>(scan: &mut Scan<'a>) -> Result<&'a [u8], ValueError> {
    let start = scan.at();
    if scan.token("").is_ok() && scan.peek().is_none_or(crate::chars::is_lws) {
        return Ok(scan.since(start));
    }
    scan.go(start);
    let (_, used) = HostPort::parse(scan.rest()).map_err(|error| error.shifted(start))?;
    scan.go(start + used);
    Ok(scan.since(start))
}

impl<'a> Header<'a> for Warning<'a> {
    const NAME: Name = Name::Warning;
    const LIST: bool = true;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let code = scan.number(999, "warning code")? as u16;
        if scan.at() != 3 {
            return Err(ValueError::OutOfRange {
                what: "warning code",
                offset: 0,
            });
        }
        scan.gap()?;
        let agent = warn_agent(&mut scan)?;
        scan.gap()?;
        let text = Text::Wire(scan.quoted()?);
        scan.end()?;
        Ok(Self { code, agent, text })
    }
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {} {}", self.code, self.agent(), self.text)
    }
}
