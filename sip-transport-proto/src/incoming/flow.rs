//! The encoding of a message's return path in the two words of a [`Flow`].

use core::net::SocketAddr;

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
