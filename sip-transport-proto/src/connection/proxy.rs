//! The PROXY protocol, versions 1 and 2: what a load balancer says about a connection that it passes
//! on, before the first byte of it
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).

use core::net::SocketAddr;

use crate::config::proxy::{FIXED, ProxyProtocol};
use crate::error::ProxyError;

const SIGNATURE_V2: &[u8] = ppp::v2::PROTOCOL_PREFIX;
/// Version 2, `LOCAL`: a connection of the load balancer's own, such as a health check.
pub(crate) const LOCAL: u8 = 0x20;

const SIGNATURE_V1: &[u8] = b"PROXY ";
const UNKNOWN_V1: &[u8] = b"PROXY UNKNOWN";
const MAX_V1: usize = 107;

/// A header as it comes in. It holds what has come of it, never what it announces.
#[derive(Debug)]
pub(crate) struct Header {
    bytes: Vec<u8>,
    max: usize,
}

/// Who has connected, where the header says that.
pub(crate) type Source = Option<SocketAddr>;

impl Header {
    pub(crate) fn of(proxy: &ProxyProtocol) -> Self {
        Self {
            bytes: Vec::new(),
            max: proxy.max_header,
        }
    }

    /// Takes bytes up to the end of the header, and says how many; and what the header says, once
    /// it is complete. Each byte is looked at when it comes, so that it does not matter how they
    /// are cut.
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
        // Whatever stands behind it is to be ignored.
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
        // Whatever stands behind it is to be ignored.
        if command == LOCAL {
            return Ok(Some(None));
        }
        let header = ppp::v2::Header::try_from(self.bytes.as_slice());
        let header = header.map_err(|_| ProxyError::Malformed { version: 2 })?;
        if header.protocol != ppp::v2::Protocol::Stream {
            // It says nothing about a stream.
            return Ok(Some(None));
        }
        Ok(Some(match header.addresses {
            ppp::v2::Addresses::IPv4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
            ppp::v2::Addresses::IPv6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
            ppp::v2::Addresses::Unspecified | ppp::v2::Addresses::Unix(_) => None,
        }))
    }
}
