//! Lets an attacker take all the connections it can, and tells whether honest peers and newcomers are served all the same.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use interop::Failure;
use interop::link::Connector;
use interop::siege::{Outcome, Siege, run};

/// Honest peers idle, then an attacker connects from one address and from many, each connection with a request;
/// newcomers are to be served behind it, and the honest ones are to be connected still.
#[derive(Debug, Parser)]
#[command(name = "siege", version)]
struct Args {
    /// Where to, over TCP
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// How many honest peers there are
    #[arg(long, value_name = "N", default_value = "60")]
    honest: u8,
    /// How many seconds they idle before the attack
    #[arg(long, value_name = "SECONDS", default_value = "66")]
    idle: u64,
    /// How many connections the attacker tries from each address
    #[arg(long, value_name = "N", default_value = "100")]
    connections: usize,
    /// How many addresses it has in its second attack
    #[arg(long, value_name = "N", default_value = "64")]
    addresses: u8,
    /// How many newcomers there are behind each attack
    #[arg(long, value_name = "N", default_value = "5")]
    newcomers: u8,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match siege(&args) {
        Ok(Outcome {
            answered,
            newcomers,
        }) => {
            println!(
                "{answered} of the attacker's connections were answered; all of {} honest peers stay, all of {newcomers} \
                 newcomers were let in",
                args.honest
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn siege(args: &Args) -> Result<Outcome, Failure> {
    let connector = Connector::tcp(args.to)?;
    let siege = Siege {
        honest: args.honest,
        idle: Duration::from_secs(args.idle),
        connections: args.connections,
        addresses: args.addresses,
        newcomers: args.newcomers,
    };
    run(&connector, siege)
}
