//! Messages on their way out, as far as they go without waiting.

use std::sync::Arc;
use std::time::Instant;

use futures_channel::oneshot;
use sip_transport_proto::error::{AttemptCause, NextError, SendCause, SendError};
use sip_transport_proto::parts::{Carrier, Dispatch, Pushed, Routed};
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{ConnectionId, Event, Outgoing, QueryId, SendId, SendOptions, Sent};

use super::{Hub, PlanResult, RouterOutputs, Submitted, Waiter};
use crate::sync::{lock, read};

impl Hub {
    /// A message with its id, and a request with its branch.
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

    /// Sends a message of whose end an event is to tell.
    pub(crate) fn start(self: &Arc<Self>, outgoing: Box<Outgoing>) -> SendId {
        let (now, send) = (self.now(), outgoing.id());
        // Before it can end.
        lock(&self.waiters).insert(send, Waiter::Started);
        let (routed, asked) = self.ask(|router| router.send(now, outgoing));
        self.carry_on_waiting(now, send, routed);
        self.run(asked);
        send
    }

    /// Sends a message as far as that goes without waiting.
    pub(crate) fn submit(
        self: &Arc<Self>,
        outgoing: Box<Outgoing>,
    ) -> Result<Submitted, SendError> {
        let now = self.now();
        let (routed, asked) = self.ask(|router| router.send(now, outgoing));
        let carried = self.carry_on(now, routed);
        self.run(asked);
        match carried? {
            Ok(sent) => Ok(Submitted::Sent(sent)),
            Err(send) => self.wait_for(send),
        }
    }

    fn wait_for(&self, send: SendId) -> Result<Submitted, SendError> {
        let mut waiters = lock(&self.waiters);
        if let Some(Waiter::Ended(result)) = waiters.remove(&send) {
            return result.map(Submitted::Sent);
        }
        let (sender, receiver) = oneshot::channel();
        waiters.insert(send, Waiter::Waiting(sender));
        Ok(Submitted::Waiting(receiver))
    }

    /// Asks where a message would go.
    pub(crate) fn plan(self: &Arc<Self>, outgoing: Box<Outgoing>) -> oneshot::Receiver<PlanResult> {
        let now = self.now();
        let (sender, receiver) = oneshot::channel();
        // The answer is run behind the entry, so it finds it.
        let ((), asked) = self.ask(|router| {
            let query = router.plan(now, outgoing);
            drop(lock(&self.plans).insert(query, sender));
        });
        self.run(asked);
        receiver
    }

    pub(super) fn planned(&self, query: QueryId, result: PlanResult) {
        if let Some(sender) = lock(&self.plans).remove(&query) {
            // Nobody waits any more.
            drop(sender.send(result));
        }
    }

    pub(crate) fn complete(&self, send: SendId, result: Result<Sent, SendError>) {
        let mut waiters = lock(&self.waiters);
        match waiters.remove(&send) {
            Some(Waiter::Waiting(sender)) => {
                drop(waiters);
                // Nobody waits any more: dropping the future does not cancel the send.
                drop(sender.send(result));
            }
            Some(Waiter::Started) => {
                drop(waiters);
                let result = result.map(Box::new);
                self.tell(0, Event::SendCompleted { send, result });
            }
            _ => drop(waiters.insert(send, Waiter::Ended(Box::new(result)))),
        }
    }

    /// Takes a routed message as far as it goes: sent, or waiting under its id.
    fn carry_on(
        self: &Arc<Self>,
        now: Instant,
        routed: Result<Routed, SendError>,
    ) -> Result<Result<Sent, SendId>, SendError> {
        let mut asked = RouterOutputs(Vec::new());
        let result = self.try_targets(now, routed, &mut asked);
        self.run(asked);
        result
    }

    fn try_targets(
        &self,
        now: Instant,
        mut routed: Result<Routed, SendError>,
        asked: &mut RouterOutputs,
    ) -> Result<Result<Sent, SendId>, SendError> {
        loop {
            let (dispatch, outgoing) = match routed? {
                Routed::Waiting(id) => return Ok(Err(id)),
                Routed::Ready(dispatch, outgoing) => (dispatch, outgoing),
            };
            let send = outgoing.id();
            let pushed = match dispatch.carrier() {
                Carrier::Connection(id) => self.push(id, dispatch, outgoing),
                Carrier::Datagram { .. } => Pushed::Ready(dispatch, outgoing),
            };
            let given = match pushed {
                Pushed::Waiting => return Ok(Err(send)),
                Pushed::Ready(dispatch, outgoing) => self.give(now, &dispatch, outgoing),
                Pushed::Returned(outgoing, cause) => Err((outgoing, cause)),
            };
            let (outgoing, cause) = match given {
                Ok(sent) => return Ok(Ok(sent)),
                Err(returned) => returned,
            };
            let (next, more) = self.ask(|router| router.retry(now, outgoing, cause));
            asked.0.extend(more.0);
            routed = next;
        }
    }

    fn push(&self, id: ConnectionId, dispatch: Dispatch, outgoing: Box<Outgoing>) -> Pushed {
        let Some(link) = self.link(id) else {
            return Pushed::Returned(outgoing, AttemptCause::Gone);
        };
        let pushed = lock(&link.machine).push(dispatch, outgoing);
        if matches!(pushed, Pushed::Waiting) {
            // It may not wait as long as others.
            link.task.wake();
        }
        pushed
    }

    /// Renders a message, outside all locks, and queues it on its socket or connection. If that
    /// fails, the message comes back with the cause.
    pub(crate) fn give(
        &self,
        now: Instant,
        dispatch: &Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Result<Sent, (Box<Outgoing>, AttemptCause)> {
        let queued = dispatch.render(now, &outgoing).and_then(|sent| {
            self.put(now, &sent)?;
            Ok(sent)
        });
        match queued {
            Ok(sent) => Ok(sent.keep(outgoing)),
            Err(cause) => Err((outgoing, cause)),
        }
    }

    /// Queues the bytes of a message on the way that it takes.
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

    /// A send comes back from a connection: on to the next target.
    pub(crate) fn retry(
        self: &Arc<Self>,
        now: Instant,
        outgoing: Box<Outgoing>,
        cause: AttemptCause,
    ) {
        let send = outgoing.id();
        let (routed, asked) = self.ask(|router| router.retry(now, outgoing, cause));
        self.carry_on_waiting(now, send, routed);
        self.run(asked);
    }

    pub(super) fn carry_on_waiting(
        self: &Arc<Self>,
        now: Instant,
        send: SendId,
        routed: Result<Routed, SendError>,
    ) {
        match self.carry_on(now, routed) {
            Ok(Ok(sent)) => self.complete(send, Ok(sent)),
            Ok(Err(_)) => {}
            Err(error) => self.complete(send, Err(error)),
        }
    }
}
