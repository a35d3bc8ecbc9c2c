//! The behaviour suite on tokio, on one thread and on several.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use adapter_core::{CurrentRuntime as _, Datagrams, Listener, Runtime as _, SocketOptions, Stream};
use adapter_tokio::{TokioRuntime, adapter_core};
use testkit::suite::{Adapter, AdapterHost, Host, Place, Setup};
use tokio::runtime::{Builder, Handle};

/// tokio with so many worker threads; none is the thread of the test alone.
struct Tokio<const THREADS: usize>;

/// Longer than any case takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of the next place.
static NEXT: AtomicU32 = AtomicU32::new(0);

impl<const THREADS: usize> Host for Tokio<THREADS> {
    type Endpoint = Adapter<TokioRuntime>;

    fn run(case: impl AsyncFn(&Self)) {
        let mut builder = match THREADS {
            0 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let runtime = builder
            .worker_threads(THREADS.max(1))
            .enable_all()
            .build()
            .unwrap();
        let done = runtime.block_on(async { tokio::time::timeout(PATIENCE, case(&Self)).await });
        assert!(done.is_ok(), "the case takes too long");
    }

    fn place(&self) -> Place {
        // Where all of 127.0.0.0/8 is ours, cases that run side by side share no ports.
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % 60_000 + 1;
        let [.., high, low] = number.to_be_bytes();
        let v4 = match cfg!(target_os = "linux") {
            true => Ipv4Addr::new(127, 1, high, low),
            false => Ipv4Addr::LOCALHOST,
        };
        Place {
            name: v4.to_string(),
            v4: v4.into(),
            v6: Ipv6Addr::LOCALHOST.into(),
        }
    }

    fn has_ipv6(&self) -> bool {
        UdpSocket::bind("[::1]:0").is_ok()
    }

    fn reports_unreachable(&self) -> bool {
        cfg!(target_os = "linux")
    }

    async fn start(&self, _place: &Place, setup: Setup) -> io::Result<Self::Endpoint> {
        Adapter::start(self.runtime(), setup).await
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn bind_datagrams(&self, local: SocketAddr) -> io::Result<Box<dyn Datagrams>> {
        self.runtime()
            .bind_datagrams(local, &SocketOptions::default())
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.runtime().listen(local, &SocketOptions::default())
    }

    async fn connect(&self, place: &Place, remote: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let local = match remote {
            SocketAddr::V4(_) => place.v4,
            SocketAddr::V6(_) => place.v6,
        };
        let local = SocketAddr::new(local, 0);
        self.runtime().connect(remote, Some(local)).await
    }
}

impl<const THREADS: usize> AdapterHost for Tokio<THREADS> {
    type Runtime = TokioRuntime;

    fn runtime(&self) -> TokioRuntime {
        TokioRuntime::current().unwrap()
    }

    fn tasks(&self) -> usize {
        Handle::current().metrics().num_alive_tasks()
    }

    async fn outside<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // Not `spawn_blocking`, whose threads belong to the runtime.
        std::thread::spawn(move || drop(sender.send(call())));
        receiver.await.unwrap()
    }
}

mod one_thread {
    use super::Tokio;
    testkit::suite!(Tokio<0>);
    testkit::adapter_suite!(Tokio<0>);
}

mod many_threads {
    use super::Tokio;
    testkit::suite!(Tokio<2>);
    testkit::adapter_suite!(Tokio<2>);
}
