//! Answers every request with 200.

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use adapter_core::sip_transport_proto::tls::{
    LocalCertificate, ServerCertificates, TlsConfig, TlsServer, roots_from_pem,
};
use adapter_core::sip_transport_proto::{ChannelConfig, Event, Protocol};
use adapter_core::{Builder, CurrentRuntime, Incoming, SipTransport};
use clap::{ArgGroup, Parser};

use super::{Answers, Failure, provider, read, within};
use crate::certificates::Certificates;

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
    /// TLS addresses to listen on
    #[arg(long, value_name = "ADDR", num_args = 1.., group = "channels")]
    pub tls: Vec<SocketAddr>,
    /// WebSocket addresses to listen on
    #[arg(long, value_name = "ADDR", num_args = 1.., group = "channels")]
    pub ws: Vec<SocketAddr>,
    /// Secure WebSocket addresses to listen on
    #[arg(long, value_name = "ADDR", num_args = 1.., group = "channels")]
    pub wss: Vec<SocketAddr>,
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
        let mut builder = builder.workers(self.workers.get());
        for (protocol, addresses) in protocols {
            for &address in addresses {
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
