//! Sockets on async-io.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use adapter_core::{Datagrams, Listener, RecvBatch, SendBatch, SocketOptions, Stream, sys};
use async_io::Async;

/// Whether a call in one direction of a socket is worth a try. Waiting costs a system call to ask
/// for an event and several to get it, so a call is tried until it would block.
///
/// An event is asked for by level: what came before the asking counts, so nothing is missed
/// whichever thread made the last call.
#[derive(Debug)]
struct Ready(AtomicBool);

impl Ready {
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    fn poll(&self, wait: impl FnOnce() -> Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if !self.0.load(Ordering::Relaxed) {
            ready!(wait())?;
            self.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    /// Notes what a call says of the next.
    fn after<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.0.store(false, Ordering::Relaxed);
        }
        result
    }
}

pub(super) fn bind_datagrams(
    local: SocketAddr,
    options: &SocketOptions,
) -> io::Result<Box<dyn Datagrams>> {
    Ok(Box::new(AsyncStdDatagrams {
        io: Async::new_nonblocking(sys::UdpSocket::bind(local, options)?)?,
        readable: Ready::new(),
        writable: Ready::new(),
    }))
}

/// An ICMP error is an event for both directions. It stays one until it is read, which receiving
/// and sending do.
#[derive(Debug)]
struct AsyncStdDatagrams {
    io: Async<sys::UdpSocket>,
    readable: Ready,
    writable: Ready,
}

impl Datagrams for AsyncStdDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.io.get_ref().local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        loop {
            ready!(self.readable.poll(|| self.io.poll_readable(cx)))?;
            match self.readable.after(self.io.get_ref().recv(batch)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()> {
        self.writable.after(self.io.get_ref().send(batch))
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writable.poll(|| self.io.poll_writable(cx))
    }
}

pub(super) fn listen(local: SocketAddr, options: &SocketOptions) -> io::Result<Box<dyn Listener>> {
    let io = Async::new_nonblocking(sys::listen(local, options)?)?;
    let local = io.get_ref().local_addr()?;
    Ok(Box::new(AsyncStdListener {
        io,
        readable: Ready::new(),
        local,
    }))
}

#[derive(Debug)]
struct AsyncStdListener {
    io: Async<TcpListener>,
    readable: Ready,
    local: SocketAddr,
}

impl Listener for AsyncStdListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Stream>, SocketAddr)>> {
        loop {
            ready!(self.readable.poll(|| self.io.poll_readable(cx)))?;
            match self.readable.after(self.io.get_ref().accept()) {
                Ok((io, _)) => {
                    // This fails only for a connection that is gone already.
                    if let Ok(stream) = accepted(io) {
                        let remote = stream.remote;
                        return Poll::Ready(Ok((Box::new(stream), remote)));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if sys::broke_before_accept(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

fn accepted(io: TcpStream) -> io::Result<AsyncStdStream> {
    io.set_nodelay(true)?;
    AsyncStdStream::new(Async::new(io)?)
}

pub(super) async fn connect(
    remote: SocketAddr,
    local: Option<SocketAddr>,
) -> io::Result<Box<dyn Stream>> {
    let io = Async::new_nonblocking(sys::connect(remote, local)?)?;
    io.writable().await?;
    match io.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(Box::new(AsyncStdStream::new(io)?)),
    }
}

#[derive(Debug)]
struct AsyncStdStream {
    io: Async<TcpStream>,
    readable: Ready,
    writable: Ready,
    local: SocketAddr,
    remote: SocketAddr,
}

impl AsyncStdStream {
    fn new(io: Async<TcpStream>) -> io::Result<Self> {
        let local = sys::canonical(io.get_ref().local_addr()?);
        let remote = sys::canonical(io.get_ref().peer_addr()?);
        Ok(Self {
            io,
            readable: Ready::new(),
            writable: Ready::new(),
            local,
            remote,
        })
    }
}

impl Stream for AsyncStdStream {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.readable.after(self.io.get_ref().read(buffer))
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.readable.poll(|| self.io.poll_readable(cx))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.writable.after(self.io.get_ref().write(bytes))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writable.poll(|| self.io.poll_writable(cx))
    }

    fn shutdown(&self) -> io::Result<()> {
        self.io.get_ref().shutdown(Shutdown::Write)
    }
}
