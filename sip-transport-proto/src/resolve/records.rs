//! DNS records, answers to lookups, and their validation.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use super::{DomainName, Family, ResolveConfig};
use crate::protocol::Protocol;

/// The record type of a lookup.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum LookupKind {
    /// NAPTR (RFC 3403).
    Naptr,
    /// SRV (RFC 2782).
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl From<Family> for LookupKind {
    fn from(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::A,
            Family::Ipv6 => Self::Aaaa,
        }
    }
}

impl fmt::Display for LookupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Naptr => "NAPTR",
            Self::Srv => "SRV",
            Self::A => "A",
            Self::Aaaa => "AAAA",
        })
    }
}

/// The answer to a lookup.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are only these")]
pub enum Answer {
    /// The records of the name.
    Found {
        /// All records, including those at the end of a CNAME chain. Records of other types than
        /// the one looked up are ignored.
        records: Vec<Record>,
        /// The least TTL among them and the CNAMEs on the way.
        ttl: Duration,
    },
    /// The name has no records of this type, or of any.
    NotFound {
        /// The time for which that is valid (RFC 2308 §5), if the answer gave it.
        ttl: Option<Duration>,
    },
    /// The name does not exist (NXDOMAIN).
    NoSuchName {
        /// The time for which that is valid (RFC 2308 §5), if the answer gave it.
        ttl: Option<Duration>,
    },
    /// The lookup failed: the server failed, refused, or did not answer.
    Failed(io::ErrorKind),
}

/// A DNS record.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Record {
    /// NAPTR.
    Naptr(NaptrRecord),
    /// SRV.
    Srv(SrvRecord),
    /// A or AAAA.
    Address(IpAddr),
}

/// A NAPTR record as received (RFC 3403 §4.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the RFC")]
pub struct NaptrRecord {
    /// The order: lower first, strictly.
    pub order: u16,
    /// The preference among records of the same order: lower first.
    pub preference: u16,
    /// The flags: `s` for all records that SIP uses.
    pub flags: String,
    /// The services, such as `SIP+D2U`.
    pub services: String,
    /// The regular expression: empty for all records that SIP uses.
    pub regexp: String,
    /// The name of the SRV records.
    pub replacement: String,
}

/// An SRV record as received (RFC 2782).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "fixed by the RFC")]
pub struct SrvRecord {
    /// The priority: lower first, strictly.
    pub priority: u16,
    /// The relative weight among records of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; `.` means that the service is not available.
    pub target: String,
}

/// A validated answer, cut to the configured size.
#[derive(Clone, Debug)]
pub(super) enum CheckedAnswer {
    /// The usable NAPTR records, by order and preference.
    Naptr(Arc<[NaptrRule]>),
    /// The usable servers, by priority. Empty if the service is decidedly not available.
    Srv(Arc<[Server]>),
    /// The usable addresses, at least one.
    Addresses(Arc<[IpAddr]>),
    Nothing,
    NoSuchName,
    Failed(io::ErrorKind),
}

/// A NAPTR record that names a SIP transport.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NaptrRule {
    pub(super) order: u16,
    pub(super) preference: u16,
    pub(super) protocol: Protocol,
    pub(super) srv: DomainName,
}

/// An SRV record that names a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Server {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) host: DomainName,
}

impl CheckedAnswer {
    pub(super) fn new(kind: LookupKind, answer: Answer, config: &ResolveConfig) -> Self {
        let records = match answer {
            Answer::Found { records, .. } => records,
            Answer::NotFound { .. } => return Self::Nothing,
            Answer::NoSuchName { .. } => return Self::NoSuchName,
            Answer::Failed(error) => return Self::Failed(error),
        };
        match kind {
            LookupKind::Naptr => {
                let mut rules: Vec<_> = records.iter().filter_map(NaptrRule::read).collect();
                rules.sort_by_key(|rule| (rule.order, rule.preference));
                rules.truncate(config.max_records);
                non_empty(rules).map_or(Self::Nothing, Self::Naptr)
            }
            LookupKind::Srv => {
                let srv = |record: &Record| matches!(record, Record::Srv(_));
                if !records.iter().any(srv) {
                    return Self::Nothing;
                }
                let mut servers: Vec<_> = records.iter().filter_map(Server::read).collect();
                servers.sort_by_key(|server| server.priority);
                servers.truncate(config.max_records);
                Self::Srv(distinct(servers).into())
            }
            LookupKind::A | LookupKind::Aaaa => {
                let addresses = records.iter().filter_map(|record| match record {
                    Record::Address(ip) => Some(ip.to_canonical()),
                    _ => None,
                });
                let asked_for = |ip: &IpAddr| LookupKind::from(Family::of(*ip)) == kind;
                let addresses: Vec<_> = addresses
                    .filter(asked_for)
                    .filter(|ip| is_sendable(*ip))
                    .take(config.max_records)
                    .collect();
                non_empty(distinct(addresses)).map_or(Self::Nothing, Self::Addresses)
            }
        }
    }

    /// The approximate number of bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        const RECORD: usize = 48;
        let name = |name: &DomainName| name.as_str().len().saturating_add(RECORD);
        match self {
            Self::Naptr(rules) => rules.iter().map(|rule| name(&rule.srv)).sum(),
            Self::Srv(servers) => servers.iter().map(|server| name(&server.host)).sum(),
            Self::Addresses(addresses) => addresses.len().saturating_mul(RECORD),
            Self::Nothing | Self::NoSuchName | Self::Failed(_) => 0,
        }
    }
}

impl NaptrRule {
    /// Reads a usable record: flag `s`, no regular expression, and the name of SRV records
    /// (RFC 3263 §4.1).
    fn read(record: &Record) -> Option<Self> {
        let Record::Naptr(naptr) = record else {
            return None;
        };
        if !naptr.flags.eq_ignore_ascii_case("s") || !naptr.regexp.is_empty() {
            return None;
        }
        Some(Self {
            order: naptr.order,
            preference: naptr.preference,
            protocol: protocol_of(&naptr.services)?,
            srv: DomainName::new(&naptr.replacement)?,
        })
    }
}

impl Server {
    /// Reads a usable record. A target of `.` means that the service is not available (RFC 2782);
    /// so does port 0.
    fn read(record: &Record) -> Option<Self> {
        let Record::Srv(srv) = record else {
            return None;
        };
        if srv.port == 0 {
            return None;
        }
        Some(Self {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: DomainName::new(&srv.target)?,
        })
    }
}

/// The NAPTR services of SIP (RFC 3263 §4.1, RFC 7118 §5.5) with the transports supported here.
const SERVICES: [(&str, Protocol); 5] = [
    ("SIP+D2U", Protocol::Udp),
    ("SIP+D2T", Protocol::Tcp),
    ("SIPS+D2T", Protocol::Tls),
    ("SIP+D2W", Protocol::Ws),
    ("SIPS+D2W", Protocol::Wss),
];

fn protocol_of(services: &str) -> Option<Protocol> {
    let is = |(name, _): &&(&str, Protocol)| name.eq_ignore_ascii_case(services);
    SERVICES.iter().find(is).map(|(_, protocol)| *protocol)
}

/// The NAPTR service of a protocol.
pub(super) fn service_of(protocol: Protocol) -> &'static str {
    let is = |(_, served): &&(&str, Protocol)| *served == protocol;
    SERVICES.iter().find(is).map_or("", |(name, _)| name)
}

/// Returns true if an address can be sent to. Multicast groups can: RFC 3261 §10.2.6 registers by
/// `sip.mcast.net`.
fn is_sendable(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

fn non_empty<T>(list: Vec<T>) -> Option<Arc<[T]>> {
    (!list.is_empty()).then(|| list.into())
}

/// The list without duplicates. It is short: there are limits.
fn distinct<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut seen = Vec::with_capacity(list.len());
    for item in list {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
