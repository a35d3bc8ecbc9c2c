use super::TlsConfig;

/// A TLS configuration to connect under, where there is one. A connection is for those messages only
/// that would open one under the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsChoice(pub(crate) Option<TlsConfig>);

impl TlsChoice {
    /// Whether there is one.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The one, if it can connect.
    pub(crate) fn client(&self) -> Option<&TlsConfig> {
        self.0.as_ref().filter(|tls| tls.is_client())
    }

    /// Whether connections made under the one are good for the other: the configuration is the same,
    /// not only alike.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => one.connects_as(other),
            _ => false,
        }
    }
}
