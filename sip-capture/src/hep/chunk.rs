//! The numbers of HEP3.

use sip_transport_proto::Protocol;

pub(super) const MAGIC: &[u8; 4] = b"HEP3";
/// The length of a frame's header: `HEP3` and the length.
pub(super) const FRAME_HEADER: usize = 6;
/// The length of a chunk's header: vendor, type and length.
pub(super) const CHUNK_HEADER: usize = 6;

pub(super) const FAMILY: u16 = 1;
pub(super) const PROTOCOL: u16 = 2;
pub(super) const SOURCE_V4: u16 = 3;
pub(super) const DESTINATION_V4: u16 = 4;
pub(super) const SOURCE_V6: u16 = 5;
pub(super) const DESTINATION_V6: u16 = 6;
pub(super) const SOURCE_PORT: u16 = 7;
pub(super) const DESTINATION_PORT: u16 = 8;
pub(super) const SECONDS: u16 = 9;
pub(super) const MICROSECONDS: u16 = 10;
pub(super) const PAYLOAD_TYPE: u16 = 11;
pub(super) const AGENT: u16 = 12;
pub(super) const AUTH_KEY: u16 = 14;
pub(super) const PAYLOAD: u16 = 15;
pub(super) const CORRELATION_ID: u16 = 17;

/// The address families of HEP3, which are Linux's.
pub(super) const IPV4: u8 = 2;
pub(super) const IPV6: u8 = 10;

/// The payload type of SIP.
pub(super) const SIP: u8 = 1;

pub(super) const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Udp => 17,
        Protocol::Tcp => 6,
        Protocol::Tls => 22,
        Protocol::Ws => 50,
        Protocol::Wss => 51,
    }
}

pub(super) fn protocol(of: u8) -> Option<Protocol> {
    let mut all = Protocol::ALL.into_iter();
    all.find(|protocol| number(*protocol) == of)
}
