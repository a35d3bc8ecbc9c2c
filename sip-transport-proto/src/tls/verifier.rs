use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{CertificateProblem, Identity, NamePolicy, TlsName};

/// Verifies a server's certificate as SIP asks (RFC 5922 §7.3).
///
/// First the chain up to a trusted root, the times, and the purposes (RFC 5280, RFC 5922 §7.1);
/// then the names, by a [`NamePolicy`]. Revocation is not looked at.
///
/// A root may be a server's own certificate, as a self-signed one is that says of itself that it is
/// a CA's (what `openssl req -x509` makes): its times, purposes and names are verified all the same.
///
/// [`TlsClient`](super::TlsClient) makes it; by itself it is for a `rustls::ClientConfig` of your
/// own.
#[derive(Debug)]
pub struct SipServerVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    names: NamePolicy,
}

impl SipServerVerifier {
    /// Trusts what leads to these roots, by the signature algorithms of this provider.
    pub fn new(roots: Arc<RootCertStore>, provider: &CryptoProvider, names: NamePolicy) -> Self {
        Self {
            roots,
            algorithms: provider.signature_verification_algorithms,
            names,
        }
    }
}

impl SipServerVerifier {
    /// Whether the certificate is that of a root, and may be a server's. A root is known by its
    /// subject and key: who has the key, which the handshake proves, could sign any other.
    fn has_root(&self, certificate: &CertificateDer<'_>) -> bool {
        let own = webpki::anchor_from_trusted_cert(certificate);
        own.is_ok_and(|own| own.name_constraints.is_none() && self.roots.roots.contains(&own))
            && is_for_servers(certificate)
    }
}

/// Whether this is all that speaks against a certificate.
fn is_ca_used_as_end_entity(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(error)
        if CertificateProblem::from(error) == CertificateProblem::CaUsedAsEndEntity)
}

/// Whether a certificate does not say that it is for other purposes (RFC 5280 §4.2.1.12). One that
/// is trusted does not hide what it says, so the object identifiers are just searched for.
fn is_for_servers(certificate: &[u8]) -> bool {
    const EXTENDED_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1D, 0x25];
    const SERVER_AUTH: &[u8] = &[6, 8, 0x2B, 6, 1, 5, 5, 7, 3, 1];
    let says = |oid: &[u8]| certificate.windows(oid.len()).any(|bytes| bytes == oid);
    says(SERVER_AUTH) || !says(EXTENDED_KEY_USAGE)
}

impl ServerCertVerifier for SipServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        match chain {
            // Said of a certificate that is valid at this time: webpki looks at that first.
            Err(error) if is_ca_used_as_end_entity(&error) && self.has_root(end_entity) => {}
            other => other?,
        }
        let name = TlsName::from_server_name(server_name).ok_or(Error::UnsupportedNameType)?;
        let covers = |policy| {
            let identity = Identity::of(policy, core::slice::from_ref(end_entity));
            identity.is_some_and(|identity| identity.covers(&name))
        };
        match self.names {
            policy if covers(policy) => Ok(ServerCertVerified::assertion()),
            NamePolicy::Rfc5922 if covers(NamePolicy::Rfc5922Wildcards) => {
                Err(CertificateProblem::WildcardOnly.into())
            }
            _ => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Takes any certificate; only checks that the peer has the key of it.
#[derive(Debug)]
pub(super) struct NoVerification {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
