use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::message::{Head, ParseError};

use crate::endpoint::normalise;
use crate::multicast::is_one_host;
use crate::receive::Arrival;
use crate::reply::Answerable;
use crate::route::Way;
use crate::shared::Scope;
use crate::tap::{Direction, Tapped};
use crate::{ChannelConfig, Event, Membership, Protocol, SendId, SocketId};
use crate::{keep, stun};

/// One UDP socket: turns datagrams into events. It keeps nothing about any peer; the flows that are
/// kept alive are the router's.
///
/// - **Input**: [`handle_datagram`](Self::handle_datagram), which answers with the event.
/// - **Output**: after it, [`poll_transmit`](Self::poll_transmit) until `None`.
#[derive(Debug)]
pub struct DatagramSocket {
    shared: Arc<Scope>,
    id: SocketId,
    local: SocketAddr,
    force_rport: bool,
    groups: Vec<Membership>,
    seed: [u8; 32],
    replies: VecDeque<Transmit>,
    rearmed: bool,
}

/// A datagram to send.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transmit {
    /// Where to.
    pub destination: SocketAddr,
    /// Where from, if the socket has several addresses.
    pub source: Option<IpAddr>,
    /// The TTL to send it with, where it goes to a group.
    pub ttl: Option<u8>,
    /// What.
    pub bytes: Bytes,
    /// The send it belongs to, if to one.
    pub send: Option<SendId>,
}

impl DatagramSocket {
    pub(crate) fn new(
        shared: Arc<Scope>,
        id: SocketId,
        channel: &ChannelConfig,
        seed: [u8; 32],
    ) -> Self {
        let (local, force_rport) = (channel.local, channel.force_rport);
        Self {
            shared,
            id,
            local,
            force_rport,
            groups: channel.groups.clone(),
            seed,
            replies: VecDeque::new(),
            rearmed: false,
        }
    }

    /// Which socket this is.
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// The address that it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Takes a datagram from `remote`; `local_ip` is the address it was sent to, where the socket
    /// is bound to all and the system tells.
    ///
    /// One datagram is one message (RFC 3261 §18.3); what stands behind its body is ignored.
    /// A keep-alive, a response that is not ours, and what is no SIP at all give no event.
    #[must_use]
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        data: &[u8],
    ) -> Option<Event> {
        // A keep-alive: CRLFs, or the zero bytes that some devices send (RFC 3261 §7.5).
        if !data.iter().any(|b| !matches!(b, b'\r' | b'\n' | 0)) {
            self.shared.counters.keepalives_in.one();
            return None;
        }
        if stun::is_stun(data) {
            return self.take_stun(now, remote, local_ip, data);
        }
        // No SIP start line begins so, nor what may stand before one; RTP and DTLS do.
        if data
            .first()
            .is_some_and(|b| !b.is_ascii_graphic() && !matches!(b, b'\r' | b'\n' | b' ' | b'\t'))
        {
            self.shared.counters.not_sip.one();
            return None;
        }
        let source = self.source(local_ip);
        let local_ip = local_ip.filter(|_| self.local.ip().is_unspecified());
        let local_ip = local_ip.unwrap_or_else(|| self.local.ip());
        let arrival = Arrival {
            protocol: Protocol::Udp,
            channel: self.id.channel,
            way: Way::Datagram {
                socket: self.id,
                source,
            },
            local: SocketAddr::new(local_ip.to_canonical(), self.local.port()),
            remote: normalise(remote),
            force_rport: self.force_rport,
        };
        if let Some(first) = self.over_rate(now, remote) {
            self.shared.counters.datagrams_limited.one();
            return first.then(|| Event::SourceLimited {
                local: arrival.local(),
                remote: arrival.remote(),
            });
        }
        let mut head = Head::default();
        let read = head.read(data, &self.shared.limits);
        let checked = read.and_then(|()| head.check(data));
        if self.shared.is_watched() {
            self.shared.show(arrival.tapped(now, data, checked.err()));
        }
        if let Err(error) = checked {
            return Some(self.malformed(now, &arrival, (remote, source), error, data));
        }
        let event = arrival.event(now, &self.shared, &self.groups, &head, data);
        if self.shared.kept.negotiate() && matches!(event, Some(Event::Response { .. })) {
            self.see_agreement(now, arrival.remote, &head, data);
        }
        event
    }

    /// A response may agree to keep-alives (RFC 6223 §4.3).
    #[cold]
    fn see_agreement(&mut self, now: Instant, remote: SocketAddr, head: &Head, data: &[u8]) {
        let via = head.top_via(data).ok();
        if let Some(seconds) = via.and_then(|via| keep::agreed_seconds(&via)) {
            let (key, shared) = ((self.id.channel, remote), &self.shared);
            self.rearmed |= shared.kept.agreed(now, key, seconds, shared);
        }
    }

    /// Whether, since the last call, [`Router::poll_timeout`](crate::Router::poll_timeout) may have
    /// come nearer because of what came in here.
    #[must_use]
    pub fn take_rearmed(&mut self) -> bool {
        core::mem::take(&mut self.rearmed)
    }

    #[cold]
    fn malformed(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        (remote, source): (SocketAddr, Option<IpAddr>),
        error: ParseError,
        data: &[u8],
    ) -> Event {
        if let Some(request) = Answerable::read(data, remote) {
            let mut destination = remote;
            destination.set_port(request.port);
            // Asked before the reply is made, which costs more than to ask.
            let reply = self.may_reply(now, destination).then(|| {
                let detailed = self.shared.detailed_reason;
                request.reply(&error, detailed, &self.seed, Some(data.len()))
            });
            match reply.flatten() {
                Some(bytes) => self.reply(now, arrival, (destination, source), bytes),
                None => self.shared.counters.malformed_replies_suppressed.one(),
            }
        }
        arrival.malformed(&self.shared, error, data)
    }

    /// A datagram came that was longer than the buffer for it: counts it. It is of no use.
    pub fn handle_truncated(&mut self) {
        self.shared.counters.truncated.one();
    }

    /// The next datagram to send. May change after [`handle_datagram`](Self::handle_datagram).
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.replies.pop_front()
    }

    /// Each binding request is answered once, to its source, within a rate; an answer goes to the
    /// flow that waits for it, if one does.
    fn take_stun(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        data: &[u8],
    ) -> Option<Event> {
        self.shared.counters.keepalives_in.one();
        let Some(request) = stun::Request::read(data) else {
            let key = (self.id.channel, normalise(remote));
            return self.shared.kept.answered(now, key, data, &self.shared);
        };
        // Asked before the answer is made, which costs more than to ask.
        let from = self.shared.source(now, remote.ip());
        if remote.port() == 0 || !self.shared.rates.stun.take(from) {
            self.shared.counters.stun_answers_suppressed.one();
            return None;
        }
        self.shared.counters.stun_answers.one();
        self.replies.push_back(Transmit {
            destination: remote,
            source: self.source(local_ip),
            ttl: None,
            bytes: request.answer(remote).into(),
            send: None,
        });
        None
    }

    /// Where a reply to a datagram leaves from that was sent to an address, if not from the bound
    /// one: what came to a group leaves that to the system.
    fn source(&self, local_ip: Option<IpAddr>) -> Option<IpAddr> {
        local_ip.filter(|ip| self.local.ip().is_unspecified() && is_one_host(*ip))
    }

    /// Whether a malformed request from there gets a reply. Nothing can be sent to port 0.
    fn may_reply(&self, now: Instant, destination: SocketAddr) -> bool {
        let source = self.shared.source(now, destination.ip());
        destination.port() != 0 && self.shared.rates.malformed.take(source)
    }

    fn reply(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        (destination, source): (SocketAddr, Option<IpAddr>),
        bytes: Bytes,
    ) {
        self.shared.counters.malformed_replies.one();
        if self.shared.is_watched() {
            self.shared.show(Tapped {
                direction: Direction::Out,
                remote: arrival.endpoint(normalise(destination)),
                ..arrival.tapped(now, &bytes, None)
            });
        }
        self.replies.push_back(Transmit {
            destination,
            source,
            ttl: None,
            bytes,
            send: None,
        });
    }

    /// Counts a message against the rate of its source, if there is one. Outside: the source is over
    /// it; inside: that is worth telling.
    fn over_rate(&self, now: Instant, remote: SocketAddr) -> Option<bool> {
        let rate = self.shared.rates.messages.as_ref()?;
        let source = self.shared.source(now, remote.ip());
        (!rate.take(source)).then(|| rate.refuse(source))
    }
}
