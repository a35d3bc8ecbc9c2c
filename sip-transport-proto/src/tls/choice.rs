#[cfg(feature = "tls")]
use super::TlsConfig;

/// The TLS configuration that a send asks for, if it does.
///
/// A connection is for those sends only that ask for the one that it was made under.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsChoice(#[cfg(feature = "tls")] pub(crate) Option<TlsConfig>);

impl TlsChoice {
    /// Whether connections made under the one are good for the other: the configuration is the same,
    /// not only alike.
    #[cfg(feature = "tls")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => one.connects_as(other),
            _ => false,
        }
    }

    /// There is none to choose.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn is(&self, _: &Self) -> bool {
        true
    }
}
