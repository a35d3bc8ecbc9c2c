//! pcapng, the format of capture files that Wireshark and sngrep read.
//!
//! Messages are written as IP packets made for them, over Ethernet, since sngrep reads no exported
//! PDUs: over TCP and TLS as segments with the sequence numbers of their flow, over UDP
//! and WebSocket as UDP datagrams. WebSocket has messages as UDP has, and its usual ports over TCP
//! would be read as HTTP. What is secure is in clear, under the port of its channel.
//!
//! Each channel is an interface of the file, named as `tls:192.0.2.2:5061`.
//!
//! sngrep 1.6 reads no message over 20 KB; Wireshark has no limit.

mod block;
mod flows;
mod packet;

use core::net::SocketAddr;
use std::collections::BTreeMap;

use sip_transport_proto::Protocol;

use crate::message::CapturedMessage;
use crate::pcapng::flows::Flows;

/// The most interfaces in a file; channels beyond share the last.
const INTERFACES_MAX: usize = 4_096;

/// A writer of one file.
///
/// It makes bytes, to be written to the file in order; a new file needs a new writer.
#[derive(Debug, Default)]
pub struct Writer {
    has_header: bool,
    interfaces: BTreeMap<(Protocol, SocketAddr), u32>,
    flows: Flows,
}

impl Writer {
    /// A writer of a new file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message to `out`, and before it what the file lacks: its header, and the interface
    /// of the channel, which is bound to `channel`
    /// ([`Tapped::bound`](sip_transport_proto::Tapped::bound)).
    pub fn write(&mut self, channel: SocketAddr, message: &CapturedMessage<'_>, out: &mut Vec<u8>) {
        if !self.has_header {
            block::section_header(out);
            self.has_header = true;
        }
        let interface = self.interface((message.protocol, channel), out);
        packet::write(message, &mut self.flows, |packet| {
            block::enhanced_packet(interface, message.time, packet, out);
        });
    }

    fn interface(&mut self, channel: (Protocol, SocketAddr), out: &mut Vec<u8>) -> u32 {
        if let Some(interface) = self.interfaces.get(&channel) {
            return *interface;
        }
        let count = self.interfaces.len();
        let interface = u32::try_from(count).unwrap_or(u32::MAX);
        if count >= INTERFACES_MAX {
            return interface.saturating_sub(1);
        }
        let (protocol, address) = channel;
        block::interface_description(&format!("{protocol}:{address}"), out);
        self.interfaces.insert(channel, interface);
        interface
    }
}
