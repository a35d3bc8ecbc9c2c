use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use adapter_core::{Datagrams, RecvBatch, SendBatch, Stream};

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

/// A TCP connection that says what it likes.
#[derive(Debug)]
pub struct TcpPeer {
    stream: Box<dyn Stream>,
    /// What was read and not taken.
    buffer: Vec<u8>,
}

impl TcpPeer {
    /// A peer on that connection.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Its own address.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    /// Its far end.
    pub fn remote(&self) -> SocketAddr {
        self.stream.remote_addr()
    }

    /// Writes all of it.
    ///
    /// # Panics
    /// The connection breaks.
    pub async fn write(&self, data: impl AsRef<[u8]>) {
        let mut rest = data.as_ref();
        while !rest.is_empty() {
            match poll_fn(|cx| self.stream.poll_write(cx, rest)).await {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(error) => panic!("cannot write: {error}"),
            }
        }
    }

    /// Reads up to and with `end`.
    ///
    /// # Panics
    /// The connection ends before.
    pub async fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let found = self.buffer.windows(end.len()).position(|at| at == end);
            if let Some(start) = found {
                let rest = self.buffer.split_off(start + end.len());
                return std::mem::replace(&mut self.buffer, rest);
            }
            let more = self.fill().await;
            assert!(
                matches!(more, Ok(1..)),
                "{more:?} after {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        }
    }

    /// Reads a message that has no body.
    ///
    /// # Panics
    /// The connection ends before.
    pub async fn read_head(&mut self) -> String {
        let bytes = self.read_until(b"\r\n\r\n").await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads to the end of the stream; true if it was reset instead.
    pub async fn read_to_end(&mut self) -> (Vec<u8>, bool) {
        loop {
            match self.fill().await {
                Ok(0) => return (std::mem::take(&mut self.buffer), false),
                Ok(_) => {}
                Err(_) => return (std::mem::take(&mut self.buffer), true),
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 4096];
        let n = poll_fn(|cx| self.stream.poll_read(cx, &mut chunk)).await?;
        self.buffer
            .extend_from_slice(chunk.get(..n).unwrap_or_default());
        Ok(n)
    }
}
