//! Real requests and responses over real sockets: start here.

use std::process::ExitCode;

use adapter_smol::SmolRuntime;
use clap::Parser;
use testkit::examples::{exit_code, quickstart};

fn main() -> ExitCode {
    let args = quickstart::Args::parse();
    let mut out = std::io::stdout();
    exit_code(smol::block_on(quickstart::run::<SmolRuntime>(
        &args, &mut out,
    )))
}
