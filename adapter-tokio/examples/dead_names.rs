//! Sends to many names that nobody answers for.

use std::io::{stdin, stdout};
use std::process::ExitCode;

use adapter_tokio::TokioRuntime;
use clap::Parser;
use testkit::examples::{dead_names, exit_code};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = dead_names::Args::parse();
    let (mut start, mut out) = (stdin().lock(), stdout());
    exit_code(dead_names::run::<TokioRuntime>(&args, &mut start, &mut out).await)
}
