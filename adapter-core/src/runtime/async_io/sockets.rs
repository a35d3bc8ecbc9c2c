//! Sockets on async-io: a call is tried first, and readiness awaited if it would block.
//!
//! Readiness is level-triggered: what arrived before the wait counts, so nothing is missed,
//! whichever thread made the last call.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::task::{Context, Poll, ready};

use async_io::Async;

use crate::runtime::batch::{RecvBatch, SendBatch};
use crate::runtime::{ConnectedDatagrams, Datagrams, Listener, SocketOptions, Stream, sys};

/// The outcome of a call, once it does not block.
fn unblocked<T>(
    mut call: impl FnMut() -> io::Result<T>,
    mut wait: impl FnMut() -> Poll<io::Result<()>>,
) -> Poll<io::Result<T>> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(wait())?,
            result => return Poll::Ready(result),
        }
    }
}

pub(super) fn bind_datagrams(
    local: SocketAddr,
    options: &SocketOptions,
) -> io::Result<Box<dyn Datagrams>> {
    let io = Async::new_nonblocking(sys::UdpSocket::bind(local, options)?)?;
    Ok(Box::new(AsyncIoDatagrams(io)))
}

/// An ICMP error makes both directions ready until it is read, which receiving and sending do.
#[derive(Debug)]
struct AsyncIoDatagrams(Async<sys::UdpSocket>);

impl Datagrams for AsyncIoDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.0.get_ref().local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        unblocked(|| self.0.get_ref().recv(batch), || self.0.poll_readable(cx))
    }

    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()> {
        self.0.get_ref().send(batch)
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(cx)
    }
}

pub(super) fn connect_datagrams(
    remote: SocketAddr,
    local: SocketAddr,
) -> io::Result<Box<dyn ConnectedDatagrams>> {
    let io = Async::new_nonblocking(sys::connect_datagrams(remote, local)?)?;
    Ok(Box::new(AsyncIoConnectedDatagrams(io)))
}

#[derive(Debug)]
struct AsyncIoConnectedDatagrams(Async<UdpSocket>);

impl ConnectedDatagrams for AsyncIoConnectedDatagrams {
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        unblocked(
            || self.0.get_ref().recv(buffer),
            || self.0.poll_readable(cx),
        )
    }

    fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        unblocked(|| self.0.get_ref().send(bytes), || self.0.poll_writable(cx))
    }
}

pub(super) fn listen(local: SocketAddr, options: &SocketOptions) -> io::Result<Box<dyn Listener>> {
    let io = Async::new_nonblocking(sys::listen(local, options)?)?;
    let local = io.get_ref().local_addr()?;
    Ok(Box::new(AsyncIoListener { io, local }))
}

#[derive(Debug)]
struct AsyncIoListener {
    io: Async<TcpListener>,
    local: SocketAddr,
}

impl Listener for AsyncIoListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Stream>, SocketAddr)>> {
        loop {
            let accept = || self.io.get_ref().accept();
            match ready!(unblocked(accept, || self.io.poll_readable(cx))) {
                Ok((io, _)) => {
                    // This fails only for a connection that is already closed.
                    if let Ok(stream) = accepted(io) {
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

fn accepted(io: TcpStream) -> io::Result<AsyncIoStream> {
    io.set_nodelay(true)?;
    AsyncIoStream::new(Async::new(io)?)
}

pub(super) async fn connect(
    remote: SocketAddr,
    local: Option<SocketAddr>,
) -> io::Result<Box<dyn Stream>> {
    let io = Async::new_nonblocking(sys::connect(remote, local)?)?;
    io.writable().await?;
    match io.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(Box::new(AsyncIoStream::new(io)?)),
    }
}

#[derive(Debug)]
struct AsyncIoStream {
    io: Async<TcpStream>,
    local: SocketAddr,
    remote: SocketAddr,
}

impl AsyncIoStream {
    fn new(io: Async<TcpStream>) -> io::Result<Self> {
        let local = sys::canonical(io.get_ref().local_addr()?);
        let remote = sys::canonical(io.get_ref().peer_addr()?);
        Ok(Self { io, local, remote })
    }
}

impl Stream for AsyncIoStream {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.get_ref().read(buffer)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_readable(cx)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.get_ref().write(bytes)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_writable(cx)
    }

    fn shutdown(&self) -> io::Result<()> {
        self.io.get_ref().shutdown(Shutdown::Write)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        unblocked(|| self.try_read(buffer), || self.io.poll_readable(cx))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        unblocked(|| self.try_write(bytes), || self.io.poll_writable(cx))
    }
}
