//! `SIP-URI` and `SIPS-URI` of RFC 3261 §19.1 and §25.1.

use core::fmt;

use super::{UriHeaders, UriParams};
use crate::chars::{PASSWORD, USER, ascii, escaped_run};
use crate::{Host, HostPort, ValueError};

/// A SIP or SIPS URI: `sip:user:password@host:port;params?headers`.
///
/// The parts are returned as written, escapes included. Changing a part produces a newly written
/// URI; one that was only parsed prints the very bytes that were parsed.
///
/// ```
/// use sip_core::uri::{SipUri, UriParam, UriParams, escape};
/// use sip_core::{Host, HostPort};
///
/// let uri = SipUri::parse(b"sip:+1555;phone-context=x@gw.example:05070;user=phone")?;
/// assert_eq!(uri.user(), Some("+1555;phone-context=x"));
/// assert_eq!(uri.port(), Some(5070));
/// assert_eq!(uri.to_string(), "sip:+1555;phone-context=x@gw.example:05070;user=phone");
///
/// let user = escape::user("j@s0n");
/// let params = [UriParam::new("transport", "tcp")?, UriParam::flag("lr")?];
/// let uri = SipUri::new(HostPort::new(Host::try_from("example.com")?, None))
///     .with_user(&user)?
///     .with_params(UriParams::of(&params));
/// assert_eq!(uri.to_string(), "sip:j%40s0n@example.com;transport=tcp;lr");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct SipUri<'a> {
    /// The parsed text; empty once a part was changed.
    text: &'a [u8],
    user: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
    host_port: HostPort<'a>,
    params: UriParams<'a>,
    headers: UriHeaders<'a>,
    secure: bool,
}

/// True if the scheme is `sips` and not `sip`, and the position after the scheme.
#[inline]
pub(super) fn scheme(text: &[u8]) -> Option<(bool, usize)> {
    match text {
        [b's' | b'S', b'i' | b'I', b'p' | b'P', b':', ..] => Some((false, 4)),
        [b's' | b'S', b'i' | b'I', b'p' | b'P', b's' | b'S', b':', ..] => Some((true, 5)),
        _ => None,
    }
}

impl<'a> SipUri<'a> {
    /// Parses a SIP or SIPS URI with nothing around it.
    ///
    /// Beyond the grammar: a parameter name may occur only once, `ttl` is 0 to 255 and `maddr` a
    /// host. An escape in the host, white space anywhere and an IPv6 address without brackets are
    /// errors.
    pub fn parse(text: &'a [u8]) -> Result<Self, ValueError> {
        match scheme(text) {
            Some((secure, at)) => Self::parse_after(text, secure, at),
            None => Err(ValueError::unexpected("'sip:' or 'sips:'", text, 0)),
        }
    }

    #[inline(always)]
    pub(super) fn parse_after(
        text: &'a [u8],
        secure: bool,
        start: usize,
    ) -> Result<Self, ValueError> {
        let (user, password, at) = userinfo(text, start)?;
        let rest = text.get(at..).unwrap_or_default();
        let (host_port, len) = HostPort::parse(rest).map_err(|error| error.shifted(at))?;
        let (params, end) = UriParams::parse_at(text, at + len)?;
        let headers = match text.get(end) {
            None => UriHeaders::EMPTY,
            Some(b'?') => UriHeaders::parse(text.get(end + 1..).unwrap_or_default())
                .map_err(|error| error.shifted(end + 1))?,
            Some(_) => return Err(ValueError::unexpected("';', '?' or the end", text, end)),
        };
        Ok(Self {
            text,
            user,
            password,
            host_port,
            params,
            headers,
            secure,
        })
    }

    /// A SIP URI of a host and maybe a port.
    pub const fn new(host_port: HostPort<'a>) -> Self {
        Self {
            text: &[],
            user: None,
            password: None,
            host_port,
            params: UriParams::EMPTY,
            headers: UriHeaders::EMPTY,
            secure: false,
        }
    }

    /// Returns true if the scheme is `sips`.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The user as it was written, escapes included; never empty. May hold parameters of its own
    /// (`+1555;phone-context=x`).
    pub fn user(&self) -> Option<&'a str> {
        self.user.map(ascii)
    }

    /// The password as it was written, escapes included; may be empty. `Debug` does not show it.
    pub fn password(&self) -> Option<&'a str> {
        self.password.map(ascii)
    }

    /// The host and the port.
    pub const fn host_port(&self) -> HostPort<'a> {
        self.host_port
    }

    /// The host.
    pub const fn host(&self) -> Host<'a> {
        self.host_port.host()
    }

    /// The port, if one is written. The default depends on the transport (RFC 3261 §19.1.2).
    pub const fn port(&self) -> Option<u16> {
        self.host_port.port()
    }

    /// The parameters.
    pub const fn params(&self) -> UriParams<'a> {
        self.params
    }

    /// The headers.
    pub const fn headers(&self) -> UriHeaders<'a> {
        self.headers
    }

    /// The `transport` parameter, whatever its case (RFC 3261 §19.1.1, RFC 7118 §5.2).
    pub fn transport(&self) -> Option<&'a str> {
        self.params.value("transport")
    }

    /// The `maddr` parameter: the host to send to instead.
    pub fn maddr(&self) -> Option<Host<'a>> {
        Host::try_from(self.params.value("maddr")?).ok()
    }

    /// The `ttl` parameter.
    pub fn ttl(&self) -> Option<u8> {
        self.params.value("ttl")?.parse().ok()
    }

    /// Returns true if there is an `lr` parameter, with a value or without.
    pub fn is_loose_router(&self) -> bool {
        self.params.contains("lr")
    }

    /// The `method` parameter: that of a request made from this URI (RFC 3261 §19.1.5).
    pub fn method(&self) -> Option<&'a str> {
        self.params.value("method")
    }

    /// The Request-URI of a request made from this URI: without `method` parameter and headers
    /// (RFC 3261 §19.1.5).
    ///
    /// ```
    /// let uri = sip_core::uri::SipUri::parse(b"sip:b.example;method=REGISTER;lr?to=a%40b.example")?;
    /// assert_eq!(uri.request_uri().to_string(), "sip:b.example;lr");
    /// # Ok::<(), sip_core::ValueError>(())
    /// ```
    pub const fn request_uri(&self) -> RequestUri<'a> {
        RequestUri(*self)
    }

    /// The same URI with the scheme `sips`, or `sip`.
    #[must_use]
    pub const fn with_secure(self, secure: bool) -> Self {
        Self {
            text: &[],
            secure,
            ..self
        }
    }

    /// The same URI with another user, and without a password. The user is used as given;
    /// [`escape::user`] escapes any text.
    ///
    /// [`escape::user`]: super::escape::user
    pub fn with_user(self, user: &'a str) -> Result<Self, ValueError> {
        match escaped_run::<USER>(user.as_bytes(), 0) {
            end if end > 0 && end == user.len() => Ok(Self {
                text: &[],
                user: Some(user.as_bytes()),
                password: None,
                ..self
            }),
            end => Err(ValueError::unexpected("a user", user.as_bytes(), end)),
        }
    }

    /// The same URI without user and password.
    #[must_use]
    pub const fn without_user(self) -> Self {
        Self {
            text: &[],
            user: None,
            password: None,
            ..self
        }
    }

    /// The same URI with another host and port.
    #[must_use]
    pub const fn with_host_port(self, host_port: HostPort<'a>) -> Self {
        Self {
            text: &[],
            host_port,
            ..self
        }
    }

    /// The same URI with other parameters.
    #[must_use]
    pub const fn with_params(self, params: UriParams<'a>) -> Self {
        Self {
            text: &[],
            params,
            ..self
        }
    }

    /// The same URI with other headers.
    #[must_use]
    pub const fn with_headers(self, headers: UriHeaders<'a>) -> Self {
        Self {
            text: &[],
            headers,
            ..self
        }
    }

    fn write_start(&self, f: &mut fmt::Formatter<'_>, password: Option<&str>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = self.user() {
            f.write_str(user)?;
            if let Some(password) = password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        fmt::Display::fmt(&self.host_port, f)
    }

    fn write_headers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.headers.is_empty() {
            Ok(())
        } else {
            write!(f, "?{}", self.headers)
        }
    }
}

/// The part of a URI before its host.
type Userinfo<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, usize);

/// The user and password. A user may contain `;`, `?` and `/`, so only the `@` shows that there is
/// one (RFC 3261 §19.1.1).
#[inline(always)]
fn userinfo(text: &[u8], start: usize) -> Result<Userinfo<'_>, ValueError> {
    let user_end = escaped_run::<USER>(text, start);
    let (password, end) = match text.get(user_end) {
        Some(b'@') => (None, user_end),
        Some(b':') => {
            let end = escaped_run::<PASSWORD>(text, user_end + 1);
            (text.get(user_end + 1..end), end)
        }
        _ => return Ok((None, None, start)),
    };
    if text.get(end) != Some(&b'@') {
        return Ok((None, None, start));
    }
    if user_end == start {
        return Err(ValueError::unexpected("a user", text, start));
    }
    Ok((text.get(start..user_end), password, end + 1))
}

impl fmt::Display for SipUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.text.is_empty() {
            return f.write_str(ascii(self.text));
        }
        self.write_start(f, self.password())?;
        fmt::Display::fmt(&self.params, f)?;
        self.write_headers(f)
    }
}

/// Shows the URI with asterisks for the password.
impl fmt::Debug for SipUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_start(f, self.password.and(Some("***")))?;
        fmt::Display::fmt(&self.params, f)?;
        self.write_headers(f)
    }
}

impl<'a> TryFrom<&'a str> for SipUri<'a> {
    type Error = ValueError;

    fn try_from(text: &'a str) -> Result<Self, ValueError> {
        Self::parse(text.as_bytes())
    }
}

/// A SIP URI printed as the Request-URI of a request made from it; see [`SipUri::request_uri`].
#[derive(Clone, Copy, Debug)]
pub struct RequestUri<'a>(SipUri<'a>);

impl fmt::Display for RequestUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = &self.0;
        if uri.headers.is_empty() && uri.method().is_none() {
            return fmt::Display::fmt(uri, f);
        }
        uri.write_start(f, uri.password())?;
        let mut params = uri
            .params
            .iter()
            .filter(|p| !p.name().eq_ignore_ascii_case("method"));
        params.try_for_each(|param| write!(f, ";{param}"))
    }
}
