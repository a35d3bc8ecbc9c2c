use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::alarm::Alarm;
use crate::core::Core;

/// Runs the router's timers. Everything else of the router runs where its inputs arise.
pub(crate) async fn router(core: Arc<Core>) {
    let mut alarm = Alarm::default();
    poll_fn(|cx| {
        core.router_task.register(cx.waker());
        if core.is_stopping() {
            return Poll::Ready(());
        }
        loop {
            let deadline = core.with_router(|router| router.poll_timeout());
            let Some(worker) = core.workers.first() else {
                return Poll::Ready(());
            };
            if alarm
                .poll(cx, &*worker.runtime, deadline.map(|(at, _)| at))
                .is_pending()
            {
                return Poll::Pending;
            }
            let now = core.now();
            let ((), asked) = core.ask(|router| router.handle_timeout(now));
            core.run(asked);
        }
    })
    .await;
}
