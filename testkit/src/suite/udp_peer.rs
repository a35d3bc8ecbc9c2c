use std::future::poll_fn;
use std::net::SocketAddr;

use adapter_core::runtime::{Datagrams, RecvBatch, SendBatch};

/// A UDP socket that says what it likes.
#[derive(Debug)]
pub struct UdpPeer {
    socket: Box<dyn Datagrams>,
    batch: RecvBatch,
    /// How many of the batch are taken.
    taken: usize,
}

impl UdpPeer {
    /// A peer on that socket.
    pub fn new(socket: Box<dyn Datagrams>) -> Self {
        Self {
            socket,
            batch: RecvBatch::new(),
            taken: 0,
        }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    /// Sends a datagram.
    ///
    /// # Panics
    /// It cannot be sent.
    pub async fn send(&self, to: SocketAddr, data: impl AsRef<[u8]>) {
        let mut batch = SendBatch::new(1 << 20);
        let pushed = batch.push(to, None, 0, |buffer| {
            buffer.extend_from_slice(data.as_ref())
        });
        assert!(pushed.is_ok());
        while self.socket.try_send(&mut batch).is_err() {
            let room = poll_fn(|cx| self.socket.poll_send_ready(cx)).await;
            assert!(room.is_ok());
        }
        assert!(batch.failures().is_empty(), "{:?}", batch.failures());
    }

    /// The next datagram, and where it came from.
    ///
    /// # Panics
    /// The socket fails.
    pub async fn recv(&mut self) -> (Vec<u8>, SocketAddr) {
        loop {
            if let Some(datagram) = self.batch.iter().nth(self.taken) {
                self.taken += 1;
                return (datagram.data.to_vec(), datagram.remote);
            }
            self.taken = 0;
            let result = poll_fn(|cx| self.socket.poll_recv(cx, &mut self.batch)).await;
            assert!(result.is_ok(), "{result:?}");
        }
    }
}
