//! A SIP transport (RFC 3261 §18) on smol: UDP, TCP, TLS and WebSocket, IPv4 and IPv6.
//!
//! [`SipTransport::builder`](adapter_core::SipTransport::builder) binds channels and returns two
//! handles: [`SipTransport`] sends, [`Incoming`] receives. All the names that an application needs
//! are here. The protocol itself is in [`sip_transport_proto`], its driver loops in
//! [`adapter_core`]; this crate adds smol's threads to the sockets and timers of async-io, which it
//! shares with `adapter-async-std`.
//!
//! ```
//! use adapter_smol::sip_core::{Method, build::RequestBuilder};
//! use adapter_smol::{Event, SipTransport, Tokens};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # smol::block_on(async {
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
//! use adapter_smol::{SingleThread, SipTransport};
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

/// The threads of smol; one, unless `SMOL_THREADS` sets another number.
#[derive(Debug)]
pub enum SmolThreads {}

impl Threads for SmolThreads {
    fn spawn(task: BoxFuture<()>) {
        smol::spawn(task).detach();
    }

    /// smol starts its threads on first use, from any thread.
    fn is_usable() -> bool {
        true
    }

    /// smol's own threads have this name. A thread in [`smol::block_on`] runs no other tasks.
    fn is_inside() -> bool {
        let name = std::thread::current();
        name.name().is_some_and(|name| name.starts_with("smol-"))
    }
}

/// The [`Runtime`](runtime::Runtime) on smol: its own threads, or a [`SingleThread`].
///
/// ```
/// use adapter_smol::{SmolRuntime, runtime::Runtime};
///
/// let local = "127.0.0.1:0".parse()?;
/// let socket = SmolRuntime::new().bind_datagrams(local, &Default::default())?;
/// assert_ne!(socket.local_addr().port(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type SmolRuntime = AsyncIoRuntime<SmolThreads>;

/// An executor on one thread; smol's own tasks move between its threads.
pub type SingleThread = async_io::SingleThread<SmolThreads>;

/// The SIP transport on smol.
pub type SipTransport = adapter_core::SipTransport<SmolRuntime>;
