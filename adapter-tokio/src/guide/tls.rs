//! TLS, secure WebSocket, and certificates that are replaced while running.
//!
//! The protocol is rustls; the cryptography comes from a provider of your choice, which has to be
//! among your dependencies:
//!
//! ```toml
//! [dependencies]
//! adapter-tokio = "0.1"
//! rustls = { version = "0.23", default-features = false, features = ["ring", "std", "tls12"] }
//! ```
//!
//! # A server
//!
//! ```no_run
//! use std::fs::read;
//! use std::sync::Arc;
//! use adapter_tokio::tls::rustls::crypto::ring;
//! use adapter_tokio::tls::{LocalCertificate, ServerCertificates, TlsServer};
//! use adapter_tokio::SipTransport;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Arc::new(ring::default_provider());
//! let load = || -> Result<_, Box<dyn std::error::Error>> {
//!     Ok(LocalCertificate::from_pem(&provider, &read("chain.pem")?, &read("key.pem")?)?)
//! };
//! let certificates = ServerCertificates::from(load()?);
//! let tls = TlsServer::new(provider.clone(), certificates.clone()).build()?;
//! let (transport, incoming) = SipTransport::builder()
//!     .tls("0.0.0.0:5061".parse()?, tls.clone())
//!     .wss("0.0.0.0:443".parse()?, tls)
//!     .bind()
//!     .await?;
//!
//! // Later, with a new certificate: the next handshake uses it, connections stay open.
//! certificates.replace([load()?])?;
//! # Ok(())
//! # }
//! ```
//!
//! Of several certificates, one is chosen by the name that the client asks for (SNI). If a file
//! cannot be read, `replace` is not called, or fails and changes nothing: the old ones stay.
//!
//! A client that resumes a session checks no certificate. After a key was stolen, build a new
//! [`TlsServer`](crate::tls::TlsServer) and replace the old channel by one with it.
//!
//! # A client
//!
//! ```no_run
//! use std::fs::read;
//! use std::sync::Arc;
//! use adapter_tokio::tls::rustls::crypto::ring;
//! use adapter_tokio::tls::{TlsClient, roots_from_pem};
//! use adapter_tokio::{Config, SipTransport};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let roots = roots_from_pem(&read("roots.pem")?)?;
//! let mut config = Config::default();
//! config.tls(TlsClient::new(Arc::new(ring::default_provider())).roots(roots).build()?);
//! let (transport, incoming) = SipTransport::builder().config(config).bind().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The server has to prove the host of the URI that the message is for, not a name that DNS derives
//! from it (RFC 5922 §4). Over TLS the names of its certificate are matched by RFC 5922, over
//! secure WebSocket by RFC 6125. A connection is reused only for a name that its peer has proved,
//! and under the same configuration.
//!
//! The identity that a peer has proved is in
//! [`Event::ConnectionOpened`](crate::Event::ConnectionOpened) and in
//! [`SipTransport::connection`](adapter_core::SipTransport::connection). For mutual TLS a server
//! calls [`client_certificate_required`](crate::tls::TlsServer::client_certificate_required), a
//! client [`certificate`](crate::tls::TlsClient::certificate).
//!
//! # Both
//!
//! A proxy is both on one channel: `server.and(client)`. A send may use a configuration of its own
//! ([`SendBuilder::tls`](crate::SendBuilder::tls)), as for a trunk with its own roots; it shares
//! connections only with sends that use the same one.
