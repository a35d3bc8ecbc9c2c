//! Answers every request with 200. One single-threaded runtime for each worker, so that transport
//! and application take turns on one thread, in batches.

mod support;

use std::io::{self, stdout};
use std::process::ExitCode;
use std::thread;

use adapter_tokio::TokioRuntime;
use clap::Parser;
use testkit::examples::{Failure, exit_code, responder};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

fn main() -> ExitCode {
    exit_code(run(&responder::Args::parse()))
}

fn run(args: &responder::Args) -> Result<(), Failure> {
    let runtime = |_| Builder::new_current_thread().enable_all().build();
    let main = runtime(0)?;
    let others: Vec<Runtime> = (1..args.workers.get())
        .map(runtime)
        .collect::<io::Result<_>>()?;
    let all = [&main].into_iter().chain(&others);
    let all = all.map(|runtime| TokioRuntime::new(runtime.handle().clone()));
    let builder = args.builder()?.worker_runtimes(all);
    let (transport, incoming) = main.block_on(builder.bind())?;

    // The other threads run on until the transport has drained.
    let (running, stopped) = watch::channel(());
    let mut workers = incoming.into_workers().into_iter();
    let first = workers.next().ok_or("there is no worker")?;
    let mut threads = Vec::new();
    for (runtime, incoming) in others.into_iter().zip(workers) {
        let (args, transport, mut stopped) = (args.clone(), transport.clone(), stopped.clone());
        let thread = thread::Builder::new().spawn(move || {
            runtime.block_on(async {
                responder::answer(args, transport, incoming, stdout()).await;
                _ = stopped.changed().await;
            });
        });
        threads.push(thread?);
    }
    main.block_on(async {
        let answering = responder::answer(args.clone(), transport.clone(), first, stdout());
        tokio::spawn(answering);
        responder::run(args, &transport, support::interrupted()).await
    })?;
    drop(running);
    for thread in threads {
        thread.join().map_err(|_| "a worker panicked")?;
    }
    Ok(())
}
