//! Tasks that run on one thread.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;

use async_executor::Executor;

use super::AsyncStdRuntime;

thread_local! {
    static CURRENT: RefCell<Option<AsyncStdRuntime>> = const { RefCell::new(None) };
}

/// The runtime of the [`SingleThread`] that the caller runs in, if it does.
pub(super) fn current() -> Option<AsyncStdRuntime> {
    CURRENT.with_borrow(Clone::clone)
}

/// Tasks that run on one thread, the one that calls [`block_on`](Self::block_on), for as long as
/// that lasts; async-std has only tasks that move between threads. Dropping it drops its tasks.
///
/// ```
/// use adapter_async_std::{SingleThread, SipTransport};
///
/// let threads = [SingleThread::new(), SingleThread::new()];
/// let builder = SipTransport::builder().udp("127.0.0.1:0".parse()?);
/// let builder = builder.worker_runtimes(threads.each_ref().map(SingleThread::runtime));
/// let (transport, incoming) = threads[0].block_on(builder.bind())?;
/// for (thread, mut incoming) in threads.into_iter().zip(incoming.into_workers()) {
///     std::thread::spawn(move || thread.block_on(async move { incoming.recv().await }));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct SingleThread {
    executor: Arc<Executor<'static>>,
}

impl SingleThread {
    /// Without any task.
    pub fn new() -> Self {
        Self::default()
    }

    /// The runtime whose tasks run here.
    pub fn runtime(&self) -> AsyncStdRuntime {
        AsyncStdRuntime {
            executor: Some(Arc::downgrade(&self.executor)),
        }
    }

    /// Runs the future on this thread, and the tasks until it ends.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let _entered = Entered(CURRENT.replace(Some(self.runtime())));
        async_io::block_on(self.executor.run(future))
    }
}

/// Puts back the runtime that was current before.
struct Entered(Option<AsyncStdRuntime>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
