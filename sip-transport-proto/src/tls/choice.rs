//! The TLS configuration chosen for a connection.

use super::TlsConfig;

/// The TLS configuration to connect with, if there is one. A connection carries only messages that
/// would open one with the same configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsChoice(pub(crate) Option<TlsConfig>);

impl TlsChoice {
    /// Returns true if there is a configuration.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The configuration, if it has a client side.
    pub(crate) fn client(&self) -> Option<&TlsConfig> {
        self.0.as_ref().filter(|tls| tls.is_client())
    }

    /// Returns true if both connect with the same configuration, by identity, not by content.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => one.connects_as(other),
            _ => false,
        }
    }
}
