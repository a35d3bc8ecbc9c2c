//! The unit among which connection limits are shared: an IPv4 address or an IPv6 /64.

use core::net::{IpAddr, Ipv4Addr};

use crate::config::Config;

/// A party, whose connections count together towards a limit: an IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Party {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

impl From<IpAddr> for Party {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self::V4(v4),
            IpAddr::V6(v6) => {
                let [prefix @ .., _, _, _, _, _, _, _, _] = v6.octets();
                Self::V6(prefix)
            }
        }
    }
}

impl Config {
    /// The party of a connection from `ip`; `None` if the address is exempt.
    pub(crate) fn party(&self, ip: IpAddr) -> Option<Party> {
        (!self.is_exempt(ip)).then(|| ip.into())
    }
}
