//! The reading of a connection's input, piece by piece.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::message::{Head, ParseError};

use super::event::CallKind;
use super::layers::{Inbound, LayerFault};
use super::notice::NoticeKind;
use super::{Connection, ConnectionEvent, State, keeping};
use crate::context::ChannelContext;
use crate::context::receiving::{Holder, UnfinishedMessage};
use crate::context::tap::TapCall;
use crate::endpoint::normalise;
use crate::error::CloseReason;
use crate::event::Event;
use crate::ids::Carrier;
use crate::incoming::Arrival;
use crate::incoming::reply::Answerable;

impl Connection {
    /// Reads until there is an event, or nothing more to read for now.
    pub(super) fn step(&mut self, now: Instant) -> Option<Event> {
        loop {
            let arrival = self.arrival();
            let polled = self.layers.poll();
            let (head, data) = match polled {
                Ok(Some(Inbound::Message { mut head, data })) => {
                    (head.check(data).map(|()| head), data)
                }
                Ok(Some(Inbound::Whole(data))) => (whole(data, &self.context.limits), data),
                Ok(Some(Inbound::Announced(source))) => {
                    self.remote = source.map_or(self.remote, normalise);
                    self.ask(CallKind::Screen {
                        context: Arc::clone(&self.context),
                        channel: (self.channel, self.protocol),
                        local: arrival.local,
                        remote: self.remote,
                    });
                    return None;
                }
                Ok(Some(Inbound::Open)) => {
                    self.flush_layers(now);
                    self.become_open(now, arrival.local);
                    return None;
                }
                Ok(Some(Inbound::Asked(check))) => {
                    self.ask(CallKind::Upgrade(check));
                    return None;
                }
                Ok(Some(Inbound::Alive)) => {
                    self.keepalive(now);
                    continue;
                }
                Ok(Some(Inbound::Pong)) => {
                    self.pong(now);
                    continue;
                }
                Ok(Some(Inbound::Ping)) => {
                    self.keepalive(now);
                    // RFC 5626 §4.4.1. Omitted if not even two bytes fit.
                    if self.push_bytes(now, b"\r\n", None).is_ok() {
                        self.context.counters.pongs_out.one();
                    }
                    continue;
                }
                Ok(None) => {
                    self.flush_layers(now);
                    self.between_pieces(now, &arrival);
                    return None;
                }
                Err(LayerFault::Framing(error)) => {
                    // One reply if the request is readable, then the close: RFC 3261 §18.3.
                    let data = self.layers.rest();
                    let refused =
                        Refused::new(now, &self.context, &arrival, error, data, &self.seed);
                    let event = self.refuse(now, refused);
                    self.control.push_back(ConnectionEvent::Event(event));
                    self.close(now, CloseReason::Framing(error.kind()));
                    return None;
                }
                Err(LayerFault::Layer(reason)) => {
                    if matches!(reason, CloseReason::Proxy(_)) {
                        self.context.counters.bad_proxy_headers.one();
                    }
                    self.close(now, reason);
                    return None;
                }
            };
            match head {
                Ok(head) => {
                    let call = self
                        .context
                        .tap(|context| arrival.tapped(context, now, data, None));
                    self.control.extend(call.map(ConnectionEvent::tap));
                    let event = arrival.event(now, &self.context, &[], &head, data);
                    let negotiates = self.keeping.is_some_and(|k| k.is_negotiated());
                    let ours = event.is_some() && negotiates;
                    let agreed = ours.then(|| keeping::agreement(&head, data)).flatten();
                    let alias = self.alias.and_then(|_| keeping::alias_port(&head, data));
                    self.valid_message(now);
                    if let Some(seconds) = agreed {
                        self.agreed(now, seconds);
                    }
                    self.offered(alias);
                    if event.is_some() {
                        return event;
                    }
                }
                Err(error) => {
                    let refused =
                        Refused::new(now, &self.context, &arrival, error, data, &self.seed);
                    self.deadlines.message = None;
                    return Some(self.refuse(now, refused));
                }
            }
        }
    }

    /// After our own close, waits only for the peer's.
    pub(super) fn await_close(&mut self, reason: CloseReason) {
        let failed = loop {
            match self.layers.poll() {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let over = failed || !self.layers.await_close() || self.layers.has_ended();
        if over {
            self.out.push_control(|out| self.layers.close(out));
            if self.out.is_empty() {
                self.finish(reason);
            }
        }
    }

    fn valid_message(&mut self, now: Instant) {
        self.deadlines.message = None;
        self.active(now);
        if self.silent {
            self.change(|this| this.silent = false);
            self.deadlines.first_message = None;
            self.notify(NoticeKind::FirstMessage);
        }
    }

    /// Records that the peer offers the connection for requests to it, or does not.
    fn offered(&mut self, port: Option<u16>) {
        if let (Some(known), Some(port)) = (&mut self.alias, port)
            && *known != Some(port)
        {
            *known = Some(port);
            self.notify(NoticeKind::Alias { port });
        }
    }

    pub(super) fn keepalive(&mut self, now: Instant) {
        self.context.counters.keepalives_in.one();
        self.alive(now);
    }

    /// Handles the end of the input for now. The message deadline counts from the first byte of a
    /// message.
    fn between_pieces(&mut self, now: Instant, arrival: &Arrival) {
        if self.state == State::Open && self.layers.is_inside_message() {
            let at = now + self.context.config.message_timeout;
            self.deadlines.message.get_or_insert(at);
        } else {
            self.deadlines.message = None;
        }
        self.count_held(now);
        if !self.ended && !self.layers.has_ended() {
            return;
        }
        // The peer closed inside a message: the fragment is no message (RFC 3261 §18.3).
        let rest = self.layers.rest();
        let cut = self.layers.is_inside_message().then_some(rest);
        let cut = cut.filter(|rest| !rest.is_empty());
        let error = cut.and_then(|rest| Head::parse(rest, &self.context.limits).err());
        let refused =
            error.map(|error| Refused::new(now, &self.context, arrival, error, rest, &self.seed));
        if let Some(refused) = refused {
            let event = self.refuse(now, refused);
            self.control.push_back(ConnectionEvent::Event(event));
        }
        self.close(now, CloseReason::Peer);
    }

    /// Counts the bytes received and not passed on. If all connections together hold too many, some
    /// close.
    pub(super) fn count_held(&mut self, now: Instant) {
        let bytes = self.layers.held();
        if bytes == 0 {
            return self.hold_nothing();
        }
        let counters = &self.context.counters;
        counters.received_bytes.up(bytes);
        counters.received_bytes.down(self.held);
        self.held = bytes;
        let config = &self.context.config;
        let began = |at: Option<Instant>, limit| at.and_then(|at| at.checked_sub(limit));
        let since = began(self.deadlines.message, config.message_timeout)
            .or_else(|| began(self.deadlines.handshake, config.handshake_timeout));
        let held = UnfinishedMessage {
            holder: Holder::new(config, self.remote.ip(), self.id),
            since: since.unwrap_or(now),
            bytes,
        };
        let closing = self
            .context
            .receiving
            .set(self.id, held, config.total_receive_buffer);
        for id in closing {
            self.notify(NoticeKind::ReceiveFull(id));
        }
    }

    /// Counts nothing as held: all input was passed on, or is discarded.
    pub(super) fn hold_nothing(&mut self) {
        if self.held > 0 {
            self.context.counters.received_bytes.down(self.held);
            self.context.receiving.remove(self.id);
            self.held = 0;
        }
    }

    fn refuse(&mut self, now: Instant, refused: Refused) -> Event {
        let tap = refused.tap.map(ConnectionEvent::tap);
        self.control.extend(tap);
        if let Some(reply) = refused.reply {
            if self.push_bytes(now, &reply, None).is_ok() {
                self.tap_out(now, &reply);
                self.context.counters.malformed_replies.one();
            } else {
                self.context.counters.malformed_replies_suppressed.one();
            }
        }
        refused.event
    }

    pub(super) fn arrival(&self) -> Arrival {
        Arrival {
            protocol: self.protocol,
            channel: self.channel,
            carrier: Carrier::Connection(self.id),
            local: self.local.unwrap_or(self.remote),
            remote: self.remote,
            force_rport: self.force_rport,
        }
    }
}

/// Indexes and checks bytes that must be exactly one message (RFC 7118 §5). Content-Length may be
/// missing.
fn whole(data: &[u8], limits: &sip_core::Limits) -> Result<Head, ParseError> {
    let mut head = Head::default();
    head.read_whole(data, limits)?;
    head.check(data).map(|()| head)
}

/// A message that broke a rule: the event for the application, and the answer to the peer.
struct Refused {
    event: Event,
    reply: Option<Bytes>,
    tap: Option<TapCall>,
}

impl Refused {
    fn new(
        now: Instant,
        context: &Arc<ChannelContext>,
        arrival: &Arrival,
        error: ParseError,
        data: &[u8],
        seed: &[u8; 32],
    ) -> Self {
        let answerable = Answerable::read(data, arrival.remote);
        let reply =
            |request: Answerable<'_>| request.reply(&error, context.detailed_reason, seed, None);
        Self {
            event: arrival.malformed(context, error, data),
            reply: answerable.and_then(reply),
            tap: context.tap(|context| arrival.tapped(context, now, data, Some(error))),
        }
    }
}
