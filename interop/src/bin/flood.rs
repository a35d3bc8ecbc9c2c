//! Floods a responder with datagrams from one address, and tells whether others are answered all the same.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use interop::flood::{Flood, run};

/// Sends binding requests and malformed requests over UDP as fast as asked for; meanwhile honest peers, each from a
/// network of its own, send one OPTIONS, one binding request and one malformed request each, and all of them are to be
/// answered.
#[derive(Debug, Parser)]
#[command(name = "flood", version)]
struct Args {
    /// Where to, over UDP
    #[arg(long, value_name = "ADDR")]
    to: SocketAddr,
    /// Where the flood comes from
    #[arg(long, value_name = "IP", default_value = "127.0.0.2")]
    from: IpAddr,
    /// How many binding requests it has a second, and as many malformed requests
    #[arg(long, value_name = "N", default_value = "22000")]
    per_second: u32,
    /// How many honest peers there are
    #[arg(long, value_name = "N", default_value = "40")]
    honest: u8,
    /// How many milliseconds each waits for an answer before it asks once more, twice at most
    #[arg(long, value_name = "MS", default_value = "500")]
    patience: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let flood = Flood {
        to: args.to,
        from: args.from,
        per_second: args.per_second,
        honest: args.honest,
        patience: Duration::from_millis(args.patience),
    };
    match run(flood) {
        Ok(outcome) => {
            let seconds = outcome.took.as_secs_f64();
            println!(
                "{} datagrams in {seconds:.1} s ({:.0} a second), {} answered; all of {} honest peers were answered \
                 thrice, the slowest in {:.1} ms; {} requests were sent again",
                outcome.sent,
                outcome.sent as f64 / seconds,
                outcome.answers,
                args.honest,
                outcome.slowest.as_secs_f64() * 1e3,
                outcome.again
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
