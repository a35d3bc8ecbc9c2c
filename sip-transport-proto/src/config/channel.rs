//! The settings of a channel.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_core::Reading;

use crate::config::advertised::{Advertised, PerFamily};
use crate::config::keep::Keep;
use crate::config::multicast;
use crate::config::multicast::Membership;
use crate::config::proxy::ProxyProtocol;
use crate::config::response_policy::ResponsePolicy;
use crate::protocol::Protocol;
use crate::resolve::Family;
use crate::tls::TlsConfig;
use crate::websocket::WebSocketConfig;

/// The settings of a channel to add: a protocol on a bound address.
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
    pub(crate) proxy: Option<ProxyProtocol>,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) websocket: Option<WebSocketConfig>,
}

impl ChannelConfig {
    /// A channel that listens on `local`: the address as bound, with its actual port, not 0.
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
            proxy: None,
            tls: None,
            websocket: None,
        }
    }

    /// Sets the load balancers trusted to report the client's address by the PROXY protocol. Applies
    /// to listeners of stream protocols. Default: none.
    #[cfg(feature = "proxy")]
    pub fn proxy_protocol(mut self, proxy: ProxyProtocol) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sets the certificates to present and the checks to make, for TLS and secure WebSocket. A
    /// listener needs a configuration with a certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets what the WebSocket handshake requests and checks.
    #[cfg(feature = "ws")]
    pub fn websocket(mut self, websocket: WebSocketConfig) -> Self {
        self.websocket = Some(websocket);
        self
    }

    /// Accepts connections (stream protocols). A channel without a listener gives each connection's
    /// own port in place of a listening port. Default: yes.
    pub fn listener(mut self, listener: bool) -> Self {
        self.listener = listener;
        self
    }

    /// Carries IPv4 too on a socket bound to `[::]`. Default: no, so that both families can share a
    /// port.
    pub fn dual_stack(mut self, dual_stack: bool) -> Self {
        self.dual_stack = dual_stack;
        self
    }

    /// Treats requests without `rport` as if they had it, so that their responses go to the source
    /// port. Default: no, as RFC 3581 §4 has it.
    pub fn force_rport(mut self, force: bool) -> Self {
        self.force_rport = force;
        self
    }

    /// Sets how strictly a message received on this channel must follow the grammar. Default: as
    /// [`Config::reading`](crate::Config::reading) says.
    pub fn reading(mut self, reading: Reading) -> Self {
        self.reading = Some(reading);
        self
    }

    /// Sets the number of sockets that share the address, for UDP. Default: 1; 0 counts as 1.
    pub fn sockets(mut self, sockets: u16) -> Self {
        self.sockets = sockets.max(1);
        self
    }

    /// Sets the name or address, and port, to write into Via, Contact and Record-Route in place of
    /// the bound one, whatever the address family of the peer. Default: none. It can be changed
    /// later by [`Router::advertise`](crate::parts::Router::advertise).
    pub fn advertised(mut self, advertised: Advertised) -> Self {
        self.advertised = PerFamily::both(advertised);
        self
    }

    /// Sets it for peers of one address family: a channel that carries both may advertise two.
    pub fn advertised_to(mut self, family: Family, advertised: Advertised) -> Self {
        self.advertised.set(family, Some(advertised));
        self
    }

    /// Joins an IPv4 multicast group on the interface with this address; the unspecified address
    /// leaves the choice to the operating system. The channel must be UDP on all IPv4 addresses.
    ///
    /// Requests to a group are sent on a channel that has joined it, as their responses are sent to
    /// the group (RFC 3261 §18.1.1), and from that interface, with `maddr` and `ttl` in their top
    /// Via. Responses to requests received with the group as `maddr` are sent to it (§18.2.2).
    pub fn join(mut self, group: Ipv4Addr, interface: Ipv4Addr) -> Self {
        self.groups.push(Membership { group, interface });
        self
    }

    /// Advertises a random name under `.invalid`, as clients do that cannot be connected to
    /// (RFC 7118 §5, appendix B.1). Default: no.
    pub fn anonymous(mut self, anonymous: bool) -> Self {
        self.anonymous = anonymous;
        self
    }

    /// Keeps alive the connections opened on the channel, and on UDP the flow to each peer that a
    /// request is sent to. Default: none.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Agrees to keep-alives of peers that offer them (RFC 6223 §4.4): a response sent on the
    /// channel gets this value in the `keep` parameter of its top Via, if that has the parameter
    /// without a value. The value is the longest time between keep-alives, in seconds; 0 leaves it
    /// to the peer. A proxy that does not stay in the dialog's route must not set it. Default:
    /// none.
    pub fn accept_keep(mut self, seconds: u32) -> Self {
        self.accept_keep = Some(seconds);
        self
    }

    /// Reuses TLS connections for requests in both directions (RFC 5923): requests are sent with
    /// `alias` in their top Via; and requests to the address and port in a peer's Via, for a name
    /// that its certificate covers, are sent over the connection that the peer opened, if its Via
    /// has `alias` and its certificate was verified. No effect on other protocols. Default: no.
    pub fn alias(mut self, alias: bool) -> Self {
        self.alias = alias;
        self
    }

    /// Sets where responses to requests received on this channel may be sent. Default: as
    /// [`Config::responses`](crate::Config::responses) says.
    pub fn responses(mut self, policy: ResponsePolicy) -> Self {
        self.responses = Some(policy);
        self
    }

    /// Limits the messages read from one source over UDP, an IPv4 /24 or an IPv6 /56: `per_second`
    /// of them, and up to `burst` at once after a silence. The excess is dropped unread and counted
    /// ([`Stats::datagrams_limited`](crate::Stats::datagrams_limited)), and
    /// [`Event::SourceLimited`](crate::Event::SourceLimited) reports the first. Keep-alives do not
    /// count; responses do, so the rate must suffice for the servers that requests are sent to, or
    /// these have to be [exempt](crate::Config::per_ip_exempt). 0 counts as 1. Default: no limit.
    ///
    /// Sources share 1,024 buckets by a keyed hash, so that memory is bounded: a source over its
    /// rate holds another one back with a probability of 1 in 500,000.
    ///
    /// ```
    /// use sip_transport_proto::{ChannelConfig, Protocol};
    ///
    /// let public = ChannelConfig::new(Protocol::Udp, "192.0.2.1:5060".parse()?);
    /// // Scanners send hundreds of messages; an office full of phones does not.
    /// let public = public.messages_per_source(50, 200);
    /// # Ok::<(), core::net::AddrParseError>(())
    /// ```
    pub fn messages_per_source(mut self, per_second: u32, burst: u32) -> Self {
        self.source_rate = Some((per_second, burst));
        self
    }

    /// States the error in the reason phrase of a reply to a malformed request, as
    /// [`Event::Malformed`](crate::Event::Malformed) always does; otherwise the phrase is the
    /// standard one of the status. Default: no for UDP, where the source address may be forged; yes
    /// for streams.
    pub fn detailed_reason(mut self, detailed: bool) -> Self {
        self.detailed_reason = detailed;
        self
    }

    /// Replaces the local address, by the one that was bound.
    pub fn at(mut self, local: SocketAddr) -> Self {
        self.local = local;
        self
    }

    /// The groups that the channel joins.
    pub fn memberships(&self) -> &[Membership] {
        &self.groups
    }

    /// Returns true if the channel accepts connections.
    pub fn is_listener(&self) -> bool {
        self.listener
    }

    /// Returns true if an IPv6 socket carries IPv4 too.
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

    /// The host advertised to peers of an address family in place of the bound address, if any.
    pub fn advertises(&self, family: Family) -> Option<&Advertised> {
        self.advertised.get(family)
    }

    /// The address families that the channel carries.
    pub(crate) fn families(&self) -> impl Iterator<Item = Family> {
        let own = Family::of(self.local.ip());
        let other = self.dual_stack.then_some(Family::Ipv4);
        core::iter::once(own).chain(other)
    }

    /// Returns true if the channel can receive from its groups: on Linux a socket bound to one
    /// address cannot.
    pub(crate) fn can_join(&self) -> bool {
        let everywhere = self.local.ip().is_unspecified();
        let ipv4 = self.families().any(|family| family == Family::Ipv4);
        self.protocol == Protocol::Udp && everywhere && ipv4
    }

    /// Returns true if the channel can send to `remote`.
    pub(crate) fn reaches(&self, remote: IpAddr) -> bool {
        if remote.is_multicast() {
            let joined = multicast::member(&self.groups, remote).is_some();
            // RFC 3261 §18.1.1: the sender must be able to receive on the group.
            let heard = if remote.is_ipv4() {
                joined
            } else {
                self.local.is_ipv6()
            };
            return self.protocol == Protocol::Udp && heard;
        }
        let local = self.local.ip();
        let family = local.is_ipv4() == remote.is_ipv4() || (self.dual_stack && remote.is_ipv4());
        // A socket bound to a loopback address cannot send to other hosts.
        family && (!local.is_loopback() || remote.is_loopback())
    }
}
