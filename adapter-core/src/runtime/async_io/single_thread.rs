//! Tasks that run on one thread.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use async_executor::Executor;

use super::AsyncIoRuntime;

thread_local! {
    static CURRENT: RefCell<Option<Weak<Executor<'static>>>> = const { RefCell::new(None) };
}

/// The executor of the [`SingleThread`] that the caller runs in, if any.
pub(super) fn current() -> Option<Weak<Executor<'static>>> {
    CURRENT.with_borrow(Clone::clone)
}

/// An executor whose tasks run on one thread, the one that calls [`block_on`](Self::block_on), for
/// as long as that call lasts. Dropping it drops its tasks.
///
/// The threads of `T` run none of them: their tasks move between threads.
pub struct SingleThread<T> {
    executor: Arc<Executor<'static>>,
    threads: PhantomData<fn() -> T>,
}

impl<T> SingleThread<T> {
    /// An executor without tasks.
    pub fn new() -> Self {
        Self {
            executor: Arc::default(),
            threads: PhantomData,
        }
    }

    /// The runtime whose tasks run here.
    pub fn runtime(&self) -> AsyncIoRuntime<T> {
        AsyncIoRuntime::on(Arc::downgrade(&self.executor))
    }

    /// Runs the future on this thread, and the tasks until it ends.
    pub fn block_on<O>(&self, future: impl Future<Output = O>) -> O {
        let _entered = Entered(CURRENT.replace(Some(Arc::downgrade(&self.executor))));
        async_io::block_on(self.executor.run(future))
    }
}

impl<T> Default for SingleThread<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for SingleThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleThread").finish_non_exhaustive()
    }
}

/// A guard that restores the executor that was current before.
struct Entered(Option<Weak<Executor<'static>>>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
