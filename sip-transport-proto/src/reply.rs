//! Replies to malformed requests: one each, without state, never to an ACK (RFC 3261 §8.2.6,
//! §17.2.4, §26.3.2.4).

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sip_core::Method;
use sip_core::build::salvage;
use sip_core::message::ParseError;

use crate::tokens::{Tag, Tokens};
use crate::{Config, Protocol};

/// A reply and, for datagrams, the port of the request's source to send it to.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) bytes: Bytes,
    pub(crate) port: u16,
}

/// The reply that a malformed request gets, if it can be answered in `max_len` bytes.
///
/// It goes to where the request came from, and nowhere else (RFC 3261 §18.2.2, RFC 3581 §4).
pub(crate) fn to_malformed(
    data: &[u8],
    error: &ParseError,
    source: SocketAddr,
    seed: &[u8; 32],
    max_len: Option<usize>,
) -> Option<Reply> {
    let request = salvage(data)?;
    if request.method() == Method::Ack {
        return None;
    }
    let via = request.top_via()?;
    let port = match via.rport() {
        Some(_) => source.port(),
        None => via.sent_by().port().unwrap_or(Protocol::Udp.default_port()),
    };
    let reason = error.kind().to_string();
    let bytes = request.reply(
        error.status(),
        &reason,
        tag(seed, data).as_str(),
        source,
        max_len,
    )?;
    Some(Reply { bytes, port })
}

/// The To tag of the reply: the same for the same request (RFC 3261 §8.2.7), which its start tells
/// from others.
fn tag(seed: &[u8; 32], request: &[u8]) -> Tag {
    let start = request.get(..1024).unwrap_or(request);
    let hash = Sha256::new().chain_update(seed).chain_update(start);
    Tokens::new(hash.finalize().into()).tag()
}

/// What a datagram channel answers to anybody, on all its sockets together.
#[derive(Debug)]
pub(crate) struct Rates {
    pub(crate) malformed: Bucket,
    pub(crate) stun: Bucket,
}

impl Rates {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            malformed: Bucket::new(config.malformed_replies_per_second),
            stun: Bucket::new(config.stun_answers_per_second),
        }
    }
}

/// Lets through so many a second, and a second's worth at once.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: u32,
    /// How many are left, and since when.
    level: Mutex<(f64, Option<Instant>)>,
}

impl Bucket {
    fn new(per_second: u32) -> Self {
        Self {
            per_second,
            level: Mutex::new((f64::from(per_second), None)),
        }
    }

    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, filled) = &mut *level;
        let since = filled.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        // The sockets' tasks read the clock at their own times.
        *filled = (*filled).max(Some(now));
        let rate = f64::from(self.per_second);
        *left = since.as_secs_f64().mul_add(rate, *left).min(rate);
        let may = *left >= 1.0;
        if may {
            *left -= 1.0;
        }
        may
    }
}
