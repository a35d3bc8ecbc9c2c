//! The TLS configuration that connections of ours are opened under, unless a send brings its own.

use super::{ChannelConfig, Config};
use crate::tls::TlsChoice;

impl Config {
    /// The transport's.
    pub(crate) fn client_tls(&self) -> TlsChoice {
        TlsChoice(self.tls.clone())
    }
}

impl ChannelConfig {
    /// The channel's, else the transport's.
    pub(crate) fn client_tls(&self, transport: &Config) -> TlsChoice {
        let own = self.tls.as_ref().filter(|tls| tls.is_client());
        TlsChoice(own.or(transport.tls.as_ref()).cloned())
    }
}
