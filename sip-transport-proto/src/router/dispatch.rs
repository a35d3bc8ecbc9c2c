//! The dispatch to one target: a channel and its socket, or a connection.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sip_core::Name;

use super::channels::{Channel, ChannelChoice};
use super::connections::ConnectionRecord;
use super::keeping::{keep_of, via_marks};
use super::{Router, RouterOutput};
use crate::config::advertised::{Advertised, HostText};
use crate::config::multicast;
use crate::connection::Connection;
use crate::connection::info::ConnectionState;
use crate::endpoint::is_one_host;
use crate::error::SendCause;
use crate::ids::{Carrier, ChannelId, ConnectionId, SocketId};
use crate::incoming::flow;
use crate::keep;
use crate::outgoing::dispatch::{Dispatch, DispatchParts, SentBy, SentByPort};
use crate::outgoing::next_hop::NextHop;
use crate::outgoing::options::SendOptions;
use crate::outgoing::sent::{HintOutcome, HintReport, Overruled};
use crate::outgoing::size_rule::SizeLimit;
use crate::outgoing::{Outgoing, SizeState};
use crate::resolve::Target;
use crate::tls::TlsName;

/// The reason that a target cannot be tried, or not yet.
pub(super) enum Obstacle {
    NeedsLocal(SocketAddr),
    NeedsBind(ChannelId),
    Failed(SendCause),
}

impl From<SendCause> for Obstacle {
    fn from(cause: SendCause) -> Self {
        Self::Failed(cause)
    }
}

/// The local address towards a target is needed to choose the channel of a message, and so the TLS
/// configuration under which it would connect.
#[derive(Debug)]
struct LocalUnknown;

/// What a message requires of a connection that is opened for it.
#[derive(Clone, Debug)]
pub(super) struct ConnectNeeds {
    /// The hinted channel, if it is usable.
    channel: Option<ChannelId>,
    pub(super) options: SendOptions,
    is_request: bool,
    /// The peer's name in a WebSocket upgrade.
    pub(super) name: Option<TlsName>,
}

/// The source of a datagram.
struct DatagramSource {
    socket: SocketId,
    /// The source address, where the socket is bound to the wildcard address.
    source: Option<IpAddr>,
    /// The source address as the peer sees it.
    local: SocketAddr,
    /// The outcome of the local address hint.
    hint: HintOutcome,
}

impl Router {
    pub(super) fn try_target(
        &mut self,
        now: Instant,
        target: Target,
        outgoing: &Outgoing,
        mut report: HintReport,
    ) -> Result<Dispatch, Obstacle> {
        let hinted = self.hinted_channel_to(&target, outgoing);
        if let Some(hinted) = &hinted {
            report.channel = hinted.into();
        }
        let hinted = hinted.and_then(Result::ok);
        if target.protocol.is_stream() {
            self.try_stream(now, target, outgoing, hinted, report)
        } else {
            self.try_datagram(now, target, outgoing, hinted, report)
        }
    }

    fn try_datagram(
        &mut self,
        now: Instant,
        target: Target,
        outgoing: &Outgoing,
        hinted: Option<ChannelId>,
        mut report: HintReport,
    ) -> Result<Dispatch, Obstacle> {
        let remote = target.addr;
        if remote.is_ipv6() && remote.ip().is_multicast() && !self.context.config.ipv6_multicast {
            return Err(SendCause::Ipv6Multicast(remote.ip()).into());
        }
        let sizing = self.sizing(now, &target, outgoing, hinted.is_some());
        let from = self.choose_source(now, &target, outgoing, hinted)?;
        report.local = from.hint;
        let id = from.socket.channel;
        let channel = self.channels.get(id).ok_or(SendCause::ChannelRemoved)?;
        let keep = keep_of(Some(&channel.config), outgoing);
        let mut marks = via_marks(Some(&channel.config), target.protocol, outgoing);
        let mut ttl = None;
        let sent_by = if remote.ip().is_multicast() {
            ttl = remote.is_ipv4().then(|| self.multicast_ttl(outgoing));
            let is_request = outgoing.message.is_request();
            marks.group = is_request.then_some((remote.ip(), ttl));
            // The group is received on the bound port, whatever is advertised.
            own_sent_by(channel, Some(from.local.ip()))
        } else {
            sent_by(channel, Some(from.local.ip()), remote.ip())
        };
        let context = Arc::clone(&channel.context);
        let (socket, source) = (from.socket, from.source);
        self.keep_if_asked(
            now,
            keep::KeepSource { socket, source },
            remote,
            keep,
            outgoing.id,
        );
        Ok(Dispatch::new(DispatchParts {
            context,
            send: outgoing.id,
            carrier: Carrier::Datagram { socket, source },
            protocol: target.protocol,
            channel: id,
            remote,
            local: Some(from.local),
            sent_by,
            arrival: self.arrival_side(outgoing),
            marks,
            ttl,
            hints: report,
            sizing,
        }))
    }

    /// Chooses the source of a datagram. A response is sent from where its request was received,
    /// unless asked otherwise (RFC 3581 §4).
    fn choose_source(
        &mut self,
        now: Instant,
        target: &Target,
        outgoing: &Outgoing,
        hinted: Option<ChannelId>,
    ) -> Result<DatagramSource, Obstacle> {
        let remote = target.addr;
        let arrival = self.arrival(outgoing, remote);
        let usable = |ip: &IpAddr| may_leave_from(*ip, remote);
        let hint = outgoing.options.hints.local;
        let known = hint
            .filter(usable)
            .or_else(|| arrival.map(|(_, ip)| ip).filter(usable));
        let local = known.or_else(|| self.queries.local_address(now, remote.ip()));
        let chosen = hinted.or_else(|| arrival.map(|(socket, _)| socket.channel));
        let id = match chosen.filter(|id| self.channels.get(*id).is_some()) {
            Some(id) => id,
            None => {
                let is_request = outgoing.message.is_request();
                self.channel_for(target, is_request, &outgoing.options, local)?
            }
        };
        let channel = self.channels.get(id).ok_or(SendCause::ChannelRemoved)?;
        if !channel.ready {
            return Err(Obstacle::NeedsBind(id));
        }
        let bound = channel.config.local;
        let (source, ip) = if channel.is_wildcard() {
            let joined = multicast::member(&channel.config.groups, remote.ip());
            let interface = joined.map(|joined| joined.interface.into());
            let source = known.or_else(|| interface.filter(usable));
            (source, source.or(local))
        } else {
            (None, Some(bound.ip()))
        };
        let socket = match arrival {
            Some((socket, _)) if socket.channel == id => socket,
            _ => id.socket(0),
        };
        let hint = match hint {
            None => HintOutcome::NotGiven,
            Some(ip) if source == Some(ip) || bound.ip() == ip => HintOutcome::Honoured,
            Some(_) => HintOutcome::Overruled(Overruled::Bound),
        };
        let ip = ip.ok_or(Obstacle::NeedsLocal(remote))?;
        Ok(DatagramSource {
            socket,
            source,
            local: SocketAddr::new(ip, bound.port()),
            hint,
        })
    }

    /// The TTL of a message to a group: as asked for, else as the URI or Via says (RFC 3261
    /// §18.1.1, §18.2.2).
    fn multicast_ttl(&self, outgoing: &Outgoing) -> u8 {
        let said = match &outgoing.next_hop {
            NextHop::Host { ttl, .. } => *ttl,
            NextHop::Flow(_) => self
                .return_path(outgoing)
                .and_then(|(_, return_path)| return_path.group)
                .map(|wanted| wanted.ttl),
            NextHop::Via(via) => via.group.and_then(|(_, ttl)| ttl),
            NextHop::Unknown(_) => None,
        };
        let asked = outgoing.options.multicast_ttl;
        asked.or(said).unwrap_or(multicast::DEFAULT_TTL)
    }

    /// The sent-by of the side on which a forwarded request was received, if it has a Record-Route
    /// (RFC 5658 §5).
    fn arrival_side(&self, outgoing: &Outgoing) -> Option<(HostText, Option<u16>)> {
        let message = outgoing.message();
        if !message.is_request() || message.raw(Name::RecordRoute).is_none() {
            return None;
        }
        let flow = message.flow()?;
        let path = flow::decode(&flow, self.context.id)?;
        let channel = self.channels.get(path.channel)?;
        let local = flow.local();
        let SentBy { host, port } = sent_by(channel, Some(local.ip()), flow.remote().ip());
        let port = match port {
            SentByPort::Absent => None,
            SentByPort::Port(port) => Some(port),
            SentByPort::Own => Some(local.port()),
        };
        Some((host?, port))
    }

    /// The socket and address on which a response's request was received, if they are still usable.
    fn arrival(&self, outgoing: &Outgoing, remote: SocketAddr) -> Option<(SocketId, IpAddr)> {
        let (flow, return_path) = self.return_path(outgoing)?;
        let Carrier::Datagram { socket, .. } = return_path.carrier else {
            return None;
        };
        let config = &self.channels.get(socket.channel)?.config;
        let ip = flow.local().ip().to_canonical();
        config.reaches(remote.ip()).then_some((socket, ip))
    }

    fn try_stream(
        &mut self,
        now: Instant,
        target: Target,
        outgoing: &Outgoing,
        hinted: Option<ChannelId>,
        report: HintReport,
    ) -> Result<Dispatch, Obstacle> {
        let found = self.connection_to(now, &target, hinted, outgoing);
        let id = match found.map_err(|LocalUnknown| Obstacle::NeedsLocal(target.addr))? {
            Some(id) => id,
            None if !self.may_connect(outgoing, target.protocol) => {
                return Err(SendCause::ConnectionClosed.into());
            }
            None => {
                let needs = ConnectNeeds {
                    channel: hinted,
                    options: outgoing.options.clone(),
                    is_request: outgoing.message.is_request(),
                    name: outgoing.peer_name(target.protocol),
                };
                let rivals: VecDeque<_> = self.rivals(outgoing, hinted).cloned().collect();
                let id = self.open(now, &target, &needs, !rivals.is_empty())?;
                self.begin_race(now, id, rivals, needs);
                id
            }
        };
        let record = self.connections.get(id);
        let record = record.ok_or(SendCause::ConnectionClosed)?;
        Ok(self.dispatch_over(id, record, outgoing, report))
    }

    /// A connection to a target that a message may use.
    fn connection_to(
        &self,
        now: Instant,
        target: &Target,
        hinted: Option<ChannelId>,
        outgoing: &Outgoing,
    ) -> Result<Option<ConnectionId>, LocalUnknown> {
        if outgoing.wants_new_connection() {
            return Ok(None);
        }
        let found = self.find_connection(now, target, hinted, &outgoing.options)?;
        Ok(found.map(|(id, _)| id))
    }

    /// The connection to a target that fits these options. Where the peer must be authenticated,
    /// the connection must have been opened under the TLS configuration that a new one would use.
    fn find_connection(
        &self,
        now: Instant,
        target: &Target,
        channel: Option<ChannelId>,
        options: &SendOptions,
    ) -> Result<Option<(ConnectionId, &ConnectionRecord)>, LocalUnknown> {
        let (protocol, name) = (target.protocol, target.tls_name.as_ref());
        let counts = protocol.is_secure() && (name.is_some() || options.tls.is_given());
        let tls = match counts {
            true => {
                let tls = self.client_tls_towards(now, target, channel, options);
                Some(tls.ok_or(LocalUnknown)?)
            }
            false => None,
        };
        Ok(self
            .connections
            .find(protocol, target.addr, channel, name, tls))
    }

    /// Returns true if there is an open connection to a target that those waiting for a new one can
    /// use.
    pub(super) fn is_open_to(&self, now: Instant, target: &Target, needs: &ConnectNeeds) -> bool {
        let options = &needs.options;
        let found = self.find_connection(now, target, needs.channel, options);
        let is_open = |(_, record): (_, &ConnectionRecord)| record.state == ConnectionState::Open;
        !options.new_connection && found.ok().flatten().is_some_and(is_open)
    }

    /// The targets that race with the current one.
    fn rivals<'a>(
        &self,
        outgoing: &'a Outgoing,
        hinted: Option<ChannelId>,
    ) -> impl Iterator<Item = &'a Target> + use<'_, 'a> {
        let channel = hinted.and_then(|id| self.channels.get(id));
        let reached = move |target: &&Target| {
            channel.is_none_or(|channel| channel.config.reaches(target.addr.ip()))
        };
        outgoing.rivals().filter(reached)
    }

    /// The first address of the server to which there is a connection, if that is not the current
    /// target.
    pub(super) fn connected_rival(&self, now: Instant, outgoing: &Outgoing) -> Option<SocketAddr> {
        outgoing.rivals().next()?;
        let target = outgoing.target()?;
        let hinted = self.hinted_channel_to(&target, outgoing);
        let hinted = hinted.and_then(Result::ok);
        let connected = |target: &Target| {
            let found = self.connection_to(now, target, hinted, outgoing);
            found.ok().flatten().is_some()
        };
        if connected(&target) {
            return None;
        }
        let rival = self
            .rivals(outgoing, hinted)
            .find(|rival| connected(rival))?;
        Some(rival.addr)
    }

    /// Opens a connection to a target.
    pub(super) fn open(
        &mut self,
        now: Instant,
        target: &Target,
        needs: &ConnectNeeds,
        races: bool,
    ) -> Result<ConnectionId, Obstacle> {
        let (protocol, remote) = (target.protocol, target.addr);
        let channel = match needs.channel {
            Some(id) if self.channels.get(id).is_none() => {
                return Err(SendCause::ChannelRemoved.into());
            }
            Some(id) => id,
            None => {
                let local = self.queries.local_address(now, remote.ip());
                self.channel_for(target, needs.is_request, &needs.options, local)?
            }
        };
        if self.make_room(now, channel, None).is_err() {
            let limit = self.context.config.max_connections;
            return Err(SendCause::TooManyConnections { limit }.into());
        }
        let layers = self.client_layers(channel, target, needs)?;
        let tls = self.client_tls(Some(channel), &needs.options).clone();
        let (peer, proof) = ((protocol, remote), (target.tls_name.clone(), tls));
        let mut setup = self.register_connection(now, channel, peer, None, proof, layers);
        setup.races = races;
        let id = setup.id;
        let config = self.channels.get(channel).map(|channel| &channel.config);
        let bound = config.map(|config| config.local.ip());
        let local = bound.filter(|ip| !ip.is_unspecified()).or_else(|| {
            let hint = needs.options.hints.local;
            hint.filter(|ip| may_leave_from(*ip, remote))
        });
        self.connections.set_source(id, local);
        self.machines.push_back(Connection::connecting(now, setup));
        self.outputs.push_back(RouterOutput::Connect {
            connection: id,
            remote,
            local,
        });
        Ok(id)
    }

    /// The channel that fits a target; for a request one is made if there is none.
    fn channel_for(
        &mut self,
        target: &Target,
        is_request: bool,
        options: &SendOptions,
        local: Option<IpAddr>,
    ) -> Result<ChannelId, Obstacle> {
        let &Target { protocol, addr, .. } = target;
        match self.channels.choose(protocol, addr.ip(), local) {
            ChannelChoice::Channel(id) => Ok(id),
            ChannelChoice::NeedsLocal => Err(Obstacle::NeedsLocal(addr)),
            ChannelChoice::None => {
                let may = self.context.config.create_client_channels && protocol.is_compiled_in();
                // A channel made on demand joins no group, and no stream protocol reaches one.
                let group = addr.ip().is_multicast() && (protocol.is_stream() || addr.is_ipv4());
                if !may || group || !is_request {
                    let remote = addr.ip();
                    return Err(SendCause::NoChannel { protocol, remote }.into());
                }
                self.check_client(protocol, options)?;
                let made = self
                    .channels
                    .add_client_only(protocol, addr.ip(), &self.context);
                let (id, local, ready) = (made.id, made.config.local, made.ready);
                if !ready {
                    self.outputs
                        .push_back(RouterOutput::Bind { channel: id, local });
                }
                Ok(id)
            }
        }
    }

    /// The dispatch over a connection, open or being opened.
    pub(super) fn dispatch_over(
        &self,
        id: ConnectionId,
        record: &ConnectionRecord,
        outgoing: &Outgoing,
        mut report: HintReport,
    ) -> Dispatch {
        let channel = self.channels.get(record.channel);
        let marks = via_marks(channel.map(|c| &c.config), record.protocol, outgoing);
        let sent_by = channel.map_or(
            SentBy {
                host: None,
                port: SentByPort::Own,
            },
            |channel| {
                let local = record.local.map(|local| local.ip());
                sent_by(channel, local, record.remote.ip())
            },
        );
        report.local = match (outgoing.options.hints.local, record.local) {
            (None, _) => HintOutcome::NotGiven,
            (Some(ip), Some(local)) if local.ip() == ip => HintOutcome::Honoured,
            (Some(ip), None) if record.from == Some(ip) => HintOutcome::Honoured,
            (Some(_), _) => HintOutcome::Overruled(Overruled::Bound),
        };
        Dispatch::new(DispatchParts {
            context: Arc::clone(self.channels.context_of(record.channel, &self.context)),
            send: outgoing.id,
            carrier: Carrier::Connection(id),
            protocol: record.protocol,
            channel: record.channel,
            remote: record.remote,
            local: record.local,
            sent_by,
            arrival: self.arrival_side(outgoing),
            marks,
            ttl: None,
            hints: report,
            sizing: match outgoing.size {
                SizeState::Tcp { .. } => SizeLimit::Tcp,
                SizeState::Unknown | SizeState::Failed(_) => SizeLimit::Free,
            },
        })
    }
}

/// Returns true if an address, if it is one of ours, can be the source of packets to a peer.
fn may_leave_from(ip: IpAddr, remote: SocketAddr) -> bool {
    ip.is_ipv4() == remote.is_ipv4() && is_one_host(ip)
}

/// The sent-by of a channel: what it advertises to the peer, else the bound address, else the one
/// used towards the peer; with the listening port, else the connection's own.
fn sent_by(channel: &Channel, local: Option<IpAddr>, peer: IpAddr) -> SentBy {
    if let Some(Advertised { host, port }) = channel.config.advertised.towards(peer) {
        return SentBy {
            host: Some(host.clone()),
            port: port.map_or(SentByPort::Absent, SentByPort::Port),
        };
    }
    own_sent_by(channel, local)
}

/// The same without the advertised address.
fn own_sent_by(channel: &Channel, local: Option<IpAddr>) -> SentBy {
    let bound = channel.config.local;
    let host = if channel.is_wildcard() {
        local
    } else {
        Some(bound.ip())
    };
    let listens = channel.config.listener || !channel.protocol().is_stream();
    SentBy {
        host: host.map(|ip| HostText::Ip(ip.to_canonical())),
        port: if listens {
            SentByPort::Port(bound.port())
        } else {
            SentByPort::Own
        },
    }
}
