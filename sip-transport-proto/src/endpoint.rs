//! One end of a message's path, hints for choosing it, and the datagrams to send.

use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use bytes::Bytes;

use crate::ids::{Carrier, ChannelId, ConnectionId, SendId};
use crate::protocol::Protocol;

/// One end of a message's path: protocol and address, and the channel and connection if known.
///
/// Prints as `udp:192.0.2.1:5060`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct SipEndpoint {
    /// The protocol.
    pub protocol: Protocol,
    /// The socket address.
    pub addr: SocketAddr,
    /// The channel that the message was received or sent on.
    pub channel: Option<ChannelId>,
    /// The connection, for stream protocols.
    pub connection: Option<ConnectionId>,
}

impl SipEndpoint {
    /// An endpoint of which only protocol and address are known: a destination.
    pub const fn new(protocol: Protocol, addr: SocketAddr) -> Self {
        Self {
            protocol,
            addr,
            channel: None,
            connection: None,
        }
    }

    /// An end of what a carrier of a channel carries.
    pub(crate) const fn carried(
        protocol: Protocol,
        addr: SocketAddr,
        channel: ChannelId,
        carrier: Carrier,
    ) -> Self {
        Self {
            protocol,
            addr,
            channel: Some(channel),
            connection: carrier.connection(),
        }
    }

    /// Hints that send a message along the path of this one: over the same connection, or on the
    /// same channel and from the same local address. Intended for a received message's `local`.
    ///
    /// ```
    /// # use sip_transport_proto::{Protocol, SipEndpoint};
    /// let destination = SipEndpoint::new(Protocol::Tcp, "192.0.2.1:5060".parse()?);
    /// assert!(destination.hints().channel.is_none());
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub const fn hints(&self) -> Hints {
        Hints {
            channel: self.channel,
            connection: self.connection,
            local: Some(self.addr.ip()),
        }
    }
}

impl fmt::Display for SipEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.protocol, self.addr)
    }
}

/// The application's preferences for the path of an outgoing message.
///
/// A hint is followed or, if that is impossible, overruled with a reason given in
/// [`Sent`](crate::Sent). A connection takes precedence over a channel that disagrees with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by users field by field")]
pub struct Hints {
    /// The channel to send on.
    pub channel: Option<ChannelId>,
    /// The connection to send over, whatever the destination is.
    pub connection: Option<ConnectionId>,
    /// The local address to send from, if the channel is bound to the unspecified address.
    pub local: Option<IpAddr>,
}

/// The form of an address that the crate compares: an IPv4-mapped IPv6 address becomes IPv4, the
/// flow label is dropped, and a scope id is kept only where it has a meaning (link-local and
/// multicast).
pub(crate) fn normalise(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(_) => addr,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddrV4::new(v4, v6.port()).into(),
            None => {
                let scope = if v6.ip().is_unicast_link_local() || v6.ip().is_multicast() {
                    v6.scope_id()
                } else {
                    0
                };
                SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope).into()
            }
        },
    }
}

/// A datagram to send.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transmit {
    /// The destination.
    pub destination: SocketAddr,
    /// The source address, if the socket has several.
    pub source: Option<IpAddr>,
    /// The TTL, if the destination is a multicast group.
    pub ttl: Option<u8>,
    /// The payload.
    pub bytes: Bytes,
    /// The send that it belongs to, if any.
    pub send: Option<SendId>,
}

/// Returns true for the address of a single host: not a multicast group, broadcast or unspecified
/// address, which cannot be a source and must not be the destination of a response (RFC 1122
/// §3.2.1.3, RFC 4475 §3.3.10).
pub(crate) fn is_one_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let everybody = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(everybody || ip.is_multicast() || ip.is_unspecified())
}
