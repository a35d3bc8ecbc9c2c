//! A SIP transport (RFC 3261 §18) on async-std: UDP, TCP, TLS and WebSocket, IPv4 and IPv6.
//!
//! [`SipTransport::builder`](adapter_core::SipTransport::builder) binds channels and returns two
//! handles: [`SipTransport`] sends, [`Incoming`] receives. All the names that an application needs
//! are here. The protocol itself is in [`sip_transport_proto`], its driver loops in
//! [`adapter_core`]; this crate adds async-std's threads to the sockets and timers of async-io,
//! which it shares with `adapter-smol`. async-std is discontinued, and its authors recommend smol,
//! which new programs should use.
//!
//! ```
//! use adapter_async_std::sip_core::{Method, build::RequestBuilder};
//! use adapter_async_std::{Event, SipTransport, Tokens};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # async_std::task::block_on(async {
//! let (alice, _) = SipTransport::builder().udp("127.0.0.1:0".parse()?).bind().await?;
//! let (bob, mut incoming) = SipTransport::builder().udp("127.0.0.1:0".parse()?).bind().await?;
//!
//! let uri = format!("sip:{}", bob.local_endpoints()[0].addr);
//! let mut random = Tokens::new([7; 32]); // from the operating system in production
//! let request = RequestBuilder::new(Method::Options, &uri).build(|bytes| random.fill(bytes))?;
//! let sent = alice.send_request(request).await?;
//!
//! let Some(Event::Request { remote, request, .. }) = incoming.recv().await else { panic!() };
//! assert_eq!(remote.addr, sent.local().addr);
//! assert_eq!(request.method(), Method::Options);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! For the highest throughput per core, give each worker a thread of its own: the transport and the
//! application then alternate, in batches.
//!
//! ```
//! use adapter_async_std::{SingleThread, SipTransport};
//!
//! let threads = [SingleThread::new(), SingleThread::new()];
//! let builder = SipTransport::builder().udp("127.0.0.1:0".parse()?);
//! let builder = builder.worker_runtimes(threads.each_ref().map(SingleThread::runtime));
//! let (transport, incoming) = threads[0].block_on(builder.bind())?;
//! for (thread, mut incoming) in threads.into_iter().zip(incoming.into_workers()) {
//!     std::thread::spawn(move || thread.block_on(async move { incoming.recv().await }));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use adapter_core::runtime::async_io::{self, AsyncIoRuntime, Threads};

pub use adapter_core;
#[doc(inline)]
pub use adapter_core::*;

/// The threads of async-std.
#[derive(Debug)]
pub enum AsyncStdThreads {}

impl Threads for AsyncStdThreads {
    fn spawn(task: BoxFuture<()>) {
        drop(async_std::task::spawn(task));
    }

    fn is_usable() -> bool {
        Self::is_inside()
    }

    fn is_inside() -> bool {
        async_std::task::try_current().is_some()
    }
}

/// The [`Runtime`](runtime::Runtime) on async-std: its own threads, or a [`SingleThread`].
///
/// ```
/// use adapter_async_std::{AsyncStdRuntime, runtime::Runtime};
///
/// let local = "127.0.0.1:0".parse()?;
/// let socket = AsyncStdRuntime::new().bind_datagrams(local, &Default::default())?;
/// assert_ne!(socket.local_addr().port(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type AsyncStdRuntime = AsyncIoRuntime<AsyncStdThreads>;

/// An executor on one thread; async-std's own tasks move between its threads.
pub type SingleThread = async_io::SingleThread<AsyncStdThreads>;

/// The SIP transport on async-std.
pub type SipTransport = adapter_core::SipTransport<AsyncStdRuntime>;
