//! Sends OPTIONS and tells how long the answers take.

mod args;

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture as _};
use std::io::{self, Write};
use std::pin::pin;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use adapter_core::SipTransport;
use adapter_core::runtime::CurrentRuntime;
use adapter_core::sip_transport_proto::error::{
    AttemptCause, NextError, SendCause, SendError, SendFailure,
};
use adapter_core::sip_transport_proto::sip_core::header::{CSeq, From};
use adapter_core::sip_transport_proto::sip_core::{Request, Response, StatusCode};
use adapter_core::sip_transport_proto::tls::TlsError;
use adapter_core::sip_transport_proto::{Event, Protocol, SendId, Sent, SipEndpoint, Tokens};

pub use args::Args;

use super::{Failure, options, tokens, unless, within};

/// Which final responses count as success.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Any 2xx.
    Success,
    /// Any at all.
    Any,
    /// Those with this status code.
    Code(u16),
}

impl Expected {
    /// Whether this response does.
    pub fn is_met_by(self, status: StatusCode) -> bool {
        match self {
            Self::Success => status.class() == 2,
            Self::Any => true,
            Self::Code(code) => status.code() == code,
        }
    }

    /// What became of all requests together, from the status codes that came.
    ///
    /// # Errors
    /// None of them is as expected.
    pub fn verdict(self, came: &[StatusCode]) -> Result<(), Failure> {
        if came.iter().any(|status| self.is_met_by(*status)) {
            return Ok(());
        }
        let Some(last) = came.last() else {
            return Err("nothing came back".into());
        };
        let last = format!("{last} {}", last.reason());
        Err(match self {
            Self::Code(code) => format!("{last} came, not {code}"),
            Self::Success | Self::Any => format!("{last} came, no 2xx (see --any-response)"),
        }
        .into())
    }
}

/// Runs the example until it is interrupted or done; what it shows goes to `out`.
///
/// # Errors
/// No response came that is expected.
pub async fn run<R: CurrentRuntime>(
    args: &Args,
    interrupted: impl Future<Output = ()>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let (show, shown) = mpsc::channel();
    let (transport, mut incoming) = args.builder::<R>(show)?.bind().await?;
    let runtime = R::current()?;
    let mut tokens = tokens(&runtime)?;
    let mut interrupted = pin!(interrupted);
    let mut pings = Pings {
        transport: &transport,
        times: Vec::new(),
        statuses: Vec::new(),
        sent: 0,
        waiting: BTreeMap::new(),
        out: Output { shown, out },
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
            Some(Some(Some(event))) => pings.event(runtime.now(), event).await?,
            Some(None) if more => {
                pings.sent += 1;
                let request = request(args, pings.sent, &mut tokens)?;
                let send = transport.send_request(request).into_future();
                let Some(result) = unless(interrupted.as_mut(), send).await else {
                    break;
                };
                pings.submitted(pings.sent, runtime.now(), result)?;
                let last = args.count == Some(pings.sent);
                let pause = if last { args.timeout } else { args.interval };
                due = runtime.now() + pause;
            }
            // Interrupted, or waited long enough, or shut down.
            _ => break,
        }
        pings.out.messages()?;
    }
    transport.shutdown().await;
    pings.summary(&args.uri)?;
    args.expected().verdict(&pings.statuses)
}

fn request(args: &Args, number: u32, tokens: &mut Tokens) -> Result<Request, Failure> {
    let mut request = options(&args.uri).cseq(number);
    if let Some(from) = &args.from {
        request = request.from(From::new(from.as_str().try_into()?));
    }
    Ok(request.build(|random| tokens.fill(random))?)
}

/// What to do about a send that failed, where an option helps.
fn advice(error: &SendError) -> &'static str {
    let distrusted =
        |cause: &AttemptCause| matches!(cause, AttemptCause::Tls(TlsError::Certificate(_)));
    if *error.cause() == SendCause::NoTlsConfig {
        return " (the system has no root certificates: give some by --ca, or --insecure)";
    }
    if error
        .tried()
        .iter()
        .any(|attempt| distrusted(&attempt.cause))
    {
        return " (--ca says whom to trust, --insecure trusts anybody)";
    }
    ""
}

/// Where lines go, with the messages that came and went before each.
struct Output<'o, W> {
    shown: mpsc::Receiver<String>,
    out: &'o mut W,
}

impl<W: Write> Output<'_, W> {
    fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        self.messages()?;
        writeln!(self.out, "{}", line.as_ref())
    }

    fn messages(&mut self) -> io::Result<()> {
        let mut messages = self.shown.try_iter();
        messages.try_for_each(|message| writeln!(self.out, "{message}"))
    }
}

struct Pings<'o, R, W> {
    transport: &'o SipTransport<R>,
    /// How long each answer took, and its status code.
    times: Vec<Duration>,
    statuses: Vec<StatusCode>,
    sent: u32,
    /// What was sent and is not answered, by CSeq number.
    waiting: BTreeMap<u32, (Sent, Instant)>,
    out: Output<'o, W>,
}

impl<R, W: Write> Pings<'_, R, W> {
    async fn event(&mut self, now: Instant, event: Event) -> Result<(), Failure> {
        match event {
            Event::Response {
                remote, response, ..
            } if !response.status().is_provisional() => self.response(now, remote, &response),
            Event::SendFailed { send, cause } => self.failed(send, cause).await,
            Event::ConnectionOpened { remote, .. } => self.opened(remote),
            Event::Malformed { remote, error, .. } => Ok(self
                .out
                .line(format!("malformed, from {remote}: {error}"))?),
            _ => Ok(()),
        }
    }

    /// A request went out, or did not.
    fn submitted(
        &mut self,
        seq: u32,
        began: Instant,
        result: Result<Sent, SendError>,
    ) -> io::Result<()> {
        match result {
            Ok(sent) => {
                self.waiting.insert(seq, (sent, began));
                Ok(())
            }
            Err(error) => self
                .out
                .line(format!("seq={seq}: {error}{}", advice(&error))),
        }
    }

    /// A request did not arrive: on to the next server (RFC 3263 §4.3).
    async fn failed(&mut self, send: SendId, cause: SendFailure) -> Result<(), Failure> {
        let failed = self.waiting.iter().find(|(_, (sent, _))| sent.id() == send);
        let Some(seq) = failed.map(|(seq, _)| *seq) else {
            return Ok(());
        };
        if let Some((sent, began)) = self.waiting.remove(&seq) {
            self.out
                .line(format!("seq={seq}: {}: {cause}", sent.remote()))?;
            match self.transport.try_next(sent) {
                Ok(next) => self.submitted(seq, began, next.await)?,
                Err(NextError::NoTargetLeft(_)) => {}
                Err(error) => self.out.line(format!("seq={seq}: {error}"))?,
            }
        }
        Ok(())
    }

    /// A connection was opened: how long the parts of that took.
    fn opened(&mut self, remote: SipEndpoint) -> Result<(), Failure> {
        let info = remote
            .connection
            .and_then(|id| self.transport.connection(id));
        let Some(info) = info else {
            return Ok(());
        };
        let (Some(connected), Some(opened)) = (info.connected, info.opened) else {
            return Ok(());
        };
        let connect = millis(connected.saturating_duration_since(info.since));
        let mut line = format!("connected to {remote}: connect={connect:.3} ms");
        if remote.protocol != Protocol::Tcp {
            let handshake = millis(opened.saturating_duration_since(connected));
            line += &format!(" handshake={handshake:.3} ms");
        }
        Ok(self.out.line(line)?)
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
        self.statuses.push(response.status());
        let (line, time) = (response.start_line(), millis(time));
        let line = format!("{line} from {remote}: seq={seq} time={time:.3} ms");
        Ok(self.out.line(line)?)
    }

    fn summary(&mut self, uri: &str) -> Result<(), Failure> {
        let (sent, answered) = (self.sent, self.times.len());
        let lost = 100.0 - 100.0 * answered as f64 / f64::from(sent.max(1));
        self.out.line(format!("--- {uri} ---"))?;
        self.out
            .line(format!("{sent} sent, {answered} answered, {lost:.0}% lost"))?;
        if let (Some(min), Some(max)) = (self.times.iter().min(), self.times.iter().max()) {
            let (min, max) = (millis(*min), millis(*max));
            let average = millis(self.times.iter().sum()) / answered as f64;
            self.out
                .line(format!("min/avg/max {min:.3}/{average:.3}/{max:.3} ms"))?;
        }
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
