//! The host and port that a channel puts into headers in place of its bound address.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use std::sync::Arc;

use sip_core::{Host, HostPort, ValueError};

use crate::resolve::Family;

/// The name or address, with an optional port, at which others reach a channel. It is written into
/// Via, Contact and Record-Route in place of the bound address; without a port it means the default
/// port of the protocol.
///
/// ```
/// use sip_transport_proto::{Advertised, ChannelConfig, Protocol};
///
/// let name: Advertised = "sip.example.com:5080".parse()?;
/// let channel = ChannelConfig::new(Protocol::Udp, "192.0.2.1:5060".parse()?).advertised(name);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advertised {
    pub(crate) host: HostText,
    pub(crate) port: Option<u16>,
}

impl Advertised {
    pub(crate) fn host_port(&self) -> HostPort<'_> {
        HostPort::new(self.host.as_host(), self.port)
    }
}

impl FromStr for Advertised {
    type Err = ValueError;

    /// Parses `host` or `host:port`; an IPv6 address must be in brackets.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let read = HostPort::try_from(text)?;
        Ok(Self {
            host: read.host().into(),
            port: read.port(),
        })
    }
}

/// An address such as [`Event::MappedAddress`](crate::Event::MappedAddress) reports.
impl From<SocketAddr> for Advertised {
    fn from(addr: SocketAddr) -> Self {
        Self {
            host: HostText::Ip(addr.ip().to_canonical()),
            port: Some(addr.port()),
        }
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host_port().fmt(f)
    }
}

/// The hosts that a channel advertises to peers of each address family.
#[derive(Clone, Debug, Default)]
pub(crate) struct PerFamily {
    v4: Option<Advertised>,
    v6: Option<Advertised>,
}

impl PerFamily {
    pub(crate) fn both(advertised: Advertised) -> Self {
        Self {
            v4: Some(advertised.clone()),
            v6: Some(advertised),
        }
    }

    /// The host advertised to a peer at this address.
    pub(crate) fn towards(&self, peer: IpAddr) -> Option<&Advertised> {
        self.get(Family::of(peer))
    }

    pub(crate) fn get(&self, family: Family) -> Option<&Advertised> {
        match family {
            Family::Ipv4 => self.v4.as_ref(),
            Family::Ipv6 => self.v6.as_ref(),
        }
    }

    pub(crate) fn set(&mut self, family: Family, advertised: Option<Advertised>) {
        match family {
            Family::Ipv4 => self.v4 = advertised,
            Family::Ipv6 => self.v6 = advertised,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Advertised> {
        self.v4.iter().chain(&self.v6)
    }
}

/// An owned host, which outlives the message it was read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum HostText {
    Ip(IpAddr),
    Name(Arc<str>),
}

impl HostText {
    pub(crate) fn as_host(&self) -> Host<'_> {
        match self {
            Self::Ip(ip) => Host::from(*ip),
            Self::Name(name) => Host::Name(name),
        }
    }
}

impl From<Host<'_>> for HostText {
    fn from(host: Host<'_>) -> Self {
        match host {
            Host::Name(name) => Self::Name(name.into()),
            host => host.ip().map_or_else(|| Self::Name("".into()), Self::Ip),
        }
    }
}

impl fmt::Display for HostText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_host().fmt(f)
    }
}
