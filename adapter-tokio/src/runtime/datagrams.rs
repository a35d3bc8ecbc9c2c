//! UDP on systems other than Linux.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use adapter_core::{Datagrams, RecvBatch, SendBatch, sys};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;

#[derive(Debug)]
pub(super) struct TokioDatagrams {
    /// The same socket, for its readiness.
    io: UdpSocket,
    socket: sys::UdpSocket,
}

impl TokioDatagrams {
    pub(super) fn new(socket: sys::UdpSocket, handle: Handle) -> io::Result<Self> {
        let _context = handle.enter();
        Ok(Self {
            io: UdpSocket::from_std(socket.get_ref().try_clone()?)?,
            socket,
        })
    }
}

impl Datagrams for TokioDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            match self
                .io
                .try_io(Interest::READABLE, || self.socket.recv(batch))
            {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()> {
        self.io
            .try_io(Interest::WRITABLE, || self.socket.send(batch))
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_send_ready(cx)
    }
}
