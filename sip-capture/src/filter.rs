//! The choice of the messages to capture.

use core::hash::Hasher;
use core::net::IpAddr;

use ipnet::IpNet;
use siphasher::sip::SipHasher13;
use thiserror::Error;

use crate::rows;

/// A choice of messages: those that meet every condition set. Without any, all messages.
///
/// ```
/// use sip_capture::Filter;
///
/// let filter = Filter::new()
///     .methods(["INVITE", "ACK", "BYE", "CANCEL"])
///     .networks(["192.0.2.0/24".parse()?])
///     .share(0.25, [7; 16])?;
/// let invite = b"INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: a84b4c76e66710\r\n\r\n";
/// assert!(!filter.matches("198.51.100.1".parse()?, invite));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Filter {
    methods: Vec<String>,
    networks: Vec<IpNet>,
    share: Option<Share>,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    key: [u8; 16],
    /// Hashes below it are chosen.
    below: u64,
}

/// The error for a share of calls that is not between 0 and 1.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("a share of calls is between 0 and 1, not {0}")]
pub struct ShareError(pub f64);

impl Filter {
    /// A filter that chooses all messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the methods: those of requests, and of what responses answer (CSeq). An empty list
    /// means all.
    pub fn methods(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.methods = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the networks of which one must contain the peer's address. An empty list means all.
    pub fn networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.networks = networks.into_iter().collect();
        self
    }

    /// Sets the share of calls, from 0 to 1, chosen by a hash of the Call-ID: all messages of a
    /// call are chosen, or none. Servers with the same key choose the same calls. A message without
    /// a Call-ID is always chosen.
    ///
    /// # Errors
    /// The share is not between 0 and 1.
    pub fn share(mut self, share: f64, key: [u8; 16]) -> Result<Self, ShareError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(ShareError(share));
        }
        // A share of 1 is no condition: no bound lies above all hashes.
        self.share = (share < 1.0).then_some(Share {
            key,
            below: (share * u64::MAX as f64) as u64,
        });
        Ok(self)
    }

    /// Returns true for a message from or to `peer` that meets every condition.
    pub fn matches(&self, peer: IpAddr, message: &[u8]) -> bool {
        self.matches_peer(peer)
            && self.matches_method(message)
            && self.share.is_none_or(|share| share.chooses(message))
    }

    fn matches_peer(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&peer))
    }

    fn matches_method(&self, message: &[u8]) -> bool {
        // Methods are case-sensitive (RFC 3261 §7.1).
        let is_chosen = |method: &[u8]| self.methods.iter().any(|m| m.as_bytes() == method);
        self.methods.is_empty() || rows::method(message).is_some_and(is_chosen)
    }
}

impl Share {
    fn chooses(&self, message: &[u8]) -> bool {
        rows::call_id(message).is_none_or(|call_id| {
            let mut hasher = SipHasher13::new_with_key(&self.key);
            hasher.write(call_id);
            hasher.finish() < self.below
        })
    }
}
