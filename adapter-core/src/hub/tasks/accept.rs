//! The task of a listener.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};

use atomic_waker::AtomicWaker;
use sip_transport_proto::ChannelId;
use sip_transport_proto::parts::{AcceptFilter, LogLimiter};
use sip_transport_proto::trace::{CONNECTION, LIMIT, SOCKET};
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::connection;
use super::watch::Watch;
use crate::hub::Hub;
use crate::runtime::{Listener, Stream};

/// The connections accepted in one turn, before other tasks run.
const ROUNDS: usize = 16;

/// Accepts connections until the channel is removed or the transport stops.
pub(crate) fn accept(
    hub: Arc<Hub>,
    channel: ChannelId,
    listener: Box<dyn Listener>,
    wake: Arc<AtomicWaker>,
) -> impl Future<Output = ()> + Send {
    let watch = Watch { hub, channel };
    async move { accept_all(&watch.hub, channel, listener, &wake).await }
}

async fn accept_all(
    hub: &Arc<Hub>,
    channel: ChannelId,
    listener: Box<dyn Listener>,
    wake: &AtomicWaker,
) {
    let mut backoff = Backoff::new();
    let said = LogLimiter::default();
    let filter = hub.with_router(|router| router.accept_filter(channel));
    poll_fn(|cx| {
        wake.register(cx.waker());
        let Some(worker) = hub.workers.first() else {
            return Poll::Ready(());
        };
        for _ in 0..ROUNDS {
            if hub.is_stopping() || !hub.has_listener(channel) {
                return Poll::Ready(());
            }
            ready!(backoff.poll(cx, &*worker.runtime));
            // It is not known yet which worker gets the next one.
            for worker in &hub.workers {
                if worker.queue.poll_accept(cx).is_pending() {
                    if let Some(left_out) = said.now(hub.now()) {
                        let local = listener.local_addr();
                        warn!(target: LIMIT, left_out, %local, "the application is slow to fetch events: accepting connections is paused");
                    }
                    return Poll::Pending;
                }
            }
            match ready!(listener.poll_accept(cx)) {
                Ok((stream, _)) => {
                    backoff.reset();
                    take(hub, channel, filter.as_ref(), stream);
                }
                Err(error) => {
                    if let Some(left_out) = backoff.failed(hub.now()) {
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
    hub: &Arc<Hub>,
    channel: ChannelId,
    filter: Option<&AcceptFilter>,
    stream: Box<dyn Stream>,
) {
    let (local, remote) = (stream.local_addr(), stream.remote_addr());
    if filter.is_some_and(|filter| !filter.allows(local, remote)) {
        debug!(target: CONNECTION, %remote, "connection refused by the application");
        return;
    }
    let now = hub.now();
    let (accepted, outputs) = hub.call_router(|router| {
        let machine = router.accept(now, channel, local, remote)?;
        Ok::<_, sip_transport_proto::error::AcceptError>(hub.insert_connection(machine))
    });
    hub.run(outputs);
    match accepted {
        Ok(connection) => hub.spawn(
            connection.worker,
            connection::run(Arc::clone(hub), connection, stream),
        ),
        Err(error) => debug!(target: CONNECTION, %remote, %error, "refused"),
    }
}
