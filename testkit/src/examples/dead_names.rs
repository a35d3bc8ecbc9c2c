//! Sends to many names that nobody answers for, and to one that somebody does: for measuring what
//! that costs.

use std::collections::BTreeMap;
use std::future::{IntoFuture as _, poll_fn};
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use adapter_core::SipTransport;
use adapter_core::runtime::CurrentRuntime;
use clap::Parser;

use super::{Failure, options, tokens};
use crate::suite::join;

/// Sends a request to each of many names at once, and one more; says how long that one took.
///
/// Both begin once a line comes on standard input; so it can be looked at from outside before.
#[derive(Clone, Debug, Parser)]
#[command(name = "dead_names", version)]
pub struct Args {
    /// Ask this name server
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub name_server: SocketAddr,
    /// Names that nobody answers for, with {} in place of a number
    #[arg(long, value_name = "NAME", default_value = "n{}.dead.test")]
    pub names: String,
    /// How many of them
    #[arg(long, value_name = "N", default_value = "1000")]
    pub count: usize,
    /// Where the one request goes that arrives, such as sip:example.com
    #[arg(long, value_name = "URI")]
    pub live: String,
}

/// Runs the example; what it shows goes to `out`.
///
/// # Errors
/// The one request did not get away, or one of the others did.
pub async fn run<R: CurrentRuntime>(
    args: &Args,
    start: &mut impl BufRead,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let builder = SipTransport::<R>::builder().name_servers([args.name_server]);
    let (transport, _incoming) = builder.bind().await?;
    let runtime = R::current()?;
    let mut tokens = tokens(&runtime)?;
    writeln!(out, "ready")?;
    start.read_line(&mut String::new())?;

    let begin = runtime.now();
    let mut requests = Vec::new();
    for i in 0..args.count {
        let uri = format!("sip:{}", args.names.replace("{}", &i.to_string()));
        requests.push(options(&uri).build(|random| tokens.fill(random))?);
    }
    let live = options(&args.live).build(|random| tokens.fill(random))?;
    let mut sends: Vec<_> = requests
        .into_iter()
        .map(|request| Box::pin(transport.send_request(request).into_future()))
        .collect();
    let (mut causes, mut arrived) = (BTreeMap::new(), 0_usize);
    let dead = poll_fn(|cx| {
        sends.retain_mut(|send| match send.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(_)) => {
                arrived += 1;
                false
            }
            Poll::Ready(Err(error)) => {
                let error = error.to_string();
                let cause = error.rsplit(": ").next().unwrap_or_default().to_owned();
                *causes.entry(cause).or_insert(0_usize) += 1;
                false
            }
        });
        match sends.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    let live = async {
        let begin = runtime.now();
        let sent = transport.send_request(live).await;
        (sent, runtime.now() - begin)
    };
    let ((), (sent, took)) = join(dead, live).await;
    writeln!(out, "live: {} after {}", sent?.remote(), milliseconds(took))?;
    let all = milliseconds(runtime.now() - begin);
    writeln!(
        out,
        "dead: {causes:?} after {all}; {:?}",
        transport.resolve_stats()
    )?;
    transport.shutdown().await;
    match arrived {
        0 => Ok(()),
        _ => Err(format!("{arrived} were sent to names that nobody has").into()),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
