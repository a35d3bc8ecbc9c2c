//! A sent message, and its remaining targets.

use core::fmt;
use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use sip_core::message::{Message, ParseError};
use thiserror::Error;

use crate::context::tap::TapCall;
use crate::endpoint::{SipEndpoint, Transmit};
use crate::error::{Attempt, SendCause};
use crate::ids::{Carrier, SendId, SocketId};
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::outgoing::size_rule::SizeOutcome;
use crate::outgoing::substitute::Filled;
use crate::resolve::Target;

/// A message that was routed, rendered and queued on an open channel or connection.
///
/// ```
/// use sip_transport_proto::{Derived, Sent, error::DeriveError};
///
/// fn cancel(invite: &Sent) -> Result<Derived, DeriveError> {
///     println!("from {} to {}", invite.local(), invite.remote());
///     println!("{}", String::from_utf8_lossy(invite.bytes())); // as they are on the wire
///     if let Some(target) = invite.target() {
///         println!("{target}, and {} more", invite.targets_left()); // and why (RFC 3263)
///     }
///     invite.cancel() // to the same target, with the same branch
/// }
/// ```
#[derive(Debug)]
pub struct Sent {
    pub(crate) dispatch: Dispatch,
    bytes: Bytes,
    /// The placeholders that were filled in, if any.
    filled: Option<Box<Filled>>,
    /// The target that it was sent to and those after it; none if a flow or a hint decided.
    pub(crate) targets: VecDeque<Target>,
    pub(crate) tried: Vec<Attempt>,
    /// The message as given, if there is another target to try.
    pub(crate) rest: Option<Box<Outgoing>>,
}

static NOTHING: Filled = Filled {
    via: false,
    from: false,
    contacts: 0,
    record_route: false,
    second_record_route: false,
    with: None,
};

impl Sent {
    pub(crate) fn new(dispatch: Dispatch, bytes: Bytes, filled: Filled) -> Self {
        let filled = (filled != NOTHING).then(|| Box::new(filled));
        Self {
            dispatch,
            bytes,
            filled,
            targets: VecDeque::new(),
            tried: Vec::new(),
            rest: None,
        }
    }

    /// The id of the send, which a later [`Event::SendFailed`](crate::Event::SendFailed) names.
    pub fn id(&self) -> SendId {
        self.dispatch.send()
    }

    /// The message exactly as it was sent.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The message as it was sent, parsed.
    ///
    /// # Errors
    /// The application's own parts of the message may not be valid SIP.
    pub fn message(&self) -> Result<Message, ParseError> {
        Message::parse(self.bytes.clone())
    }

    /// The local endpoint it was sent from.
    pub fn local(&self) -> SipEndpoint {
        self.dispatch.local_endpoint()
    }

    /// The remote endpoint it was sent to.
    pub fn remote(&self) -> SipEndpoint {
        self.dispatch.remote_endpoint()
    }

    /// The carrier: a socket or a connection.
    pub fn carrier(&self) -> Carrier {
        self.dispatch.carrier()
    }

    /// The datagram to send, and the socket to send it from; `None` if a connection carries it.
    pub fn datagram(&self) -> Option<(SocketId, Transmit)> {
        let Carrier::Datagram { socket, source } = self.carrier() else {
            return None;
        };
        let transmit = Transmit {
            destination: self.dispatch.remote(),
            source,
            ttl: self.dispatch.ttl(),
            bytes: self.bytes.clone(),
            send: Some(self.id()),
        };
        Some((socket, transmit))
    }

    /// The call that shows the datagram to the tap: run it before the datagram is sent, with no
    /// lock held. `None` without a tap, or if a connection carries the message, which reports it
    /// itself ([`ConnectionEvent::Call`](crate::parts::ConnectionEvent::Call)).
    #[must_use]
    pub fn tap(&self, at: Instant) -> Option<TapCall> {
        match self.carrier() {
            Carrier::Datagram { .. } => self.dispatch.tap(at, &self.bytes),
            Carrier::Connection(_) => None,
        }
    }

    /// The error of a datagram that its socket's full queue refuses; counts it.
    pub fn queue_full(&self, limit: usize) -> SendCause {
        self.dispatch.queue_full(limit)
    }

    /// The placeholders that were filled in, and with what.
    pub fn filled(&self) -> &Filled {
        self.filled.as_deref().unwrap_or(&NOTHING)
    }

    /// The outcome of the hints.
    pub fn hints(&self) -> HintReport {
        self.dispatch.hints()
    }

    /// The effect of its size on the choice of the protocol (RFC 3261 §18.1.1).
    pub fn size_rule(&self) -> SizeOutcome {
        self.dispatch.size_outcome(self.bytes.len())
    }

    /// The same with the targets and, if there are more to try, the message as given.
    #[must_use]
    pub fn with_outgoing(mut self, mut outgoing: Box<Outgoing>) -> Self {
        self.tried = core::mem::take(&mut outgoing.tried);
        self.targets = outgoing.targets.take().unwrap_or_default();
        if self.targets_left() > 0 || outgoing.sent_by_left {
            self.rest = Some(outgoing);
        }
        self
    }

    /// The target that it was sent to, with the reason for it; `None` if a flow or a connection
    /// hint decided.
    pub fn target(&self) -> Option<&Target> {
        self.targets.front()
    }

    /// The targets that were tried before it, in order, each with the cause of its failure.
    pub fn tried(&self) -> &[Attempt] {
        &self.tried
    }

    /// The number of targets left to try after this one. A response's sent-by, which is looked up
    /// when it is reached, counts as one.
    pub fn targets_left(&self) -> usize {
        let sent_by = self.rest.as_ref().is_some_and(|rest| rest.sent_by_left);
        self.targets
            .len()
            .saturating_sub(1)
            .saturating_add(sent_by.into())
    }
}

/// The outcome of each hint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HintReport {
    /// The channel hint.
    pub channel: HintOutcome,
    /// The connection hint.
    pub connection: HintOutcome,
    /// The local address hint.
    pub local: HintOutcome,
}

/// The outcome of a hint.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are only these")]
pub enum HintOutcome {
    /// There was none.
    #[default]
    NotGiven,
    /// It was followed.
    Honoured,
    /// It could not be followed.
    Overruled(Overruled),
}

/// The reason that a hint was overruled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overruled {
    /// There is no such channel, or it was removed.
    UnknownChannel,
    /// The id is of another transport.
    OtherTransport,
    /// The destination requires datagrams and the hint is a stream or the reverse, or it requires a
    /// stream protocol that the hinted channel does not carry.
    Protocol,
    /// The channel does not carry the destination's address family, or cannot reach it.
    Unreachable,
    /// The connection is closed.
    Closed,
    /// A `sips` target must not be reached over an insecure transport (RFC 3261 §26.2.2).
    Insecure,
    /// A connection hint was followed, and the connection does not match this hint.
    ConnectionWins,
    /// The channel is bound to another address.
    Bound,
    /// A response would need a new connection there, and none may be opened for it.
    NoConnection,
}

impl fmt::Display for Overruled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownChannel => "there is no such channel",
            Self::OtherTransport => "it belongs to another transport",
            Self::Protocol => "the destination asks for another protocol",
            Self::Unreachable => "the channel cannot reach the destination",
            Self::Closed => "the connection is closed",
            Self::Insecure => "sips requires a secure transport",
            Self::ConnectionWins => "the connection hint wins",
            Self::Bound => "the channel is bound to another address",
            Self::NoConnection => "no connection may be opened for a response",
        })
    }
}

/// The reason that a message cannot be sent to its next target.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NextError {
    /// All its targets have been tried.
    #[error("there is no other target")]
    NoTargetLeft(Box<Sent>),
}
