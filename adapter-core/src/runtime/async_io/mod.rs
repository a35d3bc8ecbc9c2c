//! Sockets, timers and threads on async-io, for the runtimes built on it: smol and async-std.

mod single_thread;
mod sockets;

use std::collections::BTreeSet;
use std::future::Future;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::Instant;
use std::{fmt, io};

use async_executor::Executor;

use super::{
    BoxFuture, ConnectedDatagrams, CurrentRuntime, Datagrams, Listener, Runtime, SocketOptions,
    Stream, Timer,
};

pub use single_thread::SingleThread;

/// The threads of a runtime on which any task may run.
pub trait Threads: 'static {
    /// Runs `task` on them.
    fn spawn(task: BoxFuture<()>);

    /// Returns true if [`spawn`](Self::spawn) may be called here.
    fn is_usable() -> bool;

    /// Returns true if the caller runs in a task, and so must not block.
    fn is_inside() -> bool;
}

/// The runtime for the tasks of a transport: the threads `T`, or one [`SingleThread`].
///
/// Sockets and timers are those of async-io, which need no runtime, so sockets may be opened and
/// messages sent from any thread.
pub struct AsyncIoRuntime<T> {
    /// The executor of a [`SingleThread`]. It holds the tasks, which hold the runtime: hence weak.
    executor: Option<Weak<Executor<'static>>>,
    threads: PhantomData<fn() -> T>,
}

impl<T> AsyncIoRuntime<T> {
    /// A runtime whose tasks run on the threads `T`.
    pub const fn new() -> Self {
        Self {
            executor: None,
            threads: PhantomData,
        }
    }

    const fn on(executor: Weak<Executor<'static>>) -> Self {
        Self {
            executor: Some(executor),
            threads: PhantomData,
        }
    }
}

impl<T> Clone for AsyncIoRuntime<T> {
    fn clone(&self) -> Self {
        Self {
            executor: self.executor.clone(),
            threads: PhantomData,
        }
    }
}

impl<T> Default for AsyncIoRuntime<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for AsyncIoRuntime<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_single = self.executor.is_some();
        f.debug_struct("AsyncIoRuntime")
            .field("single_thread", &is_single)
            .finish_non_exhaustive()
    }
}

impl<T: Threads> CurrentRuntime for AsyncIoRuntime<T> {
    fn current() -> io::Result<Self> {
        single_thread::current()
            .map(Self::on)
            .or_else(|| T::is_usable().then(Self::new))
            .ok_or_else(|| io::Error::other("not called from a task of the runtime"))
    }

    fn is_inside() -> bool {
        single_thread::current().is_some() || T::is_inside()
    }
}

impl<T: Threads> Runtime for AsyncIoRuntime<T> {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn spawn(&self, task: BoxFuture<()>) {
        match &self.executor {
            None => T::spawn(task),
            Some(executor) => {
                if let Some(executor) = executor.upgrade() {
                    executor.spawn(task).detach();
                }
            }
        }
    }

    fn timer(&self, at: Instant) -> Box<dyn Timer> {
        Box::new(AsyncIoTimer(async_io::Timer::at(at)))
    }

    fn bind_datagrams(
        &self,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Box<dyn Datagrams>> {
        sockets::bind_datagrams(local, options)
    }

    fn connect_datagrams(
        &self,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> io::Result<Box<dyn ConnectedDatagrams>> {
        sockets::connect_datagrams(remote, local)
    }

    fn listen(&self, local: SocketAddr, options: &SocketOptions) -> io::Result<Box<dyn Listener>> {
        sockets::listen(local, options)
    }

    fn connect(
        &self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        Box::pin(sockets::connect(remote, local))
    }

    fn lookup(&self, host: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let answer = blocking::unblock(move || (host.as_str(), 0).to_socket_addrs()).await?;
            let mut seen = BTreeSet::new();
            let addresses = answer.map(|address| address.ip());
            Ok(addresses.filter(|ip| seen.insert(*ip)).collect())
        })
    }
}

#[derive(Debug)]
struct AsyncIoTimer(async_io::Timer);

impl Timer for AsyncIoTimer {
    fn reset(&mut self, at: Instant) {
        self.0.set_at(at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.0.will_fire() {
            // It has fired.
            return Poll::Ready(());
        }
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
