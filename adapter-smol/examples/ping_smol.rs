//! Sends OPTIONS and tells how long the answers take.

mod support;

use std::process::ExitCode;

use adapter_smol::SmolRuntime;
use clap::Parser;
use testkit::examples::{exit_code, ping};

fn main() -> ExitCode {
    let args = ping::Args::parse();
    let (interrupted, mut out) = (support::interrupted(), std::io::stdout());
    let example = ping::run::<SmolRuntime>(&args, interrupted, &mut out);
    exit_code(smol::block_on(example))
}
