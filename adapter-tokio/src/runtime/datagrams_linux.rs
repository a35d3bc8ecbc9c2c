//! UDP on Linux.
//!
//! The socket is watched for reading and for errors only, and a second watch is opened when, rarely,
//! its send buffer is full. Watched for writing, it would stir the poller for each datagram that
//! has gone; and as epoll shows an ICMP error on a writable socket as "closed for writing", which
//! tokio never takes back, waiting for room would turn into a busy loop after the first one.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use adapter_core::{BoxFuture, Datagrams, RecvBatch, SendBatch, sys};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

pub(super) struct TokioDatagrams {
    handle: Handle,
    io: Arc<AsyncFd<sys::UdpSocket>>,
    /// Ends when an ICMP error has arrived.
    reported: Mutex<BoxFuture<io::Result<()>>>,
    /// The second watch, while someone waits for room to send.
    room: Mutex<Option<AsyncFd<UdpSocket>>>,
}

impl TokioDatagrams {
    pub(super) fn new(socket: sys::UdpSocket, handle: Handle) -> io::Result<Self> {
        let io = {
            let _context = handle.enter();
            Arc::new(AsyncFd::register_with_interest(
                socket,
                Interest::READABLE | Interest::ERROR,
            )?)
        };
        let reported = Mutex::new(reported(io.clone()));
        Ok(Self {
            handle,
            io,
            reported,
            room: Mutex::new(None),
        })
    }

    /// Ready when an ICMP error has arrived since it was ready last.
    fn poll_reported(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut watch = lock(&self.reported);
        ready!(watch.as_mut().poll(cx))?;
        *watch = reported(self.io.clone());
        Poll::Ready(Ok(()))
    }
}

fn reported(io: Arc<AsyncFd<sys::UdpSocket>>) -> BoxFuture<io::Result<()>> {
    Box::pin(async move {
        io.ready(Interest::ERROR).await?.clear_ready();
        Ok(())
    })
}

impl Datagrams for TokioDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.io.get_ref().local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        loop {
            let Poll::Ready(guard) = self.io.poll_read_ready(cx) else {
                ready!(self.poll_reported(cx))?;
                match self.io.get_ref().recv(batch) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    result => return Poll::Ready(result),
                }
            };
            let mut guard = guard?;
            let result = guard.get_inner().recv(batch);
            match &result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    guard.clear_ready();
                    continue;
                }
                // A batch that is not full has emptied the socket. The next datagram makes a new
                // event (epoll is edge-triggered here), so asking once more would be a wasted call.
                Ok(()) if !batch.is_empty() && !batch.is_full() => guard.clear_ready(),
                _ => {}
            }
            return Poll::Ready(result);
        }
    }

    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()> {
        self.io.get_ref().send(batch)
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = lock(&self.room);
        let watch = match &mut *room {
            Some(watch) => watch,
            empty => {
                let _context = self.handle.enter();
                let socket = self.io.get_ref().get_ref().try_clone()?;
                empty.insert(AsyncFd::register_with_interest(socket, Interest::WRITABLE)?)
            }
        };
        let result = ready!(watch.poll_write_ready(cx)).map(drop);
        *room = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for TokioDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioDatagrams")
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
