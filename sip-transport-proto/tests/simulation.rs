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
    ChannelConfig, Config, ConnectionId, Deadline, Event, Outgoing, Protocol, SendId, SendOptions,
    Sent, SipEndpoint, Submitted, Transport,
};

use testkit::certificates::Certificates;
use testkit::dice::Dice;
use testkit::split::Split;

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

/// What goes wrong in a run: from its seed.
struct Weather {
    link: Link,
    /// Nothing breaks connections.
    streams_hold: bool,
    /// No datagram is lost or comes twice.
    datagrams_hold: bool,
    /// The hosts are cut off from each other now and then.
    cuts: bool,
    /// Applications close connections and remove channels in the middle of things.
    restless: bool,
}

impl Weather {
    fn of(dice: &mut Dice) -> Self {
        let mut link = Link::default()
            .with_latency(Duration::from_millis(1) + dice.millis(40))
            .with_jitter(dice.millis(30));
        let calm = dice.one_in(4);
        let streams_hold = calm || dice.one_in(2);
        let datagrams_hold = calm || dice.one_in(3);
        if !datagrams_hold {
            link = link
                .with_loss(0.01 * dice.below(20) as f64)
                .with_duplication(0.01 * dice.below(15) as f64)
                .with_mtu(1_400);
        }
        if !streams_hold {
            link = link.with_reset(0.01 * dice.below(6) as f64);
        }
        link = link
            .with_reordering(0.01 * dice.below(30) as f64)
            .with_would_block(0.01 * dice.below(20) as f64);
        if dice.one_in(2) {
            // Seldom byte by byte: it costs time.
            let most = if dice.one_in(10) { 7 } else { 400 };
            link = link.with_write_sizes(1..=most).with_window(600);
        }
        if dice.one_in(2) {
            let most = if dice.one_in(10) { 7 } else { 300 };
            link = link.with_read_sizes(1..=most);
        }
        Self {
            link,
            streams_hold,
            datagrams_hold,
            cuts: !streams_hold && !datagrams_hold,
            restless: !streams_hold && !datagrams_hold && dice.one_in(2),
        }
    }
}

#[derive(Debug)]
enum Fate {
    Waiting,
    Sent,
    Failed,
}

/// What the application of both hosts keeps account of.
#[derive(Debug, Default)]
struct Account {
    sends: BTreeMap<(HostId, SendId), Fate>,
    lost: BTreeSet<(HostId, SendId)>,
    opened: BTreeSet<(HostId, ConnectionId)>,
    closed: BTreeSet<(HostId, ConnectionId)>,
    /// What went out and came in over each direction of each connection, in order.
    written: BTreeMap<(SocketAddr, SocketAddr), Vec<String>>,
    read: BTreeMap<(SocketAddr, SocketAddr), Vec<String>>,
    datagrams_sent: BTreeMap<String, usize>,
    datagrams_come: BTreeMap<String, usize>,
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

/// What tells one message from all others.
fn key(message: &Message) -> String {
    let call = String::from_utf8_lossy(message.raw(Name::CallId).unwrap()).into_owned();
    format!("{} {call}", message.status().map_or(0, StatusCode::code))
}

impl Account {
    fn submitted(&mut self, host: HostId, result: Result<Submitted, SendError>) {
        match result {
            Ok(Submitted::Waiting(send)) => {
                let old = self.sends.insert((host, send), Fate::Waiting);
                assert!(old.is_none(), "an id of a send came twice");
            }
            Ok(Submitted::Sent(sent)) => self.went_out(host, &sent),
            Err(error) => self.went_wrong(host, &error),
        }
    }

    fn went_out(&mut self, host: HostId, sent: &Sent) {
        let old = self.sends.insert((host, sent.id()), Fate::Sent);
        assert!(
            matches!(old, None | Some(Fate::Waiting)),
            "{} ended twice",
            sent.id()
        );
        let key = key(&sent.message().unwrap());
        // Its first address refuses connections.
        let half = sent
            .message()
            .unwrap()
            .request_uri()
            .unwrap_or_default()
            .starts_with(b"sip:half");
        self.tally.failed_over += usize::from(half);
        if sent.local().connection.is_some() {
            let direction = (sent.local().addr, sent.remote().addr);
            self.written.entry(direction).or_default().push(key);
        } else {
            *self.datagrams_sent.entry(key).or_default() += 1;
        }
    }

    fn went_wrong(&mut self, host: HostId, error: &SendError) {
        let old = self.sends.insert((host, error.send()), Fate::Failed);
        assert!(
            matches!(old, None | Some(Fate::Waiting)),
            "{} ended twice",
            error.send()
        );
        assert!(error.message().raw(Name::CallId).is_some(), "it comes back");
        self.tally.failed += 1;
    }

    fn came(&mut self, local: SipEndpoint, remote: SipEndpoint, message: &Message) {
        let key = key(message);
        if local.connection.is_some() {
            let direction = (remote.addr, local.addr);
            self.read.entry(direction).or_default().push(key);
        } else {
            *self.datagrams_come.entry(key).or_default() += 1;
        }
    }

    /// A transport's event; a request is given back, to be answered.
    fn event(&mut self, host: HostId, event: Event) -> Option<Request> {
        match event {
            Event::Request {
                local,
                remote,
                request,
            } => {
                self.came(local, remote, &request);
                return Some(request);
            }
            Event::Response {
                local,
                remote,
                response,
            } => self.came(local, remote, &response),
            // A connection that breaks inside a message is broken; the message is not malformed. One
            // that is closed there to make room ends like any other.
            Event::Malformed { remote, error, .. } => {
                use ParseErrorKind::{BodyShort, Incomplete};
                let cut = matches!(error.kind(), Incomplete | BodyShort { .. });
                assert!(cut && remote.connection.is_some(), "{error}");
            }
            Event::ConnectionOpened { local, .. } => {
                let id = (host, local.connection.unwrap());
                assert!(self.opened.insert(id), "opened twice");
                assert!(!self.closed.contains(&id), "closed, then opened");
            }
            Event::ConnectionClosed {
                connection, reason, ..
            } => {
                self.tally.broken += usize::from(matches!(reason, CloseReason::Io(_)));
                let opened = self.opened.contains(&(host, connection));
                let unfinished = !opened && !matches!(reason, CloseReason::ConnectFailed(_));
                self.tally.unfinished += usize::from(unfinished);
                let stalled = matches!(reason, CloseReason::Deadline(Deadline::Handshake));
                self.tally.stalled += usize::from(stalled);
                assert!(self.closed.insert((host, connection)), "closed twice");
            }
            Event::SendCompleted { send, result } => match result {
                Ok(sent) => {
                    assert_eq!(sent.id(), send);
                    self.went_out(host, &sent);
                }
                Err(error) => {
                    assert_eq!(error.send(), send);
                    self.went_wrong(host, &error);
                }
            },
            Event::SendFailed { send, .. } => {
                let fate = self.sends.get(&(host, send));
                assert!(matches!(fate, Some(Fate::Sent)), "{send}: {fate:?}");
                assert!(self.lost.insert((host, send)), "{send} lost twice");
                self.tally.lost += 1;
            }
            other => panic!("new: {other:?}"),
        }
        None
    }

    fn check(&self, weather: &Weather) {
        for (send, fate) in &self.sends {
            assert!(!matches!(fate, Fate::Waiting), "{send:?} never ended");
        }
        for id in &self.opened {
            assert!(self.closed.contains(id), "{id:?} was not closed");
        }
        for (direction, read) in &self.read {
            let written = self.written.get(direction).map_or(&[][..], Vec::as_slice);
            assert!(
                written.starts_with(read),
                "{direction:?}: {read:?} of {written:?}"
            );
        }
        if weather.streams_hold {
            for (direction, written) in &self.written {
                let read = self.read.get(direction).map_or(0, Vec::len);
                assert_eq!(written.len(), read, "{direction:?}");
            }
            assert!(self.lost.is_empty() || !weather.datagrams_hold);
        }
        for (key, come) in &self.datagrams_come {
            let sent = self.datagrams_sent.get(key).copied().unwrap_or(0);
            assert!(sent > 0, "{key} came from nowhere");
            assert!(*come <= 2 * sent);
        }
        if weather.datagrams_hold {
            assert_eq!(self.datagrams_sent, self.datagrams_come);
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

/// A world that tells what happened in it if the test fails.
struct Told<M: Machine>(World<M>);

impl<M: Machine> Drop for Told<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.0.trace());
        }
    }
}

/// One run. Gives its trace.
fn run<M: Machine>(seed: u64) -> (Trace, Tally) {
    let mut dice = Dice::new(seed);
    let weather = Weather::of(&mut dice);
    let mut told = Told(World::<M>::new(seed, Instant::now()));
    let world = &mut told.0;
    world.network_mut().set_default_link(weather.link.clone());
    let ips = |texts: [&str; 2]| texts.map(ip);
    let mut config = Config::default();
    if weather.restless {
        config.max_connections(2 + dice.below(3) as usize).unwrap();
        config
            .send_queue(2_000 + dice.below(8_000) as usize)
            .unwrap();
        config
            .total_send_queue(4_000 + dice.below(16_000) as usize)
            .unwrap();
    }
    let mutual = dice.one_in(2);
    let tls = [
        tls(&[A4, A6, "alice.example"], mutual),
        tls(&[B4, B6, "bob.example", "half.example"], mutual),
    ];
    let with = |tls: &TlsConfig| config.clone().tls(tls.clone()).clone();
    let alice = world.add_host("alice", &ips([A4, A6]), with(&tls[0]));
    let bob = world.add_host("bob", &ips([B4, B6]), with(&tls[1]));
    let quiet = world.network_mut().add_host("quiet", &[ip(QUIET)]);
    let network = world.network_mut();
    network.set_link(alice, quiet, Link::default());
    // It accepts, and that is all.
    for protocol in [Protocol::Tls, Protocol::Wss] {
        let local = SocketAddr::new(ip(QUIET), protocol.default_port());
        network.listen(quiet, local).unwrap();
    }
    network.set_name("bob.example", NameAnswer::Addresses(ips([B4, B6]).to_vec()));
    network.set_name(
        "alice.example",
        NameAnswer::Addresses(ips([A6, A4]).to_vec()),
    );
    network.set_name(
        "half.example",
        NameAnswer::Addresses(ips([QUIET, B4]).to_vec()),
    );
    network.set_name("silent.example", NameAnswer::Never);
    let mut channels = Vec::new();
    for (host, addresses, tls) in [(alice, [A4, A6], &tls[0]), (bob, [B4, B6], &tls[1])] {
        for ip in ips(addresses) {
            for protocol in Protocol::ALL {
                // Half of them wildcards: the others must know their address by themselves.
                let ip = match (dice.one_in(2), ip) {
                    (false, ip) => ip,
                    (true, IpAddr::V4(_)) => "0.0.0.0".parse().unwrap(),
                    (true, IpAddr::V6(_)) => "::".parse().unwrap(),
                };
                let local = SocketAddr::new(ip, protocol.default_port());
                let config = ChannelConfig::new(protocol, local).tls(tls.clone());
                channels.push((host, world.add_channel(host, config).unwrap()));
            }
        }
    }

    let start = world.network().now();
    // What the script still does, by time.
    let mut plan: BTreeMap<(Instant, usize), Step> = (0..REQUESTS + STRANGERS)
        .map(|number| {
            let host = if dice.one_in(2) { alice } else { bob };
            let step = match number {
                0..REQUESTS => Step::Request(host),
                _ => Step::Connect(host),
            };
            ((start + dice.millis(5_000), number), step)
        })
        .collect();
    let mut account = Account::default();
    let mut next = plan.len();
    while let Some((&(at, number), _)) = plan.first_key_value() {
        if let Some((host, event)) = world.next_event_by(at) {
            if weather.restless
                && let Event::Request { local, .. } = &event
                && let Some(connection) = local.connection
                && dice.one_in(4)
            {
                world.close(host, connection);
            }
            if let Some(request) = account.event(host, event) {
                let after = world.network().now() + dice.millis(3_000);
                plan.insert((after, next), Step::Answer(host, Box::new(request)));
                next += 1;
            }
            continue;
        }
        let (_, step) = plan.pop_first().unwrap();
        let later = at + dice.millis(2_000);
        let (host, message) = match step {
            Step::Answer(..) if dice.one_in(5) => continue,
            Step::Answer(host, request) => {
                let builder = ResponseBuilder::new(&request, StatusCode::OK);
                let response = builder
                    .random_tag(|bytes| dice.fill(bytes))
                    .build()
                    .unwrap();
                (host, response.into_message())
            }
            Step::Request(host) => {
                let uri = destination(&mut dice, host == alice);
                (host, request(&mut dice, &uri, number).into_message())
            }
            Step::Connect(host) => {
                let protocol = stream(&mut dice);
                let to = if host == alice { A4 } else { B4 };
                let to = SocketAddr::new(ip(to), protocol.default_port());
                let socket = world.network_mut().connect(quiet, None, to).unwrap();
                plan.insert((later, next), Step::Open(socket, protocol));
                next += 1;
                continue;
            }
            Step::Open(socket, protocol) => {
                let opening = opening(&mut dice, protocol);
                // The connection may be refused, or not be open yet.
                let _said = world.network_mut().write(socket, &opening);
                if dice.one_in(2) {
                    plan.insert((later, next), Step::Break(socket));
                    next += 1;
                }
                continue;
            }
            Step::Break(socket) => {
                let network = world.network_mut();
                if dice.one_in(2) {
                    network.reset(socket);
                }
                network.close(socket);
                continue;
            }
        };
        let result = world.send(host, Outgoing::new(message, SendOptions::new()));
        account.submitted(host, result);
        if weather.restless && dice.one_in(15) {
            let which = dice.below(channels.len() as u64) as usize;
            let (host, channel) = channels.swap_remove(which);
            assert!(world.remove_channel(host, channel));
        }
        if weather.cuts && dice.one_in(10) {
            world.network_mut().cut(alice, bob);
            let after = dice.millis(1_000);
            drop(
                world
                    .next_event_by(world.network().now())
                    .map(|(host, event)| account.event(host, event)),
            );
            while let Some((host, event)) = world.next_event_by(at + after) {
                account.event(host, event);
            }
            world.network_mut().heal(alice, bob);
        }
    }
    // Longer than any lookup or retransmission.
    while let Some((host, event)) = world.next_event(Duration::from_secs(30)) {
        account.event(host, event);
    }
    for host in [alice, bob] {
        world.shutdown(host);
        while let Some((host, event)) = world.next_event(Duration::from_secs(30)) {
            account.event(host, event);
        }
    }
    for host in [alice, bob] {
        let router = world.machine(host).router();
        assert_eq!(router.load(), (0, 0), "connections and waiting sends");
        assert_eq!(router.queued_bytes(), 0);
        let left: Vec<_> = router.stats().gauges().filter(|(_, n)| *n > 0).collect();
        assert_eq!(left, [], "counted as still there");
    }
    assert_eq!(world.next_event_at(), None, "something is left over");
    for host in [alice, bob] {
        // Those made on demand too.
        let channels = world.machine(host).router().channels();
        for id in channels.map(|(id, _)| id).collect::<Vec<_>>() {
            assert!(world.remove_channel(host, id));
        }
        assert_eq!(world.network().open_sockets(host), 0);
    }
    account.check(&weather);
    account.tally.sends = account.sends.len();
    (world.trace().clone(), account.tally)
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
