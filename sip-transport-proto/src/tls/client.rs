//! Client configurations.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore, SupportedProtocolVersion};

use super::config::RustlsConfig;
use super::verifier::NoVerification;
use super::{LocalCertificate, NamePolicy, SipServerVerifier, TlsConfig, TlsConfigError};

/// A builder of the client side of a [`TlsConfig`].
#[must_use = "a builder does nothing until it builds"]
#[derive(Clone, Debug)]
pub struct TlsClient {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    verify: bool,
    names: Option<NamePolicy>,
    certificate: Option<LocalCertificate>,
    alpn: Vec<Vec<u8>>,
    alpn_wss: Vec<Vec<u8>>,
    versions: &'static [&'static SupportedProtocolVersion],
    sessions: usize,
    time: Arc<dyn TimeProvider>,
}

impl TlsClient {
    /// A builder that uses this provider's cryptography and trusts no root yet.
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            roots: RootCertStore::empty(),
            verify: true,
            names: None,
            certificate: None,
            alpn: Vec::new(),
            alpn_wss: Vec::new(),
            versions: DEFAULT_VERSIONS,
            sessions: 256,
            time: Arc::new(DefaultTimeProvider),
        }
    }

    /// Adds trusted roots. See [`roots_from_pem`](super::roots_from_pem).
    pub fn roots(mut self, roots: RootCertStore) -> Self {
        self.roots.extend(roots.roots);
        self
    }

    /// Sets which names of a server's certificate count, over TLS and over secure WebSocket.
    ///
    /// Default: [`NamePolicy::Rfc5922`] for TLS, [`NamePolicy::Rfc6125`] for secure WebSocket
    /// (RFC 7118 §9.1).
    pub fn names(mut self, names: NamePolicy) -> Self {
        self.names = Some(names);
        self
    }

    /// Presents this certificate to servers that ask for one (mutual TLS).
    pub fn certificate(mut self, certificate: LocalCertificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Offers these application protocols over TLS (ALPN, RFC 7301), in order of preference:
    /// `sip/2` is the one registered for SIP. Default: none. A server that chooses none is
    /// accepted.
    pub fn alpn(mut self, protocols: &[&[u8]]) -> Self {
        self.alpn = owned(protocols);
        self
    }

    /// Offers these application protocols over secure WebSocket, where `http/1.1` would be usual.
    /// Default: none.
    pub fn alpn_wss(mut self, protocols: &[&[u8]]) -> Self {
        self.alpn_wss = owned(protocols);
        self
    }

    /// Allows these versions of TLS only. Default: 1.2 and 1.3; there are no others.
    pub fn versions(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// Sets the number of servers whose sessions are stored for resumption, separately for TLS and
    /// for secure WebSocket. Default: 256; 0 for none. Each takes some kilobytes.
    pub fn sessions(mut self, count: usize) -> Self {
        self.sessions = count;
        self
    }

    /// Sets the clock by which the validity of certificates and sessions is checked. Default: the
    /// system's.
    pub fn time(mut self, time: Arc<dyn TimeProvider>) -> Self {
        self.time = time;
        self
    }

    /// Accepts every certificate, so that anybody on the path can pose as the server.
    ///
    /// For tests only. Its connections have no [`Identity`](super::Identity).
    pub fn dangerous_without_verification(mut self) -> Self {
        self.verify = false;
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError::NoRoots`] without trusted roots, unless verification is off;
    /// [`TlsConfigError::Rustls`] if the provider does not support the versions.
    pub fn build(self) -> Result<TlsConfig, TlsConfigError> {
        if self.verify && self.roots.is_empty() {
            return Err(TlsConfigError::NoRoots);
        }
        let roots = Arc::new(self.roots.clone());
        let tls = self.config_for(&roots, NamePolicy::Rfc5922, &self.alpn)?;
        let wss = self.config_for(&roots, NamePolicy::Rfc6125, &self.alpn_wss)?;
        Ok(TlsConfig::new().with_clients(tls, wss))
    }

    fn config_for(
        &self,
        roots: &Arc<RootCertStore>,
        default_names: NamePolicy,
        alpn: &[Vec<u8>],
    ) -> Result<RustlsConfig<ClientConfig>, TlsConfigError> {
        let names = self.names.unwrap_or(default_names);
        let verifier: Arc<dyn ServerCertVerifier> = if self.verify {
            Arc::new(SipServerVerifier::new(roots.clone(), &self.provider, names))
        } else {
            Arc::new(NoVerification {
                algorithms: self.provider.signature_verification_algorithms,
            })
        };
        let builder = ClientConfig::builder_with_details(self.provider.clone(), self.time.clone())
            .with_protocol_versions(self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(LocalCertificate(certificate)) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.clone()))),
        };
        config.alpn_protocols = alpn.to_vec();
        config.resumption = match self.sessions {
            0 => Resumption::disabled(),
            count => Resumption::in_memory_sessions(count),
        };
        Ok(RustlsConfig {
            config: Arc::new(config),
            names: self.verify.then_some(names),
        })
    }
}

pub(super) fn owned(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    protocols.iter().map(|protocol| protocol.to_vec()).collect()
}
