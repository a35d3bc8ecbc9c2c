//! The sending handle of a transport.

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

/// The time that [`SipTransport::shutdown`] gives connections to write what is queued.
const DRAIN: Duration = Duration::from_secs(5);

/// A SIP transport on a runtime `R`: sends messages and manages channels. Cheap to clone.
///
/// It exists while a `SipTransport` or an [`Incoming`](crate::Incoming) of it does.
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
    /// Shuts the transport down: sends fail, connections close after writing what is queued (for up
    /// to 5 s), [`Incoming`](crate::Incoming) ends.
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
            let mut followers = hub.followers.iter();
            if hub.tasks() == 0 && followers.all(|follower| follower.poll_ended(cx).is_ready()) {
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

    /// Prepares a request for its own destination (RFC 3261 §8.1.2), which the result's methods can
    /// change. Await or start the result.
    pub fn send_request(&self, request: Request) -> SendBuilder<'_> {
        SendBuilder::new(self.hub(), request.into())
    }

    /// Prepares a response for the return path of its request (RFC 3261 §18.2.2), which the result's
    /// methods can change. Await or start the result.
    pub fn send_response(&self, response: Response) -> SendBuilder<'_> {
        SendBuilder::new(self.hub(), response.into())
    }

    /// Sends the same bytes once more over the same flow, as a retransmission. A failure to deliver
    /// them is reported again, even if it was before.
    ///
    /// # Errors
    /// The flow is gone, or its queue is full.
    pub fn resend(&self, sent: &Sent) -> Result<(), SendCause> {
        self.hub().resend(sent)
    }

    /// Prepares a message that counted as sent for its next target, as another transaction with an id
    /// and a branch of its own (RFC 3261 §8.1.2): after a timeout or a 503. The target that failed
    /// is tried last from now on. Setting another destination drops the targets that are left.
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

    /// Changes what is advertised to peers of an address family in place of a channel's bound
    /// address: a name or address and a port, such as the one that STUN reported
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

    /// The address that a channel advertises to peers of an address family. `None` if that is its
    /// bound address, or if there is no such channel (any more).
    pub fn advertised(&self, channel: ChannelId, family: Family) -> Option<Advertised> {
        let hub = self.hub();
        hub.with_router(|router| router.advertised(channel, family).cloned())
    }

    /// Randomness for tags, branches and Call-IDs, with a seed of its own derived from the
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

    /// Information about a connection, including, over TLS, the identity that the peer has proved.
    /// `None` if there is no such connection (any more).
    pub fn connection(&self, id: ConnectionId) -> Option<ConnectionInfo> {
        let hub = self.hub();
        let mut info = hub.with_router(|router| router.connection(id))?;
        hub.fill_in(&mut info);
        Some(info)
    }

    /// Marks the peer of a connection as authenticated, by credentials or a certificate: its
    /// connection is the last to be closed to make room for others, and counts towards no address's
    /// share ([`Config::max_connections`](sip_transport_proto::Config::max_connections)). Returns
    /// false if there is no such connection.
    ///
    /// Call it once a request that came over the connection is authenticated, as with the 200 to a
    /// REGISTER. The transport itself trusts nobody: any stranger can send a valid message.
    pub fn trust(&self, connection: ConnectionId) -> bool {
        self.hub().with_router(|router| router.trust(connection))
    }

    /// Closes a connection, after writing what is queued on it. Returns false if there is no such
    /// connection.
    pub fn close(&self, connection: ConnectionId) -> bool {
        self.hub().close(connection)
    }

    /// Keeps a flow alive from now on, or changes how. `remote` is the peer's end, as in
    /// [`Sent::remote`] and events.
    ///
    /// # Errors
    /// There is no such flow.
    pub fn keep(&self, remote: &SipEndpoint, keep: Keep) -> Result<(), KeepError> {
        self.hub().keep(remote, keep)
    }

    /// Stops keeping a flow alive. Returns false if there is no such flow.
    pub fn stop_keeping(&self, remote: &SipEndpoint) -> bool {
        self.hub().stop_keeping(remote)
    }

    /// A token that stands for the flow of a received request, for a Via, Path or Record-Route of
    /// our own: at most 72 letters, digits, hyphens and underscores. It is encrypted and signed, so
    /// that a peer can neither read addresses in it nor forge one (RFC 5626 §5.2). The token of a
    /// flow is always the same.
    pub fn flow_token(&self, flow: &Flow) -> String {
        self.hub().with_router(|router| router.flow_token(flow))
    }

    /// The flow of a token, for
    /// [`Message::set_flow`](sip_transport_proto::sip_core::Message::set_flow) of a response and
    /// for [`flow_options`](Self::flow_options). `None` if this transport did not make the token.
    pub fn flow_from_token(&self, token: &str) -> Option<Flow> {
        self.hub()
            .with_router(|router| router.flow_from_token(token))
    }

    /// The peer's end of a flow: protocol and address, our channel, and the connection of a stream.
    /// `None` for a flow of another transport.
    pub fn flow_endpoint(&self, flow: &Flow) -> Option<SipEndpoint> {
        self.hub().with_router(|router| router.flow_endpoint(flow))
    }

    /// The options to send a request over a saved flow (RFC 5626 §5.3). `None` if the flow is gone:
    /// a proxy then answers 430.
    pub fn flow_options(&self, flow: &Flow) -> Option<SendOptions> {
        self.hub().with_router(|router| router.flow_options(flow))
    }

    /// The counters since the start, and the current gauges.
    pub fn stats(&self) -> Stats {
        self.hub().stats()
    }

    /// The same for each channel, in the order in which they were added.
    pub fn channel_stats(&self) -> Vec<(SipEndpoint, Stats)> {
        self.hub().channel_stats()
    }

    /// The counters of the resolver.
    pub fn resolve_stats(&self) -> ResolveStats {
        self.hub().with_router(|router| router.resolve_stats())
    }

    /// The number of bytes that wait to be written, on all connections together: for tests, beside
    /// [`Stats::queued_bytes`].
    #[doc(hidden)]
    pub fn queued_bytes(&self) -> usize {
        self.hub().with_router(|router| router.queued_bytes())
    }

    /// The number of live tasks of this transport: 0 once it has ended. For tests.
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
