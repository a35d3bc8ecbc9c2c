//! The names in a certificate, as SIP reads them.

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::{Identity, NamePolicy, TlsName};

/// The limit of names read from one certificate; further ones are ignored.
const MAX_NAMES: usize = 1_024;

impl TlsName {
    /// The name for rustls: it is verified, and sent as SNI if it is a domain (RFC 6066 §3).
    pub(super) fn to_server_name(&self) -> Option<ServerName<'static>> {
        match (self.ip(), self.as_domain()) {
            (Some(ip), _) => Some(ServerName::from(ip)),
            (None, Some(name)) => ServerName::try_from(name.to_owned()).ok(),
            (None, None) => None,
        }
    }

    pub(super) fn from_server_name(name: &ServerName<'_>) -> Option<Self> {
        match name {
            ServerName::DnsName(name) => Self::domain(name.as_ref()).ok(),
            ServerName::IpAddress(ip) => Some(core::net::IpAddr::from(*ip).into()),
            _ => None,
        }
    }
}

impl Identity {
    /// Reads an identity from a chain of certificates, the peer's own first. `None` if the chain is
    /// empty or the first certificate is malformed.
    ///
    /// The chain must have been verified: only names are read here.
    pub(super) fn of(policy: NamePolicy, chain: &[CertificateDer<'_>]) -> Option<Self> {
        let certificate = EndEntityCert::try_from(chain.first()?).ok()?;
        let mut identity = Self {
            policy,
            names: Vec::new(),
            wildcards: Vec::new(),
            certificates: chain.iter().map(|one| one.to_vec()).collect(),
        };
        let mut has_sip_uri = false;
        if policy != NamePolicy::Rfc6125 {
            for host in certificate
                .valid_uri_names()
                .filter_map(sip_host)
                .take(MAX_NAMES)
            {
                has_sip_uri = true;
                match host {
                    SipHost::Ip(ip) => identity.names.push(ip),
                    SipHost::Domain(name) => identity.add(name),
                }
            }
        }
        // RFC 5922 §7.1: DNS names if and only if there is no SIP URI.
        if !has_sip_uri {
            for name in certificate.valid_dns_names().take(MAX_NAMES) {
                identity.add(name);
            }
        }
        Some(identity)
    }

    fn add(&mut self, name: &str) {
        match name.strip_prefix("*.") {
            None => self.names.extend(TlsName::domain(name)),
            // RFC 5922 §7.2: "*.example.com" matches only the literal "*.example.com", which no
            // host is called.
            Some(_) if self.policy == NamePolicy::Rfc5922 => {}
            // RFC 6125 §7.2: no wildcard directly under a top-level domain.
            Some(parent) => self
                .wildcards
                .extend(TlsName::domain(parent).ok().filter(|parent| {
                    parent
                        .as_domain()
                        .is_some_and(|parent| parent.contains('.'))
                })),
        }
    }

    pub(super) fn covers_ip(&self, name: &TlsName) -> bool {
        let (Some(ip), Some(certificate)) = (name.ip(), self.certificates.first()) else {
            return false;
        };
        let der = CertificateDer::from(certificate.as_slice());
        EndEntityCert::try_from(&der).is_ok_and(|certificate| {
            certificate
                .verify_is_valid_for_subject_name(&ServerName::from(ip))
                .is_ok()
        })
    }
}

/// The host of a `sip` URI in a certificate.
enum SipHost<'a> {
    Ip(TlsName),
    /// A host that has not been validated.
    Domain(&'a str),
}

/// Extracts the host of a `sip` URI without a user part, which names a domain (RFC 5922 §7.1).
///
/// A URI whose host is not a valid name counts too: it proves nothing, and disables the DNS names,
/// since the issuer meant the certificate for SIP.
fn sip_host(uri: &str) -> Option<SipHost<'_>> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let end = if rest.starts_with('[') {
        rest.find(']').map_or(rest.len(), |at| at + 1)
    } else {
        rest.find([':', ';', '?']).unwrap_or(rest.len())
    };
    let host = rest.get(..end).unwrap_or(rest);
    Some(match TlsName::new(host) {
        Ok(name) if name.ip().is_some() => SipHost::Ip(name),
        _ => SipHost::Domain(host),
    })
}
