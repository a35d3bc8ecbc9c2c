use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::client::owned;
use super::{ServerCertificates, TlsConfig, TlsConfigError};

/// Builds the server's side of a [`TlsConfig`].
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
    /// Uses this provider's cryptography and shows these certificates: one
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

    /// Asks clients for a certificate that leads to one of these roots (mutual TLS), and lets
    /// nobody in without. If nothing is said, clients are asked for none.
    pub fn client_certificate_required(mut self, roots: RootCertStore) -> Self {
        self.clients = Some((roots, true));
        self
    }

    /// The same, and lets clients in that have none: those have no identity (RFC 5922 §7.4).
    /// One that is given must be good.
    pub fn client_certificate_optional(mut self, roots: RootCertStore) -> Self {
        self.clients = Some((roots, false));
        self
    }

    /// Knows these application protocols over TLS (ALPN, RFC 7301), best first: `sip/2` is the one
    /// registered for SIP. If not said, whatever a client offers is passed over. If said, a client
    /// that offers only others is refused, and one that offers none is not.
    pub fn alpn(mut self, protocols: &[&[u8]]) -> Self {
        self.alpn = owned(protocols);
        self
    }

    /// The same for secure WebSocket, where it would be `http/1.1`.
    pub fn alpn_wss(mut self, protocols: &[&[u8]]) -> Self {
        self.alpn_wss = owned(protocols);
        self
    }

    /// Speaks these versions of TLS only. Both 1.2 and 1.3 if not said; there are no others.
    pub fn versions(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// How many sessions are kept for resumption, together for TLS and secure WebSocket: 4,096 if
    /// not said, 0 for none. Under a kilobyte each, more with a client's certificate in it; a
    /// client may take several.
    pub fn sessions(mut self, count: usize) -> Self {
        self.sessions = count;
        self
    }

    /// Gives sessions to the clients to keep, as tickets that only this can read: nothing is kept
    /// here then. A provider of cryptography has such a ticketer. Never share one between servers
    /// that ask for different client certificates: a session counts as a certificate shown.
    pub fn tickets(mut self, tickets: Arc<dyn ProducesTickets>) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// The clock by which certificates and sessions are valid; the system's if not said.
    pub fn time(mut self, time: Arc<dyn TimeProvider>) -> Self {
        self.time = time;
        self
    }

    /// Makes the configuration.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError::Verifier`] if clients are to have certificates and there are no roots;
    /// [`TlsConfigError::Rustls`] if the provider cannot do the versions.
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
