use crate::config::Substitution;
use crate::config::keep::Keep;
use crate::config::response_policy::ResponsePolicy;
use crate::config::size_rule::SizeRule;
use crate::endpoint::{Hints, SipEndpoint};
use crate::ids::{ChannelId, ConnectionId};
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;
use crate::tls::{TlsChoice, TlsName};

/// How to send one message.
///
/// ```
/// use sip_transport_proto::{Keep, Protocol, SendOptions, SipEndpoint};
///
/// let proxy = SipEndpoint::new(Protocol::Tcp, "192.0.2.1:5060".parse()?);
/// // A REGISTER to an outbound proxy, whose flow is to last (RFC 5626).
/// let options = SendOptions::new().to(proxy).keep(Keep::new().required());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "options are for a send"]
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
    /// The defaults: where the message itself says, on the channel that fits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends to this protocol and address, whatever the message says. A connection named in it
    /// counts as a hint.
    pub fn to(mut self, destination: SipEndpoint) -> Self {
        self.to = Some(destination);
        self
    }

    /// What the peer has to prove to be, over TLS, and what it is called in a WebSocket upgrade.
    /// Without it, that is the domain that the message is for (RFC 5922 §7.3): the host of the
    /// next hop's URI, for a response the sent-by of its top Via.
    pub fn name(mut self, name: TlsName) -> Self {
        self.name = Some(name);
        self
    }

    /// Connects under this TLS configuration, in place of the channel's and the transport's. The
    /// message goes over no connection that was made under another, unless a hint or the flow of a
    /// response names it; so keep one configuration for all sends that are to share connections,
    /// and clone it: what is built anew is another.
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

    /// Asks for a connection: the message goes there whatever its destination is.
    pub fn connection(mut self, connection: ConnectionId) -> Self {
        self.hints.connection = Some(connection);
        self
    }

    /// Takes all hints together, such as [`SipEndpoint::hints`].
    pub fn hints(mut self, hints: Hints) -> Self {
        self.hints = hints;
        self
    }

    /// How placeholders are filled in, for this message only.
    pub fn substitution(mut self, substitution: Substitution) -> Self {
        self.substitution = Some(substitution);
        self
    }

    /// Keeps alive the flow that the message goes out on. See [`Keep`].
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// How many routers a datagram to a group may pass, plus one. Default: the `ttl` of the next
    /// hop's URI, for a response that of its top Via, else 1 (RFC 3261 §18.1.1, §18.2.2).
    pub fn multicast_ttl(mut self, ttl: u8) -> Self {
        self.multicast_ttl = Some(ttl);
        self
    }

    /// From which size on it goes over TCP in the place of UDP, for this message only.
    pub fn size_rule(mut self, rule: SizeRule) -> Self {
        self.size_rule = Some(rule);
        self
    }

    /// Draws among the servers of one priority by these bytes in place of chance: the same bytes
    /// find the same server, unless it has failed lately. For a stateless proxy, whose
    /// retransmissions, CANCEL and ACK have to go where the request went (RFC 3263 §4.4): made of
    /// what they share, as its branch is.
    pub fn draw_by(mut self, seed: [u8; 32]) -> Self {
        self.draw_by = Some(seed);
        self
    }

    /// How far it may go, for this response only.
    pub fn responses(mut self, policy: ResponsePolicy) -> Self {
        self.responses = Some(policy);
        self
    }

    /// Opens a connection for it, even where there is one to its target already: a second flow to one
    /// server (RFC 5626 §4.2.1). A connection hint counts more, and over UDP it says nothing.
    pub fn new_connection(mut self) -> Self {
        self.new_connection = true;
        self
    }

    /// Fills in From and Contact of a message that came from the wire too. A proxy must not: it
    /// would put its own address into a caller's Contact.
    pub fn fill_forwarded(mut self) -> Self {
        self.fill_forwarded = true;
        self
    }
}
