//! The builder of a transport.

use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

use sip_transport_proto::parts::Router;
#[cfg(feature = "tls")]
use sip_transport_proto::tls::TlsConfig;
use sip_transport_proto::trace::LIMIT;
use sip_transport_proto::{ChannelConfig, Config, Protocol};
use tracing::{info, warn};

#[cfg(feature = "capture")]
use crate::capture::{self, Capture};
use crate::error::BindError;
use crate::hub::owner::Owner;
use crate::hub::queue::{Queue, QueueLimits};
use crate::hub::{Hub, Worker, tasks};
use crate::incoming::Incoming;
#[cfg(feature = "dns")]
use crate::resolver::HickoryResolver;
#[cfg(not(feature = "dns"))]
use crate::resolver::SystemResolver;
use crate::runtime::{CurrentRuntime, Resolve, Runtime, SocketOptions, sys};
use crate::transport::SipTransport;

/// The descriptors reserved for everything but connections: sockets of channels, of the runtime and
/// of DNS, files. A quarter of all, and no more than this.
const OTHER_DESCRIPTORS: usize = 256;

/// A builder of a transport: channels, settings, workers.
///
/// ```
/// # use adapter_core::runtime::CurrentRuntime;
/// # use adapter_core::{Config, SipTransport, error::BindError};
/// # async fn example<R: CurrentRuntime>() -> Result<(), Box<dyn std::error::Error>> {
/// # type Sip<R> = SipTransport<R>;
/// let mut config = Config::default();
/// config.max_connections(10_000)?;
/// let builder = Sip::<R>::builder()
///     .udp("0.0.0.0:5060".parse()?)
///     .tcp("0.0.0.0:5060".parse()?)
///     .udp("[::]:5060".parse()?) // IPv6 only, so that both families share the port
///     .config(config)
///     .workers(4);
/// match builder.bind().await {
///     Ok((transport, incoming)) => { /* send with one, receive from the other */ }
///     Err(BindError::Io { addr, source, .. }) => println!("{addr} is not free: {source}"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing happens until `bind`"]
pub struct Builder<R> {
    channels: Vec<ChannelConfig>,
    config: Config,
    workers: usize,
    runtimes: Vec<Arc<dyn Runtime>>,
    queue: QueueLimits,
    datagram_queue: usize,
    socket: SocketOptions,
    resolver: Option<Arc<dyn Resolve>>,
    #[cfg(feature = "dns")]
    name_servers: Vec<SocketAddr>,
    seed: Option<[u8; 32]>,
    raise_descriptors: bool,
    #[cfg(feature = "capture")]
    captures: Vec<Capture>,
    runtime: PhantomData<R>,
}

impl<R: CurrentRuntime> SipTransport<R> {
    /// Creates a builder of a new transport.
    pub fn builder() -> Builder<R> {
        Builder::new()
    }
}

impl<R: CurrentRuntime> Builder<R> {
    pub(crate) fn new() -> Self {
        Self {
            channels: Vec::new(),
            config: Config::default(),
            workers: 1,
            runtimes: Vec::new(),
            queue: QueueLimits {
                messages: 1_024,
                bytes: 4 << 20,
            },
            datagram_queue: 1 << 20,
            socket: SocketOptions::default(),
            resolver: None,
            #[cfg(feature = "dns")]
            name_servers: Vec::new(),
            seed: None,
            raise_descriptors: false,
            #[cfg(feature = "capture")]
            captures: Vec::new(),
            runtime: PhantomData,
        }
    }

    /// Adds a UDP channel. Port 0 lets the system choose.
    pub fn udp(self, local: SocketAddr) -> Self {
        self.channel(ChannelConfig::new(Protocol::Udp, local))
    }

    /// Adds a TCP channel. Port 0 lets the system choose.
    pub fn tcp(self, local: SocketAddr) -> Self {
        self.channel(ChannelConfig::new(Protocol::Tcp, local))
    }

    /// Adds a TLS channel (SIP over TLS over TCP), with a server certificate. Port 0 lets the
    /// system choose.
    #[cfg(feature = "tls")]
    pub fn tls(self, local: SocketAddr, tls: TlsConfig) -> Self {
        self.channel(ChannelConfig::new(Protocol::Tls, local).tls(tls))
    }

    /// Adds a WebSocket channel (RFC 7118). Port 0 lets the system choose.
    #[cfg(feature = "ws")]
    pub fn ws(self, local: SocketAddr) -> Self {
        self.channel(ChannelConfig::new(Protocol::Ws, local))
    }

    /// Adds a secure WebSocket channel (RFC 7118), with a server certificate. Port 0 lets the
    /// system choose.
    #[cfg(all(feature = "tls", feature = "ws"))]
    pub fn wss(self, local: SocketAddr, tls: TlsConfig) -> Self {
        self.channel(ChannelConfig::new(Protocol::Wss, local).tls(tls))
    }

    /// Adds a channel with settings of its own. Port 0 lets the system choose.
    pub fn channel(mut self, channel: ChannelConfig) -> Self {
        self.channels.push(channel);
        self
    }

    /// Sets the configuration of the transport.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the number of workers that share the load: each has a UDP socket for each address
    /// (`SO_REUSEPORT`), its share of the connections, and its own events. Default: 1; 0 counts as
    /// 1.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Sets one worker for each of these runtimes, on which its tasks run. Best with one
    /// single-threaded runtime for each thread: the transport and the application then alternate,
    /// in batches.
    pub fn worker_runtimes(mut self, runtimes: impl IntoIterator<Item = R>) -> Self {
        self.runtimes = runtimes
            .into_iter()
            .map(|r| Arc::new(r) as Arc<dyn Runtime>)
            .collect();
        self
    }

    /// Sets the limits on what waits for the application, for each worker: messages, and bytes that
    /// they hold. While as many other events wait on any worker as messages may, no connection is
    /// accepted.
    pub fn application_queue(mut self, messages: usize, bytes: usize) -> Self {
        self.queue = QueueLimits {
            messages: messages.max(1),
            bytes: bytes.max(1),
        };
        self
    }

    /// Sets the limit on the bytes that wait to be sent on one UDP socket. Default: 1 MiB.
    pub fn datagram_queue(mut self, bytes: usize) -> Self {
        self.datagram_queue = bytes.max(1);
        self
    }

    /// Sets the options of the sockets, such as the receive buffer.
    pub fn socket_options(mut self, options: SocketOptions) -> Self {
        self.socket = options;
        self
    }

    /// Sets the resolver of DNS lookups. Default: the system's name servers and hosts file; without
    /// the feature `dns` the system's resolver, which finds addresses only.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Sets the name servers, in place of the system's. The hosts file is used in either case. An
    /// empty list means the system's.
    #[cfg(feature = "dns")]
    pub fn name_servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.name_servers = servers.into_iter().collect();
        self
    }

    /// Sets the seed of all randomness, for repeatable tests. Default: from the operating system.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Raises the soft limit on open files to the hard one before anything is opened. It is the
    /// limit of the whole process, so a library must not do that unasked. Default: no.
    ///
    /// [`Config::max_connections`] is lowered to what the limit allows, less a quarter of it, at
    /// most 256, for other files. The result is logged, as a warning if it is lower than the
    /// setting.
    pub fn raise_descriptor_limit(mut self) -> Self {
        self.raise_descriptors = true;
        self
    }

    /// Adds a capture of all messages: to a collector, or to files. It ends when the transport has
    /// ended and what was captured is written.
    #[cfg(feature = "capture")]
    pub fn capture(mut self, capture: Capture) -> Self {
        self.captures.push(capture);
        self
    }

    /// Binds the channels and starts the transport, on the current runtime unless
    /// [`worker_runtimes`](Self::worker_runtimes) were given.
    ///
    /// # Errors
    /// There is no current runtime, or an address cannot be bound, or the file of a capture opened;
    /// nothing is left open then.
    pub async fn bind(self) -> Result<(SipTransport<R>, Incoming), BindError> {
        let mut config = self.config;
        fit_descriptors(&mut config, self.raise_descriptors);
        let mut runtimes = self.runtimes;
        if runtimes.is_empty() {
            let current: Arc<dyn Runtime> = Arc::new(R::current().map_err(BindError::Runtime)?);
            runtimes = vec![current; self.workers];
        }
        let mut seed = [0; 32];
        match (self.seed, runtimes.first()) {
            (Some(given), _) => seed = given,
            (None, Some(runtime)) => runtime.fill_random(&mut seed).map_err(BindError::Runtime)?,
            (None, None) => return Err(no_worker()),
        }
        #[cfg(feature = "capture")]
        let followers = match runtimes.first() {
            Some(runtime) => capture::start(self.captures, &mut config, runtime).await?,
            None => return Err(no_worker()),
        };
        #[cfg(not(feature = "capture"))]
        let followers = Vec::new();
        let router = Router::new(config, seed);
        let resolver = match (self.resolver, runtimes.first()) {
            (Some(given), _) => given,
            (None, Some(runtime)) => match runtime.resolver() {
                Some(own) => own,
                #[cfg(feature = "dns")]
                None => HickoryResolver::<R>::start(
                    runtime,
                    &self.name_servers,
                    router.max_asked_lookups(),
                )
                .map_err(BindError::Runtime)?,
                #[cfg(not(feature = "dns"))]
                None => Arc::new(SystemResolver(Arc::clone(runtime))),
            },
            (None, None) => return Err(no_worker()),
        };
        let worker = |runtime| Worker {
            runtime,
            queue: Arc::new(Queue::new(self.queue)),
        };
        let workers: Vec<Worker> = runtimes.into_iter().map(worker).collect();
        let queues: Vec<_> = workers
            .iter()
            .map(|worker| Arc::clone(&worker.queue))
            .collect();
        let hub = Arc::new(Hub::new(
            router,
            R::is_inside,
            workers,
            resolver,
            self.datagram_queue,
            self.socket,
            followers,
        ));
        // If dropped on an error below, it ends what has been started.
        let owner = Arc::new(Owner(Arc::clone(&hub)));
        hub.spawn(0, tasks::router(Arc::clone(&hub)));
        for channel in self.channels {
            hub.add_channel(channel)?;
        }
        let incoming = Incoming::new(queues, Arc::clone(&owner));
        Ok((SipTransport::new(owner), incoming))
    }
}

fn no_worker() -> BindError {
    BindError::Runtime(io::Error::other("there are no workers"))
}

/// Lowers the number of connections to what the limit on open files allows.
fn fit_descriptors(config: &mut Config, raise: bool) {
    let limit = match raise {
        true => sys::raise_descriptor_limit().unwrap_or_else(|error| {
            warn!(target: LIMIT, %error, "cannot raise the limit of open files");
            sys::descriptor_limit()
        }),
        false => sys::descriptor_limit(),
    };
    let Some(limit) = limit else {
        return;
    };
    let others = (limit / 4).min(OTHER_DESCRIPTORS);
    let wanted = config.most_connections();
    config.fit_descriptors(limit - others);
    let connections = config.most_connections();
    if connections < wanted {
        warn!(target: LIMIT, open_files = limit, connections, wanted, "the limit of open files allows fewer connections than max_connections says");
    } else {
        info!(target: LIMIT, open_files = limit, connections, "the limit of open files suffices");
    }
}
