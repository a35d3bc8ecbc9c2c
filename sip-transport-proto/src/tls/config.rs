use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use thiserror::Error;

use super::NamePolicy;
use crate::protocol::Protocol;

/// How TLS is done: as a client, as a server, or both. A cheap handle.
///
/// [`TlsClient`] and [`TlsServer`] build it from roots and certificates, with the rules of SIP;
/// [`and`](Self::and) puts a client's and a server's together. A `rustls` configuration of your own
/// can be given instead: its own verifier decides then, and the peer's identity is read from
/// whatever certificate that lets pass.
///
/// TLS 1.2 and 1.3 only (RFC 8996), with the AEAD suites of the provider (RFC 9325), not the one
/// that RFC 3261 §26.2.1 asks for; never early data, which could be replayed.
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
    client: Option<Sides<ClientConfig>>,
    server: Option<Sides<ServerConfig>>,
}

/// A configuration for each of the protocols.
#[derive(Debug)]
struct Sides<C> {
    tls: Side<C>,
    wss: Side<C>,
}

/// A configuration, and how the certificate of the peer is read.
#[derive(Debug)]
pub(super) struct Side<C> {
    pub(super) config: Arc<C>,
    /// `None` if whatever the peer shows proves nothing.
    pub(super) names: Option<NamePolicy>,
}

impl TlsConfig {
    /// Nothing yet: neither connects nor accepts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects by a configuration of your own, over TLS and over secure WebSocket.
    ///
    /// The peer's identity is read from its certificate by [`NamePolicy::Rfc5922`], over secure
    /// WebSocket by [`NamePolicy::Rfc6125`], and connections are reused by it: so its verifier must
    /// be one that verifies. If the names that it accepts are other ones, connections work but are
    /// not reused.
    pub fn with_client(mut self, config: Arc<ClientConfig>) -> Self {
        self.client = Some(Sides {
            tls: Side {
                config: config.clone(),
                names: Some(NamePolicy::Rfc5922),
            },
            wss: Side {
                config,
                names: Some(NamePolicy::Rfc6125),
            },
        });
        self
    }

    /// Accepts by a configuration of your own, over TLS and over secure WebSocket.
    ///
    /// If it asks for client certificates, its verifier must be one that verifies them.
    pub fn with_server(self, config: Arc<ServerConfig>) -> Self {
        self.with_servers(config.clone(), config)
    }

    /// Takes the other's client and server, where it has them, in the place of these.
    pub fn and(self, other: Self) -> Self {
        Self {
            client: other.client.or(self.client),
            server: other.server.or(self.server),
        }
    }

    /// Whether it can connect.
    pub fn is_client(&self) -> bool {
        self.client.is_some()
    }

    /// Whether it can accept.
    pub fn is_server(&self) -> bool {
        self.server.is_some()
    }

    /// Whether both connect by the very same configuration.
    pub(super) fn connects_as(&self, other: &Self) -> bool {
        match (&self.client, &other.client) {
            (None, None) => true,
            (Some(one), Some(other)) => one.tls.is(&other.tls) && one.wss.is(&other.wss),
            _ => false,
        }
    }

    pub(super) fn with_clients(mut self, tls: Side<ClientConfig>, wss: Side<ClientConfig>) -> Self {
        self.client = Some(Sides { tls, wss });
        self
    }

    pub(super) fn with_servers(mut self, tls: Arc<ServerConfig>, wss: Arc<ServerConfig>) -> Self {
        // RFC 5922 §7.4: what a client's certificate says is read as a server's is, whatever it is
        // that is accepted.
        let side = |config| Side {
            config,
            names: Some(NamePolicy::Rfc5922),
        };
        self.server = Some(Sides {
            tls: side(tls),
            wss: side(wss),
        });
        self
    }

    pub(super) fn client(&self, protocol: Protocol) -> Option<&Side<ClientConfig>> {
        self.client.as_ref().map(|sides| sides.of(protocol))
    }

    pub(super) fn server(&self, protocol: Protocol) -> Option<&Side<ServerConfig>> {
        self.server.as_ref().map(|sides| sides.of(protocol))
    }
}

impl<C> Sides<C> {
    fn of(&self, protocol: Protocol) -> &Side<C> {
        match protocol {
            Protocol::Ws | Protocol::Wss => &self.wss,
            Protocol::Udp | Protocol::Tcp | Protocol::Tls => &self.tls,
        }
    }
}

impl<C> Clone for Sides<C> {
    fn clone(&self) -> Self {
        Self {
            tls: self.tls.clone(),
            wss: self.wss.clone(),
        }
    }
}

impl<C> Side<C> {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.names == other.names
    }
}

impl<C> Clone for Side<C> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            names: self.names,
        }
    }
}

/// Why a TLS configuration could not be made.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A client without a root to trust could verify nobody.
    #[error("no root certificate to trust")]
    NoRoots,
    /// A server without a certificate can prove itself to nobody.
    #[error("no certificate to show")]
    NoCertificate,
    /// The PEM text does not hold this, or holds it malformed.
    #[error("the PEM text does not hold {0} that can be read")]
    Pem(&'static str),
    /// The revocation lists or roots for the clients' certificates cannot be used.
    #[error("client certificates cannot be verified: {0}")]
    Verifier(String),
    /// What rustls does not take: a key that does not fit its certificate, a malformed root, a
    /// provider without the suites for TLS 1.2 or 1.3.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}
