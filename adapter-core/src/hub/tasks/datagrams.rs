//! The task of a UDP socket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use sip_transport_proto::parts::{DatagramSocket, LogLimiter, TapCall};
use sip_transport_proto::trace::{LIMIT, SOCKET};
use sip_transport_proto::{Event, SendId, error as proto};
use tracing::warn;

use super::backoff::Backoff;
use super::watch::Watch;
use crate::hub::socket::SharedSocket;
use crate::hub::{Hub, Worker};
use crate::runtime::batch::{DatagramFailure, RecvBatch, SendBatch};
use crate::runtime::sys;

/// The batches in one turn, before other tasks run.
const ROUNDS: usize = 4;
/// The number of sends for which an ICMP error can be reported: the latest ones, for as long as a
/// transaction lives (64·T1, RFC 3261 §17.1.1.1).
const REMEMBERED: usize = 8_192;
const MEMORY: Duration = Duration::from_secs(32);

/// Runs a UDP socket until its channel is removed or the transport stops.
pub(crate) fn datagrams(
    hub: Arc<Hub>,
    socket: Arc<SharedSocket>,
    machine: DatagramSocket,
) -> impl Future<Output = ()> + Send {
    let channel = socket.id.channel;
    let watch = Watch { hub, channel };
    async move { run(&watch.hub, &socket, machine).await }
}

async fn run(hub: &Arc<Hub>, socket: &SharedSocket, machine: DatagramSocket) {
    let Some(worker) = hub.workers.get(socket.worker) else {
        return;
    };
    let mut task = SocketTask {
        hub,
        worker,
        socket,
        machine,
        received: RecvBatch::new(),
        out: SendBatch::new(hub.datagram_queue),
        recent: VecDeque::new(),
        events: Vec::new(),
        log_limiter: LogLimiter::default(),
        backoff: Backoff::new(),
    };
    poll_fn(|cx| task.turn(cx)).await;
}

struct SocketTask<'a> {
    hub: &'a Arc<Hub>,
    worker: &'a Worker,
    socket: &'a SharedSocket,
    machine: DatagramSocket,
    received: RecvBatch,
    /// The batch being sent; senders fill another one meanwhile.
    out: SendBatch,
    recent: VecDeque<(SocketAddr, u64, Instant)>,
    events: Vec<Event>,
    log_limiter: LogLimiter,
    backoff: Backoff,
}

impl Drop for SocketTask<'_> {
    fn drop(&mut self) {
        // The socket closes with its task, even if the transport is still held. Nothing is queued
        // on it after that, so every queued datagram is reported.
        self.hub.remove_socket(self.socket.id);
        self.give_up();
    }
}

impl SocketTask<'_> {
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.waker.register(cx.waker());
        for _ in 0..ROUNDS {
            self.send(cx);
            // Datagrams queued before the end are sent, if the socket accepts them at once.
            if self.hub.is_stopping() || !self.hub.has_socket(self.socket.id) {
                return Poll::Ready(());
            }
            if self.receive(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reports the queued datagrams that will not be sent.
    fn give_up(&mut self) {
        loop {
            for entry in self.out.iter().filter(|entry| entry.id != 0) {
                let send = SendId::from(entry.id);
                let cause = proto::SendFailure::ChannelRemoved;
                self.hub
                    .report_datagram(self.socket.worker, send, entry.destination, cause);
            }
            self.out.sent(self.out.len());
            drop(self.socket.take(&mut self.out));
            if self.out.is_empty() {
                return;
            }
        }
    }

    /// Sends the waiting datagrams, as far as the socket accepts them.
    fn send(&mut self, cx: &mut Context<'_>) {
        loop {
            if self.out.is_empty() {
                let taps = self.socket.take(&mut self.out);
                if self.out.is_empty() {
                    return;
                }
                taps.into_iter().for_each(TapCall::run);
                self.remember();
            }
            let blocked = self.socket.io.try_send(&mut self.out).is_err();
            let failures = std::mem::take(self.out.failures());
            self.failed(failures);
            if blocked && !matches!(self.socket.io.poll_send_ready(cx), Poll::Ready(Ok(()))) {
                return;
            }
        }
    }

    fn remember(&mut self) {
        let now = self.hub.now();
        for entry in self.out.iter().filter(|entry| entry.id != 0) {
            let too_old =
                |sent: &(SocketAddr, u64, Instant)| now.saturating_duration_since(sent.2) > MEMORY;
            while self.recent.len() == REMEMBERED || self.recent.front().is_some_and(too_old) {
                self.recent.pop_front();
            }
            self.recent.push_back((entry.destination, entry.id, now));
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.backoff.poll(cx, &*self.worker.runtime));
        let received = ready!(self.socket.io.poll_recv(cx, &mut self.received));
        let now = self.worker.runtime.now();
        if let Err(error) = received {
            if let Some(left_out) = self.backoff.failed(now) {
                let local = self.machine.local();
                warn!(target: SOCKET, %error, left_out, %local, "cannot receive");
            }
            return Poll::Ready(());
        }
        self.backoff.reset();
        self.events.reserve(self.received.len());
        for datagram in self.received.iter() {
            if datagram.truncated {
                self.machine.handle_truncated();
                continue;
            }
            let local = Some(datagram.local).filter(|ip| !ip.is_unspecified());
            let event = self
                .machine
                .handle_datagram(now, datagram.remote, local, datagram.data);
            self.events.extend(event);
        }
        while let Some(reply) = self.machine.poll_transmit() {
            // A reply that finds no room need not be sent.
            let _ = self.socket.queue(&reply, None);
        }
        if self.machine.take_rearmed() {
            self.hub.router_waker.wake();
        }
        let failures = std::mem::take(self.received.failures());
        self.failed(failures);
        let dropped = self.worker.queue.offer(&mut self.events);
        if dropped > 0
            && let Some(left_out) = self.log_limiter.now(now)
        {
            let local = self.machine.local();
            warn!(target: LIMIT, dropped, left_out, %local, "the application is slow to fetch messages: datagrams dropped");
        }
        Poll::Ready(())
    }

    /// Reports datagrams that were not sent or not delivered, each send at most once.
    fn failed(&mut self, failures: Vec<DatagramFailure>) {
        for DatagramFailure {
            id,
            destination,
            error,
            ..
        } in failures
        {
            let now = self.worker.runtime.now();
            let found = self.recent.iter().rposition(|&(to, send, at)| match id {
                Some(id) => send == id,
                None => to == destination && now.saturating_duration_since(at) <= MEMORY,
            });
            let found = found.and_then(|at| self.recent.remove(at));
            // A datagram that the system refuses is reported however many were sent with it.
            let found = found
                .map(|(_, send, _)| send)
                .or_else(|| id.filter(|id| *id != 0));
            let Some(send) = found else {
                continue;
            };
            let cause = match sys::is_too_long(&error) {
                true => proto::SendFailure::TooLarge,
                false => error.kind().into(),
            };
            self.hub
                .report_datagram(self.socket.worker, send.into(), destination, cause);
        }
    }
}
