//! The sending of messages, as far as possible without waiting.

use std::sync::Arc;
use std::time::Instant;

use futures_channel::oneshot;
use sip_transport_proto::error::{AttemptCause, NextError, SendCause, SendError};
use sip_transport_proto::parts::{Carrier, Dispatch, Returned, Routed};
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{Event, Outgoing, QueryId, SendId, SendOptions, Sent, Submitted};

use super::{Hub, PlanResult, RouterOutputs, SendOutcome, Waiter};
use crate::sync::{lock, read};

impl Hub {
    /// Prepares a message with its id, and a request with its branch.
    pub(crate) fn prepare(&self, message: Message) -> Box<Outgoing> {
        let mut outgoing = Outgoing::new(message, SendOptions::new());
        self.send_ids.assign(&mut outgoing);
        outgoing
    }

    /// The same for the next target of a message that was sent.
    pub(crate) fn try_next(&self, sent: Sent) -> Result<Box<Outgoing>, NextError> {
        let now = self.now();
        self.with_router(|router| router.try_next(now, sent))
    }

    /// Sends a message whose outcome an event reports.
    pub(crate) fn start(self: &Arc<Self>, outgoing: Box<Outgoing>) -> SendId {
        let send = outgoing.id();
        // Inserted before the send can end.
        lock(&self.waiters).insert(send, Waiter::Started);
        let (submitted, asked) = self.send(outgoing);
        self.report_end(submitted);
        self.run(asked);
        send
    }

    /// Sends a message whose outcome the caller awaits.
    pub(crate) fn submit(
        self: &Arc<Self>,
        outgoing: Box<Outgoing>,
    ) -> Result<SendOutcome, SendError> {
        let (submitted, asked) = self.send(outgoing);
        self.run(asked);
        match submitted? {
            Submitted::Sent(sent) => Ok(SendOutcome::Sent(sent)),
            Submitted::Waiting(send) => self.wait_for(send),
        }
    }

    /// Sends a message as far as possible without waiting.
    fn send(
        self: &Arc<Self>,
        outgoing: Box<Outgoing>,
    ) -> (Result<Submitted, SendError>, RouterOutputs) {
        let now = self.now();
        let (routed, asked) = self.ask(|router| router.send(now, outgoing));
        let submitted = routed.and_then(|routed| {
            let attempt = self.attempt(now, routed);
            self.carry_on(now, attempt)
        });
        (submitted, asked)
    }

    fn wait_for(&self, send: SendId) -> Result<SendOutcome, SendError> {
        let mut waiters = lock(&self.waiters);
        if let Some(Waiter::Ended(result)) = waiters.remove(&send) {
            return result.map(SendOutcome::Sent);
        }
        let (sender, receiver) = oneshot::channel();
        waiters.insert(send, Waiter::Waiting(sender));
        Ok(SendOutcome::Later(receiver))
    }

    /// Requests the targets of a message.
    pub(crate) fn plan(self: &Arc<Self>, outgoing: Box<Outgoing>) -> oneshot::Receiver<PlanResult> {
        let now = self.now();
        let (sender, receiver) = oneshot::channel();
        // The answer is handled after the entry is made, so it finds it.
        let ((), asked) = self.ask(|router| {
            let query = router.plan(now, outgoing);
            drop(lock(&self.plans).insert(query, sender));
        });
        self.run(asked);
        receiver
    }

    pub(super) fn planned(&self, query: QueryId, result: PlanResult) {
        if let Some(sender) = lock(&self.plans).remove(&query) {
            // The receiver may be gone.
            drop(sender.send(result));
        }
    }

    pub(super) fn complete(&self, result: Result<Sent, SendError>) {
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
    pub(super) fn finish(self: &Arc<Self>, now: Instant, attempt: Result<Submitted, Returned>) {
        let submitted = self.carry_on(now, attempt);
        self.report_end(submitted);
    }

    fn report_end(&self, submitted: Result<Submitted, SendError>) {
        match submitted {
            Ok(Submitted::Sent(sent)) => self.complete(Ok(sent)),
            Ok(Submitted::Waiting(_)) => {}
            Err(error) => self.complete(Err(error)),
        }
    }

    /// Tries a message's next targets, until one takes it or it has to wait.
    fn carry_on(
        self: &Arc<Self>,
        now: Instant,
        mut attempt: Result<Submitted, Returned>,
    ) -> Result<Submitted, SendError> {
        let mut asked = RouterOutputs(Vec::new());
        let submitted = loop {
            let returned = match attempt {
                Ok(submitted) => break Ok(submitted),
                Err(returned) => returned,
            };
            let (routed, more) = self.ask(|router| router.retry(now, returned));
            asked.0.extend(more.0);
            attempt = match routed {
                Ok(routed) => self.attempt(now, routed),
                Err(error) => break Err(error),
            };
        };
        self.run(asked);
        submitted
    }

    /// Carries on with a routed message as far as possible without another target.
    pub(super) fn attempt(&self, now: Instant, routed: Routed) -> Result<Submitted, Returned> {
        let pushed = match routed {
            Routed::Ready(dispatch, outgoing) => self.push(dispatch, outgoing)?,
            waiting @ Routed::Waiting(_) => waiting,
        };
        match pushed {
            Routed::Ready(dispatch, outgoing) => self.give(now, &dispatch, outgoing),
            Routed::Waiting(send) => Ok(Submitted::Waiting(send)),
        }
    }

    fn push(&self, dispatch: Dispatch, outgoing: Box<Outgoing>) -> Result<Routed, Returned> {
        let Carrier::Connection(id) = dispatch.carrier() else {
            return Ok(Routed::Ready(dispatch, outgoing));
        };
        let Some(link) = self.link(id) else {
            return Err(Returned::new(outgoing, AttemptCause::Gone));
        };
        let pushed = lock(&link.machine).push(dispatch, outgoing);
        if matches!(pushed, Ok(Routed::Waiting(_))) {
            // Its deadline may be earlier than that of others.
            link.task.wake();
        }
        pushed
    }

    /// Renders a message, outside all locks, and queues it on its socket or connection.
    pub(super) fn give(
        &self,
        now: Instant,
        dispatch: &Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Result<Submitted, Returned> {
        let queued = dispatch.render(now, &outgoing).and_then(|sent| {
            self.put(now, &sent)?;
            Ok(sent)
        });
        match queued {
            Ok(sent) => Ok(Submitted::Sent(sent.keep(outgoing))),
            Err(cause) => Err(Returned::new(outgoing, cause)),
        }
    }

    /// Queues the bytes of a message on its carrier.
    fn put(&self, now: Instant, sent: &Sent) -> Result<(), SendCause> {
        if let Some((socket, transmit)) = sent.datagram() {
            let sockets = read(&self.sockets);
            let socket = sockets.get(&socket).ok_or(SendCause::ChannelRemoved)?;
            let queued = socket.queue(&transmit, sent.tap(now));
            return queued.map_err(|full| sent.queue_full(full.limit));
        }
        let Carrier::Connection(id) = sent.carrier() else {
            return Ok(());
        };
        let link = self.link(id).ok_or(SendCause::ConnectionClosed)?;
        let queued = lock(&link.machine).queue(now, sent.bytes(), sent.id());
        link.task.wake();
        queued
    }

    /// Sends the same bytes once more.
    pub(crate) fn resend(&self, sent: &Sent) -> Result<(), SendCause> {
        self.with_router(|router| router.resend(sent))?;
        self.put(self.now(), sent)
    }
}
