//! Sends OPTIONS and tells how long the answers take.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture as _};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use adapter_core::sip_transport_proto::error::SendFailure;
use adapter_core::sip_transport_proto::sip_core::Response;
use adapter_core::sip_transport_proto::sip_core::header::CSeq;
use adapter_core::sip_transport_proto::sip_core::uri::Uri;
use adapter_core::sip_transport_proto::tls::{TlsClient, TlsConfig, roots_from_pem};
use adapter_core::sip_transport_proto::{Config, Event, SendId, Sent, SipEndpoint};
use adapter_core::{CurrentRuntime, SipTransport};
use clap::Parser;

use super::{Failure, options, provider, read, tokens, unless, within};

/// Sends OPTIONS requests and shows how long the responses take.
#[derive(Clone, Debug, Parser)]
#[command(name = "ping", version)]
pub struct Args {
    /// Where to, such as sip:192.0.2.1, "sip:example.com:5070;transport=tcp" or sips:example.com
    pub uri: String,
    /// Root certificates, as PEM, that the server's certificate must lead to
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Accept any certificate: whoever sits on the way can answer
    #[arg(long)]
    pub insecure: bool,
    /// Ask this name server in place of the system's; may be given more than once
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub name_server: Vec<SocketAddr>,
    /// Stop after so many requests; without it, when interrupted
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,
    /// Seconds between requests
    #[arg(short, long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub interval: Duration,
    /// Seconds to wait for responses after the last request
    #[arg(short, long, value_name = "S", default_value = "4", value_parser = seconds)]
    pub timeout: Duration,
}

impl Args {
    /// Whom to trust, if they say.
    fn tls(&self) -> Result<Option<TlsConfig>, Failure> {
        let client = TlsClient::new(provider());
        let client = match &self.ca {
            Some(ca) => client.roots(roots_from_pem(&read(ca)?)?),
            None if self.insecure => client.dangerous_without_verification(),
            None => return Ok(None),
        };
        Ok(Some(client.build()?))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let valid = (0.001..=3600.0).contains(&seconds);
    valid
        .then(|| Duration::from_secs_f64(seconds))
        .ok_or_else(|| "not between 0.001 and 3600".to_owned())
}

/// Runs the example until it is interrupted or done; what it shows goes to `out`.
///
/// # Errors
/// The URI is none, or nothing came back.
pub async fn run<R: CurrentRuntime>(
    args: &Args,
    interrupted: impl Future<Output = ()>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    Uri::try_from(args.uri.as_str()).map_err(|error| format!("{}: {error}", args.uri))?;
    let mut builder = SipTransport::<R>::builder().name_servers(args.name_server.iter().copied());
    if let Some(tls) = args.tls()? {
        let mut config = Config::default();
        config.tls(tls);
        builder = builder.config(config);
    }
    let (transport, mut incoming) = builder.bind().await?;
    let runtime = R::current()?;
    let mut tokens = tokens(&runtime)?;
    let mut interrupted = pin!(interrupted);
    let mut pings = Pings {
        times: Vec::new(),
        sent: 0,
        waiting: BTreeMap::new(),
        out,
    };
    let mut due = runtime.now();
    loop {
        let more = args.count.is_none_or(|count| pings.sent < count);
        if !more && pings.waiting.is_empty() {
            break;
        }
        let wait = due.saturating_duration_since(runtime.now());
        let event = within(&runtime, Some(wait), incoming.recv());
        match unless(interrupted.as_mut(), event).await {
            Some(Some(Some(Event::SendFailed { send, cause }))) => {
                pings.failed(&transport, send, cause).await?;
            }
            Some(Some(Some(event))) => pings.event(runtime.now(), event)?,
            Some(None) if more => {
                pings.sent += 1;
                let request = options(&args.uri).cseq(pings.sent);
                let request = request.build(|random| tokens.fill(random))?;
                let send = transport.send_request(request).into_future();
                let Some(result) = unless(interrupted.as_mut(), send).await else {
                    break;
                };
                match result {
                    Ok(sent) => {
                        pings.waiting.insert(pings.sent, (sent, runtime.now()));
                    }
                    Err(error) => writeln!(pings.out, "seq={}: {error}", pings.sent)?,
                }
                let last = args.count == Some(pings.sent);
                let pause = if last { args.timeout } else { args.interval };
                due = runtime.now() + pause;
            }
            // Interrupted, or waited long enough, or shut down.
            _ => break,
        }
    }
    transport.shutdown().await;
    pings.summary(&args.uri)
}

struct Pings<'o, W> {
    /// How long each answer took.
    times: Vec<Duration>,
    sent: u32,
    /// What was sent and is not answered, by CSeq number.
    waiting: BTreeMap<u32, (Sent, Instant)>,
    out: &'o mut W,
}

impl<W: Write> Pings<'_, W> {
    fn event(&mut self, now: Instant, event: Event) -> Result<(), Failure> {
        match event {
            Event::Response {
                remote, response, ..
            } if !response.status().is_provisional() => self.response(now, remote, &response),
            _ => Ok(()),
        }
    }

    /// A request did not arrive: on to the next server (RFC 3263 §4.3).
    async fn failed<R>(
        &mut self,
        transport: &SipTransport<R>,
        send: SendId,
        cause: SendFailure,
    ) -> Result<(), Failure> {
        let failed = self.waiting.iter().find(|(_, (sent, _))| sent.id() == send);
        let Some(seq) = failed.map(|(seq, _)| *seq) else {
            return Ok(());
        };
        if let Some((sent, began)) = self.waiting.remove(&seq) {
            writeln!(self.out, "seq={seq}: {}: {cause}", sent.remote())?;
            if let Ok(next) = transport.try_next(sent) {
                match next.await {
                    Ok(sent) => drop(self.waiting.insert(seq, (sent, began))),
                    Err(error) => writeln!(self.out, "seq={seq}: {error}")?,
                }
            }
        }
        Ok(())
    }

    fn response(
        &mut self,
        now: Instant,
        remote: SipEndpoint,
        response: &Response,
    ) -> Result<(), Failure> {
        let cseq: Option<CSeq<'_>> = response.header()?;
        let Some((seq, (_, sent))) = cseq.and_then(|c| self.waiting.remove_entry(&c.seq())) else {
            return Ok(());
        };
        let time = now.saturating_duration_since(sent);
        self.times.push(time);
        let (line, time) = (response.start_line(), millis(time));
        writeln!(
            self.out,
            "{line} from {remote}: seq={seq} time={time:.3} ms"
        )?;
        Ok(())
    }

    fn summary(&mut self, uri: &str) -> Result<(), Failure> {
        let (sent, answered) = (self.sent, self.times.len());
        let lost = 100.0 - 100.0 * answered as f64 / f64::from(sent.max(1));
        writeln!(self.out, "--- {uri} ---")?;
        writeln!(
            self.out,
            "{sent} sent, {answered} answered, {lost:.0}% lost"
        )?;
        let (Some(min), Some(max)) = (self.times.iter().min(), self.times.iter().max()) else {
            return Err("nothing came back".into());
        };
        let (min, max) = (millis(*min), millis(*max));
        let average = millis(self.times.iter().sum()) / answered as f64;
        writeln!(self.out, "min/avg/max {min:.3}/{average:.3}/{max:.3} ms")?;
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
