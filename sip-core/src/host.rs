//! `host` and `hostport` of RFC 3261 §25.1, with the address grammar of RFC 5954.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ValueError;
use crate::chars::{self, LABEL, ascii, is, run, skip_lws};
use crate::limits::Reading;
use crate::span::{HostPortSpan, HostSpan, Span};

/// A host name or an IP address.
///
/// Names follow RFC 3261: labels of letters, digits and inner hyphens, the last of which does not
/// start with a digit, and maybe a dot at the end. Underscores are accepted too, because peers use
/// them. IP addresses follow RFC 5954; an IPv6 address stands in brackets and has no zone. The
/// third colon of a known error in RFC 3261's grammar (`[2001:db8:::192.0.2.1]`) is accepted, as
/// RFC 5118 §4.10 asks, and never written.
///
/// Names are equal whatever their case, addresses if their binary form is equal (RFC 5954 §4.2);
/// a name never equals an address.
///
/// ```
/// use sip_core::Host;
///
/// let (host, used) = Host::parse(b"[2001:DB8:0::1]:5060")?;
/// assert_eq!((host.to_string().as_str(), used), ("[2001:db8::1]", 15));
/// assert_eq!(Host::try_from("Example.COM")?, Host::Name("example.com"));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the RFC")]
pub enum Host<'a> {
    /// A domain name, as it was written.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Parses the host at the start of `data`, and returns its length too.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<(Self, usize), ValueError> {
        Self::parse_as(data, Reading::Strict)
    }

    /// The same with what peers write besides: a last label that starts with a digit, an IPv4
    /// address with leading zeros (as a name: some read them as octal), the zone of an IPv6
    /// address (left out: it means something to its own host only).
    #[inline]
    pub(crate) fn parse_as(data: &'a [u8], reading: Reading) -> Result<(Self, usize), ValueError> {
        scan(data, reading).map(|(host, end)| (host.read(), end))
    }

    /// The IP address, unless this is a name.
    pub const fn ip(&self) -> Option<IpAddr> {
        match *self {
            Self::Name(_) => None,
            Self::V4(ip) => Some(IpAddr::V4(ip)),
            Self::V6(ip) => Some(IpAddr::V6(ip)),
        }
    }

    /// Returns true for `0.0.0.0` and `[::]`, in any spelling.
    pub const fn is_unspecified(&self) -> bool {
        match self {
            Self::Name(_) => false,
            Self::V4(ip) => ip.is_unspecified(),
            Self::V6(ip) => ip.is_unspecified(),
        }
    }
}

/// A host whose name was not made text yet: most are checked and never read.
#[derive(Clone, Copy)]
enum Raw<'a> {
    Name(&'a [u8]),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl<'a> Raw<'a> {
    #[inline]
    const fn read(self) -> Host<'a> {
        match self {
            Self::Name(name) => match core::str::from_utf8(name) {
                Ok(name) => Host::Name(name),
                // `scan` lets no such name through.
                Err(_) => Host::Name(""),
            },
            Self::V4(ip) => Host::V4(ip),
            Self::V6(ip) => Host::V6(ip),
        }
    }
}

#[inline(always)]
fn scan(data: &[u8], reading: Reading) -> Result<(Raw<'_>, usize), ValueError> {
    match data.first() {
        Some(b'0'..=b'9') => match ipv4(data) {
            Some((ip, end)) => Ok((Raw::V4(ip), end)),
            None => name(data, reading),
        },
        Some(b'[') => ipv6_reference(data, reading),
        _ => name(data, reading),
    }
}

#[inline(always)]
fn name(data: &[u8], reading: Reading) -> Result<(Raw<'_>, usize), ValueError> {
    let unexpected = |expected, at| Err(ValueError::unexpected(expected, data, at));
    let mut last_label = 0;
    let mut at = 0;
    let end = loop {
        let end = run::<LABEL>(data, at);
        let Some(label @ [first, ..]) = data.get(at..end) else {
            // Only after a label may a dot be the end of the name.
            if at > 0 && data.get(at) != Some(&b'.') {
                break at;
            }
            return unexpected("a host", at);
        };
        if *first == b'-' {
            return unexpected("a letter or digit", at);
        }
        if label.ends_with(b"-") {
            return unexpected("a letter or digit", end);
        }
        last_label = at;
        if data.get(end) != Some(&b'.') {
            break end;
        }
        at = end + 1;
    };
    let name = data.get(..end).unwrap_or_default();
    // Else an address with a fault, such as 444.555.666.777, would be a name.
    if data.get(last_label).is_some_and(u8::is_ascii_digit)
        && (reading == Reading::Strict || is_number(name))
    {
        return unexpected(
            "an IPv4 address, or a last label that starts with a letter",
            last_label,
        );
    }
    Ok((Raw::Name(name), end))
}

/// Whether some readers take a name for an address that others do not see in it: its last label is
/// a number, and it is not four octets with leading zeros.
#[cold]
fn is_number(name: &[u8]) -> bool {
    let is_octet = |label: &[u8]| {
        let octet = chars::number(label, 0, u8::MAX.into(), "octet");
        octet.is_ok_and(|(_, end)| end == label.len() && end <= 3)
    };
    let labels = || name.split(|&b| b == b'.');
    let last = labels().next_back().unwrap_or_default();
    let is_hex = matches!(last, [b'0', b'x' | b'X', ..]);
    (is_hex || last.iter().all(u8::is_ascii_digit))
        && !(labels().count() == 4 && labels().all(is_octet))
}

/// `None` if the text is no address, or is one with more text behind it that could be of a name.
#[inline(always)]
fn ipv4(data: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let mut octets = [0; 4];
    let mut at = 0;
    for (i, octet) in octets.iter_mut().enumerate() {
        if i > 0 {
            if data.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        (*octet, at) = dec_octet(data, at)?;
    }
    match data.get(at) {
        Some(&b) if b == b'.' || is::<LABEL>(b) => None,
        _ => Some((Ipv4Addr::from(octets), at)),
    }
}

/// RFC 5954 §4.1: up to three digits without leading zeros.
#[inline(always)]
fn dec_octet(data: &[u8], at: usize) -> Option<(u8, usize)> {
    let digit = |at: usize| {
        data.get(at)
            .filter(|b| b.is_ascii_digit())
            .map(|b| u16::from(b - b'0'))
    };
    let mut value = digit(at)?;
    let mut end = at + 1;
    while value != 0
        && end < at + 3
        && let Some(digit) = digit(end)
    {
        value = value * 10 + digit;
        end += 1;
    }
    Some((u8::try_from(value).ok()?, end))
}

fn ipv6_reference(data: &[u8], reading: Reading) -> Result<(Raw<'_>, usize), ValueError> {
    // "[", 45 characters (RFC 4291 with IPv4 at the end), one colon too many, "]".
    let longest = match reading {
        Reading::Lenient => 48 + ZONE_MAX,
        Reading::Strict => 48,
    };
    let window = data.get(..data.len().min(longest)).unwrap_or_default();
    let Some(end) = window.iter().position(|&b| b == b']') else {
        return Err(ValueError::unexpected(
            "']' after an IPv6 address",
            data,
            window.len(),
        ));
    };
    let text = data.get(1..end).unwrap_or_default();
    let ip = match reading {
        Reading::Lenient => ipv6(without_zone(text)),
        Reading::Strict => ipv6(text),
    };
    let ip = ip.ok_or_else(|| ValueError::unexpected("an IPv6 address", data, 1))?;
    Ok((Raw::V6(ip), end + 1))
}

/// The longest zone with its percent sign.
const ZONE_MAX: usize = 32;

/// RFC 6874: the zone stands behind a percent sign, which may be escaped.
fn without_zone(text: &[u8]) -> &[u8] {
    let is_zone =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%');
    match text
        .iter()
        .position(|&b| b == b'%')
        .map(|at| text.split_at(at))
    {
        Some((ip, zone @ [_, _, ..])) if zone.iter().all(is_zone) => ip,
        _ => text,
    }
}

/// An IPv6 address without brackets.
pub(crate) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    if let Some(ip) = groups(text) {
        return Some(ip);
    }
    if let Ok(ip) = core::str::from_utf8(text).ok()?.parse() {
        return Some(ip);
    }
    // RFC 5118 §4.10: the grammar of RFC 3261 asks for a third colon before an IPv4 address.
    let colons = text.windows(3).position(|w| w == b":::")?;
    let (head, tail) = (text.get(..colons)?, text.get(colons + 1..)?);
    if text.len() > 46 || !tail.contains(&b'.') {
        return None;
    }
    let mut buffer = [0; 45];
    let (left, right) = buffer.get_mut(..text.len() - 1)?.split_at_mut(head.len());
    left.copy_from_slice(head);
    right.copy_from_slice(tail);
    ascii(buffer.get(..text.len() - 1)?).parse().ok()
}

/// An IPv6 address of groups alone, as nearly all are written; `None` says nothing.
fn groups(text: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0; 8];
    let mut len = 0;
    // How many groups stand before the two colons.
    let mut gap = None;
    let mut rest = text;
    if let [b':', b':', behind @ ..] = text {
        (gap, rest) = (Some(0), behind);
    }
    while !rest.is_empty() {
        let (mut value, mut digits) = (0, 0);
        while let Some(digit) = rest.get(digits).and_then(|&b| char::from(b).to_digit(16)) {
            value = value << 4 | digit;
            digits += 1;
            if digits > 4 {
                return None;
            }
        }
        *groups.get_mut(len).filter(|_| digits > 0)? = value as u16;
        len += 1;
        rest = match rest.get(digits..)? {
            [] => break,
            [b':', b':', behind @ ..] if gap.is_none() => {
                gap = Some(len);
                behind
            }
            [b':', behind @ ..] if !behind.is_empty() => behind,
            _ => return None,
        };
    }
    match gap {
        None if len == 8 => {}
        // RFC 4291 §2.2: the colons stand for one group at least.
        Some(gap) if len < 8 => {
            groups.copy_within(gap..len, 8 - (len - gap));
            groups.get_mut(gap..8 - (len - gap))?.fill(0);
        }
        _ => return None,
    }
    Some(Ipv6Addr::from(groups))
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(ip) => write!(f, "{ip}"),
            Self::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

impl Hash for Host<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Name(name) => {
                name.bytes()
                    .for_each(|b| state.write_u8(b.to_ascii_lowercase()));
                state.write_u8(0xFF);
            }
            Self::V4(ip) => ip.hash(state),
            Self::V6(ip) => ip.hash(state),
        }
    }
}

impl From<IpAddr> for Host<'_> {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl<'a> TryFrom<&'a str> for Host<'a> {
    type Error = ValueError;

    /// Parses a host with nothing behind it.
    fn try_from(text: &'a str) -> Result<Self, ValueError> {
        let (host, end) = Self::parse(text.as_bytes())?;
        at_end(text, end).map(|()| host)
    }
}

/// A host and maybe a port: `hostport` of a URI, `sent-by` of a Via.
///
/// ```
/// use sip_core::{Host, HostPort};
///
/// let sent_by = HostPort::try_from("pbx.example.com:5070")?;
/// assert_eq!(sent_by.host(), Host::Name("pbx.example.com"));
/// assert_eq!(sent_by.port(), Some(5070));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy)]
pub struct HostPort<'a> {
    host: Raw<'a>,
    port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// A host, and the port that stands behind it.
    pub const fn new(host: Host<'a>, port: Option<u16>) -> Self {
        let host = match host {
            Host::Name(name) => Raw::Name(name.as_bytes()),
            Host::V4(ip) => Raw::V4(ip),
            Host::V6(ip) => Raw::V6(ip),
        };
        Self { host, port }
    }

    /// The host.
    pub const fn host(&self) -> Host<'a> {
        self.host.read()
    }

    /// The port, if one is written.
    #[inline(always)]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// A received one as a place in `base`.
    #[inline]
    pub(crate) fn span(&self, base: &[u8]) -> Option<HostPortSpan> {
        let host = match self.host {
            Raw::Name(name) => HostSpan::Name(Span::of(base, name)?),
            Raw::V4(ip) => HostSpan::V4(ip),
            Raw::V6(ip) => HostSpan::V6(ip),
        };
        Some(HostPortSpan {
            host,
            port: self.port,
        })
    }

    /// The reverse of [`HostPort::span`].
    #[inline]
    pub(crate) fn from_span(span: HostPortSpan, base: &'a [u8]) -> Self {
        let host = match span.host {
            HostSpan::Name(name) => Raw::Name(name.get(base)),
            HostSpan::V4(ip) => Raw::V4(ip),
            HostSpan::V6(ip) => Raw::V6(ip),
        };
        Self {
            host,
            port: span.port,
        }
    }

    /// Parses the host and port at the start of `data`, and returns their length too.
    ///
    /// A colon behind the host must have a port behind it, of at most 65535; leading zeros are
    /// legal.
    #[inline]
    pub fn parse(data: &'a [u8]) -> Result<(Self, usize), ValueError> {
        Self::parse_as(data, Reading::Strict)
    }

    /// The same with what peers write besides; see [`Host::parse_as`].
    #[inline]
    pub(crate) fn parse_as(data: &'a [u8], reading: Reading) -> Result<(Self, usize), ValueError> {
        let (host, end) = scan(data, reading)?;
        if data.get(end) != Some(&b':') {
            return Ok((Self { host, port: None }, end));
        }
        let (port, end) = port(data, end + 1)?;
        Ok((
            Self {
                host,
                port: Some(port),
            },
            end,
        ))
    }

    /// The same with white space around the colon, as only a Via may have it (RFC 3261 §25.1).
    #[inline(always)]
    pub(crate) fn parse_sent_by(
        data: &'a [u8],
        reading: Reading,
    ) -> Result<(Self, usize), ValueError> {
        let (host, end) = scan(data, reading)?;
        let colon = skip_lws(data, end);
        if data.get(colon) != Some(&b':') {
            return Ok((Self { host, port: None }, end));
        }
        let (port, end) = port(data, skip_lws(data, colon + 1))?;
        Ok((
            Self {
                host,
                port: Some(port),
            },
            end,
        ))
    }
}

fn port(data: &[u8], at: usize) -> Result<(u16, usize), ValueError> {
    let (port, end) = chars::number(data, at, u32::from(u16::MAX), "port number")?;
    Ok((port as u16, end))
}

fn at_end(text: &str, at: usize) -> Result<(), ValueError> {
    if at == text.len() {
        Ok(())
    } else {
        Err(ValueError::unexpected("the end", text.as_bytes(), at))
    }
}

impl PartialEq for HostPort<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.host(), self.port) == (other.host(), other.port)
    }
}

impl Eq for HostPort<'_> {}

impl Hash for HostPort<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.host(), self.port).hash(state);
    }
}

impl fmt::Debug for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostPort({self})")
    }
}

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host().fmt(f)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl<'a> TryFrom<&'a str> for HostPort<'a> {
    type Error = ValueError;

    /// Parses a host and maybe a port with nothing behind them.
    fn try_from(text: &'a str) -> Result<Self, ValueError> {
        let (host_port, end) = Self::parse(text.as_bytes())?;
        at_end(text, end).map(|()| host_port)
    }
}
