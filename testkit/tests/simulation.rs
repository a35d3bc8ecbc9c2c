//! Two transports of adapter-core in memory, all protocols, a bad network, many seeds: what must
//! hold at the end of every run.
//!
//! `SEEDS=1000` runs so many; else there are fewer. `SEED=7` runs only that one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::future::{Future as _, IntoFuture as _, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::Poll;
use std::time::Duration;

use adapter_core::Incoming;
use adapter_core::runtime::Runtime as _;
use adapter_core::sip_transport_proto::sim::NameAnswer;
use adapter_core::sip_transport_proto::sip_core::build::{RequestBuilder, ResponseBuilder};
use adapter_core::sip_transport_proto::sip_core::{Method, Request, StatusCode};
use adapter_core::sip_transport_proto::tls::TlsConfig;
use adapter_core::sip_transport_proto::{ChannelConfig, Config, Event, Protocol, Sent};
use futures_channel::oneshot;
use testkit::certificates::Certificates;
use testkit::dice::Dice;
use testkit::ledger::{Ledger, Traffic, key};
use testkit::memory::{MemoryRuntime, Simulation};
use testkit::weather::Weather;

type SipTransport = adapter_core::SipTransport<MemoryRuntime>;

const FEWER: u64 = 300;
/// How many requests one side sends in a run.
const REQUESTS: u64 = 10;
/// More virtual time than any run needs, and less than any deadline that could hide a lost
/// wake-up by making everything start again.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long sockets are few, where they are.
const SHORTAGE: Duration = Duration::from_secs(1);

/// Where each host is.
const HOSTS: [(&str, &str, &str); 2] = [
    ("alice", "192.0.2.1", "2001:db8::1"),
    ("bob", "192.0.2.2", "2001:db8::2"),
];

const STREAMS: [Protocol; 4] = [Protocol::Tcp, Protocol::Tls, Protocol::Ws, Protocol::Wss];

static CERTIFICATES: LazyLock<Certificates> =
    LazyLock::new(|| Certificates::new().at(1_750_000_000));

fn seeds() -> u64 {
    std::env::var("SEEDS").map_or(FEWER, |seeds| seeds.parse().unwrap())
}

/// What goes wrong in a run.
struct Trouble {
    weather: Weather,
    datagrams_block: f64,
    few_sockets: bool,
    small_queue: bool,
    /// Connections are closed and channels removed and added again.
    restless: bool,
}

impl Trouble {
    fn new(dice: &mut Dice) -> Self {
        let restless = dice.one_in(4);
        Self {
            weather: Weather {
                streams_hold: !restless && dice.one_in(2),
                datagrams_hold: !restless && dice.one_in(3),
            },
            datagrams_block: dice.percent(30),
            few_sockets: dice.one_in(4),
            small_queue: dice.one_in(3),
            restless,
        }
    }
}

/// What both applications keep account of.
#[derive(Default)]
struct Account {
    /// Sends have the names of their messages until they have ended.
    ledger: Ledger<usize, String>,
    traffic: Traffic,
    failed: usize,
}

type Shared = Arc<Mutex<Account>>;

impl Account {
    fn ended(&mut self, host: usize, key: String, result: Result<Sent, impl Sized>) {
        self.ledger.ended(host, key, result.is_ok());
        match result {
            Ok(sent) => self.traffic.sent(&sent),
            Err(_) => self.failed += 1,
        }
    }

    /// A message that must have come and has not.
    fn missing(&self, trouble: &Trouble, dropped: u64) -> Option<String> {
        let broken: BTreeSet<_> = self.ledger.closed_ways().collect();
        let over = self.traffic.missing(|way| !broken.contains(&way));
        let due = trouble.weather.datagrams_hold && dropped == 0;
        let datagram = self.traffic.missing_datagram().filter(|_| due);
        over.map(|missing| format!("{missing:?}"))
            .or_else(|| datagram.map(str::to_owned))
    }
}

/// Receives, and answers requests within the loop.
async fn application(
    host: usize,
    runtime: MemoryRuntime,
    transport: SipTransport,
    mut incoming: Incoming,
    account: Shared,
    mut dice: Dice,
    mut stop: oneshot::Receiver<()>,
) {
    loop {
        let event = poll_fn(|cx| {
            if Pin::new(&mut stop).poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            incoming.poll_recv(cx)
        });
        let Some(event) = event.await else {
            return;
        };
        runtime.note(format_args!("{}: {}", HOSTS[host].0, summary(&event)));
        account.lock().unwrap().ledger.connection(host, &event);
        match event {
            Event::Request {
                local,
                remote,
                request,
            } => {
                account
                    .lock()
                    .unwrap()
                    .traffic
                    .arrived(local, remote, &request);
                if dice.one_in(4) {
                    let time = dice.millis(20);
                    runtime.sleep(time).await;
                }
                answer(host, &transport, &account, &request).await;
            }
            Event::Response {
                local,
                remote,
                response,
            } => account
                .lock()
                .unwrap()
                .traffic
                .arrived(local, remote, &response),
            Event::Malformed { error, .. } => panic!("malformed: {error}"),
            _ => {}
        }
    }
}

fn summary(event: &Event) -> String {
    match event {
        Event::Request {
            local,
            remote,
            request,
        } => format!("{local}<-{remote} {}", key(request)),
        Event::Response {
            local,
            remote,
            response,
        } => format!("{local}<-{remote} {}", key(response)),
        other => format!("{other:?}"),
    }
}

async fn answer(host: usize, transport: &SipTransport, account: &Shared, request: &Request) {
    let response = ResponseBuilder::new(request, StatusCode::OK)
        .to_tag("there")
        .build()
        .unwrap();
    let key = key(&response);
    // A duplicated request is answered twice.
    let first = !account.lock().unwrap().ledger.was_sent(host, key.clone());
    if first {
        account.lock().unwrap().ledger.begun(host, key.clone());
    }
    let result = transport.send_response(response).await;
    if first {
        account.lock().unwrap().ended(host, key, result);
    }
}

/// Sends requests now and then, the other host's way.
async fn caller(
    host: usize,
    runtime: MemoryRuntime,
    transport: SipTransport,
    account: Shared,
    mut dice: Dice,
) {
    let (name, v4, v6) = HOSTS[1 - host];
    for number in 0..REQUESTS {
        let protocol = match dice.one_in(3) {
            true => Protocol::Udp,
            false => *dice.pick(&STREAMS),
        };
        let place = match dice.below(5) {
            0 | 1 => v4.to_owned(),
            2 | 3 => format!("[{v6}]"),
            _ => format!("{name}.example:{}", protocol.default_port()),
        };
        let uri = format!("sip:{place};transport={}", protocol.via_token());
        let call_id = format!("{number:02}-{name}");
        let body = vec![b'x'; usize::try_from(dice.below(2_000)).unwrap()];
        let request = RequestBuilder::new(Method::Message, &uri)
            .call_id(&call_id)
            .body("text/plain", &body)
            .build(|random| random.fill(5))
            .unwrap();
        let key = key(&request);
        account.lock().unwrap().ledger.begun(host, key.clone());
        let sending = transport.send_request(request).into_future();
        let account = Arc::clone(&account);
        runtime.spawn(Box::pin(async move {
            let result = sending.await;
            account.lock().unwrap().ended(host, key, result);
        }));
        let pause = dice.millis(40);
        if !dice.one_in(3) {
            runtime.sleep(pause).await;
        }
    }
}

async fn start(
    runtime: &MemoryRuntime,
    host: usize,
    trouble: &Trouble,
    tls: &TlsConfig,
) -> (SipTransport, Incoming) {
    let (_, v4, v6) = HOSTS[host];
    let messages = if trouble.small_queue { 2 } else { 1_024 };
    let mut builder = SipTransport::builder();
    for ip in [v4, v6] {
        for protocol in Protocol::ALL {
            let local = SocketAddr::new(ip.parse().unwrap(), protocol.default_port());
            builder = builder.channel(ChannelConfig::new(protocol, local).tls(tls.clone()));
        }
    }
    builder
        .config(Config::default().tls(tls.clone()).clone())
        .application_queue(messages, 1 << 20)
        .worker_runtimes([runtime.clone()])
        .bind()
        .await
        .unwrap()
}

/// One run; the digest of its trace.
fn run(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let trouble = Trouble::new(&mut dice);
    let simulation = Simulation::new(seed);
    simulation.set_default_link(trouble.weather.link(&mut dice));
    simulation.set_datagram_would_block(trouble.datagrams_block);
    let runtimes = HOSTS.map(|(name, v4, v6)| {
        let ips = [v4.parse().unwrap(), v6.parse().unwrap()];
        simulation.network(|network| {
            network.set_name(
                &format!("{name}.example"),
                NameAnswer::Addresses(ips.to_vec()),
            );
        });
        simulation.add_host(name, &ips)
    });
    if trouble.few_sockets {
        // Ten sockets of the channels and one or two connections; the rest gets EMFILE.
        limit_sockets(
            &simulation,
            &runtimes,
            11 + usize::from(seed.is_multiple_of(2)),
        );
    }
    runtimes[0].block_on(script(&simulation, &runtimes, &trouble, &mut dice));
    assert_eq!(simulation.tasks(), 0, "tasks are left");
    simulation.network(|network| {
        for runtime in &runtimes {
            assert_eq!(network.open_sockets(runtime.host()), 0, "sockets are left");
        }
        network.trace().digest()
    })
}

/// Closes connections, and removes channels and adds them again.
async fn meddler(runtime: MemoryRuntime, transport: SipTransport, tls: TlsConfig, mut dice: Dice) {
    for _ in 0..8 {
        let pause = dice.millis(80);
        runtime.sleep(pause).await;
        let (connections, channels) = (transport.connections(), transport.local_endpoints());
        if dice.one_in(2) && !connections.is_empty() {
            let choice = dice.below(connections.len() as u64);
            transport.close(connections[usize::try_from(choice).unwrap()].id);
        } else {
            let choice = dice.below(channels.len() as u64);
            let gone = channels[usize::try_from(choice).unwrap()];
            transport
                .remove_channel(gone.channel.unwrap())
                .await
                .unwrap();
            let back = ChannelConfig::new(gone.protocol, gone.addr).tls(tls.clone());
            // Its socket closes when its task next runs.
            while transport.add_channel(back.clone()).await.is_err() {
                runtime.sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

fn limit_sockets(simulation: &Simulation, runtimes: &[MemoryRuntime; 2], limit: usize) {
    simulation.network(|network| {
        for runtime in runtimes {
            network.set_socket_limit(runtime.host(), limit);
        }
    });
}

async fn script(
    simulation: &Simulation,
    runtimes: &[MemoryRuntime; 2],
    trouble: &Trouble,
    dice: &mut Dice,
) {
    let account = Shared::default();
    // Of this run alone: it knows no session of another.
    let mutual = dice.one_in(2);
    let tls = HOSTS.map(|(name, v4, v6)| {
        let names = [v4, v6, &format!("{name}.example")];
        match mutual {
            true => CERTIFICATES.mutual(&names),
            false => CERTIFICATES.both(&names),
        }
    });
    let (alice, alice_incoming) = start(&runtimes[0], 0, trouble, &tls[0]).await;
    let (bob, bob_incoming) = start(&runtimes[1], 1, trouble, &tls[1]).await;
    let transports = [alice, bob];
    let mut stops = Vec::new();
    for (host, incoming) in [alice_incoming, bob_incoming].into_iter().enumerate() {
        let (stop, stopped) = oneshot::channel();
        stops.push(stop);
        let (runtime, transport) = (runtimes[host].clone(), transports[host].clone());
        let dice = Dice::new(dice.below(u64::MAX));
        runtimes[host].spawn(Box::pin(application(
            host,
            runtime,
            transport,
            incoming,
            Arc::clone(&account),
            dice,
            stopped,
        )));
    }
    for host in 0..2 {
        let (runtime, transport) = (runtimes[host].clone(), transports[host].clone());
        let (account, mut dice) = (Arc::clone(&account), Dice::new(dice.below(u64::MAX)));
        let seed = dice.below(u64::MAX);
        runtimes[host].spawn(Box::pin(caller(host, runtime, transport, account, dice)));
        if trouble.restless {
            let (runtime, transport) = (runtimes[host].clone(), transports[host].clone());
            runtimes[host].spawn(Box::pin(meddler(
                runtime,
                transport,
                tls[host].clone(),
                Dice::new(seed),
            )));
        }
    }

    let until = runtimes[0].now() + PATIENCE;
    runtimes[0].sleep(SHORTAGE).await;
    limit_sockets(simulation, runtimes, usize::MAX);
    loop {
        runtimes[0].sleep(Duration::from_millis(100)).await;
        let stats = transports.each_ref().map(SipTransport::stats);
        let dropped = stats.iter().map(|stats| stats.application_queue_full).sum();
        let account = account.lock().unwrap();
        let waiting: Vec<_> = account.ledger.waiting().collect();
        let missing = account.missing(trouble, dropped);
        // Two tasks of each side are ours; those of a send have ended when it has.
        let all = account.ledger.sends() as u64 >= 2 * REQUESTS && waiting.is_empty();
        if all && missing.is_none() {
            break;
        }
        assert!(
            runtimes[0].now() < until,
            "stuck: {waiting:?} wait, {missing:?} is missing\n{}",
            last_lines(simulation),
        );
    }
    check(&account.lock().unwrap(), trouble);

    // One side ends politely, the other is dropped.
    let [alice, bob] = transports;
    alice.shutdown().await;
    assert_eq!((alice.tasks(), alice.queued_bytes()), (0, 0));
    // Though `alice` still lives.
    let open = simulation.network(|network| network.open_sockets(runtimes[0].host()));
    assert_eq!(
        open, 0,
        "sockets are left open by a transport that has ended"
    );
    // What it told of last is still received.
    runtimes[0].sleep(Duration::from_millis(100)).await;
    account.lock().unwrap().ledger.check_closed(0);
    // Its last handles go, and nobody asks it to end; 2 s is what a close may take.
    drop((bob, stops));
    runtimes[0].sleep(Duration::from_secs(3)).await;
}

/// The end of the trace, all of it with `TRACE` set.
fn last_lines(simulation: &Simulation) -> String {
    let count = std::env::var_os("TRACE").map_or(40, |_| usize::MAX);
    simulation.network(|network| {
        let lines = network.trace().lines();
        lines[lines.len().saturating_sub(count)..].join("\n")
    })
}

fn check(account: &Account, trouble: &Trouble) {
    if trouble.weather.streams_hold && !trouble.few_sockets {
        // What another address of the host was faster than has carried nothing (RFC 8305 §5).
        let mut closed = account.ledger.closed_ways();
        let broken = closed.find(|way| account.traffic.carried(*way));
        assert_eq!(broken, None, "closed");
        assert_eq!(account.failed, 0);
    }
}

#[test]
fn no_seed_loses_or_leaves_anything() {
    let only = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    for seed in only.map_or_else(|| 0..seeds(), |seed: u64| seed..seed + 1) {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}

// conformance: 434
#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in (0..seeds()).step_by(20) {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
