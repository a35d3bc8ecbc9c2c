//! What a datagram channel does for strangers: rates for all together, and for each source.

use core::net::IpAddr;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::sync::OnceLock;
use std::time::Instant;

use siphasher::sip::SipHasher13;

use crate::config::{ChannelConfig, Config};

/// How many buckets the sources share: what they take does not grow with the number of sources.
///
/// Each source has two of them, and is refused where both are empty. So whoever empties two starves
/// one in 500,000 of the others, and not one in 1,000 (as in Stochastic Fair Blue).
const BUCKETS: u64 = 1_024;
/// One source may have a sixteenth of a total.
const SHARE: u32 = 16;
/// A source that was not held back for so long is told of when it is again.
const QUIET: Duration = Duration::from_secs(60);

/// The rates of one channel, on all its sockets together.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Replies to malformed requests.
    pub(crate) malformed: Total,
    /// Answers to STUN requests.
    pub(crate) stun: Total,
    /// Messages of one source that are read.
    pub(crate) messages: Option<Limited>,
}

impl Rates {
    pub(crate) fn new(config: &Config, channel: Option<&ChannelConfig>) -> Self {
        let messages = channel.and_then(|channel| channel.source_rate);
        Self {
            malformed: Total::new(config.malformed_replies_per_second),
            stun: Total::new(config.stun_answers_per_second),
            messages: messages.map(|(per_second, burst)| Limited {
                taken: PerSource::new(Rate::new(per_second, burst)),
                refused: Table::default(),
            }),
        }
    }
}

/// Tells sources apart, by a hash that only who knows the key can aim.
#[derive(Debug)]
pub(crate) struct Sources {
    hasher: SipHasher13,
    /// Levels are in nanoseconds since the first of all questions.
    start: OnceLock<Instant>,
}

/// A source with a question at a point in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// Who is exempt has none, and only the totals to reckon with.
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

    pub(crate) fn source(&self, now: Instant, ip: IpAddr, config: &Config) -> Source {
        let start = *self.start.get_or_init(|| now);
        Source {
            buckets: (!config.is_exempt(ip)).then(|| self.buckets(ip)),
            now: nanoseconds(now.saturating_duration_since(start)),
        }
    }

    /// Those of an IPv4 /24 or an IPv6 /56: what one party can send from.
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

/// A rate for all, of which one source has a share.
#[derive(Debug)]
pub(crate) struct Total {
    rate: Rate,
    level: AtomicU64,
    shares: PerSource,
}

impl Total {
    fn new(per_second: u32) -> Self {
        let share = per_second.div_ceil(SHARE);
        Self {
            rate: Rate::new(per_second, per_second),
            level: AtomicU64::new(0),
            shares: PerSource::new(Rate::new(share, share)),
        }
    }

    /// Whether there is one more for that source.
    pub(crate) fn take(&self, source: Source) -> bool {
        // A share is used up only by what the total allows.
        let may = self.shares.allows(source) && self.rate.take(&self.level, source.now);
        if may {
            self.shares.charge(source);
        }
        may
    }
}

/// A rate for each source, and whom it has held back.
#[derive(Debug)]
pub(crate) struct Limited {
    taken: PerSource,
    /// When each was last held back.
    refused: Table,
}

impl Limited {
    /// Whether there is one more for that source.
    pub(crate) fn take(&self, source: Source) -> bool {
        let may = self.taken.allows(source);
        if may {
            self.taken.charge(source);
        }
        may
    }

    /// The source was refused one. Says whether that is worth telling.
    pub(crate) fn refuse(&self, source: Source) -> bool {
        // Zero stands for never.
        let now = source.now.max(1);
        let last = self.refused.of(source).map(|[at, _]| at.swap(now, Relaxed));
        last.is_some_and(|last| last == 0 || now.saturating_sub(last) > nanoseconds(QUIET))
    }
}

#[derive(Debug)]
struct PerSource {
    rate: Rate,
    levels: Table,
}

impl PerSource {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            levels: Table::default(),
        }
    }

    fn allows(&self, source: Source) -> bool {
        let allowed = |level: &AtomicU64| self.rate.allows(level.load(Relaxed), source.now);
        let levels = self.levels.of(source);
        levels.is_none_or(|levels| levels.into_iter().any(allowed))
    }

    /// Takes one from both buckets, so that neither holds more than the source has left.
    fn charge(&self, source: Source) {
        for level in self.levels.of(source).into_iter().flatten() {
            let charged = |level| Some(self.rate.charge(level, source.now));
            let _ = level.fetch_update(Relaxed, Relaxed, charged);
        }
    }
}

/// A number for each bucket, from when the first is asked for.
#[derive(Debug, Default)]
struct Table(OnceLock<Box<[AtomicU64]>>);

impl Table {
    fn of(&self, source: Source) -> Option<[&AtomicU64; 2]> {
        let [first, second] = source.buckets?;
        let empty = || (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        let table = self.0.get_or_init(empty);
        Some([table.get(first)?, table.get(second)?])
    }
}

/// So many a second, and so many at once, by the generic cell rate algorithm (ITU-T I.371): a level
/// is the time by which what was taken is paid for.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// What one costs, and how much may be owed before one more, in nanoseconds.
    cost: u64,
    credit: u64,
}

impl Rate {
    fn new(per_second: u32, burst: u32) -> Self {
        // Rounded up, so that it is never more than that.
        let cost = 1_000_000_000_u64.div_ceil(u64::from(per_second.max(1)));
        let credit = cost.saturating_mul(u64::from(burst.saturating_sub(1)));
        Self { cost, credit }
    }

    fn allows(self, level: u64, now: u64) -> bool {
        level.saturating_sub(now) <= self.credit
    }

    /// The level after one more; never above what one more than all makes.
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
