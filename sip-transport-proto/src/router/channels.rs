//! The channels of a router.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use sip_core::HostPort;
use tracing::{error, info};

use super::{Router, RouterOutput};
use crate::config::ChannelConfig;
use crate::config::advertised::{Advertised, HostText, PerFamily};
use crate::config::multicast::Membership;
use crate::context::ChannelContext;
use crate::context::own_names::SentByKey;
use crate::datagram::DatagramSocket;
use crate::endpoint::SipEndpoint;
use crate::error::{ChannelError, ChannelFailure, CloseReason};
use crate::event::Event;
use crate::ids::{ChannelId, SocketId, TransportId};
use crate::observe::counters::Stats;
use crate::observe::trace::CHANNEL;
use crate::protocol::Protocol;
use crate::resolve::Family;
use crate::tls::TlsChoice;

/// A channel in use.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) config: ChannelConfig,
    pub(crate) context: Arc<ChannelContext>,
    /// The TLS configuration under which it connects, unless a send gives another.
    pub(crate) client_tls: TlsChoice,
    /// Made for a request that found no channel: it does not listen.
    pub(crate) client_only: bool,
    /// Usable: a datagram socket made on demand has to be bound first.
    pub(crate) ready: bool,
}

impl Channel {
    pub(crate) fn protocol(&self) -> Protocol {
        self.config.protocol
    }

    pub(crate) fn is_wildcard(&self) -> bool {
        self.config.local.ip().is_unspecified()
    }

    /// Logs that it is added or removed.
    pub(crate) fn log(&self, what: &'static str) {
        info!(
            target: CHANNEL,
            id = %self.id,
            protocol = %self.protocol(),
            local = %self.config.local,
            listens = self.config.listener,
            "{what}"
        );
    }

    /// The sent-by names of responses to it.
    fn names(&self) -> impl Iterator<Item = SentByKey> {
        let default_port = self.protocol().default_port();
        let bound = HostPort::new(
            self.config.local.ip().into(),
            Some(self.config.local.port()),
        );
        let advertised = self.config.advertised.iter().map(Advertised::host_port);
        let bound = (!self.client_only).then_some(bound);
        bound
            .into_iter()
            .chain(advertised)
            .map(move |name| SentByKey::new(name, default_port))
    }
}

/// The channels, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    list: Vec<Channel>,
    /// The contexts of removed channels, while something may still count in them.
    retired: Vec<Arc<ChannelContext>>,
    next: u32,
}

/// The choice of a channel to send on.
#[derive(Debug)]
pub(crate) enum ChannelChoice {
    /// This one.
    Channel(ChannelId),
    /// It depends on the local address that the system uses towards the destination.
    NeedsLocal,
    /// None carries the protocol there.
    None,
}

impl Channels {
    pub(crate) fn add(
        &mut self,
        transport: TransportId,
        config: ChannelConfig,
        context: &ChannelContext,
    ) -> Result<ChannelId, ChannelError> {
        if config.local.port() == 0 && config.listener {
            return Err(ChannelError::NoPort(config.local));
        }
        let same = |c: &&Channel| {
            c.protocol() == config.protocol && c.config.local == config.local && !c.client_only
        };
        if let Some(channel) = self.list.iter().find(same) {
            return Err(ChannelError::Exists(channel.id));
        }
        let id = self.next_id(transport);
        let channel = Channel {
            id,
            context: context.of_channel(&config),
            client_tls: config.client_tls(&context.config),
            config,
            client_only: false,
            ready: true,
        };
        channel.names().for_each(|name| context.names.add(&name));
        channel.log("added");
        self.list.push(channel);
        Ok(id)
    }

    /// Adds a channel that only sends: one for each protocol and family.
    pub(crate) fn add_client_only(
        &mut self,
        protocol: Protocol,
        remote: IpAddr,
        context: &ChannelContext,
    ) -> &Channel {
        let any = if remote.is_ipv4() {
            IpAddr::from(Ipv4Addr::UNSPECIFIED)
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let config = ChannelConfig::new(protocol, SocketAddr::new(any, 0)).listener(false);
        let id = self.next_id(context.id);
        let ready = protocol.is_stream();
        self.list.push(Channel {
            id,
            context: context.of_channel(&config),
            client_tls: config.client_tls(&context.config),
            config,
            client_only: true,
            ready,
        });
        // Just pushed.
        let channel = &self.list[self.list.len() - 1];
        if ready {
            channel.log("added, client only");
        }
        channel
    }

    fn next_id(&mut self, transport: TransportId) -> ChannelId {
        let id = ChannelId {
            transport,
            index: self.next,
        };
        self.next = self.next.wrapping_add(1);
        id
    }

    /// Removes a channel. What it has counted, and what its connections still count, stays in the
    /// sum.
    pub(crate) fn remove(
        &mut self,
        now: Instant,
        id: ChannelId,
        context: &ChannelContext,
    ) -> Option<ChannelConfig> {
        let at = self.list.iter().position(|channel| channel.id == id)?;
        let channel = self.list.remove(at);
        channel.log("removed");
        channel
            .names()
            .for_each(|name| context.names.remove(now, &name));
        self.retired.push(channel.context);
        self.retired.retain(|retired| {
            let in_use = Arc::strong_count(retired) > 1;
            if !in_use {
                context.counters.take_over(&retired.counters);
            }
            in_use
        });
        Some(channel.config)
    }

    /// The sum of the counters of all channels, removed ones included.
    pub(crate) fn stats(&self) -> Stats {
        let contexts = self.list.iter().map(|channel| &channel.context);
        let mut sum = Stats::default();
        for context in contexts.chain(&self.retired) {
            sum += context.counters.snapshot();
        }
        sum
    }

    /// The context of a channel; `other` if there is no such channel.
    pub(crate) fn context_of<'a>(
        &'a self,
        id: ChannelId,
        other: &'a Arc<ChannelContext>,
    ) -> &'a Arc<ChannelContext> {
        self.get(id).map_or(other, |channel| &channel.context)
    }

    /// Changes the address that is advertised to peers of a family. Returns false if there is no
    /// such channel.
    pub(crate) fn advertise(
        &mut self,
        now: Instant,
        id: ChannelId,
        family: Family,
        advertised: Option<Advertised>,
        context: &ChannelContext,
    ) -> bool {
        let Some(channel) = self.get_mut(id) else {
            return false;
        };
        let before = Vec::from_iter(channel.names());
        channel.config.advertised.set(family, advertised);
        channel.names().for_each(|name| context.names.add(&name));
        // Names that stay are never forgotten in between.
        for name in &before {
            context.names.remove(now, name);
        }
        true
    }

    pub(crate) fn get(&self, id: ChannelId) -> Option<&Channel> {
        // Few channels: a search beats an index.
        self.list.iter().find(|channel| channel.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.list.iter_mut().find(|channel| channel.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.list.iter()
    }

    /// The channels that carry the protocol to a destination.
    pub(crate) fn towards(
        &self,
        protocol: Protocol,
        remote: IpAddr,
    ) -> impl Iterator<Item = &Channel> + Clone {
        let fits = move |c: &&Channel| c.protocol() == protocol && c.config.reaches(remote);
        self.list.iter().filter(fits)
    }

    /// The channel for a destination: the one bound to the very address that the system routes
    /// from, else one bound to all, else the first added; those made on demand come last.
    ///
    /// Without `local`, the answer may be that the address is needed.
    pub(crate) fn choose(
        &self,
        protocol: Protocol,
        remote: IpAddr,
        local: Option<IpAddr>,
    ) -> ChannelChoice {
        let all = self.towards(protocol, remote);
        let mut candidates = all.clone();
        let Some(first) = candidates.next() else {
            return ChannelChoice::None;
        };
        if candidates.next().is_none() {
            return ChannelChoice::Channel(first.id);
        }
        let Some(local) = local else {
            return ChannelChoice::NeedsLocal;
        };
        let best = all
            .clone()
            .find(|c| c.config.local.ip() == local)
            .or_else(|| all.clone().find(|c| c.is_wildcard() && !c.client_only))
            .or_else(|| all.clone().find(|c| !c.client_only))
            .unwrap_or(first);
        ChannelChoice::Channel(best.id)
    }
}

impl Router {
    /// Adds a channel whose socket is bound.
    ///
    /// # Errors
    /// There is a channel on the address already, or the protocol is not supported.
    pub fn add_channel(&mut self, mut config: ChannelConfig) -> Result<ChannelId, ChannelError> {
        if !config.protocol.is_compiled_in() {
            return Err(ChannelError::Unsupported(config.protocol));
        }
        self.check_certificate(&config)?;
        check_groups(&config)?;
        if config.anonymous {
            let name = format!("{}.invalid", self.tokens.tag().as_str());
            let host = HostText::Name(name.into());
            config.advertised = PerFamily::both(Advertised { host, port: None });
        }
        self.channels.add(self.context.id, config, &self.context)
    }

    /// Removes a channel: its connections are closed, and nothing more is sent on it.
    ///
    /// # Errors
    /// There is no such channel.
    pub fn remove_channel(&mut self, now: Instant, id: ChannelId) -> Result<(), ChannelError> {
        self.end_channel(now, id, CloseReason::ChannelRemoved)
            .map(drop)
    }

    /// Removes a channel whose socket failed, and reports it ([`Event::ChannelClosed`]).
    ///
    /// # Errors
    /// There is no such channel (any more).
    pub fn fail_channel(
        &mut self,
        now: Instant,
        id: ChannelId,
        cause: ChannelFailure,
    ) -> Result<(), ChannelError> {
        let config = self.end_channel(now, id, CloseReason::ChannelFailed(cause))?;
        let mut local = SipEndpoint::new(config.protocol, config.local);
        local.channel = Some(id);
        error!(target: CHANNEL, %id, %local, %cause, "closed");
        self.outputs
            .push_back(RouterOutput::Event(Event::ChannelClosed {
                channel: id,
                local,
                cause,
            }));
        Ok(())
    }

    fn end_channel(
        &mut self,
        now: Instant,
        id: ChannelId,
        reason: CloseReason,
    ) -> Result<ChannelConfig, ChannelError> {
        let config = self
            .channels
            .remove(now, id, &self.context)
            .ok_or(ChannelError::Unknown(id))?;
        self.kept.forget_if(|channel| channel == id);
        let connections: Vec<_> = self.connections.of_channel(id).collect();
        for connection in connections {
            self.close_for(connection, reason);
        }
        for waiting in self.queries.bound(id) {
            self.resume(now, waiting);
        }
        Ok(config)
    }

    /// Changes what is advertised to peers of an address family in place of a channel's bound
    /// address: a name or address and a port, such as the one that STUN reported
    /// ([`Event::MappedAddress`]), or with `None` the bound address again. It applies to messages
    /// routed from now on; responses to earlier ones are still accepted as ours.
    ///
    /// # Errors
    /// There is no such channel.
    pub fn advertise(
        &mut self,
        now: Instant,
        channel: ChannelId,
        family: Family,
        advertised: Option<Advertised>,
    ) -> Result<(), ChannelError> {
        let known = self
            .channels
            .advertise(now, channel, family, advertised, &self.context);
        known.then_some(()).ok_or(ChannelError::Unknown(channel))
    }

    /// The address that a channel advertises to peers of an address family. `None` if that is its
    /// bound address, or if there is no such channel (any more).
    pub fn advertised(&self, channel: ChannelId, family: Family) -> Option<&Advertised> {
        self.channels.get(channel)?.config.advertises(family)
    }

    /// The channels, in the order in which they were added.
    pub fn channels(&self) -> impl Iterator<Item = (ChannelId, &ChannelConfig)> {
        self.channels
            .iter()
            .map(|channel| (channel.id, &channel.config))
    }

    /// The state machine of a socket of a datagram channel; `None` if the channel is not a datagram
    /// channel.
    pub fn datagram_socket(&mut self, socket: SocketId) -> Option<DatagramSocket> {
        let channel = self.channels.get(socket.channel)?;
        let datagrams = !channel.protocol().is_stream() && socket.index < channel.config.sockets;
        datagrams.then(|| {
            DatagramSocket::new(
                Arc::clone(&channel.context),
                Arc::clone(&self.kept),
                socket,
                &channel.config,
                self.tokens.array(),
            )
        })
    }
}

fn check_groups(config: &ChannelConfig) -> Result<(), ChannelError> {
    let known = usize::from(u8::MAX);
    let wrong = |(at, joined): &(usize, &Membership)| {
        !joined.group.is_multicast() || !config.can_join() || *at >= known
    };
    let first = config.groups.iter().enumerate().find(wrong);
    first.map_or(Ok(()), |(_, joined)| {
        Err(ChannelError::CannotJoin(joined.group))
    })
}
