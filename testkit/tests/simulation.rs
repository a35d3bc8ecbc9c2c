//! Two transports of adapter-core in memory, all protocols, a bad network, many seeds: what must
//! hold at the end of every run.
//!
//! `SEEDS=1000` runs so many; else there are fewer. `SEED=7` runs only that one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future as _, IntoFuture as _, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::Poll;
use std::time::Duration;

use adapter_core::Incoming;
use adapter_core::runtime::Runtime as _;
use adapter_core::sip_transport_proto::sim::{Link, NameAnswer};
use adapter_core::sip_transport_proto::sip_core::build::{RequestBuilder, ResponseBuilder};
use adapter_core::sip_transport_proto::sip_core::{Message, Method, Name, Request, StatusCode};
use adapter_core::sip_transport_proto::tls::TlsConfig;
use adapter_core::sip_transport_proto::{
    ChannelConfig, Config, ConnectionId, Event, Protocol, Sent, SipEndpoint,
};
use futures_channel::oneshot;
use testkit::certificates::Certificates;
use testkit::dice::Dice;
use testkit::memory::{MemoryRuntime, Simulation};

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
struct Weather {
    link: Link,
    streams_hold: bool,
    datagrams_hold: bool,
    datagrams_block: f64,
    few_sockets: bool,
    small_queue: bool,
    /// Connections are closed and channels removed and added again.
    restless: bool,
}

impl Weather {
    fn new(dice: &mut Dice) -> Self {
        let restless = dice.one_in(4);
        let streams_hold = !restless && dice.one_in(2);
        let datagrams_hold = !restless && dice.one_in(3);
        let mut link = Link::default()
            .with_latency(dice.millis(30))
            .with_jitter(dice.millis(20))
            .with_reordering(dice.percent(30))
            .with_would_block(dice.percent(25));
        if !datagrams_hold {
            // On streams a lost packet only comes later.
            link = link
                .with_loss(dice.percent(20))
                .with_duplication(dice.percent(10))
                .with_mtu(1_400);
        }
        if !streams_hold {
            link = link.with_reset(dice.percent(8));
        }
        if dice.one_in(2) {
            let most = if dice.one_in(8) { 7 } else { 500 };
            link = link.with_write_sizes(1..=most).with_window(700);
        }
        if dice.one_in(2) {
            let most = if dice.one_in(8) { 7 } else { 300 };
            link = link.with_read_sizes(1..=most);
        }
        Self {
            link,
            streams_hold,
            datagrams_hold,
            datagrams_block: dice.percent(30),
            few_sockets: dice.one_in(4),
            small_queue: dice.one_in(3),
            restless,
        }
    }
}

/// One direction of a flow: from, to.
type Way = (SocketAddr, SocketAddr);

/// What both applications keep account of.
#[derive(Default)]
struct Account {
    /// Sends that were begun and not yet ended.
    waiting: BTreeSet<String>,
    failed: usize,
    /// What went out and came in, by its key.
    sent: BTreeMap<String, (Protocol, Way)>,
    came: BTreeMap<String, usize>,
    /// What came in over each direction of a connection, in order.
    order: BTreeMap<Way, Vec<String>>,
    opened: BTreeMap<(usize, ConnectionId), Way>,
    closed: BTreeSet<(usize, ConnectionId)>,
    /// Directions of connections that broke or were closed.
    broken: BTreeSet<Way>,
}

type Shared = Arc<Mutex<Account>>;

/// What tells a message from all others: status (0 for a request) and Call-ID.
fn key(message: &Message) -> String {
    let call = String::from_utf8_lossy(message.raw(Name::CallId).unwrap()).into_owned();
    format!("{:03} {call}", message.status().map_or(0, StatusCode::code))
}

impl Account {
    fn begun(&mut self, key: &str) {
        assert!(self.waiting.insert(key.to_owned()), "sent twice: {key}");
    }

    fn ended(&mut self, key: String, result: Result<Sent, impl Sized>) {
        assert!(self.waiting.remove(&key), "ended twice: {key}");
        match result {
            Ok(sent) => {
                let way = (sent.local().addr, sent.remote().addr);
                self.sent.insert(key, (sent.remote().protocol, way));
            }
            Err(_) => self.failed += 1,
        }
    }

    fn came(&mut self, local: SipEndpoint, remote: SipEndpoint, message: &Message) {
        let key = key(message);
        *self.came.entry(key.clone()).or_default() += 1;
        if local.protocol.is_stream() {
            let way = (remote.addr, local.addr);
            self.order.entry(way).or_default().push(key);
        }
    }

    /// Every connection of a host that has ended was told of as closed.
    fn all_closed(&self, host: usize) {
        let mut opened = self.opened.keys().filter(|(on, _)| *on == host);
        let left = opened.find(|id| !self.closed.contains(id));
        assert_eq!(left, None, "not told of as closed");
    }

    /// A message that must have come and has not.
    fn missing(&self, weather: &Weather, dropped: u64) -> Option<(&String, &(Protocol, Way))> {
        let due = |(key, (protocol, way)): (&String, &(Protocol, Way))| match protocol {
            Protocol::Udp => weather.datagrams_hold && dropped == 0 && !self.came.contains_key(key),
            _ => !self.came.contains_key(key) && !self.broken.contains(way),
        };
        self.sent.iter().find(|&(key, place)| due((key, place)))
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
        match event {
            Event::Request {
                local,
                remote,
                request,
            } => {
                account.lock().unwrap().came(local, remote, &request);
                if dice.one_in(4) {
                    let time = dice.millis(20);
                    runtime.sleep(time).await;
                }
                answer(&transport, &account, &request).await;
            }
            Event::Response {
                local,
                remote,
                response,
            } => account.lock().unwrap().came(local, remote, &response),
            Event::ConnectionOpened { local, remote, .. } => {
                let id = (host, local.connection.unwrap());
                let way = (local.addr, remote.addr);
                let old = account.lock().unwrap().opened.insert(id, way);
                assert!(old.is_none(), "opened twice");
            }
            Event::ConnectionClosed { connection, .. } => {
                let mut account = account.lock().unwrap();
                let id = (host, connection);
                assert!(account.closed.insert(id), "closed twice");
                if let Some(&(local, remote)) = account.opened.get(&id) {
                    account.broken.extend([(local, remote), (remote, local)]);
                }
            }
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

async fn answer(transport: &SipTransport, account: &Shared, request: &Request) {
    let response = ResponseBuilder::new(request, StatusCode::OK)
        .to_tag("there")
        .build()
        .unwrap();
    let key = key(&response);
    // A duplicated request is answered twice.
    let first = !account.lock().unwrap().sent.contains_key(&key);
    if first {
        account.lock().unwrap().begun(&key);
    }
    let result = transport.send_response(response).await;
    if first {
        account.lock().unwrap().ended(key, result);
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
        account.lock().unwrap().begun(&key);
        let sending = transport.send_request(request).into_future();
        let account = Arc::clone(&account);
        runtime.spawn(Box::pin(async move {
            let result = sending.await;
            account.lock().unwrap().ended(key, result);
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
    weather: &Weather,
    tls: &TlsConfig,
) -> (SipTransport, Incoming) {
    let (_, v4, v6) = HOSTS[host];
    let messages = if weather.small_queue { 2 } else { 1_024 };
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
    let weather = Weather::new(&mut dice);
    let simulation = Simulation::new(seed);
    simulation.set_default_link(weather.link.clone());
    simulation.set_datagram_would_block(weather.datagrams_block);
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
    if weather.few_sockets {
        // Ten sockets of the channels and one or two connections; the rest gets EMFILE.
        limit_sockets(
            &simulation,
            &runtimes,
            11 + usize::from(seed.is_multiple_of(2)),
        );
    }
    runtimes[0].block_on(script(&simulation, &runtimes, &weather, &mut dice));
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
    weather: &Weather,
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
    let (alice, alice_incoming) = start(&runtimes[0], 0, weather, &tls[0]).await;
    let (bob, bob_incoming) = start(&runtimes[1], 1, weather, &tls[1]).await;
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
        if weather.restless {
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
        let begun = account.sent.len() + account.failed + account.waiting.len();
        let missing = account.missing(weather, dropped);
        // Two tasks of each side are ours; those of a send have ended when it has.
        let all = begun as u64 >= 2 * REQUESTS && account.waiting.is_empty();
        if all && missing.is_none() {
            break;
        }
        assert!(
            runtimes[0].now() < until,
            "stuck: {:?} wait, {missing:?} is missing\n{}",
            account.waiting,
            last_lines(simulation),
        );
    }
    check(&account.lock().unwrap(), weather);

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
    account.lock().unwrap().all_closed(0);
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

fn check(account: &Account, weather: &Weather) {
    for (way, keys) in &account.order {
        let mut seen = BTreeSet::new();
        let twice = keys.iter().find(|key| !seen.insert(*key));
        assert_eq!(twice, None, "came twice over {way:?}: {keys:?}");
    }
    if weather.streams_hold && !weather.few_sockets {
        // What another address of the host was faster than has carried nothing (RFC 8305 §5).
        let carried = |way: &&Way| {
            let sent = account.sent.values().any(|(_, over)| over == *way);
            sent || account.order.contains_key(*way)
        };
        let closed: Vec<_> = account.broken.iter().filter(carried).collect();
        assert!(closed.is_empty(), "closed: {closed:?}");
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
