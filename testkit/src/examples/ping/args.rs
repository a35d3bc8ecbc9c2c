use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use adapter_core::runtime::CurrentRuntime;
use adapter_core::sip_transport_proto::sip_core::uri::Uri;
use adapter_core::sip_transport_proto::tls::rustls::RootCertStore;
use adapter_core::sip_transport_proto::tls::{TlsClient, TlsConfig, roots_from_pem};
use adapter_core::sip_transport_proto::{ChannelConfig, Config, Direction, Protocol, Tapped};
use adapter_core::{Builder, SipTransport};
use clap::Parser;

use super::Expected;
use crate::examples::{Failure, indented, pcap, provider, read};

/// Sends OPTIONS requests and shows how long the responses take.
///
/// Exits with 0 if a response came that is expected, else with 1.
#[derive(Clone, Debug, Parser)]
#[command(name = "ping", version)]
pub struct Args {
    /// Where to, such as example.com, sip:192.0.2.1, "sip:example.com:5070;transport=tcp" or
    /// sips:example.com; without a scheme it is a sip URI
    #[arg(value_parser = target)]
    pub uri: String,
    /// Who asks; without it, our own address
    #[arg(long, value_name = "URI", value_parser = target)]
    pub from: Option<String>,
    /// Over IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Over IPv6 only
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Root certificates, as PEM, that the server's certificate must lead to; without, those of the
    /// system
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
    /// Succeed with this status code only, not with any 2xx
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(200..=699))]
    pub expect: Option<u16>,
    /// Succeed with any final response
    #[arg(long, conflicts_with = "expect")]
    pub any_response: bool,
    /// Write all messages into a pcapng file
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,
    /// Show all messages
    #[arg(short, long)]
    pub verbose: bool,
}

impl Args {
    /// Which responses count as success.
    pub fn expected(&self) -> Expected {
        match self.expect {
            Some(code) => Expected::Code(code),
            None if self.any_response => Expected::Any,
            None => Expected::Success,
        }
    }

    /// The transport that they ask for; messages are written to `shown` where they are to be shown.
    pub(super) fn builder<R: CurrentRuntime>(
        &self,
        shown: mpsc::Sender<String>,
    ) -> Result<Builder<R>, Failure> {
        let mut config = Config::default();
        if let Some(tls) = self.tls()? {
            config.tls(tls);
        }
        if self.verbose {
            // Nobody looks any more once the example ends.
            config.tap(move |message| drop(shown.send(text(&message))));
        }
        let builder = SipTransport::builder().name_servers(self.name_server.iter().copied());
        let mut builder = pcap(builder, self.pcap.as_deref());
        if let Some(any) = self.only() {
            // Channels of the other family are not made.
            config.create_client_channels(false);
            for protocol in Protocol::ALL {
                let channel = ChannelConfig::new(protocol, (any, 0).into());
                builder = builder.channel(channel.listener(false));
            }
        }
        Ok(builder.config(config))
    }

    /// Any address of the only family that may be used.
    fn only(&self) -> Option<IpAddr> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Ipv4Addr::UNSPECIFIED.into()),
            (_, true) => Some(Ipv6Addr::UNSPECIFIED.into()),
            _ => None,
        }
    }

    /// Whom to trust; `None` if the system trusts nobody.
    fn tls(&self) -> Result<Option<TlsConfig>, Failure> {
        let client = TlsClient::new(provider());
        if self.insecure {
            return Ok(Some(client.dangerous_without_verification().build()?));
        }
        let roots = match &self.ca {
            Some(ca) => {
                roots_from_pem(&read(ca)?).map_err(|error| format!("{}: {error}", ca.display()))?
            }
            None => system_roots(),
        };
        match roots.is_empty() {
            true => Ok(None),
            false => Ok(Some(client.roots(roots).build()?)),
        }
    }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// A URI of SIP, which may lack its scheme.
fn target(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let known = ["sip", "sips", "tel"];
    let uri = match scheme {
        Some(scheme) if known.iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            text.to_owned()
        }
        _ if text.parse::<Ipv6Addr>().is_ok() => format!("sip:[{text}]"),
        _ => format!("sip:{text}"),
    };
    match Uri::try_from(uri.as_str()) {
        Ok(_) => Ok(uri),
        Err(error) => Err(format!("{uri}: {error}")),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let valid = (0.001..=3600.0).contains(&seconds);
    valid
        .then(|| Duration::from_secs_f64(seconds))
        .ok_or_else(|| "not between 0.001 and 3600".to_owned())
}

/// A message as `--verbose` shows it.
fn text(message: &Tapped<'_>) -> String {
    let Tapped { local, remote, .. } = message;
    let mut text = match message.direction {
        Direction::Out => format!("Sent {local}->{remote}"),
        Direction::In => format!("Received {local}<-{remote}"),
    };
    if let Some(error) = message.error {
        // A string takes all that is written to it.
        _ = write!(text, ", malformed: {error}");
    }
    format!("{text}:\n{}", indented(message.bytes))
}
