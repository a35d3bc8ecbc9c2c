//! The task of the router's timers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::hub::Hub;
use crate::hub::alarm::Alarm;

/// Runs the router's timers. Everything else of the router runs where its inputs arise.
pub(crate) async fn router(hub: Arc<Hub>) {
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        hub.router_waker.register(cx.waker());
        if hub.is_stopping() {
            return Poll::Ready(());
        }
        loop {
            let deadline = hub.with_router(|router| router.poll_timeout());
            let Some(worker) = hub.workers.first() else {
                return Poll::Ready(());
            };
            if alarm
                .poll(cx, &*worker.runtime, deadline.map(|(at, _)| at))
                .is_pending()
            {
                return Poll::Pending;
            }
            let now = hub.now();
            let ((), outputs) = hub.call_router(|router| router.handle_timeout(now));
            hub.run(outputs);
        }
    })
    .await;
}
