use core::fmt;

use super::TlsName;

/// Which names of a certificate count, and how they are compared.
///
/// The common name of the subject never counts, not even where RFC 5922 §7.1 would allow it. An IP
/// address is proven by an `iPAddress` name under each of them (RFC 5922 knows domains only).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NamePolicy {
    /// SIP domain certificates (RFC 5922 §7.1, §7.2): the hosts of the `sip` URIs without a user
    /// part; if there is no such URI, the DNS names. Whole names, no wildcards.
    #[default]
    Rfc5922,
    /// The same, and a `*` in place of the first label covers any one label there.
    ///
    /// RFC 5922 §7.2 forbids it; for certificates made for the web and used for SIP.
    Rfc5922Wildcards,
    /// Web certificates (RFC 6125, RFC 9525): the DNS names, with a `*` for the first label. What
    /// secure WebSocket asks (RFC 7118 §9.1).
    Rfc6125,
}

/// Who the peer of a TLS connection has proven to be, by a certificate that was verified.
///
/// Made of the certificate as [`NamePolicy`] says. A connection whose verification was switched off
/// has none, nor has a client that gave no certificate (RFC 5922 §7.4).
#[derive(Clone, Eq, PartialEq)]
pub struct Identity {
    pub(super) policy: NamePolicy,
    pub(super) names: Vec<TlsName>,
    /// What stands behind each `*.`, where the policy has wildcards.
    pub(super) wildcards: Vec<TlsName>,
    /// As DER, the peer's own first.
    pub(super) certificates: Vec<Vec<u8>>,
}

impl Identity {
    /// The SIP domain identities (RFC 5922 §7.1), or under [`NamePolicy::Rfc6125`] the DNS names;
    /// those with a `*` left out. May be empty.
    pub fn names(&self) -> &[TlsName] {
        &self.names
    }

    /// Which names of the certificate count here.
    pub fn policy(&self) -> NamePolicy {
        self.policy
    }

    /// Whether the certificate proves this name.
    ///
    /// A connection may carry requests for another domain only if its peer's identity covers that
    /// domain too (RFC 5923 §9.3).
    pub fn covers(&self, name: &TlsName) -> bool {
        self.names.contains(name) || self.covers_by_wildcard(name) || self.covers_ip(name)
    }

    /// The certificates as DER: the peer's own, then those that it sent with it.
    pub fn certificates(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    fn covers_by_wildcard(&self, name: &TlsName) -> bool {
        let Some((_, parent)) = name.as_domain().and_then(|name| name.split_once('.')) else {
            return false;
        };
        self.wildcards
            .iter()
            .any(|wildcard| wildcard.as_domain() == Some(parent))
    }

    #[cfg(not(feature = "tls"))]
    fn covers_ip(&self, _: &TlsName) -> bool {
        false
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("policy", &self.policy)
            .field("names", &self.names)
            .field("wildcards", &self.wildcards)
            .field("certificates", &self.certificates.len())
            .finish()
    }
}
