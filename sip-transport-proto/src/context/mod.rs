//! The state that all parts of one transport, or of one channel, share.

pub(crate) mod accept_filter;
pub(crate) mod callbacks;
pub(crate) mod own_names;
pub(crate) mod rates;
pub(crate) mod receiving;
pub(crate) mod tap;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::Deref;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::Arc;
use std::time::Instant;

use sip_core::Limits;

use crate::config::{ChannelConfig, Config};
use crate::context::callbacks::LoggedPanics;
use crate::context::own_names::OwnNames;
use crate::context::rates::{RateRequest, Rates, Sources};
use crate::context::receiving::Receiving;
use crate::ids::{SendId, TransportId};
use crate::observe::counters::Counters;
use crate::observe::log_limiter::LogLimiter;

/// Per-channel context: the transport-wide state, and this channel's counters, rates and limits.
/// The router has one too, for what concerns no channel.
#[derive(Debug)]
pub(crate) struct ChannelContext {
    transport: Arc<TransportContext>,
    pub(crate) counters: Counters,
    pub(crate) rates: Rates,
    /// True if replies to malformed requests state the error.
    pub(crate) detailed_reason: bool,
    /// The limits of a message received on the channel.
    pub(crate) limits: Limits,
    /// The address that the channel is bound to.
    pub(crate) bound: SocketAddr,
}

impl ChannelContext {
    pub(crate) fn new(context: TransportContext) -> Self {
        Self {
            counters: Counters::default(),
            rates: Rates::new(&context.config, None),
            detailed_reason: false,
            limits: context.config.limits_of_channel(None),
            bound: (Ipv4Addr::UNSPECIFIED, 0).into(),
            transport: Arc::new(context),
        }
    }

    /// The context of a channel.
    pub(crate) fn of_channel(&self, channel: &ChannelConfig) -> Arc<Self> {
        Arc::new(Self {
            transport: Arc::clone(&self.transport),
            counters: Counters::default(),
            rates: Rates::new(&self.config, Some(channel)),
            detailed_reason: channel.detailed_reason,
            limits: self.config.limits_of_channel(channel.reading),
            bound: channel.local,
        })
    }

    /// The request of a source against a rate, at this time.
    pub(crate) fn rate_request(&self, now: Instant, ip: IpAddr) -> RateRequest {
        self.sources.request(now, ip, &self.config)
    }
}

impl Deref for ChannelContext {
    type Target = TransportContext;

    fn deref(&self) -> &TransportContext {
        &self.transport
    }
}

/// Transport-wide state: settings, own names, and the totals of queued and received bytes.
#[derive(Debug)]
pub(crate) struct TransportContext {
    pub(crate) id: TransportId,
    /// The key that signs flow tokens.
    pub(crate) key: [u8; 32],
    /// The key that branches are derived from.
    pub(crate) branches: [u8; 32],
    pub(crate) sends: AtomicU64,
    pub(crate) config: Config,
    pub(crate) names: OwnNames,
    pub(crate) sources: Sources,
    pub(crate) queued: Budget,
    pub(crate) receiving: Receiving,
    pub(crate) log_limits: Warnings,
}

impl TransportContext {
    /// A new send id, unique within the transport.
    pub(crate) fn next_send(&self) -> SendId {
        SendId(self.sends.fetch_add(1, Relaxed).wrapping_add(1))
    }
}

/// The rate limiters of log messages.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    pub(crate) connections: LogLimiter,
    pub(crate) queued: LogLimiter,
    pub(crate) receiving: LogLimiter,
    pub(crate) waiting: LogLimiter,
    pub(crate) certificates: LogLimiter,
    pub(crate) panics: LoggedPanics,
    pub(crate) strays: LogLimiter,
}

/// A total of bytes, against a limit.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicUsize,
    refused: AtomicBool,
}

impl Budget {
    /// Takes `bytes` if the total then is within `limit`; returns false if not.
    pub(crate) fn take(&self, bytes: usize, limit: usize) -> bool {
        let grown = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= limit);
        let fits = self.used.fetch_update(Relaxed, Relaxed, grown).is_ok();
        if !fits {
            self.refused.store(true, Relaxed);
        }
        fits
    }

    /// Returns true if the limit has been reached since the last call.
    pub(crate) fn take_refusal(&self) -> bool {
        // Rarely set: a plain load first, as it is cheaper.
        self.refused.load(Relaxed) && self.refused.swap(false, Relaxed)
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        let _ = self
            .used
            .fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    /// Corrects the total by the difference between the bytes `taken` and those actually `held`.
    pub(crate) fn correct(&self, taken: usize, held: usize) {
        match held.checked_sub(taken) {
            Some(0) => {}
            Some(more) => {
                self.used.fetch_add(more, Relaxed);
            }
            None => self.give_back(taken.saturating_sub(held)),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}
