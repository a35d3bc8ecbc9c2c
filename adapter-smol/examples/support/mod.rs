//! What the examples of this adapter share.

use async_signal::{Signal, Signals};
use smol::stream::StreamExt as _;

/// Ready once the process is asked to end.
pub(crate) async fn interrupted() {
    let asks = if cfg!(unix) {
        &[Signal::Int, Signal::Term][..]
    } else {
        &[Signal::Int]
    };
    match Signals::new(asks) {
        // In a task, as each look for a signal is a system call.
        Ok(mut signals) => _ = smol::spawn(async move { signals.next().await }).await,
        Err(_) => std::future::pending().await,
    }
}
