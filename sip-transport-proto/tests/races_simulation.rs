//! A server with several addresses of both families, some of which are slow, silent or refuse:
//! whatever wins, each request arrives once, and soon.
//!
//! `SEEDS=1000` runs so many; else there are fewer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sip_transport_proto::error::{AttemptCause, CloseReason};
use sip_transport_proto::sim::{Link, Machine, NameAnswer, World};
use sip_transport_proto::sip_core::build::RequestBuilder;
use sip_transport_proto::sip_core::{Message, Method, Name};
use sip_transport_proto::{
    ChannelConfig, Config, ConnectionId, Event, Outgoing, Protocol, SendId, SendOptions, Sent,
    Submitted, Tokens, Transport,
};
use testkit::certificates::Certificates;
use testkit::split::Split;

const FEWER: u64 = 300;
const REQUESTS: u64 = 6;
const NAME: &str = "bob.example";
const ADDRESSES: [&str; 4] = [
    "2001:db8:1::7",
    "198.51.100.7",
    "2001:db8:1::8",
    "198.51.100.8",
];
/// The most that a message takes one way.
const LATENCY: Duration = Duration::from_millis(400);
/// An address that is there has connected by then, with TLS and WebSocket: the delay of each before
/// it, and five round trips.
const SOON: Duration = Duration::from_millis(3 * 250 + 5 * 800);

static CERTIFICATES: LazyLock<Certificates> =
    LazyLock::new(|| Certificates::new().at(1_750_000_000));

struct Dice(Tokens);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % n
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(most.as_millis() as u64 + 1))
    }
}

/// What happened in a run.
#[derive(Debug, Default)]
struct Account {
    begun: BTreeMap<SendId, Instant>,
    ended: BTreeSet<SendId>,
    failed: usize,
    /// Where each request was sent, and where it came.
    sent: BTreeMap<String, SocketAddr>,
    came: BTreeMap<String, SocketAddr>,
    tried: BTreeSet<ConnectionId>,
    overtaken: usize,
    slowest: Duration,
}

fn call(message: &Message) -> String {
    String::from_utf8(message.raw(Name::CallId).unwrap().to_vec()).unwrap()
}

impl Account {
    fn sent(&mut self, now: Instant, sent: &Sent) {
        self.ended(now, sent.id());
        let call = call(&sent.message().unwrap());
        self.sent.insert(call, sent.remote().addr);
        let overtaken = AttemptCause::Closed(CloseReason::Overtaken);
        let lost = sent.tried().iter().filter(|a| a.cause == overtaken);
        self.overtaken += lost.count();
    }

    fn ended(&mut self, now: Instant, send: SendId) {
        assert!(self.ended.insert(send), "{send} ended twice");
        let took = now - self.begun[&send];
        self.slowest = self.slowest.max(took);
    }

    fn event(&mut self, now: Instant, at_alice: bool, event: Event) {
        match event {
            Event::SendCompleted {
                result: Ok(sent), ..
            } => self.sent(now, &sent),
            Event::SendCompleted {
                send,
                result: Err(_),
            } => {
                self.ended(now, send);
                self.failed += 1;
            }
            Event::Request { local, request, .. } => {
                let old = self.came.insert(call(&request), local.addr);
                assert_eq!(old, None, "it came twice");
            }
            Event::ConnectionClosed { connection, .. } if at_alice => {
                assert!(self.tried.insert(connection), "closed twice");
            }
            _ => {}
        }
    }
}

fn run<M: Machine>(seed: u64) -> (String, Account) {
    let mut bytes = [0xe1; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let mut dice = Dice(Tokens::new(bytes));
    let mut world = World::<M>::new(seed, Instant::now());
    let protocol = [Protocol::Tcp, Protocol::Tls, Protocol::Ws, Protocol::Wss]
        [usize::try_from(dice.below(4)).unwrap()];
    let (restless, few) = (dice.below(3) == 0, dice.below(4) == 0);
    let mut config = Config::default();
    config.tls(CERTIFICATES.client());
    if few {
        config.max_connections(2 + dice.below(3) as usize).unwrap();
    }
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let ips = ["192.0.2.1", "2001:db8::1"].map(ip);
    let alice = world.add_host("alice", &ips, config);
    let mut is_there = false;
    for address in ADDRESSES {
        let kind = dice.below(4);
        if kind == 0 {
            // Nobody has it: a connection never ends.
            continue;
        }
        let mut config = Config::default();
        config.tls(CERTIFICATES.both(&[NAME]));
        let server = world.add_host(address, &[ip(address)], config);
        let mut link = Link::default().with_latency(dice.up_to(LATENCY));
        if restless {
            link = link.with_reset(0.01 * dice.below(10) as f64);
        }
        world.network_mut().set_link(alice, server, link);
        if kind > 1 {
            let channel = ChannelConfig::new(protocol, SocketAddr::new(ip(address), 5070));
            let channel = channel.tls(CERTIFICATES.both(&[NAME]));
            world.add_channel(server, channel).unwrap();
            is_there = true;
        }
    }
    let answer = NameAnswer::Addresses(ADDRESSES.map(ip).to_vec());
    world.network_mut().set_name(NAME, answer);

    let mut account = Account::default();
    let uri = format!("sip:{NAME}:5070;transport={protocol}");
    for number in 0..REQUESTS {
        let by = world.network().now() + dice.up_to(Duration::from_millis(700));
        while let Some((host, event)) = world.next_event_by(by) {
            let now = world.network().now();
            account.event(now, host == alice, event);
        }
        if restless && dice.below(3) == 0 {
            let open = world.machine(alice).router().connections();
            let ids: Vec<_> = open.map(|info| info.id).collect();
            if let Some(id) = ids.first() {
                world.close(alice, *id);
            }
        }
        let call = format!("call-{number}");
        let request = RequestBuilder::new(Method::Options, &uri).call_id(&call);
        let request = request.build(|bytes| dice.0.fill(bytes)).unwrap();
        let now = world.network().now();
        match world.send(alice, Outgoing::new(request, SendOptions::new())) {
            Ok(Submitted::Waiting(send)) => {
                account.begun.insert(send, now);
            }
            Ok(Submitted::Sent(sent)) => {
                account.begun.insert(sent.id(), now);
                account.sent(now, &sent);
            }
            Err(error) => {
                account.begun.insert(error.send(), now);
                account.ended(now, error.send());
                account.failed += 1;
            }
        }
    }
    while let Some((host, event)) = world.next_event(Duration::from_secs(60)) {
        let now = world.network().now();
        account.event(now, host == alice, event);
    }

    assert_eq!(account.ended.len() as u64, REQUESTS, "seed {seed}");
    for (call, at) in &account.came {
        assert_eq!(account.sent.get(call), Some(at), "seed {seed}: {call}");
    }
    if is_there && !restless {
        assert_eq!(account.failed, 0, "seed {seed}");
        assert_eq!(account.sent, account.came, "seed {seed}");
        // Where few connections may be, one may have to fail for the next.
        assert!(few || account.slowest < SOON, "seed {seed}: {account:?}");
    }
    // Nothing stays.
    world.shutdown(alice);
    while let Some((host, event)) = world.next_event(Duration::from_secs(60)) {
        let now = world.network().now();
        account.event(now, host == alice, event);
    }
    let held = world.machine(alice).router().held();
    assert_eq!((held.connections, held.waiting, held.races), (0, 0, 0));
    assert_eq!(world.network().open_sockets(alice), 0, "seed {seed}");
    assert!(world.is_idle(alice));
    (world.trace().to_string(), account)
}

fn runs<M: Machine>() {
    let seeds = std::env::var("SEEDS").map_or(FEWER, |seeds| seeds.parse().unwrap());
    let (mut overtaken, mut sent, mut failed) = (0, 0, 0);
    for seed in 0..seeds {
        let (trace, account) = run::<M>(seed);
        overtaken += account.overtaken;
        sent += account.sent.len();
        failed += account.failed;
        if seed % 10 == 0 {
            assert_eq!(run::<M>(seed).0, trace, "seed {seed} did something else");
        }
    }
    println!("{sent} sent, {failed} failed, {overtaken} overtaken");
    // Or the weather is too good for this to show anything.
    assert!(overtaken as u64 > seeds / 10 && failed as u64 > seeds / 10);
}

// conformance: 331, 332
#[test]
fn whatever_wins_a_request_goes_out_once_and_soon() {
    runs::<Transport>();
}

// conformance: 331, 332
#[test]
fn it_does_so_whatever_happens_between_two_steps() {
    runs::<Split>();
}
