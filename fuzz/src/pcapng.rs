use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use sip_capture::{CapturedMessage, pcapng};
use sip_transport_proto::Protocol;

use crate::capture_file;

/// Whatever messages are written, an independent reader finds them in the file, byte by byte, each
/// on the interface of its channel and with checksums that hold; no flow has a gap.
///
/// A message of the input is a byte for protocol, family and size, one for the path, one for its
/// length, and its bytes.
pub fn pcapng(mut data: &[u8]) {
    let mut writer = pcapng::Writer::new();
    let mut file = Vec::new();
    let mut expected = Vec::new();
    while let Some((&[kind, path, length], rest)) = data.split_first_chunk() {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(length)));
        data = rest;
        let bytes = match kind & 0x40 {
            0 => bytes.to_vec(),
            // Over several packets.
            _ => bytes.repeat(300),
        };
        if bytes.is_empty() {
            continue;
        }
        let ip = |octet: u8| match kind & 0x80 {
            0 => IpAddr::from([192, 0, 2, octet]),
            _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(octet)]),
        };
        let protocol = Protocol::ALL[usize::from(kind & 7) % 5];
        let (ours, theirs) = (
            SocketAddr::new(ip(path & 1), 5060),
            SocketAddr::new(ip(2), 5060 + u16::from(path >> 4)),
        );
        let (source, destination) = match path & 2 {
            0 => (ours, theirs),
            _ => (theirs, ours),
        };
        let time = UNIX_EPOCH + Duration::from_secs(path.into());
        let message = CapturedMessage::new(time, protocol, source, destination, &bytes);
        writer.write(ours, &message, &mut file);
        expected.push((format!("{protocol}:{ours}"), bytes));
    }
    let packets = capture_file::read(&file);
    assert_eq!(capture_file::messages(&packets), expected);
    let mut next = std::collections::BTreeMap::new();
    for packet in &packets {
        if let Some((sequence, _)) = packet.tcp {
            let flow = (packet.source, packet.destination);
            let after = sequence.wrapping_add(packet.payload.len() as u32);
            let expected = next.insert(flow, after);
            assert!(
                expected.is_none_or(|expected| expected == sequence),
                "{flow:?}"
            );
        }
    }
}
