//! The blocks of a file (draft-ietf-opsawg-pcapng), in little-endian order.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1A2B_3C4D;
const MAJOR: u16 = 1;
const MINOR: u16 = 0;
/// The length of a section that is not known.
const UNKNOWN: u64 = u64::MAX;

/// Ethernet. Raw IP would do, but libpcap, and so sngrep, reads a file with several interfaces only
/// where the link type has the number of libpcap's own constant, and raw IP (101) has not.
const LINK_TYPE_ETHERNET: u16 = 1;

/// The most bytes of a packet. None is as long, but with 0, which means no limit, libpcap compares
/// its own maximum with 0 and reads no second interface.
const SNAP_LENGTH: u32 = 262_144;

const END_OF_OPTIONS: u16 = 0;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;

/// The bytes of a block around its body: type, length, and the length again.
const AROUND: usize = 12;

pub(super) fn section_header(out: &mut Vec<u8>) {
    block(SECTION_HEADER, out, |out| {
        out.extend_from_slice(&BYTE_ORDER.to_le_bytes());
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&MINOR.to_le_bytes());
        out.extend_from_slice(&UNKNOWN.to_le_bytes());
        let application = concat!("sip-capture ", env!("CARGO_PKG_VERSION"));
        options(&[(USER_APPLICATION, application)], out);
    });
}

/// All interfaces have the same link type and the same limit of length, as libpcap takes no file
/// where they differ. Times are in microseconds, the default.
pub(super) fn interface_description(name: &str, out: &mut Vec<u8>) {
    block(INTERFACE_DESCRIPTION, out, |out| {
        out.extend_from_slice(&LINK_TYPE_ETHERNET.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&SNAP_LENGTH.to_le_bytes());
        options(&[(INTERFACE_NAME, name)], out);
    });
}

pub(super) fn enhanced_packet(interface: u32, time: SystemTime, packet: &[u8], out: &mut Vec<u8>) {
    block(ENHANCED_PACKET, out, |out| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        // An IP packet has 64 KiB at most.
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let words = [
            interface,
            (micros >> 32) as u32,
            micros as u32,
            length,
            length,
        ];
        words
            .iter()
            .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        padded(packet, out);
    });
}

/// Appends a block, whose length is known once it has its body.
fn block(kind: u32, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&kind.to_le_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let begin = out.len();
    body(out);
    let length = out.len().saturating_sub(begin).saturating_add(AROUND);
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(place) = out.get_mut(length_at..begin) {
        place.copy_from_slice(&length);
    }
    out.extend_from_slice(&length);
}

fn options(all: &[(u16, &str)], out: &mut Vec<u8>) {
    for (code, text) in all {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        padded(text.as_bytes(), out);
    }
    out.extend_from_slice(&END_OF_OPTIONS.to_le_bytes());
    out.extend_from_slice(&0_u16.to_le_bytes());
}

/// Appends bytes, and zeros up to 32 bits.
fn padded(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    let over = bytes.len() % 4;
    let padding = [0; 3];
    out.extend_from_slice(match over {
        0 => &[],
        over => padding.get(over.saturating_sub(1)..).unwrap_or_default(),
    });
}
