//! The machines, each given what another has for it.

use std::time::Instant;

use super::{Output, Submitted, Transport};
use crate::connection::{ConnectionEvent, Pushed};
#[cfg(feature = "proxy")]
use crate::error::AcceptError;
use crate::error::{AttemptCause, SendCause, SendError};
use crate::event::Event;
use crate::ids::{Carrier, ConnectionId, SendId};
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::outgoing::sent::Sent;
use crate::router::{Routed, RouterOutput};

impl Transport {
    /// Takes one event of a connection, or, if it has none, sees to its writing and its deadline.
    pub(super) fn drive(&mut self, now: Instant, id: ConnectionId) {
        let Some(machine) = self.connections.get_mut(&id) else {
            self.touched.remove(&id);
            return;
        };
        match machine.poll_event(now) {
            Some(ConnectionEvent::Event(event)) => self.outputs.push_back(Output::Event(event)),
            Some(ConnectionEvent::Reached) => {
                self.router.handle_reached(id);
                self.drain_router(now);
            }
            Some(ConnectionEvent::Connected { local, identity }) => {
                if self.router.handle_connected(id, local, identity) {
                    self.render_pending(now, id);
                }
                self.drain_router(now);
            }
            #[cfg(feature = "ws")]
            Some(ConnectionEvent::Upgrade(check)) => machine.decide(check.run()),
            #[cfg(feature = "proxy")]
            Some(ConnectionEvent::Announced {
                channel,
                local,
                remote,
            }) => {
                let filter = self.router.accept_filter(channel);
                let answer =
                    match filter.is_none_or(|filter| filter.allows_announced(local, remote)) {
                        true => self.router.handle_announced(now, id, remote),
                        false => Err(AcceptError::Filtered),
                    };
                machine.admit(now, answer);
            }
            Some(ConnectionEvent::Tap(call)) => call.run(),
            Some(ConnectionEvent::FirstMessage) => self.router.handle_first_message(id),
            Some(ConnectionEvent::Alias { port }) => self.router.handle_alias(id, port),
            Some(ConnectionEvent::Active) => self.router.handle_active(now, id),
            Some(ConnectionEvent::Alive) => self.router.handle_alive(now, id),
            Some(ConnectionEvent::Behind(since)) => self.router.handle_behind(id, since),
            Some(ConnectionEvent::ReceiveFull(closes)) => {
                self.router.handle_receive_full(now, closes);
                self.drain_router(now);
            }
            Some(ConnectionEvent::Closed { reason }) => {
                self.router.handle_closed(now, id, reason);
                self.outputs.push_back(Output::Close(id));
                self.drain_router(now);
            }
            Some(ConnectionEvent::Returned(outgoing, cause)) => self.retry(now, outgoing, cause),
            None => {
                self.touched.remove(&id);
                if machine.is_closed() {
                    self.connections.remove(&id);
                    self.set_deadline(id, None);
                    return;
                }
                if !machine.transmit().is_empty() {
                    self.outputs.push_back(Output::Writable(id));
                }
                let at = machine.poll_timeout().map(|(at, _)| at);
                self.set_deadline(id, at);
            }
        }
    }

    pub(super) fn set_deadline(&mut self, id: ConnectionId, at: Option<Instant>) {
        let old = match at {
            Some(at) => self.deadlines.insert(id, at),
            None => self.deadlines.remove(&id),
        };
        if let Some(old) = old {
            self.due.remove(&(old, id));
        }
        if let Some(at) = at {
            self.due.insert((at, id));
        }
    }

    pub(super) fn render_pending(&mut self, now: Instant, id: ConnectionId) {
        while let Some(machine) = self.connections.get_mut(&id)
            && let Some((dispatch, outgoing)) = machine.next_pending()
        {
            let send = outgoing.id();
            match self.give(now, &dispatch, outgoing) {
                Ok(sent) => self.complete(send, Ok(sent)),
                Err((outgoing, cause)) => self.retry(now, outgoing, cause),
            }
        }
    }

    pub(super) fn retry(&mut self, now: Instant, outgoing: Box<Outgoing>, cause: AttemptCause) {
        let send = outgoing.id();
        let routed = self.router.retry(now, outgoing, cause);
        match self.carry_on(now, routed) {
            Ok(Submitted::Sent(sent)) => self.complete(send, Ok(sent)),
            Ok(Submitted::Waiting(_)) => {}
            Err(error) => self.complete(send, Err(error)),
        }
        self.drain_router(now);
    }

    pub(super) fn complete(&mut self, send: SendId, result: Result<Box<Sent>, SendError>) {
        self.outputs
            .push_back(Output::Event(Event::SendCompleted { send, result }));
    }

    pub(super) fn drain_router(&mut self, now: Instant) {
        while let Some(output) = self.router.poll_output() {
            match output {
                RouterOutput::Connect {
                    connection,
                    remote,
                    local,
                } => {
                    self.keep_machines();
                    self.outputs.push_back(Output::Connect {
                        connection,
                        remote,
                        local,
                    });
                }
                RouterOutput::Close { connection, reason } => {
                    self.with(connection, |machine| machine.close(now, reason));
                }
                RouterOutput::Keep { connection, keep } => {
                    self.with(connection, |machine| machine.keep(now, keep));
                }
                RouterOutput::Datagram { socket, transmit } => {
                    self.outputs
                        .push_back(Output::Datagram { socket, transmit });
                }
                RouterOutput::Event(event) => self.outputs.push_back(Output::Event(event)),
                RouterOutput::Rearm => {}
                RouterOutput::Bind { channel, local } => {
                    self.outputs.push_back(Output::Bind { channel, local });
                }
                RouterOutput::Lookup { id, kind, name } => {
                    self.outputs.push_back(Output::Lookup { id, kind, name });
                }
                RouterOutput::CancelLookup(id) => self.outputs.push_back(Output::CancelLookup(id)),
                RouterOutput::Planned { query, result } => {
                    self.outputs.push_back(Output::Planned { query, result });
                }
                RouterOutput::LocalAddress { query, remote } => {
                    self.outputs
                        .push_back(Output::LocalAddress { query, remote });
                }
                RouterOutput::Routed(dispatch, outgoing) => {
                    let send = outgoing.id();
                    match self.carry_on(now, Ok(Routed::Ready(dispatch, outgoing))) {
                        Ok(Submitted::Sent(sent)) => self.complete(send, Ok(sent)),
                        Ok(Submitted::Waiting(_)) => {}
                        Err(error) => self.complete(send, Err(error)),
                    }
                }
                RouterOutput::Failed(error) => self.complete(error.send(), Err(error)),
            }
        }
    }

    /// Takes a routed message as far as it goes.
    pub(super) fn carry_on(
        &mut self,
        now: Instant,
        mut routed: Result<Routed, SendError>,
    ) -> Result<Submitted, SendError> {
        loop {
            let (dispatch, outgoing) = match routed? {
                Routed::Waiting(id) => return Ok(Submitted::Waiting(id)),
                Routed::Ready(dispatch, outgoing) => (dispatch, outgoing),
            };
            let send = outgoing.id();
            let pushed = match dispatch.carrier() {
                Carrier::Connection(id) => self.push(id, dispatch, outgoing),
                Carrier::Datagram { .. } => Pushed::Ready(dispatch, outgoing),
            };
            let given = match pushed {
                Pushed::Waiting => return Ok(Submitted::Waiting(send)),
                Pushed::Ready(dispatch, outgoing) => self.give(now, &dispatch, outgoing),
                Pushed::Returned(outgoing, cause) => Err((outgoing, cause)),
            };
            let (outgoing, cause) = match given {
                Ok(sent) => return Ok(Submitted::Sent(sent)),
                Err(returned) => returned,
            };
            routed = self.router.retry(now, outgoing, cause);
        }
    }

    pub(super) fn push(
        &mut self,
        id: ConnectionId,
        dispatch: Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Pushed {
        self.keep_machines();
        self.touched.insert(id);
        match self.connections.get_mut(&id) {
            Some(machine) => machine.push(dispatch, outgoing),
            None => Pushed::Returned(outgoing, AttemptCause::Gone),
        }
    }

    /// Renders a message and gives it to its socket or connection. If that fails, it comes back with
    /// the cause.
    pub(super) fn give(
        &mut self,
        now: Instant,
        dispatch: &Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Result<Box<Sent>, (Box<Outgoing>, AttemptCause)> {
        let given = dispatch.render(now, &outgoing).and_then(|sent| {
            self.put(now, &sent)?;
            Ok(sent)
        });
        match given {
            Ok(sent) => Ok(Box::new(sent.keep(outgoing))),
            Err(cause) => Err((outgoing, cause)),
        }
    }

    /// Gives rendered bytes to their socket or connection.
    pub(super) fn put(&mut self, now: Instant, sent: &Sent) -> Result<(), SendCause> {
        if let Some((socket, transmit)) = sent.datagram() {
            if let Some(call) = sent.tap(now) {
                call.run();
            }
            self.outputs
                .push_back(Output::Datagram { socket, transmit });
        }
        let Carrier::Connection(id) = sent.carrier() else {
            return Ok(());
        };
        self.with(id, |machine| machine.queue(now, sent.bytes(), sent.id()))
            .unwrap_or(Err(SendCause::ConnectionClosed))
    }

    pub(super) fn keep_machines(&mut self) {
        while let Some(machine) = self.router.take_machine() {
            self.touched.insert(machine.id());
            self.connections.insert(machine.id(), machine);
        }
    }
}
