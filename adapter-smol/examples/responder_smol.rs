//! Answers every request with 200. One thread for each worker, so that transport and application
//! take turns on it, in batches.

mod support;

use std::future::pending;
use std::io::stdout;
use std::process::ExitCode;
use std::thread;

use adapter_smol::SingleThread;
use adapter_smol::runtime::Runtime as _;
use clap::Parser;
use testkit::examples::{Failure, exit_code, responder};

fn main() -> ExitCode {
    exit_code(run(&responder::Args::parse()))
}

fn run(args: &responder::Args) -> Result<(), Failure> {
    let main = SingleThread::new();
    let others = (1..args.workers.get()).map(|_| SingleThread::new());
    let others: Vec<_> = others.collect();
    let all = [&main]
        .into_iter()
        .chain(&others)
        .map(SingleThread::runtime);
    let all: Vec<_> = all.collect();
    let builder = args.builder()?.worker_runtimes(all.clone());
    let (transport, incoming) = main.block_on(builder.bind())?;
    for (runtime, incoming) in all.iter().zip(incoming.into_workers()) {
        let answering = responder::answer(args.clone(), transport.clone(), incoming, stdout());
        runtime.spawn(Box::pin(answering));
    }
    for worker in others {
        // It runs until the process ends, which the first outlives until all have drained.
        thread::Builder::new().spawn(move || worker.block_on(pending::<()>()))?;
    }
    main.block_on(responder::run(args, &transport, support::interrupted()))
}
