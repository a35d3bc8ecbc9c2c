//! UDP on tokio.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use adapter_core::runtime::{BoxFuture, Datagrams, RecvBatch, SendBatch, sys};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;

pub(super) struct TokioDatagrams {
    handle: Handle,
    socket: sys::UdpSocket,
    /// A duplicate of the socket, for its readiness.
    io: Arc<UdpSocket>,
    /// A future that completes when an ICMP error has arrived.
    reported: Mutex<BoxFuture<io::Result<()>>>,
    /// A second duplicate, while a sender waits for room. To tokio an ICMP error on a writable
    /// socket means "closed for writing", which it never clears: waiting on `io` would be a busy
    /// loop after the first one.
    room: Mutex<Option<UdpSocket>>,
}

impl TokioDatagrams {
    pub(super) fn new(socket: sys::UdpSocket, handle: Handle) -> io::Result<Self> {
        let io = Arc::new(register(&socket, &handle)?);
        let reported = Mutex::new(reported(io.clone()));
        Ok(Self {
            handle,
            socket,
            io,
            reported,
            room: Mutex::new(None),
        })
    }

    /// Receives, and clears the readiness if that has emptied the socket. Both happen within
    /// `try_io`, which preserves events that arrive meanwhile.
    fn recv_readable(&self, batch: &mut RecvBatch) -> io::Result<()> {
        let mut result = Err(io::ErrorKind::WouldBlock.into());
        let _ = self.io.try_io(Interest::READABLE, || {
            result = self.socket.recv(batch);
            let blocked = matches!(&result, Err(e) if e.kind() == io::ErrorKind::WouldBlock);
            // On Linux a batch that is not full has emptied the socket, and the next datagram is a
            // new event for the poller: another call would be wasted.
            let emptied = cfg!(target_os = "linux") && !batch.is_empty() && !batch.is_full();
            if blocked || emptied {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        result
    }

    /// Ready when an ICMP error has arrived since it was last ready.
    fn poll_reported(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut watch = lock(&self.reported);
        ready!(watch.as_mut().poll(cx))?;
        *watch = reported(self.io.clone());
        Poll::Ready(Ok(()))
    }
}

fn register(socket: &sys::UdpSocket, handle: &Handle) -> io::Result<UdpSocket> {
    let _context = handle.enter();
    UdpSocket::from_std(socket.get_ref().try_clone()?)
}

fn reported(io: Arc<UdpSocket>) -> BoxFuture<io::Result<()>> {
    Box::pin(async move {
        io.ready(Interest::ERROR).await?;
        // Clears the readiness. The reports are read after that, so none is missed.
        let _ = io.try_io(Interest::ERROR, || {
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        Ok(())
    })
}

impl Datagrams for TokioDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        loop {
            let result = match self.io.poll_recv_ready(cx) {
                Poll::Ready(ready) => ready.and_then(|()| self.recv_readable(batch)),
                Poll::Pending => {
                    ready!(self.poll_reported(cx))?;
                    self.socket.recv(batch)
                }
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()> {
        self.socket.send(batch)
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = lock(&self.room);
        let io = match &mut *room {
            Some(io) => io,
            empty => empty.insert(register(&self.socket, &self.handle)?),
        };
        let result = ready!(io.poll_send_ready(cx));
        *room = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for TokioDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioDatagrams")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
