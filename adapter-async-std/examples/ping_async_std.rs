//! Sends OPTIONS and tells how long the answers take.

mod support;

use std::process::ExitCode;

use adapter_async_std::AsyncStdRuntime;
use clap::Parser;
use testkit::examples::{exit_code, ping};

fn main() -> ExitCode {
    let args = ping::Args::parse();
    let (interrupted, mut out) = (support::interrupted(), std::io::stdout());
    let example = ping::run::<AsyncStdRuntime>(&args, interrupted, &mut out);
    exit_code(async_std::task::block_on(example))
}
