//! Lookups by hickory-resolver, over the sockets and timers of any runtime.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_io::{AsyncRead, AsyncWrite};
use hickory_resolver::Resolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::{DnsTcpStream, DnsUdpSocket, RuntimeProvider, Spawn, Time};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use sip_transport_proto::resolve::{
    Answer, DomainName, LookupKind, NaptrRecord, Record, SrvRecord,
};
use sip_transport_proto::trace::LOOKUP;
use tracing::warn;

use super::{Resolve, SystemResolver};
use crate::sync::lock;
use crate::{
    BoxFuture, CurrentRuntime, Datagrams, RecvBatch, Runtime, SendBatch, SocketOptions, Stream,
};

/// How long one name server is waited for: a lookup has 2 s, and another server may be asked.
const PATIENCE: Duration = Duration::from_millis(800);
/// The buffer of a socket for one query, in the system and here.
const BUFFER: usize = 64 * 1024;

/// Answers by the name servers and the hosts file of the system, or by name servers given.
pub(crate) struct HickoryResolver<R: CurrentRuntime>(Resolver<Provider<R>>);

impl<R: CurrentRuntime> HickoryResolver<R> {
    /// A resolver on this runtime. Where the system names no name servers, its own resolver has to
    /// do.
    pub(crate) fn start(
        runtime: &Arc<dyn Runtime>,
        servers: &[SocketAddr],
    ) -> io::Result<Arc<dyn Resolve>> {
        let provider = Provider {
            runtime: Arc::clone(runtime),
            kind: PhantomData,
        };
        let mut builder = if servers.is_empty() {
            match Resolver::builder(provider) {
                Ok(builder) => builder,
                Err(error) => {
                    warn!(target: LOOKUP, %error, "no name servers: the system's resolver is asked instead");
                    return Ok(Arc::new(SystemResolver(Arc::clone(runtime))));
                }
            }
        } else {
            let servers = servers.iter().map(|server| {
                let at = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
                NameServerConfig::new(server.ip(), true, connections)
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            Resolver::builder_with_config(config, provider)
        };
        let options = builder.options_mut();
        options.timeout = options.timeout.min(PATIENCE);
        // The transport remembers answers, within limits of its own.
        options.cache_size = 0;
        let resolver = builder.build().map_err(io::Error::other)?;
        Ok(Arc::new(Self(resolver)))
    }
}

impl<R: CurrentRuntime> fmt::Debug for HickoryResolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver").finish_non_exhaustive()
    }
}

impl<R: CurrentRuntime> Resolve for HickoryResolver<R> {
    fn lookup(&self, kind: LookupKind, name: DomainName) -> BoxFuture<Answer> {
        let resolver = self.0.clone();
        Box::pin(async move {
            // With a dot at its end the name is complete.
            let Ok(name) = Name::from_ascii(format!("{name}.")) else {
                return Answer::NotFound { ttl: None };
            };
            let kind = match kind {
                LookupKind::Naptr => RecordType::NAPTR,
                LookupKind::Srv => RecordType::SRV,
                LookupKind::A => RecordType::A,
                LookupKind::Aaaa => RecordType::AAAA,
            };
            match resolver.lookup(name, kind).await {
                Ok(lookup) => found(&lookup),
                Err(error) => not_found(&error),
            }
        })
    }
}

fn found(lookup: &Lookup) -> Answer {
    let records = lookup.answers().iter();
    let records: Vec<_> = records.filter_map(|answer| record(&answer.data)).collect();
    let ttl = lookup
        .valid_until()
        .saturating_duration_since(Instant::now());
    match records.is_empty() {
        true => Answer::NotFound { ttl: Some(ttl) },
        false => Answer::Found { records, ttl },
    }
}

fn record(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match data {
        RData::A(a) => Record::Address(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Record::Address(IpAddr::V6(aaaa.0)),
        RData::SRV(srv) => Record::Srv(SrvRecord {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_ascii(),
        }),
        RData::NAPTR(naptr) => Record::Naptr(NaptrRecord {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            services: text(&naptr.services),
            regexp: text(&naptr.regexp),
            replacement: naptr.replacement.to_ascii(),
        }),
        _ => return None,
    })
}

fn not_found(error: &NetError) -> Answer {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let ttl = none.negative_ttl.map(u64::from).map(Duration::from_secs);
            match none.response_code {
                ResponseCode::NXDomain => Answer::NoSuchName { ttl },
                ResponseCode::NoError => Answer::NotFound { ttl },
                _ => Answer::Failed(io::ErrorKind::Other),
            }
        }
        NetError::Timeout => Answer::Failed(io::ErrorKind::TimedOut),
        NetError::Io(error) => Answer::Failed(error.kind()),
        NetError::NoConnections => Answer::Failed(io::ErrorKind::NotConnected),
        NetError::Busy => Answer::Failed(io::ErrorKind::ResourceBusy),
        _ => Answer::Failed(io::ErrorKind::Other),
    }
}

/// What hickory asks of a runtime. Its timers are asked for by type alone, hence `R`.
struct Provider<R> {
    runtime: Arc<dyn Runtime>,
    kind: PhantomData<fn() -> R>,
}

impl<R> Clone for Provider<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: Arc::clone(&self.runtime),
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
        let stream = self.runtime.connect(server, local);
        Box::pin(async move {
            let stream = Clock::<R>::timeout(timeout.unwrap_or(PATIENCE), stream).await??;
            let kind = PhantomData;
            Ok(Tcp { stream, kind })
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> BoxFuture<io::Result<Udp<R>>> {
        let options = SocketOptions {
            receive_buffer: BUFFER,
            ..SocketOptions::default()
        };
        let socket = self.runtime.bind_datagrams(local, &options);
        let socket = socket.map(|socket| Udp {
            socket,
            received: Mutex::default(),
            kind: PhantomData,
        });
        Box::pin(async { socket })
    }
}

impl<R: CurrentRuntime> Spawn for Provider<R> {
    fn spawn_bg(&mut self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(Box::pin(future));
    }
}

/// The timers of the runtime that a task runs in.
struct Clock<R>(PhantomData<fn() -> R>);

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

struct Udp<R> {
    socket: Box<dyn Datagrams>,
    received: Mutex<Received>,
    kind: PhantomData<fn() -> R>,
}

/// What came at once, and how much of it was looked at: the answer may come behind forged ones.
#[derive(Default)]
struct Received {
    batch: RecvBatch,
    taken: usize,
}

#[async_trait]
impl<R: CurrentRuntime> DnsUdpSocket for Udp<R> {
    type Time = Clock<R>;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut received = lock(&self.received);
        let Received { batch, taken } = &mut *received;
        loop {
            if let Some(datagram) = batch.iter().nth(*taken) {
                *taken += 1;
                let len = datagram.data.len().min(buffer.len());
                buffer[..len].copy_from_slice(&datagram.data[..len]);
                return Poll::Ready(Ok((len, datagram.remote)));
            }
            ready!(self.socket.poll_recv(cx, batch))?;
            *taken = 0;
            if let Some(failure) = batch.failures().pop() {
                return Poll::Ready(Err(failure.error));
            }
        }
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        server: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut batch = SendBatch::new(BUFFER);
            batch
                .push(server, None, 0, |room| room.extend_from_slice(bytes))
                .map_err(io::Error::other)?;
            if self.socket.try_send(&mut batch).is_ok() {
                return Poll::Ready(match batch.failures().pop() {
                    Some(failure) => Err(failure.error),
                    None => Ok(bytes.len()),
                });
            }
            ready!(self.socket.poll_send_ready(cx))?;
        }
    }
}

struct Tcp<R> {
    stream: Box<dyn Stream>,
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
