//! The settings of the PROXY protocol.

use core::net::IpAddr;

use ipnet::IpNet;

use crate::setting::ConfigError;

/// The load balancers that are trusted to report the client's address by the PROXY protocol
/// (versions 1 and 2).
///
/// A connection from one of them must begin with a PROXY header. The source address in the header
/// then is the connection's remote address: in `received` and `rport`, in events, in the index of
/// connections, and for the limit per address, which is checked when the header has arrived. If the
/// header names no source (`LOCAL`, `UNKNOWN`), the remote address remains the load balancer's. The
/// local address does not change: the one that others are to connect to can be
/// [advertised](crate::ChannelConfig::advertised).
///
/// A header from anybody else is not read, as it could claim any source.
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
    refuse_others: bool,
}

impl ProxyProtocol {
    /// Trusts the load balancers at these addresses.
    pub fn trust(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            trusted: networks.into_iter().collect(),
            max_header: 536,
            refuse_others: false,
        }
    }

    /// Sets the longest header of version 2, in bytes. Default: 536, which fit one TCP segment on
    /// any path. A header of version 1 may have 107 bytes.
    ///
    /// # Errors
    /// Less than the 52 bytes of a header with IPv6 addresses is refused.
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

    /// Refuses connections from elsewhere, which otherwise are accepted as direct connections.
    /// Default: no.
    pub fn refuse_others(mut self, refuse: bool) -> Self {
        self.refuse_others = refuse;
        self
    }

    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }

    pub(crate) fn refuses(&self, ip: IpAddr) -> bool {
        self.refuse_others && !self.trusts(ip)
    }
}

/// The length of the fixed part of a version 2 header.
pub(crate) const FIXED: usize = 16;

/// The length of its addresses for IPv6.
pub(crate) const IPV6: usize = 36;
