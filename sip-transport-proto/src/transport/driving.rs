//! The driving of the state machines: each is given the outputs of the others.

use std::time::Instant;

use super::{Output, Transport};
use crate::connection::ConnectionEvent;
use crate::error::{AttemptCause, SendCause, SendError};
use crate::event::Event;
use crate::ids::{Carrier, ConnectionId};
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::outgoing::outcome::{Returned, Routed, Submitted};
use crate::outgoing::sent::Sent;
use crate::router::RouterOutput;

impl Transport {
    /// Handles one event of a connection or, if it has none, its writing and its deadline.
    pub(super) fn drive(&mut self, now: Instant, id: ConnectionId) {
        let Some(machine) = self.connections.get_mut(&id) else {
            self.touched.remove(&id);
            return;
        };
        match machine.poll_event(now) {
            Some(ConnectionEvent::Event(event)) => self.outputs.push_back(Output::Event(event)),
            Some(ConnectionEvent::Notice(notice)) => {
                self.router.handle_notice(now, id, notice);
                self.drain_router(now);
            }
            Some(ConnectionEvent::Call(call)) => {
                if let Some(answer) = call.run() {
                    machine.handle_command(now, answer);
                }
            }
            Some(ConnectionEvent::Ready(dispatch, outgoing)) => {
                let attempt = self.render_and_queue(now, &dispatch, outgoing);
                self.resume_send(now, attempt);
                self.drain_router(now);
            }
            Some(ConnectionEvent::Returned(returned)) => {
                self.resume_send(now, Err(returned));
                self.drain_router(now);
            }
            Some(ConnectionEvent::Closed) => self.outputs.push_back(Output::Close(id)),
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

    /// Carries on with a send that waited, and reports its end.
    fn resume_send(&mut self, now: Instant, attempt: Result<Submitted, Returned>) {
        match self.try_until_taken(now, attempt) {
            Ok(Submitted::Sent(sent)) => self.deliver_outcome(Ok(sent)),
            Ok(Submitted::Waiting(_)) => {}
            Err(error) => self.deliver_outcome(Err(error)),
        }
    }

    fn deliver_outcome(&mut self, result: Result<Sent, SendError>) {
        let send = match &result {
            Ok(sent) => sent.id(),
            Err(error) => error.send(),
        };
        let result = result.map(Box::new);
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
                    self.fetch_machines();
                    self.outputs.push_back(Output::Connect {
                        connection,
                        remote,
                        local,
                    });
                }
                RouterOutput::Command {
                    connection,
                    command,
                } => {
                    self.with(connection, |machine| machine.handle_command(now, command));
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
                    let attempt = self.try_dispatch(now, Routed::Ready(dispatch, outgoing));
                    self.resume_send(now, attempt);
                }
                RouterOutput::Failed(error) => self.deliver_outcome(Err(error)),
            }
        }
    }

    /// Tries a message's next targets, until one takes it or it has to wait.
    pub(super) fn try_until_taken(
        &mut self,
        now: Instant,
        mut attempt: Result<Submitted, Returned>,
    ) -> Result<Submitted, SendError> {
        loop {
            let returned = match attempt {
                Ok(submitted) => return Ok(submitted),
                Err(returned) => returned,
            };
            let routed = self.router.retry(now, returned)?;
            attempt = self.try_dispatch(now, routed);
        }
    }

    /// Carries on with a routed message as far as possible without another target.
    pub(super) fn try_dispatch(
        &mut self,
        now: Instant,
        routed: Routed,
    ) -> Result<Submitted, Returned> {
        let pushed = match routed {
            Routed::Ready(dispatch, outgoing) => self.hand_over(dispatch, outgoing)?,
            waiting @ Routed::Waiting(_) => waiting,
        };
        match pushed {
            Routed::Ready(dispatch, outgoing) => self.render_and_queue(now, &dispatch, outgoing),
            Routed::Waiting(send) => Ok(Submitted::Waiting(send)),
        }
    }

    fn hand_over(
        &mut self,
        dispatch: Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Result<Routed, Returned> {
        let Carrier::Connection(id) = dispatch.carrier() else {
            return Ok(Routed::Ready(dispatch, outgoing));
        };
        self.fetch_machines();
        self.touched.insert(id);
        match self.connections.get_mut(&id) {
            Some(machine) => machine.push(dispatch, outgoing),
            None => Err(Returned::new(outgoing, AttemptCause::Gone)),
        }
    }

    /// Renders a message and gives it to its socket or connection.
    fn render_and_queue(
        &mut self,
        now: Instant,
        dispatch: &Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Result<Submitted, Returned> {
        let given = dispatch.render(now, &outgoing).and_then(|sent| {
            self.queue_bytes(now, &sent)?;
            Ok(sent)
        });
        match given {
            Ok(sent) => Ok(Submitted::Sent(sent.with_outgoing(outgoing))),
            Err(cause) => Err(Returned::new(outgoing, cause)),
        }
    }

    /// Gives rendered bytes to their socket or connection.
    pub(super) fn queue_bytes(&mut self, now: Instant, sent: &Sent) -> Result<(), SendCause> {
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

    pub(super) fn fetch_machines(&mut self) {
        while let Some(machine) = self.router.take_machine() {
            self.touched.insert(machine.id());
            self.connections.insert(machine.id(), machine);
        }
    }
}
