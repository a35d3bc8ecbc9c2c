use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use sip_transport_proto::error::{SendCause, SendError};
use sip_transport_proto::resolve::Target;
use sip_transport_proto::sip_core::Message;
#[cfg(feature = "tls")]
use sip_transport_proto::tls::TlsConfig;
use sip_transport_proto::{
    ChannelId, ConnectionId, Hints, Keep, Outgoing, ResponsePolicy, SendId, SendOptions, Sent,
    SipEndpoint, SizeRule, Substitution,
};

use crate::error::BlockingSendError;
use crate::hub::{Ended, Hub};
use crate::sync::block_on;

/// A message about to be sent: say how, then `.await` it, [`start`](Self::start) it, or wait for it
/// in a thread by [`blocking`](Self::blocking). [`plan`](Self::plan) only says where it would go.
///
/// It goes out then, and dropping the future does not cancel it. Its [`id`](Self::id) and
/// [`branch`](Self::branch) are known before. A response, or the word that the message did not
/// arrive, may come while the call that sends it has not returned yet, so who keeps a table of what
/// was sent enters a message there first:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use adapter_core::SipTransport;
/// use adapter_core::sip_transport_proto::sip_core::{Request, Response};
/// use adapter_core::sip_transport_proto::{Event, SendId};
///
/// type Then = Box<dyn FnOnce(Option<&Response>) + Send>;
///
/// /// Requests without a final response: by branch (RFC 3261 §17.1.3), and the branch of each send.
/// #[derive(Default)]
/// struct Table {
///     waiting: HashMap<String, (SendId, Then)>,
///     branches: HashMap<SendId, String>,
/// }
///
/// fn send<R>(transport: &SipTransport<R>, table: &Mutex<Table>, request: Request, then: Then) {
///     let send = transport.send_request(request); // nothing has gone out yet
///     let (id, branch) = (send.id(), send.branch().unwrap_or_default().to_owned());
///     {
///         let mut table = table.lock().unwrap();
///         table.branches.insert(id, branch.clone());
///         table.waiting.insert(branch, (id, then));
///     }
///     send.start();
/// }
///
/// fn handle(table: &Mutex<Table>, event: &Event) {
///     let (branch, response) = match event {
///         Event::Response { response, .. } if !response.status().is_provisional() => {
///             let via = response.top_via().ok();
///             (via.and_then(|via| via.branch()).map(str::to_owned), Some(response))
///         }
///         Event::SendCompleted { send, result: Err(_) } | Event::SendFailed { send, .. } => {
///             (table.lock().unwrap().branches.get(send).cloned(), None)
///         }
///         _ => return,
///     };
///     let mut table = table.lock().unwrap();
///     if let Some((id, then)) = branch.and_then(|branch| table.waiting.remove(&branch)) {
///         table.branches.remove(&id);
///         drop(table);
///         then(response);
///     }
/// }
/// ```
#[must_use = "a message is sent when this is awaited or started"]
#[derive(Debug)]
pub struct SendBuilder<'a> {
    hub: &'a Arc<Hub>,
    outgoing: Box<Outgoing>,
}

impl<'a> SendBuilder<'a> {
    pub(crate) fn new(hub: &'a Arc<Hub>, message: Message) -> Self {
        let outgoing = hub.prepare(message);
        Self { hub, outgoing }
    }

    pub(crate) fn again(hub: &'a Arc<Hub>, outgoing: Box<Outgoing>) -> Self {
        Self { hub, outgoing }
    }

    fn with(mut self, change: impl FnOnce(SendOptions) -> SendOptions) -> Self {
        self.outgoing.change_options(change);
        self
    }

    /// Which send it is: what [`Sent::id`], the error and events will name.
    pub fn id(&self) -> SendId {
        self.outgoing.id()
    }

    /// The branch that the top Via of a request has on the wire, and responses bring back: its own,
    /// or the one made for it. `None` for a response, and where the top Via cannot be read. See
    /// [`Outgoing::branch`].
    pub fn branch(&self) -> Option<&str> {
        self.outgoing.branch()
    }

    /// The message as it was given.
    pub fn message(&self) -> &Message {
        self.outgoing.message()
    }

    /// To this protocol and address, whatever the message says.
    pub fn to(self, destination: SipEndpoint) -> Self {
        self.with(|options| options.to(destination))
    }

    /// On this channel, if that can be.
    pub fn channel(self, channel: ChannelId) -> Self {
        self.with(|options| options.channel(channel))
    }

    /// Over this connection, if that can be, whatever the destination is.
    pub fn connection(self, connection: ConnectionId) -> Self {
        self.with(|options| options.connection(connection))
    }

    /// Over a new connection, even where there is one to its target already.
    pub fn new_connection(self) -> Self {
        self.with(SendOptions::new_connection)
    }

    /// With these hints together, such as [`SipEndpoint::hints`].
    pub fn hints(self, hints: Hints) -> Self {
        self.with(|options| options.hints(hints))
    }

    /// With this TTL, if it goes to a group.
    pub fn multicast_ttl(self, ttl: u8) -> Self {
        self.with(|options| options.multicast_ttl(ttl))
    }

    /// Keeping alive the flow that it goes out on.
    pub fn keep(self, keep: Keep) -> Self {
        self.with(|options| options.keep(keep))
    }

    /// Connecting under this TLS configuration, and over connections that were made under it.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: TlsConfig) -> Self {
        self.with(|options| options.tls(tls))
    }

    /// With another word on how far a response may go.
    pub fn responses(self, policy: ResponsePolicy) -> Self {
        self.with(|options| options.responses(policy))
    }

    /// With another size from which on it goes over TCP in the place of UDP.
    pub fn size_rule(self, rule: SizeRule) -> Self {
        self.with(|options| options.size_rule(rule))
    }

    /// With another way to fill in placeholders.
    pub fn substitution(self, substitution: Substitution) -> Self {
        self.with(|options| options.substitution(substitution))
    }

    /// With all options at once, in place of those said before.
    pub fn options(self, options: SendOptions) -> Self {
        self.with(|_| options)
    }

    /// Sends it, and does not wait: [`Event::SendCompleted`](sip_transport_proto::Event::SendCompleted)
    /// tells once how that ended, on the first worker. It may come behind a response, and waits in
    /// memory until it is fetched.
    pub fn start(self) -> SendId {
        self.hub.start(self.outgoing)
    }

    /// Finds where it would go, without sending it: the targets, best first, each with the reason
    /// for it (RFC 3263).
    ///
    /// # Errors
    /// It has nowhere to go.
    pub async fn plan(self) -> Result<Vec<Target>, SendCause> {
        let planned = self.hub.plan(self.outgoing);
        // Every plan ends before the transport does.
        planned.await.unwrap_or(Err(SendCause::ShuttingDown))
    }

    /// Sends it from outside async, and blocks until that has ended.
    ///
    /// # Errors
    /// The send fails, or the caller runs inside an async runtime, which must not be blocked.
    pub fn blocking(self) -> Result<Sent, BlockingSendError> {
        if self.hub.is_inside_runtime() {
            return Err(BlockingSendError::InsideRuntime);
        }
        Ok(block_on(self.into_future())?)
    }
}

impl IntoFuture for SendBuilder<'_> {
    type Output = Result<Sent, SendError>;
    type IntoFuture = Sending;

    fn into_future(self) -> Sending {
        match self.hub.submit(self.outgoing) {
            Ok(ended) => ended.into(),
            Err(error) => Sending(State::Ended(Some(Err(error)))),
        }
    }
}

/// A message on its way: ready at once unless it waits for a lookup or a connection.
#[derive(Debug)]
#[must_use = "the outcome of a send"]
pub struct Sending(State);

#[derive(Debug)]
// Boxing the common case would cost an allocation for each message.
#[allow(clippy::large_enum_variant)]
enum State {
    Ended(Option<Result<Sent, SendError>>),
    Waiting(oneshot::Receiver<Result<Sent, SendError>>),
}

impl From<Ended> for Sending {
    fn from(ended: Ended) -> Self {
        Self(match ended {
            Ended::Sent(sent) => State::Ended(Some(Ok(sent))),
            Ended::Later(receiver) => State::Waiting(receiver),
        })
    }
}

impl Future for Sending {
    type Output = Result<Sent, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ended(result) => match result.take() {
                Some(result) => Poll::Ready(result),
                None => Poll::Pending,
            },
            State::Waiting(receiver) => match Pin::new(receiver).poll(cx) {
                Poll::Ready(Ok(result)) => Poll::Ready(result),
                // Every send ends before the transport does.
                Poll::Ready(Err(oneshot::Canceled)) | Poll::Pending => Poll::Pending,
            },
        }
    }
}
