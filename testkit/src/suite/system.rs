use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use adapter_core::runtime::{
    CurrentRuntime as _, Datagrams, Listener, Runtime as _, SocketOptions, Stream,
};
use futures_channel::oneshot;

use super::{Adapter, AdapterHost, Host, Place, Setup};

/// A runtime of an adapter, as the cases use it.
pub trait OnSystem: 'static {
    /// The runtime.
    type Runtime: adapter_core::runtime::CurrentRuntime;

    /// Whether the runtime's threads can be had from outside any task.
    const IS_ANYWHERE: bool = false;

    /// A runtime of one thread, the one that calls [`block_on`](Self::block_on). Dropping it drops
    /// its tasks.
    type Thread: Send + 'static;

    /// Runs a case inside the runtime, to its end.
    fn run(case: impl Future<Output = ()>);

    /// How many tasks the runtime of the case at hand has.
    fn tasks() -> usize;

    /// A runtime of one thread.
    fn thread() -> Self::Thread;

    /// That runtime.
    fn runtime_of(thread: &Self::Thread) -> Self::Runtime;

    /// Runs a future, and beside it the tasks.
    fn block_on<T>(thread: &Self::Thread, future: impl Future<Output = T>) -> T;
}

/// adapter-core on a runtime that uses the system's network.
#[derive(Debug)]
pub struct SystemHost<S>(PhantomData<fn() -> S>);

/// Longer than any case takes, however busy the machine is, the one that sends much included.
fn patience() -> Duration {
    let sends = u32::try_from(super::cases::named::sends()).unwrap_or(u32::MAX);
    Duration::from_secs(30).max(Duration::from_millis(20).saturating_mul(sends))
}

/// The number of the next place.
static NEXT: AtomicU32 = AtomicU32::new(0);

impl<S: OnSystem> Host for SystemHost<S> {
    type Endpoint = Adapter<S::Runtime>;

    fn run(case: impl AsyncFn(&Self)) {
        let host = Self(PhantomData);
        // In a box, since runtimes move it about on the stack.
        S::run(Box::pin(async {
            let late = async {
                host.sleep(patience()).await;
                panic!("the case takes too long");
            };
            super::wait::first(case(&host), late).await;
        }));
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

    fn crowd(&self) -> usize {
        // Cases run side by side, and each connection has two ends.
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        let soft = files.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
        (soft.unwrap_or(1_024) / 16).min(1_000)
    }

    async fn start(&self, _place: &Place, setup: Setup) -> io::Result<Self::Endpoint> {
        Adapter::start(self.runtime(), setup).await
    }

    async fn sleep(&self, time: Duration) {
        let runtime = self.runtime();
        let mut timer = runtime.timer(runtime.now() + time);
        poll_fn(|cx| timer.poll(cx)).await;
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

impl<S: OnSystem> AdapterHost for SystemHost<S> {
    type Runtime = S::Runtime;

    fn runtime(&self) -> S::Runtime {
        match S::Runtime::current() {
            Ok(runtime) => runtime,
            Err(error) => panic!("{error}"),
        }
    }

    fn tasks(&self) -> usize {
        S::tasks()
    }

    async fn outside<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = oneshot::channel();
        // No thread of the runtime, not even one for calls that block.
        std::thread::spawn(move || drop(sender.send(call())));
        match receiver.await {
            Ok(value) => value,
            Err(oneshot::Canceled) => panic!("the call panicked"),
        }
    }
}
