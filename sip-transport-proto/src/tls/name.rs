//! The name that the peer of a TLS connection must prove.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;
use std::sync::Arc;

use sip_core::Host;
use thiserror::Error;

/// The longest domain name (RFC 1035 §2.3.4), as text without the trailing dot.
const MAX_NAME: usize = 253;
/// The longest label.
const MAX_LABEL: usize = 63;

/// The name that the peer of a TLS connection must prove: a domain or an IP address.
///
/// It is the host of the URI, before DNS (RFC 5922 §7.3). It is sent as SNI if it is a domain, and
/// compared as a whole, ignoring case and a trailing dot (RFC 5922 §7.2). Names that are not ASCII
/// are refused: an internationalized name is written in A-labels (RFC 5280 §7.2).
///
/// ```
/// use sip_transport_proto::tls::TlsName;
///
/// assert_eq!(TlsName::new("Example.COM.")?, TlsName::new("example.com")?);
/// assert_eq!(TlsName::new("[2001:db8::1]")?.ip(), "2001:db8::1".parse().ok());
/// assert!(TlsName::new("victim.example\0.attacker").is_err());
/// # Ok::<(), sip_transport_proto::tls::TlsNameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TlsName(Name);

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Name {
    /// A domain in lower case, without a trailing dot.
    Domain(Arc<str>),
    Ip(IpAddr),
}

impl TlsName {
    /// Parses the host of a URI: a domain name, an IPv4 address, or an IPv6 address with or without
    /// brackets. No port.
    pub fn new(host: &str) -> Result<Self, TlsNameError> {
        let address = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match address {
            Some(v6) => match v6.parse::<Ipv6Addr>() {
                Ok(ip) => Ok(IpAddr::V6(ip).into()),
                Err(_) => Err(TlsNameError::Character),
            },
            None => match host.parse::<IpAddr>() {
                Ok(ip) => Ok(ip.into()),
                Err(_) => Self::domain(host),
            },
        }
    }

    /// Parses a domain name, which an IP address is not.
    pub(super) fn domain(name: &str) -> Result<Self, TlsNameError> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(TlsNameError::Length);
        }
        let mut last = "";
        for label in name.split('.') {
            if label.is_empty() || label.len() > MAX_LABEL {
                return Err(TlsNameError::Length);
            }
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if !label.bytes().all(allowed) || label.starts_with('-') || label.ends_with('-') {
                return Err(TlsNameError::Character);
            }
            last = label;
        }
        if is_number(last) {
            return Err(TlsNameError::Number);
        }
        Ok(Self(Name::Domain(name.to_ascii_lowercase().into())))
    }

    /// The domain, in lower case and without a trailing dot, unless this is an IP address.
    pub fn as_domain(&self) -> Option<&str> {
        match &self.0 {
            Name::Domain(name) => Some(name),
            Name::Ip(_) => None,
        }
    }

    /// The IP address, unless this is a domain.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0 {
            Name::Domain(_) => None,
            Name::Ip(ip) => Some(ip),
        }
    }
}

/// Returns true if some parsers would read this label as the last part of an IPv4 address: `1` or
/// `0x1f`.
fn is_number(label: &str) -> bool {
    let hex = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl From<IpAddr> for TlsName {
    fn from(ip: IpAddr) -> Self {
        Self(Name::Ip(ip))
    }
}

impl TryFrom<Host<'_>> for TlsName {
    type Error = TlsNameError;

    fn try_from(host: Host<'_>) -> Result<Self, TlsNameError> {
        match host {
            Host::Name(name) => Self::domain(name),
            Host::V4(ip) => Ok(IpAddr::V4(ip).into()),
            Host::V6(ip) => Ok(IpAddr::V6(ip).into()),
        }
    }
}

impl FromStr for TlsName {
    type Err = TlsNameError;

    fn from_str(host: &str) -> Result<Self, TlsNameError> {
        Self::new(host)
    }
}

impl fmt::Display for TlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Domain(name) => f.write_str(name),
            Name::Ip(ip) => ip.fmt(f),
        }
    }
}

/// The reason why a host is not a name that a certificate could prove.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TlsNameError {
    /// A name is empty or over 253 bytes, or a label of it is empty or over 63 bytes.
    #[error("a domain name has 1 to 253 bytes in labels of 1 to 63")]
    Length,
    /// A name has a character other than letters, digits, `-` and `_`, or a `-` at the edge of a
    /// label.
    #[error("a domain name has ASCII letters, digits, '-' and '_', no '-' at the edge of a label")]
    Character,
    /// The last label is a number, so that it could be taken for an IP address.
    #[error("the last label of a domain name is not a number")]
    Number,
}
