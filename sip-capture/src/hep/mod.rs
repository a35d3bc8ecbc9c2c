//! HEP3 (EEP), the protocol in which Homer and other collectors take captured messages.
//!
//! A frame is `HEP3`, its length in 16 bits, and chunks: vendor, type and length in 16 bits each,
//! and a value. The chunks of vendor 0 that are read and written here, by the HEP3 proposal of the
//! Homer project (rev. 12, <https://github.com/sipcapture/HEP>):
//!
//! | type | value | |
//! |---|---|---|
//! | 1, 2 | 8 bits | address family (2 or 10), and the protocol's number, see below |
//! | 3, 4; 5, 6 | address | source and destination: IPv4; IPv6 |
//! | 7, 8 | 16 bits | source and destination port |
//! | 9, 10 | 32 bits | seconds since 1970, and microseconds |
//! | 11 | 8 bits | the type of payload: 1 is SIP |
//! | 12 | 32 bits | the id of the capture agent |
//! | 14 | text | the authentication key |
//! | 15 | bytes | the payload |
//! | 17 | text | the correlation id: of SIP, the Call-ID |
//!
//! Protocols have the numbers of IP, and those that IP has none for have the ones that Kamailio and
//! OpenSIPS send: UDP 17, TCP 6, TLS 22, WebSocket 50. For secure WebSocket there is no custom; it
//! is 51 here.
//!
//! Frames over TCP and TLS follow each other without anything between.

mod chunk;
mod decode;
mod encode;
mod error;

use core::net::SocketAddr;
use std::time::SystemTime;

use sip_transport_proto::Protocol;

pub use encode::Encoder;
pub use error::{DecodeError, EncodeError, Fault};

/// The largest frame in bytes.
pub const FRAME_MAX: usize = u16::MAX as usize;

/// A decoded HEP3 frame that carries SIP.
///
/// Chunks of other vendors and types are skipped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// The time at which the message was captured, in whole microseconds.
    pub time: SystemTime,
    /// The protocol that carried the message.
    pub protocol: Protocol,
    /// The address of the message's sender.
    pub source: SocketAddr,
    /// The address of the message's recipient.
    pub destination: SocketAddr,
    /// The id of the capture agent.
    pub agent: u32,
    /// The authentication key.
    pub auth_key: Option<&'a [u8]>,
    /// The correlation id: the Call-ID.
    pub correlation_id: Option<&'a [u8]>,
    /// The message.
    pub payload: &'a [u8],
}
