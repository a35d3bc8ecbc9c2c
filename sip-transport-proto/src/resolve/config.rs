//! The settings of the resolver.

use core::time::Duration;

use crate::protocol::{Family, Protocol};
use crate::setting::{ABOVE_ZERO, ConfigError, check_duration, durations, positive};

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
    /// Sets the protocols, in order of preference, where URI and NAPTR records leave the choice
    /// open: their SRV records are looked up, and without any the first that can be sent on is
    /// used. A protocol not listed is used only if the URI or a NAPTR record names it, or there is
    /// no other. Default: UDP, TCP, TLS (RFC 3263 §4.1).
    pub fn protocols(&mut self, order: &[Protocol]) -> &mut Self {
        self.protocols = order.to_vec();
        self
    }

    /// Sets the address family that comes first among the addresses of one host; the families then
    /// alternate (RFC 8305 §4). Default: IPv6.
    pub fn family(&mut self, first: Family) -> &mut Self {
        self.family = first;
        self
    }

    /// Uses NAPTR records of later orders after those of the first that leads to a target, against
    /// RFC 3403 §4.1: so a domain whose TLS servers are down is reached over TCP although its
    /// records have different orders. Default: no.
    pub fn later_orders(&mut self, follow: bool) -> &mut Self {
        self.later_orders = follow;
        self
    }

    durations! {
        /// Time limit for one lookup, the wait for its turn included. Default: 2 s.
        lookup_timeout: ABOVE_ZERO, "more than zero";
        /// Time limit for one lookup while others wait for their turn, so that names for which
        /// nobody answers do not hold up the others. Default: 700 ms.
        crowded_timeout: ABOVE_ZERO, "more than zero";
        /// Shortest time for which a lookup is asked while more domains wait than can be asked at one
        /// time. Lookups asked for longer make room then, up to 16 in this time, and wait once more; so
        /// a name that is answered soon does not wait for others that are not. Default: 50 ms.
        shortest_turn: ABOVE_ZERO, "more than zero";
        /// Time limit for a plan. Default: 6 s.
        plan_timeout: ABOVE_ZERO, "more than zero";
        /// Time to wait for the addresses of the other family once a host has some of one (RFC 8305
        /// §3). Default: 50 ms.
        other_family_wait: Duration::ZERO;
        /// Time to wait for later targets once the first is known, so that a name for which nobody
        /// answers does not hold up the servers before it. Default: 500 ms.
        later_wait: Duration::ZERO;
        /// Shortest time for which an answer is cached, whatever its TTL. Default: 1 s.
        min_ttl: Duration::ZERO;
        /// Longest time for which an answer is cached, whatever its TTL. Default: one day.
        max_ttl: Duration::ZERO;
        /// Longest time for which the absence of records is cached (RFC 2308). Default: 60 s.
        negative_ttl: Duration::ZERO;
        /// Time for which a failed target is tried last. Default: 32 s.
        grey_time: Duration::ZERO;
    }

    positive! {
        /// Limit of records used of one answer, addresses included. Default: 32.
        max_records: usize;
        /// Limit of lookups for one plan. Default: 32.
        max_lookups: usize;
        /// Limit of targets of one plan. Default: 64.
        max_targets: usize;
        /// Limit of open lookups, being asked or waiting for their turn, for all plans. Beyond it,
        /// the domain with the most lookups makes room, or any domain if none has more than one
        /// plan may: its oldest waiting lookup fails
        /// ([`ResourceBusy`](std::io::ErrorKind::ResourceBusy)). A domain is given by the last two
        /// labels of a name. Default: 512.
        max_open_lookups: usize;
        /// Limit of lookups being asked at one time, for all plans; the others wait for their turn.
        /// A domain may have as many as it leaves free: half of these when it is the only one, a
        /// third each for two domains. The resolver of the adapters has a socket for each. Default: 64.
        max_asked_lookups: usize;
        /// Limit of cached answers. Default: 4,096.
        cache_names: usize;
        /// Approximate limit of bytes that cached answers take. Default: 4 MiB.
        cache_bytes: usize;
        /// Limit of failed targets that are remembered. Default: 4,096.
        grey_targets: usize;
    }
}
