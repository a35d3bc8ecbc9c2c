//! The options of a send.

use crate::config::Substitution;
use crate::config::keep::Keep;
use crate::config::response_policy::ResponsePolicy;
use crate::config::size_rule::SizeRule;
use crate::endpoint::{Hints, SipEndpoint};
use crate::ids::{ChannelId, ConnectionId};
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;
use crate::tls::{TlsChoice, TlsName};

/// The options of one send.
///
/// ```
/// use sip_transport_proto::{Keep, Protocol, SendOptions, SipEndpoint};
///
/// let proxy = SipEndpoint::new(Protocol::Tcp, "192.0.2.1:5060".parse()?);
/// // A REGISTER to an outbound proxy, whose flow is kept alive (RFC 5626).
/// let options = SendOptions::new().to(proxy).keep(Keep::new().required());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "options do nothing until they are given to a send"]
#[derive(Clone, Debug, Default)]
pub struct SendOptions {
    pub(crate) to: Option<SipEndpoint>,
    pub(crate) hints: Hints,
    pub(crate) substitution: Option<Substitution>,
    pub(crate) fill_forwarded: bool,
    pub(crate) name: Option<TlsName>,
    pub(crate) tls: TlsChoice,
    pub(crate) keep: Option<Keep>,
    pub(crate) multicast_ttl: Option<u8>,
    pub(crate) size_rule: Option<SizeRule>,
    pub(crate) responses: Option<ResponsePolicy>,
    pub(crate) draw_by: Option<[u8; 32]>,
    pub(crate) new_connection: bool,
}

impl SendOptions {
    /// The defaults: the destination in the message, on the channel that fits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends to this protocol and address, regardless of the message. A connection named in it
    /// counts as a hint.
    pub fn to(mut self, destination: SipEndpoint) -> Self {
        self.to = Some(destination);
        self
    }

    /// Sets the name that the peer must authenticate as over TLS, and that a WebSocket upgrade asks
    /// for. By default it is the domain that the message is for (RFC 5922 §7.3): the host of the
    /// next hop's URI, or for a response the sent-by of its top Via.
    pub fn name(mut self, name: TlsName) -> Self {
        self.name = Some(name);
        self
    }

    /// Connects under this TLS configuration, in place of the channel's and the transport's. The
    /// message uses no connection that was opened under another, unless a hint or the flow of a
    /// response names it. So keep one configuration for all sends that are to share connections,
    /// and clone it: one that is built anew is a different one.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = TlsChoice(Some(tls));
        self
    }

    /// Asks for a channel.
    pub fn channel(mut self, channel: ChannelId) -> Self {
        self.hints.channel = Some(channel);
        self
    }

    /// Asks for a connection: the message is sent over it regardless of its destination.
    pub fn connection(mut self, connection: ConnectionId) -> Self {
        self.hints.connection = Some(connection);
        self
    }

    /// Sets all hints together, such as [`SipEndpoint::hints`].
    pub fn hints(mut self, hints: Hints) -> Self {
        self.hints = hints;
        self
    }

    /// Sets how placeholders are filled in, for this message only.
    pub fn substitution(mut self, substitution: Substitution) -> Self {
        self.substitution = Some(substitution);
        self
    }

    /// Keeps alive the flow over which the message is sent. See [`Keep`].
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Sets the TTL of a datagram to a group. Default: the `ttl` of the next hop's URI, or for a
    /// response that of its top Via, else 1 (RFC 3261 §18.1.1, §18.2.2).
    pub fn multicast_ttl(mut self, ttl: u8) -> Self {
        self.multicast_ttl = Some(ttl);
        self
    }

    /// Sets the size above which TCP is used instead of UDP, for this message only.
    pub fn size_rule(mut self, rule: SizeRule) -> Self {
        self.size_rule = Some(rule);
        self
    }

    /// Uses these bytes to choose among servers of equal priority, instead of chance: the same
    /// bytes select the same server, unless it has failed recently. For a stateless proxy, whose
    /// retransmissions, CANCEL and ACK must follow the request (RFC 3263 §4.4): derive the bytes
    /// from what they share, as its branch is.
    pub fn draw_by(mut self, seed: [u8; 32]) -> Self {
        self.draw_by = Some(seed);
        self
    }

    /// Sets the policy for this response only.
    pub fn responses(mut self, policy: ResponsePolicy) -> Self {
        self.responses = Some(policy);
        self
    }

    /// Opens a new connection for the message, even if there is one to its target already: a second
    /// flow to one server (RFC 5626 §4.2.1). A connection hint takes precedence, and over UDP the
    /// option has no effect.
    pub fn new_connection(mut self) -> Self {
        self.new_connection = true;
        self
    }

    /// Fills in From and Contact of a received message too. A proxy must not: it would put its own
    /// address into a caller's Contact.
    pub fn fill_forwarded(mut self) -> Self {
        self.fill_forwarded = true;
        self
    }
}
