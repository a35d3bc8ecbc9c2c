//! The traits that the driver loops require of an async runtime.
//!
//! The traits are object-safe and based on readiness: no buffer is handed over to the runtime, so
//! cancelling a wait loses nothing. **Only the task that owns a socket polls it** (one waker is
//! kept for each direction of a socket); any other task or thread may use the `try_` methods.

#[cfg(feature = "async-io")]
pub mod async_io;
pub(crate) mod batch;
pub mod sys;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use std::{fmt, io};

use sip_transport_proto::Membership;
use sip_transport_proto::resolve::{Answer, DomainName, LookupKind};

pub use crate::runtime::batch::{
    BatchFull, Datagram, DatagramFailure, Entry, RecvBatch, SendBatch,
};

/// A boxed future that a [`Runtime`] returns or takes, free to move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An async runtime: a clock, tasks, timers, sockets and name lookup.
///
/// Implement it to run the transport on another runtime; [`crate::runtime::sys`] has the system
/// calls.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// The current time. Timers follow the same clock.
    fn now(&self) -> Instant;

    /// Runs `task` to its end, unless the runtime is shut down before.
    fn spawn(&self, task: BoxFuture<()>);

    /// A timer that fires at `at`.
    fn timer(&self, at: Instant) -> Box<dyn Timer>;

    /// Binds a UDP socket. Port 0 lets the system choose.
    fn bind_datagrams(
        &self,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Box<dyn Datagrams>>;

    /// A UDP socket bound to `local` that sends to `remote` and receives only from it. Port 0 lets
    /// the system choose. It serves one query and its answer, and many may be open: it takes one
    /// descriptor and no large buffer.
    fn connect_datagrams(
        &self,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> io::Result<Box<dyn ConnectedDatagrams>>;

    /// Binds a TCP socket and listens. Port 0 lets the system choose.
    fn listen(&self, local: SocketAddr, options: &SocketOptions) -> io::Result<Box<dyn Listener>>;

    /// Opens a TCP connection, from `local` if given (its port may be 0). It has no time limit of
    /// its own: drop the future to give up.
    fn connect(
        &self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> BoxFuture<io::Result<Box<dyn Stream>>>;

    /// The addresses of a host by the system's resolver (hosts file included), in its order and
    /// without repetitions.
    fn lookup(&self, host: String) -> BoxFuture<io::Result<Vec<IpAddr>>>;

    /// The resolver that the runtime itself provides. Default: none, so that the transport uses its
    /// own.
    fn resolver(&self) -> Option<Arc<dyn Resolve>> {
        None
    }

    /// The local address that the system uses towards `remote`. Sends nothing, never blocks.
    fn local_address(&self, remote: SocketAddr) -> io::Result<IpAddr> {
        sys::local_address(remote)
    }

    /// Fills `seed` with random bytes of the operating system.
    fn fill_random(&self, seed: &mut [u8; 32]) -> io::Result<()> {
        sys::fill_random(seed)
    }
}

/// A runtime that can be obtained from inside it.
pub trait CurrentRuntime: Runtime + Sized {
    /// The runtime that the caller runs in.
    ///
    /// # Errors
    ///
    /// If the caller runs in none.
    fn current() -> io::Result<Self>;

    /// Returns true if the caller runs in a task of such a runtime, and so must not block its
    /// thread.
    fn is_inside() -> bool {
        Self::current().is_ok()
    }
}

/// A deadline of a [`Runtime`].
pub trait Timer: fmt::Debug + Send {
    /// Moves the deadline. A timer that has fired waits again.
    fn reset(&mut self, at: Instant);

    /// Ready once the deadline has passed. A runtime may report it late, never before its clock
    /// ([`Runtime::now`]) has reached it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A bound UDP socket.
pub trait Datagrams: fmt::Debug + Send + Sync {
    /// The address it is bound to, with the port that the system chose.
    fn local_addr(&self) -> SocketAddr;

    /// Receives waiting datagrams, up to the room in `batch`, whose former content is dropped.
    /// Ready with at least one datagram or one failure report in the batch.
    ///
    /// # Errors
    ///
    /// Errors about one peer (ICMP) are not returned but added to [`RecvBatch::failures`]. An error
    /// returned is about the socket or the system (such as lack of memory); it may be temporary.
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>>;

    /// Sends the datagrams of `batch`, in order, as far as the socket accepts them without
    /// blocking. Sent datagrams leave the batch. One that cannot be sent leaves it too and is added
    /// to [`SendBatch::failures`], and those after it are still sent. ICMP errors about datagrams
    /// sent before are added there as well.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when the socket's buffer is full: the rest stays in the batch.
    /// No other error is returned.
    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()>;

    /// Ready when [`Datagrams::try_send`] may succeed after it would have blocked.
    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A UDP socket connected to one peer.
pub trait ConnectedDatagrams: fmt::Debug + Send + Sync {
    /// Receives a datagram; what exceeds the buffer is lost.
    ///
    /// # Errors
    ///
    /// Errors of the peer too, such as an unreachable port (ICMP), if the system reports them.
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Sends a datagram, once there is room for it.
    ///
    /// # Errors
    ///
    /// As for [`poll_recv`](Self::poll_recv), about datagrams sent before.
    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

/// A TCP socket that accepts connections.
pub trait Listener: fmt::Debug + Send + Sync {
    /// The address it is bound to, with the port that the system chose.
    fn local_addr(&self) -> SocketAddr;

    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// A connection that failed before it was accepted is not an error. What is returned, such as
    /// "too many open files", may be temporary: wait a while and continue.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Stream>, SocketAddr)>>;
}

/// An open TCP connection, with Nagle's algorithm off.
pub trait Stream: fmt::Debug + Send + Sync {
    /// The local address.
    fn local_addr(&self) -> SocketAddr;

    /// The peer's address.
    fn remote_addr(&self) -> SocketAddr;

    /// Reads waiting bytes without blocking; `Ok(0)` is the end of the stream.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Ready when [`Stream::try_read`] may succeed.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as much as the socket accepts without blocking.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Ready when [`Stream::try_write`] may succeed.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Announces to the peer that nothing more will be written (TCP FIN). Never blocks. Dropping
    /// the stream closes both directions.
    fn shutdown(&self) -> io::Result<()>;

    /// Reads, or waits until something can be read. The buffer is used during the call only, so
    /// connections can share one.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Writes, or waits until something can be written.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            match self.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// The options of a socket to bind.
///
/// ```
/// let mut options = adapter_core::SocketOptions::default();
/// options.reuse_port = true;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// True if a socket bound to an IPv6 wildcard address serves IPv4 too. Default: false, so that
    /// `0.0.0.0` and `[::]` can share a port.
    pub dual_stack: bool,
    /// True if several sockets may bind the same address, and the system distributes peers over
    /// them (`SO_REUSEPORT`; an error where the system has none). Default: false.
    pub reuse_port: bool,
    /// The receive buffer of a UDP socket (`SO_RCVBUF`) in bytes. If the system grants less, a
    /// warning is logged. Default: 1 MiB.
    pub receive_buffer: usize,
    /// The number of connections that may wait to be accepted. Default: 1024.
    pub backlog: u16,
    /// The groups that a UDP socket joins: it receives from these and no others. Default: none. A
    /// transport takes them from its channels ([`ChannelConfig::join`]).
    ///
    /// [`ChannelConfig::join`]: sip_transport_proto::ChannelConfig::join
    pub groups: Vec<Membership>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            dual_stack: false,
            reuse_port: false,
            receive_buffer: 1 << 20,
            backlog: 1024,
            groups: Vec::new(),
        }
    }
}

/// A client for DNS lookups. It need not cache or limit: the transport caches the answers, and limits
/// the time and number of lookups itself.
///
/// ```
/// use adapter_core::sip_transport_proto::resolve::{Answer, DomainName, LookupKind};
/// use adapter_core::{BoxFuture, Resolve};
///
/// /// Finds nothing.
/// #[derive(Debug)]
/// struct Offline;
///
/// impl Resolve for Offline {
///     fn lookup(&self, _kind: LookupKind, _name: DomainName) -> BoxFuture<Answer> {
///         Box::pin(async { Answer::NotFound { ttl: None } })
///     }
/// }
/// ```
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// Looks up one kind of record. The name is complete: no search list applies. The future is
    /// dropped once the answer is no longer needed.
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer>;
}
