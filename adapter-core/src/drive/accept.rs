use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use sip_transport_proto::trace::{CONNECTION, LIMIT, SOCKET, Seldom};
use sip_transport_proto::{AcceptFilter, ChannelId};
use tracing::{debug, warn};

use super::connection;
use crate::alarm::Alarm;
use crate::core::Core;
use crate::{Listener, Stream};

/// Connections accepted in one turn, before other tasks get theirs.
const ROUNDS: usize = 16;

/// How long to wait after an error of accept, such as "too many open files": longer each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections until the channel is removed or the transport stops.
pub(crate) async fn accept(
    core: Arc<Core>,
    channel: ChannelId,
    listener: Box<dyn Listener>,
    wake: Arc<AtomicWaker>,
) {
    let mut pause = FIRST_PAUSE;
    let mut until: Option<Instant> = None;
    let mut alarm = Alarm::default();
    let said = Seldom::default();
    let filter = core.with_router(|router| router.accept_filter(channel));
    poll_fn(|cx| {
        wake.register(cx.waker());
        let Some(worker) = core.workers.first() else {
            return Poll::Ready(());
        };
        for _ in 0..ROUNDS {
            if core.is_stopping() || !core.has_listener(channel) {
                return Poll::Ready(());
            }
            if let Some(at) = until {
                ready!(alarm.poll(cx, &*worker.runtime, Some(at)));
                until = None;
            }
            // Nobody knows yet whose the next one will be.
            for worker in &core.workers {
                if worker.queue.poll_accept(cx).is_pending() {
                    if let Some(left_out) = said.now(core.now()) {
                        let local = listener.local_addr();
                        warn!(target: LIMIT, left_out, %local, "events are not fetched in time: nothing is accepted");
                    }
                    return Poll::Pending;
                }
            }
            match ready!(listener.poll_accept(cx)) {
                Ok((stream, _)) => {
                    pause = FIRST_PAUSE;
                    take(&core, channel, filter.as_ref(), stream);
                }
                Err(error) => {
                    warn!(target: SOCKET, %error, local = %listener.local_addr(), "cannot accept");
                    until = Some(core.now() + pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn take(
    core: &Arc<Core>,
    channel: ChannelId,
    filter: Option<&AcceptFilter>,
    stream: Box<dyn Stream>,
) {
    let (local, remote) = (stream.local_addr(), stream.remote_addr());
    if filter.is_some_and(|filter| !filter.allows(local, remote)) {
        debug!(target: CONNECTION, %remote, "connection refused by the application");
        return;
    }
    let now = core.now();
    let (accepted, asked) = core.ask(|router| {
        let machine = router.accept(now, channel, local, remote)?;
        Ok::<_, sip_transport_proto::error::AcceptError>(core.adopt(machine))
    });
    core.run(asked);
    match accepted {
        Ok(link) => core.spawn(link.worker, connection::run(Arc::clone(core), link, stream)),
        Err(error) => debug!(target: CONNECTION, %remote, %error, "refused"),
    }
}
