//! Server configurations.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::client::owned;
use super::{ServerCertificates, TlsConfig, TlsConfigError};

/// A builder of the server side of a [`TlsConfig`].
#[must_use = "a builder does nothing until it builds"]
#[derive(Clone, Debug)]
pub struct TlsServer {
    provider: Arc<CryptoProvider>,
    certificates: ServerCertificates,
    clients: Option<(RootCertStore, bool)>,
    alpn: Vec<Vec<u8>>,
    alpn_wss: Vec<Vec<u8>>,
    versions: &'static [&'static SupportedProtocolVersion],
    sessions: usize,
    tickets: Option<Arc<dyn ProducesTickets>>,
    time: Arc<dyn TimeProvider>,
}

impl TlsServer {
    /// A builder that uses this provider's cryptography and presents these certificates: one
    /// [`LocalCertificate`](super::LocalCertificate), or a set that can be replaced later.
    pub fn new(provider: Arc<CryptoProvider>, certificates: impl Into<ServerCertificates>) -> Self {
        Self {
            provider,
            certificates: certificates.into(),
            clients: None,
            alpn: Vec::new(),
            alpn_wss: Vec::new(),
            versions: DEFAULT_VERSIONS,
            sessions: 4_096,
            tickets: None,
            time: Arc::new(DefaultTimeProvider),
        }
    }

    /// Requires clients to present a certificate that leads to one of these roots (mutual TLS).
    /// Default: clients are not asked for a certificate.
    pub fn client_certificate_required(mut self, roots: RootCertStore) -> Self {
        self.clients = Some((roots, true));
        self
    }

    /// Asks clients for a certificate, and also accepts clients without one: these have no identity
    /// (RFC 5922 §7.4). A certificate that is presented must be valid.
    pub fn client_certificate_optional(mut self, roots: RootCertStore) -> Self {
        self.clients = Some((roots, false));
        self
    }

    /// Supports these application protocols over TLS (ALPN, RFC 7301), in order of preference:
    /// `sip/2` is the one registered for SIP. By default, a client's offer is ignored. If set, a
    /// client that offers only others is refused, and one that offers none is accepted.
    pub fn alpn(mut self, protocols: &[&[u8]]) -> Self {
        self.alpn = owned(protocols);
        self
    }

    /// Supports these application protocols over secure WebSocket, where `http/1.1` would be usual.
    pub fn alpn_wss(mut self, protocols: &[&[u8]]) -> Self {
        self.alpn_wss = owned(protocols);
        self
    }

    /// Allows these versions of TLS only. Default: 1.2 and 1.3; there are no others.
    pub fn versions(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// Sets the number of sessions stored for resumption, for TLS and secure WebSocket together.
    /// Default: 4,096; 0 for none. Each takes less than a kilobyte, or more with a client's
    /// certificate; a client may have several.
    pub fn sessions(mut self, count: usize) -> Self {
        self.sessions = count;
        self
    }

    /// Stores sessions at the clients, as tickets that only this ticketer can decrypt; none are
    /// stored here then. A crypto provider has such a ticketer. Never share one between servers
    /// that ask for different client certificates: a session counts as a certificate presented.
    pub fn tickets(mut self, tickets: Arc<dyn ProducesTickets>) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Sets the clock by which the validity of certificates and sessions is checked. Default: the
    /// system's.
    pub fn time(mut self, time: Arc<dyn TimeProvider>) -> Self {
        self.time = time;
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError::Verifier`] if client certificates are asked for without roots;
    /// [`TlsConfigError::Rustls`] if the provider does not support the versions.
    pub fn build(self) -> Result<TlsConfig, TlsConfigError> {
        let builder = ServerConfig::builder_with_details(self.provider.clone(), self.time.clone())
            .with_protocol_versions(self.versions)?;
        let builder = match self.clients {
            None => builder.with_no_client_auth(),
            Some((roots, required)) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider);
                let verifier = match required {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(
                    verifier
                        .build()
                        .map_err(|error| TlsConfigError::Verifier(error.to_string()))?,
                )
            }
        };
        let mut tls = builder.with_cert_resolver(Arc::new(self.certificates));
        tls.session_storage = match self.sessions {
            0 => Arc::new(NoServerSessionStorage {}),
            count => ServerSessionMemoryCache::new(count),
        };
        if let Some(tickets) = self.tickets {
            tls.ticketer = tickets;
        }
        let mut wss = tls.clone();
        tls.alpn_protocols = self.alpn;
        wss.alpn_protocols = self.alpn_wss;
        Ok(TlsConfig::new().with_servers(Arc::new(tls), Arc::new(wss)))
    }
}
