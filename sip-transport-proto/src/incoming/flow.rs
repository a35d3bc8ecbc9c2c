//! The encoding of a message's return path in the two words of a [`Flow`], and its text form, the
//! flow token.

use core::fmt::Write as _;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sip_core::Flow;
use sip_core::header::Via;

use crate::config::multicast::{DEFAULT_TTL, Membership};
use crate::ids::{Carrier, ChannelId, ConnectionId, SocketId, TransportId};
use crate::protocol::Protocol;

/// The return path of a request, with the port of its source that a response goes to if its
/// connection is closed or it arrived in a datagram (RFC 3261 §18.2.2, RFC 3581 §4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReturnPath {
    pub(crate) protocol: Protocol,
    pub(crate) channel: ChannelId,
    pub(crate) carrier: Carrier,
    pub(crate) reply_port: u16,
    /// The multicast group that the request asks to send the response to.
    pub(crate) group: Option<ReplyGroup>,
}

/// The mask of a connection's serial number in a flow: 45 bits.
const SERIAL: u64 = (1 << 45) - 1;

pub(crate) fn encode(return_path: ReturnPath, local: SocketAddr, remote: SocketAddr) -> Flow {
    let ReturnPath {
        protocol,
        channel,
        carrier,
        reply_port,
        group,
    } = return_path;
    let first = u64::from(channel.transport.0) << 32 | u64::from(channel.index);
    let carrier = match carrier {
        Carrier::Datagram { socket, .. } => {
            let group = group.map_or(0, |ReplyGroup { index, ttl }| {
                u64::from(ttl) << 8 | (u64::from(index) + 1)
            });
            group << 16 | u64::from(socket.index)
        }
        Carrier::Connection(connection) => connection.serial & SERIAL,
    };
    let second = u64::from(reply_port) << 48 | carrier << 3 | protocol as u64;
    Flow::new([first, second], local, remote)
}

/// Decodes a flow; `None` for one of another transport.
pub(crate) fn decode(flow: &Flow, transport: TransportId) -> Option<ReturnPath> {
    let [first, second] = flow.words();
    if first >> 32 != u64::from(transport.0) {
        return None;
    }
    let channel = ChannelId {
        transport,
        index: u32::try_from(first & 0xffff_ffff).ok()?,
    };
    let reply_port = u16::try_from(second >> 48).ok()?;
    let number = second >> 3 & SERIAL;
    let protocol = Protocol::ALL
        .into_iter()
        .find(|protocol| *protocol as u64 == second & 7)?;
    let mut group = None;
    let carrier = if protocol.is_stream() {
        Carrier::Connection(ConnectionId {
            transport,
            serial: number,
        })
    } else {
        let socket = SocketId {
            channel,
            index: u16::try_from(number & 0xffff).ok()?,
        };
        let [ttl, index] = u16::try_from(number >> 16).ok()?.to_be_bytes();
        group = index.checked_sub(1).map(|index| ReplyGroup { index, ttl });
        Carrier::Datagram {
            socket,
            source: Some(flow.local().ip()),
        }
    };
    Some(ReturnPath {
        protocol,
        channel,
        carrier,
        reply_port,
        group,
    })
}

/// The length of the two words and of both addresses as IPv6 with their ports.
const PAYLOAD: usize = 2 * 8 + 2 * (16 + 2);
/// The length of the signature: RFC 5626 §5.2 takes 80 bits of the hash.
const MAC: usize = 10;

/// The token of a flow: its signature and then the flow, in hexadecimal digits.
pub(crate) fn to_token(flow: &Flow, key: &[u8; 32]) -> String {
    let mut payload = Vec::with_capacity(PAYLOAD);
    for word in flow.words() {
        payload.extend_from_slice(&word.to_be_bytes());
    }
    for addr in [flow.local(), flow.remote()] {
        let ip = match addr.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        payload.extend_from_slice(&ip.octets());
        payload.extend_from_slice(&addr.port().to_be_bytes());
    }
    let mut token = String::with_capacity(2 * (MAC + PAYLOAD));
    for byte in sign(&payload, key).iter().chain(&payload) {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    token
}

pub(crate) fn from_token(token: &str, key: &[u8; 32]) -> Option<Flow> {
    let digits = token.as_bytes();
    if digits.len() != 2 * (MAC + PAYLOAD) {
        return None;
    }
    let mut bytes = Vec::with_capacity(MAC + PAYLOAD);
    for pair in digits.as_chunks::<2>().0 {
        let [high, low] = pair.map(digit);
        bytes.push(high? << 4 | low?);
    }
    let (mac, payload) = bytes.split_at_checked(MAC)?;
    let mut hash = hasher(key);
    hash.update(payload);
    hash.verify_truncated_left(mac).ok()?;
    let (first, rest) = payload.split_first_chunk()?;
    let (second, rest) = rest.split_first_chunk()?;
    let (local, remote) = rest.split_at_checked(18)?;
    let words = [u64::from_be_bytes(*first), u64::from_be_bytes(*second)];
    Some(Flow::new(words, address(local)?, address(remote)?))
}

/// The value of a digit. Only those that [`to_token`] writes are accepted, so that a flow has one
/// token only.
fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_first_chunk::<16>()?;
    let ip = IpAddr::from(Ipv6Addr::from(*ip)).to_canonical();
    Some(SocketAddr::new(
        ip,
        u16::from_be_bytes(*port.first_chunk()?),
    ))
}

fn sign(payload: &[u8], key: &[u8; 32]) -> [u8; MAC] {
    let mut hash = hasher(key);
    hash.update(payload);
    let full = hash.finalize().into_bytes();
    full.first_chunk().copied().unwrap_or_default()
}

fn hasher(key: &[u8; 32]) -> Hmac<Sha256> {
    // An HMAC key may have any length; 32 bytes fit the block.
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

/// The joined multicast group that a request asks to send its response to, with the TTL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ReplyGroup {
    /// Its index among the channel's memberships.
    pub(crate) index: u8,
    pub(crate) ttl: u8,
}

impl ReplyGroup {
    /// The group and TTL in a request's top Via, if its `maddr` is among these groups.
    pub(crate) fn read(via: &Via<'_>, groups: &[Membership]) -> Option<Self> {
        let maddr = via.maddr()?.ip()?;
        let index = groups.iter().position(|joined| joined.group == maddr)?;
        Some(Self {
            index: u8::try_from(index).ok()?,
            ttl: via.ttl().unwrap_or(DEFAULT_TTL),
        })
    }
}
