//! Replies to malformed requests: one each, without state, never to an ACK (RFC 3261 §8.2.6,
//! §17.2.4, §26.3.2.4).

use core::net::SocketAddr;

use bytes::Bytes;
use sip_core::Method;
use sip_core::build::{Salvaged, salvage};
use sip_core::message::ParseError;
use siphasher::sip128::SipHasher13;

use crate::protocol::Protocol;
use crate::tokens::Tag;

/// A malformed request that can be answered.
///
/// The reply goes to the source of the request, and nowhere else (RFC 3261 §18.2.2, RFC 3581 §4).
#[derive(Debug)]
pub(crate) struct Answerable<'a> {
    data: &'a [u8],
    request: Salvaged<'a>,
    source: SocketAddr,
    /// The destination port of the reply, for datagrams.
    pub(crate) port: u16,
}

impl<'a> Answerable<'a> {
    pub(crate) fn read(data: &'a [u8], source: SocketAddr) -> Option<Self> {
        let request = salvage(data)?;
        if request.method() == Method::Ack {
            return None;
        }
        let via = request.top_via();
        let port = match via.rport() {
            Some(_) => source.port(),
            None => via.sent_by().port().unwrap_or(Protocol::Udp.default_port()),
        };
        Some(Self {
            data,
            request,
            source,
            port,
        })
    }

    /// The reply, if it fits into `max_len` bytes. Without `detailed`, its reason phrase is the
    /// standard one of its status.
    pub(crate) fn reply(
        &self,
        error: &ParseError,
        detailed: bool,
        seed: &[u8; 32],
        max_len: Option<usize>,
    ) -> Option<Bytes> {
        let reason = match detailed {
            true => error.kind().to_string(),
            false => String::new(),
        };
        let tag = tag(seed, self.data);
        self.request
            .reply(error.status(), &reason, tag.as_str(), self.source, max_len)
    }
}

/// The To tag of the reply: the same for the same request (RFC 3261 §8.2.7), identified by its
/// first 1,024 bytes.
fn tag(seed: &[u8; 32], request: &[u8]) -> Tag {
    let start = request.get(..1024).unwrap_or(request);
    let key = seed.first_chunk().unwrap_or(&[0; 16]);
    let hash = SipHasher13::new_with_key(key).hash(start);
    Tag::of_random(hash.as_bytes())
}
