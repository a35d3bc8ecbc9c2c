//! The sending of messages, as far as possible without waiting.

use std::sync::Arc;
use std::time::Instant;

use futures_channel::oneshot;
use sip_transport_proto::error::{AttemptCause, NextError, SendCause, SendError};
use sip_transport_proto::parts::{Carrier, Dispatch, Returned, Routed};
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{Event, Outgoing, QueryId, SendId, SendOptions, Sent, Submitted};

use super::{Hub, PlanResult, RouterOutputs, Waiter};
use crate::hub::outcome::Sending;
use crate::sync::{lock, read};

impl Hub {
    /// Prepares a message with its id, and a request with its branch.
    pub(crate) fn prepare(&self, message: Message) -> Box<Outgoing> {
        let mut outgoing = Outgoing::new(message, SendOptions::new());
        self.send_ids.assign(&mut outgoing);
        outgoing
    }

    /// Prepares a message that was sent for its next target.
    pub(crate) fn try_next(&self, sent: Sent) -> Result<Box<Outgoing>, NextError> {
        let now = self.now();
        self.with_router(|router| router.try_next(now, sent))
    }

    /// Sends a message whose outcome an event reports.
    pub(crate) fn start(self: &Arc<Self>, outgoing: Box<Outgoing>) -> SendId {
        let send = outgoing.id();
        // Inserted before the send can end.
        lock(&self.waiters).insert(send, Waiter::Started);
        let (submitted, outputs) = self.send(outgoing);
        self.deliver_if_ended(submitted);
        self.run(outputs);
        send
    }

    /// Sends a message whose outcome the caller awaits.
    pub(crate) fn submit(self: &Arc<Self>, outgoing: Box<Outgoing>) -> Sending {
        let (submitted, outputs) = self.send(outgoing);
        self.run(outputs);
        match submitted {
            Ok(Submitted::Sent(sent)) => Sending::ended(Ok(sent)),
            Ok(Submitted::Waiting(send)) => self.wait_for(send),
            Err(error) => Sending::ended(Err(error)),
        }
    }

    /// Sends a message as far as possible without waiting.
    fn send(
        self: &Arc<Self>,
        outgoing: Box<Outgoing>,
    ) -> (Result<Submitted, SendError>, RouterOutputs) {
        let now = self.now();
        let (routed, outputs) = self.call_router(|router| router.send(now, outgoing));
        let submitted = routed.and_then(|routed| {
            let attempt = self.try_dispatch(now, routed);
            self.try_until_taken(now, attempt)
        });
        (submitted, outputs)
    }

    fn wait_for(&self, send: SendId) -> Sending {
        let mut waiters = lock(&self.waiters);
        if let Some(Waiter::Ended(result)) = waiters.remove(&send) {
            return Sending::ended(*result);
        }
        let (sender, receiver) = oneshot::channel();
        waiters.insert(send, Waiter::Waiting(sender));
        Sending::waiting(receiver)
    }

    /// Requests the targets of a message.
    pub(crate) fn plan(self: &Arc<Self>, outgoing: Box<Outgoing>) -> oneshot::Receiver<PlanResult> {
        let now = self.now();
        let (sender, receiver) = oneshot::channel();
        // The answer is handled after the entry is made, so it finds it.
        let ((), outputs) = self.call_router(|router| {
            let query = router.plan(now, outgoing);
            drop(lock(&self.plans).insert(query, sender));
        });
        self.run(outputs);
        receiver
    }

    pub(super) fn deliver_plan(&self, query: QueryId, result: PlanResult) {
        if let Some(sender) = lock(&self.plans).remove(&query) {
            // The receiver may be gone.
            drop(sender.send(result));
        }
    }

    pub(super) fn deliver_outcome(&self, result: Result<Sent, SendError>) {
        let send = match &result {
            Ok(sent) => sent.id(),
            Err(error) => error.send(),
        };
        let mut waiters = lock(&self.waiters);
        match waiters.remove(&send) {
            Some(Waiter::Waiting(sender)) => {
                drop(waiters);
                // The receiver may be gone: dropping the future does not cancel the send.
                drop(sender.send(result));
            }
            Some(Waiter::Started) => {
                drop(waiters);
                let result = result.map(Box::new);
                self.deliver(0, Event::SendCompleted { send, result });
            }
            _ => drop(waiters.insert(send, Waiter::Ended(Box::new(result)))),
        }
    }

    /// Carries on with a send that waited, and reports its outcome.
    pub(super) fn resume_send(
        self: &Arc<Self>,
        now: Instant,
        attempt: Result<Submitted, Returned>,
    ) {
        let submitted = self.try_until_taken(now, attempt);
        self.deliver_if_ended(submitted);
    }

    fn deliver_if_ended(&self, submitted: Result<Submitted, SendError>) {
        match submitted {
            Ok(Submitted::Sent(sent)) => self.deliver_outcome(Ok(sent)),
            Ok(Submitted::Waiting(_)) => {}
            Err(error) => self.deliver_outcome(Err(error)),
        }
    }

    /// Tries a message's next targets, until one takes it or it has to wait.
    fn try_until_taken(
        self: &Arc<Self>,
        now: Instant,
        mut attempt: Result<Submitted, Returned>,
    ) -> Result<Submitted, SendError> {
        let mut outputs = RouterOutputs(Vec::new());
        let submitted = loop {
            let returned = match attempt {
                Ok(submitted) => break Ok(submitted),
                Err(returned) => returned,
            };
            let (routed, more) = self.call_router(|router| router.retry(now, returned));
            outputs.0.extend(more.0);
            attempt = match routed {
                Ok(routed) => self.try_dispatch(now, routed),
                Err(error) => break Err(error),
            };
        };
        self.run(outputs);
        submitted
    }

    /// Carries on with a routed message as far as possible without another target.
    pub(super) fn try_dispatch(&self, now: Instant, routed: Routed) -> Result<Submitted, Returned> {
        let pushed = match routed {
            Routed::Ready(dispatch, outgoing) => self.hand_over(dispatch, outgoing)?,
            waiting @ Routed::Waiting(_) => waiting,
        };
        match pushed {
            Routed::Ready(dispatch, outgoing) => self.render_and_queue(now, &dispatch, outgoing),
            Routed::Waiting(send) => Ok(Submitted::Waiting(send)),
        }
    }

    fn hand_over(&self, dispatch: Dispatch, outgoing: Box<Outgoing>) -> Result<Routed, Returned> {
        let Carrier::Connection(id) = dispatch.carrier() else {
            return Ok(Routed::Ready(dispatch, outgoing));
        };
        let Some(connection) = self.connection(id) else {
            return Err(Returned::new(outgoing, AttemptCause::Gone));
        };
        let pushed = lock(&connection.machine).push(dispatch, outgoing);
        if matches!(pushed, Ok(Routed::Waiting(_))) {
            // Its deadline may be earlier than that of others.
            connection.waker.wake();
        }
        pushed
    }

    /// Renders a message, outside all locks, and queues it on its socket or connection.
    pub(super) fn render_and_queue(
        &self,
        now: Instant,
        dispatch: &Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Result<Submitted, Returned> {
        let queued = dispatch.render(now, &outgoing).and_then(|sent| {
            self.queue_bytes(now, &sent)?;
            Ok(sent)
        });
        match queued {
            Ok(sent) => Ok(Submitted::Sent(sent.with_outgoing(outgoing))),
            Err(cause) => Err(Returned::new(outgoing, cause)),
        }
    }

    /// Queues the bytes of a message on its carrier.
    fn queue_bytes(&self, now: Instant, sent: &Sent) -> Result<(), SendCause> {
        if let Some((socket, transmit)) = sent.datagram() {
            let sockets = read(&self.sockets);
            let socket = sockets.get(&socket).ok_or(SendCause::ChannelRemoved)?;
            let queued = socket.queue(&transmit, sent.tap(now));
            return queued.map_err(|full| sent.queue_full(full.limit));
        }
        let Carrier::Connection(id) = sent.carrier() else {
            return Ok(());
        };
        let connection = self.connection(id).ok_or(SendCause::ConnectionClosed)?;
        let queued = lock(&connection.machine).queue(now, sent.bytes(), sent.id());
        connection.waker.wake();
        queued
    }

    /// Sends the same bytes once more.
    pub(crate) fn resend(&self, sent: &Sent) -> Result<(), SendCause> {
        self.with_router(|router| router.resend(sent))?;
        self.queue_bytes(self.now(), sent)
    }
}
