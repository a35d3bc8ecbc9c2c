//! A way to a collector: a UDP socket, or a TCP connection with or without TLS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use sip_capture::Sender;
use sip_transport_proto::Protocol;

use crate::capture::collector::Collector;
use crate::runtime::{Datagrams, Runtime, SendBatch, SocketOptions, Stream};

#[cfg(feature = "tls")]
mod tls;

/// The most writes in a row before others have their turn.
const WRITES: usize = 16;
/// The most datagrams that are given to the system at a time.
const DATAGRAMS: usize = 32;
/// The room for what a collector sends, which is discarded.
const READ: usize = 4_096;

/// An open way to a collector.
#[derive(Debug)]
pub(super) enum Link {
    Datagrams(DatagramLink),
    Stream(Box<dyn Stream>),
    #[cfg(feature = "tls")]
    Tls(Box<tls::TlsLink>),
}

#[derive(Debug)]
pub(super) struct DatagramLink {
    io: Box<dyn Datagrams>,
    to: SocketAddr,
    batch: SendBatch,
}

impl Link {
    /// Opens a way: looks the collector's name up, and over a stream connects to its first address
    /// that answers.
    pub(super) async fn open(
        collector: Arc<Collector>,
        runtime: Arc<dyn Runtime>,
    ) -> io::Result<Self> {
        let ips = match collector.host.parse::<IpAddr>() {
            Ok(ip) => vec![ip],
            Err(_) => runtime.lookup(collector.host.clone()).await?,
        };
        let mut outcome = Err(io::ErrorKind::NotFound.into());
        for ip in ips {
            let to = SocketAddr::new(ip, collector.port);
            outcome = match collector.protocol {
                Protocol::Tcp => runtime.connect(to, None).await.map(Self::Stream),
                Protocol::Tls => Self::open_tls(&collector, &*runtime, to).await,
                _ => DatagramLink::open(&*runtime, to).map(Self::Datagrams),
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    #[cfg(feature = "tls")]
    async fn open_tls(
        collector: &Collector,
        runtime: &dyn Runtime,
        to: SocketAddr,
    ) -> io::Result<Self> {
        let tls = tls::TlsLink::open(collector, runtime, to).await?;
        Ok(Self::Tls(Box::new(tls)))
    }

    #[cfg(not(feature = "tls"))]
    async fn open_tls(_: &Collector, _: &dyn Runtime, _: SocketAddr) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Moves what waits in the sender to the collector, as far as that takes it. Ready when the way
    /// is closed.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        sender: &mut Sender,
    ) -> Poll<io::Error> {
        match self {
            Self::Datagrams(link) => link.poll(cx, now, sender),
            Self::Stream(stream) => {
                let read = |bytes: &[u8]| {
                    sender.handle_received(now, bytes.len());
                    Ok(())
                };
                if let Poll::Ready(error) = poll_read(cx, &**stream, read) {
                    return Poll::Ready(error);
                }
                for _ in 0..WRITES {
                    if sender.transmit().is_empty() {
                        return Poll::Pending;
                    }
                    match stream.poll_write(cx, sender.transmit()) {
                        Poll::Ready(Ok(written)) => sender.handle_written(now, written),
                        Poll::Ready(Err(error)) => return Poll::Ready(error),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            #[cfg(feature = "tls")]
            Self::Tls(link) => link.poll(cx, now, sender),
        }
    }

    /// Tells the collector that nothing more will come.
    pub(super) fn close(&mut self) {
        match self {
            Self::Datagrams(_) => {}
            // If it fails, the connection is gone.
            Self::Stream(stream) => _ = stream.shutdown(),
            #[cfg(feature = "tls")]
            Self::Tls(link) => link.close(),
        }
    }
}

/// Reads once, if there is something. Ready with the end of the stream, or an error.
fn poll_read(
    cx: &mut Context<'_>,
    stream: &dyn Stream,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> Poll<io::Error> {
    let mut buffer = [0; READ];
    match stream.poll_read(cx, &mut buffer) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(0)) => Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
        Poll::Ready(Err(error)) => Poll::Ready(error),
        Poll::Ready(Ok(length)) => {
            // There may be more, and nobody else registers for it.
            cx.waker().wake_by_ref();
            match take(buffer.get(..length).unwrap_or_default()) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(error),
            }
        }
    }
}

impl DatagramLink {
    fn open(runtime: &dyn Runtime, to: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Nothing is read from it.
        let options = SocketOptions {
            receive_buffer: READ,
            ..SocketOptions::default()
        };
        Ok(Self {
            io: runtime.bind_datagrams(SocketAddr::new(any, 0), &options)?,
            to,
            batch: SendBatch::new(usize::MAX),
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>, now: Instant, sender: &mut Sender) -> Poll<io::Error> {
        for _ in 0..WRITES {
            while self.batch.len() < DATAGRAMS && !sender.transmit().is_empty() {
                let frame = sender.transmit();
                let length = frame.len();
                let pushed = self
                    .batch
                    .push(self.to, None, 1, |out| out.extend_from_slice(frame));
                sender.handle_written(now, length);
                if pushed.is_err() {
                    sender.handle_failed(1);
                }
            }
            if self.batch.is_empty() {
                return Poll::Pending;
            }
            let blocked = self.io.try_send(&mut self.batch).is_err();
            for failure in std::mem::take(self.batch.failures()) {
                match failure.id {
                    Some(_) => sender.handle_failed(1),
                    None => sender.handle_unreachable(1),
                }
            }
            if blocked && !matches!(self.io.poll_send_ready(cx), Poll::Ready(Ok(()))) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
