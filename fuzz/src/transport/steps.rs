//! What a script may do.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use sip_transport_proto::parts::Carrier;
use sip_transport_proto::{
    ChannelConfig, ChannelId, ConnectionId, ConnectionInfo, ConnectionState, HintOutcome, Hints,
    Outgoing, Protocol, SendOptions, SipEndpoint, Substitution, error::AcceptError,
    error::NextError, resolve::Answer, resolve::LookupKind, resolve::Record, resolve::SrvRecord,
    sip_core::Message, sip_core::Method, sip_core::Name, sip_core::StatusCode,
    sip_core::build::PLACEHOLDER, sip_core::build::RequestBuilder,
    sip_core::build::ResponseBuilder, sip_core::header::Contact,
};

use super::model::{Ask, Channel, Connection, Fill, Next, Verdict, route};
use super::{
    CHANNELS, CONNECTIONS, PER_IP, QUERY, Question, SILENT, Socket, URIS, World, mode, next_of,
    peer, us,
};
use crate::message::never;

impl World {
    pub(super) fn datagram(&mut self, choice: u8, data: &[u8]) {
        let all = &self.model.channels;
        let sockets: Vec<_> = all.iter().filter(|c| c.protocol == Protocol::Udp).collect();
        let Some(channel) = sockets.get(usize::from(choice / 4) % sockets.len().max(1)) else {
            return;
        };
        let (id, local) = (channel.id, channel.local);
        let remote = match local.is_ipv4() || channel.dual_stack {
            // Not always from where its Via says.
            true if choice & 64 > 0 => (peer(choice).ip(), 33_333).into(),
            true => peer(choice),
            false => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9), 5060).into(),
        };
        let wildcard = local.ip().is_unspecified();
        let to = wildcard.then(|| route(remote.ip()));
        self.sip
            .handle_datagram(self.now, id.socket(0), remote, to, data);
    }

    pub(super) fn accept(&mut self, choice: u8) {
        let all = &self.model.channels;
        let streams: Vec<_> = all.iter().filter(|c| c.protocol == Protocol::Tcp).collect();
        let channel = streams.get(usize::from(choice / 4) % streams.len().max(1));
        let channel = channel.map_or(self.tcp, |channel| channel.id);
        let listens = self.model.channel(channel).is_some_and(|c| c.listens);
        let remote = SocketAddr::new(peer(choice).ip(), 40_000 + u16::from(choice));
        let (surely, maybe) = (self.model.shares(false), self.model.shares(true));
        let held = |all: &BTreeMap<IpAddr, (usize, usize)>| {
            let held = all.get(&remote.ip()).copied();
            held.unwrap_or_default().0
        };
        let silent =
            |all: &BTreeMap<_, (usize, usize)>| all.values().map(|held| held.1).sum::<usize>();
        let living = self.model.connections.values().filter(|c| !c.doubtful);
        let full = living.count() >= CONNECTIONS || silent(&surely) >= SILENT;
        let before = self.living();
        let result = self
            .sip
            .handle_accepted(self.now, channel, us(5060), remote);
        let after = self.living();
        for gone in before.iter().filter(|(id, _)| !after.contains_key(id)) {
            let (_, party) = gone;
            let most = |of: fn(&(usize, usize)) -> usize| {
                let own = party.and_then(|ip| maybe.get(&ip)).map_or(1, of);
                surely.values().all(|held| of(held) <= own)
            };
            let own = *party == Some(remote.ip());
            assert!(
                own || most(|held| held.0) || most(|held| held.1),
                "{gone:?}"
            );
        }
        match result {
            Ok(id) => {
                assert!(listens);
                let made_room = after.len() <= before.len();
                assert!(
                    made_room || !full && held(&surely) < PER_IP,
                    "more than may be"
                );
                self.open.insert(id, Socket::Open);
                self.ever.1.push(id);
                let connection = Connection {
                    channel,
                    protocol: Protocol::Tcp,
                    remote,
                    local: Some(us(5060)),
                    accepted: true,
                    heard: false,
                    closing: false,
                    doubtful: false,
                    unwritten: Default::default(),
                    queued: 0,
                    written: 0,
                };
                self.model.connections.insert(id, connection);
            }
            Err(AcceptError::Unknown(_)) => assert!(!listens || self.closing),
            Err(AcceptError::PerAddress { .. }) => assert!(held(&maybe) >= PER_IP),
            Err(AcceptError::Full { .. }) => {
                assert!(self.model.connections.len() >= CONNECTIONS);
                // Who holds more than the newcomer would makes room for it.
                let own = held(&maybe);
                let most = if own > 0 { own + 1 } else { 0 };
                assert!(surely.values().all(|(total, _)| *total <= most));
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// The connections that are not being closed, each with its peer if that opened it.
    fn living(&self) -> BTreeMap<ConnectionId, Option<IpAddr>> {
        let all = self.sip.router().connections();
        let all = all.filter(|info| info.state != ConnectionState::Closing);
        let party = |info: &ConnectionInfo| info.accepted.then(|| info.remote.addr.ip());
        all.map(|info| (info.id, party(&info))).collect()
    }

    pub(super) fn connected(&mut self, id: ConnectionId) {
        let mut local = us(40_000);
        if let Some(connection) = self.model.connections.get_mut(&id) {
            let bound = self
                .model
                .channels
                .iter()
                .find(|c| c.id == connection.channel);
            let bound = bound.map(|channel| channel.local.ip());
            let bound = bound.filter(|ip| !ip.is_unspecified());
            local.set_ip(bound.unwrap_or_else(|| route(connection.remote.ip())));
            connection.local = Some(local);
        }
        self.sip.handle_connected(self.now, id, local);
    }

    /// Something happens to a connection by which it may end.
    pub(super) fn doubt(&mut self, id: ConnectionId) {
        if let Some(connection) = self.model.connections.get_mut(&id) {
            connection.doubtful = true;
        }
    }

    /// Bytes come that are no TLS.
    pub(super) fn garbled(&mut self, id: ConnectionId) {
        if let Some(connection) = self.model.connections.get_mut(&id) {
            connection.doubtful |= connection.protocol.is_secure();
        }
    }

    pub(super) fn written(&mut self, id: ConnectionId, n: usize) {
        if let Some(connection) = self.model.connections.get_mut(&id) {
            connection.written += n as u64;
            while let Some(&(send, end)) = connection.unwritten.front()
                && end <= connection.written
            {
                connection.unwritten.pop_front();
                self.tellable.remove(&send);
            }
        }
        self.sip.handle_written(self.now, id, n);
    }

    pub(super) fn add_channel(&mut self, choice: u8) {
        let (protocol, local, listens, dual_stack, advertised) =
            CHANNELS[usize::from(choice) % CHANNELS.len()];
        let local: SocketAddr = local.parse().unwrap_or_else(never);
        let mut config = ChannelConfig::new(protocol, local)
            .listener(listens)
            .dual_stack(dual_stack);
        if let Some(advertised) = advertised {
            config = config.advertised(advertised.parse().unwrap_or_else(never));
        }
        let same = |c: &Channel| c.protocol == protocol && c.local == local && !c.on_demand;
        let there = self.model.channels.iter().any(same);
        let result = self.sip.add_channel(config);
        assert_eq!(result.is_err(), there, "{result:?}");
        if let Ok(id) = result {
            self.ever.0.push(id);
            self.model.channels.push(Channel {
                id,
                protocol,
                local,
                listens,
                dual_stack,
                advertised,
                on_demand: false,
                bound: true,
            });
        }
    }

    pub(super) fn remove_channel(&mut self, id: ChannelId) {
        let there = self.model.channel(id).is_some();
        self.model.channels.retain(|channel| channel.id != id);
        for connection in self.model.connections.values_mut() {
            connection.closing |= connection.channel == id;
        }
        let result = self.sip.remove_channel(self.now, id);
        assert_eq!(result.is_ok(), there);
    }

    pub(super) fn answer(&mut self, question: Question, choice: u8) {
        let (now, fails) = (self.now, choice.is_multiple_of(4));
        let failure = io::ErrorKind::NotFound;
        let found = IpAddr::from(Ipv4Addr::new(192, 0, 2, 100 + choice % 4));
        match question {
            Question::Bound(id) => {
                let channel = self.model.channels.iter_mut().find(|c| c.id == id);
                let local = channel.as_ref().map_or(us(0), |channel| channel.local);
                let bound = SocketAddr::new(local.ip(), 30_000);
                if let (Some(channel), false) = (channel, fails) {
                    (channel.local, channel.bound) = (bound, true);
                } else if fails {
                    self.model.channels.retain(|channel| channel.id != id);
                }
                let result = if fails { Err(failure) } else { Ok(bound) };
                self.sip.handle_bound(now, id, result);
            }
            Question::Lookup(id, kind) => {
                let address = |ip| vec![Record::Address(ip)];
                let records = match kind {
                    LookupKind::Srv => vec![Record::Srv(SrvRecord {
                        port: 5_060,
                        target: "srv.example".to_owned(),
                        ..SrvRecord::default()
                    })],
                    LookupKind::Naptr => Vec::new(),
                    LookupKind::A => {
                        [address(found), address(peer(choice.wrapping_add(1)).ip())].concat()
                    }
                    _ => address(Ipv6Addr::LOCALHOST.into()),
                };
                let answer = match choice % 4 {
                    0 => Answer::Failed(failure),
                    1 if matches!(kind, LookupKind::Srv) => Answer::NotFound { ttl: None },
                    _ => Answer::Found {
                        records,
                        ttl: Duration::from_secs(9),
                    },
                };
                self.sip.handle_lookup(now, id, answer);
            }
            Question::LocalAddress(query, remote, asked) => {
                let local = route(remote);
                let in_time = now.duration_since(asked) < QUERY;
                if !fails && in_time {
                    self.model.locals.insert(remote, (local, now));
                }
                let result = if fails { Err(failure) } else { Ok(local) };
                self.sip.handle_local_address(now, query, result);
            }
        }
    }

    /// The system says that a datagram was not delivered: once for each.
    pub(super) fn lose(&mut self, choice: u8) {
        let at = usize::from(choice) % self.kept.len().max(1);
        let Some((_, sent)) = self.kept.get(at) else {
            return;
        };
        let (send, remote) = (sent.id(), sent.remote().addr);
        if matches!(sent.carrier(), Carrier::Datagram { .. }) && self.tellable.contains(&send) {
            let kind = io::ErrorKind::ConnectionRefused;
            self.sip
                .handle_datagram_failed(self.now, Some(send), remote, kind);
            self.drain();
            assert!(
                !self.tellable.contains(&send),
                "{send} is lost, and nobody is told"
            );
        }
    }

    pub(super) fn hints(&self, channel: u8, connection: u8, local: u8) -> Hints {
        let (channels, connections) = &self.ever;
        let pick = |choice: u8| usize::from(choice / 2);
        let wanted = |choice: u8| choice % 2 == 1;
        Hints {
            channel: channels
                .get(pick(channel))
                .copied()
                .filter(|_| wanted(channel)),
            connection: connections
                .get(pick(connection))
                .copied()
                .filter(|_| wanted(connection)),
            local: match local % 8 {
                1 => Some(Ipv4Addr::new(192, 0, 2, 2).into()),
                2 => Some(Ipv4Addr::UNSPECIFIED.into()),
                3 => Some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
                _ => None,
            },
        }
    }

    pub(super) fn destination(&self, choice: u8) -> Option<SipEndpoint> {
        let protocol = match choice % 8 {
            1 => Protocol::Udp,
            2 => Protocol::Tcp,
            3 => Protocol::Tls,
            _ => return None,
        };
        let mut to = SipEndpoint::new(protocol, peer(choice / 8));
        if choice & 0x80 > 0 {
            to.connection = self.ever.1.last().copied();
        }
        Some(to)
    }

    pub(super) fn request(&mut self, uri: &str, to: Option<SipEndpoint>, hints: Hints, choice: u8) {
        let methods = [Method::Options, Method::Invite];
        let method = methods[usize::from(choice / 8 % 2)];
        let request = RequestBuilder::new(method, uri)
            .header("Record-Route", "<sip:0.0.0.0;lr>")
            // What looks like a placeholder and is none.
            .header("Subject", "<sip:0.0.0.0>")
            .body(
                "text/plain",
                b"Via: SIP/2.0/UDP 0.0.0.0\r\nContact: <sip:0.0.0.0>",
            )
            .build(|random| random.fill(choice))
            .unwrap_or_else(never);
        let mode = mode(choice / 16);
        self.ask(request.into_message(), next_of(uri), to, hints, mode);
    }

    /// Sends on what came, as a proxy does.
    pub(super) fn forward(&mut self, choice: u8) {
        let Some((_, _, request)) = self.requests.pop() else {
            return;
        };
        let uri = URIS[usize::from(choice % 16)];
        let mut message = request.into_message();
        let via = "SIP/2.0/UDP 0.0.0.0;rport";
        let edited = message.prepend(Name::Via, via).is_ok()
            && message
                .prepend(Name::RecordRoute, "<sip:0.0.0.0;lr>")
                .is_ok()
            && message.set_request_uri(uri).is_ok();
        // One that another limit or rule stops, or that this cannot compare, is none.
        if edited
            && message.raw(Name::ContentLength).is_some()
            && message.raw(Name::Route).is_none()
            && str::from_utf8(&message.to_bytes()).is_ok()
        {
            let mode = [Substitution::Rfc, Substitution::Off][usize::from(choice / 16 % 2)];
            self.ask(message, next_of(uri), None, Hints::default(), mode);
        }
    }

    pub(super) fn respond(&mut self, choice: u8, hint: u8) {
        let Some((local, remote, request)) = self.requests.pop() else {
            return;
        };
        let Ok(via) = request.top_via() else {
            return;
        };
        // RFC 3261 §18.2.2, RFC 3581 §4
        let port = match via.rport() {
            Some(_) if local.connection.is_none() => remote.addr.port(),
            _ => via
                .sent_by()
                .port()
                .unwrap_or_else(|| local.protocol.default_port()),
        };
        let remote = SocketAddr::new(remote.addr.ip(), port);
        let mut response = ResponseBuilder::new(&request, StatusCode::OK).to_tag("ours");
        if choice % 2 == 1 {
            response = response.contact(Contact::new(PLACEHOLDER));
        }
        let Ok(response) = response.build() else {
            return;
        };
        if str::from_utf8(&response.to_bytes()).is_err() {
            return;
        }
        let next = Next::Back { local, remote };
        let hints = self.hints(hint, hint / 4, 0);
        self.ask(
            response.into_message(),
            next,
            None,
            hints,
            Substitution::Rfc,
        );
    }

    pub(super) fn ask(
        &mut self,
        message: Message,
        next: Next,
        to: Option<SipEndpoint>,
        hints: Hints,
        mode: Substitution,
    ) {
        let secure = message
            .request_uri()
            .is_some_and(|uri| uri.starts_with(b"sips:"));
        let mut ask = Ask {
            target: None,
            request: message.is_request(),
            secure,
            next,
            to,
            hints,
            fill: Fill {
                mode,
                built: message.is_built(),
            },
            text: String::from_utf8_lossy(&message.to_bytes()).into_owned(),
        };
        let mut options = SendOptions::new().hints(hints).substitution(mode);
        if let Some(to) = to {
            options = options.to(to);
        }
        let outgoing = Outgoing::new(message, options);
        let before = self.before();
        let (verdict, report) = self.model.decide(self.now, &ask, None);
        let back = matches!(&ask.next, Next::Back { local, .. }
            if local.connection.is_some_and(|id| verdict == Verdict::Over(id)));
        // Whether a doubtful connection still serves, the machine alone knows: a send waits for it
        // only while it is being opened, and else has its target now.
        let hinted = ask.hints.connection.or(to.and_then(|to| to.connection));
        let ends = hinted.is_some_and(|id| {
            let info = self.sip.router().connection(id);
            let opening = info.is_some_and(|info| info.state == ConnectionState::Opening);
            self.model.is_doubtful(id) && !opening
        });
        // Over such a connection it needs none.
        if ends || report.connection != HintOutcome::Honoured && !back {
            ask.target = self.model.target(&ask);
        }
        let result = self.sip.send(self.now, outgoing);
        self.submitted(ask, &verdict, before, result);
    }

    /// How much waits and is queued.
    pub(super) fn before(&self) -> (usize, usize) {
        let (_, waiting) = self.sip.router().load();
        (waiting, self.sip.router().queued_bytes())
    }

    pub(super) fn try_next(&mut self, choice: u8) {
        if self.kept.is_empty() {
            return;
        }
        let (mut ask, sent) = self.kept.swap_remove(usize::from(choice) % self.kept.len());
        let left = sent.targets_left();
        // The connection has had its try.
        ask.hints.connection = None;
        let before = self.before();
        match self.sip.try_next(self.now, sent) {
            Err(NextError::NoTargetLeft(_)) => assert_eq!(left, 0),
            Err(other) => panic!("{other}"),
            Ok(outgoing) => {
                assert!(left > 0);
                let submitted = self.sip.send(self.now, outgoing);
                self.submitted(ask, &Verdict::Wait, before, submitted);
            }
        }
    }
}
