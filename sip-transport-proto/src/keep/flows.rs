//! The UDP flows that are kept: a bounded number of them, and only those asked for.

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::KeepState;
use crate::config::keep::{Keep, KeepKind};
use crate::deadline::Deadline;
use crate::endpoint::{SipEndpoint, Transmit};
use crate::error::{FlowFailure, KeepStop, SendFailure};
use crate::event::Event;
use crate::ids::{ChannelId, SendId, SocketId};
use crate::keep::stun;
use crate::keep::stun::{Answer, TransactionId};
use crate::protocol::Protocol;
use crate::shared::{ChannelContext, TransportContext};
use crate::tokens::Tokens;

/// How often a request is sent, and how many RTOs after the last the peer has to answer
/// (RFC 8489 §6.2.1: Rc and Rm).
const TRANSMISSIONS: u32 = 7;
const PATIENCE: u32 = 16;

/// A UDP flow, by the channel and the peer's address.
pub(crate) type FlowKey = (ChannelId, SocketAddr);

/// Where keep-alives leave from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepSource {
    pub(crate) socket: SocketId,
    pub(crate) source: Option<IpAddr>,
}

/// What is to be done now.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum Due {
    Send(SocketId, Transmit),
    Tell(Event),
}

/// The table. The router asks and times, the sockets bring the answers.
#[derive(Debug)]
pub(crate) struct KeptFlows {
    flows: Mutex<Flows>,
    /// How many wait for the peer to agree: without any, no response need be looked at.
    negotiated: AtomicUsize,
}

#[derive(Debug)]
struct Flows {
    flows: BTreeMap<FlowKey, Flow>,
    due: BTreeSet<(Instant, FlowKey)>,
    /// By when they were asked for last.
    asked: BTreeMap<u64, FlowKey>,
    sends: BTreeMap<SendId, FlowKey>,
    next: u64,
    tokens: Tokens,
}

#[derive(Debug)]
struct Flow {
    from: KeepSource,
    keeping: KeepState,
    asked: u64,
    /// The message that asked for it, if nobody else has.
    only: Option<SendId>,
    due: Option<Instant>,
    transaction: Option<Transaction>,
    send: Option<SendId>,
    /// Where the peer sees us, once it has answered.
    mapped: Option<SocketAddr>,
}

/// A binding request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    id: TransactionId,
    began: Instant,
    sent: u32,
    /// When the keep-alive after this one is due.
    next: Instant,
}

impl KeptFlows {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            flows: Mutex::new(Flows {
                flows: BTreeMap::new(),
                due: BTreeSet::new(),
                asked: BTreeMap::new(),
                sends: BTreeMap::new(),
                next: 0,
                tokens: Tokens::new(seed),
            }),
            negotiated: AtomicUsize::new(0),
        }
    }

    /// Keeps a flow, from its next period on, for a message or by command. What makes room for it
    /// comes back.
    pub(crate) fn ask(
        &self,
        now: Instant,
        remote: SocketAddr,
        from: KeepSource,
        keep: Keep,
        by: Option<SendId>,
        shared: &TransportContext,
    ) -> Option<Event> {
        let key = (from.socket.channel, remote);
        let mut flows = self.lock();
        let asked = flows.next;
        flows.next = flows.next.wrapping_add(1);
        if let Some(flow) = flows.flows.get_mut(&key)
            && flow.keeping.is(keep)
        {
            let before = core::mem::replace(&mut flow.asked, asked);
            flow.from = from;
            flow.only = None;
            flows.asked.remove(&before);
            flows.asked.insert(asked, key);
            return None;
        }
        self.drop_flow(&mut flows, key);
        let crowded = flows.flows.len() >= shared.config.max_kept_flows;
        let oldest = flows.asked.first_key_value().map(|(_, key)| *key);
        let oldest = oldest.filter(|_| crowded);
        if let Some(oldest) = oldest {
            self.drop_flow(&mut flows, oldest);
        }
        let keeping = KeepState::new(keep);
        if keeping.is_negotiated() {
            self.negotiated.fetch_add(1, Relaxed);
        }
        let period = keeping.period(&shared.config, Protocol::Udp, flows.tokens.array());
        let due = keeping.has_begun().then(|| now + period);
        flows.flows.insert(
            key,
            Flow {
                from,
                keeping,
                asked,
                only: by,
                due: None,
                transaction: None,
                send: None,
                mapped: None,
            },
        );
        flows.asked.insert(asked, key);
        flows.set_due(key, due);
        drop(flows);
        oldest.map(|key| stopped(key, KeepStop::Crowded))
    }

    /// Keeps a flow no more that only this message asked for.
    pub(crate) fn take_back(&self, key: FlowKey, send: SendId) {
        let mut flows = self.lock();
        if flows
            .flows
            .get(&key)
            .is_some_and(|flow| flow.only == Some(send))
        {
            self.drop_flow(&mut flows, key);
        }
    }

    /// Keeps a flow no more. False if it was not.
    pub(crate) fn forget(&self, key: FlowKey) -> bool {
        self.drop_flow(&mut self.lock(), key).is_some()
    }

    pub(crate) fn forget_if(&self, gone: impl Fn(ChannelId) -> bool) {
        let mut flows = self.lock();
        let keys: Vec<FlowKey> = flows.flows.keys().copied().collect();
        for key in keys.into_iter().filter(|(channel, _)| gone(*channel)) {
            self.drop_flow(&mut flows, key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().flows.len()
    }

    pub(crate) fn deadline(&self) -> Option<(Instant, Deadline)> {
        let flows = self.lock();
        let &(at, key) = flows.due.first()?;
        let under_way = flows.flows.get(&key)?.transaction.is_some();
        let what = if under_way {
            Deadline::Pong
        } else {
            Deadline::Ping
        };
        Some((at, what))
    }

    /// One thing that is due by now. A keep-alive takes the next id of a send.
    pub(crate) fn poll<'a>(
        &self,
        now: Instant,
        scope: impl Fn(ChannelId) -> &'a Arc<ChannelContext>,
    ) -> Option<Due> {
        let mut guard = self.lock();
        let flows = &mut *guard;
        let &(at, key) = flows.due.first()?;
        let flow = flows.flows.get_mut(&key).filter(|_| at <= now)?;
        let shared = scope(key.0);
        let rto = shared.config.stun_rto;
        let (due, bytes) = match &mut flow.transaction {
            Some(transaction) if transaction.sent >= TRANSMISSIONS => {
                // Who has answered once knows STUN; who never has may not.
                let failed = flow.mapped.is_some() || flow.keeping.is_required();
                self.drop_flow(flows, key);
                shared.counters.pongs_missed.one();
                return Some(Due::Tell(if failed {
                    dead(key, FlowFailure::NoAnswer)
                } else {
                    stopped(key, KeepStop::NoAnswer)
                }));
            }
            Some(transaction) => {
                transaction.sent = transaction.sent.saturating_add(1);
                let bytes = Bytes::copy_from_slice(&stun::request(&transaction.id));
                (transaction.due(rto), bytes)
            }
            None => {
                let random = flows.tokens.array();
                let next = now + flow.keeping.period(&shared.config, Protocol::Udp, random);
                let send = shared.next_send();
                let old = flow.send.replace(send);
                old.map(|old| flows.sends.remove(&old));
                flows.sends.insert(send, key);
                shared.counters.pings_out.one();
                if flow.keeping.kind(Protocol::Udp) == KeepKind::Crlf {
                    (next, Bytes::from_static(b"\r\n\r\n"))
                } else {
                    let transaction = Transaction {
                        id: flows.tokens.array(),
                        began: now,
                        sent: 1,
                        next,
                    };
                    flow.transaction = Some(transaction);
                    let bytes = Bytes::copy_from_slice(&stun::request(&transaction.id));
                    (transaction.due(rto), bytes)
                }
            }
        };
        let KeepSource { socket, source } = flow.from;
        let transmit = Transmit {
            ttl: None,
            destination: key.1,
            source,
            bytes,
            send: flow.send,
        };
        flows.set_due(key, Some(due));
        Some(Due::Send(socket, transmit))
    }

    /// A STUN message that is no request came in: perhaps an answer. Nobody else's is of interest.
    pub(crate) fn answered(
        &self,
        now: Instant,
        key: FlowKey,
        data: &[u8],
        shared: &ChannelContext,
    ) -> Option<Event> {
        let mut flows = self.lock();
        let flow = flows.flows.get_mut(&key)?;
        let transaction = flow.transaction?;
        let answer = stun::read_answer(data, &transaction.id)?;
        shared.counters.pongs_in.one();
        let failure = match (answer, flow.mapped) {
            (Answer::Error(code), _) => FlowFailure::Refused(code),
            (Answer::Mapped(to), Some(from)) if from != to => {
                FlowFailure::AddressChanged { from, to }
            }
            (Answer::Mapped(mapped), before) => {
                flow.transaction = None;
                flow.mapped = Some(mapped);
                flows.set_due(key, Some(transaction.next.max(now)));
                return before.is_none().then(|| Event::MappedAddress {
                    remote: endpoint(key),
                    mapped,
                });
            }
        };
        self.drop_flow(&mut flows, key);
        Some(dead(key, failure))
    }

    /// Whether responses have to be looked at.
    pub(crate) fn negotiate(&self) -> bool {
        self.negotiated.load(Relaxed) > 0
    }

    /// The peer agrees (RFC 6223 §4.3). Says whether something is due sooner now.
    pub(crate) fn agreed(
        &self,
        now: Instant,
        key: FlowKey,
        seconds: u32,
        shared: &TransportContext,
    ) -> bool {
        let mut guard = self.lock();
        let flows = &mut *guard;
        let Some(flow) = flows.flows.get_mut(&key) else {
            return false;
        };
        if !flow.keeping.agree(seconds) {
            return false;
        }
        let random = flows.tokens.array();
        let at = now + flow.keeping.period(&shared.config, Protocol::Udp, random);
        match &mut flow.transaction {
            Some(transaction) => transaction.next = transaction.next.min(at),
            None => flows.set_due(key, Some(at)),
        }
        true
    }

    /// A datagram was not delivered. `None` if it was no keep-alive; what to tell if it was.
    pub(crate) fn failed(&self, send: SendId, cause: SendFailure) -> Option<Option<Event>> {
        let mut flows = self.lock();
        let key = *flows.sends.get(&send)?;
        // RFC 8489 §6.2.1: a hard error ends it. After others it is sent again anyway.
        let SendFailure::Io(kind @ io::ErrorKind::ConnectionRefused) = cause else {
            return Some(None);
        };
        self.drop_flow(&mut flows, key);
        Some(Some(dead(key, FlowFailure::Io(kind))))
    }

    fn drop_flow(&self, flows: &mut Flows, key: FlowKey) -> Option<()> {
        flows.set_due(key, None);
        let flow = flows.flows.remove(&key)?;
        flows.asked.remove(&flow.asked);
        flow.send.map(|send| flows.sends.remove(&send));
        if flow.keeping.is_negotiated() {
            self.negotiated.fetch_sub(1, Relaxed);
        }
        Some(())
    }

    fn lock(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flows {
    fn set_due(&mut self, key: FlowKey, at: Option<Instant>) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        if let Some(before) = core::mem::replace(&mut flow.due, at) {
            self.due.remove(&(before, key));
        }
        if let Some(at) = at {
            self.due.insert((at, key));
        }
    }
}

impl Transaction {
    /// When it is sent again, or is over: at 0, 1, 3, 7, 15, 31 and 63 RTO, and at 79.
    fn due(&self, rto: Duration) -> Instant {
        let after = |sent: u32| (1_u32 << sent.min(TRANSMISSIONS)).saturating_sub(1);
        let rtos = if self.sent < TRANSMISSIONS {
            after(self.sent)
        } else {
            after(TRANSMISSIONS.saturating_sub(1)).saturating_add(PATIENCE)
        };
        self.began + rto.saturating_mul(rtos)
    }
}

fn endpoint((channel, addr): FlowKey) -> SipEndpoint {
    SipEndpoint {
        protocol: Protocol::Udp,
        addr,
        channel: Some(channel),
        connection: None,
    }
}

fn dead(key: FlowKey, cause: FlowFailure) -> Event {
    Event::FlowDead {
        remote: endpoint(key),
        cause,
    }
}

fn stopped(key: FlowKey, cause: KeepStop) -> Event {
    Event::KeepStopped {
        remote: endpoint(key),
        cause,
    }
}
