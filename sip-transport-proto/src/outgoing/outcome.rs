//! The outcome of a step in sending: routed, waiting, returned or sent.

use crate::error::AttemptCause;
use crate::ids::SendId;
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::outgoing::sent::Sent;

/// A message that a router or a connection has taken.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever drives it is to be told by the compiler of what is new"
)]
pub enum Routed {
    /// It can be sent: render it, and give the bytes to the carrier that [`Dispatch::carrier`]
    /// names. If it is from a router, ask the carrier's connection first, with
    /// [`Connection::push`](crate::parts::Connection::push).
    Ready(Dispatch, Box<Outgoing>),
    /// It waits. With a router, until [`RouterOutput::Routed`](crate::parts::RouterOutput::Routed) or
    /// [`RouterOutput::Failed`](crate::parts::RouterOutput::Failed); with a connection, until
    /// [`ConnectionEvent::Ready`](crate::parts::ConnectionEvent::Ready) or
    /// [`ConnectionEvent::Returned`](crate::parts::ConnectionEvent::Returned).
    Waiting(SendId),
}

/// A message that could not be sent as dispatched, to be given to
/// [`Router::retry`](crate::parts::Router::retry).
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever drives it is to be told by the compiler of what is new"
)]
pub struct Returned {
    /// The message.
    pub outgoing: Box<Outgoing>,
    /// The cause of the failed attempt.
    pub cause: AttemptCause,
}

impl Returned {
    /// A message returned by an attempt.
    pub fn new(outgoing: Box<Outgoing>, cause: impl Into<AttemptCause>) -> Self {
        let cause = cause.into();
        Self { outgoing, cause }
    }
}

/// A message that is sent or waiting.
#[derive(Debug)]
// Boxing the common case would cost an allocation for each message.
#[allow(clippy::large_enum_variant)]
#[expect(clippy::exhaustive_enums, reason = "there are only these")]
pub enum Submitted {
    /// It was given to its socket or connection.
    Sent(Sent),
    /// It waits for a connection or a lookup;
    /// [`Event::SendCompleted`](crate::Event::SendCompleted) reports its end.
    Waiting(SendId),
}
