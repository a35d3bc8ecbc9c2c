//! TLS for SIP (RFC 3261 §26, RFC 5922, RFC 9325): configuration, names, identities.
//!
//! A `TlsConfig` says how connections are protected; `TlsClient` and `TlsServer` build it.
//! A client verifies a server by `SipServerVerifier` unless a method named `dangerous_…` is
//! called. Whom a peer has proven to be is its [`Identity`]. `Tls` is one side of one
//! connection, bytes in and bytes out.
//!
//! The work is done by `rustls`, whose cryptography comes from a provider that the caller gives:
//! nothing here picks one. It has its own randomness and, unless told otherwise, its own clock:
//! what is on the wire differs from run to run, its length does not if keys are of Ed25519.
//!
//! Without the feature `tls` only the names, identities and errors are here.

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
