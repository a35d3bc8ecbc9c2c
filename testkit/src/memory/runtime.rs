use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use adapter_core::runtime::{
    BoxFuture, ConnectedDatagrams, CurrentRuntime, Datagrams, Listener, Resolve, Runtime,
    SocketOptions, Stream, Timer,
};
use sip_transport_proto::resolve::{Answer, DomainName, LookupKind};
use sip_transport_proto::sim::{HostId, LookupHandle};

use super::datagrams::MemoryDatagrams;
use super::executor::{Shared, current};
use super::faults::{Call, check};
use super::stream::{MemoryListener, connect};
use super::world::Question;

/// One host of a [`Simulation`](super::Simulation).
#[derive(Clone)]
pub struct MemoryRuntime {
    pub(super) shared: Arc<Shared>,
    pub(super) host: HostId,
}

impl MemoryRuntime {
    pub(super) fn new(shared: Arc<Shared>, host: HostId) -> Self {
        Self { shared, host }
    }

    /// Which host of the network it is.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Runs `main` on this host, and all other tasks meanwhile, until `main` ends.
    ///
    /// # Panics
    /// `main` can never end: no task can run, and nothing is due.
    pub fn block_on<T>(&self, main: impl Future<Output = T>) -> T {
        self.shared.block_on(self.host, main)
    }

    /// Waits for virtual time to pass.
    pub async fn sleep(&self, time: Duration) {
        let mut timer = self.timer(self.now() + time);
        poll_fn(|cx| timer.poll(cx)).await;
    }

    /// Adds a line to the trace.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        self.shared.world().network.note(what);
    }

    /// Runs `call` on a thread outside the runtime, which it may block.
    ///
    /// # Panics
    /// `call` panicked.
    pub async fn outside<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        match self.shared.outside(call).await {
            Ok(value) => value,
            Err(_) => panic!("the thread outside panicked"),
        }
    }
}

impl CurrentRuntime for MemoryRuntime {
    fn current() -> io::Result<Self> {
        current().ok_or_else(|| io::Error::other("not inside a simulation"))
    }
}

impl Runtime for MemoryRuntime {
    fn now(&self) -> Instant {
        self.shared.world().network.now()
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.shared.spawn(self.host, task);
    }

    fn timer(&self, at: Instant) -> Box<dyn Timer> {
        let id = self.shared.world().fresh();
        Box::new(MemoryTimer {
            shared: Arc::clone(&self.shared),
            at,
            id,
        })
    }

    fn bind_datagrams(
        &self,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Box<dyn Datagrams>> {
        check(&self.shared, self.host, Call::BindDatagrams)?;
        let socket = MemoryDatagrams::bind(&self.shared, self.host, local, options)?;
        Ok(Box::new(socket))
    }

    fn connect_datagrams(
        &self,
        _remote: SocketAddr,
        _local: SocketAddr,
    ) -> io::Result<Box<dyn ConnectedDatagrams>> {
        // Lookups are answered here, by `resolver`.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn listen(&self, local: SocketAddr, _options: &SocketOptions) -> io::Result<Box<dyn Listener>> {
        let listener = MemoryListener::bind(&self.shared, self.host, local)?;
        Ok(Box::new(listener))
    }

    fn connect(
        &self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (shared, host) = (Arc::clone(&self.shared), self.host);
        Box::pin(connect(shared, host, remote, local.map(|local| local.ip())))
    }

    fn lookup(&self, _host: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn resolver(&self) -> Option<Arc<dyn Resolve>> {
        Some(Arc::new(self.clone()))
    }

    fn local_address(&self, remote: SocketAddr) -> io::Result<IpAddr> {
        let world = self.shared.world();
        Ok(world.network.local_address(self.host, remote.ip())?)
    }

    fn fill_random(&self, seed: &mut [u8; 32]) -> io::Result<()> {
        *seed = self.shared.world().network.random();
        Ok(())
    }
}

impl fmt::Debug for MemoryRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRuntime")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// The DNS of the simulated network.
impl Resolve for MemoryRuntime {
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer> {
        let (shared, from) = (Arc::clone(&self.shared), self.host);
        Box::pin(async move {
            let asked = Asked::new(shared, from, kind, &name);
            poll_fn(|cx| asked.poll(cx)).await
        })
    }
}

/// A question that was asked, until it is forgotten.
struct Asked {
    shared: Arc<Shared>,
    lookup: LookupHandle,
}

impl Asked {
    fn new(shared: Arc<Shared>, from: HostId, kind: LookupKind, name: &DomainName) -> Self {
        let mut world = shared.world();
        let lookup = world.network.lookup(from, kind, name);
        world.lookups.insert(lookup, Question::default());
        drop(world);
        Self { shared, lookup }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Answer> {
        let mut world = self.shared.world();
        let Some(question) = world.lookups.get_mut(&self.lookup) else {
            return Poll::Pending;
        };
        match question.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                question.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.world().lookups.remove(&self.lookup);
    }
}

struct MemoryTimer {
    shared: Arc<Shared>,
    at: Instant,
    id: u64,
}

impl Timer for MemoryTimer {
    fn reset(&mut self, at: Instant) {
        self.shared.world().timers.remove(&(self.at, self.id));
        self.at = at;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut world = self.shared.world();
        if world.network.now() >= self.at {
            world.timers.remove(&(self.at, self.id));
            return Poll::Ready(());
        }
        world.timers.insert((self.at, self.id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for MemoryTimer {
    fn drop(&mut self) {
        self.shared.world().timers.remove(&(self.at, self.id));
    }
}

impl fmt::Debug for MemoryTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTimer").finish_non_exhaustive()
    }
}
