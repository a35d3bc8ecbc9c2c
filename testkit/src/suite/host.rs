use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use adapter_core::runtime::{Datagrams, Listener, Stream};
use sip_transport_proto::error::SendError;
use sip_transport_proto::resolve::Zone;
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::tls::TlsConfig;
use sip_transport_proto::{
    Advertised, ChannelConfig, ChannelId, Config, ConfigError, ConnectionId, ConnectionInfo, Event,
    Protocol, SendOptions, Sent, SipEndpoint, Stats,
};

use super::{authority, channel};

/// What runs the cases: some kind of transport, and a network that it is on.
#[allow(async_fn_in_trait)]
pub trait Host: Sized {
    /// A transport.
    type Endpoint: Endpoint;

    /// Runs a case to its end, on a network of its own; more than once where chance has a part.
    ///
    /// # Panics
    /// The case fails, or takes too long.
    fn run(case: impl AsyncFn(&Self));

    /// Where the next transport or peer is to live.
    fn place(&self) -> Place;

    /// Whether there is IPv6 here.
    fn has_ipv6(&self) -> bool {
        true
    }

    /// Whether a socket hears of datagrams that found nobody (ICMP).
    fn reports_unreachable(&self) -> bool {
        true
    }

    /// Binds and starts a transport.
    async fn start(&self, place: &Place, setup: Setup) -> io::Result<Self::Endpoint>;

    /// A transport with a channel of UDP and one of that protocol, over IPv4.
    ///
    /// # Panics
    /// They cannot be bound.
    async fn start_udp_and(&self, protocol: Protocol) -> Self::Endpoint {
        let here = self.place();
        let setup = Setup::new().udp_and(protocol, &here, Family::V4);
        match self.start(&here, setup).await {
            Ok(endpoint) => endpoint,
            Err(error) => panic!("{error}"),
        }
    }

    /// Lets time pass.
    async fn sleep(&self, time: Duration);

    /// A bare UDP socket, for a peer that speaks for itself.
    fn bind_datagrams(&self, local: SocketAddr) -> io::Result<Box<dyn Datagrams>>;

    /// A bare listener.
    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn Listener>>;

    /// A bare connection.
    async fn connect(&self, place: &Place, remote: SocketAddr) -> io::Result<Box<dyn Stream>>;

    /// How many connections a case may hold open at once.
    fn crowd(&self) -> usize;

    /// Waits for something that comes about by itself.
    async fn until(&self, mut condition: impl FnMut() -> bool) {
        while !condition() {
            self.sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A transport under test, and its events.
#[allow(async_fn_in_trait)]
pub trait Endpoint {
    /// Sends a message.
    async fn send(&self, message: Message, options: SendOptions) -> Result<Sent, SendError>;

    /// The next event; `None` when there will be none.
    async fn event(&mut self) -> Option<Event>;

    /// The channels, in the order in which they were added.
    fn channels(&self) -> Vec<SipEndpoint>;

    /// Adds a channel.
    async fn add_channel(&self, channel: ChannelConfig) -> io::Result<ChannelId>;

    /// Removes a channel.
    async fn remove_channel(&self, channel: ChannelId);

    /// What has been counted on each channel.
    fn channel_stats(&self) -> Vec<(SipEndpoint, Stats)>;

    /// Changes what a channel advertises to peers of IPv4.
    fn advertise(&self, channel: ChannelId, advertised: Option<Advertised>);

    /// The connections, open or being opened.
    fn connections(&self) -> Vec<ConnectionInfo>;

    /// Closes a connection. False if there is none.
    fn close(&self, connection: ConnectionId) -> bool;

    /// Says that its peer has proved who it is. False if there is none.
    fn trust(&self, connection: ConnectionId) -> bool;

    /// How many bytes wait to be sent, or for a connection.
    fn queued_bytes(&self) -> usize;

    /// What has happened.
    fn stats(&self) -> Stats;

    /// Ends it.
    async fn shutdown(&self);

    /// The channel of a protocol and family.
    ///
    /// # Panics
    /// There is none.
    fn channel(&self, protocol: Protocol, family: Family) -> SipEndpoint {
        let mut channels = self.channels().into_iter();
        let found = channels.find(|channel| {
            channel.protocol == protocol && channel.addr.is_ipv6() == (family == Family::V6)
        });
        match found {
            Some(channel) => channel,
            None => panic!("no channel for {protocol} and {family:?}"),
        }
    }
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The address that stands for all of this family.
    pub fn any(self) -> IpAddr {
        match self {
            Self::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

/// The addresses of one machine.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its IPv4 address.
    pub v4: IpAddr,
    /// Its IPv6 address.
    pub v6: IpAddr,
}

impl Place {
    /// Its address of a family.
    pub fn ip(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// A free port on that address.
    pub fn any_port(&self, family: Family) -> SocketAddr {
        SocketAddr::new(self.ip(family), 0)
    }
}

/// What a transport begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its channels.
    pub channels: Vec<ChannelConfig>,
    /// Its settings.
    pub config: Config,
    /// What the DNS says, if anything.
    pub zone: Option<Zone>,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// No channels, default settings, and trust in the [`authority`].
    pub fn new() -> Self {
        let mut config = Config::default();
        config.tls(authority().client());
        Self {
            channels: Vec::new(),
            config,
            zone: None,
        }
    }

    /// With one more channel, which has a certificate for its address if it needs one.
    #[must_use]
    pub fn channel(mut self, protocol: Protocol, local: SocketAddr) -> Self {
        self.channels.push(channel(protocol, local));
        self
    }

    /// With one more channel, whose certificates are others.
    #[must_use]
    pub fn secure_channel(mut self, protocol: Protocol, local: SocketAddr, tls: TlsConfig) -> Self {
        self.channels
            .push(ChannelConfig::new(protocol, local).tls(tls));
        self
    }

    /// With a channel of UDP and one of that protocol, on ports of their own.
    #[must_use]
    pub fn udp_and(self, protocol: Protocol, place: &Place, family: Family) -> Self {
        self.channel(Protocol::Udp, place.any_port(family))
            .channel(protocol, place.any_port(family))
    }

    /// With a UDP and a TCP channel of that family, on ports of their own.
    #[must_use]
    pub fn both(self, place: &Place, family: Family) -> Self {
        self.udp_and(Protocol::Tcp, place, family)
    }

    /// With a DNS.
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = Some(zone);
        self
    }

    /// With other settings.
    ///
    /// # Panics
    /// One of them is refused.
    #[must_use]
    pub fn set(mut self, set: impl FnOnce(&mut Config) -> Result<(), ConfigError>) -> Self {
        if let Err(error) = set(&mut self.config) {
            panic!("{error}");
        }
        self
    }
}
