//! TLS configurations of a client, a server, or both.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;

use super::NamePolicy;
use crate::protocol::Protocol;

/// The TLS configuration of a client, a server, or both. Cheap to clone.
///
/// [`TlsClient`] and [`TlsServer`] build it from roots and certificates, by the rules of SIP;
/// [`and`](Self::and) combines a client's and a server's. Alternatively, it can be made from a
/// `rustls` configuration of your own, whose verifier then decides; the peer's identity is read
/// from the certificate that the verifier accepted.
///
/// TLS 1.2 and 1.3 only (RFC 8996), with the AEAD suites of the provider (RFC 9325), not the one
/// that RFC 3261 §26.2.1 requires; never early data, which could be replayed.
///
/// [`TlsClient`]: super::TlsClient
/// [`TlsServer`]: super::TlsServer
///
/// ```no_run
/// use std::sync::Arc;
/// use sip_transport_proto::tls::{LocalCertificate, TlsClient, TlsServer, roots_from_pem, rustls};
///
/// let provider = Arc::new(rustls::crypto::ring::default_provider());
/// let certificate = LocalCertificate::from_pem(
///     &provider,
///     &std::fs::read("example.com.pem")?,
///     &std::fs::read("example.com.key")?,
/// )?;
/// let roots = roots_from_pem(&std::fs::read("ca.pem")?)?;
/// let client = TlsClient::new(provider.clone()).roots(roots).build()?;
/// let tls = client.and(TlsServer::new(provider, certificate).build()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it is for a channel, a send or a transport"]
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    client: Option<PerProtocol<ClientConfig>>,
    server: Option<PerProtocol<ServerConfig>>,
}

/// A configuration for TLS and one for secure WebSocket.
#[derive(Debug)]
struct PerProtocol<C> {
    tls: RustlsConfig<C>,
    wss: RustlsConfig<C>,
}

/// A configuration of rustls, with the policy for the names in the peer's certificate.
#[derive(Debug)]
pub(super) struct RustlsConfig<C> {
    pub(super) config: Arc<C>,
    /// The policy; `None` if the peer's certificate proves nothing.
    pub(super) names: Option<NamePolicy>,
}

impl TlsConfig {
    /// An empty configuration, which neither connects nor accepts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a client configuration of your own, for TLS and secure WebSocket.
    ///
    /// The peer's identity is read from its certificate by [`NamePolicy::Rfc5922`], over secure
    /// WebSocket by [`NamePolicy::Rfc6125`], and determines which connections are reused: so the
    /// verifier must really verify. If it accepts other names, connections work but are not reused.
    pub fn with_client(mut self, config: Arc<ClientConfig>) -> Self {
        self.client = Some(PerProtocol {
            tls: RustlsConfig {
                config: config.clone(),
                names: Some(NamePolicy::Rfc5922),
            },
            wss: RustlsConfig {
                config,
                names: Some(NamePolicy::Rfc6125),
            },
        });
        self
    }

    /// Sets a server configuration of your own, for TLS and secure WebSocket.
    ///
    /// If it asks for client certificates, its verifier must really verify them.
    pub fn with_server(self, config: Arc<ServerConfig>) -> Self {
        self.with_servers(config.clone(), config)
    }

    /// Combines two configurations: the other's client and server, if it has them, take precedence.
    pub fn and(self, other: Self) -> Self {
        Self {
            client: other.client.or(self.client),
            server: other.server.or(self.server),
        }
    }

    /// Returns true if it can connect.
    pub fn is_client(&self) -> bool {
        self.client.is_some()
    }

    /// Returns true if it can accept.
    pub fn is_server(&self) -> bool {
        self.server.is_some()
    }

    /// Returns true if both connect with the identical configuration.
    pub(super) fn connects_as(&self, other: &Self) -> bool {
        match (&self.client, &other.client) {
            (None, None) => true,
            (Some(one), Some(other)) => one.tls.same_as(&other.tls) && one.wss.same_as(&other.wss),
            _ => false,
        }
    }

    pub(super) fn with_clients(
        mut self,
        tls: RustlsConfig<ClientConfig>,
        wss: RustlsConfig<ClientConfig>,
    ) -> Self {
        self.client = Some(PerProtocol { tls, wss });
        self
    }

    pub(super) fn with_servers(mut self, tls: Arc<ServerConfig>, wss: Arc<ServerConfig>) -> Self {
        // RFC 5922 §7.4: a client's certificate is read as a server's is, whatever the verifier
        // accepts.
        let with_names = |config| RustlsConfig {
            config,
            names: Some(NamePolicy::Rfc5922),
        };
        self.server = Some(PerProtocol {
            tls: with_names(tls),
            wss: with_names(wss),
        });
        self
    }

    pub(super) fn client(&self, protocol: Protocol) -> Option<&RustlsConfig<ClientConfig>> {
        self.client.as_ref().map(|configs| configs.of(protocol))
    }

    pub(super) fn server(&self, protocol: Protocol) -> Option<&RustlsConfig<ServerConfig>> {
        self.server.as_ref().map(|configs| configs.of(protocol))
    }
}

impl<C> PerProtocol<C> {
    fn of(&self, protocol: Protocol) -> &RustlsConfig<C> {
        match protocol {
            Protocol::Ws | Protocol::Wss => &self.wss,
            Protocol::Udp | Protocol::Tcp | Protocol::Tls => &self.tls,
        }
    }
}

impl<C> Clone for PerProtocol<C> {
    fn clone(&self) -> Self {
        Self {
            tls: self.tls.clone(),
            wss: self.wss.clone(),
        }
    }
}

impl<C> RustlsConfig<C> {
    fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.names == other.names
    }
}

impl<C> Clone for RustlsConfig<C> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            names: self.names,
        }
    }
}

/// The error of building a TLS configuration.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A client has no trusted root, and so could verify nobody.
    #[error("no root certificate to trust")]
    NoRoots,
    /// A server has no certificate, and so could prove itself to nobody.
    #[error("no certificate to present")]
    NoCertificate,
    /// The PEM text lacks this part, or holds it malformed.
    #[error("the PEM text does not contain {0}, or it is malformed")]
    Pem(&'static str),
    /// The revocation lists or roots for the clients' certificates cannot be used.
    #[error("client certificates cannot be verified: {0}")]
    Verifier(String),
    /// An error of rustls: a key that does not match its certificate, a malformed root, a provider
    /// without suites for TLS 1.2 or 1.3.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}
