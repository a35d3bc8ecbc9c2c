use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use sip_transport_proto::error::SendError;
use sip_transport_proto::sip_core::Message;
#[cfg(feature = "tls")]
use sip_transport_proto::tls::TlsConfig;
use sip_transport_proto::{
    ChannelId, ConnectionId, Hints, Keep, Outgoing, ResponsePolicy, SendOptions, Sent, SipEndpoint,
    SizeRule, Substitution,
};

use crate::core::{Core, Submitted};

/// A message about to be sent: say how, then `.await` it.
///
/// It goes out when it is awaited. Dropping the future after that does not cancel it.
#[must_use = "a message is sent when this is awaited"]
#[derive(Debug)]
pub struct Send<'a> {
    core: &'a Arc<Core>,
    message: Message,
    options: SendOptions,
}

impl<'a> Send<'a> {
    pub(crate) fn new(core: &'a Arc<Core>, message: Message) -> Self {
        Self {
            core,
            message,
            options: SendOptions::new(),
        }
    }

    /// To this protocol and address, whatever the message says.
    pub fn to(mut self, destination: SipEndpoint) -> Self {
        self.options = self.options.to(destination);
        self
    }

    /// On this channel, if that can be.
    pub fn channel(mut self, channel: ChannelId) -> Self {
        self.options = self.options.channel(channel);
        self
    }

    /// Over this connection, if that can be, whatever the destination is.
    pub fn connection(mut self, connection: ConnectionId) -> Self {
        self.options = self.options.connection(connection);
        self
    }

    /// Over a new connection, even where there is one to its target already.
    pub fn new_connection(mut self) -> Self {
        self.options = self.options.new_connection();
        self
    }

    /// With these hints together, such as [`SipEndpoint::hints`].
    pub fn hints(mut self, hints: Hints) -> Self {
        self.options = self.options.hints(hints);
        self
    }

    /// With this TTL, if it goes to a group.
    pub fn multicast_ttl(mut self, ttl: u8) -> Self {
        self.options = self.options.multicast_ttl(ttl);
        self
    }

    /// Keeping alive the flow that it goes out on.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.options = self.options.keep(keep);
        self
    }

    /// Connecting under this TLS configuration, and over connections that were made under it.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.options = self.options.tls(tls);
        self
    }

    /// With another word on how far a response may go.
    pub fn responses(mut self, policy: ResponsePolicy) -> Self {
        self.options = self.options.responses(policy);
        self
    }

    /// With another size from which on it goes over TCP in the place of UDP.
    pub fn size_rule(mut self, rule: SizeRule) -> Self {
        self.options = self.options.size_rule(rule);
        self
    }

    /// With another way to fill in placeholders.
    pub fn substitution(mut self, substitution: Substitution) -> Self {
        self.options = self.options.substitution(substitution);
        self
    }

    /// With all options at once, in place of those said before.
    pub fn options(mut self, options: SendOptions) -> Self {
        self.options = options;
        self
    }
}

impl IntoFuture for Send<'_> {
    type Output = Result<Sent, SendError>;
    type IntoFuture = Sending;

    fn into_future(self) -> Sending {
        let outgoing = Outgoing::new(self.message, self.options);
        match self.core.submit(outgoing) {
            Ok(submitted) => submitted.into(),
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

impl From<Submitted> for Sending {
    fn from(submitted: Submitted) -> Self {
        Self(match submitted {
            Submitted::Sent(sent) => State::Ended(Some(Ok(sent))),
            Submitted::Waiting(receiver) => State::Waiting(receiver),
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
