use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Event, Outgoing, Output, Protocol, QueryId,
    SendId, SendOptions, Submitted, Transport,
    resolve::{Answer, LookupId, LookupKind, Record, SrvRecord},
    sip_core::{
        Method, Request, StatusCode,
        build::{RequestBuilder, ResponseBuilder},
    },
};

use crate::message::never;

/// Whatever peers and the system do to a transport, it ends each send and each connection once,
/// leaves nothing behind, and does the same again for the same inputs.
///
/// The input is a script: a byte that chooses a step, one that it may use, and for some steps
/// bytes from a peer.
pub fn transport(data: &[u8]) {
    let start = Instant::now();
    // Writing down all that happens takes most of the time, so not every script is run for it.
    if data.len().is_multiple_of(4) {
        assert_eq!(World::run(start, data, true), World::run(start, data, true));
    } else {
        World::run(start, data, false);
    }
}

struct World {
    sip: Transport,
    now: Instant,
    udp: ChannelId,
    tcp: ChannelId,
    /// Connections whose socket is asked for or open.
    open: BTreeMap<ConnectionId, Socket>,
    /// Sends that have not ended.
    waiting: BTreeSet<SendId>,
    requests: Vec<Request>,
    questions: Vec<Question>,
    /// What happened, if it is to be written down.
    trace: Option<Vec<String>>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Socket {
    Connecting,
    Open,
}

enum Question {
    Bound(ChannelId),
    Lookup(LookupId, LookupKind),
    LocalAddress(QueryId),
}

/// More outputs to one input than any of these scripts can bring about.
const MANY: usize = 10_000;

fn us(port: u16) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), port).into()
}

fn peer(choice: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 100 + choice % 4), 5060).into()
}

impl World {
    fn run(start: Instant, mut script: &[u8], traced: bool) -> Option<Vec<String>> {
        let mut config = Config::default();
        config.create_client_channels(script.len().is_multiple_of(2));
        let mut sip = Transport::new(config, [7; 32]);
        let mut channel = |protocol| {
            let channel = sip.add_channel(ChannelConfig::new(protocol, us(5060)));
            channel.unwrap_or_else(never)
        };
        let (udp, tcp) = (channel(Protocol::Udp), channel(Protocol::Tcp));
        let mut world = Self {
            sip,
            now: start,
            udp,
            tcp,
            open: BTreeMap::new(),
            waiting: BTreeSet::new(),
            requests: Vec::new(),
            questions: Vec::new(),
            trace: traced.then(Vec::new),
        };
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
        match (step % 13, chosen) {
            (0, _) => {
                let data = take(script, usize::from(choice) * 8);
                let socket = self.udp.socket(0);
                self.sip
                    .handle_datagram(now, socket, peer(choice), None, data);
            }
            (1, Some((id, Socket::Open))) => {
                let data = take(script, usize::from(choice) * 8);
                let taken = self.sip.handle_data(now, id, data);
                assert!(taken <= data.len());
            }
            (2, Some((id, Socket::Open))) => {
                let data = options("TCP", choice);
                self.sip.handle_data(now, id, data.as_bytes());
            }
            (3, _) => {
                let (data, socket) = (options("UDP", choice), self.udp.socket(0));
                self.sip
                    .handle_datagram(now, socket, peer(choice), None, data.as_bytes());
            }
            (4, _) => {
                let accepted = self
                    .sip
                    .handle_accepted(now, self.tcp, us(5060), peer(choice));
                if let Ok(id) = accepted {
                    self.open.insert(id, Socket::Open);
                }
            }
            (5, Some((id, Socket::Connecting))) if !choice.is_multiple_of(3) => {
                self.open.insert(id, Socket::Open);
                self.sip.handle_connected(now, id, us(40_000));
            }
            (5, Some((id, _))) => {
                self.sip.handle_error(id, io::ErrorKind::ConnectionReset);
            }
            (6, Some((id, Socket::Open))) if choice.is_multiple_of(8) => self.sip.handle_eof(id),
            (6, Some((id, Socket::Open))) => {
                let len = self
                    .sip
                    .transmit(id)
                    .len()
                    .div_ceil(usize::from(choice % 8));
                self.sip.handle_written(now, id, len);
            }
            (7, _) => {
                self.now += Duration::from_millis(1 << (choice % 24));
                self.sip.handle_timeout(self.now);
            }
            (8, _) => self.respond(choice),
            (9, _) => self.request(choice),
            (10, Some((id, _))) if choice.is_multiple_of(4) => {
                self.sip.close(now, id);
            }
            (11, _) => {
                if let Some(question) = self.questions.pop() {
                    self.answer(question, choice);
                }
            }
            (12, _) if choice == 0 => {
                let _ = self.sip.remove_channel(now, self.tcp);
            }
            _ => {}
        }
    }

    fn respond(&mut self, choice: u8) {
        let Some(request) = self.requests.pop() else {
            return;
        };
        let response = ResponseBuilder::new(&request, StatusCode::OK)
            .to_tag("ours")
            .build(|random| random.fill(choice))
            .unwrap_or_else(never);
        self.send(Outgoing::new(response, SendOptions::new()));
    }

    fn request(&mut self, choice: u8) {
        let uri = [
            "sip:192.0.2.100",
            "sip:192.0.2.101;transport=tcp",
            "sip:host.example.com",
            "sip:host.example.com;transport=tcp",
            "sips:192.0.2.100",
            "sip:nowhere.invalid",
            "sip:[2001:db8::1];transport=tcp",
            "tel:+1",
        ][usize::from(choice % 8)];
        let request = RequestBuilder::new(Method::Options, uri)
            .build(|random| random.fill(choice))
            .unwrap_or_else(never);
        let mut options = SendOptions::new();
        if choice & 8 > 0 {
            options = options.channel(self.udp);
        }
        if let (true, Some((&id, _))) = (choice & 16 > 0, self.open.last_key_value()) {
            options = options.connection(id);
        }
        self.send(Outgoing::new(request, options));
    }

    fn send(&mut self, outgoing: Box<Outgoing>) {
        match self.sip.send(self.now, outgoing) {
            Ok(Submitted::Sent(sent)) => self.note(&sent),
            Ok(Submitted::Waiting(id)) => assert!(self.waiting.insert(id), "{id:?} again"),
            Err(error) => self.note(&error),
        }
    }

    fn answer(&mut self, question: Question, choice: u8) {
        let (now, fails) = (self.now, choice.is_multiple_of(4));
        let failure = io::ErrorKind::NotFound;
        let found = IpAddr::from(Ipv4Addr::new(192, 0, 2, 100 + choice % 4));
        match question {
            Question::Bound(channel) => {
                let result = if fails { Err(failure) } else { Ok(us(30_000)) };
                self.sip.handle_bound(now, channel, result);
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
                    LookupKind::A => [address(found), address(peer(choice).ip())].concat(),
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
            Question::LocalAddress(query) => {
                let result = if fails { Err(failure) } else { Ok(us(0).ip()) };
                self.sip.handle_local_address(now, query, result);
            }
        }
    }

    fn note(&mut self, what: &dyn std::fmt::Debug) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{what:?}"));
        }
    }

    /// Takes outputs until there are none, and holds them against what is known.
    fn drain(&mut self) {
        for _ in 0..MANY {
            let output = self.sip.poll_output(self.now);
            self.note(&output);
            match output {
                Output::Timeout(_) => return,
                Output::Event(Event::Request { request, .. }) => self.requests.push(request),
                Output::Event(Event::SendCompleted { send, .. }) => {
                    assert!(self.waiting.remove(&send), "{send:?} did not wait");
                }
                Output::Connect { connection, .. } => {
                    let known = self.open.insert(connection, Socket::Connecting);
                    assert!(known.is_none(), "{connection:?} again");
                }
                Output::Close(id) => {
                    assert!(self.open.remove(&id).is_some(), "{id:?} has no socket");
                }
                Output::Bind { channel, .. } => self.questions.push(Question::Bound(channel)),
                Output::Lookup { id, kind, .. } => self.questions.push(Question::Lookup(id, kind)),
                Output::LocalAddress { query, .. } => {
                    self.questions.push(Question::LocalAddress(query));
                }
                _ => {}
            }
        }
        panic!("more than {MANY} outputs to one input");
    }

    fn end(&mut self) {
        self.sip.shutdown(self.now);
        self.drain();
        for _ in 0..10 {
            self.now += Duration::from_secs(3_600);
            self.sip.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.waiting.is_empty(), "{:?} never ended", self.waiting);
        assert!(self.open.is_empty(), "{:?} never closed", self.open.keys());
    }
}

fn take<'a>(script: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (data, rest) = script.split_at(len.min(script.len()));
    *script = rest;
    data
}

fn options(transport: &str, choice: u8) -> String {
    let host = peer(choice);
    format!(
        "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {host};branch=z9hG4bK{choice};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:b@{host}>;tag=1\r\n\
         To: <sip:a@192.0.2.1>\r\n\
         Call-ID: {choice}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
