mod model;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::LazyLock,
    time::{Duration, Instant},
};

use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConfigError, ConnectionId, Event, Held, HintOutcome, Hints,
    Outgoing, Output, Protocol, QueryId, SendId, SendOptions, Sent, SipEndpoint, SizeRule,
    SocketId, Submitted, Substitution, Transmit, Transport, Way,
    error::{AcceptError, NextError, SendCause, SendError},
    resolve::{Answer, LookupId, LookupKind, Record, SrvRecord},
    sip_core::{
        Message, Method, Name, Request, StatusCode,
        build::{PLACEHOLDER, RequestBuilder, ResponseBuilder},
        header::Contact,
    },
    tls::TlsConfig,
};

use crate::certificates::Certificates;
use crate::message::never;
use model::{Ask, Channel, Connection, Fill, Model, Next, Verdict, route};

/// Whatever the application, peers and the system do to a transport, each send goes where the
/// [model] says, with what it says filled in, within the limits, and ends once; nothing is left
/// behind; and the same inputs do the same again.
///
/// The input is a script: a byte that chooses a step, one that it may use, and for some steps
/// more bytes, such as those from a peer.
pub fn transport(data: &[u8]) {
    let start = Instant::now();
    // Writing down all that happens takes most of the time, so not every script is run for it.
    if data.len().is_multiple_of(4) {
        assert_eq!(World::run(start, data, true), World::run(start, data, true));
    } else {
        World::run(start, data, false);
    }
}

static TLS: LazyLock<TlsConfig> = LazyLock::new(|| Certificates::new().at(1_750_000_000).client());

struct World {
    sip: Transport,
    now: Instant,
    udp: ChannelId,
    tcp: ChannelId,
    model: Model,
    /// Connections whose socket is asked for or open.
    open: BTreeMap<ConnectionId, Socket>,
    /// Channels and connections that there ever were, for hints.
    ever: (Vec<ChannelId>, Vec<ConnectionId>),
    /// Sends that have not ended.
    waiting: BTreeMap<SendId, Ask>,
    /// What was sent, and may yet be told to be lost.
    tellable: BTreeSet<SendId>,
    /// Datagrams that have to come out next.
    due: Vec<(SocketId, Transmit)>,
    /// Some of what was sent, to be sent again or on.
    kept: Vec<(Ask, Box<Sent>)>,
    requests: Vec<(SipEndpoint, SipEndpoint, Request)>,
    questions: Vec<Question>,
    closing: bool,
    /// What happened, if it is to be written down.
    trace: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Socket {
    Connecting,
    Open,
}

enum Question {
    Bound(ChannelId),
    Lookup(LookupId, LookupKind),
    LocalAddress(QueryId, IpAddr, Instant),
}

/// More outputs to one input than any of these scripts can bring about.
const MANY: usize = 10_000;

// Limits that a script can reach.
const CONNECTIONS: usize = 6;
const UNPROVEN: usize = 4;
const UNPROVEN_PER_IP: usize = 2;
const WAITING: usize = 5;
const QUEUE: usize = 2_500;
const UNPROVEN_QUEUE: usize = 1_500;
const ALL_QUEUES: usize = 4_000;
/// How long an answer of the system is waited for.
const QUERY: Duration = Duration::from_secs(6);
/// Answers that the peer's bytes call for go above them.
const CONTROL: usize = 64 * 1024;

fn config(creates: bool) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    config.create_client_channels(creates);
    config.drop_stray_responses(false);
    // Size is no matter of the model.
    config.size_rule(SizeRule::PreferUdp);
    config.tls(TLS.clone());
    config.max_connections(CONNECTIONS)?;
    config.max_unproven(UNPROVEN)?;
    config.max_unproven_per_ip(UNPROVEN_PER_IP)?;
    config.max_waiting_sends(WAITING)?;
    config.send_queue(QUEUE)?;
    config.unproven_send_queue(UNPROVEN_QUEUE)?;
    config.total_send_queue(ALL_QUEUES)?;
    Ok(config)
}

fn us(port: u16) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), port).into()
}

fn peer(choice: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 100 + choice % 4), 5060).into()
}

/// Channels that a script may add: protocol, address, whether it listens, carries both families,
/// and what it is known as.
const CHANNELS: [(Protocol, &str, bool, bool, Option<&str>); 10] = [
    (Protocol::Udp, "0.0.0.0:5070", true, false, None),
    (Protocol::Udp, "192.0.2.2:5060", true, false, None),
    (Protocol::Udp, "[2001:db8::1]:5060", true, false, None),
    (Protocol::Udp, "127.0.0.1:5060", true, false, None),
    (
        Protocol::Udp,
        "192.0.2.3:5060",
        true,
        false,
        Some("sip.example.com"),
    ),
    (Protocol::Udp, "[::]:5080", true, true, None),
    (Protocol::Tcp, "0.0.0.0:5070", true, false, None),
    (Protocol::Tcp, "192.0.2.2:5060", true, false, None),
    (
        Protocol::Tcp,
        "192.0.2.3:5060",
        true,
        false,
        Some("203.0.113.5:5090"),
    ),
    (Protocol::Tcp, "192.0.2.4:0", false, false, None),
];

const URIS: [&str; 16] = [
    "sip:192.0.2.100",
    "sip:192.0.2.101;transport=tcp",
    "sip:host.example.com",
    "sip:host.example.com;transport=tcp",
    "sips:192.0.2.100",
    "sip:nowhere.invalid",
    "sip:[2001:db8::1];transport=tcp",
    "tel:+1",
    "sip:192.0.2.102:5070",
    "sip:192.0.2.103;transport=udp",
    "sips:192.0.2.101;transport=tcp",
    "sip:127.0.0.9",
    "sip:[2001:db8::9]",
    "sips:192.0.2.102;transport=udp",
    "sip:192.0.2.100:5060;transport=tcp",
    "sips:host.example.com",
];

/// What a URI of these says.
fn next_of(uri: &str) -> Next {
    let (uri, transport) = match uri.split_once(";transport=") {
        Some((uri, token)) => (uri, Protocol::from_token(token)),
        None => (uri, None),
    };
    let Some(("sip" | "sips", place)) = uri.split_once(':') else {
        return Next::Nowhere;
    };
    if let Ok(addr) = place.parse::<SocketAddr>() {
        return Next::Address(addr.ip(), Some(addr.port()), transport);
    }
    match place.trim_matches(['[', ']']).parse() {
        Ok(ip) => Next::Address(ip, None, transport),
        Err(_) => Next::Name(transport),
    }
}

impl World {
    fn run(start: Instant, mut script: &[u8], traced: bool) -> Option<Vec<String>> {
        let creates = script.len().is_multiple_of(2);
        let config = || config(creates).unwrap_or_else(never);
        let channel = |sip: &mut Transport, protocol| {
            let channel = sip.add_channel(ChannelConfig::new(protocol, us(5060)));
            channel.unwrap_or_else(never)
        };
        let mut other = Transport::new(config(), [8; 32]);
        let stranger = channel(&mut other, Protocol::Tcp);
        let strangers = other.handle_accepted(start, stranger, us(5060), peer(0));
        let mut sip = Transport::new(config(), [7; 32]);
        let (udp, tcp) = (
            channel(&mut sip, Protocol::Udp),
            channel(&mut sip, Protocol::Tcp),
        );
        let mut world = Self {
            sip,
            now: start,
            udp,
            tcp,
            model: Model {
                creates,
                strangers: strangers.ok().map(|connection| (stranger, connection)),
                ..Model::default()
            },
            open: BTreeMap::new(),
            ever: (vec![udp, tcp, stranger], strangers.into_iter().collect()),
            waiting: BTreeMap::new(),
            tellable: BTreeSet::new(),
            due: Vec::new(),
            kept: Vec::new(),
            requests: Vec::new(),
            questions: Vec::new(),
            closing: false,
            trace: traced.then(Vec::new),
        };
        for (id, protocol) in [(udp, Protocol::Udp), (tcp, Protocol::Tcp)] {
            world.model.channels.push(Channel {
                id,
                protocol,
                local: us(5060),
                listens: true,
                dual_stack: false,
                advertised: None,
                on_demand: false,
                bound: true,
            });
        }
        world.drain();
        while let [step, choice, rest @ ..] = script {
            script = rest;
            world.step(*step, *choice, &mut script);
            world.drain();
        }
        world.end();
        world.trace
    }

    fn step(&mut self, step: u8, choice: u8, script: &mut &[u8]) {
        let now = self.now;
        let chosen = self.open.iter().cycle().nth(usize::from(choice));
        let chosen = chosen.map(|(&id, &socket)| (id, socket));
        match (step % 20, chosen) {
            (0, _) => {
                let data = take(script, usize::from(choice) * 8);
                self.datagram(choice, data);
            }
            (1, Some((id, Socket::Open))) => {
                let data = take(script, usize::from(choice) * 8);
                self.garbled(id);
                let taken = self.sip.handle_data(now, id, data);
                assert!(taken <= data.len());
            }
            (2, Some((id, Socket::Open))) => {
                let data = options("TCP", choice);
                self.garbled(id);
                self.sip.handle_data(now, id, data.as_bytes());
            }
            (3, _) => self.datagram(choice, options("UDP", choice).as_bytes()),
            (4, _) => self.accept(choice),
            (5, Some((id, Socket::Connecting))) if !choice.is_multiple_of(3) => {
                self.open.insert(id, Socket::Open);
                self.connected(id);
            }
            (5, Some((id, _))) => {
                self.doubt(id);
                self.sip.handle_error(id, io::ErrorKind::ConnectionReset);
            }
            (6, Some((id, Socket::Open))) if choice.is_multiple_of(8) => {
                self.doubt(id);
                self.sip.handle_eof(id);
            }
            (6, Some((id, Socket::Open))) => {
                let len = self.sip.transmit(id).len();
                self.written(id, len.div_ceil(usize::from(choice % 8)));
            }
            (7, _) => {
                self.now += Duration::from_millis(1 << (choice % 24));
                self.model
                    .connections
                    .values_mut()
                    .for_each(|c| c.doubtful = true);
                self.sip.handle_timeout(self.now);
            }
            (8, _) => self.respond(choice, 0),
            (9, _) => {
                let channel = choice & 8 > 0;
                let connection = self.open.last_key_value().filter(|_| choice & 16 > 0);
                let hints = Hints {
                    channel: channel.then_some(self.udp),
                    connection: connection.map(|(&id, _)| id),
                    local: None,
                };
                self.request(URIS[usize::from(choice % 8)], None, hints, 0);
            }
            (10, Some((id, _))) if choice.is_multiple_of(4) => {
                if let Some(connection) = self.model.connections.get_mut(&id) {
                    connection.closing = true;
                }
                self.sip.close(now, id);
            }
            (11, _) => {
                if let Some(question) = self.questions.pop() {
                    self.answer(question, choice);
                }
            }
            (12, _) if choice == 0 => self.remove_channel(self.tcp),
            (13, _) => {
                let bytes = take(script, 4);
                let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
                let hints = self.hints(byte(0), byte(1), byte(2));
                let to = self.destination(byte(3));
                self.request(URIS[usize::from(choice % 16)], to, hints, byte(3));
            }
            (14, _) => {
                let which = usize::from(choice) % self.ever.0.len();
                self.remove_channel(self.ever.0[which]);
            }
            (15, _) => self.add_channel(choice),
            (16, _) => self.try_next(choice),
            (17, _) => self.lose(choice),
            (18, _) => self.respond(choice, take(script, 1).first().copied().unwrap_or(0)),
            (19, _) => self.forward(choice),
            _ => {}
        }
    }

    // Inputs.

    fn datagram(&mut self, choice: u8, data: &[u8]) {
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

    fn accept(&mut self, choice: u8) {
        let all = &self.model.channels;
        let streams: Vec<_> = all.iter().filter(|c| c.protocol == Protocol::Tcp).collect();
        let channel = streams.get(usize::from(choice / 4) % streams.len().max(1));
        let channel = channel.map_or(self.tcp, |channel| channel.id);
        let listens = self.model.channel(channel).is_some_and(|c| c.listens);
        let remote = SocketAddr::new(peer(choice).ip(), 40_000 + u16::from(choice));
        let from_there = |c: &Connection| c.remote.ip() == remote.ip();
        let unproven = self.model.unproven().count();
        let of_peer = |sure: bool| {
            let all = self.model.unproven();
            all.filter(|(_, c)| from_there(c) && !(sure && c.doubtful))
                .count()
        };
        let (surely, maybe) = (of_peer(true), of_peer(false));
        let full = unproven >= UNPROVEN || self.model.connections.len() >= CONNECTIONS;
        let result = self
            .sip
            .handle_accepted(self.now, channel, us(5060), remote);
        match result {
            Ok(id) => {
                assert!(listens && surely < UNPROVEN_PER_IP);
                assert!(!full || unproven > 0, "more connections than may be");
                self.open.insert(id, Socket::Open);
                self.ever.1.push(id);
                let connection = Connection {
                    channel,
                    protocol: Protocol::Tcp,
                    remote,
                    local: Some(us(5060)),
                    accepted: true,
                    proven: false,
                    closing: false,
                    doubtful: false,
                    unwritten: Default::default(),
                    queued: 0,
                    written: 0,
                };
                self.model.connections.insert(id, connection);
            }
            Err(AcceptError::Unknown(_)) => assert!(!listens || self.closing),
            Err(AcceptError::PerAddress { .. }) => assert!(maybe >= UNPROVEN_PER_IP),
            Err(AcceptError::Full { .. }) => assert!(full && unproven == 0),
            Err(other) => panic!("{other}"),
        }
    }

    fn connected(&mut self, id: ConnectionId) {
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
    fn doubt(&mut self, id: ConnectionId) {
        if let Some(connection) = self.model.connections.get_mut(&id) {
            connection.doubtful = true;
        }
    }

    /// Bytes come that are no TLS.
    fn garbled(&mut self, id: ConnectionId) {
        if let Some(connection) = self.model.connections.get_mut(&id) {
            connection.doubtful |= connection.protocol.is_secure();
        }
    }

    fn written(&mut self, id: ConnectionId, n: usize) {
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

    fn add_channel(&mut self, choice: u8) {
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

    fn remove_channel(&mut self, id: ChannelId) {
        let there = self.model.channel(id).is_some();
        self.model.channels.retain(|channel| channel.id != id);
        for connection in self.model.connections.values_mut() {
            connection.closing |= connection.channel == id;
        }
        let result = self.sip.remove_channel(self.now, id);
        assert_eq!(result.is_ok(), there);
    }

    fn answer(&mut self, question: Question, choice: u8) {
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
                    LookupKind::Aaaa => address(Ipv6Addr::LOCALHOST.into()),
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
    fn lose(&mut self, choice: u8) {
        let at = usize::from(choice) % self.kept.len().max(1);
        let Some((_, sent)) = self.kept.get(at) else {
            return;
        };
        let (send, remote) = (sent.id(), sent.remote().addr);
        if matches!(sent.way(), Way::Datagram { .. }) && self.tellable.contains(&send) {
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

    // Sends.

    fn hints(&self, channel: u8, connection: u8, local: u8) -> Hints {
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

    fn destination(&self, choice: u8) -> Option<SipEndpoint> {
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

    fn request(&mut self, uri: &str, to: Option<SipEndpoint>, hints: Hints, choice: u8) {
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
    fn forward(&mut self, choice: u8) {
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

    fn respond(&mut self, choice: u8, hint: u8) {
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
        let Ok(response) = response.build(|random| random.fill(choice)) else {
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

    fn ask(
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
        // Over such a connection it needs none.
        if report.connection != HintOutcome::Honoured && !back {
            ask.target = self.model.target(&ask);
        }
        let result = self.sip.send(self.now, outgoing);
        self.submitted(ask, &verdict, before, result);
    }

    /// How much waits and is queued.
    fn before(&self) -> (usize, usize) {
        let (_, waiting) = self.sip.router().load();
        (waiting, self.sip.router().queued_bytes())
    }

    fn try_next(&mut self, choice: u8) {
        if self.kept.is_empty() {
            return;
        }
        let (mut ask, sent) = self.kept.swap_remove(usize::from(choice) % self.kept.len());
        let left = sent.targets_left();
        // The connection has had its try.
        ask.hints.connection = None;
        let before = self.before();
        match self.sip.try_next(self.now, *sent) {
            Err(NextError::NoTargetLeft(_)) => assert_eq!(left, 0),
            Err(NextError::Send(error)) => self.submitted(ask, &Verdict::Wait, before, Err(error)),
            Err(other) => panic!("{other}"),
            Ok(submitted) => {
                assert!(left > 0);
                self.submitted(ask, &Verdict::Wait, before, Ok(submitted));
            }
        }
    }

    fn submitted(
        &mut self,
        ask: Ask,
        verdict: &Verdict,
        (waited, queued): (usize, usize),
        result: Result<Submitted, SendError>,
    ) {
        self.adopt();
        let over = match verdict {
            // Over TLS it also counts whom the peer has to prove to be, which is not looked at here.
            Verdict::Over(id) => self.model.connections.get(id).map(|c| (*id, c.protocol)),
            _ => None,
        };
        let doubtful =
            over.is_some_and(|(id, protocol)| protocol.is_secure() || self.model.is_doubtful(id));
        let is_name = matches!(ask.next, Next::Name(_)) && ask.to.is_none();
        match result {
            Ok(Submitted::Sent(sent)) => {
                self.note(&sent);
                match verdict {
                    Verdict::Wait if is_name => {}
                    _ if doubtful => {}
                    Verdict::Datagram(..) => {
                        assert!(matches!(sent.way(), Way::Datagram { .. }), "{verdict:?}");
                    }
                    Verdict::Over(id) => {
                        assert_eq!(sent.way(), Way::Connection(*id), "{verdict:?}");
                        assert_eq!(self.open.get(id), Some(&Socket::Open));
                    }
                    _ => panic!("{verdict:?}, and sent {:?}: {ask:?}", sent.way()),
                }
                self.sent(ask, sent, true);
            }
            Ok(Submitted::Waiting(id)) => {
                self.note(&id);
                match verdict {
                    Verdict::Wait | Verdict::Open(..) => {}
                    _ if doubtful => {}
                    Verdict::Over(id) => {
                        assert_eq!(self.open.get(id), Some(&Socket::Connecting));
                    }
                    _ => panic!("{verdict:?}, and it waits: {ask:?}"),
                }
                assert!(self.waiting.insert(id, ask).is_none(), "{id:?} again");
            }
            Err(error) => {
                self.note(&error);
                let returned = error.message().to_bytes();
                assert_eq!(String::from_utf8_lossy(&returned), ask.text, "changed");
                assert!(!self.waiting.contains_key(&error.send()));
                match error.cause() {
                    SendCause::ShuttingDown => assert!(self.closing),
                    SendCause::TooManyWaiting { limit } => {
                        assert!(matches!(verdict, Verdict::Wait) || doubtful, "{verdict:?}");
                        assert_eq!((*limit, waited), (WAITING, WAITING));
                    }
                    SendCause::TooManyConnections { .. } => {
                        assert!(matches!(verdict, Verdict::Open(..)) || is_name || doubtful);
                        assert!(self.model.connections.len() >= CONNECTIONS);
                    }
                    SendCause::QueueFull { limit } => {
                        // Via, Contact and what else is filled in make it longer.
                        let size = ask.text.len() + 200;
                        let own = over.map_or(QUEUE, |(id, _)| self.sip.transmit(id).len());
                        match *limit {
                            ALL_QUEUES => assert!(queued + size > ALL_QUEUES),
                            // What waits for it to open counts too.
                            limit => assert!(own + queued + size > limit),
                        }
                    }
                    cause => {
                        let fails = matches!(verdict, Verdict::Fails) || is_name || doubtful;
                        assert!(fails, "{verdict:?}, and {cause:?}: {ask:?}");
                    }
                }
            }
        }
    }

    /// A send has ended well: where it went and what it says is what the model says.
    fn sent(&mut self, ask: Ask, sent: Box<Sent>, at_once: bool) {
        let by_name = matches!(ask.next, Next::Name(_)) && ask.to.is_none();
        let target = sent.target().map(|target| (target.protocol, target.addr));
        let (verdict, report) = self
            .model
            .decide(self.now, &ask, target.filter(|_| by_name));
        let hinted = ask.hints.connection.or(ask.to.and_then(|to| to.connection));
        let mut strict = None;
        match sent.way() {
            Way::Datagram { .. } => {
                let came = match &ask.next {
                    Next::Back { local, .. } => local.connection,
                    _ => None,
                };
                if ![hinted, came]
                    .into_iter()
                    .flatten()
                    .any(|id| self.model.is_doubtful(id))
                {
                    assert_eq!(sent.hints(), report);
                    assert!(matches!(verdict, Verdict::Datagram(..)), "{verdict:?}");
                    strict = Some(&verdict);
                }
            }
            Way::Connection(id) => {
                let honoured = sent.hints().connection == HintOutcome::Honoured;
                assert_eq!(honoured, hinted == Some(id));
                if at_once && verdict == Verdict::Over(id) {
                    assert_eq!(sent.hints(), report);
                }
                let elsewhere = !honoured
                    && !matches!(&ask.next, Next::Back { local, .. } if local.connection == Some(id));
                if elsewhere && ask.hints.channel.is_none() {
                    let to = (sent.remote().protocol, sent.remote().addr);
                    let wanted = if by_name {
                        target
                    } else {
                        ask.target.or_else(|| self.model.target(&ask))
                    };
                    assert_eq!(Some(to), wanted, "{ask:?}");
                }
            }
        }
        self.model.check_sent(&ask, &sent, strict);
        self.queued(&sent, at_once);
        self.tellable.insert(sent.id());
        if self.kept.len() < 4 {
            self.kept.push((ask, sent));
        }
    }

    /// What was sent stands in a queue.
    fn queued(&mut self, sent: &Sent, at_once: bool) {
        if let Some(datagram) = sent.datagram() {
            self.due.push(datagram);
            return;
        }
        let Way::Connection(id) = sent.way() else {
            return;
        };
        let bytes = self.sip.transmit(id);
        let Some(connection) = self.model.connections.get_mut(&id) else {
            panic!("{id:?} is gone");
        };
        if at_once {
            let proven = !connection.accepted || connection.proven;
            let limit = if proven { QUEUE } else { UNPROVEN_QUEUE };
            assert!(
                bytes.len() <= limit,
                "{} bytes queued of {limit}",
                bytes.len()
            );
            assert!(bytes.ends_with(sent.bytes()));
            connection.queued = connection.written + bytes.len() as u64;
        } else {
            let before = connection.queued.max(connection.written);
            connection.queued = before + sent.bytes().len() as u64;
        }
        connection
            .unwritten
            .push_back((sent.id(), connection.queued));
    }

    fn note(&mut self, what: &dyn std::fmt::Debug) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{what:?}"));
        }
    }

    // Outputs.

    /// Channels that were made on demand: one for each protocol and family, where there was none.
    fn adopt(&mut self) {
        let all: Vec<_> = self.sip.router().channels().collect();
        for (id, config) in all {
            if self.model.channel(id).is_some() {
                continue;
            }
            let (protocol, local) = (config.protocol(), config.local());
            let same = |c: &Channel| {
                c.on_demand && c.protocol == protocol && c.local.is_ipv4() == local.is_ipv4()
            };
            assert!(self.model.creates && !self.model.channels.iter().any(same));
            assert!(local.ip().is_unspecified() && !config.is_listener());
            self.ever.0.push(id);
            self.model.channels.push(Channel {
                id,
                protocol,
                local,
                listens: false,
                dual_stack: false,
                advertised: None,
                on_demand: true,
                bound: protocol.is_stream(),
            });
        }
        assert_eq!(
            self.sip.router().channels().count(),
            self.model.channels.len()
        );
    }

    /// Takes outputs until there are none, and holds them against what is known.
    fn drain(&mut self) {
        let mut outputs = Vec::new();
        loop {
            let output = self.sip.poll_output(self.now);
            self.note(&output);
            assert!(
                outputs.len() < MANY,
                "more than {MANY} outputs to one input"
            );
            match output {
                Output::Timeout(_) => break,
                output => outputs.push(output),
            }
        }
        self.adopt();
        // First what there is, then what was made of it; a datagram is given out before its send is
        // told to be over.
        let mut closed = Vec::new();
        for output in &outputs {
            match output {
                Output::Connect {
                    connection,
                    remote,
                    local,
                } => {
                    self.connect(*connection, *remote, *local);
                }
                Output::Close(id) => {
                    assert!(self.open.remove(id).is_some(), "{id:?} has no socket");
                    self.model
                        .connections
                        .entry(*id)
                        .and_modify(|c| c.closing = true);
                    closed.push(*id);
                }
                _ => {}
            }
        }
        let is_datagram = |output: &Output| matches!(output, Output::Datagram { .. });
        let (datagrams, others): (Vec<_>, Vec<_>) = outputs.into_iter().partition(is_datagram);
        for output in others.into_iter().chain(datagrams) {
            self.output(output);
        }
        let due = core::mem::take(&mut self.due);
        assert!(due.is_empty(), "sent, and not given out: {due:?}");
        for id in closed {
            let gone = self.model.connections.remove(&id);
            for (send, _) in gone.into_iter().flat_map(|connection| connection.unwritten) {
                assert!(
                    !self.tellable.contains(&send),
                    "{send} is lost, and nobody is told"
                );
            }
        }
        let held = self.sip.router().held();
        assert_eq!(held.connections, self.model.connections.len());
        assert!(
            held.connections <= CONNECTIONS && held.waiting <= WAITING,
            "{held:?}"
        );
        assert!(held.queued_bytes <= ALL_QUEUES + CONTROL, "{held:?}");
    }

    fn connect(&mut self, id: ConnectionId, remote: SocketAddr, local: Option<IpAddr>) {
        let known = self.open.insert(id, Socket::Connecting);
        assert!(known.is_none(), "{id:?} again");
        self.ever.1.push(id);
        let Some(info) = self.sip.router().connection(id) else {
            panic!("{id:?} is to be opened, and unknown");
        };
        let channel = info.remote.channel.and_then(|id| self.model.channel(id));
        let Some(channel) = channel else {
            // It was removed in the same breath.
            panic!("{id:?} is for no channel");
        };
        assert_eq!(
            (info.remote.addr, info.remote.protocol),
            (remote, channel.protocol)
        );
        let bound = channel.local.ip();
        assert!(bound.is_unspecified() || local == Some(bound));
        let connection = Connection {
            channel: channel.id,
            protocol: channel.protocol,
            remote,
            local: None,
            accepted: false,
            proven: true,
            closing: false,
            doubtful: false,
            unwritten: Default::default(),
            queued: 0,
            written: 0,
        };
        self.model.connections.insert(id, connection);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Event(event) => self.event(event),
            Output::Datagram { socket, transmit } => {
                let channel = self.model.channel(socket.channel);
                assert!(channel.is_some(), "on a channel that is gone");
                let same = |(at, due): &(SocketId, Transmit)| {
                    *at == socket
                        && due.send == transmit.send
                        && due.bytes == transmit.bytes
                        && due.destination == transmit.destination
                        && due.source == transmit.source
                };
                if transmit.send.is_some() {
                    let at = self.due.iter().position(same);
                    // One whose end is told behind it is held against that.
                    match at {
                        Some(at) => drop(self.due.swap_remove(at)),
                        None => panic!("nobody sent {transmit:?}"),
                    }
                }
            }
            Output::Bind { channel, .. } => self.questions.push(Question::Bound(channel)),
            Output::Lookup { id, kind, .. } => self.questions.push(Question::Lookup(id, kind)),
            Output::LocalAddress { query, remote } => {
                self.questions
                    .push(Question::LocalAddress(query, remote.ip(), self.now));
            }
            _ => {}
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Request {
                local,
                remote,
                request,
            } => {
                self.proven(&local);
                self.requests.push((local, remote, request));
            }
            Event::Response { local, .. } => self.proven(&local),
            Event::Malformed { local, .. } => {
                local.connection.into_iter().for_each(|id| self.doubt(id));
            }
            Event::SendCompleted { send, result } => {
                let Some(ask) = self.waiting.remove(&send) else {
                    panic!("{send:?} did not wait");
                };
                match result {
                    Ok(sent) => {
                        assert_eq!(sent.id(), send);
                        self.sent(ask, sent, false);
                    }
                    Err(error) => {
                        let returned = error.message().to_bytes();
                        assert_eq!(String::from_utf8_lossy(&returned), ask.text, "changed");
                    }
                }
            }
            Event::SendFailed { send, .. } => {
                assert!(self.tellable.remove(&send), "{send:?} is not lost");
            }
            _ => {}
        }
    }

    fn proven(&mut self, local: &SipEndpoint) {
        let id = local.connection;
        if let Some(connection) = id.and_then(|id| self.model.connections.get_mut(&id)) {
            connection.proven = true;
        }
    }

    fn end(&mut self) {
        self.closing = true;
        self.sip.shutdown(self.now);
        self.drain();
        for _ in 0..10 {
            self.now += Duration::from_secs(3_600);
            self.sip.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.waiting.is_empty(), "{:?} never ended", self.waiting);
        assert!(self.open.is_empty(), "{:?} never closed", self.open.keys());
        let mut held = self.sip.router().held();
        held.sent_bys = 0;
        assert_eq!(held, Held::default());
    }
}

fn mode(choice: u8) -> Substitution {
    match choice % 4 {
        1 => Substitution::Original,
        2 => Substitution::Off,
        _ => Substitution::Rfc,
    }
}

fn take<'a>(script: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (data, rest) = script.split_at(len.min(script.len()));
    *script = rest;
    data
}

/// A request of a peer: with `rport` or without, from its own port or another.
fn options(transport: &str, choice: u8) -> String {
    let host = peer(choice);
    let rport = if choice & 16 > 0 { "" } else { ";rport" };
    let host = if choice & 32 > 0 {
        "192.0.2.100".to_owned()
    } else {
        host.to_string()
    };
    format!(
        "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {host};branch=z9hG4bK{choice}{rport}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:0.0.0.0>;tag=1\r\n\
         To: <sip:a@192.0.2.1>\r\n\
         Call-ID: {choice}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Contact: <sip:0.0.0.0>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
