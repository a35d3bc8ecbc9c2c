//! The parser of PROXY protocol headers, versions 1 and 2, which a load balancer sends ahead of the
//! first byte of a connection that it forwards
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).

use core::net::SocketAddr;

use crate::config::proxy::{FIXED, ProxyProtocol};
use crate::error::ProxyError;

const SIGNATURE_V2: &[u8] = ppp::v2::PROTOCOL_PREFIX;
/// The command `LOCAL` of version 2: a connection of the load balancer's own, such as a health
/// check.
pub(crate) const LOCAL: u8 = 0x20;

const SIGNATURE_V1: &[u8] = b"PROXY ";
const UNKNOWN_V1: &[u8] = b"PROXY UNKNOWN";
const MAX_V1: usize = 107;

/// A header being received. It stores the bytes received, never the length that is announced.
#[derive(Debug)]
pub(crate) struct Header {
    bytes: Vec<u8>,
    max: usize,
}

/// The source of a connection, if the header names one.
pub(crate) type Source = Option<SocketAddr>;

impl Header {
    pub(crate) fn of(proxy: &ProxyProtocol) -> Self {
        Self {
            bytes: Vec::new(),
            max: proxy.max_header,
        }
    }

    /// The number of bytes received so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes bytes up to the end of the header, and returns their number and, once the header is
    /// complete, its source. Each byte is examined as it arrives, so the result does not depend on
    /// how the bytes are split.
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<(usize, Option<Source>), ProxyError> {
        for (before, &byte) in data.iter().enumerate() {
            self.bytes.push(byte);
            if let Some(source) = self.read()? {
                return Ok((before.saturating_add(1), Some(source)));
            }
        }
        Ok((data.len(), None))
    }

    fn read(&self) -> Result<Option<Source>, ProxyError> {
        let begins = |signature: &[u8]| {
            let len = self.bytes.len().min(signature.len());
            self.bytes.get(..len) == signature.get(..len)
        };
        if begins(SIGNATURE_V1) {
            self.read_v1()
        } else if begins(SIGNATURE_V2) {
            self.read_v2()
        } else {
            Err(ProxyError::NoHeader)
        }
    }

    fn read_v1(&self) -> Result<Option<Source>, ProxyError> {
        if !self.bytes.ends_with(b"\r\n") {
            let full = self.bytes.len() >= MAX_V1;
            return if full {
                Err(ProxyError::TooLong { limit: MAX_V1 })
            } else {
                Ok(None)
            };
        }
        // Anything after it is to be ignored.
        if let Some(rest) = self.bytes.strip_prefix(UNKNOWN_V1)
            && matches!(rest, [b' ' | b'\r', ..])
        {
            return Ok(Some(None));
        }
        let header = ppp::v1::Header::try_from(self.bytes.as_slice());
        match header
            .map_err(|_| ProxyError::Malformed { version: 1 })?
            .addresses
        {
            ppp::v1::Addresses::Unknown => Ok(Some(None)),
            ppp::v1::Addresses::Tcp4(tcp) => {
                Ok(Some(Some((tcp.source_address, tcp.source_port).into())))
            }
            ppp::v1::Addresses::Tcp6(tcp) => {
                Ok(Some(Some((tcp.source_address, tcp.source_port).into())))
            }
        }
    }

    fn read_v2(&self) -> Result<Option<Source>, ProxyError> {
        let Some(&[command, _, high, low]) = self.bytes.get(SIGNATURE_V2.len()..FIXED) else {
            return Ok(None);
        };
        let len = FIXED.saturating_add(u16::from_be_bytes([high, low]).into());
        if len > self.max {
            return Err(ProxyError::TooLong { limit: self.max });
        }
        if self.bytes.len() < len {
            return Ok(None);
        }
        // Anything after it is to be ignored.
        if command == LOCAL {
            return Ok(Some(None));
        }
        let header = ppp::v2::Header::try_from(self.bytes.as_slice());
        let header = header.map_err(|_| ProxyError::Malformed { version: 2 })?;
        if header.protocol != ppp::v2::Protocol::Stream {
            // The header does not describe a stream.
            return Ok(Some(None));
        }
        Ok(Some(match header.addresses {
            ppp::v2::Addresses::IPv4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
            ppp::v2::Addresses::IPv6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
            ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_) => None,
        }))
    }
}
