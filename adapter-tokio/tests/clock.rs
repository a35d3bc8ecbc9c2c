//! tokio's clock, which can be paused.
#![allow(clippy::unwrap_used)]

use std::future::poll_fn;
use std::time::Duration;

use adapter_tokio::TokioRuntime;
use adapter_tokio::runtime::{CurrentRuntime as _, Runtime as _};

#[tokio::test(start_paused = true)]
async fn timers_follow_the_clock_of_the_runtime() {
    let runtime = TokioRuntime::current().unwrap();
    let start = runtime.now();
    let mut timer = runtime.timer(start + Duration::from_secs(3600));
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(runtime.now() >= start + Duration::from_secs(3600));
    timer.reset(start + Duration::from_secs(7200));
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(runtime.now() >= start + Duration::from_secs(7200));
}
