//! Sends OPTIONS and tells how long the answers take.

mod support;

use std::process::ExitCode;

use adapter_tokio::TokioRuntime;
use clap::Parser;
use testkit::examples::{exit_code, ping};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = ping::Args::parse();
    let interrupted = support::interrupted();
    exit_code(ping::run::<TokioRuntime>(&args, interrupted, &mut std::io::stdout()).await)
}
