//! Sends to many names that nobody answers for.

use std::io::{stdin, stdout};
use std::process::ExitCode;

use adapter_smol::SmolRuntime;
use clap::Parser;
use testkit::examples::{dead_names, exit_code};

fn main() -> ExitCode {
    let args = dead_names::Args::parse();
    let (mut start, mut out) = (stdin().lock(), stdout());
    let example = dead_names::run::<SmolRuntime>(&args, &mut start, &mut out);
    exit_code(smol::block_on(example))
}
