//! Capture files as an independent reader has them: blocks by pcap-parser, packets by hand.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use pcap_parser::pcapng::{Block, OptionCode};
use pcap_parser::{Linktype, parse_block_le};

/// A packet of a file.
#[derive(Debug)]
pub struct Packet {
    pub interface: String,
    pub time: Duration,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// Of TCP: the sequence number, and whether the segment is pushed.
    pub tcp: Option<(u32, bool)>,
    pub payload: Vec<u8>,
}

/// All packets of a file, which must be well-formed to its end.
pub fn read(mut file: &[u8]) -> Vec<Packet> {
    let mut interfaces = Vec::new();
    let mut packets = Vec::new();
    while !file.is_empty() {
        let (rest, block) = parse_block_le(file).unwrap();
        assert!(rest.len() < file.len() && (file.len() - rest.len()).is_multiple_of(4));
        file = rest;
        match block {
            Block::SectionHeader(section) => assert_eq!(section.section_len, -1),
            Block::InterfaceDescription(interface) => {
                // libpcap, and so sngrep, wants these to be the same for all.
                assert_eq!(interface.linktype, Linktype::ETHERNET);
                assert_eq!(interface.snaplen, 262_144);
                let mut options = interface.options.iter();
                let name = options.find(|o| o.code == OptionCode::IfName).unwrap();
                let name = &name.value[..usize::from(name.len)];
                interfaces.push(String::from_utf8(name.to_vec()).unwrap());
            }
            Block::EnhancedPacket(packet) => {
                let micros = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                assert_eq!(packet.caplen, packet.origlen);
                let data = &packet.data[..packet.caplen as usize];
                packets.push(parse(
                    interfaces[packet.if_id as usize].clone(),
                    Duration::from_micros(micros),
                    data,
                ));
            }
            other => panic!("an unexpected block: {other:?}"),
        }
    }
    packets
}

/// The bytes of each message, in order, with the interface that it is on.
pub fn messages(packets: &[Packet]) -> Vec<(String, Vec<u8>)> {
    let mut messages = Vec::new();
    let mut begun = Vec::new();
    for packet in packets {
        begun.extend_from_slice(&packet.payload);
        if packet.tcp.is_none_or(|(_, is_pushed)| is_pushed) {
            messages.push((packet.interface.clone(), std::mem::take(&mut begun)));
        }
    }
    assert!(begun.is_empty());
    messages
}

fn parse(interface: String, time: Duration, frame: &[u8]) -> Packet {
    let (ethernet, ip) = frame.split_at(14);
    let kind = match ip[0] >> 4 {
        4 => [0x08, 0x00],
        _ => [0x86, 0xDD],
    };
    assert_eq!(ethernet[12..], kind, "the type of Ethernet");
    let short = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
    let (source, destination, kind, at, pseudo) = match ip[0] >> 4 {
        4 => {
            assert_eq!((ip[0] & 15, usize::from(short(2))), (5, ip.len()));
            assert_eq!(sum(&ip[..20]), 0xFFFF, "the header's checksum");
            let address = |at: usize| Ipv4Addr::from([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
            (
                address(12).into(),
                address(16).into(),
                ip[9],
                20,
                &ip[12..20],
            )
        }
        6 => {
            assert_eq!(usize::from(short(4)) + 40, ip.len());
            let address = |at: usize| {
                let octets: [u8; 16] = ip[at..at + 16].try_into().unwrap();
                Ipv6Addr::from(octets)
            };
            let (source, destination) = (address(8), address(24));
            (source.into(), destination.into(), ip[6], 40, &ip[8..40])
        }
        version => panic!("IP of version {version}"),
    };
    let rest = &ip[at..];
    let mut whole = pseudo.to_vec();
    whole.extend_from_slice(&[0, kind]);
    whole.extend_from_slice(&(rest.len() as u16).to_be_bytes());
    whole.extend_from_slice(rest);
    assert_eq!(sum(&whole), 0xFFFF, "the checksum of protocol {kind}");
    let (tcp, header) = match kind {
        17 => {
            assert_eq!(usize::from(short(at + 4)), rest.len());
            (None, 8)
        }
        6 => {
            let sequence: [u8; 4] = rest[4..8].try_into().unwrap();
            let is_pushed = rest[13] & 8 != 0;
            (
                Some((u32::from_be_bytes(sequence), is_pushed)),
                usize::from(rest[12] >> 4) * 4,
            )
        }
        other => panic!("IP protocol {other}"),
    };
    Packet {
        interface,
        time,
        source: SocketAddr::new(source, short(at)),
        destination: SocketAddr::new(destination, short(at + 2)),
        tcp,
        payload: rest[header..].to_vec(),
    }
}

/// The sum of the internet checksum (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    let words = words.map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum
}
