//! The encoder.

use core::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::hep::chunk::{self, CHUNK_HEADER};
use crate::hep::{EncodeError, FRAME_MAX, Frame};
use crate::message::CapturedMessage;
use crate::rows;

/// The encoder of HEP3 frames, with what is the same in all frames of a capture.
#[derive(Clone, Debug)]
#[must_use]
pub struct Encoder {
    agent: u32,
    auth_key: Option<Box<[u8]>>,
}

impl Encoder {
    /// An encoder for the capture agent with this id.
    pub const fn new(agent: u32) -> Self {
        Self {
            agent,
            auth_key: None,
        }
    }

    /// Sets the key by which the collector knows its agents.
    pub fn auth_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.auth_key = Some(key.into().into_boxed_slice());
        self
    }

    /// Appends the frame of a message to `out`, with its Call-ID as correlation id.
    ///
    /// # Errors
    /// The message is too long for a frame; `out` stays as it was.
    pub fn encode(
        &self,
        message: &CapturedMessage<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let frame = Frame {
            time: message.time,
            protocol: message.protocol,
            source: message.source,
            destination: message.destination,
            agent: self.agent,
            auth_key: self.auth_key.as_deref(),
            correlation_id: rows::call_id(message.bytes),
            payload: message.bytes,
        };
        frame.encode(out)
    }
}

impl Frame<'_> {
    /// Appends the frame to `out`.
    ///
    /// The chunks are in the order in which sngrep reads them, which takes no other: it expects the
    /// payload right behind the addresses and the key. An address pair of two families becomes
    /// IPv6, with the IPv4 address mapped; a time before 1970 becomes 0, and one after 2106 the last
    /// that can be said.
    ///
    /// # Errors
    /// The frame is too long; `out` stays as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let begin = out.len();
        let length = self.length();
        let announced = u16::try_from(length).map_err(|_| EncodeError::TooLong(length))?;
        out.reserve(length);
        out.extend_from_slice(chunk::MAGIC);
        out.extend_from_slice(&announced.to_be_bytes());
        let (source, destination) = (self.source.ip(), self.destination.ip());
        let is_v4 = source.is_ipv4() && destination.is_ipv4();
        let (seconds, microseconds) = since_1970(self.time);
        put(
            out,
            chunk::FAMILY,
            &[[chunk::IPV6, chunk::IPV4][usize::from(is_v4)]],
        );
        put(out, chunk::PROTOCOL, &[chunk::number(self.protocol)]);
        put(out, chunk::SOURCE_PORT, &self.source.port().to_be_bytes());
        put(
            out,
            chunk::DESTINATION_PORT,
            &self.destination.port().to_be_bytes(),
        );
        put(out, chunk::SECONDS, &seconds.to_be_bytes());
        put(out, chunk::MICROSECONDS, &microseconds.to_be_bytes());
        put(out, chunk::PAYLOAD_TYPE, &[chunk::SIP]);
        put(out, chunk::AGENT, &self.agent.to_be_bytes());
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                put(out, chunk::SOURCE_V4, &source.octets());
                put(out, chunk::DESTINATION_V4, &destination.octets());
            }
            _ => {
                put(out, chunk::SOURCE_V6, &octets(source));
                put(out, chunk::DESTINATION_V6, &octets(destination));
            }
        }
        if let Some(key) = self.auth_key {
            put(out, chunk::AUTH_KEY, key);
        }
        put(out, chunk::PAYLOAD, self.payload);
        if let Some(id) = self.correlation_id {
            put(out, chunk::CORRELATION_ID, id);
        }
        debug_assert_eq!(out.len().saturating_sub(begin), length);
        Ok(())
    }

    /// The length of the frame in bytes.
    fn length(&self) -> usize {
        let address = match (self.source, self.destination) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => 4,
            _ => 16,
        };
        let fixed = [1, 1, 2, 2, 4, 4, 1, 4, address, address];
        let texts = [self.auth_key, Some(self.payload), self.correlation_id];
        let texts = texts.into_iter().flatten().map(<[u8]>::len);
        let chunks = fixed.into_iter().chain(texts);
        chunks.fold(chunk::FRAME_HEADER, |sum, len| {
            sum.saturating_add(CHUNK_HEADER).saturating_add(len)
        })
    }
}

/// Appends a chunk. The frame's length is checked before, so its chunks fit.
fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = value.len().saturating_add(CHUNK_HEADER).min(FRAME_MAX) as u16;
    let ([k0, k1], [l0, l1]) = (kind.to_be_bytes(), length.to_be_bytes());
    out.extend_from_slice(&[0, 0, k0, k1, l0, l1]);
    out.extend_from_slice(value);
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Seconds and microseconds since 1970, as far as they can be said.
fn since_1970(time: SystemTime) -> (u32, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    match u32::try_from(since.as_secs()) {
        Ok(seconds) => (seconds, since.subsec_micros()),
        Err(_) => (u32::MAX, 999_999),
    }
}
