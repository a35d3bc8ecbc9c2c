//! Capture files, read by an independent reader.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, UNIX_EPOCH};

use common::{OPTIONS, addr, capture_file, message};
use proptest::prelude::*;
use sip_capture::sip_transport_proto::Protocol;
use sip_capture::{CapturedMessage, pcapng};

#[test]
fn each_channel_is_an_interface_that_its_name_says() {
    let mut writer = pcapng::Writer::new();
    let mut file = Vec::new();
    for protocol in Protocol::ALL {
        for channel in ["192.0.2.2:5060", "[2001:db8::2]:5060"] {
            writer.write(addr(channel), &message(protocol, OPTIONS), &mut file);
            writer.write(addr(channel), &message(protocol, OPTIONS), &mut file);
        }
    }
    let packets = capture_file::read(&file);
    let names: Vec<_> = packets.iter().map(|p| p.interface.as_str()).collect();
    assert_eq!(names.len(), 20);
    assert_eq!(
        &names[..4],
        [
            "udp:192.0.2.2:5060",
            "udp:192.0.2.2:5060",
            "udp:[2001:db8::2]:5060",
            "udp:[2001:db8::2]:5060"
        ]
    );
    assert_eq!(&names[18..], ["wss:[2001:db8::2]:5060"; 2]);
}

#[test]
fn a_packet_has_the_path_and_time_of_its_message() {
    for (source, destination) in [
        ("192.0.2.1:49152", "192.0.2.2:5061"),
        ("[2001:db8::1]:49152", "[2001:db8::2]:5061"),
    ] {
        for protocol in Protocol::ALL {
            let time = UNIX_EPOCH + Duration::from_micros(1_800_000_000_123_456);
            let (source, destination) = (addr(source), addr(destination));
            let message = CapturedMessage::new(time, protocol, source, destination, OPTIONS);
            let mut file = Vec::new();
            pcapng::Writer::new().write(destination, &message, &mut file);
            let packets = capture_file::read(&file);
            let [packet] = &packets[..] else { panic!() };
            assert_eq!((packet.source, packet.destination), (source, destination));
            assert_eq!(UNIX_EPOCH + packet.time, time);
            let is_tcp = matches!(protocol, Protocol::Tcp | Protocol::Tls);
            assert_eq!(packet.tcp.is_some(), is_tcp);
            assert_eq!(packet.payload, OPTIONS);
        }
    }
}

#[test]
fn addresses_of_two_families_become_ipv6() {
    let mut message = message(Protocol::Udp, OPTIONS);
    message.destination = addr("[2001:db8::2]:5060");
    let mut file = Vec::new();
    pcapng::Writer::new().write(message.destination, &message, &mut file);
    let packets = capture_file::read(&file);
    assert_eq!(packets[0].source, addr("[::ffff:192.0.2.1]:49152"));
}

#[test]
fn the_segments_of_a_flow_have_no_gap_and_no_flow_goes_back() {
    let large = vec![b'x'; 100_000];
    let mut writer = pcapng::Writer::new();
    let mut file = Vec::new();
    let there = message(Protocol::Tls, &large);
    let (from, to) = (there.destination, there.source);
    let back = CapturedMessage::new(there.time, there.protocol, from, to, OPTIONS);
    for message in [&there, &back, &there, &back] {
        writer.write(addr("192.0.2.2:5061"), message, &mut file);
    }
    let packets = capture_file::read(&file);
    for from in [there.source, back.source] {
        let mut expected = None;
        for packet in packets.iter().filter(|p| p.source == from) {
            let (sequence, _) = packet.tcp.unwrap();
            assert_eq!(sequence, expected.unwrap_or(sequence));
            expected = Some(sequence.wrapping_add(packet.payload.len() as u32));
        }
    }
    let read = capture_file::messages(&packets);
    let lengths: Vec<_> = read.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [100_000, OPTIONS.len(), 100_000, OPTIONS.len()]);
}

fn messages() -> impl Strategy<Value = Vec<(usize, Vec<u8>, u16)>> {
    let bytes = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 1..600),
        1 => (60_000..140_000_usize).prop_map(|len| vec![b'y'; len]),
    ];
    prop::collection::vec((0..5_usize, bytes, 0..4_u16), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_file_holds_the_bytes_of_all_messages_in_order(all in messages()) {
        let mut writer = pcapng::Writer::new();
        let mut file = Vec::new();
        let mut expected = Vec::new();
        for (protocol, bytes, port) in &all {
            let protocol = Protocol::ALL[*protocol];
            let channel = std::net::SocketAddr::new([192, 0, 2, 2].into(), 5060 + port);
            let mut message = message(protocol, bytes);
            message.destination = channel;
            writer.write(channel, &message, &mut file);
            expected.push((format!("{protocol}:{channel}"), bytes.clone()));
        }
        prop_assert_eq!(capture_file::messages(&capture_file::read(&file)), expected);
    }
}
