use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use super::{DomainName, Family, ResolveConfig};
use crate::protocol::Protocol;

/// The type of record that a lookup is for.
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

/// What a lookup came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// There are records.
    Found {
        /// All of them, also those at the end of a CNAME chain. Others than the kind that was
        /// asked for are ignored.
        records: Vec<Record>,
        /// The least TTL among them and the CNAMEs on the way.
        ttl: Duration,
    },
    /// It is known that there are none of this kind, or of any.
    NotFound {
        /// How long that holds (RFC 2308 §5), if the answer said so.
        ttl: Option<Duration>,
    },
    /// It is known that there is no such name (NXDOMAIN).
    NoSuchName {
        /// How long that holds (RFC 2308 §5), if the answer said so.
        ttl: Option<Duration>,
    },
    /// It is not known: the server failed, refused, or did not answer.
    Failed(io::ErrorKind),
}

/// One DNS record.
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

/// A NAPTR record as it came (RFC 3403 §4.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NaptrRecord {
    /// Lower first, strictly.
    pub order: u16,
    /// Among the same order, lower first.
    pub preference: u16,
    /// `s` for all that SIP uses.
    pub flags: String,
    /// Such as `SIP+D2U`.
    pub services: String,
    /// Empty for all that SIP uses.
    pub regexp: String,
    /// The name of the SRV records.
    pub replacement: String,
}

/// An SRV record as it came (RFC 2782).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SrvRecord {
    /// Lower first, strictly.
    pub priority: u16,
    /// The share among the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; `.` says that the service is not offered.
    pub target: String,
}

/// What is known of a name, checked and cut to size.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// Usable rules, by order and preference.
    Naptr(Arc<[Rule]>),
    /// Usable servers, by priority. There may be none: the service is decidedly not offered.
    Srv(Arc<[Server]>),
    /// At least one.
    Addresses(Arc<[IpAddr]>),
    Nothing,
    NoSuchName,
    Failed(io::ErrorKind),
}

/// A NAPTR record that names a transport of SIP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rule {
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

impl Known {
    pub(super) fn new(kind: LookupKind, answer: Answer, config: &ResolveConfig) -> Self {
        let records = match answer {
            Answer::Found { records, .. } => records,
            Answer::NotFound { .. } => return Self::Nothing,
            Answer::NoSuchName { .. } => return Self::NoSuchName,
            Answer::Failed(error) => return Self::Failed(error),
        };
        match kind {
            LookupKind::Naptr => {
                let mut rules: Vec<_> = records.iter().filter_map(Rule::read).collect();
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
                    .filter(|ip| is_somebody(*ip))
                    .take(config.max_records)
                    .collect();
                non_empty(distinct(addresses)).map_or(Self::Nothing, Self::Addresses)
            }
        }
    }

    /// Bytes that it takes, about.
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

impl Rule {
    /// RFC 3263 §4.1: flag `s`, no regular expression, and the name of SRV records.
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
    /// RFC 2782: the root as target says that there is no service; port 0 is none either.
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

/// The services of SIP (RFC 3263 §4.1, RFC 7118 §5.5) that there are transports for.
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

/// The NAPTR service that stands for a protocol.
pub(super) fn service_of(protocol: Protocol) -> &'static str {
    let is = |(_, served): &&(&str, Protocol)| *served == protocol;
    SERVICES.iter().find(is).map_or("", |(name, _)| name)
}

/// Whether an address can be sent to. Groups can: RFC 3261 §10.2.6 registers by `sip.mcast.net`.
fn is_somebody(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

fn non_empty<T>(list: Vec<T>) -> Option<Arc<[T]>> {
    (!list.is_empty()).then(|| list.into())
}

/// The list without what was in it before. It is short: there are limits.
fn distinct<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut seen = Vec::with_capacity(list.len());
    for item in list {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
