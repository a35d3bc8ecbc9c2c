//! A message as a capture records it.

use core::net::SocketAddr;
use std::time::SystemTime;

use sip_transport_proto::{Direction, Protocol, Tapped};

/// A SIP message with its path and time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CapturedMessage<'a> {
    /// The time at which it was received or sent.
    pub time: SystemTime,
    /// The protocol that carried it.
    pub protocol: Protocol,
    /// The address of its sender.
    pub source: SocketAddr,
    /// The address of its recipient.
    pub destination: SocketAddr,
    /// The message, without the TLS and WebSocket around it.
    pub bytes: &'a [u8],
}

impl<'a> CapturedMessage<'a> {
    /// A message with its path and time.
    pub const fn new(
        time: SystemTime,
        protocol: Protocol,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &'a [u8],
    ) -> Self {
        Self {
            time,
            protocol,
            source,
            destination,
            bytes,
        }
    }

    /// The message that a tap was shown. `time` is the wall clock's at [`Tapped::at`].
    pub const fn from_tapped(tapped: &Tapped<'a>, time: SystemTime) -> Self {
        let (local, remote) = (tapped.local.addr, tapped.remote.addr);
        let (source, destination) = match tapped.direction {
            Direction::In => (remote, local),
            Direction::Out => (local, remote),
        };
        Self::new(
            time,
            tapped.local.protocol,
            source,
            destination,
            tapped.bytes,
        )
    }
}
