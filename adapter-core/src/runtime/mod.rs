//! What the driver loops ask of an async runtime.
//!
//! The traits are object-safe and speak of readiness only: no buffer is handed over to the runtime,
//! so cancelling a wait loses nothing. **Only the task that owns a socket polls it** (one waker is
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

/// A future that a [`Runtime`] hands out or takes: boxed, and free to move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An async runtime: a clock, tasks, timers, sockets and name lookup.
///
/// Implement it to bring the transport to another runtime; [`crate::runtime::sys`] has the system calls.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// The present time. Timers follow the same clock.
    fn now(&self) -> Instant;

    /// Runs `task` to its end, unless the runtime is shut down before.
    fn spawn(&self, task: BoxFuture<()>);

    /// A timer that goes off at `at`.
    fn timer(&self, at: Instant) -> Box<dyn Timer>;

    /// Binds a UDP socket. Port 0 lets the system choose.
    fn bind_datagrams(
        &self,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Box<dyn Datagrams>>;

    /// A UDP socket bound to `local` that sends to `remote` and hears of nobody else. Port 0 lets
    /// the system choose. It is for a question and its answer, and many may be open: one descriptor
    /// and no large buffer.
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

    /// Who answers DNS lookups here, where the runtime itself does. Default: nobody, so that the
    /// transport asks by means of its own.
    fn resolver(&self) -> Option<Arc<dyn Resolve>> {
        None
    }

    /// The local address that the system sends from towards `remote`. Sends nothing, never blocks.
    fn local_address(&self, remote: SocketAddr) -> io::Result<IpAddr> {
        sys::local_address(remote)
    }

    /// Fills `seed` with random bytes of the operating system.
    fn fill_random(&self, seed: &mut [u8; 32]) -> io::Result<()> {
        sys::fill_random(seed)
    }
}

/// A runtime that can be found from inside it.
pub trait CurrentRuntime: Runtime + Sized {
    /// The runtime that the caller runs in.
    ///
    /// # Errors
    ///
    /// If the caller runs in none.
    fn current() -> io::Result<Self>;

    /// Whether the caller runs in a task of such a runtime, and so must not block its thread.
    fn is_inside() -> bool {
        Self::current().is_ok()
    }
}

/// A deadline of a [`Runtime`].
pub trait Timer: fmt::Debug + Send {
    /// Moves the deadline. A timer that has gone off waits again.
    fn reset(&mut self, at: Instant);

    /// Ready once the deadline has passed. A runtime may report it late, never before its clock
    /// ([`Runtime::now`]) has reached it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A bound UDP socket.
pub trait Datagrams: fmt::Debug + Send + Sync {
    /// The address it is bound to, with the port that the system chose.
    fn local_addr(&self) -> SocketAddr;

    /// Receives as many datagrams as wait, up to the room in `batch`, whose former content is
    /// dropped. Ready with at least one datagram or one failure report in the batch.
    ///
    /// # Errors
    ///
    /// Errors about one peer (ICMP) are not returned but added to [`RecvBatch::failures`]. An
    /// error returned is about the socket or the system (no memory, say); it may pass.
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>>;

    /// Sends what `batch` holds, in order, as far as the socket takes it without blocking. Sent
    /// datagrams leave the batch. One that cannot be sent leaves it too, is added to
    /// [`SendBatch::failures`], and those behind it are sent all the same; so are ICMP errors
    /// about datagrams sent before.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when the socket's buffer is full: the rest stays in the batch.
    /// No other error is returned.
    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()>;

    /// Ready when [`Datagrams::try_send`] is worth another try after it would have blocked.
    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A UDP socket that talks to one peer.
pub trait ConnectedDatagrams: fmt::Debug + Send + Sync {
    /// Receives a datagram; what of it is longer than the buffer is lost.
    ///
    /// # Errors
    ///
    /// Those of the peer too, such as that nobody has its port (ICMP), where the system tells.
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Sends a datagram, once there is room for it.
    ///
    /// # Errors
    ///
    /// As of [`poll_recv`](Self::poll_recv), for what was sent before.
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
    /// A connection that broke before it was accepted is not an error. What is returned, such as
    /// "too many open files", may pass: wait a while and go on.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Stream>, SocketAddr)>>;
}

/// An open TCP connection, with Nagle's algorithm off.
pub trait Stream: fmt::Debug + Send + Sync {
    /// Our address on the connection.
    fn local_addr(&self) -> SocketAddr;

    /// The peer's address.
    fn remote_addr(&self) -> SocketAddr;

    /// Reads what waits without blocking; `Ok(0)` is the end of the stream.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Ready when [`Stream::try_read`] is worth a try.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as much as the socket takes without blocking.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Ready when [`Stream::try_write`] is worth a try.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tells the peer that nothing more will be written (TCP FIN). Never blocks. Dropping the
    /// stream closes both directions.
    fn shutdown(&self) -> io::Result<()>;

    /// Reads, or waits until something can be read. The buffer is used during the call only, so
    /// one that is shared between connections will do.
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

/// How to bind a socket.
///
/// ```
/// let mut options = adapter_core::SocketOptions::default();
/// options.reuse_port = true;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// A socket bound to an IPv6 wildcard address serves IPv4 too. Default: no, so that `0.0.0.0`
    /// and `[::]` can share a port.
    pub dual_stack: bool,
    /// Several sockets may bind the same address, and the system spreads peers over them
    /// (`SO_REUSEPORT`; an error where the system has none). Default: no.
    pub reuse_port: bool,
    /// Receive buffer of a UDP socket (`SO_RCVBUF`) in bytes. If the system grants less, a warning
    /// is logged. Default: 1 MiB.
    pub receive_buffer: usize,
    /// Connections that may wait to be accepted. Default: 1024.
    pub backlog: u16,
    /// Groups that a UDP socket joins: it hears these and no others. Default: none. A transport
    /// takes them from its channels ([`ChannelConfig::join`]).
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

/// Answers DNS lookups for a transport, which remembers the answers and has limits of its own on
/// their time and number.
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
    /// dropped where the answer comes too late to be of use.
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer>;
}
