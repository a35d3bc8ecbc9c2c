//! The outcome of a send, now or later.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use sip_transport_proto::Sent;
use sip_transport_proto::error::SendError;

/// The future of a send: ready at once unless it waits for a lookup or a connection.
#[derive(Debug)]
#[must_use = "this future is the outcome of a send"]
pub struct Sending(State);

#[derive(Debug)]
// Boxing the common case would cost an allocation for each message.
#[allow(clippy::large_enum_variant)]
enum State {
    Ended(Option<Result<Sent, SendError>>),
    Waiting(oneshot::Receiver<Result<Sent, SendError>>),
}

impl Sending {
    pub(crate) fn ended(result: Result<Sent, SendError>) -> Self {
        Self(State::Ended(Some(result)))
    }

    pub(crate) fn waiting(receiver: oneshot::Receiver<Result<Sent, SendError>>) -> Self {
        Self(State::Waiting(receiver))
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
