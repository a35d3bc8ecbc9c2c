use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use atomic_waker::AtomicWaker;
use sip_transport_proto::QueryId;

use crate::BoxFuture;
use crate::core::Core;

/// Waits for the answer to a lookup, unless the transport stops.
pub(crate) fn lookup(
    core: Arc<Core>,
    query: QueryId,
    mut answer: BoxFuture<io::Result<Vec<IpAddr>>>,
    wake: Arc<AtomicWaker>,
) -> impl Future<Output = ()> + Send {
    let answer_if_dropped = Some(Err(io::ErrorKind::Interrupted.into()));
    let mut asked = Asked {
        core,
        query,
        answer: answer_if_dropped,
    };
    async move {
        let result = poll_fn(|cx| {
            wake.register(cx.waker());
            if asked.core.is_stopping() {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            answer.as_mut().poll(cx)
        })
        .await;
        asked.answer.replace(result);
    }
}

/// Tells the router how the lookup ended, also where its runtime drops the task before its end.
struct Asked {
    core: Arc<Core>,
    query: QueryId,
    answer: Option<io::Result<Vec<IpAddr>>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.core.answered(self.query, answer);
        }
    }
}
