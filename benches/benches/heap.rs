//! Heap that the server side holds for each idle connection after one exchange, through adapter-tokio: a line for each
//! transport, as `heap tcp 3.1 KiB (limit 4)`. The clients live in a child process, which is this program again.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::alloc::System;
use std::io::{self, BufRead, BufReader, Read, stdin};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use adapter_tokio::TokioRuntime;
use clap::Parser;
use interop::calls::ping;
use interop::link::{Connector, Framing, Over};
use interop::tls::Trust;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use testkit::examples::responder;
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 1_000;
/// What is made once, at the first connections, is no connection's.
const WARM_UP: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, over, to, count] = &arguments[..]
        && role == "clients"
    {
        return clients(over, to.parse().unwrap(), count.parse().unwrap());
    }
    for (over, limit) in [
        (Over::Tcp, 4.0),
        (Over::Tls, 20.0),
        (Over::Ws, 8.0),
        (Over::Wss, 24.0),
    ] {
        let bytes = measure(over);
        let name = name(over);
        println!("heap {name} {:.1} KiB (limit {limit})", bytes / 1024.0);
    }
}

/// Bytes for each connection.
fn measure(over: Over) -> f64 {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let transport = runtime.block_on(async {
        let channel = format!("--{}=127.0.0.1:0", name(over));
        let responder = responder::Args::parse_from(["responder", &channel]);
        let builder = responder.builder::<TokioRuntime>().unwrap();
        let (transport, incoming) = builder.bind().await.unwrap();
        let answering = responder::answer(responder, transport.clone(), incoming, io::sink());
        tokio::spawn(answering);
        transport
    });
    let to = transport.local_endpoints()[0].addr;
    let connections = || transport.connections().len();

    Clients::start(over, to, WARM_UP).stop();
    while connections() > 0 {
        sleep(Duration::from_millis(10));
    }
    let before = settled();
    let clients = Clients::start(over, to, CONNECTIONS);
    let after = settled();
    assert_eq!(connections(), CONNECTIONS);
    clients.stop();
    runtime.block_on(transport.shutdown());
    (after - before) as f64 / CONNECTIONS as f64
}

/// Bytes on the heap, once they no longer change.
fn settled() -> isize {
    let held = || {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated) as isize
    };
    let mut last = held();
    loop {
        sleep(Duration::from_millis(300));
        let now = held();
        if now == last {
            return now;
        }
        last = now;
    }
}

/// A child process whose connections have each had an exchange, and stay open.
struct Clients(Child);

impl Clients {
    fn start(over: Over, to: SocketAddr, count: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["clients", name(over), &to.to_string(), &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the clients did not get their answers");
        Self(child)
    }

    fn stop(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

/// The child: connects, exchanges, and holds on until its input ends.
fn clients(over: &str, to: SocketAddr, count: usize) {
    let over = ALL.into_iter().find(|&known| name(known) == over).unwrap();
    let connector = Connector {
        to,
        from: None,
        over,
        name: "localhost".to_owned(),
        tls: Trust::default().config().unwrap(),
        framing: Framing::Text,
    };
    let links: Vec<_> = (0..count)
        .map(|n| {
            let mut link = connector.connect().unwrap();
            ping(&mut link, to, &n.to_string()).unwrap();
            link
        })
        .collect();
    println!("ready");
    stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(links);
}

const ALL: [Over; 4] = [Over::Tcp, Over::Tls, Over::Ws, Over::Wss];

fn name(over: Over) -> &'static str {
    match over {
        Over::Tcp => "tcp",
        Over::Tls => "tls",
        Over::Ws => "ws",
        Over::Wss => "wss",
    }
}
