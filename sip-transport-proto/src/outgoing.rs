use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sip_core::header::Via;
use sip_core::message::{HeaderError, Message};
use sip_core::uri::RoutingUri;
use sip_core::{Flow, Host, Name};

use crate::error::{Attempt, AttemptCause, SendCause};
use crate::ids::TransportId;
use crate::resolve::Target;
use crate::substitute;
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;
use crate::tls::{TlsChoice, TlsName};
use crate::tokens::Branch;
use crate::{
    ChannelId, ConnectionId, Hints, Keep, Protocol, ResponsePolicy, SendId, SipEndpoint, SizeRule,
    Substitution,
};

/// How to send one message.
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
    #[must_use]
    pub fn to(mut self, destination: SipEndpoint) -> Self {
        self.to = Some(destination);
        self
    }

    /// What the peer has to prove to be, over TLS, and what it is called in a WebSocket upgrade.
    /// Without it, that is the domain that the message is for (RFC 5922 §7.3): the host of the
    /// next hop's URI, for a response the sent-by of its top Via.
    #[must_use]
    pub fn name(mut self, name: TlsName) -> Self {
        self.name = Some(name);
        self
    }

    /// Connects under this TLS configuration, in place of the channel's and the transport's. The
    /// message goes over no connection that was made under another, unless a hint or the flow of a
    /// response names it; so keep one configuration for all sends that are to share connections,
    /// and clone it: what is built anew is another.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = TlsChoice(Some(tls));
        self
    }

    /// Asks for a channel.
    #[must_use]
    pub fn channel(mut self, channel: ChannelId) -> Self {
        self.hints.channel = Some(channel);
        self
    }

    /// Asks for a connection: the message goes there whatever its destination is.
    #[must_use]
    pub fn connection(mut self, connection: ConnectionId) -> Self {
        self.hints.connection = Some(connection);
        self
    }

    /// Takes all hints together, such as [`SipEndpoint::hints`].
    #[must_use]
    pub fn hints(mut self, hints: Hints) -> Self {
        self.hints = hints;
        self
    }

    /// How placeholders are filled in, for this message only.
    #[must_use]
    pub fn substitution(mut self, substitution: Substitution) -> Self {
        self.substitution = Some(substitution);
        self
    }

    /// Keeps alive the flow that the message goes out on. See [`Keep`].
    #[must_use]
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// How many routers a datagram to a group may pass, plus one. Default: the `ttl` of the next
    /// hop's URI, for a response that of its top Via, else 1 (RFC 3261 §18.1.1, §18.2.2).
    #[must_use]
    pub fn multicast_ttl(mut self, ttl: u8) -> Self {
        self.multicast_ttl = Some(ttl);
        self
    }

    /// From which size on it goes over TCP in the place of UDP, for this message only.
    #[must_use]
    pub fn size_rule(mut self, rule: SizeRule) -> Self {
        self.size_rule = Some(rule);
        self
    }

    /// Draws among the servers of one priority by these bytes in place of chance: the same bytes
    /// find the same server, unless it has failed lately. For a stateless proxy, whose
    /// retransmissions, CANCEL and ACK have to go where the request went (RFC 3263 §4.4): made of
    /// what they share, as its branch is.
    #[must_use]
    pub fn draw_by(mut self, seed: [u8; 32]) -> Self {
        self.draw_by = Some(seed);
        self
    }

    /// How far it may go, for this response only.
    #[must_use]
    pub fn responses(mut self, policy: ResponsePolicy) -> Self {
        self.responses = Some(policy);
        self
    }

    /// Opens a connection for it, even where there is one to its target already: a second flow to one
    /// server (RFC 5626 §4.2.1). A connection hint counts more, and over UDP it says nothing.
    #[must_use]
    pub fn new_connection(mut self) -> Self {
        self.new_connection = true;
        self
    }

    /// Fills in From and Contact of a message that came from the wire too. A proxy must not: it
    /// would put its own address into a caller's Contact.
    #[must_use]
    pub fn fill_forwarded(mut self) -> Self {
        self.fill_forwarded = true;
        self
    }
}

/// A message on its way out, with what routing needs taken from it.
///
/// It changes hands often, and so lives in a box.
#[derive(Debug)]
pub struct Outgoing {
    pub(crate) id: SendId,
    pub(crate) message: Message,
    pub(crate) options: SendOptions,
    pub(crate) next_hop: NextHop,
    /// The request URI or the top Route is `sips`.
    pub(crate) secure: bool,
    /// Targets still to be tried, best first, once they are known.
    pub(crate) targets: Option<VecDeque<Target>>,
    pub(crate) tried: Vec<Attempt>,
    /// What the way at hand leads over.
    pub(crate) over: Option<Over>,
    /// A connection of its own was opened for the target at hand, if it asks for one.
    pub(crate) has_opened: bool,
    /// The connection to the target at hand was gone when it came there.
    pub(crate) missed: bool,
    /// What the size rule did with the target at hand.
    pub(crate) size: Size,
    /// After its targets, those of its sent-by are to be found.
    pub(crate) sent_by_left: bool,
    /// It was sent before: this is another transaction (RFC 3261 §8.1.2).
    pub(crate) new_branch: bool,
    /// Whose id it has, if it has one.
    pub(crate) transport: Option<TransportId>,
    /// For a request's top Via, where that has none or another transaction's.
    pub(crate) branch: Option<Branch>,
    /// How placeholders are filled in, unless the options say.
    pub(crate) substitution: Substitution,
}

/// What a way leads over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    pub(crate) channel: ChannelId,
    pub(crate) connection: Option<ConnectionId>,
    /// Whether that was open when it was chosen.
    pub(crate) open: bool,
}

/// How far a request is on its way around UDP (RFC 3261 §18.1.1).
#[derive(Debug)]
pub(crate) enum Size {
    /// It may go over UDP, as far as is known.
    Unknown,
    /// It is so long that TCP is tried, until then.
    Tcp { len: usize, until: Instant },
    /// TCP failed of this.
    Failed(Box<AttemptCause>),
}

/// Where the message itself says that it should go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NextHop {
    /// Nowhere that can be reached; only a connection hint can help.
    Unknown(SendCause),
    /// A host of a URI.
    Host {
        host: HostText,
        /// The host of the URI where `maddr` has taken its place.
        domain: Option<HostText>,
        port: Option<u16>,
        transport: Option<Protocol>,
        /// For a group.
        ttl: Option<u8>,
    },
    /// The way that the request of this response came.
    Flow(Flow),
    /// Where the top Via of this response says.
    Via(ViaFacts),
}

/// What a response's top Via says about the way back (RFC 3261 §18.2.2, RFC 3581 §4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ViaFacts {
    pub(crate) protocol: Option<Protocol>,
    /// `received`, else a sent-by that is an address.
    pub(crate) ip: Option<IpAddr>,
    /// The sent-by's port.
    pub(crate) port: Option<u16>,
    /// Whether the client asked for `rport`, and what was filled in.
    pub(crate) rport: Option<Option<u16>>,
    /// A group that the response is to be sent to, and the TTL.
    pub(crate) group: Option<(IpAddr, Option<u8>)>,
}

/// A host that outlives the message it was read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum HostText {
    Ip(IpAddr),
    Name(Arc<str>),
}

impl HostText {
    pub(crate) fn as_host(&self) -> Host<'_> {
        match self {
            Self::Ip(ip) => Host::from(*ip),
            Self::Name(name) => Host::Name(name),
        }
    }
}

impl From<Host<'_>> for HostText {
    fn from(host: Host<'_>) -> Self {
        match host {
            Host::Name(name) => Self::Name(name.into()),
            host => host.ip().map_or_else(|| Self::Name("".into()), Self::Ip),
        }
    }
}

impl fmt::Display for HostText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_host().fmt(f)
    }
}

impl Outgoing {
    /// Reads from the message what routing needs. Cheap, and needs no lock.
    ///
    /// A message that names no usable destination is no error yet: a hinted connection may carry
    /// it all the same.
    pub fn new(message: impl Into<Message>, options: SendOptions) -> Box<Self> {
        let message = message.into();
        let (next_hop, secure) = if message.is_request() {
            request_hop(&message).unwrap_or_else(|cause| (NextHop::Unknown(cause), false))
        } else {
            (
                response_hop(&message).unwrap_or_else(NextHop::Unknown),
                false,
            )
        };
        Box::new(Self {
            id: SendId(0),
            message,
            options,
            next_hop,
            secure,
            targets: None,
            tried: Vec::new(),
            over: None,
            has_opened: false,
            missed: false,
            size: Size::Unknown,
            sent_by_left: false,
            new_branch: false,
            transport: None,
            branch: None,
            substitution: Substitution::default(),
        })
    }

    /// How it is to be sent.
    pub fn options(&self) -> &SendOptions {
        &self.options
    }

    /// Changes how it is to be sent. Another destination takes the place of all targets that were
    /// left to try.
    pub fn change_options(&mut self, change: impl FnOnce(SendOptions) -> SendOptions) {
        let before = self.options.to;
        self.options = change(core::mem::take(&mut self.options));
        if self.options.to != before {
            self.targets = None;
            self.sent_by_left = false;
        }
    }

    /// The message as it was given.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Which send it is: known from [`SendIds::assign`](crate::SendIds::assign) on, and from
    /// [`Router::send`](crate::Router::send) at the latest; before that, 0.
    pub fn id(&self) -> SendId {
        self.id
    }

    /// The branch that the top Via of this request has on the wire, whichever target it goes to:
    /// its own, or the one that it gets. `None` for a response, for a Via that cannot be read, and
    /// where one is due that is made with the [`id`](Self::id). A header hook
    /// ([`Config::header_hook`](crate::Config::header_hook)) that writes branches has the last word.
    pub fn branch(&self) -> Option<&str> {
        let made = self.branch.as_ref();
        substitute::branch(&self.message, self.mode(), made, self.new_branch)
    }

    /// How placeholders are filled in.
    pub(crate) fn mode(&self) -> Substitution {
        self.options.substitution.unwrap_or(self.substitution)
    }

    pub(crate) fn target(&self) -> Option<Target> {
        self.targets.as_ref()?.front().cloned()
    }

    /// The targets that race with the one at hand (RFC 8305 §5).
    pub(crate) fn rivals(&self) -> impl Iterator<Item = &Target> {
        let others = self.targets.iter().flatten().skip(1);
        others.take_while(|target| target.races)
    }

    /// Puts another address of the server at hand first.
    pub(crate) fn prefer(&mut self, rival: SocketAddr) -> Option<Target> {
        let targets = self.targets.as_mut()?;
        let place = targets.iter().position(|target| target.addr == rival)?;
        let mut preferred = targets.remove(place)?;
        preferred.races = false;
        if let Some(other) = targets.front_mut() {
            other.races = true;
        }
        targets.push_front(preferred);
        self.target()
    }

    /// Tells that another address of the server at hand was connected first. The target stays one,
    /// in case that fails; false if it has been so before.
    pub(crate) fn overtaken(&mut self, cause: &AttemptCause) -> bool {
        let Some(target) = self.target() else {
            return false;
        };
        let place = (target.protocol, target.addr);
        let before = self.tried.iter().any(|Attempt { target, cause: of }| {
            of == cause && (target.protocol, target.addr) == place
        });
        if !before {
            let cause = cause.clone();
            self.tried.push(Attempt { target, cause });
        }
        !before
    }

    /// Whether it must not go over a connection that was there before it.
    pub(crate) fn wants_new_connection(&self) -> bool {
        self.options.new_connection && !self.has_opened && self.message.is_request()
    }

    /// Gives up the target at hand.
    pub(crate) fn failed(&mut self, cause: AttemptCause) {
        self.has_opened = false;
        self.missed = false;
        self.size = Size::Unknown;
        let target = self.targets.as_mut().and_then(VecDeque::pop_front);
        let attempt = target.map(|target| Attempt { target, cause });
        self.tried.extend(attempt);
    }

    /// Until when it may wait for a connection that is being opened.
    pub(crate) fn patience(&self) -> Option<Instant> {
        match self.size {
            Size::Tcp { until, .. } => Some(until),
            Size::Unknown | Size::Failed(_) => None,
        }
    }

    /// What the peer has to be: the domain that the message is for, whatever `maddr` and the DNS
    /// say (RFC 5922 §7.3). Of no use to UDP and TCP.
    pub(crate) fn peer_name(&self, protocol: Protocol) -> Option<TlsName> {
        if matches!(protocol, Protocol::Udp | Protocol::Tcp) {
            return None;
        }
        let given = self.options.name.clone();
        given.or_else(|| match &self.next_hop {
            NextHop::Host { host, domain, .. } => {
                let domain = domain.as_ref().unwrap_or(host);
                TlsName::try_from(domain.as_host()).ok()
            }
            NextHop::Unknown(_) => None,
            NextHop::Flow(_) | NextHop::Via(_) => {
                TlsName::try_from(self.top_via()?.sent_by().host()).ok()
            }
        })
    }

    /// The top Via, if it can be read.
    pub(crate) fn top_via(&self) -> Option<Via<'_>> {
        self.message.top_via().ok()
    }

    /// The connection asked for by hint, destination, or the flow of a response.
    pub(crate) fn wanted_hints(&self) -> Hints {
        let mut hints = self.options.hints;
        if let Some(to) = self.options.to {
            hints.connection = hints.connection.or(to.connection);
        }
        hints
    }
}

/// The next hop of a request: the top Route where it is a loose router, else the request URI,
/// into which a strict router's URI has been put already (RFC 3261 §8.1.2).
fn request_hop(message: &Message) -> Result<(NextHop, bool), SendCause> {
    let malformed = |what| move |error| SendCause::Malformed { what, error };
    let request_uri = RoutingUri::parse(message.request_uri().unwrap_or_default())
        .map_err(malformed("request URI"))?;
    let route = match message.raw(Name::Route) {
        None => None,
        Some(row) => {
            let first = sip_core::header::list::split(row)
                .next()
                .unwrap_or_default();
            Some(RoutingUri::of_route(first).map_err(malformed("Route"))?)
        }
    };
    // RFC 3261 §8.1.2: a sips request URI asks for protection even where the Route is sip.
    let secure = request_uri.is_secure() || route.is_some_and(|uri| uri.is_secure());
    let loose = route.filter(RoutingUri::is_loose_router);
    Ok((host_of(&loose.unwrap_or(request_uri))?, secure))
}

fn host_of(uri: &RoutingUri<'_>) -> Result<NextHop, SendCause> {
    let host_port = uri.host_port().ok_or_else(|| SendCause::NoHost {
        scheme: uri.scheme().to_owned(),
    })?;
    let transport = match uri.transport() {
        None => None,
        Some(token) => match Protocol::from_token(token) {
            Some(protocol) => Some(protocol),
            None => return Err(SendCause::UnsupportedTransport(token.to_owned())),
        },
    };
    // RFC 3261 §19.1.1: maddr takes the place of the host.
    let maddr = uri.maddr();
    Ok(NextHop::Host {
        host: maddr.unwrap_or_else(|| host_port.host()).into(),
        domain: maddr.map(|_| host_port.host().into()),
        port: host_port.port(),
        transport,
        ttl: uri.ttl(),
    })
}

fn response_hop(message: &Message) -> Result<NextHop, SendCause> {
    match message.flow() {
        Some(flow) => Ok(NextHop::Flow(flow)),
        None => ViaFacts::read(message).map(NextHop::Via),
    }
}

/// The top Via of a message, which may be off the grammar where that does no harm.
pub(crate) fn top_via(message: &Message) -> Result<Via<'_>, SendCause> {
    message.top_via().map_err(|error| match error {
        HeaderError::Value { error, .. } => SendCause::Malformed { what: "Via", error },
        _ => SendCause::Missing("Via"),
    })
}

impl ViaFacts {
    pub(crate) fn read(message: &Message) -> Result<Self, SendCause> {
        let via = top_via(message)?;
        Ok(Self {
            protocol: Protocol::from_token(via.transport()),
            ip: via.received().or_else(|| via.sent_by().host().ip()),
            port: via.sent_by().port(),
            rport: via.rport(),
            group: via
                .maddr()
                .and_then(|maddr| maddr.ip())
                .filter(IpAddr::is_multicast)
                .map(|group| (group, via.ttl())),
        })
    }
}
