//! A HEP3 collector and how it is reached.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use sip_capture::SenderSettings;
use sip_capture::hep::Encoder;
use sip_transport_proto::Protocol;
#[cfg(feature = "tls")]
use sip_transport_proto::tls::TlsConfig;
use thiserror::Error;

/// A HEP3 collector: its address, and what its frames say of us.
///
/// ```
/// use adapter_core::capture::{Capture, Collector};
///
/// let collector: Collector = "tcp:homer.example.com:9060".parse()?;
/// let capture = Capture::from(collector.agent(2001).auth_key("secret"));
/// # Ok::<(), adapter_core::capture::CollectorError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Collector {
    pub(super) protocol: Protocol,
    pub(super) host: String,
    pub(super) port: u16,
    agent: u32,
    auth_key: Option<String>,
    settings: SenderSettings,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<TlsConfig>,
}

/// The reason that a collector's address is refused.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CollectorError {
    /// The text is no address.
    #[error(
        "expected a collector such as 192.0.2.9:9060, tcp:[2001:db8::9]:9060 or tls:homer.example.com:9061, got {0:?}"
    )]
    Address(String),
    /// A collector over TLS needs a configuration.
    #[error("a collector over TLS needs a TLS configuration: see Collector::tls")]
    NoTlsConfig,
}

impl Collector {
    /// A collector over UDP, TCP or TLS. Over other protocols there are none: UDP takes their place.
    pub fn new(protocol: Protocol, addr: SocketAddr) -> Self {
        Self::at(protocol, addr.ip().to_string(), addr.port())
    }

    fn at(protocol: Protocol, host: String, port: u16) -> Self {
        Self {
            protocol: match protocol {
                Protocol::Tcp | Protocol::Tls => protocol,
                _ => Protocol::Udp,
            },
            host,
            port,
            agent: 2001,
            auth_key: None,
            settings: SenderSettings::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Sets the id that frames name us by, which collectors call capture id. Default: 2001.
    pub fn agent(mut self, id: u32) -> Self {
        self.agent = id;
        self
    }

    /// Sets the key by which the collector knows its agents. It is sent in clear, except over TLS.
    pub fn auth_key(mut self, key: impl Into<String>) -> Self {
        self.auth_key = Some(key.into());
        self
    }

    /// Sets timeouts and waits. [`Capture::queue`](super::Capture::queue) sets the queue.
    pub fn settings(mut self, settings: SenderSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the TLS configuration. The collector must prove its name as the server of a secure
    /// WebSocket must (RFC 6125).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(super) fn lacks_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        let is_configured = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let is_configured = false;
        self.protocol == Protocol::Tls && !is_configured
    }

    pub(super) fn encoder(&self) -> Encoder {
        let encoder = Encoder::new(self.agent);
        match &self.auth_key {
            Some(key) => encoder.auth_key(key.as_bytes()),
            None => encoder,
        }
    }

    pub(super) fn sender_settings(&self, queue: usize) -> SenderSettings {
        let mut settings = self.settings;
        settings.queue = queue;
        settings
    }
}

impl FromStr for Collector {
    type Err = CollectorError;

    /// `HOST:PORT` for UDP, or with `udp:`, `tcp:` or `tls:` before it.
    fn from_str(text: &str) -> Result<Self, CollectorError> {
        let error = || CollectorError::Address(text.to_owned());
        let schemes = [
            ("udp:", Protocol::Udp),
            ("tcp:", Protocol::Tcp),
            ("tls:", Protocol::Tls),
        ];
        let named = schemes
            .into_iter()
            .find_map(|(scheme, protocol)| Some((protocol, text.strip_prefix(scheme)?)));
        let (protocol, address) = named.unwrap_or((Protocol::Udp, text));
        let (host, port) = address.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_host = match bracketed {
            Some(ip) => ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
            None => !host.is_empty() && !host.contains([':', '[', ']', '/', ' ']),
        };
        match is_host && port != 0 {
            true => Ok(Self::at(
                protocol,
                bracketed.unwrap_or(host).to_owned(),
                port,
            )),
            false => Err(error()),
        }
    }
}
