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

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sip_transport_proto::error::{AttemptCause, CloseReason, SendError};
use sip_transport_proto::sim::{HostId, Link, Machine, NameAnswer, World};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::sip_core::build::RequestBuilder;
use sip_transport_proto::{
    ChannelConfig, Config, Event, Outgoing, Protocol, SendId, SendOptions, Sent, Submitted,
    Transport,
};
use testkit::certificates::Certificates;
use testkit::dice::Dice;
use testkit::ledger::{Ledger, Traffic, check_empty};
use testkit::split::Split;

const FEWER: u64 = 300;
const REQUESTS: usize = 6;
const NAME: &str = "bob.example";
const ADDRESSES: [&str; 4] = [
    "2001:db8:1::7",
    "198.51.100.7",
    "2001:db8:1::8",
    "198.51.100.8",
];
/// The most that a message takes one way, in ms.
const LATENCY: u64 = 400;
/// An address that is there has connected by then, with TLS and WebSocket: the delay of each before
/// it, and five round trips.
const SOON: Duration = Duration::from_millis(3 * 250 + 5 * 800);

static CERTIFICATES: LazyLock<Certificates> =
    LazyLock::new(|| Certificates::new().at(1_750_000_000));

/// What happened in a run.
#[derive(Debug, Default)]
struct Account {
    ledger: Ledger<HostId>,
    traffic: Traffic,
    begun: BTreeMap<SendId, Instant>,
    sent: usize,
    failed: usize,
    overtaken: usize,
    slowest: Duration,
}

impl Account {
    fn sent(&mut self, now: Instant, sent: &Sent) {
        self.ended(now, sent.id());
        self.sent += 1;
        self.traffic.sent(sent);
        let overtaken = AttemptCause::Closed(CloseReason::Overtaken);
        let lost = sent.tried().iter().filter(|a| a.cause == overtaken);
        self.overtaken += lost.count();
    }

    fn failed(&mut self, now: Instant, send: SendId) {
        self.ended(now, send);
        self.failed += 1;
    }

    fn ended(&mut self, now: Instant, send: SendId) {
        let took = now - self.begun[&send];
        self.slowest = self.slowest.max(took);
    }

    fn submitted(&mut self, now: Instant, host: HostId, result: &Result<Submitted, SendError>) {
        self.ledger.submitted(host, result);
        match result {
            Ok(Submitted::Waiting(send)) => drop(self.begun.insert(*send, now)),
            Ok(Submitted::Sent(sent)) => {
                self.begun.insert(sent.id(), now);
                self.sent(now, sent);
            }
            Err(error) => {
                self.begun.insert(error.send(), now);
                self.failed(now, error.send());
            }
        }
    }

    fn event(&mut self, now: Instant, host: HostId, event: &Event) {
        self.ledger.event(host, event);
        match event {
            Event::SendCompleted { send, result } => match result {
                Ok(sent) => self.sent(now, sent),
                Err(_) => self.failed(now, *send),
            },
            Event::Request {
                local,
                remote,
                request,
            } => self.traffic.arrived(*local, *remote, request),
            _ => {}
        }
    }
}

/// A client, and a server at whose addresses this or that goes wrong.
struct Run<M: Machine> {
    seed: u64,
    world: World<M>,
    dice: Dice,
    alice: HostId,
    protocol: Protocol,
    /// Connections break.
    restless: bool,
    /// Few connections may be.
    few: bool,
    /// The server listens at one address at least.
    is_there: bool,
    account: Account,
}

/// A run says which it was if it fails.
impl<M: Machine> Drop for Run<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}: {:?}", self.seed, self.account);
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl<M: Machine> Run<M> {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut world = World::<M>::new(seed, Instant::now());
        let protocol = *dice.pick(&[Protocol::Tcp, Protocol::Tls, Protocol::Ws, Protocol::Wss]);
        let (restless, few) = (dice.one_in(3), dice.one_in(4));
        let mut config = Config::default();
        config.tls(CERTIFICATES.client());
        if few {
            config.max_connections(2 + dice.below(3) as usize).unwrap();
        }
        let ips = ["192.0.2.1", "2001:db8::1"].map(ip);
        let mut run = Self {
            seed,
            alice: world.add_host("alice", &ips, config),
            world,
            dice,
            protocol,
            restless,
            few,
            is_there: false,
            account: Account::default(),
        };
        for address in ADDRESSES {
            run.add_address(address);
        }
        let answer = NameAnswer::Addresses(ADDRESSES.map(ip).to_vec());
        run.world.network_mut().set_name(NAME, answer);
        run
    }

    fn add_address(&mut self, address: &str) {
        let kind = self.dice.below(4);
        if kind == 0 {
            // Nobody has it: a connection never ends.
            return;
        }
        let mut config = Config::default();
        config.tls(CERTIFICATES.both(&[NAME]));
        let server = self.world.add_host(address, &[ip(address)], config);
        let mut link = Link::default().with_latency(self.dice.millis(LATENCY));
        if self.restless {
            link = link.with_reset(self.dice.percent(10));
        }
        self.world.network_mut().set_link(self.alice, server, link);
        if kind > 1 {
            let channel = ChannelConfig::new(self.protocol, SocketAddr::new(ip(address), 5070));
            let channel = channel.tls(CERTIFICATES.both(&[NAME]));
            self.world.add_channel(server, channel).unwrap();
            self.is_there = true;
        }
    }

    /// Sends the requests, now and then.
    fn play(&mut self) {
        let uri = format!("sip:{NAME}:5070;transport={}", self.protocol);
        for number in 0..REQUESTS {
            let by = self.world.network().now() + self.dice.millis(700);
            while let Some((host, event)) = self.world.next_event_by(by) {
                self.event(host, &event);
            }
            if self.restless && self.dice.one_in(3) {
                let router = self.world.machine(self.alice).router();
                let first = router.connections().next().map(|info| info.id);
                if let Some(id) = first {
                    self.world.close(self.alice, id);
                }
            }
            let call = format!("call-{number}");
            let request = RequestBuilder::new(Method::Options, &uri).call_id(&call);
            let request = request.build(|bytes| self.dice.fill(bytes)).unwrap();
            let now = self.world.network().now();
            let outgoing = Outgoing::new(request, SendOptions::new());
            let result = self.world.send(self.alice, outgoing);
            self.account.submitted(now, self.alice, &result);
        }
        self.settle();
    }

    fn event(&mut self, host: HostId, event: &Event) {
        let now = self.world.network().now();
        self.account.event(now, host, event);
    }

    fn settle(&mut self) {
        while let Some((host, event)) = self.world.next_event(Duration::from_secs(60)) {
            self.event(host, &event);
        }
    }

    fn check(&self) {
        let account = &self.account;
        account.ledger.check_ended();
        assert_eq!(account.sent + account.failed, REQUESTS);
        // Each was sent once: in order over its connection, it arrived once and nowhere else.
        account.traffic.check_order();
        if self.is_there && !self.restless {
            assert_eq!(account.failed, 0);
            assert_eq!(account.traffic.missing(|_| true), None);
            // Where few connections may be, one may have to fail for the next.
            assert!(self.few || account.slowest < SOON);
        }
    }

    /// The end: nothing stays. Gives the trace.
    fn finish(mut self) -> (String, Account) {
        self.world.shutdown(self.alice);
        self.settle();
        assert!(self.world.is_idle(self.alice));
        assert_eq!(self.world.network().open_sockets(self.alice), 0);
        check_empty(&mut self.world, self.alice);
        self.account.ledger.check_closed(self.alice);
        let account = std::mem::take(&mut self.account);
        (self.world.trace().to_string(), account)
    }
}

fn run<M: Machine>(seed: u64) -> (String, Account) {
    let mut run = Run::<M>::new(seed);
    run.play();
    run.check();
    run.finish()
}

fn runs<M: Machine>() {
    let seeds = std::env::var("SEEDS").map_or(FEWER, |seeds| seeds.parse().unwrap());
    let (mut overtaken, mut sent, mut failed) = (0, 0, 0);
    for seed in 0..seeds {
        let (trace, account) = run::<M>(seed);
        overtaken += account.overtaken;
        sent += account.sent;
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
