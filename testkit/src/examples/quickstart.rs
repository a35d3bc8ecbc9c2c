//! Every kind of channel carries a request and its response; what the transport fills in; hints.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use adapter_core::runtime::CurrentRuntime;
use adapter_core::sip_transport_proto::sip_core::{Request, Response, StatusCode};
use adapter_core::sip_transport_proto::{
    ChannelConfig, Config, Event, HintOutcome, Protocol, Sent, SipEndpoint, Tokens,
};
use adapter_core::{Incoming, SipTransport};
use clap::Parser;

use super::{Answers, Failure, indented, options, pcap, tokens, within};
use crate::certificates::Certificates;

/// Sends a request over each kind of channel and shows what becomes of it.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "quickstart", version)]
pub struct Args {
    /// Listen on ports from this one on, not on free ones
    #[arg(long, value_name = "N")]
    pub port_base: Option<u16>,
    /// Listen on all IPv4 and IPv6 addresses, with the same ports for both families
    #[arg(long)]
    pub any: bool,
    /// Write what the answering side receives and sends into a pcapng file
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
}

/// The kinds of channel, and how far above the port base each listens.
const PROTOCOLS: [(Protocol, u16); 5] = [
    (Protocol::Udp, 0),
    (Protocol::Tcp, 0),
    (Protocol::Tls, 1),
    (Protocol::Ws, 2),
    (Protocol::Wss, 3),
];
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];
const ANY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];
/// How long anything may take to arrive.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

/// Runs the example; what it shows goes to `out`.
///
/// # Errors
/// A channel cannot be opened, or something did not arrive.
pub async fn run<R: CurrentRuntime>(args: &Args, out: &mut impl Write) -> Result<(), Failure> {
    let certificates = Certificates::new();
    let tls = certificates.server(&["localhost", "127.0.0.1", "::1"]);
    let builder = SipTransport::<R>::builder();
    let (answering, requests) = pcap(builder, args.pcap.as_deref()).bind().await?;
    let [v4, v6] = if args.any { ANY } else { LOOPBACK };
    for (protocol, offset) in PROTOCOLS {
        let port = match args.port_base {
            Some(base) => base
                .checked_add(offset)
                .ok_or("the port base is too high")?,
            None => 0,
        };
        let mut local = SocketAddr::new(v4, port);
        let channel = ChannelConfig::new(protocol, local).tls(tls.clone());
        answering.add_channel(channel.clone()).await?;
        if args.any {
            let bound = answering.local_endpoints();
            local.set_port(bound.last().map_or(0, |channel| channel.addr.port()));
        }
        local.set_ip(v6);
        answering.add_channel(channel.at(local)).await?;
    }
    // Who only asks needs no channels: they are made for what is sent.
    let mut config = Config::default();
    config.tls(certificates.client());
    let (asking, responses) = SipTransport::<R>::builder().config(config).bind().await?;
    let runtime = R::current()?;
    let mut ends = Ends {
        tokens: tokens(&runtime)?,
        answers: Answers::new(StatusCode::OK),
        runtime,
        answering,
        requests,
        asking,
        responses,
        out,
    };
    ends.every_channel().await?;
    ends.substitution().await?;
    ends.hints().await?;
    ends.asking.shutdown().await;
    ends.answering.shutdown().await;
    Ok(())
}

/// Two transports, one that asks and one that answers.
struct Ends<'o, R, W> {
    runtime: R,
    answering: SipTransport<R>,
    requests: Incoming,
    asking: SipTransport<R>,
    responses: Incoming,
    answers: Answers,
    tokens: Tokens,
    out: &'o mut W,
}

impl<R: CurrentRuntime, W: Write> Ends<'_, R, W> {
    async fn every_channel(&mut self) -> Result<(), Failure> {
        for channel in self.answering.local_endpoints() {
            let request = self.options(channel)?;
            self.asking.send_request(request).await?;
            let (local, remote, request) = self.request().await?;
            let line = request.start_line();
            writeln!(self.out, "Request received {local}<-{remote}: {line}")?;
            let response = self.answer(&request)?;
            self.answering.send_response(response).await?;
            let (local, remote, response) = self.response().await?;
            let line = response.start_line();
            writeln!(self.out, "Response received {local}<-{remote}: {line}")?;
        }
        Ok(())
    }

    async fn substitution(&mut self) -> Result<(), Failure> {
        let request = self.options(self.channel(Protocol::Tcp)?)?;
        writeln!(
            self.out,
            "\nBefore substitution:\n{}",
            indented(&request.to_bytes())
        )?;
        let sent = self.asking.send_request(request).await?;
        writeln!(self.out, "After:\n{}", indented(sent.bytes()))?;
        if !sent.filled().via || !sent.filled().from || sent.filled().contacts != 1 {
            return Err("a placeholder was not filled in".into());
        }
        let (_, _, request) = self.request().await?;
        let response = self.answer(&request)?;
        self.answering.send_response(response).await?;
        self.response().await.map(drop)
    }

    async fn hints(&mut self) -> Result<(), Failure> {
        let request = self.options(self.channel(Protocol::Tcp)?)?;
        self.asking.send_request(request).await?;
        writeln!(self.out, "\nA response with a connection as hint:")?;
        let (_, remote, request) = self.request().await?;
        let connection = remote.connection.ok_or("TCP without a connection")?;
        let response = self.answer(&request)?;
        let sent = self
            .answering
            .send_response(response)
            .connection(connection)
            .await?;
        self.hint(&sent)?;
        if sent.hints().connection != HintOutcome::Honoured {
            return Err("the hint should have been honoured".into());
        }
        self.response().await?;

        let request = self.options(self.channel(Protocol::Udp)?)?;
        self.asking.send_request(request).await?;
        writeln!(
            self.out,
            "\nThe same hint for the response to a request that came over UDP:"
        )?;
        let (_, _, request) = self.request().await?;
        let response = self.answer(&request)?;
        let sent = self
            .answering
            .send_response(response)
            .connection(connection)
            .await?;
        self.hint(&sent)?;
        if !matches!(sent.hints().connection, HintOutcome::Overruled(_)) {
            return Err("the hint should have been overruled".into());
        }
        self.response().await.map(drop)
    }

    /// The first channel of that protocol.
    fn channel(&self, protocol: Protocol) -> Result<SipEndpoint, Failure> {
        let channels = self.answering.local_endpoints();
        let channel = channels.into_iter().find(|c| c.protocol == protocol);
        Ok(channel.ok_or("a channel is missing")?)
    }

    /// An OPTIONS to a channel, with placeholders for its sender.
    fn options(&mut self, to: SipEndpoint) -> Result<Request, Failure> {
        let tokens = &mut self.tokens;
        Ok(options(&uri(to)).build(|random| tokens.fill(random))?)
    }

    fn answer(&self, request: &Request) -> Result<Response, Failure> {
        Ok(self.answers.to(request)?.ok_or("nothing to answer")?)
    }

    /// Waits for a request, and says where it arrived and where it came from.
    async fn request(&mut self) -> Result<(SipEndpoint, SipEndpoint, Request), Failure> {
        loop {
            let event = self.requests.recv();
            match within(&self.runtime, PATIENCE, event).await.flatten() {
                Some(Event::Request {
                    local,
                    remote,
                    request,
                }) => return Ok((local, remote, request)),
                Some(_) => {}
                None => return Err("a request did not arrive".into()),
            }
        }
    }

    /// Waits for a response, and says where it arrived and where it came from.
    async fn response(&mut self) -> Result<(SipEndpoint, SipEndpoint, Response), Failure> {
        loop {
            let event = self.responses.recv();
            match within(&self.runtime, PATIENCE, event).await.flatten() {
                Some(Event::Response {
                    local,
                    remote,
                    response,
                }) => return Ok((local, remote, response)),
                Some(_) => {}
                None => return Err("a response did not arrive".into()),
            }
        }
    }

    /// Shows what became of the connection hint of a response.
    fn hint(&mut self, sent: &Sent) -> Result<(), Failure> {
        let (local, remote) = (sent.local(), sent.remote());
        let outcome = match sent.hints().connection {
            HintOutcome::NotGiven => "not given".to_owned(),
            HintOutcome::Honoured => "honoured".to_owned(),
            HintOutcome::Overruled(why) => format!("overruled: {why}"),
        };
        writeln!(self.out, "Response sent {local}->{remote}, hint {outcome}")?;
        Ok(())
    }
}

/// A URI that leads to a channel, over loopback.
fn uri(channel: SipEndpoint) -> String {
    let SipEndpoint { protocol, addr, .. } = channel;
    let ip = LOOPBACK
        .into_iter()
        .find(|ip| ip.is_ipv4() == addr.is_ipv4());
    let addr = SocketAddr::new(ip.unwrap_or_else(|| addr.ip()), addr.port());
    match protocol {
        Protocol::Udp => format!("sip:{addr}"),
        Protocol::Tcp => format!("sip:{addr};transport=tcp"),
        Protocol::Tls => format!("sips:{addr}"),
        Protocol::Ws => format!("sip:{addr};transport=ws"),
        Protocol::Wss => format!("sips:{addr};transport=ws"),
    }
}
