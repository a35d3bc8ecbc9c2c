//! Two transports, all protocols, a bad network, many seeds: what must hold at the end of every run.
//!
//! `SEEDS=1000` runs so many; else there are fewer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sip_transport_proto::error::{CloseReason, SendError};
use sip_transport_proto::sim::{HostId, Link, Machine, NameAnswer, SocketHandle, Trace, World};
use sip_transport_proto::sip_core::build::{RequestBuilder, ResponseBuilder};
use sip_transport_proto::sip_core::message::ParseErrorKind;
use sip_transport_proto::sip_core::{Message, Method, Name, Request, StatusCode};
use sip_transport_proto::tls::{Tls, TlsConfig, TlsName};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, Deadline, Event, Outgoing, Protocol, SendOptions, Sent,
    Submitted, Transport,
};

use testkit::certificates::Certificates;
use testkit::dice::Dice;
use testkit::ledger::{Ledger, Traffic, check_empty};
use testkit::split::Split;
use testkit::weather::Weather;

const FEWER: u64 = 300;
/// How many requests one run sends.
const REQUESTS: usize = 12;
/// How many connections come of which nothing will come.
const STRANGERS: usize = 2;

const A4: &str = "192.0.2.1";
const A6: &str = "2001:db8::1";
const B4: &str = "198.51.100.2";
const B6: &str = "2001:db8:1::2";
const QUIET: &str = "192.0.2.66";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const STREAMS: [Protocol; 4] = [Protocol::Tcp, Protocol::Tls, Protocol::Ws, Protocol::Wss];

static CERTIFICATES: LazyLock<Certificates> =
    LazyLock::new(|| Certificates::new().at(1_750_000_000));

fn seeds() -> u64 {
    std::env::var("SEEDS").map_or(FEWER, |seeds| seeds.parse().unwrap())
}

fn stream(dice: &mut Dice) -> Protocol {
    *dice.pick(&STREAMS)
}

/// What the application of both hosts keeps account of.
#[derive(Debug, Default)]
struct Account {
    ledger: Ledger<HostId>,
    traffic: Traffic,
    tally: Tally,
}

/// How often things went wrong, so that a test can tell that they did.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    sends: usize,
    failed: usize,
    failed_over: usize,
    lost: usize,
    broken: usize,
    /// Handshakes that broke, and those that took too long.
    unfinished: usize,
    stalled: usize,
}

impl Account {
    fn submitted(&mut self, host: HostId, result: &Result<Submitted, SendError>) {
        self.ledger.submitted(host, result);
        match result {
            Ok(Submitted::Waiting(_)) => {}
            Ok(Submitted::Sent(sent)) => self.went_out(sent),
            Err(error) => self.went_wrong(error),
        }
    }

    fn went_out(&mut self, sent: &Sent) {
        self.traffic.sent(sent);
        // Its first address refuses connections.
        let message = sent.message().unwrap();
        let uri = message.request_uri().unwrap_or_default();
        self.tally.failed_over += usize::from(uri.starts_with(b"sip:half"));
    }

    fn went_wrong(&mut self, error: &SendError) {
        assert!(error.message().raw(Name::CallId).is_some(), "it comes back");
        self.tally.failed += 1;
    }

    /// A transport's event; a request is given back, to be answered.
    fn event(&mut self, host: HostId, event: Event) -> Option<Request> {
        self.ledger.event(host, &event);
        match event {
            Event::Request {
                local,
                remote,
                request,
            } => {
                self.traffic.arrived(local, remote, &request);
                return Some(request);
            }
            Event::Response {
                local,
                remote,
                response,
            } => self.traffic.arrived(local, remote, &response),
            // A connection that breaks inside a message is broken; the message is not malformed. One
            // that is closed there to make room ends like any other.
            Event::Malformed { remote, error, .. } => {
                use ParseErrorKind::{BodyShort, Incomplete};
                let cut = matches!(error.kind(), Incomplete | BodyShort { .. });
                assert!(cut && remote.connection.is_some(), "{error}");
            }
            Event::ConnectionOpened { .. } => {}
            Event::ConnectionClosed {
                connection, reason, ..
            } => {
                self.tally.broken += usize::from(matches!(reason, CloseReason::Io(_)));
                let opened = self.ledger.has_opened(host, connection);
                let unfinished = !opened && !matches!(reason, CloseReason::ConnectFailed(_));
                self.tally.unfinished += usize::from(unfinished);
                let stalled = matches!(reason, CloseReason::Deadline(Deadline::Handshake));
                self.tally.stalled += usize::from(stalled);
            }
            Event::SendCompleted { result, .. } => match result {
                Ok(sent) => self.went_out(&sent),
                Err(error) => self.went_wrong(&error),
            },
            Event::SendFailed { .. } => self.tally.lost += 1,
            other => panic!("new: {other:?}"),
        }
        None
    }

    fn check(&self, weather: Weather) {
        self.ledger.check_ended();
        self.traffic.check_order();
        if weather.streams_hold {
            assert_eq!(self.traffic.missing(|_| true), None);
            assert!(self.ledger.lost().is_empty() || !weather.datagrams_hold);
        }
        let copies = if weather.datagrams_hold { 1 } else { 2 };
        self.traffic.check_datagrams(copies);
        if weather.datagrams_hold {
            assert_eq!(self.traffic.missing_datagram(), None);
        }
    }
}

fn request(dice: &mut Dice, uri: &str, number: usize) -> Request {
    let call_id = format!("call-{number}");
    let mut builder = RequestBuilder::new(Method::Invite, uri).call_id(&call_id);
    let body = vec![b'x'; usize::try_from(dice.below(4_000)).unwrap()];
    if dice.one_in(4) {
        builder = builder.body("text/plain", &body);
    }
    builder.build(|bytes| dice.fill(bytes)).unwrap()
}

/// Where the script sends things, and whether anybody is there.
fn destination(dice: &mut Dice, to_bob: bool) -> String {
    let hosts = if to_bob {
        [B4, "[2001:db8:1::2]", "bob.example"]
    } else {
        [A4, "[2001:db8::1]", "alice.example"]
    };
    let stream = stream(dice).via_token();
    match dice.below(20) {
        0 => "sip:nobody.example".to_owned(),
        1 => "sip:silent.example".to_owned(),
        2 => format!("sip:{B4}:9;transport={stream}"),
        // Its first address refuses, or accepts and says nothing.
        3 => format!("sip:half.example;transport={stream}"),
        n if dice.one_in(3) => format!("sip:{};transport=udp", hosts[n as usize % 3]),
        n => format!("sip:{};transport={stream}", hosts[n as usize % 3]),
    }
}

/// TLS of one run, which knows no session of another: else the same seed would not do the same.
fn tls(names: &[&str], mutual: bool) -> TlsConfig {
    if mutual {
        CERTIFICATES.mutual(names)
    } else {
        CERTIFICATES.both(names)
    }
}

/// The beginning of a handshake.
fn opening(dice: &mut Dice, protocol: Protocol) -> Vec<u8> {
    let mut bytes = Vec::new();
    if protocol.is_secure() {
        let name = TlsName::new("bob.example").unwrap();
        let mut tls = Tls::client(&CERTIFICATES.client(), protocol, &name).unwrap();
        tls.flush(&mut bytes);
    } else if protocol.is_websocket() {
        bytes = b"GET / HTTP/1.1\r\nHost: bob.example\r\n\r\n".to_vec();
    }
    bytes.truncate(usize::try_from(dice.below(bytes.len() as u64 + 1)).unwrap());
    bytes
}

/// What the script still does.
enum Step {
    Request(HostId),
    Answer(HostId, Box<Request>),
    /// A stranger connects.
    Connect(HostId),
    /// It has said so much, and says no more, or goes.
    Open(SocketHandle, Protocol),
    Break(SocketHandle),
}

/// Two hosts with channels of all protocols, a third that only connects and accepts, and the script.
struct Run<M: Machine> {
    world: World<M>,
    dice: Dice,
    weather: Weather,
    /// Applications close connections and remove channels in the middle of things.
    restless: bool,
    alice: HostId,
    bob: HostId,
    quiet: HostId,
    channels: Vec<(HostId, ChannelId)>,
    /// What the script still does, by time.
    plan: BTreeMap<(Instant, usize), Step>,
    next: usize,
    account: Account,
}

/// A run tells what happened in it if it fails.
impl<M: Machine> Drop for Run<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.world.trace());
        }
    }
}

fn ips(texts: [&str; 2]) -> [IpAddr; 2] {
    texts.map(ip)
}

/// The limits of both hosts: narrow ones where applications are restless.
fn limits(dice: &mut Dice, restless: bool) -> Config {
    let mut config = Config::default();
    if restless {
        let most = |dice: &mut Dice, least, more| least + dice.below(more) as usize;
        config.max_connections(most(dice, 2, 3)).unwrap();
        config.send_queue(most(dice, 2_000, 8_000)).unwrap();
        config.total_send_queue(most(dice, 4_000, 16_000)).unwrap();
    }
    config
}

impl<M: Machine> Run<M> {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let calm = dice.one_in(4);
        let weather = Weather {
            streams_hold: calm || dice.one_in(2),
            datagrams_hold: calm || dice.one_in(3),
        };
        let restless = weather.is_rough() && dice.one_in(2);
        let mut world = World::<M>::new(seed, Instant::now());
        let network = world.network_mut();
        network.set_default_link(weather.link(&mut dice));
        let config = limits(&mut dice, restless);
        let mutual = dice.one_in(2);
        let tls = [
            tls(&[A4, A6, "alice.example"], mutual),
            tls(&[B4, B6, "bob.example", "half.example"], mutual),
        ];
        let with = |tls: &TlsConfig| config.clone().tls(tls.clone()).clone();
        let mut run = Self {
            alice: world.add_host("alice", &ips([A4, A6]), with(&tls[0])),
            bob: world.add_host("bob", &ips([B4, B6]), with(&tls[1])),
            quiet: world.network_mut().add_host("quiet", &[ip(QUIET)]),
            world,
            dice,
            weather,
            restless,
            channels: Vec::new(),
            plan: BTreeMap::new(),
            next: 0,
            account: Account::default(),
        };
        run.build_network();
        run.add_channels(run.alice, [A4, A6], &tls[0]);
        run.add_channels(run.bob, [B4, B6], &tls[1]);
        run.invent();
        run
    }

    fn build_network(&mut self) {
        let network = self.world.network_mut();
        network.set_link(self.alice, self.quiet, Link::default());
        // It accepts, and that is all.
        for protocol in [Protocol::Tls, Protocol::Wss] {
            let local = SocketAddr::new(ip(QUIET), protocol.default_port());
            network.listen(self.quiet, local).unwrap();
        }
        for (name, addresses) in [
            ("bob.example", [B4, B6]),
            ("alice.example", [A6, A4]),
            ("half.example", [QUIET, B4]),
        ] {
            network.set_name(name, NameAnswer::Addresses(ips(addresses).to_vec()));
        }
        network.set_name("silent.example", NameAnswer::Never);
    }

    fn add_channels(&mut self, host: HostId, addresses: [&str; 2], tls: &TlsConfig) {
        for ip in ips(addresses) {
            for protocol in Protocol::ALL {
                // Half of them wildcards: the others must know their address by themselves.
                let ip = match (self.dice.one_in(2), ip) {
                    (false, ip) => ip,
                    (true, IpAddr::V4(_)) => "0.0.0.0".parse().unwrap(),
                    (true, IpAddr::V6(_)) => "::".parse().unwrap(),
                };
                let local = SocketAddr::new(ip, protocol.default_port());
                let config = ChannelConfig::new(protocol, local).tls(tls.clone());
                let channel = self.world.add_channel(host, config).unwrap();
                self.channels.push((host, channel));
            }
        }
    }

    /// Decides on what will happen.
    fn invent(&mut self) {
        let start = self.world.network().now();
        for number in 0..REQUESTS + STRANGERS {
            let either = [self.bob, self.alice];
            let host = either[usize::from(self.dice.one_in(2))];
            let step = match number {
                0..REQUESTS => Step::Request(host),
                _ => Step::Connect(host),
            };
            let at = start + self.dice.millis(5_000);
            self.later(at, step);
        }
    }

    fn later(&mut self, at: Instant, step: Step) {
        self.plan.insert((at, self.next), step);
        self.next += 1;
    }

    /// Plays the script to its end.
    fn play(&mut self) {
        while let Some((&(at, number), _)) = self.plan.first_key_value() {
            if let Some((host, event)) = self.world.next_event_by(at) {
                self.event(host, event);
                continue;
            }
            let (_, step) = self.plan.pop_first().unwrap();
            self.step(at, number, step);
        }
    }

    fn event(&mut self, host: HostId, event: Event) {
        if self.restless
            && let Event::Request { local, .. } = &event
            && let Some(connection) = local.connection
            && self.dice.one_in(4)
        {
            self.world.close(host, connection);
        }
        if let Some(request) = self.account.event(host, event) {
            let after = self.world.network().now() + self.dice.millis(3_000);
            self.later(after, Step::Answer(host, Box::new(request)));
        }
    }

    fn step(&mut self, at: Instant, number: usize, step: Step) {
        let later = at + self.dice.millis(2_000);
        match step {
            Step::Answer(..) if self.dice.one_in(5) => {}
            Step::Answer(host, request) => {
                let builder = ResponseBuilder::new(&request, StatusCode::OK);
                let response = builder.random_tag(|bytes| self.dice.fill(bytes));
                self.send(host, response.build().unwrap().into_message());
                self.meddle(at);
            }
            Step::Request(host) => {
                let uri = destination(&mut self.dice, host == self.alice);
                let request = request(&mut self.dice, &uri, number);
                self.send(host, request.into_message());
                self.meddle(at);
            }
            Step::Connect(host) => {
                let protocol = stream(&mut self.dice);
                let to = if host == self.alice { A4 } else { B4 };
                let to = SocketAddr::new(ip(to), protocol.default_port());
                let network = self.world.network_mut();
                let socket = network.connect(self.quiet, None, to).unwrap();
                self.later(later, Step::Open(socket, protocol));
            }
            Step::Open(socket, protocol) => {
                let opening = opening(&mut self.dice, protocol);
                // The connection may be refused, or not be open yet.
                let _said = self.world.network_mut().write(socket, &opening);
                if self.dice.one_in(2) {
                    self.later(later, Step::Break(socket));
                }
            }
            Step::Break(socket) => {
                let network = self.world.network_mut();
                if self.dice.one_in(2) {
                    network.reset(socket);
                }
                network.close(socket);
            }
        }
    }

    fn send(&mut self, host: HostId, message: Message) {
        let outgoing = Outgoing::new(message, SendOptions::new());
        let result = self.world.send(host, outgoing);
        self.account.submitted(host, &result);
    }

    /// Removes a channel or cuts the hosts off from each other for a while, if the weather is such.
    fn meddle(&mut self, at: Instant) {
        if self.restless && self.dice.one_in(15) {
            let which = self.dice.below(self.channels.len() as u64) as usize;
            let (host, channel) = self.channels.swap_remove(which);
            assert!(self.world.remove_channel(host, channel));
        }
        if self.weather.is_rough() && self.dice.one_in(10) {
            self.world.network_mut().cut(self.alice, self.bob);
            let after = self.dice.millis(1_000);
            // Requests that arrive meanwhile are not answered.
            while let Some((host, event)) = self.world.next_event_by(at + after) {
                self.account.event(host, event);
            }
            self.world.network_mut().heal(self.alice, self.bob);
        }
    }

    /// Longer than any lookup or retransmission.
    fn settle(&mut self) {
        while let Some((host, event)) = self.world.next_event(Duration::from_secs(30)) {
            self.account.event(host, event);
        }
    }

    /// The end: nothing is left. Gives the trace.
    fn finish(mut self) -> (Trace, Tally) {
        self.settle();
        let hosts = [self.alice, self.bob];
        for host in hosts {
            self.world.shutdown(host);
            self.settle();
        }
        assert_eq!(self.world.next_event_at(), None, "something is left over");
        for host in hosts {
            check_empty(&mut self.world, host);
            self.account.ledger.check_closed(host);
        }
        self.account.check(self.weather);
        self.account.tally.sends = self.account.ledger.sends();
        (self.world.trace().clone(), self.account.tally)
    }
}

fn run<M: Machine>(seed: u64) -> (Trace, Tally) {
    let mut run = Run::<M>::new(seed);
    run.play();
    run.finish()
}

/// Runs seeds and says which one failed.
fn all<M: Machine>(seeds: impl Iterator<Item = u64>) {
    let mut all = Tally::default();
    for seed in seeds {
        let Ok((_, tally)) = std::panic::catch_unwind(|| run::<M>(seed)) else {
            panic!("seed {seed} failed; its trace stands above");
        };
        all.sends += tally.sends;
        all.failed += tally.failed;
        all.failed_over += tally.failed_over;
        all.lost += tally.lost;
        all.broken += tally.broken;
        all.unfinished += tally.unfinished;
        all.stalled += tally.stalled;
    }
    println!("{all:?}");
    // A network on which nothing goes wrong proves nothing.
    let counts = [
        all.failed,
        all.failed_over,
        all.lost,
        all.broken,
        all.unfinished,
        all.stalled,
    ];
    assert!(counts.iter().all(|count| *count > 10), "{all:?}");
}

// conformance: 433
#[test]
fn every_send_ends_once_and_nothing_is_left_over() {
    all::<Transport>(0..seeds());
}

#[test]
fn the_parts_driven_in_any_order_keep_the_same_rules() {
    // Half of the seeds: they only differ in what they do at the same time.
    all::<Split>((0..seeds()).step_by(2));
}

// conformance: 434
#[test]
fn the_same_seed_gives_the_same_trace() {
    let mut different = BTreeSet::new();
    for seed in 0..seeds() / 10 {
        let (first, _) = run::<Transport>(seed);
        let (second, _) = run::<Transport>(seed);
        assert_eq!(first, second, "seed {seed}");
        different.insert(first.digest());
    }
    assert_eq!(
        different.len() as u64,
        seeds() / 10,
        "a seed changes nothing"
    );
}

#[test]
fn a_lost_lookup_ends_its_send() {
    let mut world: World = World::new(1, Instant::now());
    let host = world.add_host("alice", &[A4.parse().unwrap()], Config::default());
    world
        .network_mut()
        .set_name("fails.example", NameAnswer::Fails(ErrorKind::TimedOut));
    for name in ["fails.example", "unknown.example"] {
        let message = request(&mut Dice::new(1), &format!("sip:{name}"), 1);
        world
            .send(host, Outgoing::new(message, SendOptions::new()))
            .unwrap();
        let (_, event) = world.next_event(Duration::from_secs(7)).unwrap();
        assert!(
            matches!(event, Event::SendCompleted { result: Err(_), .. }),
            "{event:?}"
        );
    }
}
