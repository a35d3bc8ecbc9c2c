//! The accounts of what transports reported, and what must hold of them whatever happened.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::SocketAddr;

use sip_transport_proto::error::SendError;
use sip_transport_proto::parts::Held;
use sip_transport_proto::sim::{HostId, Machine, World};
use sip_transport_proto::sip_core::{Message, Name, StatusCode};
use sip_transport_proto::{ConnectionId, Event, SendId, Sent, SipEndpoint, Submitted};

/// One direction of a flow: from, to.
pub type Way = (SocketAddr, SocketAddr);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Waiting,
    Sent,
    Failed,
}

#[derive(Debug, Default)]
struct Life {
    /// From here to the peer, once it opened.
    way: Option<Way>,
    closed: bool,
}

/// The sends and connections of some hosts: each begins once and ends once.
#[derive(Debug)]
pub struct Ledger<H, S = SendId> {
    sends: BTreeMap<(H, S), Fate>,
    lost: BTreeSet<(H, S)>,
    connections: BTreeMap<(H, ConnectionId), Life>,
}

impl<H, S> Default for Ledger<H, S> {
    fn default() -> Self {
        Self {
            sends: BTreeMap::new(),
            lost: BTreeSet::new(),
            connections: BTreeMap::new(),
        }
    }
}

impl<H: Copy + Debug + Ord, S: Clone + Debug + Ord> Ledger<H, S> {
    /// A send begins; one that failed may be tried again under its name.
    pub fn begun(&mut self, host: H, send: S) {
        let old = self.sends.insert((host, send.clone()), Fate::Waiting);
        let new = matches!(old, None | Some(Fate::Failed));
        assert!(new, "{host:?}: {send:?} begins twice");
    }

    /// A send that waited ends, and the message was sent or not.
    pub fn ended(&mut self, host: H, send: S, sent: bool) {
        let fate = if sent { Fate::Sent } else { Fate::Failed };
        let old = self.sends.insert((host, send.clone()), fate);
        assert_eq!(old, Some(Fate::Waiting), "{host:?}: {send:?} ends twice");
    }

    /// Enters a connection that opened or closed; other events are none of its business.
    pub fn connection(&mut self, host: H, event: &Event) {
        match event {
            Event::ConnectionOpened { local, remote, .. } => {
                let life = self.life(host, local.connection.unwrap());
                let old = life.way.replace((local.addr, remote.addr));
                assert_eq!(old, None, "{host:?}: {local} opened twice");
                assert!(!life.closed, "{host:?}: {local} closed, then opened");
            }
            Event::ConnectionClosed { connection, .. } => {
                let life = self.life(host, *connection);
                let old = std::mem::replace(&mut life.closed, true);
                assert!(!old, "{host:?}: {connection:?} closed twice");
            }
            _ => {}
        }
    }

    fn life(&mut self, host: H, id: ConnectionId) -> &mut Life {
        self.connections.entry((host, id)).or_default()
    }

    /// Returns true if the connection was ever reported as open.
    pub fn has_opened(&self, host: H, id: ConnectionId) -> bool {
        let life = self.connections.get(&(host, id));
        life.is_some_and(|life| life.way.is_some())
    }

    /// The directions of the connections that opened and closed.
    pub fn closed_ways(&self) -> impl Iterator<Item = Way> {
        let closed = self.connections.values().filter(|life| life.closed);
        let ways = closed.filter_map(|life| life.way);
        ways.flat_map(|(local, remote)| [(local, remote), (remote, local)])
    }

    /// How many sends have begun.
    pub fn sends(&self) -> usize {
        self.sends.len()
    }

    /// Returns true if the message was sent.
    pub fn was_sent(&self, host: H, send: S) -> bool {
        self.sends.get(&(host, send)) == Some(&Fate::Sent)
    }

    /// The sends that have not ended.
    pub fn waiting(&self) -> impl Iterator<Item = &(H, S)> {
        let waiting = self.sends.iter().filter(|(_, f)| **f == Fate::Waiting);
        waiting.map(|(send, _)| send)
    }

    /// The sends that were reported as sent and then as lost.
    pub fn lost(&self) -> &BTreeSet<(H, S)> {
        &self.lost
    }

    /// Forgets a host that crashed: it reports no end of anything.
    pub fn forget(&mut self, host: H) {
        self.sends.retain(|(of, _), _| *of != host);
        self.lost.retain(|(of, _)| *of != host);
        self.connections.retain(|(of, _), _| *of != host);
    }

    /// Asserts that every send has ended.
    pub fn check_ended(&self) {
        let left: Vec<_> = self.waiting().collect();
        assert!(left.is_empty(), "never ended: {left:?}");
    }

    /// Asserts that every connection of a host that opened has closed.
    pub fn check_closed(&self, host: H) {
        let open = |life: &Life| life.way.is_some() && !life.closed;
        let mut all = self.connections.iter();
        let left = all.find(|((of, _), life)| *of == host && open(life));
        assert!(left.is_none(), "not reported as closed: {left:?}");
    }
}

impl<H: Copy + Debug + Ord> Ledger<H> {
    /// Enters what a transport says to a message that was given to it.
    pub fn submitted(&mut self, host: H, result: &Result<Submitted, SendError>) {
        let (send, fate) = match result {
            Ok(Submitted::Waiting(send)) => (*send, Fate::Waiting),
            Ok(Submitted::Sent(sent)) => (sent.id(), Fate::Sent),
            Err(error) => (error.send(), Fate::Failed),
        };
        let old = self.sends.insert((host, send), fate);
        assert_eq!(old, None, "{host:?}: {send} begins twice");
    }

    /// Enters an event of a send or a connection.
    pub fn event(&mut self, host: H, event: &Event) {
        match event {
            Event::SendCompleted { send, result } => {
                let named = result.as_ref().map_or_else(SendError::send, |s| s.id());
                assert_eq!(named, *send);
                self.ended(host, *send, result.is_ok());
            }
            Event::SendFailed { send, .. } => {
                let sent = self.was_sent(host, *send);
                assert!(sent, "{host:?}: {send} lost, and was not sent");
                let new = self.lost.insert((host, *send));
                assert!(new, "{host:?}: {send} lost twice");
            }
            event => self.connection(host, event),
        }
    }

    /// A message is sent once more, and may be lost once more.
    pub fn resent(&mut self, host: H, send: SendId) {
        self.lost.remove(&(host, send));
    }
}

/// What tells a message from all others: its status, 0 for a request, and its Call-ID.
pub fn key(message: &Message) -> String {
    let call = String::from_utf8_lossy(message.raw(Name::CallId).unwrap()).into_owned();
    format!("{:03} {call}", message.status().map_or(0, StatusCode::code))
}

#[derive(Debug, Default)]
struct Flow {
    written: Vec<String>,
    read: Vec<String>,
}

/// The messages that were sent and that arrived, by [key]; those over connections in order.
#[derive(Debug, Default)]
pub struct Traffic {
    flows: BTreeMap<Way, Flow>,
    /// How often each was sent, and how often it arrived.
    datagrams: BTreeMap<String, (usize, usize)>,
}

impl Traffic {
    /// A message was sent.
    pub fn sent(&mut self, sent: &Sent) {
        let (local, key) = (sent.local(), key(&sent.message().unwrap()));
        if local.protocol.is_stream() {
            let flow = self.flows.entry((local.addr, sent.remote().addr));
            flow.or_default().written.push(key);
        } else {
            self.datagrams.entry(key).or_default().0 += 1;
        }
    }

    /// A message arrived; over a connection it does so once.
    pub fn arrived(&mut self, local: SipEndpoint, remote: SipEndpoint, message: &Message) {
        let key = key(message);
        if local.protocol.is_stream() {
            let flow = self.flows.entry((remote.addr, local.addr)).or_default();
            let old = flow.read.contains(&key);
            assert!(!old, "{key} arrived twice: {remote} -> {local}");
            flow.read.push(key);
        } else {
            self.datagrams.entry(key).or_default().1 += 1;
        }
    }

    /// Returns true if the direction of a connection carried anything.
    pub fn carried(&self, way: Way) -> bool {
        self.flows.contains_key(&way)
    }

    /// A message over such a direction that has not arrived.
    pub fn missing(&self, holds: impl Fn(Way) -> bool) -> Option<(Way, &str)> {
        let mut flows = self.flows.iter().filter(|(way, _)| holds(**way));
        flows.find_map(|(way, flow)| {
            let mut written = flow.written.iter();
            let key = written.find(|key| !flow.read.contains(key))?;
            Some((*way, key.as_str()))
        })
    }

    /// A datagram that arrived less often than it was sent.
    pub fn missing_datagram(&self) -> Option<&str> {
        let mut all = self.datagrams.iter();
        let missing = all.find(|(_, (sent, arrived))| arrived < sent);
        missing.map(|(key, _)| key.as_str())
    }

    /// Asserts that what arrived over each direction of a connection is the beginning of what was
    /// written to it.
    pub fn check_order(&self) {
        for (way, Flow { written, read }) in &self.flows {
            assert!(
                written.starts_with(read),
                "{way:?}: {read:?} of {written:?}"
            );
        }
    }

    /// Asserts that each datagram was sent, and arrived at most so many times as often.
    pub fn check_datagrams(&self, copies: usize) {
        for (key, (sent, arrived)) in &self.datagrams {
            assert!(*sent > 0, "{key} arrived from nowhere");
            assert!(*arrived <= copies * sent, "{key}: {arrived} of {sent}");
        }
    }
}

/// Asserts that a host that was shut down holds nothing and counts nothing as still there, and that
/// no socket is left once its channels are removed.
pub fn check_empty<M: Machine>(world: &mut World<M>, host: HostId) {
    let router = world.machine(host).router();
    let mut held = router.held();
    held.sent_bys = 0;
    assert_eq!(held, Held::default(), "{host:?}");
    let left: Vec<_> = router.stats().gauges().filter(|(_, n)| *n > 0).collect();
    assert_eq!(left, [], "{host:?}: counted as still there");
    // Those made on demand too.
    let channels: Vec<_> = router.channels().map(|(id, _)| id).collect();
    for id in channels {
        assert!(world.remove_channel(host, id));
    }
    assert_eq!(world.network().open_sockets(host), 0, "{host:?}");
}
