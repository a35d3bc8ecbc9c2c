use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};

use bytes::Bytes;

use crate::ids::{ChannelId, ConnectionId, SendId};
use crate::protocol::Protocol;

/// One end of a message's way: protocol and address, and the channel and connection if known.
///
/// Prints as `udp:192.0.2.1:5060`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct SipEndpoint {
    /// The protocol.
    pub protocol: Protocol,
    /// The socket address.
    pub addr: SocketAddr,
    /// The channel that the message came in or went out on.
    pub channel: Option<ChannelId>,
    /// The connection, for stream protocols.
    pub connection: Option<ConnectionId>,
}

impl SipEndpoint {
    /// An end point of which only protocol and address are known: a destination.
    pub const fn new(protocol: Protocol, addr: SocketAddr) -> Self {
        Self {
            protocol,
            addr,
            channel: None,
            connection: None,
        }
    }

    /// Hints that send a message out the way this one came in: over the same connection, or on
    /// the same channel and from the same local address. Meant for a received message's `local`.
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

/// Wishes of the application for the way out of a message.
///
/// A wish is followed or, where that cannot be, overruled with a reason in [`Sent`](crate::Sent).
/// A connection wins over a channel that disagrees with it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hints {
    /// Send on this channel.
    pub channel: Option<ChannelId>,
    /// Send over this connection, whatever the destination is.
    pub connection: Option<ConnectionId>,
    /// Send from this local address, where the channel is bound to all of them.
    pub local: Option<IpAddr>,
}

/// An address as the rest of the crate compares it: an IPv4 address mapped into IPv6 as IPv4, no
/// flow label, a scope id only where it means something (link-local).
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
    /// Where to.
    pub destination: SocketAddr,
    /// Where from, if the socket has several addresses.
    pub source: Option<IpAddr>,
    /// The TTL to send it with, where it goes to a group.
    pub ttl: Option<u8>,
    /// What.
    pub bytes: Bytes,
    /// The send it belongs to, if to one.
    pub send: Option<SendId>,
}

/// Whether that is the address of one host: not of a group or everybody, which nothing may come
/// from, and no response go to (RFC 1122 §3.2.1.3, RFC 4475 §3.3.10).
pub(crate) fn is_one_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let everybody = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(everybody || ip.is_multicast() || ip.is_unspecified())
}
