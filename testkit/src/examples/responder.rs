//! Answers every request with 200.

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::time::Duration;

use adapter_core::sip_transport_proto::Event;
use adapter_core::{Builder, CurrentRuntime, Incoming, SipTransport};
use clap::{ArgGroup, Parser};

use super::{Answers, Failure, within};

/// Answers every request but ACK with 200, until interrupted.
#[derive(Clone, Debug, Parser)]
#[command(name = "responder", version)]
#[command(group = ArgGroup::new("channels").required(true).multiple(true))]
pub struct Args {
    /// UDP addresses to listen on, such as 0.0.0.0:5060
    #[arg(long, value_name = "ADDR", num_args = 1.., group = "channels")]
    pub udp: Vec<SocketAddr>,
    /// TCP addresses to listen on
    #[arg(long, value_name = "ADDR", num_args = 1.., group = "channels")]
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
        if let Event::Request { request, .. } = event
            && let Ok(Some(response)) = answers.to(&request)
        {
            // It fails if the connection is gone, and so is who asked.
            _ = transport.send_response(response).await;
        }
    }
}

/// Says where it listens, prints counts if asked to, and shuts down when interrupted.
///
/// # Errors
/// There is no current runtime.
pub async fn run<R: CurrentRuntime>(
    args: &Args,
    transport: &SipTransport<R>,
    interrupted: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let runtime = R::current()?;
    for channel in transport.local_endpoints() {
        println!("Listening on {channel}");
    }
    let every = args.stats.map(Duration::from_secs);
    let mut interrupted = pin!(interrupted);
    while within(&runtime, every, interrupted.as_mut())
        .await
        .is_none()
    {
        print_stats(transport);
    }
    transport.shutdown().await;
    print_stats(transport);
    Ok(())
}

fn print_stats<R: CurrentRuntime>(transport: &SipTransport<R>) {
    let stats = transport.stats();
    println!(
        "{} requests, {} responses sent, {} malformed, {} sends failed, {} dropped, {} connections",
        stats.requests_in,
        stats.messages_out,
        stats.malformed,
        stats.sends_failed,
        stats.application_queue_full,
        transport.connections().len(),
    );
}
