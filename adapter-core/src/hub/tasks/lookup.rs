//! The task of a lookup.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use atomic_waker::AtomicWaker;
use sip_transport_proto::resolve::{Answer, LookupId};

use crate::hub::Hub;
use crate::runtime::BoxFuture;

const INTERRUPTED: Answer = Answer::Failed(io::ErrorKind::Interrupted);

/// Waits for the answer to a lookup, unless it is no longer needed or the transport stops.
pub(crate) fn lookup(
    hub: Arc<Hub>,
    id: LookupId,
    mut answer: BoxFuture<Answer>,
    wake: Arc<AtomicWaker>,
) -> impl Future<Output = ()> + Send {
    let mut guard = LookupGuard {
        hub,
        id,
        answer: Some(INTERRUPTED),
    };
    async move {
        let result = poll_fn(|cx| {
            wake.register(cx.waker());
            if guard.hub.is_stopping() || guard.hub.is_cancelled(id) {
                return Poll::Ready(INTERRUPTED);
            }
            answer.as_mut().poll(cx)
        })
        .await;
        // The guard passes it to the router, which resumes the sends that wait for it.
        guard.answer.replace(result);
    }
}

/// A guard that reports the end of the lookup to the router, even if the runtime drops the task.
struct LookupGuard {
    hub: Arc<Hub>,
    id: LookupId,
    answer: Option<Answer>,
}

impl Drop for LookupGuard {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.hub.handle_lookup(self.id, answer);
        }
    }
}
