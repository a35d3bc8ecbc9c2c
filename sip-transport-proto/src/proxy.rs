//! The PROXY protocol, versions 1 and 2: what a load balancer says about a connection that it passes
//! on, before the first byte of it
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).

use core::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::ConfigError;
use crate::error::ProxyError;

/// Which load balancers are believed when they say who has connected, by the PROXY protocol
/// (versions 1 and 2).
///
/// A connection from one of them must begin with a header. The source that the header names is the
/// connection's remote end from then on: in `received` and `rport`, in events, in the index of
/// connections and for the limit per address, which it meets when the header has come. Where the
/// header names none (`LOCAL`, `UNKNOWN`), that stays the load balancer. Our own end stays as it is:
/// what others are to connect to can be [advertised](crate::ChannelConfig::advertised).
///
/// From all others a header is not read: anybody could claim to be anybody.
///
/// ```
/// use sip_transport_proto::{ChannelConfig, Protocol, ProxyProtocol};
///
/// let trusted = ProxyProtocol::trust(["192.0.2.0/28".parse()?, "2001:db8::/64".parse()?]);
/// let channel = ChannelConfig::new(Protocol::Tcp, "192.0.2.1:5060".parse()?).proxy_protocol(trusted);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProxyProtocol {
    trusted: Vec<IpNet>,
    pub(crate) max_header: usize,
    pub(crate) refuse_others: bool,
}

impl ProxyProtocol {
    /// Load balancers have these addresses.
    pub fn trust(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            trusted: networks.into_iter().collect(),
            max_header: 536,
            refuse_others: false,
        }
    }

    /// How long a header of version 2 may be, in bytes. Default: 536, which fit one segment of TCP
    /// on any path. One of version 1 may have 107.
    ///
    /// # Errors
    /// Less than the 52 bytes of one with IPv6 addresses is refused.
    pub fn max_header(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes < FIXED + IPV6 {
            return Err(ConfigError {
                setting: "max_header",
                expected: "52 or more",
            });
        }
        self.max_header = bytes;
        Ok(self)
    }

    /// Whether connections from elsewhere are closed at once; else they are taken for what they are.
    /// Default: no.
    pub fn refuse_others(mut self, refuse: bool) -> Self {
        self.refuse_others = refuse;
        self
    }

    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted.iter().any(|network| network.contains(&ip))
    }
}

/// The fixed part of version 2, and its addresses for IPv6.
const FIXED: usize = 16;
const IPV6: usize = 36;

const SIGNATURE_V2: &[u8] = ppp::v2::PROTOCOL_PREFIX;
/// Version 2, `LOCAL`: a connection of the load balancer's own, such as a health check.
const LOCAL: u8 = 0x20;

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
    pub(crate) fn new(max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            max,
        }
    }

    /// How many bytes of it have come.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
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
