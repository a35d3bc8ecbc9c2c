use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use sip_transport_proto::resolve::Answer;
use sip_transport_proto::sim::{HostId, LookupHandle, Network, Ready, SocketHandle};

use super::datagrams::Port;
use super::faults::{Call, Fault};

/// How long a socket stays blocked that is so by chance.
const BLOCKED: Duration = Duration::from_millis(1);

/// The network, and who waits for what on it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) network: Network,
    pub(super) timers: BTreeMap<(Instant, u64), Waker>,
    /// Readiness of listeners and streams.
    pub(super) slots: BTreeMap<SocketHandle, Slot>,
    pub(super) ports: BTreeMap<SocketHandle, Port>,
    /// Datagram ports that several sockets may share.
    pub(super) shared: BTreeMap<(HostId, SocketAddr), SocketHandle>,
    pub(super) lookups: BTreeMap<LookupHandle, Question>,
    pub(super) faults: BTreeMap<(HostId, Call), Fault>,
    pub(super) calls: BTreeMap<(HostId, Call), usize>,
    pub(super) datagram_would_block: f64,
    pub(super) longest_datagram: usize,
    next: u64,
}

/// What the poller knows of a socket, each direction on its own: whether a call is worth a try,
/// and who is to be woken when it is again.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) read: Readiness,
    pub(super) write: Readiness,
}

#[derive(Debug)]
pub(super) struct Readiness {
    ready: bool,
    waiting: Option<Waker>,
}

#[derive(Debug, Default)]
pub(super) struct Question {
    pub(super) answer: Option<Answer>,
    pub(super) waiting: Option<Waker>,
}

impl Default for Slot {
    fn default() -> Self {
        let ready = || Readiness {
            ready: true,
            waiting: None,
        };
        Self {
            read: ready(),
            write: ready(),
        }
    }
}

impl Readiness {
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.ready {
            return Poll::Ready(());
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn set(&mut self) {
        self.ready = true;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }

    /// Takes readiness back when a call says that it would block.
    pub(super) fn after<T>(&mut self, result: &Result<T, io::ErrorKind>) {
        if matches!(result, Err(io::ErrorKind::WouldBlock)) {
            self.ready = false;
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, start: Instant) -> Self {
        Self {
            network: Network::new(seed, start),
            timers: BTreeMap::new(),
            slots: BTreeMap::new(),
            ports: BTreeMap::new(),
            shared: BTreeMap::new(),
            lookups: BTreeMap::new(),
            faults: BTreeMap::new(),
            calls: BTreeMap::new(),
            datagram_would_block: 0.0,
            longest_datagram: usize::MAX,
            next: 0,
        }
    }

    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A number below `count`, which must not be 0.
    pub(super) fn draw(&mut self, count: usize) -> usize {
        let number = u64::from_le_bytes(self.network.random());
        usize::try_from(number % count as u64).unwrap_or_default()
    }

    /// When a datagram socket that says `WouldBlock` by chance has room again.
    pub(super) fn blocked_until(&mut self) -> Option<Instant> {
        if self.datagram_would_block <= 0.0 {
            return None;
        }
        let number = u32::from_le_bytes(self.network.random());
        let blocked = f64::from(number) < self.datagram_would_block * f64::from(u32::MAX);
        blocked.then(|| self.network.now() + BLOCKED)
    }

    /// Tells the next thing that the network has to tell. False if there is none.
    pub(super) fn tell_next(&mut self) -> bool {
        let ready = self.network.poll_ready();
        let any = ready.is_some();
        ready.into_iter().for_each(|ready| self.tell(ready));
        any
    }

    /// Lets time jump to the next thing that is due. False if nothing is.
    pub(super) fn advance(&mut self) -> bool {
        let Some(at) = self.next_due() else {
            return false;
        };
        self.network.advance(at);
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= at
        {
            entry.remove().wake();
        }
        true
    }

    fn next_due(&self) -> Option<Instant> {
        let timer = self.timers.first_key_value().map(|(&(at, _), _)| at);
        timer.into_iter().chain(self.network.next_event_at()).min()
    }

    /// How much virtual time the next step may take; `None` if nothing is due.
    pub(super) fn next_step_in(&self) -> Option<Duration> {
        let now = self.network.now();
        self.next_due().map(|at| at.saturating_duration_since(now))
    }

    fn tell(&mut self, ready: Ready) {
        match ready {
            Ready::Datagram(socket) => {
                if let Some(port) = self.ports.get_mut(&socket) {
                    port.receive(&mut self.network);
                }
            }
            Ready::Unreachable {
                socket,
                destination,
            } => {
                if let Some(port) = self.ports.get_mut(&socket) {
                    port.unreachable(destination);
                }
            }
            Ready::Accept(socket) | Ready::Readable(socket) => {
                if let Some(slot) = self.slots.get_mut(&socket) {
                    slot.read.set();
                }
            }
            Ready::Writable(socket) | Ready::Connected(socket) => {
                if let Some(slot) = self.slots.get_mut(&socket) {
                    slot.write.set();
                }
            }
            Ready::ConnectFailed(socket, _) => {
                if let Some(slot) = self.slots.get_mut(&socket) {
                    slot.write.set();
                }
            }
            Ready::LookedUp { lookup, answer } => {
                if let Some(question) = self.lookups.get_mut(&lookup) {
                    question.answer = Some(answer);
                    if let Some(waiting) = question.waiting.take() {
                        waiting.wake();
                    }
                }
            }
            _ => {}
        }
    }

    /// Has all who wait for something to come look once more.
    pub(super) fn wake_all(&mut self) {
        self.ports.values_mut().for_each(Port::wake);
        self.slots.values_mut().for_each(|slot| slot.read.set());
    }

    pub(super) fn close(&mut self, socket: SocketHandle) {
        self.slots.remove(&socket);
        self.network.close(socket);
    }
}
