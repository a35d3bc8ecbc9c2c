//! The packets of a message.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::err::packet::BuildVecWriteError;
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};

use crate::message::CapturedMessage;
use crate::pcapng::flows::Flows;

/// The most bytes in a UDP datagram over IPv4.
const DATAGRAM_MAX: usize = 65_507;
/// The most bytes in a TCP segment: with headers less than the 20,480 that sngrep takes.
const SEGMENT_MAX: usize = 16_384;

const TTL: u8 = 64;
const WINDOW: u16 = u16::MAX;

/// Makes the packets of a message.
pub(super) fn write(
    message: &CapturedMessage<'_>,
    flows: &mut Flows,
    mut packet: impl FnMut(&[u8]),
) {
    let (source, destination) = (message.source, message.destination);
    let (from, to) = (source.port(), destination.port());
    let mut write = |build: &dyn Fn(&mut Vec<u8>) -> Result<(), BuildVecWriteError>| {
        let mut bytes = Vec::new();
        // It fails for lengths that IP cannot say, and those are bounded here.
        if build(&mut bytes).is_ok() {
            packet(&bytes);
        }
    };
    let has_boundaries = !message.protocol.is_stream() || message.protocol.is_websocket();
    if has_boundaries && message.bytes.len() <= DATAGRAM_MAX {
        write(&|out| {
            let udp = ip(source, destination).udp(from, to);
            udp.write_to_vec(out, message.bytes)
        });
        return;
    }
    let mut segments = message.bytes.chunks(SEGMENT_MAX).peekable();
    while let Some(segment) = segments.next() {
        let length = segment.len() as u32;
        let (sequence, other) = flows.take(source, destination, length);
        let is_last = segments.peek().is_none();
        write(&|out| {
            let tcp = ip(source, destination).tcp(from, to, sequence, WINDOW);
            let tcp = tcp.ack(other);
            let tcp = if is_last { tcp.psh() } else { tcp };
            tcp.write_to_vec(out, segment)
        });
    }
}

/// The Ethernet and IP headers; of addresses of two families, the IPv4 one is mapped.
fn ip(source: SocketAddr, destination: SocketAddr) -> PacketBuilderStep<IpHeaders> {
    // The addresses below IP are not known.
    let ethernet = PacketBuilder::ethernet2([0; 6], [0; 6]);
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet.ipv4(source.octets(), destination.octets(), TTL)
        }
        (source, destination) => ethernet.ipv6(v6(source).octets(), v6(destination).octets(), TTL),
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}
