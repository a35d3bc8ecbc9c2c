//! The resources that hickory requires of a runtime: few sockets, timers and tasks.

use std::future::{Future, poll_fn, ready};
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use async_trait::async_trait;
use futures_io::{AsyncRead, AsyncWrite};
use hickory_resolver::config::{ConnectionConfig, ProtocolConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn, Time};
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::DnsExchange;
use hickory_resolver::{ConnectionProvider, PoolContext};

use super::PATIENCE;
use crate::runtime::{BoxFuture, ConnectedDatagrams, CurrentRuntime, Runtime, Stream};

/// The number of UDP sockets for each TCP connection allowed beside them, for truncated answers.
const UDP_PER_TCP: usize = 8;

/// The connections to name servers. A query over UDP has one socket, on a port of its own (RFC 5452
/// §9.2).
pub(super) struct Connections<R>(Provider<R>);

impl<R: CurrentRuntime> Connections<R> {
    pub(super) fn new(runtime: Arc<dyn Runtime>, sockets: usize) -> Self {
        Self(Provider {
            runtime,
            udp: Arc::new(Semaphore::new(sockets)),
            tcp: Arc::new(Semaphore::new(sockets.div_ceil(UDP_PER_TCP))),
            kind: PhantomData,
        })
    }
}

impl<R> Clone for Connections<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: CurrentRuntime> ConnectionProvider for Connections<R> {
    type Conn = DnsExchange<Provider<R>>;
    type FutureConn = BoxFuture<Result<Self::Conn, NetError>>;
    type RuntimeProvider = Provider<R>;

    fn new_connection(
        &self,
        server: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        if !matches!(config.protocol, ProtocolConfig::Udp) {
            return self.0.new_connection(server, config, context);
        }
        let remote = SocketAddr::new(server, config.port);
        let exchange = UdpClientStream::builder(remote, self.0.clone())
            .with_timeout(Some(context.options.timeout))
            // By default, every retry would use one more socket beside the first.
            .with_max_retries(1)
            .with_bind_addr(config.bind_addr)
            .exchange();
        Ok(Box::pin(ready(Ok(exchange))))
    }

    fn runtime_provider(&self) -> &Provider<R> {
        &self.0
    }
}

/// A runtime in hickory's terms, with the limits on what it may open. Timers are requested by type
/// alone, hence `R`.
pub(super) struct Provider<R> {
    runtime: Arc<dyn Runtime>,
    udp: Arc<Semaphore>,
    tcp: Arc<Semaphore>,
    kind: PhantomData<fn() -> R>,
}

impl<R> Clone for Provider<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: Arc::clone(&self.runtime),
            udp: Arc::clone(&self.udp),
            tcp: Arc::clone(&self.tcp),
            kind: PhantomData,
        }
    }
}

impl<R: CurrentRuntime> RuntimeProvider for Provider<R> {
    type Handle = Self;
    type Timer = Clock<R>;
    type Udp = Udp<R>;
    type Tcp = Tcp<R>;

    fn create_handle(&self) -> Self {
        self.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> BoxFuture<io::Result<Tcp<R>>> {
        let permit = self.tcp.acquire_arc();
        let runtime = Arc::clone(&self.runtime);
        let connected = async move {
            let permit = permit.await;
            let stream = runtime.connect(server, local).await?;
            let kind = PhantomData;
            Ok(Tcp {
                stream,
                _permit: permit,
                kind,
            })
        };
        Box::pin(async move { Clock::<R>::timeout(timeout.unwrap_or(PATIENCE), connected).await? })
    }

    fn bind_udp(&self, local: SocketAddr, server: SocketAddr) -> BoxFuture<io::Result<Udp<R>>> {
        let permit = self.udp.acquire_arc();
        let runtime = Arc::clone(&self.runtime);
        Box::pin(async move {
            let permit = permit.await;
            let socket = runtime.connect_datagrams(server, local)?;
            let kind = PhantomData;
            Ok(Udp {
                socket,
                server,
                _permit: permit,
                kind,
            })
        })
    }
}

impl<R: CurrentRuntime> Spawn for Provider<R> {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(Box::pin(future));
    }
}

/// The timers of the runtime that a task runs in.
pub(super) struct Clock<R>(PhantomData<fn() -> R>);

#[async_trait]
impl<R: CurrentRuntime> Time for Clock<R> {
    async fn delay_for(duration: Duration) {
        let Ok(runtime) = R::current() else {
            return;
        };
        let mut timer = runtime.timer(runtime.now() + duration);
        poll_fn(|cx| timer.poll(cx)).await;
    }

    async fn timeout<F: Future + Send + 'static>(
        duration: Duration,
        future: F,
    ) -> io::Result<F::Output> {
        let mut future = pin!(future);
        let mut late = Self::delay_for(duration);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => late
                .as_mut()
                .poll(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into())),
        })
        .await
    }
}

/// A socket that receives from one name server only, errors (ICMP) included.
pub(super) struct Udp<R> {
    socket: Box<dyn ConnectedDatagrams>,
    server: SocketAddr,
    _permit: SemaphoreGuardArc,
    kind: PhantomData<fn() -> R>,
}

#[async_trait]
impl<R: CurrentRuntime> DnsUdpSocket for Udp<R> {
    type Time = Clock<R>;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let received = self.socket.poll_recv(cx, buffer);
        received.map_ok(|len| (len, self.server))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        _server: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(cx, bytes)
    }
}

pub(super) struct Tcp<R> {
    stream: Box<dyn Stream>,
    _permit: SemaphoreGuardArc,
    kind: PhantomData<fn() -> R>,
}

impl<R: CurrentRuntime> DnsTcpStream for Tcp<R> {
    type Time = Clock<R>;
}

impl<R> AsyncRead for Tcp<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buffer)
    }
}

impl<R> AsyncWrite for Tcp<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown())
    }
}
