//! Targets to send to, each with the reason for its selection, and the errors of plans.

use core::fmt;
use core::net::SocketAddr;
use std::io;

use thiserror::Error;

use super::records::service_of;
use super::{DomainName, LookupKind};
use crate::protocol::Protocol;
use crate::tls::TlsName;

/// A destination that a message can be sent to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// The protocol.
    pub protocol: Protocol,
    /// The address and port.
    pub addr: SocketAddr,
    /// The name that the server's certificate must have, with TLS and WSS: the host of the URI,
    /// before DNS (RFC 5922 §4). Without it only an existing connection can be used.
    pub tls_name: Option<TlsName>,
    /// True if connecting to it begins while the target before it in the list is still connecting
    /// (RFC 8305 §5): it is another address of the same server, which has some of both families,
    /// over a stream protocol. The message is sent over the connection that is established first,
    /// and never over both (RFC 7984 §3.2).
    pub races: bool,
    /// The reason for its selection.
    pub reason: Reason,
}

impl Target {
    /// A target found without DNS.
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
    /// Changes the target to the same server over TCP, for a request that is too large for UDP
    /// (RFC 3261 §18.1.1). A server that listens on UDP listens on TCP at the same port (§18.2.1).
    pub(crate) fn avoid_udp(&mut self) {
        let rule = core::mem::replace(&mut self.reason.protocol, ProtocolRule::Given);
        self.reason.protocol = ProtocolRule::Size(Box::new(rule));
        self.protocol = Protocol::Tcp;
    }

    /// Reverts [`avoid_udp`](Self::avoid_udp). Returns false if it was not applied.
    pub(crate) fn back_to_udp(&mut self) -> bool {
        let ProtocolRule::Size(rule) = &mut self.reason.protocol else {
            return false;
        };
        self.reason.protocol = core::mem::replace(&mut **rule, ProtocolRule::Given);
        self.protocol = Protocol::Udp;
        true
    }
}

/// The rules and records that led to a target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// The rule that determined the protocol.
    pub protocol: ProtocolRule,
    /// The SRV record that named the server.
    pub srv: Option<SrvChoice>,
    /// The source of the address.
    pub address: AddressRule,
    /// True if it failed recently, and so comes after the others.
    pub grey: bool,
}

/// The rule that determined a target's protocol (RFC 3263 §4.1).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProtocolRule {
    /// The `transport` parameter, or the caller's choice.
    Given,
    /// A NAPTR record.
    Naptr {
        /// The order of the record.
        order: u16,
        /// The preference of the record.
        preference: u16,
    },
    /// SRV records for the protocol, without NAPTR records.
    Srv,
    /// The size of the request: too large for UDP, which the rule inside had chosen (RFC 3261
    /// §18.1.1).
    Size(Box<Self>),
    /// The default: the first of the configured order.
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

/// The source of a target's address.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressRule {
    /// The caller's choice.
    Given,
    /// The remote address of a connection that a hint asked for, or over which a response goes
    /// back.
    Connection,
    /// The source of the request that a response belongs to (RFC 3261 §18.2.2).
    Source,
    /// The top Via of a response (RFC 3261 §18.2.2, RFC 3581 §4).
    Via,
    /// A numeric host in the URI.
    Numeric,
    /// `localhost` (RFC 6761 §6.3).
    Loopback,
    /// An A or AAAA record.
    Record {
        /// The record type.
        kind: LookupKind,
        /// The name that has the record.
        host: DomainName,
    },
}

/// Formats as in `tls:192.0.2.1:5061 for example.com (NAPTR 50 50 SIPS+D2T; SRV …; A …)`.
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
        f.write_str(if *grey { "; failed recently)" } else { ")" })
    }
}

/// The error of a plan that found no target.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PlanError {
    /// The host cannot be a domain name.
    #[error("{0:?} is not a domain name")]
    NotAName(String),
    /// The URI has port 0.
    #[error("port 0 cannot be sent to")]
    PortZero,
    /// The URI asks for an unknown transport.
    #[error("transport {0} is not supported")]
    UnknownTransport(String),
    /// The URI asks for `sips` over a transport that cannot protect it (RFC 3261 §26.2.2).
    #[error("sips cannot go over {0}")]
    Insecure(Protocol),
    /// The required protocol cannot be sent on, at all or over that address family.
    #[error("no channel can send over {0}")]
    CannotSend(Protocol),
    /// A lookup failed, and no other led to a target.
    #[error("DNS lookup of {kind} {name}: {}", LookupError(*error))]
    Lookup {
        /// The record type.
        kind: LookupKind,
        /// The name.
        name: DomainName,
        /// The error of the lookup; `TimedOut` if no answer arrived.
        error: io::ErrorKind,
    },
    /// The domain has SRV records, none of which leads to a target: the service is not available
    /// (RFC 2782), or not to us.
    #[error("DNS lists no reachable service of {0}")]
    NotOffered(DomainName),
    /// The name has no address, or none of a family that can be sent to.
    #[error("DNS lists no reachable address of {0}")]
    NoAddress(DomainName),
    /// The name does not exist.
    #[error("{0} does not exist in DNS (NXDOMAIN)")]
    NoSuchName(DomainName),
}

/// The description of a failed lookup.
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
