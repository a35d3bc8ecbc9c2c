//! Replies to malformed requests: one each, without state, never to an ACK (RFC 3261 §8.2.6,
//! §17.2.4, §26.3.2.4).

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sip_core::Method;
use sip_core::build::salvage;
use sip_core::message::ParseError;

use crate::Protocol;
use crate::tokens::{Tag, Tokens};

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

/// Lets through so many a second, and a second's worth at once.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: u32,
    left: f64,
    filled: Option<Instant>,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            left: f64::from(per_second),
            filled: None,
        }
    }

    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let since = self
            .filled
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.filled = Some(now);
        let rate = f64::from(self.per_second);
        self.left = since.as_secs_f64().mul_add(rate, self.left).min(rate);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}
