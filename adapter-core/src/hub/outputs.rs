//! The handling of the router's outputs: connections, sockets, lookups.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{io, mem};

use sip_transport_proto::error::SendFailure;
use sip_transport_proto::parts::{Routed, RouterOutput};
use sip_transport_proto::resolve::{Answer, LookupId};
use sip_transport_proto::{Event, SendId};

use super::{Hub, RouterOutputs};
use crate::hub::tasks;
use crate::runtime::sys;
use crate::sync::{lock, read};

impl Hub {
    /// Runs the outputs of the router.
    pub(crate) fn run(self: &Arc<Self>, RouterOutputs(outputs): RouterOutputs) {
        if outputs.is_empty() {
            return;
        }
        // Connections are opened last, once they have the messages to send.
        let opens = |output: &RouterOutput| matches!(output, RouterOutput::Connect { .. });
        let (connects, others): (Vec<_>, Vec<_>) = outputs.into_iter().partition(opens);
        for output in others.into_iter().chain(connects) {
            self.run_output(output);
        }
        self.router_waker.wake();
    }

    fn run_output(self: &Arc<Self>, output: RouterOutput) {
        let now = self.now();
        match output {
            RouterOutput::Connect {
                connection,
                remote,
                local,
            } => {
                let Some(connection) = self.connection(connection) else {
                    return;
                };
                let local = local.map(|ip| SocketAddr::new(ip, 0));
                let worker = connection.worker;
                self.spawn(
                    worker,
                    tasks::connect(Arc::clone(self), connection, remote, local),
                );
            }
            RouterOutput::Command {
                connection,
                command,
            } => {
                if let Some(connection) = self.connection(connection) {
                    lock(&connection.machine).handle_command(now, command);
                    connection.waker.wake();
                }
            }
            RouterOutput::Datagram { socket, transmit } => {
                if let Some(socket) = read(&self.sockets).get(&socket) {
                    // A keep-alive that finds no room is repeated, or the next one is sent.
                    let _ = socket.queue(&transmit, None);
                }
            }
            RouterOutput::Event(event) => self.deliver(0, event),
            RouterOutput::Bind { channel, local } => {
                let mut options = self.socket_options.clone();
                options.dual_stack = false;
                let worker = self.workers.first();
                let bound = worker
                    .ok_or_else(|| io::ErrorKind::Unsupported.into())
                    .and_then(|worker| worker.runtime.bind_datagrams(local, &options));
                let id = channel.socket(0);
                let (socket, outputs) = self.call_router(|router| {
                    match &bound {
                        Ok(socket) => router.handle_bound(now, channel, Ok(socket.local_addr())),
                        Err(error) => match sys::local_fault(error) {
                            Some(fault) => router.handle_bind_fault(now, channel, fault),
                            None => router.handle_bound(now, channel, Err(error.kind())),
                        },
                    }
                    // Before the lock is released: waiting sends use the socket at once.
                    Some(self.insert_socket(id, router.datagram_socket(id)?, bound.ok()?, 0))
                });
                self.run(outputs);
                if let Some((socket, machine)) = socket {
                    self.spawn(0, tasks::datagrams(Arc::clone(self), socket, machine));
                }
            }
            RouterOutput::Lookup { id, kind, name } => {
                let wake = lock(&self.lookups).get(&id).cloned();
                if let Some(wake) = wake {
                    let answer = self.resolver.lookup(kind, name);
                    self.spawn(0, tasks::lookup(Arc::clone(self), id, answer, wake));
                }
            }
            RouterOutput::CancelLookup(id) => {
                let waker = lock(&self.lookups).remove(&id);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            RouterOutput::Planned { query, result } => self.deliver_plan(query, result),
            RouterOutput::LocalAddress { query, remote } => {
                let Some(worker) = self.workers.first() else {
                    return;
                };
                let local = worker
                    .runtime
                    .local_address(remote)
                    .map_err(|error| error.kind());
                let ((), outputs) =
                    self.call_router(|router| router.handle_local_address(now, query, local));
                self.run(outputs);
            }
            RouterOutput::Routed(dispatch, outgoing) => {
                let attempt = self.try_dispatch(now, Routed::Ready(dispatch, outgoing));
                self.resume_send(now, attempt);
            }
            RouterOutput::Failed(error) => self.deliver_outcome(Err(error)),
            // The router's task polls the timeout again once all is done.
            RouterOutput::Rearm => {}
        }
    }

    /// Returns true if the answer to a lookup is no longer needed.
    pub(crate) fn is_cancelled(&self, id: LookupId) -> bool {
        !lock(&self.lookups).contains_key(&id)
    }

    /// Handles the answer to a lookup, unless it is no longer needed.
    pub(crate) fn handle_lookup(self: &Arc<Self>, id: LookupId, answer: Answer) {
        if lock(&self.lookups).remove(&id).is_none() {
            return;
        }
        let mut answers = lock(&self.answers);
        answers.waiting.push_back((id, answer));
        // When a runtime ends, a new lookup is answered at once: that answer is handled below, not
        // inside the handling of the one before.
        if mem::replace(&mut answers.busy, true) {
            return;
        }
        while let Some((id, answer)) = answers.waiting.pop_front() {
            drop(answers);
            let now = self.now();
            let ((), outputs) = self.call_router(|router| router.handle_lookup(now, id, answer));
            self.run(outputs);
            answers = lock(&self.answers);
        }
        answers.busy = false;
    }

    /// Reports a datagram that was not sent or not delivered.
    pub(crate) fn report_datagram(
        &self,
        worker: usize,
        send: SendId,
        remote: SocketAddr,
        cause: SendFailure,
    ) {
        let now = self.now();
        let event =
            self.with_router(|router| router.handle_datagram_failed(now, send, remote, cause));
        if let Some(event) = event {
            self.deliver(worker, event);
        }
    }

    pub(super) fn deliver(&self, worker: usize, event: Event) {
        if let Some(worker) = self.workers.get(worker) {
            worker.queue.push(&mut vec![event]);
        }
    }
}
