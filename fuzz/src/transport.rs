mod checks;
mod model;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::LazyLock,
    time::{Duration, Instant},
};

use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConfigError, ConnectionId, Hints, Protocol, QueryId, SendId,
    Sent, SipEndpoint, SizeRule, SocketId, Substitution, Transmit, Transport, resolve::LookupId,
    resolve::LookupKind, sip_core::Request, tls::TlsConfig,
};

use crate::certificates::Certificates;
use crate::message::never;
use model::{Ask, Channel, Model, Next};

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
    kept: Vec<(Ask, Sent)>,
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
const SILENT: usize = 4;
const PER_IP: usize = 2;
const WAITING: usize = 5;
const QUEUE: usize = 2_500;
const SILENT_QUEUE: usize = 1_500;
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
    config.max_silent(SILENT)?;
    config.max_connections_per_ip(PER_IP)?;
    config.max_waiting_sends(WAITING)?;
    config.send_queue(QUEUE)?;
    config.silent_send_queue(SILENT_QUEUE)?;
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

    // Sends.

    // Outputs.
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
