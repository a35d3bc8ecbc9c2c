use core::net::IpAddr;
use core::time::Duration;

use crate::config::{ABOVE_ZERO, check_duration, durations, positive};
use crate::{ConfigError, Protocol};

/// A family of addresses.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// IPv4: A records.
    Ipv4,
    /// IPv6: AAAA records.
    Ipv6,
}

impl Family {
    /// The family of an address; an IPv4-mapped one counts as IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Ipv4 => Self::Ipv6,
            Self::Ipv6 => Self::Ipv4,
        }
    }
}

/// The settings of a [`Resolver`](super::Resolver).
#[derive(Clone, Debug)]
pub struct ResolveConfig {
    pub(super) protocols: Vec<Protocol>,
    pub(super) family: Family,
    pub(super) later_orders: bool,
    pub(super) lookup_timeout: Duration,
    pub(super) crowded_timeout: Duration,
    pub(super) shortest_turn: Duration,
    pub(super) plan_timeout: Duration,
    pub(super) other_family_wait: Duration,
    pub(super) later_wait: Duration,
    pub(super) max_records: usize,
    pub(super) max_lookups: usize,
    pub(super) max_targets: usize,
    pub(super) max_open_lookups: usize,
    pub(crate) max_asked_lookups: usize,
    pub(super) min_ttl: Duration,
    pub(super) max_ttl: Duration,
    pub(super) negative_ttl: Duration,
    pub(super) cache_names: usize,
    pub(super) cache_bytes: usize,
    pub(super) grey_time: Duration,
    pub(super) grey_targets: usize,
}

impl Default for ResolveConfig {
    fn default() -> Self {
        Self {
            protocols: vec![Protocol::Udp, Protocol::Tcp, Protocol::Tls],
            family: Family::Ipv6,
            later_orders: false,
            lookup_timeout: Duration::from_secs(2),
            crowded_timeout: Duration::from_millis(700),
            shortest_turn: Duration::from_millis(50),
            plan_timeout: Duration::from_secs(6),
            other_family_wait: Duration::from_millis(50),
            later_wait: Duration::from_millis(500),
            max_records: 32,
            max_lookups: 32,
            max_targets: 64,
            max_open_lookups: 512,
            max_asked_lookups: 64,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(86_400),
            negative_ttl: Duration::from_secs(60),
            cache_names: 4_096,
            cache_bytes: 4 << 20,
            grey_time: Duration::from_secs(32),
            grey_targets: 4_096,
        }
    }
}

impl ResolveConfig {
    /// The protocols, best first, where URI and NAPTR records leave it open: their SRV records are
    /// asked for, and where there are none the first counts that can be sent on. Protocols that
    /// are left out are used only where the URI or a NAPTR record names them, or there is no other.
    /// Default: UDP, TCP, TLS (RFC 3263 §4.1).
    pub fn protocols(&mut self, order: &[Protocol]) -> &mut Self {
        self.protocols = order.to_vec();
        self
    }

    /// The address family that comes first among the addresses of one host; the families then
    /// take turns (RFC 8305 §4). Default: IPv6.
    pub fn family(&mut self, first: Family) -> &mut Self {
        self.family = first;
        self
    }

    /// Whether NAPTR records of later orders follow those of the first that leads to a target,
    /// against RFC 3403 §4.1, so that a domain whose TLS servers are down is reached over TCP
    /// although it put them in different orders. Default: no.
    pub fn later_orders(&mut self, follow: bool) -> &mut Self {
        self.later_orders = follow;
        self
    }

    durations! {
        /// How long one lookup may take, the wait for its turn included. Default: 2 s.
        lookup_timeout: ABOVE_ZERO, "more than zero";
        /// How long one lookup may be asked while others wait for their turn, so that names that
        /// nobody answers for do not hold up the others. Default: 700 ms.
        crowded_timeout: ABOVE_ZERO, "more than zero";
        /// How long one lookup is asked at least, where more domains wait than can be asked at one
        /// time: those that are asked for longer make room then, up to 16 in this time, and wait once
        /// more. So a name that is answered soon does not wait for others that are not. Default:
        /// 50 ms.
        shortest_turn: ABOVE_ZERO, "more than zero";
        /// How long a plan may take. Default: 6 s.
        plan_timeout: ABOVE_ZERO, "more than zero";
        /// How long to wait for the addresses of the other family once a host has some of one
        /// (RFC 8305 §3). Default: 50 ms.
        other_family_wait: Duration::ZERO;
        /// How long to wait for what comes after it once the first target is known, so that a name
        /// that nobody answers for does not hold up the servers before it. Default: 500 ms.
        later_wait: Duration::ZERO;
        /// How long an answer is kept at least, whatever its TTL says. Default: 1 s.
        min_ttl: Duration::ZERO;
        /// How long an answer is kept at most, whatever its TTL says. Default: one day.
        max_ttl: Duration::ZERO;
        /// How long it is known at most that a name has no such records (RFC 2308). Default: 60 s.
        negative_ttl: Duration::ZERO;
        /// How long a target that failed is tried last. Default: 32 s.
        grey_time: Duration::ZERO;
    }

    positive! {
        /// Records of one answer that are used, addresses too. Default: 32.
        max_records: usize;
        /// Lookups for one plan. Default: 32.
        max_lookups: usize;
        /// Targets of one plan. Default: 64.
        max_targets: usize;
        /// Lookups that are asked or wait for their turn, for all plans. Where one more comes, the
        /// domain that has most makes room, or any if none has more than one plan may: the oldest of
        /// its lookups that wait counts as failed
        /// ([`ResourceBusy`](std::io::ErrorKind::ResourceBusy)). A domain is what the last two
        /// labels of a name say. Default: 512.
        max_open_lookups: usize;
        /// Lookups that are asked at one time, for all plans; the others wait for their turn. A
        /// domain may have as many as are free beside them: alone half of these, two domains a
        /// third each. The resolver of the adapters has a socket for each. Default: 64.
        max_asked_lookups: usize;
        /// Answers that are remembered. Default: 4,096.
        cache_names: usize;
        /// Bytes that remembered answers may take, about. Default: 4 MiB.
        cache_bytes: usize;
        /// Failed targets that are remembered. Default: 4,096.
        grey_targets: usize;
    }
}
