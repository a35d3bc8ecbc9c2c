//! The UDP flows that are kept alive: a bounded number of them, and only those requested.

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
use crate::context::{ChannelContext, TransportContext};
use crate::deadline::Deadline;
use crate::endpoint::{SipEndpoint, Transmit};
use crate::error::{FlowFailure, KeepStop, SendFailure};
use crate::event::Event;
use crate::ids::{ChannelId, SendId, SocketId};
use crate::keep::stun;
use crate::keep::stun::{BindingResponse, TransactionId};
use crate::protocol::Protocol;
use crate::tokens::Tokens;

/// The number of transmissions of a request (Rc of RFC 8489 §6.2.1).
const TRANSMISSIONS: u32 = 7;
/// The number of RTOs that the peer has to answer after the last one (Rm of RFC 8489 §6.2.1).
const PATIENCE: u32 = 16;

/// A UDP flow, by the channel and the peer's address.
pub(crate) type FlowKey = (ChannelId, SocketAddr);

/// The socket and source address that keep-alives are sent from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepSource {
    pub(crate) socket: SocketId,
    pub(crate) source: Option<IpAddr>,
}

/// An action that is due.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum Due {
    Send(SocketId, Transmit),
    Report(Event),
}

/// The table of UDP flows that are kept alive: the router adds flows and drives their timers, the
/// sockets deliver the answers.
#[derive(Debug)]
pub(crate) struct KeptFlows {
    flows: Mutex<FlowTable>,
    /// The number of flows for which keep-alives are negotiated: without any, responses need not be
    /// examined.
    negotiated: AtomicUsize,
}

#[derive(Debug)]
struct FlowTable {
    flows: BTreeMap<FlowKey, KeptFlow>,
    due: BTreeSet<(Instant, FlowKey)>,
    /// The flows in the order of their last request for keep-alives.
    asked: BTreeMap<u64, FlowKey>,
    sends: BTreeMap<SendId, FlowKey>,
    next: u64,
    tokens: Tokens,
}

#[derive(Debug)]
struct KeptFlow {
    from: KeepSource,
    keeping: KeepState,
    asked: u64,
    /// The message that requested it, if no other has.
    only: Option<SendId>,
    due: Option<Instant>,
    transaction: Option<Transaction>,
    send: Option<SendId>,
    /// Our address as the peer sees it, once it has answered.
    mapped: Option<SocketAddr>,
}

/// A binding request that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    id: TransactionId,
    began: Instant,
    sent: u32,
    /// The time of the next keep-alive.
    next: Instant,
}

impl KeptFlows {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            flows: Mutex::new(FlowTable {
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

    /// Starts or renews keep-alives on a flow, from its next period on, for a message or by
    /// command. Returns the event for the flow that made room for it.
    pub(crate) fn ask(
        &self,
        now: Instant,
        remote: SocketAddr,
        from: KeepSource,
        keep: Keep,
        by: Option<SendId>,
        context: &TransportContext,
    ) -> Option<Event> {
        let key = (from.socket.channel, remote);
        let mut flows = self.lock();
        let asked = flows.next;
        flows.next = flows.next.wrapping_add(1);
        if let Some(flow) = flows.flows.get_mut(&key)
            && flow.keeping.same_as(keep)
        {
            let before = core::mem::replace(&mut flow.asked, asked);
            flow.from = from;
            flow.only = None;
            flows.asked.remove(&before);
            flows.asked.insert(asked, key);
            return None;
        }
        self.drop_flow(&mut flows, key);
        let crowded = flows.flows.len() >= context.config.max_kept_flows;
        let oldest = flows.asked.first_key_value().map(|(_, key)| *key);
        let oldest = oldest.filter(|_| crowded);
        if let Some(oldest) = oldest {
            self.drop_flow(&mut flows, oldest);
        }
        let keeping = KeepState::new(keep);
        if keeping.is_negotiated() {
            self.negotiated.fetch_add(1, Relaxed);
        }
        let period = keeping.period(&context.config, Protocol::Udp, flows.tokens.array());
        let due = keeping.has_begun().then(|| now + period);
        flows.flows.insert(
            key,
            KeptFlow {
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

    /// Stops keep-alives on a flow if only this message requested them.
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

    /// Stops keep-alives on a flow. Returns false if there were none.
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

    /// The next action that is due. A keep-alive gets a send id of its own.
    pub(crate) fn poll<'a>(
        &self,
        now: Instant,
        context: impl Fn(ChannelId) -> &'a Arc<ChannelContext>,
    ) -> Option<Due> {
        let mut guard = self.lock();
        let flows = &mut *guard;
        let &(at, key) = flows.due.first()?;
        let flow = flows.flows.get_mut(&key).filter(|_| at <= now)?;
        let context = context(key.0);
        let rto = context.config.stun_rto;
        let (due, bytes) = match &mut flow.transaction {
            Some(transaction) if transaction.sent >= TRANSMISSIONS => {
                // A peer that has answered once supports STUN; one that never has may not.
                let failed = flow.mapped.is_some() || flow.keeping.is_required();
                self.drop_flow(flows, key);
                context.counters.pongs_missed.one();
                return Some(Due::Report(if failed {
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
                let next = now + flow.keeping.period(&context.config, Protocol::Udp, random);
                let send = context.next_send();
                let old = flow.send.replace(send);
                old.map(|old| flows.sends.remove(&old));
                flows.sends.insert(send, key);
                context.counters.pings_out.one();
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

    /// Processes a STUN message that is not a request: it counts only as the answer to a request on
    /// this flow.
    pub(crate) fn answered(
        &self,
        now: Instant,
        key: FlowKey,
        data: &[u8],
        context: &ChannelContext,
    ) -> Option<Event> {
        let mut flows = self.lock();
        let flow = flows.flows.get_mut(&key)?;
        let transaction = flow.transaction?;
        let answer = stun::read_answer(data, &transaction.id)?;
        context.counters.pongs_in.one();
        let failure = match (answer, flow.mapped) {
            (BindingResponse::Error(code), _) => FlowFailure::Refused(code),
            (BindingResponse::Mapped(to), Some(from)) if from != to => {
                FlowFailure::AddressChanged { from, to }
            }
            (BindingResponse::Mapped(mapped), before) => {
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

    /// Returns true if responses have to be examined for an agreement to keep-alives.
    pub(crate) fn negotiate(&self) -> bool {
        self.negotiated.load(Relaxed) > 0
    }

    /// Records the peer's agreement (RFC 6223 §4.3). Returns true if something may be due sooner.
    pub(crate) fn agreed(
        &self,
        now: Instant,
        key: FlowKey,
        seconds: u32,
        context: &TransportContext,
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
        let at = now + flow.keeping.period(&context.config, Protocol::Udp, random);
        match &mut flow.transaction {
            Some(transaction) => transaction.next = transaction.next.min(at),
            None => flows.set_due(key, Some(at)),
        }
        true
    }

    /// Processes a failed datagram. Returns `None` if it was not a keep-alive; otherwise `Some`,
    /// with the event to report, if any.
    pub(crate) fn handle_failure(&self, send: SendId, cause: SendFailure) -> Option<Option<Event>> {
        let mut flows = self.lock();
        let key = *flows.sends.get(&send)?;
        // RFC 8489 §6.2.1: a hard error ends the transaction. After other errors the request is
        // retransmitted anyway.
        let SendFailure::Io(kind @ io::ErrorKind::ConnectionRefused) = cause else {
            return Some(None);
        };
        self.drop_flow(&mut flows, key);
        Some(Some(dead(key, FlowFailure::Io(kind))))
    }

    fn drop_flow(&self, flows: &mut FlowTable, key: FlowKey) -> Option<()> {
        flows.set_due(key, None);
        let flow = flows.flows.remove(&key)?;
        flows.asked.remove(&flow.asked);
        flow.send.map(|send| flows.sends.remove(&send));
        if flow.keeping.is_negotiated() {
            self.negotiated.fetch_sub(1, Relaxed);
        }
        Some(())
    }

    fn lock(&self) -> MutexGuard<'_, FlowTable> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FlowTable {
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
    /// The time of the next transmission, or of the failure: at 0, 1, 3, 7, 15, 31 and 63 RTO, and
    /// at 79.
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
