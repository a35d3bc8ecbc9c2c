//! The question that a next hop's URI asks, and the capabilities for sending.

use core::net::IpAddr;

use sip_core::Host;
use sip_core::uri::SipUri;

use super::{DomainName, Family, PlanError};
use crate::protocol::Protocol;
use crate::tls::TlsName;

/// The TARGET of RFC 3263 §4: the `maddr` of a URI, or else its host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum TargetHost {
    /// An address.
    Ip(IpAddr),
    /// A name.
    Name(DomainName),
}

/// The facts of a next hop's URI that determine its targets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    pub(super) host: TargetHost,
    pub(super) port: Option<u16>,
    pub(super) transport: Option<Protocol>,
    pub(super) secure: bool,
    /// The name that a server must prove, if it is not the host.
    name: Option<TlsName>,
}

impl Question {
    /// A question about a host, with the port and the transport if they are given.
    ///
    /// With `secure` only protected transports are used, as for `sips` (RFC 3261 §26.2.2):
    /// `transport=tcp` then means TLS, and `ws` means WSS (RFC 7118 §9.2).
    ///
    /// # Errors
    /// The host is not a domain name, the port is 0, or the transport cannot be protected.
    pub fn new(
        host: Host<'_>,
        port: Option<u16>,
        transport: Option<Protocol>,
        secure: bool,
    ) -> Result<Self, PlanError> {
        if port == Some(0) {
            return Err(PlanError::PortZero);
        }
        let host = match host {
            Host::Name(name) => match DomainName::new(name) {
                Some(name) => TargetHost::Name(name),
                None => return Err(PlanError::NotAName(name.to_owned())),
            },
            Host::V4(ip) => TargetHost::Ip(ip.into()),
            Host::V6(ip) => TargetHost::Ip(IpAddr::from(ip).to_canonical()),
        };
        let transport = match transport {
            Some(Protocol::Udp) if secure => return Err(PlanError::Insecure(Protocol::Udp)),
            Some(Protocol::Tcp) if secure => Some(Protocol::Tls),
            Some(Protocol::Ws) if secure => Some(Protocol::Wss),
            other => other,
        };
        Ok(Self {
            host,
            port,
            transport,
            secure,
            name: None,
        })
    }

    /// Sets the name that a server's certificate must have, if it is not the host that is looked
    /// up: the domain of a URI with `maddr` (RFC 5922 §7.3).
    #[must_use]
    pub fn name(mut self, name: TlsName) -> Self {
        self.name = Some(name);
        self
    }

    pub(super) fn tls_name(&self) -> Option<TlsName> {
        self.name.clone().or_else(|| match &self.host {
            TargetHost::Ip(ip) => Some((*ip).into()),
            TargetHost::Name(name) => TlsName::new(name.as_str()).ok(),
        })
    }

    /// The question that a URI asks: `maddr` takes precedence over the host (RFC 3263 §4).
    ///
    /// # Errors
    /// The transport is unknown, or as for [`new`](Self::new).
    pub fn from_uri(uri: &SipUri<'_>) -> Result<Self, PlanError> {
        let transport = match uri.transport() {
            None => None,
            Some(token) => Some(
                Protocol::from_token(token)
                    .ok_or_else(|| PlanError::UnknownTransport(token.to_owned()))?,
            ),
        };
        let host = uri.maddr().unwrap_or_else(|| uri.host());
        Self::new(host, uri.port(), transport, uri.is_secure())
    }
}

/// The protocols that can be sent on, each with the address families that it reaches.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    v4: u8,
    v6: u8,
}

impl Capabilities {
    /// No protocol.
    pub const NONE: Self = Self { v4: 0, v6: 0 };
    /// Every protocol over both families.
    pub const ALL: Self = Self { v4: 0x1F, v6: 0x1F };

    /// Adds a protocol over one family.
    #[must_use]
    pub const fn with(mut self, protocol: Protocol, family: Family) -> Self {
        match family {
            Family::Ipv4 => self.v4 |= 1 << protocol as u8,
            Family::Ipv6 => self.v6 |= 1 << protocol as u8,
        }
        self
    }

    /// Returns true if the protocol is available over that family.
    pub const fn has(self, protocol: Protocol, family: Family) -> bool {
        let set = match family {
            Family::Ipv4 => self.v4,
            Family::Ipv6 => self.v6,
        };
        set & (1 << protocol as u8) != 0
    }

    /// Returns true if the protocol is available over any family.
    pub const fn carries(self, protocol: Protocol) -> bool {
        self.has(protocol, Family::Ipv4) || self.has(protocol, Family::Ipv6)
    }
}
