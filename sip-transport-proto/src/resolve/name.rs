//! Domain names in the form in which they are looked up.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

/// A domain name in the form in which names are compared and looked up: lower case, without a
/// trailing dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DomainName(Arc<str>);

/// The longest name (RFC 1035 §2.3.4), as text without the trailing dot.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

impl DomainName {
    /// Parses a name: not the root, not an IP address, with labels of 1 to 63 visible ASCII
    /// characters and at most 253 in all (RFC 1035 §2.3.4).
    ///
    /// ```
    /// use sip_transport_proto::resolve::DomainName;
    ///
    /// let name = DomainName::new("_SIP._udp.Example.COM.").unwrap();
    /// assert_eq!(name.as_str(), "_sip._udp.example.com");
    /// assert_eq!(DomainName::new("a..example"), None);
    /// assert_eq!(DomainName::new("192.0.2.1"), None);
    /// ```
    pub fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let fits = |label: &str| (1..=MAX_LABEL).contains(&label.len());
        let good = text.len() <= MAX_NAME
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text.split('.').all(fits)
            && text.parse::<IpAddr>().is_err();
        good.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain among which lookups are shared out: the last two labels.
    pub(super) fn domain(&self) -> Self {
        let before_last_two = self.0.rmatch_indices('.').nth(1);
        let domain = before_last_two.and_then(|(dot, _)| self.0.get(dot + 1..));
        domain.map_or_else(|| self.clone(), |domain| Self(domain.into()))
    }

    /// The name of a service's SRV records (RFC 2782), if it is not too long.
    pub(super) fn service(&self, prefix: &str) -> Option<Self> {
        Self::new(&format!("{prefix}.{self}"))
    }

    /// Returns true for a name of the host itself (RFC 6761 §6.3).
    pub(super) fn is_localhost(&self) -> bool {
        self.last_label() == "localhost"
    }

    /// Returns true for a name that does not exist by definition (RFC 6761 §6.4, RFC 7118 §5).
    pub(super) fn is_invalid(&self) -> bool {
        self.last_label() == "invalid"
    }

    fn last_label(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
