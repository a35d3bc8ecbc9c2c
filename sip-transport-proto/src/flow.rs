//! What the two words of a [`Flow`] mean here: the way by which a message came.

use core::net::SocketAddr;

use sip_core::Flow;

use crate::ids::TransportId;
use crate::route::Way;
use crate::{ChannelId, ConnectionId, SocketId};

pub(crate) fn encode(channel: ChannelId, way: Way, local: SocketAddr, remote: SocketAddr) -> Flow {
    let first = u64::from(channel.transport.0) << 32 | u64::from(channel.index);
    let second = match way {
        Way::Datagram { socket, .. } => u64::from(socket.index) << 1,
        Way::Connection(connection) => connection.serial << 1 | 1,
    };
    Flow::new([first, second], local, remote)
}

/// The channel and the way; `None` for a flow of another transport.
pub(crate) fn decode(flow: &Flow, transport: TransportId) -> Option<(ChannelId, Way)> {
    let [first, second] = flow.words();
    if first >> 32 != u64::from(transport.0) {
        return None;
    }
    let channel = ChannelId {
        transport,
        index: u32::try_from(first & 0xffff_ffff).ok()?,
    };
    let way = if second & 1 == 1 {
        Way::Connection(ConnectionId {
            transport,
            serial: second >> 1,
        })
    } else {
        let index = u16::try_from(second >> 1).ok()?;
        Way::Datagram {
            socket: SocketId { channel, index },
            source: Some(flow.local().ip()),
        }
    };
    Some((channel, way))
}
