//! The rates of a UDP channel for unauthenticated sources: in total, and for each source.

use core::net::IpAddr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use siphasher::sip::SipHasher13;

use crate::config::{ChannelConfig, Config};

/// The number of buckets that all sources share, so that memory does not grow with their number.
///
/// Each source has two buckets, and is refused if both are empty. So a source that empties its two
/// starves one in 500,000 of the others, rather than one in 1,000 (as in Stochastic Fair Blue).
const BUCKETS: u64 = 1_024;
/// The share of a total rate that one source may use: a sixteenth.
const SHARE: u32 = 16;
/// The time within its rate after which a source's next excess is reported again.
const QUIET: Duration = Duration::from_secs(60);

/// The rates of one channel, for all its sockets together.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Replies to malformed requests.
    pub(crate) malformed: TotalRate,
    /// Answers to STUN requests.
    pub(crate) stun: TotalRate,
    /// Messages read from one source.
    pub(crate) messages: Option<SourceRate>,
}

impl Rates {
    pub(crate) fn new(config: &Config, channel: Option<&ChannelConfig>) -> Self {
        let messages = channel.and_then(|channel| channel.source_rate);
        Self {
            malformed: TotalRate::new(config.malformed_replies_per_second),
            stun: TotalRate::new(config.stun_answers_per_second),
            messages: messages.map(|(per_second, burst)| SourceRate {
                taken: PerSource::new(Rate::new(per_second, burst)),
                refused: BucketTable::default(),
            }),
        }
    }
}

/// The assignment of sources to buckets, by a keyed hash that an attacker cannot aim.
#[derive(Debug)]
pub(crate) struct Sources {
    hasher: SipHasher13,
    /// The origin of bucket levels, which are in nanoseconds since the first request.
    start: OnceLock<Instant>,
}

/// A request of a source against a rate, at a point in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateRequest {
    /// The source's buckets. An exempt source has none: only the total rate applies to it.
    buckets: Option<[usize; 2]>,
    now: u64,
}

impl Sources {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self {
            hasher: SipHasher13::new_with_key(key),
            start: OnceLock::new(),
        }
    }

    pub(crate) fn request(&self, now: Instant, ip: IpAddr, config: &Config) -> RateRequest {
        let start = *self.start.get_or_init(|| now);
        RateRequest {
            buckets: (!config.is_exempt(ip)).then(|| self.buckets(ip)),
            now: nanoseconds(now.saturating_duration_since(start)),
        }
    }

    /// The buckets of an IPv4 /24 or an IPv6 /56, from which one party can send.
    fn buckets(&self, ip: IpAddr) -> [usize; 2] {
        let network = match ip.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits() >> 8,
            IpAddr::V6(v6) => v6.to_bits() >> 72,
        };
        let hash = self.hasher.hash(&network.to_be_bytes());
        let first = hash % BUCKETS;
        let second = (first + 1 + (hash >> 32) % (BUCKETS - 1)) % BUCKETS;
        [first, second].map(|bucket| usize::try_from(bucket).unwrap_or(0))
    }
}

/// A total rate, of which one source may use a share.
#[derive(Debug)]
pub(crate) struct TotalRate {
    rate: Rate,
    level: AtomicU64,
    shares: PerSource,
}

impl TotalRate {
    fn new(per_second: u32) -> Self {
        let share = per_second.div_ceil(SHARE);
        Self {
            rate: Rate::new(per_second, per_second),
            level: AtomicU64::new(0),
            shares: PerSource::new(Rate::new(share, share)),
        }
    }

    /// Takes one for the source; returns false if its rate is exhausted.
    pub(crate) fn take(&self, source: RateRequest) -> bool {
        // Only what the total allows counts towards a source's share.
        let may = self.shares.allows(source) && self.rate.take(&self.level, source.now);
        if may {
            self.shares.charge(source);
        }
        may
    }
}

/// A rate for each source, with the time of its last refusal.
#[derive(Debug)]
pub(crate) struct SourceRate {
    taken: PerSource,
    /// The time of each source's last refusal.
    refused: BucketTable,
}

impl SourceRate {
    /// Takes one for the source; returns false if its rate is exhausted.
    pub(crate) fn take(&self, source: RateRequest) -> bool {
        let may = self.taken.allows(source);
        if may {
            self.taken.charge(source);
        }
        may
    }

    /// Records that the source was refused one. Returns true if that should be reported.
    pub(crate) fn refuse(&self, source: RateRequest) -> bool {
        // Zero means never.
        let now = source.now.max(1);
        let last = self.refused.of(source).map(|[at, _]| at.swap(now, Relaxed));
        last.is_some_and(|last| last == 0 || now.saturating_sub(last) > nanoseconds(QUIET))
    }
}

#[derive(Debug)]
struct PerSource {
    rate: Rate,
    levels: BucketTable,
}

impl PerSource {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            levels: BucketTable::default(),
        }
    }

    fn allows(&self, source: RateRequest) -> bool {
        let allowed = |level: &AtomicU64| self.rate.allows(level.load(Relaxed), source.now);
        let levels = self.levels.of(source);
        levels.is_none_or(|levels| levels.into_iter().any(allowed))
    }

    /// Charges both buckets, so that neither holds more than the source has left.
    fn charge(&self, source: RateRequest) {
        for level in self.levels.of(source).into_iter().flatten() {
            let charged = |level| Some(self.rate.charge(level, source.now));
            let _ = level.fetch_update(Relaxed, Relaxed, charged);
        }
    }
}

/// A number for each bucket, allocated on first use.
#[derive(Debug, Default)]
struct BucketTable(OnceLock<Box<[AtomicU64]>>);

impl BucketTable {
    fn of(&self, source: RateRequest) -> Option<[&AtomicU64; 2]> {
        let [first, second] = source.buckets?;
        let empty = || (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        let table = self.0.get_or_init(empty);
        Some([table.get(first)?, table.get(second)?])
    }
}

/// A rate with a burst, by the generic cell rate algorithm (ITU-T I.371): a level is the time by
/// which what was taken is paid for.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// The cost of one, in nanoseconds.
    cost: u64,
    /// The debt that is allowed before one more, in nanoseconds.
    credit: u64,
}

impl Rate {
    fn new(per_second: u32, burst: u32) -> Self {
        // Rounded up, so that the rate is never exceeded.
        let cost = 1_000_000_000_u64.div_ceil(u64::from(per_second.max(1)));
        let credit = cost.saturating_mul(u64::from(burst.saturating_sub(1)));
        Self { cost, credit }
    }

    fn allows(self, level: u64, now: u64) -> bool {
        level.saturating_sub(now) <= self.credit
    }

    /// The level after one more; at most that of an exhausted rate and one more.
    fn charge(self, level: u64, now: u64) -> u64 {
        let most = now.saturating_add(self.credit).saturating_add(self.cost);
        level.max(now).saturating_add(self.cost).min(most)
    }

    fn take(self, level: &AtomicU64, now: u64) -> bool {
        let more = |level| self.allows(level, now).then(|| self.charge(level, now));
        level.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
