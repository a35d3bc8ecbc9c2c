//! The receiving handle of a transport.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{fmt, vec};

use sip_transport_proto::Event;

use crate::hub::owner::Owner;
use crate::hub::queue::Queue;

/// The events of a transport, or of one of its workers.
///
/// Messages of one peer keep their order. A queue that is full (see
/// [`Builder::application_queue`](crate::Builder::application_queue)) makes streams wait and drops
/// datagrams. Once an `Incoming` is dropped, the messages for it are dropped and counted.
///
/// ```
/// use adapter_core::sip_core::{Method, StatusCode, build::ResponseBuilder};
/// use adapter_core::{Event, Incoming, SipTransport};
///
/// async fn answer<R>(transport: SipTransport<R>, mut incoming: Incoming) {
///     while let Some(event) = incoming.recv().await {
///         if let Event::Request { request, .. } = event
///             && request.method() != Method::Ack
///         {
///             let response = ResponseBuilder::new(&request, StatusCode::NOT_IMPLEMENTED);
///             if let Ok(response) = response.to_tag("7f3a").build() {
///                 transport.send_response(response).start(); // an event reports the outcome
///             }
///         }
///     }
/// }
/// ```
pub struct Incoming {
    workers: Vec<WorkerEvents>,
    /// The worker to poll first, so that all get their turn.
    next: usize,
    owner: Arc<Owner>,
}

struct WorkerEvents {
    queue: Arc<Queue>,
    batch: vec::IntoIter<Event>,
    ended: bool,
}

impl Incoming {
    pub(crate) fn new(queues: impl IntoIterator<Item = Arc<Queue>>, owner: Arc<Owner>) -> Self {
        let worker = |queue| WorkerEvents {
            queue,
            batch: Vec::new().into_iter(),
            ended: false,
        };
        Self {
            workers: queues.into_iter().map(worker).collect(),
            next: 0,
            owner,
        }
    }

    /// The next event; `None` once the transport is shut down and all events have been received.
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The polling form of [`recv`](Self::recv), for hand-written futures.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let count = self.workers.len();
        for _ in 0..count {
            let Some(worker) = self.workers.get_mut(self.next) else {
                self.next = 0;
                continue;
            };
            if let Poll::Ready(Some(event)) = worker.poll(cx) {
                return Poll::Ready(Some(event));
            }
            self.next = (self.next + 1) % count;
        }
        if self.workers.iter().all(|worker| worker.ended) {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    /// Splits this into one `Incoming` per worker: run each on its worker's runtime.
    pub fn into_workers(mut self) -> Vec<Self> {
        let workers = std::mem::take(&mut self.workers);
        let one = |worker| Self {
            workers: vec![worker],
            next: 0,
            owner: Arc::clone(&self.owner),
        };
        workers.into_iter().map(one).collect()
    }
}

impl WorkerEvents {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        if let Some(event) = self.batch.next() {
            return Poll::Ready(Some(event));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(self.queue.poll_take(cx)) {
            Some(batch) => self.batch = batch,
            None => self.ended = true,
        }
        Poll::Ready(self.batch.next())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.workers
            .iter()
            .for_each(|worker| worker.queue.abandon());
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}
