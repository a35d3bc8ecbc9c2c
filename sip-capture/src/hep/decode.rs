//! The decoder.

use core::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use crate::hep::chunk::{self, CHUNK_HEADER, FRAME_HEADER};
use crate::hep::{DecodeError, Fault, Frame};

impl<'a> Frame<'a> {
    /// The length of the frame that `bytes` begin with, for splitting a stream. `None` if too few
    /// bytes came to tell.
    ///
    /// # Errors
    /// They begin with no frame.
    pub fn length_of(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
        let fault = |fault, offset| Err(DecodeError { fault, offset });
        let magic = bytes.iter().zip(chunk::MAGIC);
        if let Some(offset) = magic.clone().position(|(byte, magic)| byte != magic) {
            return fault(Fault::Magic, offset);
        }
        let Some([.., high, low]) = bytes.first_chunk::<FRAME_HEADER>() else {
            return Ok(None);
        };
        let length = u16::from_be_bytes([*high, *low]);
        match usize::from(length) {
            len if len < FRAME_HEADER => fault(Fault::FrameLength(length), chunk::MAGIC.len()),
            len => Ok(Some(len)),
        }
    }

    /// Decodes a whole frame, as a datagram carries it.
    ///
    /// # Errors
    /// It is malformed, carries no SIP, or lacks a chunk that says the message's path or time.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let fault = |fault, offset| Err(DecodeError { fault, offset });
        let Some(length) = Self::length_of(bytes)? else {
            return fault(Fault::Magic, bytes.len());
        };
        let Some(frame) = bytes.get(..length) else {
            return fault(Fault::FrameLength(length as u16), chunk::MAGIC.len());
        };
        if bytes.len() > length {
            return fault(Fault::Trailing(bytes.len().saturating_sub(length)), length);
        }
        let mut fields = Fields::default();
        let mut at = FRAME_HEADER;
        while let Some(rest) = frame.get(at..).filter(|rest| !rest.is_empty()) {
            let chunk = Chunk::read(rest).map_err(|fault| DecodeError { fault, offset: at })?;
            if chunk.vendor == 0 {
                let taken = fields.take(chunk.kind, chunk.value);
                taken.map_err(|fault| DecodeError { fault, offset: at })?;
            }
            at = at.saturating_add(chunk.length);
        }
        fields.frame().map_err(|fault| DecodeError {
            fault,
            offset: length,
        })
    }
}

struct Chunk<'a> {
    vendor: u16,
    kind: u16,
    length: usize,
    value: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let Some(&[v0, v1, k0, k1, l0, l1]) = bytes.first_chunk::<CHUNK_HEADER>() else {
            return Err(Fault::ShortChunk(bytes.len()));
        };
        let announced = u16::from_be_bytes([l0, l1]);
        let length = usize::from(announced);
        let value = bytes.get(CHUNK_HEADER..length);
        Ok(Self {
            vendor: u16::from_be_bytes([v0, v1]),
            kind: u16::from_be_bytes([k0, k1]),
            length,
            value: value.ok_or(Fault::ChunkLength(announced))?,
        })
    }
}

/// The chunks that were read.
#[derive(Default)]
struct Fields<'a> {
    family: Option<u8>,
    protocol: Option<u8>,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    seconds: Option<u32>,
    microseconds: Option<u32>,
    payload_type: Option<u8>,
    agent: Option<u32>,
    auth_key: Option<&'a [u8]>,
    correlation_id: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, kind: u16, value: &'a [u8]) -> Result<(), Fault> {
        let v4 = |value| fixed(kind, value).map(|octets: [u8; 4]| IpAddr::from(octets));
        let v6 = |value| fixed(kind, value).map(|octets: [u8; 16]| IpAddr::from(octets));
        match kind {
            chunk::FAMILY => set(kind, &mut self.family, byte(kind, value)?),
            chunk::PROTOCOL => set(kind, &mut self.protocol, byte(kind, value)?),
            chunk::SOURCE_V4 => set(kind, &mut self.source, v4(value)?),
            chunk::DESTINATION_V4 => set(kind, &mut self.destination, v4(value)?),
            chunk::SOURCE_V6 => set(kind, &mut self.source, v6(value)?),
            chunk::DESTINATION_V6 => set(kind, &mut self.destination, v6(value)?),
            chunk::SOURCE_PORT => set(kind, &mut self.source_port, short(kind, value)?),
            chunk::DESTINATION_PORT => set(kind, &mut self.destination_port, short(kind, value)?),
            chunk::SECONDS => set(kind, &mut self.seconds, long(kind, value)?),
            chunk::MICROSECONDS => set(kind, &mut self.microseconds, long(kind, value)?),
            chunk::PAYLOAD_TYPE => set(kind, &mut self.payload_type, byte(kind, value)?),
            chunk::AGENT => set(kind, &mut self.agent, long(kind, value)?),
            chunk::AUTH_KEY => set(kind, &mut self.auth_key, value),
            chunk::CORRELATION_ID => set(kind, &mut self.correlation_id, value),
            chunk::PAYLOAD => set(kind, &mut self.payload, value),
            _ => Ok(()),
        }
    }

    fn frame(self) -> Result<Frame<'a>, Fault> {
        let payload_type = need(chunk::PAYLOAD_TYPE, self.payload_type)?;
        let payload_type = u32::from(payload_type);
        if payload_type != u32::from(chunk::SIP) {
            return Err(unknown(chunk::PAYLOAD_TYPE, payload_type));
        }
        let number = need(chunk::PROTOCOL, self.protocol)?;
        let protocol = chunk::protocol(number);
        let protocol = protocol.ok_or_else(|| unknown(chunk::PROTOCOL, number.into()))?;
        let family = need(chunk::FAMILY, self.family)?;
        let (of_source, of_destination, is_of_family): (_, _, fn(&IpAddr) -> bool) = match family {
            chunk::IPV4 => (chunk::SOURCE_V4, chunk::DESTINATION_V4, IpAddr::is_ipv4),
            chunk::IPV6 => (chunk::SOURCE_V6, chunk::DESTINATION_V6, IpAddr::is_ipv6),
            _ => return Err(unknown(chunk::FAMILY, family.into())),
        };
        let source = need(of_source, self.source.filter(is_of_family))?;
        let destination = need(of_destination, self.destination.filter(is_of_family))?;
        let source_port = need(chunk::SOURCE_PORT, self.source_port)?;
        let destination_port = need(chunk::DESTINATION_PORT, self.destination_port)?;
        let seconds = need(chunk::SECONDS, self.seconds)?;
        let microseconds = self.microseconds.unwrap_or(0);
        if microseconds > 999_999 {
            return Err(unknown(chunk::MICROSECONDS, microseconds));
        }
        let since = Duration::from_secs(seconds.into())
            .saturating_add(Duration::from_micros(microseconds.into()));
        let time = UNIX_EPOCH.checked_add(since);
        Ok(Frame {
            time: time.ok_or_else(|| unknown(chunk::SECONDS, seconds))?,
            protocol,
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            agent: self.agent.unwrap_or(0),
            auth_key: self.auth_key,
            correlation_id: self.correlation_id,
            payload: need(chunk::PAYLOAD, self.payload)?,
        })
    }
}

fn set<T>(kind: u16, field: &mut Option<T>, value: T) -> Result<(), Fault> {
    match field.replace(value) {
        Some(_) => Err(Fault::Repeated(kind)),
        None => Ok(()),
    }
}

fn need<T>(kind: u16, field: Option<T>) -> Result<T, Fault> {
    field.ok_or(Fault::Missing(kind))
}

fn unknown(kind: u16, value: u32) -> Fault {
    Fault::Value { kind, value }
}

fn fixed<const N: usize>(kind: u16, value: &[u8]) -> Result<[u8; N], Fault> {
    value.try_into().map_err(|_| Fault::ValueLength(kind))
}

fn byte(kind: u16, value: &[u8]) -> Result<u8, Fault> {
    fixed(kind, value).map(u8::from_be_bytes)
}

fn short(kind: u16, value: &[u8]) -> Result<u16, Fault> {
    fixed(kind, value).map(u16::from_be_bytes)
}

fn long(kind: u16, value: &[u8]) -> Result<u32, Fault> {
    fixed(kind, value).map(u32::from_be_bytes)
}
