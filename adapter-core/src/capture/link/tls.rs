//! A connection to a collector over TLS.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use sip_capture::Sender;
use sip_transport_proto::Protocol;
use sip_transport_proto::tls::{Tls, TlsName};

use crate::capture::collector::Collector;
use crate::capture::link::{WRITES, poll_read};
use crate::runtime::{Runtime, Stream};

/// The most plaintext that is encrypted at a time: a record.
const RECORD: usize = 16_384;

pub(in crate::capture) struct TlsLink {
    stream: Box<dyn Stream>,
    machine: Tls,
    /// What is encrypted and not written, up to `written`.
    sealed: Vec<u8>,
    written: usize,
    /// The length of the frames' bytes in it.
    plain: usize,
}

impl std::fmt::Debug for TlsLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsLink").finish_non_exhaustive()
    }
}

impl TlsLink {
    /// Connects, and ends the handshake.
    pub(super) async fn open(
        collector: &Collector,
        runtime: &dyn Runtime,
        to: SocketAddr,
    ) -> io::Result<Self> {
        let config = collector.tls.as_ref();
        let config = config.ok_or(io::ErrorKind::Unsupported)?;
        let name = TlsName::new(&collector.host).map_err(io::Error::other)?;
        // Names as those of web servers: RFC 5922 is about SIP domains.
        let machine = Tls::client(config, Protocol::Wss, &name).map_err(io::Error::other)?;
        let mut link = Self {
            stream: runtime.connect(to, None).await?,
            machine,
            sealed: Vec::new(),
            written: 0,
            plain: 0,
        };
        poll_fn(|cx| link.poll_handshake(cx)).await?;
        Ok(link)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.machine.flush(&mut self.sealed);
        while self.machine.is_handshaking() {
            if self.poll_write(cx)?.is_pending() {
                return Poll::Pending;
            }
            if let Poll::Ready(error) = self.poll_read(cx, &mut 0) {
                return Poll::Ready(Err(error));
            }
            if self.sealed.is_empty() && self.machine.is_handshaking() {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        sender: &mut Sender,
    ) -> Poll<io::Error> {
        let mut received = 0;
        let read = self.poll_read(cx, &mut received);
        sender.handle_received(now, received);
        if let Poll::Ready(error) = read {
            return Poll::Ready(error);
        }
        for _ in 0..WRITES {
            if self.sealed.is_empty() {
                let waiting = sender.transmit();
                let plain = waiting.get(..RECORD).unwrap_or(waiting);
                if plain.is_empty() {
                    return Poll::Pending;
                }
                if !self.machine.write(plain, &mut self.sealed) {
                    return Poll::Ready(io::ErrorKind::ConnectionAborted.into());
                }
                self.plain = plain.len();
            }
            match ready!(self.poll_write(cx)) {
                Ok(()) => sender.handle_written(now, std::mem::take(&mut self.plain)),
                Err(error) => return Poll::Ready(error),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn close(&mut self) {
        self.machine.close(&mut self.sealed);
        let rest = self.sealed.get(self.written..).unwrap_or_default();
        // The collector may as well be gone; it then misses a farewell, and no message.
        _ = self.stream.try_write(rest);
        _ = self.stream.shutdown();
    }

    /// Reads once, and counts the plaintext, which is discarded.
    fn poll_read(&mut self, cx: &mut Context<'_>, plaintext: &mut usize) -> Poll<io::Error> {
        let Self {
            stream,
            machine,
            sealed,
            ..
        } = self;
        let read = poll_read(cx, &**stream, |bytes| {
            let mut count = |plain: &[u8]| {
                *plaintext += plain.len();
                plain.len()
            };
            machine.read(bytes, &mut count).map_err(io::Error::other)
        });
        machine.flush(sealed);
        read
    }

    /// Writes what is encrypted. Ready once all of it is.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.sealed.get(self.written..).filter(|r| !r.is_empty()) {
            self.written += ready!(self.stream.poll_write(cx, rest))?;
        }
        self.sealed.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}
