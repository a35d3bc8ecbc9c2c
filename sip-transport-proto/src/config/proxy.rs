use core::net::IpAddr;

use ipnet::IpNet;

use crate::setting::ConfigError;

/// Which load balancers are believed when they say who has connected, by the PROXY protocol
/// (versions 1 and 2).
///
/// A connection from one of them must begin with a header. The source that the header names is the
/// connection's remote end from then on: in `received` and `rport`, in events, in the index of
/// connections and for the limit per address, which it meets when the header has come. Where the
/// header names none (`LOCAL`, `UNKNOWN`), that stays the load balancer. Our own end stays as it is:
/// what others are to connect to can be [advertised](crate::ChannelConfig::advertised).
///
/// From all others a header is not read: anybody could claim to be anybody.
///
/// ```
/// use sip_transport_proto::{ChannelConfig, Protocol, ProxyProtocol};
///
/// let trusted = ProxyProtocol::trust(["192.0.2.0/28".parse()?, "2001:db8::/64".parse()?]);
/// let channel = ChannelConfig::new(Protocol::Tcp, "192.0.2.1:5060".parse()?).proxy_protocol(trusted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it is for a channel"]
#[derive(Clone, Debug)]
pub struct ProxyProtocol {
    trusted: Vec<IpNet>,
    pub(crate) max_header: usize,
    pub(crate) refuse_others: bool,
}

impl ProxyProtocol {
    /// Load balancers have these addresses.
    pub fn trust(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            trusted: networks.into_iter().collect(),
            max_header: 536,
            refuse_others: false,
        }
    }

    /// How long a header of version 2 may be, in bytes. Default: 536, which fit one segment of TCP
    /// on any path. One of version 1 may have 107.
    ///
    /// # Errors
    /// Less than the 52 bytes of one with IPv6 addresses is refused.
    pub fn max_header(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes < FIXED + IPV6 {
            return Err(ConfigError {
                setting: "max_header",
                expected: "52 or more",
            });
        }
        self.max_header = bytes;
        Ok(self)
    }

    /// Whether connections from elsewhere are closed at once; else they are taken for what they are.
    /// Default: no.
    pub fn refuse_others(mut self, refuse: bool) -> Self {
        self.refuse_others = refuse;
        self
    }

    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }
}

/// The fixed part of version 2, and its addresses for IPv6.
pub(crate) const FIXED: usize = 16;

pub(crate) const IPV6: usize = 36;
