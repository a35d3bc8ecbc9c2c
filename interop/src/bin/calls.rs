//! Makes calls to a responder, and tells how many succeeded.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use interop::Failure;
use interop::calls::{Load, Outcome, run};
use interop::link::{Connector, Framing, Over};
use interop::tls::Trust;

/// Makes calls (INVITE, 200, ACK, BYE, 200) and checks every response.
#[derive(Debug, Parser)]
#[command(name = "calls", version)]
struct Args {
    /// Whom to call
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// Over what
    #[arg(long, value_enum)]
    over: Over,
    /// How many calls
    #[arg(long, value_name = "N", default_value = "1000")]
    calls: usize,
    /// Over how many connections
    #[arg(long, value_name = "N", default_value = "4", value_parser = at_least_one)]
    connections: usize,
    /// How many calls at once on each connection
    #[arg(long, value_name = "N", default_value = "16", value_parser = at_least_one)]
    window: usize,
    /// Certificates to trust, a PEM file
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take any certificate
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
    /// The name that the server's certificate must be for
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    server_name: String,
    /// Certificate chain to show if the server asks, a PEM file
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Nothing newer than TLS 1.2
    #[arg(long)]
    tls12: bool,
    /// WebSocket messages as binary, each in two fragments with a ping between
    #[arg(long)]
    fragments: bool,
    /// Let the callee's 200 have no Contact, as that of a stateless responder
    #[arg(long)]
    no_contact: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("not 0".to_owned()),
        number => number.map_err(|_| "not a number".to_owned()),
    }
}

fn main() -> ExitCode {
    match calls(&Args::parse()) {
        Ok(outcome) => {
            outcome
                .problems
                .iter()
                .take(10)
                .for_each(|problem| eprintln!("{problem}"));
            println!(
                "{} calls succeeded, {} failed",
                outcome.succeeded, outcome.failed
            );
            ExitCode::from(u8::from(outcome.failed > 0 || !outcome.problems.is_empty()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn calls(args: &Args) -> Result<Outcome, Failure> {
    if args.over.is_secure() && args.ca.is_none() && !args.insecure {
        return Err("TLS takes --ca or --insecure".into());
    }
    let trust = Trust {
        ca: args.ca.as_deref(),
        identity: args.cert.as_deref().zip(args.key.as_deref()),
        tls12: args.tls12,
    };
    let connector = Connector {
        to: args.to,
        from: None,
        over: args.over,
        name: args.server_name.clone(),
        tls: trust.config()?,
        framing: if args.fragments {
            Framing::Fragments
        } else {
            Framing::Text
        },
    };
    Ok(run(
        &connector,
        Load {
            calls: args.calls,
            connections: args.connections,
            window: args.window,
            contact: !args.no_contact,
        },
    ))
}
