//! The sending of messages: those that wait for the connection to open, and the queue of bytes.

use std::time::Instant;

use tracing::warn;

use super::notice::NoticeKind;
use super::{ANSWER_ROOM, BEHIND, Backlog, Connection, ConnectionEvent, State};
use crate::config::calls::{Direction, Tapped};
use crate::deadline::Deadline;
use crate::error::{AttemptCause, CloseReason, SendCause};
use crate::ids::SendId;
use crate::keep::KeepState;
use crate::observe::trace::LIMIT;
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::outgoing::outcome::{Returned, Routed};

impl Connection {
    /// Accepts a send, in order: to be rendered at once if the connection is open, else once it is.
    ///
    /// # Errors
    /// It cannot be sent here; the error gives it back.
    pub fn push(
        &mut self,
        dispatch: Dispatch,
        outgoing: Box<Outgoing>,
    ) -> Result<Routed, Returned> {
        if let Some(keep) = outgoing.options.keep
            && self.keeping.is_none_or(|keeping| !keeping.same_as(keep))
        {
            // Keep-alives start when the message is queued, or the connection opens.
            self.keeping = Some(KeepState::new(keep));
            self.deadlines.ping = None;
            self.deadlines.pong = None;
        }
        match self.state {
            State::Closing(reason) | State::Closed(reason) => {
                return Err(Returned::new(outgoing, reason));
            }
            State::Open if self.backlog == Backlog::None => {
                return Ok(Routed::Ready(self.with_local(dispatch), outgoing));
            }
            _ => {}
        }
        let len = outgoing.message.wire_len();
        let limit = self.queue_limit();
        let fits = self
            .pending_bytes
            .checked_add(len)
            .is_some_and(|sum| sum <= limit);
        let total = self.context.config.total_send_queue;
        if !fits || !self.context.queued.take(len, total) {
            let limit = if fits { total } else { limit };
            self.context.counters.send_queue_full.one();
            return Err(Returned::new(outgoing, SendCause::QueueFull { limit }));
        }
        self.context.counters.queued_bytes.up(len);
        self.pending_bytes = self.pending_bytes.saturating_add(len);
        if let Some(until) = outgoing
            .patience()
            .filter(|_| self.state == State::Connecting)
        {
            let first = self.deadlines.size_rule.unwrap_or(until);
            self.deadlines.size_rule = Some(first.min(until));
        }
        let send = outgoing.id;
        self.pending.push_back((dispatch, outgoing, len));
        Ok(Routed::Waiting(send))
    }

    /// Releases the sends that waited for the connection to open, as the router permits.
    pub(super) fn release_pending(&mut self) {
        if self.backlog == Backlog::AwaitingRouter {
            self.backlog = Backlog::Draining;
        }
    }

    /// The next send that waited. The one before it is queued by now.
    pub(super) fn next_pending(&mut self) -> Option<(Dispatch, Box<Outgoing>)> {
        if self.backlog != Backlog::Draining {
            return None;
        }
        let Some((dispatch, outgoing, len)) = self.pending.pop_front() else {
            self.backlog = Backlog::None;
            return None;
        };
        self.discharge(len);
        Some((self.with_local(dispatch), outgoing))
    }

    /// Queues rendered bytes for writing.
    ///
    /// # Errors
    /// The queue is full, or the connection is closed.
    pub fn queue(&mut self, now: Instant, bytes: &[u8], send: SendId) -> Result<(), SendCause> {
        if self.state != State::Open {
            return Err(SendCause::ConnectionClosed);
        }
        self.begin_keeping(now);
        match self.push_bytes(now, bytes, Some(send)) {
            Ok(()) => {
                self.tap_out(now, bytes);
                Ok(())
            }
            Err(limit) => {
                self.context.counters.send_queue_full.one();
                if let Some(left_out) = self.context.log_limits.queued.now(now) {
                    let remote = self.endpoint(self.remote);
                    warn!(target: LIMIT, limit, left_out, %remote, "a send queue is full");
                }
                Err(SendCause::QueueFull { limit })
            }
        }
    }

    /// Shows a queued message to the tap.
    pub(super) fn tap_out(&mut self, at: Instant, bytes: &[u8]) {
        let call = self.context.tap(|context| Tapped {
            direction: Direction::Out,
            ..self.arrival().tapped(context, at, bytes, None)
        });
        self.control.extend(call.map(ConnectionEvent::tap));
    }

    pub(super) fn push_bytes(
        &mut self,
        now: Instant,
        bytes: &[u8],
        send: Option<SendId>,
    ) -> Result<(), usize> {
        let bound = self.layers.bound(bytes.len());
        let limit = self.queue_limit();
        let layers = &mut self.layers;
        self.out
            .push(bound, send, limit, |out| layers.seal(bytes, out))?;
        match send {
            Some(_) => self.active(now),
            None => self.alive(now),
        }
        self.see_waiting(now);
        Ok(())
    }

    pub(super) fn queue_limit(&self) -> usize {
        let config = &self.context.config;
        if self.silent {
            config.silent_send_queue
        } else {
            config.send_queue
        }
    }

    pub(super) fn with_local(&self, mut dispatch: Dispatch) -> Dispatch {
        if let Some(local) = self.local {
            dispatch.set_local(local);
        }
        dispatch
    }

    pub(super) fn discharge(&mut self, len: usize) {
        self.pending_bytes = self.pending_bytes.saturating_sub(len);
        self.context.queued.give_back(len);
        self.context.counters.queued_bytes.down(len);
    }

    /// Queues the bytes of TLS and WebSocket themselves, while there is room: the layers keep the
    /// rest, which is little.
    pub(super) fn flush_layers(&mut self, now: Instant) {
        if self.out.len() >= self.queue_limit().min(ANSWER_ROOM) {
            return;
        }
        self.out.push_control(|out| self.layers.flush(out));
        self.see_waiting(now);
    }

    /// Updates the waiting time after something was, or may have been, queued.
    pub(super) fn see_waiting(&mut self, now: Instant) {
        if !self.out.is_empty() {
            let stall = now + self.context.config.write_stall_timeout;
            self.deadlines.write.get_or_insert(stall);
            self.see_behind(now);
        }
    }

    /// Checks, after something was queued or written, whether the peer is behind or has caught up.
    pub(super) fn see_behind(&mut self, now: Instant) {
        let since = self.out.waiting_since(now);
        if self.reported_behind.is_some() && self.reported_behind != since {
            self.reported_behind = None;
            self.notify(NoticeKind::Behind(None));
        }
        let late = since.filter(|_| self.reported_behind.is_none());
        self.deadlines.behind = late.map(|since| since + BEHIND);
    }

    /// Marks the peer as behind, as it has not read what has waited for a while.
    pub(super) fn fall_behind(&mut self, now: Instant) {
        self.deadlines.behind = None;
        self.reported_behind = self.out.waiting_since(now);
        self.notify(NoticeKind::Behind(self.reported_behind));
    }

    /// Returns the sends that waited here.
    pub(super) fn return_pending(&mut self, reason: CloseReason) {
        while let Some((_, outgoing, len)) = self.pending.pop_front() {
            self.discharge(len);
            let returned = Returned::new(outgoing, reason);
            self.control.push_back(ConnectionEvent::Returned(returned));
        }
    }

    /// Returns the sends that no longer wait for the connection to open.
    pub(super) fn return_impatient(&mut self, now: Instant) {
        self.deadlines.size_rule = None;
        for (dispatch, outgoing, len) in core::mem::take(&mut self.pending) {
            match outgoing.patience() {
                Some(until) if until <= now => {
                    self.discharge(len);
                    let cause = AttemptCause::Deadline(Deadline::SizeRule);
                    let returned = Returned::new(outgoing, cause);
                    self.control.push_back(ConnectionEvent::Returned(returned));
                }
                until => {
                    let next = self.deadlines.size_rule.into_iter().chain(until).min();
                    self.deadlines.size_rule = next;
                    self.pending.push_back((dispatch, outgoing, len));
                }
            }
        }
    }
}
