//! A request over UDP and the response to it, through the state machine: received, built, routed,
//! rendered. Ends with a line for the heap allocations of one, which do not vary.
#![allow(clippy::unwrap_used, missing_docs)]

use std::alloc::System;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::Criterion;
use sip_core::StatusCode;
use sip_core::build::ResponseBuilder;
use sip_transport_proto::parts::{DatagramSocket, Routed, Router};
use sip_transport_proto::{ChannelConfig, Config, Event, Outgoing, Protocol, SendOptions, Sent};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const OPTIONS: &[u8] = b"OPTIONS sip:bob@192.0.2.1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.77:5062;branch=z9hG4bK74bf9;rport\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:alice@example.com>;tag=9fxced76sl\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: 3848276298220188511@192.0.2.77\r\n\
    CSeq: 1 OPTIONS\r\n\
    Contact: <sip:alice@192.0.2.77:5062>\r\n\
    Content-Length: 0\r\n\r\n";

/// How many are counted.
const COUNTED: usize = 1_000;

fn main() {
    let mut server = Server::new();
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    let mut group = criterion.benchmark_group("answer");
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(1));
    group.bench_function("udp", |b| b.iter(|| black_box(server.answer(OPTIONS))));
    group.finish();

    let region = Region::new(ALLOCATOR);
    for _ in 0..COUNTED {
        black_box(server.answer(OPTIONS));
    }
    let change = region.change();
    let each = |n: usize| n as f64 / COUNTED as f64;
    println!(
        "answer allocs {:.2} bytes {:.0}",
        each(change.allocations + change.reallocations),
        each(change.bytes_allocated)
    );
}

/// A UDP channel without its socket.
struct Server {
    router: Router,
    socket: DatagramSocket,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        let mut router = Router::new(Config::default(), [7; 32]);
        let local = SocketAddr::from(([192, 0, 2, 1], 5060));
        let channel = router.add_channel(ChannelConfig::new(Protocol::Udp, local));
        let socket = router.datagram_socket(channel.unwrap().socket(0)).unwrap();
        Self {
            router,
            socket,
            now: Instant::now(),
        }
    }

    fn answer(&mut self, data: &[u8]) -> Sent {
        let source = SocketAddr::from(([192, 0, 2, 77], 5062));
        let event = self.socket.handle_datagram(self.now, source, None, data);
        let Some(Event::Request { request, .. }) = event else {
            panic!("{event:?}");
        };
        let response = ResponseBuilder::new(&request, StatusCode::OK)
            .to_tag("7f3a")
            .build()
            .unwrap();
        let outgoing = Outgoing::new(response, SendOptions::new());
        let Ok(Routed::Ready(route, outgoing)) = self.router.send(self.now, outgoing) else {
            panic!("a response to a datagram is routed at once");
        };
        let sent = route.render(self.now, &outgoing).unwrap();
        sent.with_outgoing(outgoing)
    }
}
