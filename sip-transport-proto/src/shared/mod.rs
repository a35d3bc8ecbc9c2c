pub(crate) mod accept_filter;
pub(crate) mod callbacks;
pub(crate) mod own_names;
pub(crate) mod rates;
pub(crate) mod receiving;
pub(crate) mod tap;

use core::net::IpAddr;
use core::ops::Deref;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::Arc;
use std::time::Instant;

use sip_core::Limits;

use crate::config::{ChannelConfig, Config};
use crate::ids::{SendId, TransportId};
use crate::observe::counters::Counters;
use crate::observe::trace::LogLimiter;
use crate::shared::callbacks::Panics;
use crate::shared::own_names::OwnNames;
use crate::shared::rates::{Rates, Source, Sources};
use crate::shared::receiving::Receiving;

/// What every part of one channel sees: what all of the transport share, and counters and rates of
/// its own.
/// The router has one too, for what concerns no channel.
#[derive(Debug)]
pub(crate) struct ChannelContext {
    shared: Arc<TransportContext>,
    pub(crate) counters: Counters,
    pub(crate) rates: Rates,
    /// Whether replies to malformed requests say what is wrong with them.
    pub(crate) detailed_reason: bool,
    /// What a message received here may be.
    pub(crate) limits: Limits,
}

impl ChannelContext {
    pub(crate) fn new(shared: TransportContext) -> Self {
        Self {
            counters: Counters::default(),
            rates: Rates::new(&shared.config, None),
            detailed_reason: false,
            limits: shared.config.limits_of_channel(None),
            shared: Arc::new(shared),
        }
    }

    /// For a channel.
    pub(crate) fn of_channel(&self, channel: &ChannelConfig) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(&self.shared),
            counters: Counters::default(),
            rates: Rates::new(&self.config, Some(channel)),
            detailed_reason: channel.detailed_reason,
            limits: self.config.limits_of_channel(channel.reading),
        })
    }

    /// Who asks for something that has a rate.
    pub(crate) fn source(&self, now: Instant, ip: IpAddr) -> Source {
        self.sources.source(now, ip, &self.config)
    }
}

impl Deref for ChannelContext {
    type Target = TransportContext;

    fn deref(&self) -> &TransportContext {
        &self.shared
    }
}

/// What every part of one transport sees: settings, own names, the total of queued bytes.
#[derive(Debug)]
pub(crate) struct TransportContext {
    pub(crate) id: TransportId,
    /// Signs flow tokens.
    pub(crate) key: [u8; 32],
    /// Makes branches.
    pub(crate) branches: [u8; 32],
    pub(crate) sends: AtomicU64,
    pub(crate) config: Config,
    pub(crate) names: OwnNames,
    pub(crate) sources: Sources,
    pub(crate) queued: Budget,
    pub(crate) receiving: Receiving,
    pub(crate) said: Warnings,
}

impl TransportContext {
    /// An id that no other send has.
    pub(crate) fn next_send(&self) -> SendId {
        SendId(self.sends.fetch_add(1, Relaxed).wrapping_add(1))
    }
}

/// What is said now and then only.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    pub(crate) connections: LogLimiter,
    pub(crate) queued: LogLimiter,
    pub(crate) receiving: LogLimiter,
    pub(crate) waiting: LogLimiter,
    pub(crate) certificates: LogLimiter,
    pub(crate) panics: Panics,
    pub(crate) strays: LogLimiter,
}

/// Bytes held in all, against a limit.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicUsize,
    refused: AtomicBool,
}

impl Budget {
    /// Takes `bytes` unless that would go over `limit`.
    pub(crate) fn take(&self, bytes: usize, limit: usize) -> bool {
        let grown = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= limit);
        let fits = self.used.fetch_update(Relaxed, Relaxed, grown).is_ok();
        if !fits {
            self.refused.store(true, Relaxed);
        }
        fits
    }

    /// Whether the limit has been hit since the last call.
    pub(crate) fn take_refusal(&self) -> bool {
        // LogLimiter: the look comes first, as it is cheap.
        self.refused.load(Relaxed) && self.refused.swap(false, Relaxed)
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        let _ = self
            .used
            .fetch_update(Relaxed, Relaxed, |used| Some(used.saturating_sub(bytes)));
    }

    /// `taken` bytes were taken, and `held` are.
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
