//! The settings of a transport.

pub(crate) mod advertised;
pub(crate) mod calls;
pub(crate) mod channel;
mod client_tls;
pub(crate) mod keep;
pub(crate) mod multicast;
pub(crate) mod party;
#[cfg_attr(not(feature = "proxy"), path = "absent_proxy.rs")]
pub(crate) mod proxy;
pub(crate) mod response_policy;
pub(crate) mod size_rule;

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use ipnet::IpNet;
use sip_core::{Limits, Message, Reading};

use crate::config::calls::{Filter, Hook, Tap, Tapped};
use crate::config::response_policy::ResponsePolicy;
use crate::config::size_rule::SizeRule;
use crate::endpoint::SipEndpoint;
use crate::resolve::ResolveConfig;
use crate::setting::{ABOVE_ZERO, ConfigError, check_duration, durations, positive, shares};
use crate::tls::TlsConfig;
use crate::websocket::{WebSocketConfig, WebSocketLimits};

pub use channel::ChannelConfig;

/// The settings of a transport. Each has a default that suits a server on a public address.
///
/// ```
/// use std::time::Duration;
/// use sip_transport_proto::{Config, SizeRule};
///
/// let mut config = Config::default();
/// config
///     .max_connections(10_000)?
///     .idle_timeout(Duration::from_secs(600))?
///     .size_rule(SizeRule::PathMtu(1_500))
///     .tap(|message| println!("{} {}", message.remote, message.bytes.len()));
/// # Ok::<(), sip_transport_proto::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) limits: Limits,
    reading: Option<Reading>,
    pub(crate) names: Vec<(Arc<str>, Option<u16>)>,
    pub(crate) drop_stray_responses: bool,
    pub(crate) create_client_channels: bool,
    pub(crate) ipv6_multicast: bool,
    pub(crate) substitution: Substitution,
    pub(crate) contact_transport_tls: bool,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_delay: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) first_message_timeout: Duration,
    pub(crate) message_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) write_stall_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_silent: Option<usize>,
    pub(crate) max_connections_per_ip: Option<usize>,
    pub(crate) per_ip_exempt: Vec<IpNet>,
    pub(crate) accept_filter: Option<Filter>,
    pub(crate) send_queue: usize,
    pub(crate) silent_send_queue: usize,
    pub(crate) total_send_queue: usize,
    pub(crate) total_receive_buffer: usize,
    pub(crate) malformed_replies_per_second: u32,
    pub(crate) stun_answers_per_second: u32,
    pub(crate) max_waiting_sends: usize,
    pub(crate) sent_by_memory: Duration,
    pub(crate) max_remembered_sent_by: usize,
    pub(crate) resolve: ResolveConfig,
    pub(crate) stream_keep_interval: Duration,
    pub(crate) datagram_keep_interval: Duration,
    pub(crate) pong_timeout: Duration,
    pub(crate) stun_rto: Duration,
    pub(crate) max_kept_flows: usize,
    pub(crate) responses: ResponsePolicy,
    pub(crate) size_rule: SizeRule,
    pub(crate) size_rule_timeout: Duration,
    pub(crate) size_rule_memory: Duration,
    pub(crate) size_rule_targets: usize,
    pub(crate) hook: Option<Hook>,
    pub(crate) taps: Vec<Tap>,
    pub(crate) tls: Option<TlsConfig>,
    #[cfg(feature = "ws")]
    websocket: WebSocketConfig,
    #[cfg(feature = "ws")]
    websocket_limits: WebSocketLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            reading: None,
            names: Vec::new(),
            drop_stray_responses: true,
            create_client_channels: true,
            ipv6_multicast: false,
            substitution: Substitution::Rfc,
            contact_transport_tls: true,
            connect_timeout: Duration::from_secs(10),
            attempt_delay: Duration::from_millis(250),
            handshake_timeout: Duration::from_secs(10),
            first_message_timeout: Duration::from_secs(20),
            message_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(3_900),
            write_stall_timeout: Duration::from_secs(20),
            max_connections: 65_536,
            max_silent: None,
            max_connections_per_ip: None,
            per_ip_exempt: Vec::new(),
            accept_filter: None,
            send_queue: 1 << 20,
            silent_send_queue: 64 << 10,
            total_send_queue: 64 << 20,
            total_receive_buffer: 64 << 20,
            malformed_replies_per_second: 100,
            stun_answers_per_second: 5_000,
            max_waiting_sends: 16_384,
            sent_by_memory: Duration::from_secs(600),
            max_remembered_sent_by: 4_096,
            resolve: ResolveConfig::default(),
            stream_keep_interval: Duration::from_secs(120),
            datagram_keep_interval: Duration::from_secs(29),
            pong_timeout: Duration::from_secs(10),
            stun_rto: Duration::from_millis(500),
            max_kept_flows: 16_384,
            responses: ResponsePolicy::new(),
            size_rule: SizeRule::Rfc,
            size_rule_timeout: Duration::from_secs(2),
            size_rule_memory: Duration::from_secs(600),
            size_rule_targets: 4_096,
            hook: None,
            taps: Vec::new(),
            tls: None,
            #[cfg(feature = "ws")]
            websocket: WebSocketConfig::default(),
            #[cfg(feature = "ws")]
            websocket_limits: WebSocketLimits::default(),
        }
    }
}

/// The shortest delay between connection attempts to one server (RFC 8305 §5).
const SHORTEST_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// The shortest idle timeout: 64·T1 (RFC 3261 §17.1.1.1), as a connection must outlive the
/// transactions that use it (§18).
pub(crate) const SHORTEST_IDLE: Duration = Duration::from_secs(32);

impl Config {
    /// Sets how servers are located by name (RFC 3263): order, time limits, cache. Default:
    /// [`ResolveConfig::default`].
    pub fn resolve(&mut self, resolve: ResolveConfig) -> &mut Self {
        self.resolve = resolve;
        self
    }

    /// Sets the size limits of received messages. Default: [`Limits::default`].
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// Sets how strictly a received message must follow the grammar, overriding the setting in
    /// [`limits`](Self::limits). Default: [`Reading::Lenient`].
    ///
    /// ```
    /// use sip_transport_proto::{ChannelConfig, Config, Protocol, sip_core::Reading};
    ///
    /// let mut config = Config::default();
    /// config.reading(Reading::Strict);
    /// // The phones on this channel get lenient parsing.
    /// let phones = ChannelConfig::new(Protocol::Udp, "192.0.2.1:5060".parse()?)
    ///     .reading(Reading::Lenient);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn reading(&mut self, reading: Reading) -> &mut Self {
        self.reading = Some(reading);
        self
    }

    /// The limits of received messages on a channel with this setting of its own.
    pub(crate) fn limits_of_channel(&self, reading: Option<Reading>) -> Limits {
        match reading.or(self.reading) {
            Some(reading) => self.limits.with_reading(reading),
            None => self.limits,
        }
    }

    /// Adds a name that our requests carry as sent-by, so that responses to it are recognised as
    /// ours (RFC 3261 §18.1.2). Bound and advertised addresses need not be added.
    pub fn own_name(&mut self, host: &str, port: Option<u16>) -> &mut Self {
        self.names.push((host.into(), port));
        self
    }

    /// Drops responses whose top Via is not ours, as RFC 3261 §18.1.2 requires. Default: yes.
    pub fn drop_stray_responses(&mut self, drop: bool) -> &mut Self {
        self.drop_stray_responses = drop;
        self
    }

    /// Creates a client-only channel for a request that no channel can send. Default: yes.
    pub fn create_client_channels(&mut self, create: bool) -> &mut Self {
        self.create_client_channels = create;
        self
    }

    /// Allows requests to IPv6 multicast groups, for which RFC 3261 §18.1.1 defines no behaviour:
    /// their top Via gets `maddr` and no `ttl`, and responses sent to the group are not received.
    /// Default: no.
    pub fn ipv6_multicast(&mut self, allow: bool) -> &mut Self {
        self.ipv6_multicast = allow;
        self
    }

    /// Sets how placeholders are filled in. Default: [`Substitution::Rfc`].
    pub fn substitution(&mut self, substitution: Substitution) -> &mut Self {
        self.substitution = substitution;
        self
    }

    /// Adds `;transport=tls` to a placeholder Contact with a `sip` URI that is sent over TLS.
    /// RFC 5630 §5.1.1 deprecates the parameter, but without it the Contact would mean UDP.
    /// Default: yes.
    pub fn contact_transport_tls(&mut self, write: bool) -> &mut Self {
        self.contact_transport_tls = write;
        self
    }

    /// Sets where responses may be sent that cannot go back the way their request came. Default:
    /// [`ResponsePolicy::new`].
    pub fn responses(&mut self, policy: ResponsePolicy) -> &mut Self {
        self.responses = policy;
        self
    }

    /// Sets the size from which requests are sent over TCP instead of UDP. Default:
    /// [`SizeRule::Rfc`].
    pub fn size_rule(&mut self, rule: SizeRule) -> &mut Self {
        self.size_rule = rule;
        self
    }

    /// Sets a callback that may change the headers of each message before it is sent: after its
    /// path is chosen, and before placeholders are filled in. Its arguments are the message, the
    /// local and the remote endpoint.
    ///
    /// It runs outside all locks, in the task that sends. If it panics, the send fails with
    /// [`SendCause::HookPanicked`](crate::error::SendCause::HookPanicked): no half-changed message
    /// is sent.
    pub fn header_hook(
        &mut self,
        hook: impl Fn(&mut Message, SipEndpoint, SipEndpoint) + Send + Sync + 'static,
    ) -> &mut Self {
        self.hook = Some(Hook(Arc::new(hook)));
        self
    }

    /// Exempts addresses that many peers share, such as load balancers and gateways: each
    /// connection from them counts as one from an address of its own. So
    /// [`max_connections_per_ip`](Self::max_connections_per_ip) never applies to them, and they
    /// make room as peers do that hold a single connection. Their datagrams do not count towards
    /// the rate of one source. Default: none.
    pub fn per_ip_exempt(&mut self, networks: impl IntoIterator<Item = IpNet>) -> &mut Self {
        self.per_ip_exempt = networks.into_iter().collect();
        self
    }

    /// Sets a callback that decides whether an accepted connection may stay, before anything is
    /// read from it and before it counts towards any limit. Its arguments are our end, with the
    /// channel, and the peer's. A refused connection is closed at once and counted
    /// ([`Stats::accepts_filtered`](crate::Stats::accepts_filtered)).
    ///
    /// For a connection from a [trusted load balancer](crate::ChannelConfig::proxy_protocol) it is
    /// called when the PROXY header has arrived.
    ///
    /// It runs outside all locks, in the task that accepts, so it must be quick. If it panics, the
    /// connection is refused. Default: none.
    pub fn accept_filter(
        &mut self,
        filter: impl Fn(SipEndpoint, SipEndpoint) -> bool + Send + Sync + 'static,
    ) -> &mut Self {
        self.accept_filter = Some(Filter(Arc::new(filter)));
        self
    }

    /// The effective limit of silent connections.
    pub(crate) fn silent_limit(&self) -> usize {
        self.max_silent.unwrap_or(self.max_connections / 4).max(1)
    }

    /// Returns true if the address is exempt from limits per address.
    pub(crate) fn is_exempt(&self, ip: IpAddr) -> bool {
        let mut exempt = self.per_ip_exempt.iter();
        exempt.any(|network| network.contains(&ip.to_canonical()))
    }

    /// The effective limit of connections from one address.
    pub(crate) fn limit_per_ip(&self) -> usize {
        let share = self.max_connections / 8;
        self.max_connections_per_ip.unwrap_or(share).max(1)
    }

    /// The precision with which the router knows when a connection was last active.
    pub(crate) fn activity_grain(&self) -> Duration {
        self.idle_timeout / 128
    }

    /// Adds a callback for each message received and sent, byte by byte as the peer writes or reads
    /// it: including malformed messages, responses that are not ours, and replies that the
    /// transport itself generates. Keep-alives are not messages. The messages of one connection are
    /// shown in order, each when it has been received or queued. Without a tap nothing is copied.
    ///
    /// It runs outside all locks, in the task of the connection or socket, which waits for it. If
    /// it panics, the message is processed all the same.
    ///
    /// ```
    /// use sip_transport_proto::{Config, Tapped};
    ///
    /// let mut config = Config::default();
    /// config.tap(|Tapped { direction, local, remote, bytes, .. }| {
    ///     println!("{direction} {local} {remote}: {} bytes", bytes.len());
    /// });
    /// ```
    pub fn tap(&mut self, tap: impl Fn(Tapped<'_>) + Send + Sync + 'static) -> &mut Self {
        self.taps.push(Tap::new(tap));
        self
    }

    /// Sets the TLS configuration of channels without their own: those created on demand, and
    /// listeners that open connections.
    #[cfg(feature = "tls")]
    pub fn tls(&mut self, tls: TlsConfig) -> &mut Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the WebSocket settings of channels without their own.
    #[cfg(feature = "ws")]
    pub fn websocket(&mut self, websocket: WebSocketConfig) -> &mut Self {
        self.websocket = websocket;
        self
    }

    /// Sets the limits of a WebSocket's handshake and fragments. The largest message is given by
    /// [`limits`](Self::limits) for all transports.
    #[cfg(feature = "ws")]
    pub fn websocket_limits(&mut self, limits: WebSocketLimits) -> &mut Self {
        self.websocket_limits = limits;
        self
    }

    /// What a WebSocket on a channel with these settings of its own goes by.
    #[cfg(feature = "ws")]
    pub(crate) fn websocket_of(
        &self,
        own: Option<&WebSocketConfig>,
    ) -> Option<(WebSocketConfig, WebSocketLimits)> {
        let config = own.unwrap_or(&self.websocket).clone();
        let mut limits = self.websocket_limits;
        // Zero would be refused, and then the default stays; the parser has no limit of zero.
        let _ = limits.message(self.limits.message());
        Some((config, limits))
    }

    #[cfg(not(feature = "ws"))]
    pub(crate) fn websocket_of(
        &self,
        own: Option<&WebSocketConfig>,
    ) -> Option<(WebSocketConfig, WebSocketLimits)> {
        own.map(|config| match *config {})
    }

    /// Lowers [`max_connections`](Self::max_connections) to what a process with this many file
    /// descriptors for connections can have, but at least to 1.
    pub fn fit_descriptors(&mut self, descriptors: usize) -> &mut Self {
        self.max_connections = self.max_connections.min(descriptors).max(1);
        self
    }

    /// The current value of [`max_connections`](Self::max_connections).
    pub fn most_connections(&self) -> usize {
        self.max_connections
    }

    durations! {
        /// Time for which a connection may be idle before it is closed, at least 64·T1 (RFC 3261
        /// §18). Default: 3,900 s, longer than the life of a registration.
        idle_timeout: SHORTEST_IDLE, "32 s or more";
        /// Delay before the next connection attempt to a server with addresses of both families,
        /// while one is still in progress. A failed attempt is followed by the next at once, and
        /// the first that succeeds ends the others (the Connection Attempt Delay of RFC 8305 §5,
        /// which recommends 100 ms to 2 s). Default: 250 ms.
        attempt_delay: SHORTEST_ATTEMPT_DELAY, "10 ms or more";
        /// Time limit for connecting to one target. Default: 10 s.
        connect_timeout: ABOVE_ZERO, "more than zero";
        /// Time limit for the TLS and WebSocket handshakes. Default: 10 s.
        handshake_timeout: ABOVE_ZERO, "more than zero";
        /// Time within which an accepted connection must bring a valid message. Default: 20 s.
        first_message_timeout: ABOVE_ZERO, "more than zero";
        /// Time limit for receiving a message, from its first byte to its last. Default: 20 s.
        message_timeout: ABOVE_ZERO, "more than zero";
        /// Time for which a peer may read none of the bytes queued for it. Default: 20 s.
        write_stall_timeout: ABOVE_ZERO, "more than zero";
        /// Time for which responses to a sent-by that a request of ours carried are accepted as
        /// ours (RFC 3261 §18.1.2), if it is not one of our names otherwise. Default: 10 min,
        /// longer than any transaction.
        sent_by_memory: ABOVE_ZERO, "more than zero";
        /// Longest time between two keep-alives on a connection that is kept alive; each period is
        /// 80 % to 100 % of it. Default: 120 s (RFC 5626 §4.4.1).
        stream_keep_interval: ABOVE_ZERO, "more than zero";
        /// Longest time between two keep-alives on a UDP flow. Default: 29 s (RFC 5626 §4.4.2).
        datagram_keep_interval: ABOVE_ZERO, "more than zero";
        /// Time limit for the answer to a ping on a connection, where one is required. Default: 10
        /// s (RFC 5626 §4.4.1).
        pong_timeout: ABOVE_ZERO, "more than zero";
        /// Time after which a STUN request is sent for the second time. Each further interval
        /// doubles, and the transaction fails without an answer after 79 times this time. Default:
        /// 500 ms (RFC 8489 §6.2.1).
        stun_rto: ABOVE_ZERO, "more than zero";
        /// Time that a request too large for UDP waits for a connection before it is sent over UDP
        /// after all. Default: 2 s.
        size_rule_timeout: ABOVE_ZERO, "more than zero";
        /// Time for which further large requests to a target that could not be connected to are
        /// sent over UDP at once. Default: 600 s.
        size_rule_memory: ABOVE_ZERO, "more than zero";
    }

    positive! {
        /// Limit of all connections together. When it is reached, the party (an IP address; in IPv6
        /// a /64) that holds the most connections, the new one counted with its own, makes room:
        /// the oldest of its [silent](Self::max_silent) connections closes, or else the one that
        /// has been idle for longest. If no party holds more than one, the connection to close is
        /// chosen among all. Connections that we opened count as from one address each. Those that
        /// the application [trusts](crate::parts::Router::trust) make room only if there are no others.
        ///
        /// A new connection is refused if the only one that could make room was used in the last
        /// 64·T1 (32 s), as transactions may still depend on it (RFC 3261 §18), and is trusted or
        /// from the same address as the new one. Default: 65,536, which the adapters lower to what
        /// the limit of open files allows.
        max_connections: usize;
        /// Limit of bytes queued for one connection. Default: 1 MiB.
        send_queue: usize;
        /// Limit of bytes queued for a [silent](Self::max_silent) connection. Default: 64 KiB.
        silent_send_queue: usize;
        /// Limit of bytes queued for all connections together. A send that would exceed it fails at
        /// once; then the connection whose peer has been behind in reading for longest, and for at
        /// least a second, is closed to make room for later sends. Default: 64 MiB.
        total_send_queue: usize;
        /// Limit of bytes that all connections together have received and not passed on: parts of
        /// messages, handshakes and TLS records, and, while the application does not take messages,
        /// complete ones too. When it is exceeded, the party (an IP address; in IPv6 a /64) that
        /// holds the most bytes loses the connection that has been receiving for longest; for an
        /// [exempt](Self::per_ip_exempt) address each connection counts by itself. Default: 64 MiB.
        total_receive_buffer: usize;
        /// Limit of replies per second to malformed requests on one UDP channel, whatever the
        /// number of its sockets. One source (an IPv4 /24, an IPv6 /56) gets at most a sixteenth of
        /// them, unless it is [exempt](Self::per_ip_exempt). Default: 100.
        malformed_replies_per_second: u32;
        /// Limit of answers per second to STUN requests on one UDP channel. A peer without an
        /// answer considers its flow dead, so the limit must suffice for all keep-alives. One
        /// source (an IPv4 /24, an IPv6 /56) gets at most a sixteenth of them, unless it is
        /// [exempt](Self::per_ip_exempt). Default: 5,000, enough for 65,536 flows that are kept
        /// alive every 29 s × 0.8, of which 4,096 may come from one source.
        stun_answers_per_second: u32;
        /// Limit of sends that wait for a lookup, a local address or a connection. Default: 16,384.
        max_waiting_sends: usize;
        /// Limit of sent-by values that are [remembered](Self::sent_by_memory). The least recently
        /// used one makes room for another. Default: 4,096.
        max_remembered_sent_by: usize;
        /// Limit of UDP flows that are kept alive. The one whose last request for keep-alives is
        /// the oldest makes room for another. Default: 16,384.
        max_kept_flows: usize;
        /// Limit of targets that are [remembered](Self::size_rule_memory) as without TCP; the
        /// oldest makes room for another. Default: 4,096.
        size_rule_targets: usize;
    }

    shares! {
        /// Limit of silent connections: accepted ones from which no valid message has arrived yet.
        /// When it is reached, the party (an IP address; in IPv6 a /64) that holds the most of them
        /// loses its oldest; if none holds more than one, the oldest of all closes. Default: a
        /// quarter of [`max_connections`](Self::max_connections).
        max_silent;
        /// Limit of connections accepted from one IP address (in IPv6 from one /64), not counting
        /// those that are [exempt](Self::per_ip_exempt) or [trusted](crate::parts::Router::trust). A new
        /// one takes the place of the oldest [silent](Self::max_silent) one, or else of the one
        /// that has been idle for longest; it is refused if all have been used in the last 64·T1
        /// (32 s). Default: an eighth of [`max_connections`](Self::max_connections).
        max_connections_per_ip;
    }
}

/// The rule for filling in placeholder hosts (`0.0.0.0`, `[::]`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Substitution {
    /// Top Via, From (host only), Contact and topmost Record-Route of requests and Contact of
    /// responses, in messages built here; in forwarded messages only a newly added top Via and a
    /// newly added Record-Route.
    #[default]
    Rfc,
    /// The same and what the RFCs ask to leave alone: the port of From, Via and From of responses,
    /// and all of these in forwarded messages.
    Original,
    /// No substitution.
    Off,
}
