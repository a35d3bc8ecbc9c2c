//! The [`Runtime`] traits on async-std.

mod single_thread;
mod sockets;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::Instant;

use adapter_core::runtime::{
    BoxFuture, ConnectedDatagrams, CurrentRuntime, Datagrams, Listener, Runtime, SocketOptions,
    Stream, Timer,
};
use async_executor::Executor;
use async_std::net::ToSocketAddrs;

pub use single_thread::SingleThread;

/// Where the tasks of a transport run: on async-std's own threads, or on a [`SingleThread`].
///
/// Sockets and timers are those of async-io, which need no runtime, so sockets may be opened and
/// messages sent from any thread.
///
/// ```
/// use adapter_async_std::{AsyncStdRuntime, runtime::Runtime};
///
/// let local = "127.0.0.1:0".parse()?;
/// let socket = AsyncStdRuntime::new().bind_datagrams(local, &Default::default())?;
/// assert_ne!(socket.local_addr().port(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct AsyncStdRuntime {
    /// A [`SingleThread`]'s, which holds the tasks, which hold the runtime.
    executor: Option<Weak<Executor<'static>>>,
}

impl AsyncStdRuntime {
    /// The runtime whose tasks run on async-std's own threads.
    pub fn new() -> Self {
        Self::default()
    }
}

impl CurrentRuntime for AsyncStdRuntime {
    fn current() -> io::Result<Self> {
        let here = single_thread::current();
        here.or_else(|| async_std::task::try_current().map(|_| Self::new()))
            .ok_or_else(|| io::Error::other("this is no task of async-std"))
    }
}

impl Runtime for AsyncStdRuntime {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn spawn(&self, task: BoxFuture<()>) {
        match &self.executor {
            None => drop(async_std::task::spawn(task)),
            Some(executor) => {
                if let Some(executor) = executor.upgrade() {
                    executor.spawn(task).detach();
                }
            }
        }
    }

    fn timer(&self, at: Instant) -> Box<dyn Timer> {
        Box::new(AsyncStdTimer(async_io::Timer::at(at)))
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
            let answer = (host.as_str(), 0).to_socket_addrs().await?;
            let mut seen = BTreeSet::new();
            let addresses = answer.map(|address| address.ip());
            Ok(addresses.filter(|ip| seen.insert(*ip)).collect())
        })
    }
}

#[derive(Debug)]
struct AsyncStdTimer(async_io::Timer);

impl Timer for AsyncStdTimer {
    fn reset(&mut self, at: Instant) {
        self.0.set_at(at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.0.will_fire() {
            // It has gone off.
            return Poll::Ready(());
        }
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
