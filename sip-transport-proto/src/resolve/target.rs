use core::fmt;
use core::net::SocketAddr;
use std::io;

use thiserror::Error;

use super::records::service_of;
use super::{DomainName, LookupKind};
use crate::protocol::Protocol;
use crate::tls::TlsName;

/// A place that a message can be sent to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The protocol.
    pub protocol: Protocol,
    /// The address and port.
    pub addr: SocketAddr,
    /// What the server's certificate must name, with TLS and WSS: the host of the URI, before DNS
    /// (RFC 5922 §4). Without it only a connection that is there will do.
    pub tls_name: Option<TlsName>,
    /// Whether connecting to it begins while the target before it in the list is still connecting
    /// (RFC 8305 §5): it is another address of the same server, which has some of both families,
    /// and a stream. Whichever is connected first carries the message, which never goes over both
    /// (RFC 7984 §3.2).
    pub races: bool,
    /// Why it is a target.
    pub reason: Reason,
}

impl Target {
    /// A target that was found without DNS.
    pub(crate) fn plain(
        protocol: Protocol,
        addr: SocketAddr,
        tls_name: Option<TlsName>,
        address: AddressRule,
    ) -> Self {
        Self {
            protocol,
            addr,
            tls_name: tls_name.filter(|_| protocol.is_secure()),
            races: false,
            reason: Reason {
                protocol: ProtocolRule::Given,
                srv: None,
                address,
                grey: false,
            },
        }
    }
}

impl Target {
    /// Makes it the same server over TCP, for a request that is too large for UDP
    /// (RFC 3261 §18.1.1). Who listens for UDP listens for TCP on the same port (§18.2.1).
    pub(crate) fn avoid_udp(&mut self) {
        let rule = core::mem::replace(&mut self.reason.protocol, ProtocolRule::Given);
        self.reason.protocol = ProtocolRule::Size(Box::new(rule));
        self.protocol = Protocol::Tcp;
    }

    /// Makes it what it was before [`avoid_udp`](Self::avoid_udp). False if it was nothing else.
    pub(crate) fn back_to_udp(&mut self) -> bool {
        let ProtocolRule::Size(rule) = &mut self.reason.protocol else {
            return false;
        };
        self.reason.protocol = core::mem::replace(&mut **rule, ProtocolRule::Given);
        self.protocol = Protocol::Udp;
        true
    }
}

/// The rules and records that gave a target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// What decided on the protocol.
    pub protocol: ProtocolRule,
    /// The SRV record that named the server.
    pub srv: Option<SrvChoice>,
    /// Where the address came from.
    pub address: AddressRule,
    /// It failed lately, and so comes after the others.
    pub grey: bool,
}

/// What decided on a target's protocol (RFC 3263 §4.1).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProtocolRule {
    /// The `transport` parameter, or what the caller asked for.
    Given,
    /// A NAPTR record.
    Naptr {
        /// Its order.
        order: u16,
        /// Its preference.
        preference: u16,
    },
    /// There are SRV records for it, and no NAPTR records.
    Srv,
    /// The request is too large for UDP, which this rule had chosen (RFC 3261 §18.1.1).
    Size(Box<Self>),
    /// Nothing else: the first of the configured order.
    Default,
}

/// The SRV record of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SrvChoice {
    /// The name that was looked up.
    pub name: DomainName,
    /// The record's priority.
    pub priority: u16,
    /// The record's weight.
    pub weight: u16,
}

/// Where a target's address came from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressRule {
    /// The caller gave the destination.
    Given,
    /// It is the far end of a connection that was asked for by hint, or that a response goes back
    /// over.
    Connection,
    /// It is where the request of a response came from (RFC 3261 §18.2.2).
    Source,
    /// It is what the top Via of a response says (RFC 3261 §18.2.2, RFC 3581 §4).
    Via,
    /// The URI has an address.
    Numeric,
    /// `localhost` (RFC 6761 §6.3).
    Loopback,
    /// An A or AAAA record.
    Record {
        /// Which.
        kind: LookupKind,
        /// Of this name.
        host: DomainName,
    },
}

/// Such as `tls:192.0.2.1:5061 for example.com (NAPTR 50 50 SIPS+D2T; SRV …; A …)`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol, self.addr)?;
        if let Some(name) = &self.tls_name {
            write!(f, " for {name}")?;
        }
        let Reason {
            protocol,
            srv,
            address,
            grey,
        } = &self.reason;
        match protocol {
            ProtocolRule::Given => f.write_str(" (given"),
            ProtocolRule::Naptr { order, preference } => {
                let service = service_of(self.protocol);
                write!(f, " (NAPTR {order} {preference} {service}")
            }
            ProtocolRule::Srv => f.write_str(" (no NAPTR"),
            ProtocolRule::Size(_) => f.write_str(" (too large for UDP"),
            ProtocolRule::Default => f.write_str(" (default"),
        }?;
        if let Some(SrvChoice {
            name,
            priority,
            weight,
        }) = srv
        {
            write!(f, "; SRV {name} {priority} {weight}")?;
        }
        match address {
            AddressRule::Given => f.write_str("; given"),
            AddressRule::Connection => f.write_str("; connection"),
            AddressRule::Source => f.write_str("; source of the request"),
            AddressRule::Via => f.write_str("; Via"),
            AddressRule::Numeric => f.write_str("; numeric"),
            AddressRule::Loopback => f.write_str("; localhost"),
            AddressRule::Record { kind, host } => write!(f, "; {kind} {host}"),
        }?;
        f.write_str(if *grey { "; failed lately)" } else { ")" })
    }
}

/// Why there is nowhere to send to.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// The host cannot be a domain name.
    #[error("{0:?} is no domain name")]
    NotAName(String),
    /// The URI has port 0.
    #[error("port 0 cannot be sent to")]
    PortZero,
    /// The URI asks for a transport that is not known.
    #[error("transport {0} is not supported")]
    UnknownTransport(String),
    /// `sips` over a transport that cannot protect it (RFC 3261 §26.2.2).
    #[error("sips cannot go over {0}")]
    Insecure(Protocol),
    /// The protocol that it takes cannot be sent on, at all or over that address family.
    #[error("nothing here sends over {0}")]
    CannotSend(Protocol),
    /// A lookup failed, and no other led to a target.
    #[error("DNS lookup of {kind} {name}: {}", LookupError(*error))]
    Lookup {
        /// What was asked for.
        kind: LookupKind,
        /// The name.
        name: DomainName,
        /// What the lookup said; `TimedOut` where no answer came.
        error: io::ErrorKind,
    },
    /// The domain has SRV records, and none that leads to a target: the service is not offered
    /// (RFC 2782), or not to us.
    #[error("DNS has no service of {0} that can be reached")]
    NotOffered(DomainName),
    /// The name has no address, or none of a family that can be sent to.
    #[error("DNS has no address of {0} that can be reached")]
    NoAddress(DomainName),
    /// There is no such name.
    #[error("DNS knows no {0} (NXDOMAIN)")]
    NoSuchName(DomainName),
}

/// What a lookup failed of, in words.
struct LookupError(io::ErrorKind);

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            io::ErrorKind::TimedOut => f.write_str("no name server answered in time"),
            io::ErrorKind::Other => f.write_str("the name server failed"),
            error => error.fmt(f),
        }
    }
}
