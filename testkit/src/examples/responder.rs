//! Answers every request with the same status.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use adapter_core::capture::Capture;
use adapter_core::runtime::CurrentRuntime;
use adapter_core::sip_transport_proto::sip_core::build::BuildError;
use adapter_core::sip_transport_proto::sip_core::{Response, StatusCode};
use adapter_core::sip_transport_proto::tls::{
    LocalCertificate, ServerCertificates, TlsConfig, TlsServer, roots_from_pem,
};
use adapter_core::sip_transport_proto::{ChannelConfig, Event, Protocol};
use adapter_core::{Builder, Incoming, SipTransport};
use clap::{ArgGroup, Parser};

use super::{Answers, Failure, pcap, provider, read, within};
use crate::certificates::Certificates;

/// How many responses wait at most, for each worker: requests wait in the transport then.
const MOST_WAITING: usize = 65_536;

/// The addresses of one place to listen on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Addresses(Vec<SocketAddr>);

impl Addresses {
    /// All of them.
    pub fn all(&self) -> &[SocketAddr] {
        &self.0
    }
}

/// Answers every request but ACK with the same status, until interrupted.
#[derive(Clone, Debug, Parser)]
#[command(name = "responder", version)]
#[command(group = ArgGroup::new("channels").required(true).multiple(true))]
pub struct Args {
    /// UDP addresses to listen on, such as 0.0.0.0:5060; for a host name, all that it has at the
    /// start
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., group = "channels", value_parser = addresses)]
    pub udp: Vec<Addresses>,
    /// TCP addresses to listen on
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., group = "channels", value_parser = addresses)]
    pub tcp: Vec<Addresses>,
    /// TLS addresses to listen on
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., group = "channels", value_parser = addresses)]
    pub tls: Vec<Addresses>,
    /// WebSocket addresses to listen on
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., group = "channels", value_parser = addresses)]
    pub ws: Vec<Addresses>,
    /// Secure WebSocket addresses to listen on
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., group = "channels", value_parser = addresses)]
    pub wss: Vec<Addresses>,
    /// Certificate chains to show, as PEM: the name that a client asks for chooses; without any,
    /// one for localhost is made on the spot, which nobody trusts
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Vec<PathBuf>,
    /// Their private keys, as PEM, in the same order
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Vec<PathBuf>,
    /// Root certificates, as PEM, that a client's certificate must lead to; without, clients need
    /// none
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// The status code of all responses, 200 to 699
    #[arg(long, value_name = "CODE", default_value = "200", value_parser = final_status)]
    pub status: StatusCode,
    /// Answer after so many milliseconds
    #[arg(long, value_name = "MS", default_value = "0", value_parser = millis)]
    pub delay: Duration,
    /// HEP3 collectors to show all messages to, such as 192.0.2.9:9060 (UDP) or
    /// tcp:homer.example.com:9060
    #[arg(long, value_name = "COLLECTOR")]
    pub hep: Vec<String>,
    /// Write all messages into a pcapng file
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Show each request, and what it is answered
    #[arg(short, long)]
    pub verbose: bool,
    /// How many threads share the load
    #[arg(long, value_name = "N", default_value = "1")]
    pub workers: NonZeroUsize,
    /// Print counts every so many seconds
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub stats: Option<u64>,
}

impl Args {
    /// The transport that they ask for.
    ///
    /// # Errors
    /// A certificate or key cannot be read.
    pub fn builder<R: CurrentRuntime>(&self) -> Result<Builder<R>, Failure> {
        let protocols = [
            (Protocol::Udp, &self.udp),
            (Protocol::Tcp, &self.tcp),
            (Protocol::Tls, &self.tls),
            (Protocol::Ws, &self.ws),
            (Protocol::Wss, &self.wss),
        ];
        let secure = !(self.tls.is_empty() && self.wss.is_empty());
        let tls = secure.then(|| self.certificates()).transpose()?;
        let builder = SipTransport::builder().raise_descriptor_limit();
        let builder = builder.workers(self.workers.get());
        let mut builder = pcap(builder, self.pcap.as_deref());
        for collector in &self.hep {
            builder = builder.capture(Capture::hep(collector)?);
        }
        for (protocol, addresses) in protocols {
            for &address in addresses.iter().flat_map(Addresses::all) {
                let channel = ChannelConfig::new(protocol, address);
                builder = builder.channel(match &tls {
                    Some(tls) if protocol.is_secure() => channel.tls(tls.clone()),
                    _ => channel,
                });
            }
        }
        Ok(builder)
    }

    fn certificates(&self) -> Result<TlsConfig, Failure> {
        if self.cert.is_empty() {
            let made = Certificates::new();
            return Ok(made.server(&["localhost", "127.0.0.1", "::1"]));
        }
        if self.cert.len() != self.key.len() {
            return Err("each certificate needs a key".into());
        }
        let provider = provider();
        let mut all = Vec::new();
        for (cert, key) in self.cert.iter().zip(&self.key) {
            all.push(LocalCertificate::from_pem(
                &provider,
                &read(cert)?,
                &read(key)?,
            )?);
        }
        let mut server = TlsServer::new(provider, ServerCertificates::new(all)?);
        if let Some(roots) = &self.client_ca {
            server = server.client_certificate_required(roots_from_pem(&read(roots)?)?);
        }
        Ok(server.build()?)
    }
}

fn addresses(text: &str) -> Result<Addresses, String> {
    let found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    let mut addresses: Vec<_> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.is_empty() {
        true => Err("it has no address".to_owned()),
        false => Ok(Addresses(addresses)),
    }
}

fn final_status(text: &str) -> Result<StatusCode, String> {
    let status = text.parse().ok().and_then(StatusCode::new);
    let status = status.filter(|status| !status.is_provisional());
    status.ok_or_else(|| "not between 200 and 699".to_owned())
}

fn millis(text: &str) -> Result<Duration, String> {
    let millis = text.parse().ok().filter(|millis| *millis <= 3_600_000);
    let millis = millis.ok_or_else(|| "not between 0 and 3600000".to_owned())?;
    Ok(Duration::from_millis(millis))
}

/// Answers what one worker receives, until the transport shuts down; requests are shown in `log`
/// where they are to be.
pub async fn answer<R: CurrentRuntime>(
    args: Args,
    transport: SipTransport<R>,
    mut incoming: Incoming,
    mut log: impl Write,
) {
    let Ok(runtime) = R::current() else {
        return;
    };
    let answers = Answers::new(args.status);
    // They all wait for the same time, so they are due in order.
    let mut waiting: VecDeque<(Instant, Response)> = VecDeque::new();
    loop {
        let wait = waiting.front();
        let wait = wait.map(|(due, _)| due.saturating_duration_since(runtime.now()));
        if wait == Some(Duration::ZERO)
            && let Some((_, response)) = waiting.pop_front()
        {
            // It fails if the connection is gone, and so is who asked.
            _ = transport.send_response(response).await;
            continue;
        }
        let is_full = waiting.len() >= MOST_WAITING;
        let event = async {
            match is_full {
                true => pending().await,
                false => incoming.recv().await,
            }
        };
        match within(&runtime, wait, event).await {
            Some(Some(Event::Request {
                remote, request, ..
            })) => {
                let answer = answers.to(&request);
                if args.verbose {
                    // Whoever has closed the output does not want to see it.
                    _ = writeln!(log, "{remote}: {}: {}", request.start_line(), told(&answer));
                }
                match answer {
                    Ok(Some(response)) if args.delay.is_zero() => {
                        _ = transport.send_response(response).await;
                    }
                    Ok(Some(response)) => {
                        waiting.push_back((runtime.now() + args.delay, response));
                    }
                    Ok(None) | Err(_) => {}
                }
            }
            Some(None) => return,
            Some(Some(_)) | None => {}
        }
    }
}

/// How a request is answered, in words.
fn told(answer: &Result<Option<Response>, BuildError>) -> String {
    match answer {
        Ok(Some(response)) => response.start_line().to_string(),
        Ok(None) => "not answered".to_owned(),
        Err(error) => format!("cannot be answered: {error}"),
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
        "{} requests, {} responses sent, {} malformed, {} sends failed, {} dropped, {} connections, {} limited",
        stats.requests_in,
        stats.messages_out,
        stats.malformed,
        stats.sends_failed,
        stats.application_queue_full,
        transport.connections().len(),
        stats.connections_limited,
    );
}
