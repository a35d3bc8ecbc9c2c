//! Our own pings, the pongs to them, and the negotiation of both.

use std::time::Instant;

use sip_core::message::Head;

use super::{Connection, ConnectionEvent, State};
use crate::config::keep::Keep;
use crate::error::FlowFailure;
use crate::event::Event;
use crate::keep;
use crate::keep::KeepState;
use crate::protocol::Protocol;
use crate::tokens::Tokens;

/// A ping of CRLFs (RFC 5626 §3.5.1).
const PING: &[u8] = b"\r\n\r\n";

impl Connection {
    /// Keeps it alive in this way from now on, or with `None` stops keeping it alive. Giving the
    /// same settings again changes nothing.
    pub fn keep(&mut self, now: Instant, keep: Option<Keep>) {
        match (keep, &self.keeping) {
            (Some(keep), Some(keeping)) if keeping.same_as(keep) => return,
            (keep, _) => self.keeping = keep.map(KeepState::new),
        }
        self.deadlines.ping = None;
        self.deadlines.pong = None;
        self.begin_keeping(now);
    }

    /// Draws the first period, once messages can pass.
    pub(super) fn begin_keeping(&mut self, now: Instant) {
        if self.state == State::Open && self.deadlines.ping.is_none() {
            self.draw_period(now);
        }
    }

    fn draw_period(&mut self, now: Instant) {
        let Some(keeping) = self.keeping.filter(KeepState::has_begun) else {
            return;
        };
        let mut tokens = Tokens::new(self.seed);
        let random = tokens.array();
        tokens.fill(&mut self.seed);
        let period = keeping.period(&self.context.config, self.protocol, random);
        self.deadlines.ping = Some(now + period);
    }

    /// Sends a ping that is due.
    pub(super) fn ping(&mut self, now: Instant) {
        self.deadlines.ping = None;
        self.draw_period(now);
        let Some(keeping) = self.keeping else {
            return;
        };
        // If not even four bytes fit, the connection ends because the peer does not read.
        let sent = match keeping.kind(self.protocol) {
            crate::KeepKind::WebSocketPing => self.ping_frame(now),
            _ => self.push_bytes(now, PING, None).is_ok(),
        };
        if sent {
            self.context.counters.pings_out.one();
            self.deadlines.expect_pong(now, &self.context.config);
        }
    }

    fn ping_frame(&mut self, now: Instant) -> bool {
        if self.out.len() >= self.queue_limit() {
            return false;
        }
        let mut sent = false;
        let layers = &mut self.layers;
        self.out.push_control(|out| sent = layers.ping(out));
        if sent {
            self.alive(now);
            self.see_waiting(now);
        }
        sent
    }

    /// Handles what may be the answer to a ping.
    pub(super) fn pong(&mut self, now: Instant) {
        if self.deadlines.pong.take().is_some() {
            self.layers.take_pong();
            self.context.counters.pongs_in.one();
        }
        self.keepalive(now);
    }

    /// Handles a pong that did not arrive in time. Returns true if that ends the connection (RFC
    /// 5626 §4.4.1).
    pub(super) fn missed_pong(&mut self) -> bool {
        self.deadlines.pong = None;
        self.context.counters.pongs_missed.one();
        let dead = self.keeping.is_some_and(|keeping| keeping.is_required());
        if dead {
            let event = Event::FlowDead {
                remote: self.endpoint(self.remote),
                cause: FlowFailure::NoPong,
            };
            self.control.push_back(ConnectionEvent::Event(event));
        }
        dead
    }

    /// Records that a response of ours accepts keep-alives (RFC 6223 §4.3).
    pub(super) fn agreed(&mut self, now: Instant, seconds: u32) {
        if let Some(keeping) = &mut self.keeping
            && keeping.agree(seconds)
        {
            self.deadlines.ping = None;
            self.begin_keeping(now);
        }
    }
}

/// The keep-alive interval of a response, if it has one.
pub(super) fn agreement(head: &Head, data: &[u8]) -> Option<u32> {
    if head.is_request() {
        return None;
    }
    keep::agreed_seconds(&head.top_via(data).ok()?)
}

/// The port for which a request offers its connection (RFC 5923 §8.2: the sent-by's, or 5061).
pub(super) fn alias_port(head: &Head, data: &[u8]) -> Option<u16> {
    if !head.is_request() {
        return None;
    }
    let via = head.top_via(data).ok()?;
    let port = via.sent_by().port();
    via.params()
        .contains("alias")
        .then(|| port.unwrap_or(Protocol::Tls.default_port()))
}
