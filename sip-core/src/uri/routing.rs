//! The parts of a URI that routing needs, even if the URI violates its grammar.

use memchr::{memchr, memrchr};

use super::compare::same_text;
use super::{Uri, sip};
use crate::chars::{LOOSE_PASSWORD, LOOSE_URI_PARAMS, LOOSE_USER, escaped_run};
use crate::{Host, HostPort, Reading, ValueError};

/// The parts of a URI that routing reads: its scheme, and of a SIP or SIPS URI the host, the port
/// and the parameters that direct requests (RFC 3261 §16.5, §16.6).
///
/// While [`Uri::parse`] requires the whole grammar, this also accepts what peers write: `# [ ] { }
/// | ^ "` and bytes that are not ASCII in user and parameters, parameters that are empty, repeated
/// or contain `=`, hosts such as `3f2a1b4c5d6e` or `192.168.001.010` (as a name), and the zone of
/// an IPv6 address, which is omitted. Every URI that [`Uri::parse`] accepts reads the same here.
///
/// ```
/// use sip_core::uri::RoutingUri;
///
/// let uri = RoutingUri::parse(b"sip:*72#@pbx.example.com:5070;transport=;transport=tcp;lr")?;
/// assert_eq!(uri.host_port(), Some("pbx.example.com:5070".try_into()?));
/// assert!(uri.is_loose_router());
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RoutingUri<'a> {
    scheme: &'a str,
    /// The host and port of a SIP or SIPS URI.
    host_port: Option<HostPort<'a>>,
    params: &'a [u8],
    headers: Option<usize>,
}

impl<'a> RoutingUri<'a> {
    /// Reads a URI with nothing around it.
    ///
    /// # Errors
    /// The destination is ambiguous: a second `@`, no host, an invalid port, a `maddr` that is not
    /// a host or has two values; white space or a control character; a `%` that escapes nothing; a
    /// URI of another scheme that violates its grammar.
    pub fn parse(text: &'a [u8]) -> Result<Self, ValueError> {
        let Some((secure, start)) = sip::scheme(text) else {
            let scheme = Uri::parse(text)?.scheme();
            return Ok(Self {
                scheme,
                host_port: None,
                params: &[],
                headers: None,
            });
        };
        let at = behind_userinfo(text, start)?;
        let rest = text.get(at..).unwrap_or_default();
        let (host_port, len) =
            HostPort::parse_as(rest, Reading::Lenient).map_err(|error| error.shifted(at))?;
        let from = at + len;
        let end = match text.get(from) {
            Some(b';') => escaped_run::<LOOSE_URI_PARAMS>(text, from),
            _ => from,
        };
        let headers = match text.get(end) {
            None => None,
            Some(b'?') => Some(end),
            Some(_) => return Err(ValueError::unexpected("';', '?' or the end", text, end)),
        };
        let uri = Self {
            scheme: if secure { "sips" } else { "sip" },
            host_port: Some(host_port),
            params: text.get(from..end).unwrap_or_default(),
            headers,
        };
        uri.check_maddr().map_err(|error| error.shifted(from))?;
        Ok(uri)
    }

    /// The scheme in lower case for the known ones, else as it was written.
    pub const fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// The host and the port of a SIP or SIPS URI; `None` for every other.
    pub const fn host_port(&self) -> Option<HostPort<'a>> {
        self.host_port
    }

    /// Returns true if the scheme is `sips`.
    pub fn is_secure(&self) -> bool {
        self.scheme == "sips"
    }

    /// The `transport` parameter, whatever its case; `None` if it is empty.
    pub fn transport(&self) -> Option<&'a str> {
        core::str::from_utf8(self.value("transport")?).ok()
    }

    /// The `maddr` parameter: the host to send to instead.
    pub fn maddr(&self) -> Option<Host<'a>> {
        maddr(self.value("maddr")?)
    }

    /// The `ttl` parameter, if it is a number of 0 to 255.
    pub fn ttl(&self) -> Option<u8> {
        core::str::from_utf8(self.value("ttl")?).ok()?.parse().ok()
    }

    /// Returns true if there is an `lr` parameter, with a value or without.
    pub fn is_loose_router(&self) -> bool {
        self.params().any(|(_, name, _)| same_text(name, b"lr"))
    }

    /// The position of the headers of a SIP or SIPS URI, if it has any.
    pub(crate) const fn headers(&self) -> Option<usize> {
        self.headers
    }

    /// The first value of that parameter that is not empty.
    fn value(&self, wanted: &str) -> Option<&'a [u8]> {
        self.params()
            .find(|(_, name, value)| !value.is_empty() && same_text(name, wanted.as_bytes()))
            .map(|(_, _, value)| value)
    }

    /// The start of each parameter, its name and its value.
    fn params(&self) -> impl Iterator<Item = (usize, &'a [u8], &'a [u8])> + use<'a> {
        let mut at = 0;
        self.params.split(|&b| b == b';').map(move |param| {
            let start = at;
            at += param.len() + 1;
            match memchr(b'=', param) {
                Some(equals) => {
                    let (name, value) = param.split_at(equals);
                    (start, name, value.get(1..).unwrap_or_default())
                }
                None => (start, param, &[][..]),
            }
        })
    }

    fn check_maddr(&self) -> Result<(), ValueError> {
        let mut first = None;
        // One is told by its first letter, which may be escaped.
        let is_start = |pair: &[u8]| matches!(pair, [b';', b'm' | b'M' | b'%']);
        if !self.params.windows(2).any(is_start) {
            return Ok(());
        }
        for (offset, name, value) in self.params() {
            if value.is_empty() || !same_text(name, b"maddr") {
                continue;
            }
            let what = "maddr";
            let Some(host) = maddr(value) else {
                return Err(ValueError::OutOfRange { what, offset });
            };
            if first.replace(host).is_some_and(|first| first != host) {
                return Err(ValueError::Repeated { what, offset });
            }
        }
        Ok(())
    }
}

fn maddr(value: &[u8]) -> Option<Host<'_>> {
    match Host::parse_as(value, Reading::Lenient) {
        Ok((host, end)) if end == value.len() => Some(host),
        _ => None,
    }
}

/// The start of the host: after the `@`, of which there may be only one.
fn behind_userinfo(text: &[u8], start: usize) -> Result<usize, ValueError> {
    let rest = text.get(start..).unwrap_or_default();
    let Some(len) = memchr(b'@', rest) else {
        return Ok(start);
    };
    let at = start + len;
    if let Some(last) = memrchr(b'@', rest).filter(|&last| last > len) {
        return Err(ValueError::unexpected("no second '@'", text, start + last));
    }
    let user_end = escaped_run::<LOOSE_USER>(text, start);
    let end = match text.get(user_end) {
        Some(b':') => escaped_run::<LOOSE_PASSWORD>(text, user_end + 1),
        _ => user_end,
    };
    if user_end == start || end != at {
        return Err(ValueError::unexpected("a user", text, end));
    }
    Ok(at + 1)
}
