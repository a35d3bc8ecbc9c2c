use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sip_transport_proto::error::{ChannelError, NextError, SendCause};
use sip_transport_proto::resolve::{Family, ResolveStats};
use sip_transport_proto::sip_core::{Flow, Request, Response};
use sip_transport_proto::{
    Advertised, ChannelConfig, ChannelId, ConnectionId, ConnectionInfo, Keep, KeepError,
    SendOptions, Sent, SipEndpoint, Stats, Tokens,
};

use crate::error::BindError;
use crate::hub::Hub;
use crate::hub::alarm::Alarm;
use crate::hub::owner::Owner;
use crate::runtime::{CurrentRuntime, Runtime};
use crate::send::SendBuilder;

/// How long [`SipTransport::shutdown`] lets connections write what is queued.
const DRAIN: Duration = Duration::from_secs(5);

/// A SIP transport on a runtime `R`: sends messages and manages channels. Cheap to clone.
///
/// It lives while a `SipTransport` or an [`Incoming`](crate::Incoming) of it does.
///
/// ```
/// # use adapter_core::runtime::CurrentRuntime;
/// # use adapter_core::sip_core::{Method, build::RequestBuilder};
/// # use adapter_core::{ChannelConfig, Protocol, SipTransport};
/// # async fn example<R: CurrentRuntime>() -> Result<(), Box<dyn std::error::Error>> {
/// # let (transport, _incoming) = SipTransport::<R>::builder().bind().await?;
/// let channel = ChannelConfig::new(Protocol::Tcp, "127.0.0.1:0".parse()?);
/// let channel = transport.add_channel(channel).await?;
///
/// let mut tokens = transport.tokens();
/// let request = RequestBuilder::new(Method::Options, "sip:bob@example.com;transport=tcp");
/// let request = request.build(|bytes| tokens.fill(bytes))?;
/// let sent = transport.send_request(request).channel(channel).await?;
/// println!("sent to {}", sent.remote());
///
/// transport.remove_channel(channel).await?;
/// transport.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct SipTransport<R> {
    owner: Arc<Owner>,
    runtime: PhantomData<fn() -> R>,
}

impl<R: CurrentRuntime> SipTransport<R> {
    /// Ends the transport: no more sends, connections close after what is queued (for up to 5 s),
    /// [`Incoming`](crate::Incoming) ends.
    pub async fn shutdown(&self) {
        let hub = self.hub();
        hub.stop();
        // A worker's own runtime may end before the others' tasks do, and its timers with it.
        let runtime: Arc<dyn Runtime> = match (R::current(), hub.workers.first()) {
            (Ok(runtime), _) => Arc::new(runtime),
            (Err(_), Some(worker)) => Arc::clone(&worker.runtime),
            (Err(_), None) => return,
        };
        let until = runtime.now() + DRAIN;
        let mut alarm = Alarm::default();
        poll_fn(|cx| {
            hub.idle.register(cx.waker());
            if hub.tasks() == 0 {
                return Poll::Ready(());
            }
            alarm.poll(cx, &*runtime, Some(until))
        })
        .await;
    }
}

impl<R> SipTransport<R> {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        Self {
            owner,
            runtime: PhantomData,
        }
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.owner.0
    }

    /// Sends a request where it says (RFC 3261 §8.1.2), or as the calls on the result say.
    pub fn send_request(&self, request: Request) -> SendBuilder<'_> {
        SendBuilder::new(self.hub(), request.into())
    }

    /// Sends a response back the way its request came (RFC 3261 §18.2.2), or as the calls on the
    /// result say.
    pub fn send_response(&self, response: Response) -> SendBuilder<'_> {
        SendBuilder::new(self.hub(), response.into())
    }

    /// Sends the same bytes once more over the same flow, as a retransmission. If they do not arrive,
    /// that is told again, whether or not it was before.
    ///
    /// # Errors
    /// The flow is gone, or its queue is full.
    pub fn resend(&self, sent: &Sent) -> Result<(), SendCause> {
        self.hub().resend(sent)
    }

    /// Sends a message that counted as sent to its next target, as another transaction with an id and
    /// a branch of its own (RFC 3261 §8.1.2): after a timeout or a 503. The target that it went to is
    /// tried last from now on. To say another destination drops the targets that are left.
    ///
    /// # Errors
    /// There is no target left.
    pub fn try_next(&self, sent: Sent) -> Result<SendBuilder<'_>, NextError> {
        let outgoing = self.hub().try_next(sent)?;
        Ok(SendBuilder::again(self.hub(), outgoing))
    }

    /// The bound channels, in the order in which they were added, with their addresses.
    pub fn local_endpoints(&self) -> Vec<SipEndpoint> {
        self.hub().with_router(|router| {
            let endpoint = |(id, config): (ChannelId, &ChannelConfig)| {
                let mut endpoint = SipEndpoint::new(config.protocol(), config.local());
                endpoint.channel = Some(id);
                endpoint
            };
            router.channels().map(endpoint).collect()
        })
    }

    /// Adds a channel. Port 0 lets the system choose.
    ///
    /// # Errors
    /// The address cannot be bound, or has a channel already.
    pub async fn add_channel(&self, channel: ChannelConfig) -> Result<ChannelId, BindError> {
        self.hub().add_channel(channel)
    }

    /// Removes a channel: its socket closes, and so do its connections.
    ///
    /// # Errors
    /// There is no such channel.
    pub async fn remove_channel(&self, channel: ChannelId) -> Result<(), ChannelError> {
        self.hub().remove_channel(channel)
    }

    /// Changes what peers of an address family are told in the place of a channel's bound address:
    /// a name or address and a port, such as the one that STUN told of
    /// ([`Event::MappedAddress`](sip_transport_proto::Event::MappedAddress)), or with `None` the
    /// bound address again.
    ///
    /// # Errors
    /// There is no such channel.
    pub fn advertise(
        &self,
        channel: ChannelId,
        family: Family,
        advertised: Option<Advertised>,
    ) -> Result<(), ChannelError> {
        let hub = self.hub();
        let now = hub.now();
        hub.with_router(|router| router.advertise(now, channel, family, advertised))
    }

    /// What a channel advertises to peers of an address family. `None` where that is its bound
    /// address, and for a channel that there is not (any more).
    pub fn advertised(&self, channel: ChannelId, family: Family) -> Option<Advertised> {
        let hub = self.hub();
        hub.with_router(|router| router.advertised(channel, family).cloned())
    }

    /// Randomness for tags, branches and Call-IDs, with a seed of its own that comes of the
    /// transport's.
    ///
    /// ```
    /// # use adapter_core::{SipTransport, sip_core::{Method, build::{BuildError, RequestBuilder}}};
    /// # fn request<R>(transport: &SipTransport<R>) -> Result<(), BuildError> {
    /// let mut tokens = transport.tokens();
    /// let tag = tokens.tag(); // for a dialog's responses
    /// let request = RequestBuilder::new(Method::Options, "sip:bob@example.com");
    /// let request = request.build(|bytes| tokens.fill(bytes))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tokens(&self) -> Tokens {
        self.hub().with_router(|router| router.tokens())
    }

    /// The connections, open or being opened.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let hub = self.hub();
        let mut all: Vec<_> = hub.with_router(|router| router.connections().collect());
        all.iter_mut().for_each(|info| hub.fill_in(info));
        all
    }

    /// What is known of a connection: also, over TLS, whom the peer has proved to be. `None` if
    /// there is none (any more).
    pub fn connection(&self, id: ConnectionId) -> Option<ConnectionInfo> {
        let hub = self.hub();
        let mut info = hub.with_router(|router| router.connection(id))?;
        hub.fill_in(&mut info);
        Some(info)
    }

    /// Says that the peer of a connection has proved who it is, by credentials or a certificate:
    /// its connection makes room for others last, and counts towards no address's share
    /// ([`Config::max_connections`](sip_transport_proto::Config::max_connections)). False if there is none.
    ///
    /// Call it once a request that came over the connection is authenticated, as with the 200 to a
    /// REGISTER. The transport trusts nobody by itself: any stranger can send a valid message.
    pub fn trust(&self, connection: ConnectionId) -> bool {
        self.hub().with_router(|router| router.trust(connection))
    }

    /// Closes a connection, after what is queued on it. False if there is none.
    pub fn close(&self, connection: ConnectionId) -> bool {
        self.hub().close(connection)
    }

    /// Keeps a flow alive from now on, or in another way than before. `remote` is the peer's end, as
    /// [`Sent::remote`] and events have it.
    ///
    /// # Errors
    /// There is no such flow.
    pub fn keep(&self, remote: &SipEndpoint, keep: Keep) -> Result<(), KeepError> {
        self.hub().keep(remote, keep)
    }

    /// Keeps a flow alive no longer. False if there is none.
    pub fn stop_keeping(&self, remote: &SipEndpoint) -> bool {
        self.hub().stop_keeping(remote)
    }

    /// A text for the flow of a received request, to be put into a Via, Path or Record-Route of our
    /// own: 72 characters at most, letters, digits, hyphens and underscores. It is encrypted and
    /// signed, so that a peer can neither read addresses in it nor make up another (RFC 5626 §5.2).
    /// A flow has one token.
    pub fn flow_token(&self, flow: &Flow) -> String {
        self.hub().with_router(|router| router.flow_token(flow))
    }

    /// The flow of such a text, for [`Message::set_flow`](sip_transport_proto::sip_core::Message::set_flow)
    /// of a response and for [`flow_options`](Self::flow_options). `None` if it was not made by this
    /// transport.
    pub fn flow_from_token(&self, token: &str) -> Option<Flow> {
        self.hub()
            .with_router(|router| router.flow_from_token(token))
    }

    /// The peer's end of a flow: protocol and address, our channel, and the connection of a stream.
    /// `None` for a flow of another transport.
    pub fn flow_endpoint(&self, flow: &Flow) -> Option<SipEndpoint> {
        self.hub().with_router(|router| router.flow_endpoint(flow))
    }

    /// How to send a request over a flow that is saved (RFC 5626 §5.3). `None` if it is gone: a
    /// proxy answers 430 then.
    pub fn flow_options(&self, flow: &Flow) -> Option<SendOptions> {
        self.hub().with_router(|router| router.flow_options(flow))
    }

    /// What has happened since the beginning, and what there is.
    pub fn stats(&self) -> Stats {
        self.hub().stats()
    }

    /// The same for each channel that there is, in the order in which they were added.
    pub fn channel_stats(&self) -> Vec<(SipEndpoint, Stats)> {
        self.hub().channel_stats()
    }

    /// What has happened in looking for targets.
    pub fn resolve_stats(&self) -> ResolveStats {
        self.hub().with_router(|router| router.resolve_stats())
    }

    /// Bytes that wait to be written, on all connections together: for tests, beside
    /// [`Stats::queued_bytes`].
    #[doc(hidden)]
    pub fn queued_bytes(&self) -> usize {
        self.hub().with_router(|router| router.queued_bytes())
    }

    /// How many tasks of this transport live: none once it has ended. For tests.
    #[doc(hidden)]
    pub fn tasks(&self) -> usize {
        self.hub().tasks()
    }
}

impl<R> Clone for SipTransport<R> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.owner))
    }
}

impl<R> fmt::Debug for SipTransport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipTransport").finish_non_exhaustive()
    }
}
