//! Answers every request with 200.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use adapter_core::sip_transport_proto::{Event, Stats};
use adapter_core::{Builder, CurrentRuntime, Incoming, Runtime, SipTransport};
use clap::Parser;

use super::Answers;

/// Answers every request but ACK with 200, until interrupted.
#[derive(Clone, Debug, Parser)]
#[command(name = "responder", version)]
pub struct Args {
    /// UDP addresses to listen on, such as 127.0.0.1:5060 or [::]:5060
    #[arg(long, value_name = "ADDR", num_args = 1.., required_unless_present = "tcp")]
    pub udp: Vec<SocketAddr>,
    /// TCP addresses to listen on
    #[arg(long, value_name = "ADDR", num_args = 1..)]
    pub tcp: Vec<SocketAddr>,
    /// How many threads share the load
    #[arg(long, value_name = "N", default_value = "1")]
    pub workers: NonZeroUsize,
    /// Print counts every so many seconds
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub stats: Option<u64>,
}

impl Args {
    /// The transport that they ask for.
    pub fn builder<R: CurrentRuntime>(&self) -> Builder<R> {
        let builder = SipTransport::builder().workers(self.workers.get());
        let builder = self.udp.iter().fold(builder, |b, &addr| b.udp(addr));
        self.tcp.iter().fold(builder, |b, &addr| b.tcp(addr))
    }
}

/// Answers what one worker receives, until the transport shuts down.
pub async fn answer<R: CurrentRuntime>(transport: SipTransport<R>, mut incoming: Incoming) {
    let answers = Answers::default();
    while let Some(event) = incoming.recv().await {
        let Event::Request { request, .. } = event else {
            continue;
        };
        if let Ok(Some(response)) = answers.to(&request) {
            // It fails if the connection is gone, and so is who asked.
            _ = transport.send_response(response).await;
        }
    }
}

/// Prints counts every so many seconds, for as long as it is polled.
pub async fn print_stats<R: CurrentRuntime>(transport: &SipTransport<R>, runtime: &R, every: u64) {
    let every = std::time::Duration::from_secs(every);
    let mut timer = runtime.timer(runtime.now() + every);
    loop {
        poll_fn(|cx| timer.poll(cx)).await;
        println!(
            "{}",
            line(&transport.stats(), transport.connections().len())
        );
        timer.reset(runtime.now() + every);
    }
}

fn line(stats: &Stats, connections: usize) -> String {
    format!(
        "{} requests, {} responses sent, {} malformed, {} sends failed, {} connections",
        stats.requests_in, stats.messages_out, stats.malformed, stats.sends_failed, connections
    )
}
