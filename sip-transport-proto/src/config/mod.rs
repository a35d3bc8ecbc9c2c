//! The settings of a transport.

pub(crate) mod advertised;
pub(crate) mod calls;
pub(crate) mod channel;
mod client_tls;
pub(crate) mod keep;
pub(crate) mod multicast;
pub(crate) mod party;
#[cfg(feature = "proxy")]
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
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;
#[cfg(feature = "ws")]
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
    pub(crate) tap: Option<Tap>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsConfig>,
    #[cfg(feature = "ws")]
    pub(crate) websocket: WebSocketConfig,
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
            tap: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "ws")]
            websocket: WebSocketConfig::default(),
            #[cfg(feature = "ws")]
            websocket_limits: WebSocketLimits::default(),
        }
    }
}

/// Connection attempts to one server must not follow each other faster (RFC 8305 §5).
const SHORTEST_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

/// 64·T1 (RFC 3261 §17.1.1.1): a connection must outlive the transactions that use it (§18).
pub(crate) const SHORTEST_IDLE: Duration = Duration::from_secs(32);

impl Config {
    /// How servers are found by name (RFC 3263): order, time limits, memory. Default:
    /// [`ResolveConfig::default`].
    pub fn resolve(&mut self, resolve: ResolveConfig) -> &mut Self {
        self.resolve = resolve;
        self
    }

    /// The size limits of received messages. Default: [`Limits::default`].
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// How much of the grammar a received message must follow, over what [`limits`](Self::limits)
    /// say. Default: [`Reading::Lenient`].
    ///
    /// ```
    /// use sip_transport_proto::{ChannelConfig, Config, Protocol, sip_core::Reading};
    ///
    /// let mut config = Config::default();
    /// config.reading(Reading::Strict);
    /// // The phones of this one are not held to it.
    /// let phones = ChannelConfig::new(Protocol::Udp, "192.0.2.1:5060".parse()?)
    ///     .reading(Reading::Lenient);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn reading(&mut self, reading: Reading) -> &mut Self {
        self.reading = Some(reading);
        self
    }

    /// The limits of a channel that has this setting of its own.
    pub(crate) fn limits_of_channel(&self, reading: Option<Reading>) -> Limits {
        match reading.or(self.reading) {
            Some(reading) => self.limits.with_reading(reading),
            None => self.limits,
        }
    }

    /// Another name that requests of ours carry as sent-by, so that responses to it are taken for
    /// ours (RFC 3261 §18.1.2). Bound and advertised addresses need not be named.
    pub fn own_name(&mut self, host: &str, port: Option<u16>) -> &mut Self {
        self.names.push((host.into(), port));
        self
    }

    /// Whether responses whose top Via is not ours are dropped, as RFC 3261 §18.1.2 asks.
    /// Default: yes.
    pub fn drop_stray_responses(&mut self, drop: bool) -> &mut Self {
        self.drop_stray_responses = drop;
        self
    }

    /// Whether a request for which there is no channel gets a client-only one. Default: yes.
    pub fn create_client_channels(&mut self, create: bool) -> &mut Self {
        self.create_client_channels = create;
        self
    }

    /// Whether requests may go to IPv6 groups. RFC 3261 §18.1.1 leaves undefined what they mean:
    /// their top Via gets `maddr` and no `ttl`, and responses that are sent to the group are not
    /// heard. Default: no.
    pub fn ipv6_multicast(&mut self, allow: bool) -> &mut Self {
        self.ipv6_multicast = allow;
        self
    }

    /// How placeholders are filled in. Default: [`Substitution::Rfc`].
    pub fn substitution(&mut self, substitution: Substitution) -> &mut Self {
        self.substitution = substitution;
        self
    }

    /// Whether a placeholder Contact with a `sip` URI gets `;transport=tls` where it goes out over
    /// TLS. RFC 5630 §5.1.1 has nobody write that; without it, such a Contact says UDP to whoever
    /// follows it. Default: yes.
    pub fn contact_transport_tls(&mut self, write: bool) -> &mut Self {
        self.contact_transport_tls = write;
        self
    }

    /// How far responses may go that cannot go back the way of their request. Default:
    /// [`ResponsePolicy::new`].
    pub fn responses(&mut self, policy: ResponsePolicy) -> &mut Self {
        self.responses = policy;
        self
    }

    /// From which size on requests go over TCP in the place of UDP. Default: [`SizeRule::Rfc`].
    pub fn size_rule(&mut self, rule: SizeRule) -> &mut Self {
        self.size_rule = rule;
        self
    }

    /// A call to change the headers of each message before it goes out: once the way is chosen,
    /// before placeholders are filled in. It gets the message, its local and its remote end point.
    ///
    /// It runs outside all locks, in the task that sends. If it panics, the send fails with
    /// [`SendCause::HookPanicked`](crate::error::SendCause::HookPanicked): no message goes out half
    /// changed.
    pub fn header_hook(
        &mut self,
        hook: impl Fn(&mut Message, SipEndpoint, SipEndpoint) + Send + Sync + 'static,
    ) -> &mut Self {
        self.hook = Some(Hook(Arc::new(hook)));
        self
    }

    /// Addresses behind which many peers are, such as load balancers and gateways: each of their
    /// connections counts as one from an address of its own. So they never meet
    /// [`max_connections_per_ip`](Self::max_connections_per_ip), and make room as peers do that hold
    /// one. Their datagrams do not count against what one source may have. Default: none.
    pub fn per_ip_exempt(&mut self, networks: impl IntoIterator<Item = IpNet>) -> &mut Self {
        self.per_ip_exempt = networks.into_iter().collect();
        self
    }

    /// A call that says whether a connection may stay that a listener has accepted: before anything
    /// is read from it, and before it counts against any limit. It gets our end, with the channel,
    /// and the peer's. What it refuses is closed at once and counted
    /// ([`Stats::accepts_filtered`](crate::Stats::accepts_filtered)).
    ///
    /// Of a connection from a [trusted load balancer](crate::ChannelConfig::proxy_protocol) it is
    /// asked when that has said whose it is.
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

    /// The limit of silent connections that holds.
    pub(crate) fn silent_limit(&self) -> usize {
        self.max_silent.unwrap_or(self.max_connections / 4).max(1)
    }

    /// Whether that address is exempt from limits of one address.
    pub(crate) fn is_exempt(&self, ip: IpAddr) -> bool {
        let mut exempt = self.per_ip_exempt.iter();
        exempt.any(|network| network.contains(&ip.to_canonical()))
    }

    /// The limit of connections from one address that holds.
    pub(crate) fn limit_per_ip(&self) -> usize {
        let share = self.max_connections / 8;
        self.max_connections_per_ip.unwrap_or(share).max(1)
    }

    /// How exactly the router knows when a connection was last active.
    pub(crate) fn activity_grain(&self) -> Duration {
        self.idle_timeout / 128
    }

    /// A call for each message that comes and goes, byte by byte as the peer writes or reads it:
    /// also for those that break a rule, responses that are not ours, and the replies that the
    /// transport makes itself. Keep-alives are no messages. The messages of one connection are shown
    /// in their order, each once it has come or is queued. Without it nothing is copied.
    ///
    /// It runs outside all locks, in the task of the connection or socket, which waits for it. If it
    /// panics, the message goes its way all the same.
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
        self.tap = Some(Tap::new(tap));
        self
    }

    /// The TLS configuration of channels that have none of their own: those made on demand, and
    /// listeners that connect.
    #[cfg(feature = "tls")]
    pub fn tls(&mut self, tls: TlsConfig) -> &mut Self {
        self.tls = Some(tls);
        self
    }

    /// The WebSocket settings of channels that have none of their own.
    #[cfg(feature = "ws")]
    pub fn websocket(&mut self, websocket: WebSocketConfig) -> &mut Self {
        self.websocket = websocket;
        self
    }

    /// What an upgrade and a message's fragments may take. How long a message may be is said by
    /// [`limits`](Self::limits) for all transports.
    #[cfg(feature = "ws")]
    pub fn websocket_limits(&mut self, limits: WebSocketLimits) -> &mut Self {
        self.websocket_limits = limits;
        self
    }

    #[cfg(feature = "ws")]
    pub(crate) fn limits_of_websocket(&self) -> WebSocketLimits {
        let mut limits = self.websocket_limits;
        // A limit of zero is left out; there is none.
        let _ = limits.message(self.limits.message());
        limits
    }

    /// Lowers [`max_connections`](Self::max_connections) to what a process with this many
    /// descriptors for them can have. At least one is left.
    pub fn fit_descriptors(&mut self, descriptors: usize) -> &mut Self {
        self.max_connections = self.max_connections.min(descriptors).max(1);
        self
    }

    /// The setting [`max_connections`](Self::max_connections) as it is.
    pub fn most_connections(&self) -> usize {
        self.max_connections
    }

    durations! {
        /// How long a connection may idle before it is closed; 64·T1 is the least (RFC 3261 §18).
        /// Default: 3,900 s, longer than a registration lives.
        idle_timeout: SHORTEST_IDLE, "32 s or more";
        /// Where a server has addresses of both families: how long to wait for a connection to one of
        /// them before the next is tried beside it. One that fails is followed at once, and the first
        /// that is connected ends the others (RFC 8305 §5, where it is the Connection Attempt Delay;
        /// 100 ms to 2 s are advised). Default: 250 ms.
        attempt_delay: SHORTEST_ATTEMPT_DELAY, "10 ms or more";
        /// How long to try to connect to one target. Default: 10 s.
        connect_timeout: ABOVE_ZERO, "more than zero";
        /// How long TLS and WebSocket may take to be agreed on. Default: 10 s.
        handshake_timeout: ABOVE_ZERO, "more than zero";
        /// How soon an accepted connection must bring a valid message. Default: 20 s.
        first_message_timeout: ABOVE_ZERO, "more than zero";
        /// How long a message may take from its first byte to its last. Default: 20 s.
        message_timeout: ABOVE_ZERO, "more than zero";
        /// How long a connection may take none of the bytes waiting for it. Default: 20 s.
        write_stall_timeout: ABOVE_ZERO, "more than zero";
        /// How long responses to a sent-by that a request of ours carried count as ours
        /// (RFC 3261 §18.1.2), if it is no name of ours otherwise. Default: 10 min, longer than any
        /// transaction.
        sent_by_memory: ABOVE_ZERO, "more than zero";
        /// The longest time between two keep-alives on a connection that is kept; each period is
        /// 80 % to 100 % of it. Default: 120 s (RFC 5626 §4.4.1).
        stream_keep_interval: ABOVE_ZERO, "more than zero";
        /// The same for a UDP flow. Default: 29 s (RFC 5626 §4.4.2).
        datagram_keep_interval: ABOVE_ZERO, "more than zero";
        /// How long the answer to a ping on a connection may take, where one is due. Default: 10 s
        /// (RFC 5626 §4.4.1).
        pong_timeout: ABOVE_ZERO, "more than zero";
        /// When a STUN request is sent for the second time; each further wait doubles, and without
        /// an answer it is over after 79 of them. Default: 500 ms (RFC 8489 §6.2.1).
        stun_rto: ABOVE_ZERO, "more than zero";
        /// How long a request that is too large for UDP waits for a connection before it goes over
        /// UDP after all. Default: 2 s.
        size_rule_timeout: ABOVE_ZERO, "more than zero";
        /// For how long a target that gave no connection to such a request gets the next ones over
        /// UDP at once. Default: 600 s.
        size_rule_memory: ABOVE_ZERO, "more than zero";
    }

    positive! {
        /// Connections in all. When there are so many, the IP address (IPv6: /64) that holds most of
        /// them makes room for another, the newcomer counted with its own: the oldest of its
        /// [silent](Self::max_silent) ones closes, or else the one that has been idle for longest.
        /// Where none holds more than one, these are looked for among all. Those that we opened count as
        /// from one address each. Those that the application [trusts](crate::parts::Router::trust) make room
        /// only where there are no others.
        ///
        /// A newcomer is refused if only such a one could make room that was used in the last 64·T1
        /// (32 s), as transactions may go on over it (RFC 3261 §18), and is trusted or from the
        /// newcomer's own address. Default: 65,536, which the adapters lower to what the limit of open
        /// files allows.
        max_connections: usize;
        /// Bytes queued for one connection. Default: 1 MiB.
        send_queue: usize;
        /// Bytes queued for a [silent](Self::max_silent) connection. Default: 64 KiB.
        silent_send_queue: usize;
        /// Bytes queued for all connections. A send that finds them all taken fails at once; the
        /// connection that has been behind with its bytes for longest, and for a second at least, is
        /// closed then, so that those after it find room. Default: 64 MiB.
        total_send_queue: usize;
        /// Bytes that all connections together have received and not passed on: of messages,
        /// upgrades and TLS records that are not complete, and while the application does not fetch
        /// messages also of complete ones. Where there are more, the address (IPv6: the /64) that
        /// holds most of them loses the connection that has been receiving for longest; an
        /// [exempt](Self::per_ip_exempt) address counts by each connection. Default: 64 MiB.
        total_receive_buffer: usize;
        /// Replies to malformed requests on one datagram channel in a second, whatever the number
        /// of its sockets. One source (an IPv4 /24, an IPv6 /56) gets a sixteenth of them at most,
        /// unless it is [exempt](Self::per_ip_exempt). Default: 100.
        malformed_replies_per_second: u32;
        /// Answers to STUN requests on one datagram channel in a second. A peer that gets none
        /// takes its flow for dead, so there must be enough for all keep-alives. One source (an
        /// IPv4 /24, an IPv6 /56) gets a sixteenth of them at most, unless it is
        /// [exempt](Self::per_ip_exempt). Default: 5,000, enough for 65,536 flows that are kept
        /// every 29 s × 0.8, of which 4,096 may come from one source.
        stun_answers_per_second: u32;
        /// Sends that wait for a lookup, a local address or a connection. Default: 16,384.
        max_waiting_sends: usize;
        /// How many sent-by values are [remembered](Self::sent_by_memory). The one that was
        /// last used longest ago makes room for another. Default: 4,096.
        max_remembered_sent_by: usize;
        /// UDP flows that are kept. The one that was asked for first makes room for another.
        /// Default: 16,384.
        max_kept_flows: usize;
        /// How many targets are [remembered](Self::size_rule_memory) that gave no connection; the
        /// first makes room for another. Default: 4,096.
        size_rule_targets: usize;
    }

    shares! {
        /// Silent connections: accepted, and no valid message has come yet. When there are so many, the
        /// IP address (IPv6: /64) that holds most of them closes its oldest for another; where none
        /// holds more than one, the oldest of all closes. Default: a quarter of
        /// [`max_connections`](Self::max_connections).
        max_silent;
        /// Accepted connections from one IP address (IPv6: from one /64), those left out that are
        /// [exempt](Self::per_ip_exempt) or [trusted](crate::parts::Router::trust). Another takes the place of
        /// its oldest [silent](Self::max_silent) one, or else of the one that has been idle for
        /// longest; it is refused where all have been used in the last 64·T1 (32 s). Default: an eighth
        /// of [`max_connections`](Self::max_connections).
        max_connections_per_ip;
    }
}

/// How placeholder hosts (`0.0.0.0`, `[::]`) are filled in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Substitution {
    /// Top Via, From (host only), Contact and topmost Record-Route of requests, Contact of
    /// responses, in messages that were built here; in forwarded ones only a Via newly put on top,
    /// and a Record-Route that was.
    #[default]
    Rfc,
    /// Also what the RFCs ask to leave alone: From gets the port too, responses' Via and From and
    /// forwarded messages are filled in as well.
    Original,
    /// Nothing is filled in.
    Off,
}
