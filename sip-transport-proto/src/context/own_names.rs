//! The transport's own names in sent-by values.

use core::fmt;
use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sip_core::{Host, HostPort};
use smallvec::SmallVec;

use crate::config::Config;
use crate::resolve::expiring_map::ExpiringMap;

/// The sent-by values that a response to one of our requests may carry (RFC 3261 §18.1.2).
///
/// Configured, advertised and bound names are permanent; those that requests carried are remembered
/// for a while, so that late responses are recognised after a change of address.
#[derive(Debug)]
pub(crate) struct OwnNames {
    names: Mutex<NameTable>,
    /// The time for which names that requests carried are remembered.
    memory: Duration,
}

#[derive(Debug)]
struct NameTable {
    /// The number of channels and settings with each name.
    fixed: BTreeMap<Box<[u8]>, usize>,
    seen: ExpiringMap<Box<[u8]>, ()>,
}

impl OwnNames {
    pub(crate) fn new(config: &Config) -> Self {
        let names = NameTable {
            fixed: BTreeMap::new(),
            seen: ExpiringMap::new(config.max_remembered_sent_by, usize::MAX),
        };
        Self {
            names: Mutex::new(names),
            memory: config.sent_by_memory,
        }
    }

    pub(crate) fn add(&self, name: &SentByKey) {
        let mut names = self.lock();
        let count = names.fixed.entry(name.as_bytes().into()).or_default();
        *count = count.saturating_add(1);
    }

    /// Removes a name of a channel; responses to what the channel has sent may still arrive.
    pub(crate) fn remove(&self, now: Instant, name: &SentByKey) {
        let mut names = self.lock();
        if let Some(count) = names.fixed.get_mut(name.as_bytes()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                names.fixed.remove(name.as_bytes());
                names.saw(name, now + self.memory);
            }
        }
    }

    /// Remembers the sent-by of a request that was sent. Returns true if another one, the least
    /// recently used, was forgotten for it.
    pub(crate) fn saw(&self, now: Instant, name: &SentByKey) -> bool {
        let mut names = self.lock();
        !names.fixed.contains_key(name.as_bytes()) && names.saw(name, now + self.memory)
    }

    pub(crate) fn contains(&self, now: Instant, name: &SentByKey) -> bool {
        let names = self.lock();
        names.fixed.contains_key(name.as_bytes()) || names.seen.get(now, name.as_bytes()).is_some()
    }

    /// The number of remembered names that requests carried.
    pub(crate) fn seen(&self) -> usize {
        self.lock().seen.len()
    }

    fn lock(&self) -> MutexGuard<'_, NameTable> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameTable {
    fn saw(&mut self, name: &SentByKey, until: Instant) -> bool {
        let known = self.seen.refresh(name.as_bytes(), until);
        !known && self.seen.insert(name.as_bytes().into(), (), until, 0) > 0
    }
}

/// The normal form of a sent-by: lower case, IPv6 in one spelling, and always with a port, so that
/// an absent port equals the default one (RFC 3261 §18.1.1).
#[derive(Debug)]
pub(crate) struct SentByKey(SmallVec<[u8; 96]>);

impl SentByKey {
    pub(crate) fn new(sent_by: HostPort<'_>, default_port: u16) -> Self {
        let mut key = Self(SmallVec::new());
        let port = sent_by.port().unwrap_or(default_port);
        // Writing into memory cannot fail.
        let _ = match sent_by.host() {
            Host::Name(name) => write!(key, "{}:{port}", name.trim_end_matches('.')),
            host => write!(key, "{host}:{port}"),
        };
        key.0.make_ascii_lowercase();
        key
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Write for SentByKey {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
