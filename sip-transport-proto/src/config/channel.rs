//! The settings of one channel.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_core::Reading;

use crate::config::advertised::{Advertised, PerFamily};
use crate::config::keep::Keep;
use crate::config::multicast;
use crate::config::multicast::Membership;
#[cfg(feature = "proxy")]
use crate::config::proxy::ProxyProtocol;
use crate::config::response_policy::ResponsePolicy;
use crate::protocol::Protocol;
use crate::resolve::Family;
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;
#[cfg(feature = "ws")]
use crate::websocket::WebSocketConfig;

/// A channel to add: a protocol on a bound address.
///
/// ```
/// use sip_transport_proto::{ChannelConfig, Keep, Protocol};
///
/// // A server's, known outside by another name.
/// let server = ChannelConfig::new(Protocol::Udp, "192.0.2.1:5060".parse()?)
///     .advertised("sip.example.com".parse()?)
///     .messages_per_source(200, 400);
/// // A client's, which listens to nobody and keeps its connections alive.
/// let client = ChannelConfig::new(Protocol::Tcp, "0.0.0.0:0".parse()?)
///     .listener(false)
///     .keep(Keep::new().negotiated());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a channel comes of it once it is added"]
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    pub(crate) protocol: Protocol,
    pub(crate) local: SocketAddr,
    pub(crate) listener: bool,
    pub(crate) dual_stack: bool,
    pub(crate) force_rport: bool,
    pub(crate) reading: Option<Reading>,
    pub(crate) sockets: u16,
    pub(crate) advertised: PerFamily,
    pub(crate) groups: Vec<Membership>,
    pub(crate) anonymous: bool,
    pub(crate) keep: Option<Keep>,
    pub(crate) accept_keep: Option<u32>,
    pub(crate) alias: bool,
    pub(crate) responses: Option<ResponsePolicy>,
    pub(crate) source_rate: Option<(u32, u32)>,
    pub(crate) detailed_reason: bool,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<ProxyProtocol>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsConfig>,
    #[cfg(feature = "ws")]
    pub(crate) websocket: Option<WebSocketConfig>,
}

impl ChannelConfig {
    /// A channel that listens on `local`, the address as bound: with its port, not 0.
    pub fn new(protocol: Protocol, local: SocketAddr) -> Self {
        Self {
            protocol,
            local,
            listener: true,
            dual_stack: false,
            force_rport: false,
            reading: None,
            sockets: 1,
            advertised: PerFamily::default(),
            groups: Vec::new(),
            anonymous: false,
            keep: None,
            accept_keep: None,
            alias: false,
            responses: None,
            source_rate: None,
            detailed_reason: protocol.is_stream(),
            #[cfg(feature = "proxy")]
            proxy: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "ws")]
            websocket: None,
        }
    }

    /// Load balancers that say, by the PROXY protocol, who has connected. It counts for listeners of
    /// streams. Default: none.
    #[cfg(feature = "proxy")]
    pub fn proxy_protocol(mut self, proxy: ProxyProtocol) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Certificates to show and checks to make, for TLS and secure WebSocket. A listener needs
    /// one with a certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// What is asked and checked in the upgrade to WebSocket.
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, websocket: WebSocketConfig) -> Self {
        self.websocket = Some(websocket);
        self
    }

    /// Whether connections are accepted on it (streams). A channel without a listener names each
    /// connection's own port where a listening port would stand. Default: yes.
    pub fn listener(mut self, listener: bool) -> Self {
        self.listener = listener;
        self
    }

    /// Whether a socket on `[::]` carries IPv4 too. Default: no, so that both families can share
    /// a port.
    pub fn dual_stack(mut self, dual_stack: bool) -> Self {
        self.dual_stack = dual_stack;
        self
    }

    /// Whether requests without `rport` are answered as if they had it (RFC 3581 §4 asks for it).
    /// Default: no.
    pub fn force_rport(mut self, force: bool) -> Self {
        self.force_rport = force;
        self
    }

    /// How much of the grammar a message received here must follow. Default: what
    /// [`Config::reading`](crate::Config::reading) says.
    pub fn reading(mut self, reading: Reading) -> Self {
        self.reading = Some(reading);
        self
    }

    /// How many sockets share the address, for datagrams. Default: 1; 0 counts as 1.
    pub fn sockets(mut self, sockets: u16) -> Self {
        self.sockets = sockets.max(1);
        self
    }

    /// The name or address, and port, to write into Via, Contact and Record-Route in the place of
    /// the bound one, whatever address family the peer has. Default: none. It can be changed later,
    /// by [`Router::advertise`](crate::parts::Router::advertise).
    pub fn advertised(mut self, advertised: Advertised) -> Self {
        self.advertised = PerFamily::both(advertised);
        self
    }

    /// The same towards peers of one address family: a channel that carries both may have two.
    pub fn advertised_to(mut self, family: Family, advertised: Advertised) -> Self {
        self.advertised.set(family, Some(advertised));
        self
    }

    /// Hears an IPv4 group, joined on the interface that has this address; the unspecified one
    /// leaves the choice to the system. The channel has to be UDP on all IPv4 addresses.
    ///
    /// Requests to a group leave on a channel that has joined it, as their responses come back to
    /// the group (RFC 3261 §18.1.1), and from that interface, with `maddr` and `ttl` in their top
    /// Via. Requests that come with the group as `maddr` are answered there (§18.2.2).
    pub fn join(mut self, group: Ipv4Addr, interface: Ipv4Addr) -> Self {
        self.groups.push(Membership { group, interface });
        self
    }

    /// Whether a random name under `.invalid` is advertised, as clients that nobody can connect to
    /// do (RFC 7118 §5, appendix B.1). Default: no.
    pub fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Keeps alive the connections that are opened on it, and on UDP the way to each peer that a
    /// request is sent to. Default: none.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Agrees to keep-alives of peers that offer them (RFC 6223 §4.4): responses that leave on the
    /// channel get this value in the `keep` parameter of their top Via, if it has one without.
    /// The value is the longest time between keep-alives, in seconds; 0 leaves it to the peer. A
    /// proxy that does not stay in the dialog's route must not set it. Default: none.
    pub fn accept_keep(mut self, seconds: u32) -> Self {
        self.accept_keep = Some(seconds);
        self
    }

    /// Whether TLS connections serve requests both ways (RFC 5923): requests leave with `alias` in
    /// their top Via, and a peer that sends it, and has shown a certificate that was verified, gets
    /// requests for the address and port that its Via names, and a name that its certificate
    /// covers, over its own connection. On other protocols it means nothing. Default: no.
    pub fn alias(mut self, alias: bool) -> Self {
        self.alias = alias;
        self
    }

    /// How far responses to requests may go that came in on it. Default: as
    /// [`Config::responses`](crate::Config::responses) says.
    pub fn responses(mut self, policy: ResponsePolicy) -> Self {
        self.responses = Some(policy);
        self
    }

    /// How many messages in a second, and at once after a silence, are taken from one source over
    /// UDP: from an IPv4 /24 or an IPv6 /56. What is more is dropped unread and counted
    /// ([`Stats::datagrams_limited`](crate::Stats::datagrams_limited)), and
    /// [`Event::SourceLimited`](crate::Event::SourceLimited) tells of the first. Keep-alives do not
    /// count; responses do, so it has to be enough for the servers that requests are sent to, or
    /// they have to be [exempt](crate::Config::per_ip_exempt). 0 counts as 1. Default: as many as
    /// come.
    ///
    /// Sources share 1,024 buckets by a hash that nobody else knows, so that memory is bounded: one
    /// source that is held back takes another with it by a chance of 1 in 500,000.
    ///
    /// ```
    /// use sip_transport_proto::{ChannelConfig, Protocol};
    ///
    /// let public = ChannelConfig::new(Protocol::Udp, "192.0.2.1:5060".parse()?);
    /// // Scanners send hundreds; an office full of phones does not.
    /// let public = public.messages_per_source(50, 200);
    /// # Ok::<(), core::net::AddrParseError>(())
    /// ```
    pub fn messages_per_source(mut self, per_second: u32, burst: u32) -> Self {
        self.source_rate = Some((per_second, burst));
        self
    }

    /// Whether the reason phrase of a reply to a malformed request says what is wrong with it, as
    /// [`Event::Malformed`](crate::Event::Malformed) always does; else it is that of the status.
    /// Default: no for UDP, where anybody may ask in the name of anybody; yes for streams.
    pub fn detailed_reason(mut self, detailed: bool) -> Self {
        self.detailed_reason = detailed;
        self
    }

    /// The same on another address: the one that was bound.
    pub fn at(mut self, local: SocketAddr) -> Self {
        self.local = local;
        self
    }

    /// The groups that it hears.
    pub fn memberships(&self) -> &[Membership] {
        &self.groups
    }

    /// Whether connections are accepted on it.
    pub fn is_listener(&self) -> bool {
        self.listener
    }

    /// Whether it carries IPv4 on an IPv6 socket too.
    pub fn is_dual_stack(&self) -> bool {
        self.dual_stack
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The bound address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What peers of that address family are told in the place of the bound address, if anything.
    pub fn advertises(&self, family: Family) -> Option<&Advertised> {
        self.advertised.get(family)
    }

    /// The address families that it carries.
    pub(crate) fn families(&self) -> impl Iterator<Item = Family> {
        let own = Family::of(self.local.ip());
        let other = self.dual_stack.then_some(Family::Ipv4);
        core::iter::once(own).chain(other)
    }

    /// Whether it can hear its groups: on Linux a socket bound to one address hears none.
    pub(crate) fn can_join(&self) -> bool {
        let everywhere = self.local.ip().is_unspecified();
        let ipv4 = self.families().any(|family| family == Family::Ipv4);
        self.protocol == Protocol::Udp && everywhere && ipv4
    }

    /// Whether it can carry packets to `remote`.
    pub(crate) fn reaches(&self, remote: IpAddr) -> bool {
        if remote.is_multicast() {
            let joined = multicast::member(&self.groups, remote).is_some();
            // RFC 3261 §18.1.1: who sends to a group has to hear it.
            let heard = if remote.is_ipv4() {
                joined
            } else {
                self.local.is_ipv6()
            };
            return self.protocol == Protocol::Udp && heard;
        }
        let local = self.local.ip();
        let family = local.is_ipv4() == remote.is_ipv4() || (self.dual_stack && remote.is_ipv4());
        // What is bound to loopback cannot leave the machine.
        family && (!local.is_loopback() || remote.is_loopback())
    }
}
