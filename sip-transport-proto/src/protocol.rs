//! The transport protocols of SIP, and the address families they run over.

use core::fmt;
use core::net::IpAddr;

/// A transport protocol of SIP (RFC 3261 §18, RFC 7118).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new one is for its users to consider"
)]
pub enum Protocol {
    /// Datagrams over UDP.
    Udp,
    /// A stream over TCP.
    Tcp,
    /// A stream over TLS over TCP.
    Tls,
    /// WebSocket over TCP (RFC 7118).
    Ws,
    /// WebSocket over TLS over TCP (RFC 7118).
    Wss,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The name of the transport in a Via header (RFC 3261 §20.42, RFC 7118 §5.1).
    pub const fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The protocol that a Via's transport or a URI's `transport` parameter names, ignoring case.
    ///
    /// `wss` in a URI is not registered (RFC 7118 §5.2) but is in use, and accepted with the
    /// obvious meaning.
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.via_token().eq_ignore_ascii_case(token))
    }

    /// The default port of the protocol (RFC 3261 §18.1.1, RFC 7118 §5.5).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Returns true for a stream protocol: one that is reliable in the sense of RFC 3261 §17.
    pub const fn is_stream(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Returns true for a protocol that protects its payload, as `sips` requires (RFC 3261
    /// §26.2.2).
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Returns true if the features of this build include the protocol.
    pub const fn is_compiled_in(self) -> bool {
        match self {
            Self::Udp | Self::Tcp => true,
            Self::Tls => cfg!(feature = "tls"),
            Self::Ws => cfg!(feature = "ws"),
            Self::Wss => cfg!(all(feature = "tls", feature = "ws")),
        }
    }

    /// Returns true for WebSocket, plain or secure.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Returns true if a target that asks for `self` may be reached over `other`: the same
    /// protocol, or the same with protection added.
    pub(crate) const fn is_served_by(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Udp, Self::Udp)
                | (Self::Tcp, Self::Tcp | Self::Tls)
                | (Self::Tls, Self::Tls)
                | (Self::Ws, Self::Ws | Self::Wss)
                | (Self::Wss, Self::Wss)
        )
    }
}

/// The short form, as in `udp:192.0.2.1:5060`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        })
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "there are only these")]
pub enum Family {
    /// IPv4: A records.
    Ipv4,
    /// IPv6: AAAA records.
    Ipv6,
}

impl Family {
    /// The family of an address; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Ipv4 => Self::Ipv6,
            Self::Ipv6 => Self::Ipv4,
        }
    }
}
