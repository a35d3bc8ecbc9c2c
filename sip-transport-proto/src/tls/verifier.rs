//! Verification of a server's certificate.

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

/// A verifier of server certificates by the rules of SIP (RFC 5922 §7.3).
///
/// First it verifies the chain up to a trusted root, the validity periods, and the purposes
/// (RFC 5280, RFC 5922 §7.1); then the names, by a [`NamePolicy`]. It does not check revocation.
///
/// A root may be a server's own certificate, such as a self-signed one that claims to be a CA's (as
/// `openssl req -x509` makes): its validity period, purposes and names are verified all the same.
///
/// [`TlsClient`](super::TlsClient) uses it; it can also be used in a `rustls::ClientConfig` of your
/// own.
#[derive(Debug)]
pub struct SipServerVerifier {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    names: NamePolicy,
}

impl SipServerVerifier {
    /// A verifier that trusts certificates leading to these roots, by the signature algorithms of
    /// this provider.
    pub fn new(roots: Arc<RootCertStore>, provider: &CryptoProvider, names: NamePolicy) -> Self {
        Self {
            roots,
            algorithms: provider.signature_verification_algorithms,
            names,
        }
    }
}

impl SipServerVerifier {
    /// Returns true if the certificate is that of a root, and may be a server's. A root is
    /// identified by its subject and key: the holder of the key, which the handshake proves, could
    /// sign any other certificate.
    fn has_root(&self, certificate: &CertificateDer<'_>) -> bool {
        let own = webpki::anchor_from_trusted_cert(certificate);
        own.is_ok_and(|own| own.name_constraints.is_none() && self.roots.roots.contains(&own))
            && is_for_servers(certificate)
    }
}

/// Returns true if this is the only problem with a certificate.
fn is_ca_used_as_end_entity(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(error)
        if CertificateProblem::from(error) == CertificateProblem::CaUsedAsEndEntity)
}

/// Returns true unless a certificate is limited to other purposes (RFC 5280 §4.2.1.12). A trusted
/// one does not hide its contents, so it is enough to search for the object identifiers.
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
            // Reported only for a certificate within its validity period: webpki checks that first.
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

/// A verifier that accepts any certificate, and checks only that the peer has its key.
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
