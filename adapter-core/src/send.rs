//! The builder of a send.

use std::future::IntoFuture;
use std::sync::Arc;

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
use crate::hub::Hub;
use crate::hub::outcome::Sending;
use crate::sync::block_on;

/// A message about to be sent: set its options, then `.await` it, [`start`](Self::start) it, or
/// wait for it in a thread with [`blocking`](Self::blocking). [`plan`](Self::plan) only finds its
/// targets.
///
/// Only then is it sent, and dropping the future does not cancel it. Its [`id`](Self::id) and
/// [`branch`](Self::branch) are known before. A response, or the report that the message was not
/// delivered, may arrive before the call that sends it has returned, so a table of transactions has
/// to contain the message before it is sent:
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
///     let send = transport.send_request(request); // nothing has been sent yet
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

    /// The id of the send, which [`Sent::id`], the error and events will name.
    pub fn id(&self) -> SendId {
        self.outgoing.id()
    }

    /// The branch that the top Via of a request has on the wire, and of its responses: its own, or
    /// the one made for it. `None` for a response, or if the top Via cannot be read. See
    /// [`Outgoing::branch`].
    pub fn branch(&self) -> Option<&str> {
        self.outgoing.branch()
    }

    /// The message as it was given.
    pub fn message(&self) -> &Message {
        self.outgoing.message()
    }

    /// Sends to this protocol and address, regardless of the message.
    pub fn to(self, destination: SipEndpoint) -> Self {
        self.with(|options| options.to(destination))
    }

    /// Sends on this channel, if possible.
    pub fn channel(self, channel: ChannelId) -> Self {
        self.with(|options| options.channel(channel))
    }

    /// Sends over this connection, if possible, regardless of the destination.
    pub fn connection(self, connection: ConnectionId) -> Self {
        self.with(|options| options.connection(connection))
    }

    /// Sends over a new connection, even if there is one to its target already.
    pub fn new_connection(self) -> Self {
        self.with(SendOptions::new_connection)
    }

    /// Sets all hints together, such as [`SipEndpoint::hints`].
    pub fn hints(self, hints: Hints) -> Self {
        self.with(|options| options.hints(hints))
    }

    /// Sets the TTL of a message to a group.
    pub fn multicast_ttl(self, ttl: u8) -> Self {
        self.with(|options| options.multicast_ttl(ttl))
    }

    /// Keeps alive the flow over which the message is sent.
    pub fn keep(self, keep: Keep) -> Self {
        self.with(|options| options.keep(keep))
    }

    /// Connects under this TLS configuration, and uses only connections opened under it.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: TlsConfig) -> Self {
        self.with(|options| options.tls(tls))
    }

    /// Sets the policy for this response.
    pub fn responses(self, policy: ResponsePolicy) -> Self {
        self.with(|options| options.responses(policy))
    }

    /// Sets the size above which TCP is used instead of UDP.
    pub fn size_rule(self, rule: SizeRule) -> Self {
        self.with(|options| options.size_rule(rule))
    }

    /// Sets how placeholders are filled in.
    pub fn substitution(self, substitution: Substitution) -> Self {
        self.with(|options| options.substitution(substitution))
    }

    /// Sets all options at once, in place of those set before.
    pub fn options(self, options: SendOptions) -> Self {
        self.with(|_| options)
    }

    /// Sends it without waiting:
    /// [`Event::SendCompleted`](sip_transport_proto::Event::SendCompleted) reports the outcome
    /// once, on the first worker. It may arrive after a response, and is kept in memory until it is
    /// fetched.
    pub fn start(self) -> SendId {
        self.hub.start(self.outgoing)
    }

    /// Finds the targets without sending it, best first, each with the reason for it (RFC 3263).
    ///
    /// # Errors
    /// It has no target.
    pub async fn plan(self) -> Result<Vec<Target>, SendCause> {
        let planned = self.hub.plan(self.outgoing);
        // Every plan ends before the transport does.
        planned.await.unwrap_or(Err(SendCause::ShuttingDown))
    }

    /// Sends it from outside async, and blocks until the outcome is known.
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
        self.hub.submit(self.outgoing)
    }
}
