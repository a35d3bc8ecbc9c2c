//! Parsing, transport work and forwarding over the mix of `messages/`, against httparse over the
//! same messages in HTTP form. Ends with three lines for the figures that must hold.
#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::System;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use sip_core::header::{Contact, ContentLength, Via};
use sip_core::message::Head;
use sip_core::{Limits, Message, Name, StartLine};
use sip_transport_proto::parts::{DatagramSocket, Router};
use sip_transport_proto::{ChannelConfig, Config, Event, Protocol};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Many short rounds: a pass over the mix is shorter than a turn of the scheduler, so on a busy
/// machine most passes are still undisturbed.
const ROUNDS: usize = 801;

fn main() {
    let mix = messages(include_bytes!("../messages/mix.bin"));
    let http = messages(include_bytes!("../messages/mixhttp.bin"));
    let limits = Limits::default();

    let index = |data: &[u8]| drop(black_box(Head::parse(data, &limits).unwrap()));
    let mut one = Receiver::new();
    let mut transport_work = |data: &[u8]| match one.receive(data) {
        Event::Request { request, .. } => read(&request),
        Event::Response { response, .. } => read(&response),
        event => panic!("{event:?}"),
    };
    let mut other = Receiver::new();
    let mut out = Vec::with_capacity(64 * 1024);
    let mut forward = |data: &[u8]| match other.receive(data) {
        Event::Request { mut request, .. } => forward(&mut request, &mut out),
        Event::Response { mut response, .. } => forward(&mut response, &mut out),
        event => panic!("{event:?}"),
    };

    let mut criterion = Criterion::default().without_plots().configure_from_args();
    let mut group = criterion.benchmark_group("mix");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Bytes(
        mix.iter().map(|data| data.len() as u64).sum(),
    ));
    group.bench_function("httparse", |b| {
        b.iter(|| http.iter().for_each(|data| reference(data)))
    });
    group.bench_function("index", |b| {
        b.iter(|| mix.iter().for_each(|data| index(data)))
    });
    group.bench_function("transport-work", |b| {
        b.iter(|| mix.iter().for_each(|data| transport_work(data)));
    });
    group.bench_function("forward", |b| {
        b.iter(|| mix.iter().for_each(|data| forward(data)))
    });
    group.finish();

    // One message at a time has its own buffer, which is the message; nothing else may allocate.
    let allocations = [
        count(&mix, index),
        count(&mix, &mut transport_work) - 1.0,
        count(&mix, &mut forward) - 1.0,
    ];
    let mut ratios = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let base = time(&http, reference);
        let round = [
            time(&mix, index),
            time(&mix, &mut transport_work),
            time(&mix, &mut forward),
        ];
        for (ratios, time) in ratios.iter_mut().zip(round) {
            ratios.push(time / base);
        }
    }
    for ((name, mut ratios), allocations) in ["index", "transport-work", "forward"]
        .into_iter()
        .zip(ratios)
        .zip(allocations)
    {
        ratios.sort_by(f64::total_cmp);
        println!(
            "{name} ratio {:.2} allocs {allocations:.2}",
            ratios[ratios.len() / 2]
        );
    }
}

/// A UDP socket without the socket: what it does with a datagram is what is measured.
struct Receiver {
    socket: DatagramSocket,
    now: Instant,
}

impl Receiver {
    fn new() -> Self {
        let mut config = Config::default();
        // The responses of the mix answer requests of others.
        config.drop_stray_responses(false);
        let mut router = Router::new(config, [7; 32]);
        let local = SocketAddr::from(([192, 0, 2, 1], 5060));
        let channel = router.add_channel(ChannelConfig::new(Protocol::Udp, local));
        let socket = router.datagram_socket(channel.unwrap().socket(0)).unwrap();
        Self {
            socket,
            now: Instant::now(),
        }
    }

    fn receive(&mut self, data: &[u8]) -> Event {
        let source = SocketAddr::from(([192, 0, 2, 77], 5060));
        let event = self.socket.handle_datagram(self.now, source, None, data);
        event.unwrap()
    }
}

/// What a transport and a transaction layer read of every message.
fn read(message: &Message) {
    match message.start_line() {
        StartLine::Request { method, .. } => {
            black_box(method);
            black_box(
                message
                    .request_host()
                    .map(|host| (host.host(), host.port())),
            );
        }
        StartLine::Response { status, .. } => drop(black_box(status)),
    }
    let via: Via<'_> = message.top_via().unwrap();
    black_box((
        via.transport(),
        via.sent_by(),
        via.branch(),
        via.received(),
        via.rport(),
    ));
    black_box(message.from_tag());
    black_box(message.to_tag());
    black_box(message.call_id());
    let cseq = message.cseq().unwrap();
    black_box((cseq.seq(), cseq.method()));
    black_box(message.header::<ContentLength>().unwrap());
    if let Some(contact) = message.header::<Contact<'_>>().unwrap() {
        black_box(contact.uri());
    }
}

/// What a stateless proxy does (RFC 3261 §16.11).
fn forward(message: &mut Message, out: &mut Vec<u8>) {
    message
        .prepend(
            Name::Via,
            "SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK4f1c2a3b",
        )
        .unwrap();
    out.clear();
    message.write_to(out);
    black_box(&*out);
}

fn reference(data: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    if data.starts_with(b"HTTP/") {
        let mut response = httparse::Response::new(&mut headers);
        assert!(response.parse(data).unwrap().is_complete());
        black_box(response);
    } else {
        let mut request = httparse::Request::new(&mut headers);
        assert!(request.parse(data).unwrap().is_complete());
        black_box(request);
    }
}

/// The messages of a `.bin` file: each a little-endian length and the bytes.
fn messages(mut file: &'static [u8]) -> Vec<&'static [u8]> {
    let mut messages = Vec::new();
    while let Some((len, rest)) = file.split_first_chunk() {
        let (message, rest) = rest.split_at(u32::from_le_bytes(*len) as usize);
        messages.push(message);
        file = rest;
    }
    messages
}

/// Seconds that `work` takes over all messages.
fn time(messages: &[&[u8]], mut work: impl FnMut(&[u8])) -> f64 {
    let start = Instant::now();
    messages.iter().for_each(|data| work(data));
    start.elapsed().as_secs_f64()
}

/// Heap allocations per message.
fn count(messages: &[&[u8]], mut work: impl FnMut(&[u8])) -> f64 {
    let region = Region::new(ALLOCATOR);
    messages.iter().for_each(|data| work(data));
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / messages.len() as f64
}
