//! The sans-I/O state machine of one UDP socket.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::message::{Head, ParseError};

use crate::config::ChannelConfig;
use crate::config::calls::{Direction, Tapped};
use crate::config::multicast::Membership;
use crate::context::ChannelContext;
use crate::endpoint::{Transmit, is_one_host, normalise};
use crate::event::Event;
use crate::ids::{Carrier, SocketId};
use crate::incoming::Arrival;
use crate::incoming::reply::Answerable;
use crate::keep;
use crate::keep::{KeptFlows, stun};
use crate::protocol::Protocol;

/// The state machine of one UDP socket, which turns datagrams into events. It does no I/O and keeps
/// no state about peers; the flows that are kept alive belong to the router.
///
/// - **Input**: [`handle_datagram`](Self::handle_datagram), which returns the event.
/// - **Output**: [`poll_transmit`](Self::poll_transmit), to be called until it returns `None`.
#[derive(Debug)]
pub struct DatagramSocket {
    context: Arc<ChannelContext>,
    kept: Arc<KeptFlows>,
    id: SocketId,
    local: SocketAddr,
    force_rport: bool,
    groups: Vec<Membership>,
    seed: [u8; 32],
    replies: VecDeque<Transmit>,
    rearmed: bool,
}

impl DatagramSocket {
    pub(crate) fn new(
        context: Arc<ChannelContext>,
        kept: Arc<KeptFlows>,
        id: SocketId,
        channel: &ChannelConfig,
        seed: [u8; 32],
    ) -> Self {
        let (local, force_rport) = (channel.local, channel.force_rport);
        Self {
            context,
            kept,
            id,
            local,
            force_rport,
            groups: channel.groups.clone(),
            seed,
            replies: VecDeque::new(),
            rearmed: false,
        }
    }

    /// The id of the socket.
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// The address that the socket is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Processes a datagram from `remote`. `local_ip` is the address it was sent to, if the
    /// operating system reports it; used only where the socket is bound to the unspecified address.
    ///
    /// One datagram carries one message (RFC 3261 §18.3); bytes after its body are ignored. A
    /// keep-alive, a response that is not ours, or data that is not SIP yields no event.
    #[must_use]
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        data: &[u8],
    ) -> Option<Event> {
        // A keep-alive: CRLFs (RFC 3261 §7.5), or the zero bytes that some devices send.
        if !data.iter().any(|b| !matches!(b, b'\r' | b'\n' | 0)) {
            self.context.counters.keepalives_in.one();
            return None;
        }
        if stun::is_stun(data) {
            return self.take_stun(now, remote, local_ip, data);
        }
        // A SIP message starts with a visible character or with white space; RTP and DTLS start
        // with other bytes.
        if data
            .first()
            .is_some_and(|b| !b.is_ascii_graphic() && !matches!(b, b'\r' | b'\n' | b' ' | b'\t'))
        {
            self.context.counters.not_sip.one();
            return None;
        }
        let source = self.source(local_ip);
        let local_ip = local_ip.filter(|_| self.local.ip().is_unspecified());
        let local_ip = local_ip.unwrap_or_else(|| self.local.ip());
        let arrival = Arrival {
            protocol: Protocol::Udp,
            channel: self.id.channel,
            carrier: Carrier::Datagram {
                socket: self.id,
                source,
            },
            local: SocketAddr::new(local_ip.to_canonical(), self.local.port()),
            remote: normalise(remote),
            force_rport: self.force_rport,
        };
        if let Some(first) = self.over_rate(now, remote) {
            self.context.counters.datagrams_limited.one();
            return first.then(|| Event::SourceLimited {
                local: arrival.local_endpoint(),
                remote: arrival.remote_endpoint(),
            });
        }
        let mut head = Head::default();
        let read = head.read(data, &self.context.limits);
        let checked = read.and_then(|()| head.check(data));
        if self.context.is_watched() {
            let seen = arrival.tapped(&self.context, now, data, checked.err());
            self.context.show(seen);
        }
        if let Err(error) = checked {
            return Some(self.malformed(now, &arrival, (remote, source), error, data));
        }
        let event = arrival.event(now, &self.context, &self.groups, &head, data);
        if self.kept.negotiate() && matches!(event, Some(Event::Response { .. })) {
            self.see_agreement(now, arrival.remote, &head, data);
        }
        event
    }

    /// Starts or adjusts keep-alives if the response's top Via agrees to them (RFC 6223 §4.3).
    #[cold]
    fn see_agreement(&mut self, now: Instant, remote: SocketAddr, head: &Head, data: &[u8]) {
        let via = head.top_via(data).ok();
        if let Some(seconds) = via.and_then(|via| keep::agreed_seconds(&via)) {
            let (key, context) = ((self.id.channel, remote), &self.context);
            self.rearmed |= self.kept.agreed(now, key, seconds, context);
        }
    }

    /// Returns true if, since the last call, a datagram may have brought the time of
    /// [`Router::poll_timeout`](crate::parts::Router::poll_timeout) forward.
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
            // The rate is checked first: that is cheaper than building the reply.
            let reply = self.may_reply(now, destination).then(|| {
                let detailed = self.context.detailed_reason;
                request.reply(&error, detailed, &self.seed, Some(data.len()))
            });
            match reply.flatten() {
                Some(bytes) => self.reply(now, arrival, (destination, source), bytes),
                None => self.context.counters.malformed_replies_suppressed.one(),
            }
        }
        arrival.malformed(&self.context, error, data)
    }

    /// Counts a datagram that was longer than the receive buffer, and was therefore discarded.
    pub fn handle_truncated(&mut self) {
        self.context.counters.truncated.one();
    }

    /// The next datagram to send. There may be more after each
    /// [`handle_datagram`](Self::handle_datagram).
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.replies.pop_front()
    }

    /// Answers a STUN binding request, within the rate limit, or passes a STUN answer to the flow
    /// that is waiting for it.
    fn take_stun(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        data: &[u8],
    ) -> Option<Event> {
        self.context.counters.keepalives_in.one();
        let Some(request) = stun::BindingRequest::read(data) else {
            let key = (self.id.channel, normalise(remote));
            return self.kept.answered(now, key, data, &self.context);
        };
        // Asked before the answer is made, which costs more than asking.
        let from = self.context.rate_request(now, remote.ip());
        if remote.port() == 0 || !self.context.rates.stun.take(from) {
            self.context.counters.stun_answers_suppressed.one();
            return None;
        }
        self.context.counters.stun_answers.one();
        self.replies.push_back(Transmit {
            destination: remote,
            source: self.source(local_ip),
            ttl: None,
            bytes: request.answer(remote).into(),
            send: None,
        });
        None
    }

    /// The source address for a reply to a datagram that was sent to `local_ip`, if it is not the
    /// bound address. For a datagram sent to a multicast group the operating system chooses.
    fn source(&self, local_ip: Option<IpAddr>) -> Option<IpAddr> {
        local_ip.filter(|ip| self.local.ip().is_unspecified() && is_one_host(*ip))
    }

    /// Returns true if the rate allows a reply to a malformed request from there. Nothing can be
    /// sent to port 0.
    fn may_reply(&self, now: Instant, destination: SocketAddr) -> bool {
        let source = self.context.rate_request(now, destination.ip());
        destination.port() != 0 && self.context.rates.malformed.take(source)
    }

    fn reply(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        (destination, source): (SocketAddr, Option<IpAddr>),
        bytes: Bytes,
    ) {
        self.context.counters.malformed_replies.one();
        if self.context.is_watched() {
            self.context.show(Tapped {
                direction: Direction::Out,
                remote: arrival.endpoint(normalise(destination)),
                ..arrival.tapped(&self.context, now, &bytes, None)
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

    /// Charges a message to the rate of its source, if there is one. Returns `None` if the source
    /// is within its rate; otherwise `Some`, with true if the excess should be reported.
    fn over_rate(&self, now: Instant, remote: SocketAddr) -> Option<bool> {
        let rate = self.context.rates.messages.as_ref()?;
        let source = self.context.rate_request(now, remote.ip());
        (!rate.take(source)).then(|| rate.refuse(source))
    }
}
