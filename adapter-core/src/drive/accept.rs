use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};

use atomic_waker::AtomicWaker;
use sip_transport_proto::trace::{CONNECTION, LIMIT, SOCKET, Seldom};
use sip_transport_proto::{AcceptFilter, ChannelId};
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::connection;
use super::watch::Watch;
use crate::core::Core;
use crate::{Listener, Stream};

/// Connections accepted in one turn, before other tasks get theirs.
const ROUNDS: usize = 16;

/// Accepts connections until the channel is removed or the transport stops.
pub(crate) fn accept(
    core: Arc<Core>,
    channel: ChannelId,
    listener: Box<dyn Listener>,
    wake: Arc<AtomicWaker>,
) -> impl Future<Output = ()> + Send {
    let watch = Watch { core, channel };
    async move { accept_all(&watch.core, channel, listener, &wake).await }
}

async fn accept_all(
    core: &Arc<Core>,
    channel: ChannelId,
    listener: Box<dyn Listener>,
    wake: &AtomicWaker,
) {
    let mut backoff = Backoff::new();
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
            ready!(backoff.poll(cx, &*worker.runtime));
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
                    backoff.reset();
                    take(core, channel, filter.as_ref(), stream);
                }
                Err(error) => {
                    if let Some(left_out) = backoff.failed(core.now()) {
                        let local = listener.local_addr();
                        warn!(target: SOCKET, %error, left_out, %local, "cannot accept");
                    }
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
