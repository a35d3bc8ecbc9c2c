use std::io;

use adapter_core::capture::Capture;
use adapter_core::runtime::CurrentRuntime;
use adapter_core::{Incoming, SipTransport, StaticResolver};
use sip_transport_proto::error::SendError;
use sip_transport_proto::resolve::Family;
use sip_transport_proto::sip_core::{Message, Request, Response};
use sip_transport_proto::{
    Advertised, ChannelConfig, ChannelId, ConnectionId, ConnectionInfo, Event, SendOptions, Sent,
    SipEndpoint, Stats,
};

use super::{Endpoint, Host, Setup};

/// A host whose transports are those of adapter-core on some runtime.
#[allow(async_fn_in_trait)]
pub trait AdapterHost: Host<Endpoint = Adapter<Self::Runtime>> + 'static {
    /// The runtime.
    type Runtime: CurrentRuntime;

    /// The runtime that the case runs in.
    fn runtime(&self) -> Self::Runtime;

    /// How many tasks the runtime has.
    fn tasks(&self) -> usize;

    /// Runs `call` on a thread outside the runtime, which it may block.
    async fn outside<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T;
}

/// A transport of adapter-core and its events.
#[derive(Debug)]
pub struct Adapter<R> {
    /// The transport.
    pub transport: SipTransport<R>,
    /// Its events.
    pub incoming: Incoming,
}

impl<R: CurrentRuntime> Adapter<R> {
    /// Binds and starts it on the runtime given.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub async fn start(runtime: R, setup: Setup) -> io::Result<Self> {
        Self::start_captured(runtime, setup, []).await
    }

    /// The same, with captures.
    ///
    /// # Errors
    /// An address cannot be bound, or a file opened.
    pub async fn start_captured(
        runtime: R,
        setup: Setup,
        captures: impl IntoIterator<Item = Capture>,
    ) -> io::Result<Self> {
        let mut builder = SipTransport::builder()
            .config(setup.config)
            .worker_runtimes([runtime]);
        if let Some(zone) = setup.zone {
            builder = builder.resolver(StaticResolver::new(zone));
        }
        builder = captures
            .into_iter()
            .fold(builder, adapter_core::Builder::capture);
        let with_channels = setup
            .channels
            .into_iter()
            .fold(builder, adapter_core::Builder::channel);
        let (transport, incoming) = with_channels.bind().await?;
        Ok(Self {
            transport,
            incoming,
        })
    }
}

impl<R: CurrentRuntime> Endpoint for Adapter<R> {
    async fn send(&self, message: Message, options: SendOptions) -> Result<Sent, SendError> {
        let send = match Request::try_from(message) {
            Ok(request) => self.transport.send_request(request),
            Err(wrong) => match Response::try_from(wrong.into_message()) {
                Ok(response) => self.transport.send_response(response),
                Err(wrong) => panic!("{wrong}"),
            },
        };
        send.options(options).await
    }

    async fn event(&mut self) -> Option<Event> {
        self.incoming.recv().await
    }

    fn channels(&self) -> Vec<SipEndpoint> {
        self.transport.local_endpoints()
    }

    async fn add_channel(&self, channel: ChannelConfig) -> io::Result<ChannelId> {
        Ok(self.transport.add_channel(channel).await?)
    }

    async fn remove_channel(&self, channel: ChannelId) {
        if let Err(error) = self.transport.remove_channel(channel).await {
            panic!("{error}");
        }
    }

    fn advertise(&self, channel: ChannelId, advertised: Option<Advertised>) {
        let known = self.transport.advertise(channel, Family::Ipv4, advertised);
        assert_eq!(known, Ok(()));
    }

    fn connections(&self) -> Vec<ConnectionInfo> {
        self.transport.connections()
    }

    fn close(&self, connection: ConnectionId) -> bool {
        self.transport.close(connection)
    }

    fn trust(&self, connection: ConnectionId) -> bool {
        self.transport.trust(connection)
    }

    fn queued_bytes(&self) -> usize {
        self.transport.queued_bytes()
    }

    fn channel_stats(&self) -> Vec<(SipEndpoint, Stats)> {
        self.transport.channel_stats()
    }

    fn stats(&self) -> Stats {
        self.transport.stats()
    }

    async fn shutdown(&self) {
        self.transport.shutdown().await;
    }
}
