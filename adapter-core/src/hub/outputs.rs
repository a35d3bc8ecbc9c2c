//! What the router asks for: connections, sockets, look-ups.

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
    /// Does what the router asked for.
    pub(crate) fn run(self: &Arc<Self>, RouterOutputs(outputs): RouterOutputs) {
        if outputs.is_empty() {
            return;
        }
        // Connections open last, once they have what is to be sent on them.
        let opens = |output: &RouterOutput| matches!(output, RouterOutput::Connect { .. });
        let (connects, others): (Vec<_>, Vec<_>) = outputs.into_iter().partition(opens);
        for output in others.into_iter().chain(connects) {
            self.run_output(output);
        }
        self.router_task.wake();
    }

    fn run_output(self: &Arc<Self>, output: RouterOutput) {
        let now = self.now();
        match output {
            RouterOutput::Connect {
                connection,
                remote,
                local,
            } => {
                let Some(link) = self.link(connection) else {
                    return;
                };
                let local = local.map(|ip| SocketAddr::new(ip, 0));
                let worker = link.worker;
                self.spawn(
                    worker,
                    tasks::connect(Arc::clone(self), link, remote, local),
                );
            }
            RouterOutput::Command {
                connection,
                command,
            } => {
                if let Some(link) = self.link(connection) {
                    lock(&link.machine).handle_command(now, command);
                    link.task.wake();
                }
            }
            RouterOutput::Datagram { socket, transmit } => {
                if let Some(socket) = read(&self.sockets).get(&socket) {
                    // A keep-alive that finds no room is sent again, or the next one is.
                    let _ = socket.queue(&transmit, None);
                }
            }
            RouterOutput::Event(event) => self.tell(0, event),
            RouterOutput::Bind { channel, local } => {
                let mut options = self.socket_options.clone();
                options.dual_stack = false;
                let worker = self.workers.first();
                let bound = worker
                    .ok_or_else(|| io::ErrorKind::Unsupported.into())
                    .and_then(|worker| worker.runtime.bind_datagrams(local, &options));
                let id = channel.socket(0);
                let (socket, asked) = self.ask(|router| {
                    match &bound {
                        Ok(socket) => router.handle_bound(now, channel, Ok(socket.local_addr())),
                        Err(error) => match sys::local_fault(error) {
                            Some(fault) => router.handle_bind_fault(now, channel, fault),
                            None => router.handle_bound(now, channel, Err(error.kind())),
                        },
                    }
                    // Before the lock is free: sends that waited go out on it at once.
                    Some(self.keep_socket(id, router.datagram_socket(id)?, bound.ok()?, 0))
                });
                self.run(asked);
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
                let asked = lock(&self.lookups).remove(&id);
                if let Some(task) = asked {
                    task.wake();
                }
            }
            RouterOutput::Planned { query, result } => self.planned(query, result),
            RouterOutput::LocalAddress { query, remote } => {
                let Some(worker) = self.workers.first() else {
                    return;
                };
                let local = worker
                    .runtime
                    .local_address(remote)
                    .map_err(|error| error.kind());
                let ((), asked) = self.ask(|router| router.handle_local_address(now, query, local));
                self.run(asked);
            }
            RouterOutput::Routed(dispatch, outgoing) => {
                let attempt = self.attempt(now, Routed::Ready(dispatch, outgoing));
                self.finish(now, attempt);
            }
            RouterOutput::Failed(error) => self.complete(Err(error)),
            // The router's task looks again once all is done.
            RouterOutput::Rearm => {}
        }
    }

    /// Whether nobody waits for the answer to a lookup any more.
    pub(crate) fn is_cancelled(&self, id: LookupId) -> bool {
        !lock(&self.lookups).contains_key(&id)
    }

    /// Takes the answer to a lookup, unless nobody waits for it.
    pub(crate) fn answered(self: &Arc<Self>, id: LookupId, answer: Answer) {
        if lock(&self.lookups).remove(&id).is_none() {
            return;
        }
        let mut answers = lock(&self.answers);
        answers.waiting.push_back((id, answer));
        // Where a runtime ends, a lookup that begins has its answer at once: it is taken in below,
        // not within the taking in of the one before.
        if mem::replace(&mut answers.busy, true) {
            return;
        }
        while let Some((id, answer)) = answers.waiting.pop_front() {
            drop(answers);
            let now = self.now();
            let ((), asked) = self.ask(|router| router.handle_lookup(now, id, answer));
            self.run(asked);
            answers = lock(&self.answers);
        }
        answers.busy = false;
    }

    /// Reports a datagram that did not get away.
    pub(crate) fn report(
        &self,
        worker: usize,
        send: SendId,
        remote: SocketAddr,
        cause: SendFailure,
    ) {
        let now = self.now();
        let event = self.with_router(|router| router.send_failed(now, send, remote, cause));
        if let Some(event) = event {
            self.tell(worker, event);
        }
    }

    pub(super) fn tell(&self, worker: usize, event: Event) {
        if let Some(worker) = self.workers.get(worker) {
            worker.queue.push(&mut vec![event]);
        }
    }
}
