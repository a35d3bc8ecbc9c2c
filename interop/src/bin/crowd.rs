//! Lets a crowd of silent connections come from one address, and tells how others fared meanwhile.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use interop::Failure;
use interop::crowd::{Crowd, Outcome, Served, run};
use interop::link::Connector;

/// How long the server may take to close what is too much.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects many times from one address without a word; others are to be served all the while, flows that were used
/// before are to stay, and the server is to keep few of the crowd.
#[derive(Debug, Parser)]
#[command(name = "crowd", version)]
struct Args {
    /// Where to, over TCP
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// Where the crowd comes from
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: IpAddr,
    /// Where others come from
    #[arg(long, value_name = "IP", default_value = "127.0.0.2")]
    other: IpAddr,
    /// How many connections the crowd tries
    #[arg(long, value_name = "N", default_value = "10000")]
    count: usize,
    /// How many of them to hold at once: what the limit of open files allows
    #[arg(long, value_name = "N", default_value = "10000")]
    at_once: usize,
    /// How many flows from the crowd's address have been used before
    #[arg(long, value_name = "N", default_value = "50")]
    flows: usize,
    /// How many silent connections the server may keep from one address
    #[arg(long, value_name = "N", default_value = "8192")]
    allowed: usize,
}

fn main() -> ExitCode {
    match crowd(&Args::parse()) {
        Ok(Outcome {
            connected,
            kept,
            took,
            others,
            flows,
        }) => {
            println!(
                "{connected} connected in {:.1} s, {kept} kept; {}; {}",
                took.as_secs_f64(),
                told("exchanges of others", others),
                told("over flows used before", flows),
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn told(what: &str, served: Served) -> String {
    let slowest = served.slowest.as_secs_f64() * 1e3;
    format!("{} {what}, the slowest in {slowest:.1} ms", served.count)
}

fn crowd(args: &Args) -> Result<Outcome, Failure> {
    let connector = Connector::tcp(args.to)?;
    let crowd = Crowd {
        from: args.from,
        other: args.other,
        count: args.count,
        at_once: args.at_once.max(1),
        flows: args.flows,
        allowed: args.allowed,
        patience: PATIENCE,
    };
    run(&connector, crowd)
}
