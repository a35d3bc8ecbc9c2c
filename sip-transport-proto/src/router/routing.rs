use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::channels::{Channel, Choice};
use super::connections::{Record, Room};
use super::queries::Waiting;
use super::{Routed, Router, RouterOutput};
use sip_core::Flow;

use crate::connection::Connection;
use crate::endpoint::normalise;
use crate::error::{Attempt, AttemptCause, CloseReason, NextError, SendCause, SendError};
use crate::flow::{self, Came};
use crate::outgoing::{HostText, NextHop, Target, ViaFacts};
use crate::route::{Chosen, Place, PlacePort, Way};
use crate::sent::{HintOutcome, Overruled};
use crate::{
    ChannelId, ConnectionId, HintReport, Outgoing, Protocol, Route, SendId, Sent, SocketId,
};

/// What trying one target came to.
enum Step {
    Route(Route),
    NeedsLocal(SocketAddr),
    NeedsBind(ChannelId),
    Failed(SendCause),
}

/// The targets of a message, or what has to be known first.
enum Plan {
    Targets(VecDeque<Target>),
    LookUp(String),
}

impl Router {
    /// Finds the way out for a message: a live hinted connection, else the destination given or
    /// read from the message.
    ///
    /// # Errors
    /// It has nowhere to go, no channel carries it, or a limit is reached. The message comes back
    /// with the error.
    pub fn send(&mut self, now: Instant, mut outgoing: Box<Outgoing>) -> Result<Routed, SendError> {
        outgoing.id = SendId(self.next_send);
        self.next_send = self.next_send.wrapping_add(1);
        if self.closing {
            return Err(self.failed(SendCause::ShuttingDown, outgoing));
        }
        if let NextHop::Flow(flow) = &outgoing.next_hop
            && flow::decode(flow, self.shared.id).is_none()
        {
            // Of another transport: it means nothing here, and only the Via is left.
            let via = ViaFacts::read(&outgoing.message);
            outgoing.next_hop = via.map_or_else(NextHop::Unknown, NextHop::Via);
        }
        self.advance(now, outgoing)
    }

    /// Sends a message on to its next target, after the one at hand failed of `cause`. If that was
    /// a connection found open and closed meanwhile, its target is tried once more, over a new one.
    ///
    /// # Errors
    /// As for [`send`](Self::send); with no target left, the error lists those that were tried. A
    /// full queue is an error at once.
    pub fn retry(
        &mut self,
        now: Instant,
        mut outgoing: Box<Outgoing>,
        cause: AttemptCause,
    ) -> Result<Routed, SendError> {
        let over = outgoing.over.take();
        if let AttemptCause::Send(cause) = cause {
            return Err(self.failed(*cause, outgoing));
        }
        if let Some((id, _)) = over {
            // Its machine knows before the router does: nothing more goes there.
            self.connections.close(id);
        }
        let reused = matches!((over, &cause), (Some((_, true)), AttemptCause::Closed(_)));
        if !reused {
            outgoing.failed(cause);
        }
        if self.closing {
            return Err(self.failed(SendCause::ShuttingDown, outgoing));
        }
        self.advance(now, outgoing)
    }

    /// Sends a message that counted as sent to its next target, as another transaction
    /// (RFC 3261 §8.1.2): after a timeout or a 503.
    ///
    /// # Errors
    /// There is no target left, or as for [`send`](Self::send).
    pub fn try_next(&mut self, now: Instant, sent: Sent) -> Result<Routed, NextError> {
        let Sent {
            rest: Some(mut outgoing),
            ..
        } = sent
        else {
            return Err(NextError::NoTargetLeft(Box::new(sent)));
        };
        outgoing.new_branch = true;
        // The connection that it went over has had its try.
        outgoing.options.hints.connection = None;
        outgoing.over = None;
        Ok(self.send(now, outgoing)?)
    }

    /// Whether the way that a message went is still open, to send the same bytes again.
    ///
    /// # Errors
    /// Its channel was removed or its connection is closed.
    pub fn check_way(&self, sent: &Sent) -> Result<(), SendCause> {
        match sent.way() {
            Way::Connection(id) if self.connections.get(id).is_none_or(|c| c.closing) => {
                Err(SendCause::ConnectionClosed)
            }
            Way::Datagram { socket, .. } if self.channels.get(socket.channel).is_none() => {
                Err(SendCause::ChannelRemoved)
            }
            _ => Ok(()),
        }
    }

    /// Takes up a send that waited.
    pub(super) fn resume(&mut self, now: Instant, waiting: Waiting) {
        match self.advance(now, waiting.outgoing) {
            Ok(Routed::Ready(route, outgoing)) => {
                self.outputs
                    .push_back(RouterOutput::Routed(route, outgoing));
            }
            Ok(Routed::Waiting(_)) => {}
            Err(error) => self.outputs.push_back(RouterOutput::Failed(error)),
        }
    }

    pub(super) fn fail_target(&mut self, now: Instant, mut waiting: Waiting, cause: AttemptCause) {
        waiting.outgoing.failed(cause);
        self.resume(now, waiting);
    }

    /// Takes up a send whose next hop was looked up.
    pub(super) fn resolved(
        &mut self,
        now: Instant,
        mut waiting: Waiting,
        name: &str,
        result: Result<&[IpAddr], io::ErrorKind>,
    ) {
        let outgoing = &waiting.outgoing;
        let targets = match (&outgoing.next_hop, result) {
            (NextHop::Host { port, .. }, Ok(ips)) if !ips.is_empty() => {
                self.protocol_for(outgoing).map(|protocol| {
                    let port = port.unwrap_or(protocol.default_port());
                    let target = |ip: &IpAddr| Target {
                        protocol,
                        addr: SocketAddr::new(ip.to_canonical(), port),
                    };
                    ips.iter().take(MAX_ADDRESSES).map(target).collect()
                })
            }
            (_, result) => {
                let kind = result.err().unwrap_or(io::ErrorKind::NotFound);
                Err(SendCause::Lookup {
                    name: name.to_owned(),
                    kind,
                })
            }
        };
        match targets {
            Ok(targets) => {
                waiting.outgoing.targets = Some(targets);
                self.resume(now, waiting);
            }
            Err(cause) => self.fail(cause, waiting.outgoing),
        }
    }

    fn advance(&mut self, now: Instant, mut outgoing: Box<Outgoing>) -> Result<Routed, SendError> {
        let mut report = HintReport::default();
        if let Some(id) = outgoing.wanted_hints().connection {
            let hinted = self.hinted_connection(id, &outgoing);
            report.connection = (&hinted).into();
            if let Ok(record) = hinted {
                report.channel = match outgoing.options.hints.channel {
                    None => HintOutcome::NotGiven,
                    Some(channel) if channel == record.channel => HintOutcome::Honoured,
                    Some(_) => HintOutcome::Overruled(Overruled::ConnectionWins),
                };
                let route = self.over(id, &record, &outgoing, report);
                return Ok(ready(route, outgoing));
            }
        }
        if let NextHop::Flow(flow) = &outgoing.next_hop
            && outgoing.options.to.is_none()
            && outgoing.tried.is_empty()
            && let Some(Came {
                way: Way::Connection(id),
                ..
            }) = flow::decode(flow, self.shared.id)
            && let Some(record) = self.connections.get(id).filter(|record| !record.closing)
        {
            // RFC 3261 §18.2.2: a response goes back over the connection of its request, unless
            // the application asks for another channel that can carry it.
            let record = *record;
            let hint = outgoing.options.hints.channel;
            let hinted =
                hint.map(|id| self.hinted_channel(id, &outgoing, Some(record.remote.ip())));
            let elsewhere = matches!(&hinted, Some(Ok(channel)) if channel.id != record.channel);
            if !elsewhere {
                report.channel = hinted.as_ref().map_or(HintOutcome::NotGiven, Into::into);
                let route = self.over(id, &record, &outgoing, report);
                return Ok(ready(route, outgoing));
            }
        }
        if outgoing.targets.is_none() {
            match self.plan(&outgoing) {
                Ok(Plan::Targets(targets)) => outgoing.targets = Some(targets),
                Ok(Plan::LookUp(name)) => return self.look_up(now, name, outgoing),
                Err(cause) => return Err(self.failed(cause, outgoing)),
            }
        }
        while let Some(target) = outgoing.target() {
            match self.try_target(now, target, &outgoing, report) {
                Step::Route(route) => return Ok(ready(route, outgoing)),
                Step::NeedsLocal(remote) => {
                    return self.wait(outgoing, |router, outgoing| {
                        let query = router.queries.find_local(now, remote, outgoing);
                        query.map(|query| RouterOutput::LocalAddress { query, remote })
                    });
                }
                Step::NeedsBind(channel) => {
                    return self.wait(outgoing, |router, outgoing| {
                        router.queries.wait_for_bind(channel, outgoing);
                        None
                    });
                }
                Step::Failed(cause) => {
                    outgoing.failed(AttemptCause::Send(Box::new(cause)));
                }
            }
        }
        // One target that could not even be tried: its cause is the whole story.
        let cause = match outgoing.tried.as_slice() {
            [
                Attempt {
                    cause: AttemptCause::Send(cause),
                    ..
                },
            ] => (**cause).clone(),
            _ => SendCause::AllTargetsFailed,
        };
        Err(self.failed(cause, outgoing))
    }

    fn look_up(
        &mut self,
        now: Instant,
        name: String,
        outgoing: Box<Outgoing>,
    ) -> Result<Routed, SendError> {
        // RFC 7118 §5: an .invalid name (RFC 2606) is a name that nobody can look up.
        let last_label = name.trim_end_matches('.').rsplit('.').next();
        if last_label.is_some_and(|label| label.eq_ignore_ascii_case("invalid")) {
            let cause = SendCause::Lookup {
                name,
                kind: io::ErrorKind::NotFound,
            };
            return Err(self.failed(cause, outgoing));
        }
        self.wait(outgoing, |router, outgoing| {
            let question = router.queries.look_up(now, name, outgoing);
            question.map(|(query, name)| RouterOutput::Lookup { query, name })
        })
    }

    /// Lets a send wait, if there is room for one more.
    fn wait(
        &mut self,
        outgoing: Box<Outgoing>,
        park: impl FnOnce(&mut Self, Box<Outgoing>) -> Option<RouterOutput>,
    ) -> Result<Routed, SendError> {
        let limit = self.shared.config.max_waiting_sends;
        if self.queries.len() >= limit {
            return Err(self.failed(SendCause::TooManyWaiting { limit }, outgoing));
        }
        let id = outgoing.id;
        let output = park(self, outgoing);
        self.outputs.extend(output);
        Ok(Routed::Waiting(id))
    }

    fn plan(&self, outgoing: &Outgoing) -> Result<Plan, SendCause> {
        let one = |target| Ok(Plan::Targets(VecDeque::from([target])));
        if let Some(to) = outgoing.options.to {
            if outgoing.secure && !to.protocol.is_secure() {
                return Err(SendCause::Insecure(to.protocol));
            }
            return one(Target {
                protocol: self.protocol_for(outgoing)?,
                addr: normalise(to.addr),
            });
        }
        match &outgoing.next_hop {
            NextHop::Unknown(cause) => Err(cause.clone()),
            NextHop::Host { host, port, .. } => {
                let protocol = self.protocol_for(outgoing)?;
                match host {
                    HostText::Name(name) => Ok(Plan::LookUp(name.to_string())),
                    HostText::Ip(ip) => {
                        let port = port.unwrap_or(protocol.default_port());
                        one(Target {
                            protocol,
                            addr: SocketAddr::new(ip.to_canonical(), port),
                        })
                    }
                }
            }
            NextHop::Flow(flow) => {
                let came = flow::decode(flow, self.shared.id);
                let came = came.ok_or(SendCause::NoResponseAddress)?;
                one(self.flow_back(outgoing, flow, came)?)
            }
            NextHop::Via(via) => one(self.via_back(outgoing, via)?),
        }
    }

    /// The protocol to use: what is asked for, with protection added where a hinted channel has
    /// it; without a wish, the hinted channel's, else UDP, else for `sips` TLS.
    fn protocol_for(&self, outgoing: &Outgoing) -> Result<Protocol, SendCause> {
        let hinted = outgoing.options.hints.channel;
        if let Some(Ok(channel)) = hinted.map(|id| self.hinted_channel(id, outgoing, None)) {
            return Ok(channel.protocol());
        }
        match self.wanted_protocol(outgoing) {
            Some(protocol) if outgoing.secure && !protocol.is_secure() => {
                Err(SendCause::Insecure(protocol))
            }
            Some(protocol) => Ok(protocol),
            None if outgoing.secure => Ok(Protocol::Tls),
            None => Ok(Protocol::Udp),
        }
    }

    /// Where a response goes whose connection is not at hand (RFC 3261 §18.2.2): to the source of
    /// its request, and never to a name or another address that the sender wrote, or anyone could
    /// aim us at anyone.
    fn flow_back(&self, outgoing: &Outgoing, flow: &Flow, came: Came) -> Result<Target, SendCause> {
        let protocol = self.reconnectable(outgoing)?;
        let mut addr = flow.remote();
        addr.set_port(came.reply_port);
        Ok(Target { protocol, addr })
    }

    /// Where a response without a flow goes (RFC 3261 §18.2.2, RFC 3581 §4).
    fn via_back(&self, outgoing: &Outgoing, via: &ViaFacts) -> Result<Target, SendCause> {
        let protocol = self.reconnectable(outgoing)?;
        let ip = via.ip.filter(|ip| is_one_host(*ip));
        let ip = ip.ok_or(SendCause::NoResponseAddress)?;
        let sent_by = SocketAddr::new(ip, via.port.unwrap_or_else(|| protocol.default_port()));
        let addr = match via.rport.flatten().map(|port| SocketAddr::new(ip, port)) {
            Some(source) if !protocol.is_stream() => source,
            // The client's own connection, if it is still there.
            Some(source) if self.connections.find(protocol, source, None).is_some() => source,
            _ => sent_by,
        };
        Ok(Target { protocol, addr })
    }

    /// RFC 7118 §5: nobody can connect to a WebSocket client.
    fn reconnectable(&self, outgoing: &Outgoing) -> Result<Protocol, SendCause> {
        match self.protocol_for(outgoing)? {
            Protocol::Ws | Protocol::Wss => Err(SendCause::ConnectionClosed),
            protocol => Ok(protocol),
        }
    }

    fn try_target(
        &mut self,
        now: Instant,
        target: Target,
        outgoing: &Outgoing,
        mut report: HintReport,
    ) -> Step {
        let remote = target.addr.ip();
        let mut hinted = None;
        if let Some(id) = outgoing.options.hints.channel {
            let result = self.hinted_channel(id, outgoing, Some(remote));
            report.channel = (&result).into();
            hinted = result.ok().map(|channel| channel.id);
        }
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
    ) -> Step {
        let remote = target.addr;
        let arrival = self.arrival(outgoing, remote);
        let known = outgoing
            .options
            .hints
            .local
            .or_else(|| arrival.map(|(_, ip)| ip));
        let local = known.or_else(|| self.queries.local_address(now, remote.ip()));
        let chosen = hinted.or_else(|| arrival.map(|(socket, _)| socket.channel));
        let channel = match chosen.and_then(|id| self.channels.get(id)) {
            Some(channel) => channel,
            None => match self.channel_for(target, outgoing, local) {
                Ok(Choice::Channel(id)) => match self.channels.get(id) {
                    Some(channel) => channel,
                    None => return Step::Failed(SendCause::ChannelRemoved),
                },
                Ok(_) => return Step::NeedsLocal(remote),
                Err(cause) => return Step::Failed(cause),
            },
        };
        if !channel.ready {
            return Step::NeedsBind(channel.id);
        }
        let bound = channel.config.local;
        let hint = outgoing.options.hints.local;
        let usable = |ip: &IpAddr| ip.is_ipv4() == remote.is_ipv4() && !ip.is_unspecified();
        let source = if channel.is_wildcard() {
            known.filter(usable)
        } else {
            None
        };
        report.local = match hint {
            None => HintOutcome::NotGiven,
            Some(ip) if source == Some(ip) || bound.ip() == ip => HintOutcome::Honoured,
            Some(_) => HintOutcome::Overruled(Overruled::Bound),
        };
        let ip = match (channel.is_wildcard(), source.or(local)) {
            (false, _) => bound.ip(),
            (true, Some(ip)) => ip,
            (true, None) => return Step::NeedsLocal(remote),
        };
        let index = match arrival {
            Some((socket, _)) if socket.channel == channel.id => socket.index,
            _ => 0,
        };
        let socket = SocketId {
            channel: channel.id,
            index,
        };
        let place = place(channel, Some(ip));
        let channel = channel.id;
        Step::Route(Route::new(Chosen {
            shared: Arc::clone(&self.shared),
            send: outgoing.id,
            way: Way::Datagram { socket, source },
            protocol: target.protocol,
            channel,
            remote,
            local: Some(SocketAddr::new(ip, bound.port())),
            place,
            branch: outgoing.message.is_request().then(|| self.tokens.branch()),
            hints: report,
        }))
    }

    /// The socket and address that the request of a response came in on, if they still serve.
    fn arrival(&self, outgoing: &Outgoing, remote: SocketAddr) -> Option<(SocketId, IpAddr)> {
        let NextHop::Flow(flow) = &outgoing.next_hop else {
            return None;
        };
        let Came {
            way: Way::Datagram { socket, .. },
            ..
        } = flow::decode(flow, self.shared.id)?
        else {
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
    ) -> Step {
        let Target {
            protocol,
            addr: remote,
        } = target;
        if let Some((id, record)) = self.connections.find(protocol, remote, hinted) {
            let record = *record;
            return Step::Route(self.over(id, &record, outgoing, report));
        }
        let channel = match hinted {
            Some(id) => id,
            None => {
                let local = self.queries.local_address(now, remote.ip());
                match self.channel_for(target, outgoing, local) {
                    Ok(Choice::Channel(id)) => id,
                    Ok(_) => return Step::NeedsLocal(remote),
                    Err(cause) => return Step::Failed(cause),
                }
            }
        };
        match self.connections.room(&self.shared.config, None) {
            Room::Evict(oldest) => self.close_for(oldest, CloseReason::Limit),
            Room::Full | Room::AddressFull => {
                let limit = self.shared.config.max_connections;
                return Step::Failed(SendCause::TooManyConnections { limit });
            }
            Room::Free => {}
        }
        let id = self
            .connections
            .add(self.shared.id, channel, protocol, remote, None);
        let seed = self.tokens.array();
        let config = self.channels.get(channel).map(|channel| &channel.config);
        let force_rport = config.is_some_and(|config| config.force_rport);
        let usable = |ip: &IpAddr| ip.is_ipv4() == remote.is_ipv4() && !ip.is_unspecified();
        let bound = config.map(|config| config.local.ip());
        let local = bound
            .filter(|ip| !ip.is_unspecified())
            .or_else(|| outgoing.options.hints.local.filter(usable));
        self.connections.opens_from(id, local);
        let shared = Arc::clone(&self.shared);
        let machine = Connection::connecting(
            now,
            shared,
            id,
            channel,
            protocol,
            remote,
            force_rport,
            seed,
        );
        self.machines.push_back(machine);
        self.outputs.push_back(RouterOutput::Connect {
            connection: id,
            remote,
            local,
        });
        match self.connections.get(id).copied() {
            Some(record) => Step::Route(self.over(id, &record, outgoing, report)),
            None => Step::Failed(SendCause::ConnectionClosed),
        }
    }

    /// The channel that fits a target; for requests one is made where there is none.
    fn channel_for(
        &mut self,
        target: Target,
        outgoing: &Outgoing,
        local: Option<IpAddr>,
    ) -> Result<Choice, SendCause> {
        let Target { protocol, addr } = target;
        match self.channels.choose(protocol, addr.ip(), local) {
            Choice::None => {
                let supported = matches!(protocol, Protocol::Udp | Protocol::Tcp);
                let may = self.shared.config.create_client_channels && supported;
                if !may || !outgoing.message.is_request() {
                    return Err(SendCause::NoChannel {
                        protocol,
                        remote: addr.ip(),
                    });
                }
                let made = self
                    .channels
                    .add_client_only(self.shared.id, protocol, addr.ip());
                let (id, local, ready) = (made.id, made.config.local, made.ready);
                if !ready {
                    self.outputs
                        .push_back(RouterOutput::Bind { channel: id, local });
                }
                Ok(Choice::Channel(id))
            }
            choice => Ok(choice),
        }
    }

    /// The route over a connection, open or being opened.
    fn over(
        &mut self,
        id: ConnectionId,
        record: &Record,
        outgoing: &Outgoing,
        mut report: HintReport,
    ) -> Route {
        let channel = self.channels.get(record.channel);
        let place = channel.map_or(
            Place {
                host: None,
                port: PlacePort::Own,
            },
            |channel| place(channel, record.local.map(|local| local.ip())),
        );
        report.local = match (outgoing.options.hints.local, record.local) {
            (None, _) => HintOutcome::NotGiven,
            (Some(ip), Some(local)) if local.ip() == ip => HintOutcome::Honoured,
            (Some(ip), None) if record.from == Some(ip) => HintOutcome::Honoured,
            (Some(_), _) => HintOutcome::Overruled(Overruled::Bound),
        };
        Route::new(Chosen {
            shared: Arc::clone(&self.shared),
            send: outgoing.id,
            way: Way::Connection(id),
            protocol: record.protocol,
            channel: record.channel,
            remote: record.remote,
            local: record.local,
            place,
            branch: outgoing.message.is_request().then(|| self.tokens.branch()),
            hints: report,
        })
    }
}

/// Whether a response may go there: not to a group or everybody (RFC 4475 §3.3.10).
fn is_one_host(ip: IpAddr) -> bool {
    let everybody = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(everybody || ip.is_multicast() || ip.is_unspecified())
}

fn ready(route: Route, mut outgoing: Box<Outgoing>) -> Routed {
    outgoing.over = match route.way() {
        Way::Connection(id) => Some((id, route.is_ready())),
        Way::Datagram { .. } => None,
    };
    Routed::Ready(route, outgoing)
}

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 32;

/// What stands for a channel in headers: its advertised name, else the bound address, else the
/// one used towards the peer; with the listening port, else the connection's own.
fn place(channel: &Channel, local: Option<IpAddr>) -> Place {
    let bound = channel.config.local;
    if let Some((host, port)) = &channel.config.advertised {
        let host = host
            .parse()
            .map_or_else(|_| HostText::Name(Arc::clone(host)), HostText::Ip);
        return Place {
            host: Some(host),
            port: port.map_or(PlacePort::Absent, PlacePort::Port),
        };
    }
    let host = if channel.is_wildcard() {
        local
    } else {
        Some(bound.ip())
    };
    let listens = channel.config.listener || !channel.protocol().is_stream();
    Place {
        host: host.map(|ip| HostText::Ip(ip.to_canonical())),
        port: if listens {
            PlacePort::Port(bound.port())
        } else {
            PlacePort::Own
        },
    }
}
