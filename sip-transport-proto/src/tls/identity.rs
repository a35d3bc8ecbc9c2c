//! The identity that a peer has proven by its certificate.

use core::fmt;

use super::TlsName;

/// The rule for the names of a certificate: which of them count, and how they are compared.
///
/// The common name of the subject never counts, not even where RFC 5922 §7.1 would allow it. An IP
/// address is proven by an `iPAddress` name under each policy (RFC 5922 covers domains only).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NamePolicy {
    /// SIP domain certificates (RFC 5922 §7.1, §7.2): the hosts of the `sip` URIs without a user
    /// part; if there is no such URI, the DNS names. Whole names, no wildcards.
    #[default]
    Rfc5922,
    /// SIP domain certificates with wildcards: as [`Rfc5922`](Self::Rfc5922), and a `*` as the
    /// first label matches any one label there.
    ///
    /// RFC 5922 §7.2 forbids this; it is for certificates made for the web and used for SIP.
    Rfc5922Wildcards,
    /// Web certificates (RFC 6125, RFC 9525): the DNS names, with `*` allowed as the first label.
    /// Secure WebSocket requires this (RFC 7118 §9.1).
    Rfc6125,
}

/// The identity of the peer of a TLS connection, proven by a verified certificate.
///
/// It is read from the certificate by a [`NamePolicy`]. A connection without verification has no
/// identity, nor has a client without a certificate (RFC 5922 §7.4).
#[derive(Clone, Eq, PartialEq)]
pub struct Identity {
    pub(super) policy: NamePolicy,
    pub(super) names: Vec<TlsName>,
    /// The names after `*.`, if the policy allows wildcards.
    pub(super) wildcards: Vec<TlsName>,
    /// The certificates as DER, the peer's own first.
    pub(super) certificates: Vec<Vec<u8>>,
}

impl Identity {
    /// The SIP domain identities (RFC 5922 §7.1), or with [`NamePolicy::Rfc6125`] the DNS names,
    /// without wildcards. May be empty.
    pub fn names(&self) -> &[TlsName] {
        &self.names
    }

    /// The policy by which the names were read.
    pub fn policy(&self) -> NamePolicy {
        self.policy
    }

    /// Returns true if the certificate proves this name.
    ///
    /// A connection may carry requests for another domain only if its peer's identity covers that
    /// domain too (RFC 5923 §9.3).
    pub fn covers(&self, name: &TlsName) -> bool {
        self.names.contains(name) || self.covers_by_wildcard(name) || self.covers_ip(name)
    }

    /// The certificates as DER: the peer's own, then the others of its chain.
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
