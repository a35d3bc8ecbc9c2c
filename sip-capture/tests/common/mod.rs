//! What the tests share.
#![allow(dead_code, unreachable_pub)]

pub mod capture_file;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sip_capture::CapturedMessage;
use sip_capture::sip_transport_proto::Protocol;

pub const OPTIONS: &[u8] = b"OPTIONS sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK776asdhds\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:alice@example.com>;tag=1928301774\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: a84b4c76e66710\r\n\
    CSeq: 314159 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A time with microseconds.
pub fn time(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros)
}

pub fn message(protocol: Protocol, bytes: &[u8]) -> CapturedMessage<'_> {
    let at = time(1_800_000_000_123_456);
    let (source, destination) = (addr("192.0.2.1:49152"), addr("192.0.2.2:5060"));
    CapturedMessage::new(at, protocol, source, destination, bytes)
}
