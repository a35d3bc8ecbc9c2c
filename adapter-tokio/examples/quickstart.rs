//! Real requests and responses over real sockets: start here.

use std::process::ExitCode;

use adapter_tokio::TokioRuntime;
use clap::Parser;
use testkit::examples::{exit_code, quickstart};

#[tokio::main]
async fn main() -> ExitCode {
    let args = quickstart::Args::parse();
    exit_code(quickstart::run::<TokioRuntime>(&args, &mut std::io::stdout()).await)
}
