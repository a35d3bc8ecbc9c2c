use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use atomic_waker::AtomicWaker;
use sip_transport_proto::resolve::{Answer, LookupId};

use crate::BoxFuture;
use crate::alarm::Alarm;
use crate::core::Core;

const INTERRUPTED: Answer = Answer::Failed(io::ErrorKind::Interrupted);

/// Waits for the answer to a lookup, unless the transport stops.
pub(crate) fn lookup(
    core: Arc<Core>,
    id: LookupId,
    mut answer: BoxFuture<Answer>,
    wake: Arc<AtomicWaker>,
) -> impl Future<Output = ()> + Send {
    let mut asked = Asked {
        core,
        id,
        answer: Some(INTERRUPTED),
    };
    async move {
        let limit = asked.core.with_router(|router| router.lookup_timeout());
        let until = asked.core.now() + limit;
        let mut alarm = Alarm::default();
        let result = poll_fn(|cx| {
            wake.register(cx.waker());
            if asked.core.is_stopping() {
                return Poll::Ready(INTERRUPTED);
            }
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            // The router has given it up by then: so that answers which never come leave nothing.
            let late = asked.core.workers.first().is_none_or(|worker| {
                let due = alarm.poll(cx, &*worker.runtime, Some(until));
                due.is_ready()
            });
            match late {
                true => Poll::Ready(Answer::Failed(io::ErrorKind::TimedOut)),
                false => Poll::Pending,
            }
        })
        .await;
        asked.answer.replace(result);
    }
}

/// Tells the router how the lookup ended, also where its runtime drops the task before its end.
struct Asked {
    core: Arc<Core>,
    id: LookupId,
    answer: Option<Answer>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.core.answered(self.id, answer);
        }
    }
}
