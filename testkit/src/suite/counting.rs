use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use adapter_core::runtime::{
    BoxFuture, ConnectedDatagrams, CurrentRuntime, Datagrams, Listener, Runtime, SocketOptions,
    Stream, Timer,
};

thread_local! {
    /// How many tasks there are of the case that this thread runs.
    static TASKS: RefCell<Arc<AtomicUsize>> = RefCell::default();
}

/// A runtime that counts its tasks, for one that does not tell how many it has.
#[derive(Debug)]
pub struct Counting<R> {
    runtime: R,
    tasks: Arc<AtomicUsize>,
}

impl<R> Counting<R> {
    /// Counts what this runtime runs, for the case that this thread runs.
    pub fn new(runtime: R) -> Self {
        let tasks = TASKS.with_borrow(Arc::clone);
        Self { runtime, tasks }
    }

    /// Begins to count for another case.
    pub fn begin() {
        TASKS.set(Arc::default());
    }

    /// How many tasks there are of the case that this thread runs.
    pub fn tasks() -> usize {
        TASKS.with_borrow(|tasks| tasks.load(Ordering::Acquire))
    }
}

impl<R: CurrentRuntime> CurrentRuntime for Counting<R> {
    fn current() -> io::Result<Self> {
        R::current().map(Self::new)
    }

    fn is_inside() -> bool {
        R::is_inside()
    }
}

impl<R: Runtime> Runtime for Counting<R> {
    fn now(&self) -> Instant {
        self.runtime.now()
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.tasks.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(Arc::clone(&self.tasks));
        self.runtime.spawn(Box::pin(async move {
            let _counted = counted;
            task.await;
        }));
    }

    fn timer(&self, at: Instant) -> Box<dyn Timer> {
        self.runtime.timer(at)
    }

    fn bind_datagrams(
        &self,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Box<dyn Datagrams>> {
        self.runtime.bind_datagrams(local, options)
    }

    fn connect_datagrams(
        &self,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> io::Result<Box<dyn ConnectedDatagrams>> {
        self.runtime.connect_datagrams(remote, local)
    }

    fn listen(&self, local: SocketAddr, options: &SocketOptions) -> io::Result<Box<dyn Listener>> {
        self.runtime.listen(local, options)
    }

    fn connect(
        &self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        self.runtime.connect(remote, local)
    }

    fn lookup(&self, host: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        self.runtime.lookup(host)
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
