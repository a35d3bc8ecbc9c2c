//! What the examples of this adapter share.

use async_signal::{Signal, Signals};
use async_std::stream::StreamExt as _;

/// Ready once the process is asked to end.
pub(crate) async fn interrupted() {
    let asks = if cfg!(unix) {
        &[Signal::Int, Signal::Term][..]
    } else {
        &[Signal::Int]
    };
    match Signals::new(asks) {
        Ok(mut signals) => _ = signals.next().await,
        Err(_) => std::future::pending().await,
    }
}
