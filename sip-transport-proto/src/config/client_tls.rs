//! The TLS configuration for opening connections, unless a send brings its own.

use super::{ChannelConfig, Config};
use crate::tls::TlsChoice;

impl Config {
    /// The configuration of the transport.
    pub(crate) fn client_tls(&self) -> TlsChoice {
        TlsChoice(self.tls.clone())
    }
}

impl ChannelConfig {
    /// The configuration of the channel if it has one, otherwise that of the transport.
    pub(crate) fn client_tls(&self, transport: &Config) -> TlsChoice {
        let own = self.tls.as_ref().filter(|tls| tls.is_client());
        TlsChoice(own.or(transport.tls.as_ref()).cloned())
    }
}
