//! The [`Runtime`] traits on tokio.

mod datagrams;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use adapter_core::runtime::{
    BoxFuture, ConnectedDatagrams, CurrentRuntime, Datagrams, Listener, Runtime, SocketOptions,
    Stream, Timer, sys,
};
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::time::Sleep;

/// A tokio runtime, which must have its I/O and time drivers enabled.
///
/// It holds the runtime's handle, so sockets may be opened and messages sent from any thread.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use adapter_tokio::runtime::{CurrentRuntime, Runtime};
///
/// let runtime = adapter_tokio::TokioRuntime::current()?;
/// let socket = runtime.bind_datagrams("127.0.0.1:0".parse()?, &Default::default())?;
/// assert_ne!(socket.local_addr().port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TokioRuntime {
    handle: Handle,
}

impl TokioRuntime {
    /// The runtime behind `handle`.
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

impl CurrentRuntime for TokioRuntime {
    fn current() -> io::Result<Self> {
        Handle::try_current()
            .map(Self::new)
            .map_err(io::Error::other)
    }
}

impl Runtime for TokioRuntime {
    fn now(&self) -> Instant {
        // Not `Instant::now`: tokio's clock can be paused in tests.
        tokio::time::Instant::now().into_std()
    }

    fn spawn(&self, task: BoxFuture<()>) {
        drop(self.handle.spawn(task));
    }

    fn timer(&self, at: Instant) -> Box<dyn Timer> {
        let _context = self.handle.enter();
        Box::new(TokioTimer(Box::pin(tokio::time::sleep_until(at.into()))))
    }

    fn bind_datagrams(
        &self,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Box<dyn Datagrams>> {
        let socket = sys::UdpSocket::bind(local, options)?;
        Ok(Box::new(datagrams::TokioDatagrams::new(
            socket,
            self.handle.clone(),
        )?))
    }

    fn connect_datagrams(
        &self,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> io::Result<Box<dyn ConnectedDatagrams>> {
        let _context = self.handle.enter();
        let io = UdpSocket::from_std(sys::connect_datagrams(remote, local)?)?;
        Ok(Box::new(TokioConnectedDatagrams(io)))
    }

    fn listen(&self, local: SocketAddr, options: &SocketOptions) -> io::Result<Box<dyn Listener>> {
        let _context = self.handle.enter();
        let io = TcpListener::from_std(sys::listen(local, options)?)?;
        let local = io.local_addr()?;
        Ok(Box::new(TokioListener { io, local }))
    }

    fn connect(
        &self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let handle = self.handle.clone();
        Box::pin(async move {
            let io = {
                let _context = handle.enter();
                TcpStream::from_std(sys::connect(remote, local)?)?
            };
            io.writable().await?;
            match io.take_error()? {
                Some(error) => Err(error),
                None => Ok(Box::new(TokioStream::new(io)?) as Box<dyn Stream>),
            }
        })
    }

    fn lookup(&self, host: String) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        let handle = self.handle.clone();
        Box::pin(async move {
            let answer = handle
                .spawn_blocking(move || (host.as_str(), 0).to_socket_addrs())
                .await;
            let mut seen = BTreeSet::new();
            let addresses = answer
                .map_err(io::Error::other)??
                .map(|address| address.ip());
            Ok(addresses.filter(|ip| seen.insert(*ip)).collect())
        })
    }
}

#[derive(Debug)]
struct TokioTimer(Pin<Box<Sleep>>);

impl Timer for TokioTimer {
    fn reset(&mut self, at: Instant) {
        self.0.as_mut().reset(at.into());
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

#[derive(Debug)]
struct TokioConnectedDatagrams(UdpSocket);

impl ConnectedDatagrams for TokioConnectedDatagrams {
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.0.poll_recv(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_send(cx, bytes)
    }
}

#[derive(Debug)]
struct TokioListener {
    io: TcpListener,
    local: SocketAddr,
}

impl Listener for TokioListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Stream>, SocketAddr)>> {
        loop {
            match ready!(self.io.poll_accept(cx)) {
                Ok((io, _)) => {
                    // This fails only for a connection that is already closed.
                    let accepted = io.set_nodelay(true).and_then(|()| TokioStream::new(io));
                    if let Ok(stream) = accepted {
                        let remote = stream.remote;
                        return Poll::Ready(Ok((Box::new(stream), remote)));
                    }
                }
                Err(error) if sys::broke_before_accept(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[derive(Debug)]
struct TokioStream {
    io: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
}

impl TokioStream {
    fn new(io: TcpStream) -> io::Result<Self> {
        let local = sys::canonical(io.local_addr()?);
        let remote = sys::canonical(io.peer_addr()?);
        Ok(Self { io, local, remote })
    }
}

impl Stream for TokioStream {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_read(buffer)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_read_ready(cx)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write(bytes)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_write_ready(cx)
    }

    fn shutdown(&self) -> io::Result<()> {
        SockRef::from(&self.io).shutdown(Shutdown::Write)
    }
}
