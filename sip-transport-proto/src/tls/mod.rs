//! TLS for SIP (RFC 3261 §26, RFC 5922, RFC 9325): configuration, names, identities.
//!
//! `TlsConfig` is the configuration; `TlsClient` and `TlsServer` build it. A client verifies a
//! server with `SipServerVerifier` unless a method named `dangerous_…` is called. The peer's proven
//! identity is an [`Identity`]. `Tls` is the state machine of one side of one connection, bytes in
//! and bytes out.
//!
//! The protocol is implemented by `rustls`, whose cryptography comes from a provider that the
//! caller supplies: nothing here chooses one. It has its own randomness and, unless configured
//! otherwise, its own clock: the bytes on the wire differ from run to run, their number does not if
//! keys are of Ed25519.
//!
//! Without the feature `tls` only names, identities and errors are available.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod certificate_names;
#[cfg(feature = "tls")]
mod certificates;
mod choice;
#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod config;
mod error;
mod identity;
#[cfg(feature = "tls")]
mod machine;
mod name;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod verifier;

pub use error::{CertificateProblem, TlsAlert, TlsError};
pub use identity::{Identity, NamePolicy};
pub use name::{TlsName, TlsNameError};

#[cfg(not(feature = "tls"))]
pub(crate) use absent::{Tls, TlsConfig};
pub(crate) use choice::TlsChoice;

#[cfg(feature = "tls")]
pub use self::{
    certificates::{LocalCertificate, ServerCertificates, roots_from_pem},
    client::TlsClient,
    config::{TlsConfig, TlsConfigError},
    machine::Tls,
    server::TlsServer,
    verifier::SipServerVerifier,
};
#[cfg(feature = "tls")]
pub use rustls;
