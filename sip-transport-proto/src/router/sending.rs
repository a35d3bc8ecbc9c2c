//! The sending of a message: hints, targets in order, waiting.

use core::ops::ControlFlow;
use std::time::Instant;

use tracing::warn;

use super::connections::ConnectionRecord;
use super::dispatch::Obstacle;
use super::targets::TargetLookup;
use super::{Router, RouterOutput};
use crate::deadline::Deadline;
use crate::error::{Attempt, AttemptCause, CloseReason, SendCause, SendError};
use crate::ids::{Carrier, ChannelId, ConnectionId};
use crate::incoming::flow;
use crate::observe::trace::{CONNECTION, LIMIT};
use crate::outgoing::dispatch::Dispatch;
use crate::outgoing::next_hop::{NextHop, ViaFacts};
use crate::outgoing::outcome::{Returned, Routed};
use crate::outgoing::send_ids::SendIds;
use crate::outgoing::sent::{HintOutcome, HintReport, NextError, Overruled, Sent};
use crate::outgoing::{ChosenCarrier, Outgoing};
use crate::resolve::Target;
use crate::tls::TlsError;

/// The next step of a message after a failed attempt.
enum AfterFailure {
    /// The send fails.
    End(SendCause),
    /// The same target over TCP, as the request is too large for UDP.
    OverTcp { len: usize },
    /// The same target, over another connection.
    SameTarget,
    /// The next target.
    NextTarget,
    /// The next target: the connection to this one is still being opened, for other sends.
    NoLongerWaiting,
}

impl AfterFailure {
    fn of(cause: &AttemptCause, outgoing: &Outgoing) -> Self {
        let was_open = outgoing.carrier.is_some_and(|carrier| carrier.open);
        match cause {
            AttemptCause::Send(cause) => Self::End((**cause).clone()),
            AttemptCause::TooLargeForUdp { len, .. } => Self::OverTcp { len: *len },
            AttemptCause::Deadline(Deadline::SizeRule) => Self::NoLongerWaiting,
            AttemptCause::Closed(CloseReason::Overtaken) if outgoing.was_failed_by(cause) => {
                Self::NextTarget
            }
            AttemptCause::Closed(CloseReason::Overtaken) => Self::SameTarget,
            AttemptCause::Closed(_) if was_open => Self::SameTarget,
            AttemptCause::Gone if !outgoing.connection_gone => Self::SameTarget,
            _ => Self::NextTarget,
        }
    }
}

/// The connection of a response's request, as a return path.
enum RequestFlow {
    Dispatched(Dispatch),
    /// It is usable, but the application asks for another channel.
    PassedOver,
    None,
}

impl Router {
    /// The source of send ids and branches, for callers that need them before they call
    /// [`send`](Self::send).
    pub fn send_ids(&self) -> SendIds {
        SendIds::new(&self.context)
    }

    /// Routes a message: over a live hinted connection, else to the destination given or read from
    /// the message.
    ///
    /// # Errors
    /// It names no usable destination, no channel carries it, or a limit is reached. The error
    /// gives the message back.
    pub fn send(&mut self, now: Instant, mut outgoing: Box<Outgoing>) -> Result<Routed, SendError> {
        self.send_ids().assign(&mut outgoing);
        if self.closing {
            return Err(self.end_send(SendCause::ShuttingDown, outgoing));
        }
        if let NextHop::Flow(flow) = &outgoing.next_hop
            && flow::decode(flow, self.context.id).is_none()
        {
            // A flow of another transport means nothing here: only the Via is left.
            let via = ViaFacts::read(&outgoing.message);
            outgoing.next_hop = via.map_or_else(NextHop::Unknown, NextHop::Via);
        }
        self.advance(now, outgoing)
    }

    /// Sends a message to its next target after an attempt failed. If the connection was chosen
    /// while open and closed before the message was queued, its target is tried once more over a
    /// new one; if the message is too large for UDP, over TCP.
    ///
    /// # Errors
    /// As for [`send`](Self::send). With no target left, the error lists those that were tried. A
    /// full queue fails the send at once.
    pub fn retry(&mut self, now: Instant, returned: Returned) -> Result<Routed, SendError> {
        let Returned {
            mut outgoing,
            cause,
        } = returned;
        let next = AfterFailure::of(&cause, &outgoing);
        match next {
            AfterFailure::End(cause) => {
                self.take_back_keep(&outgoing);
                return Err(self.end_send(cause, outgoing));
            }
            AfterFailure::OverTcp { len } => {
                self.take_back_keep(&outgoing);
                if !self.avoid_udp(now, &mut outgoing, len) {
                    return Err(self.end_send(SendCause::TooLarge { len }, outgoing));
                }
            }
            AfterFailure::NoLongerWaiting => self.target_failed(now, &mut outgoing, cause),
            AfterFailure::SameTarget | AfterFailure::NextTarget => {
                let carrier = outgoing.carrier.take();
                if let Some(id) = carrier.and_then(|carrier| carrier.connection) {
                    // Its state machine closed before this index heard of it: nothing more goes over it.
                    self.connections.mark_closing(id);
                }
                outgoing.connection_gone |= cause == AttemptCause::Gone;
                let overtaken = cause == AttemptCause::Closed(CloseReason::Overtaken);
                outgoing.uses_connection &= overtaken;
                match next {
                    AfterFailure::SameTarget if overtaken => outgoing.overtaken(cause),
                    AfterFailure::SameTarget => {}
                    _ => self.target_failed(now, &mut outgoing, cause),
                }
            }
        }
        outgoing.carrier = None;
        if self.closing {
            return Err(self.end_send(SendCause::ShuttingDown, outgoing));
        }
        self.advance(now, outgoing)
    }

    /// Makes a message that counted as sent ready for its next target, as another transaction (RFC
    /// 3261 §8.1.2): after a timeout or a 503. It has an id and a branch of its own, and is sent by
    /// [`send`](Self::send). The target that failed is tried last from now on.
    ///
    /// # Errors
    /// There is no target left.
    pub fn try_next(&mut self, now: Instant, sent: Sent) -> Result<Box<Outgoing>, NextError> {
        if let Some(target) = sent.target() {
            self.resolver.target_failed(now, target);
            let mut over_udp = target.clone();
            if over_udp.back_to_udp() {
                self.resolver.target_failed(now, &over_udp);
            }
        }
        let Sent {
            rest: Some(mut outgoing),
            targets,
            tried,
            ..
        } = sent
        else {
            return Err(NextError::NoTargetLeft(Box::new(sent)));
        };
        outgoing.targets = Some(targets);
        outgoing.tried = tried;
        outgoing.drop_target(AttemptCause::Left);
        outgoing.new_branch = true;
        outgoing.owner = None;
        self.send_ids().assign(&mut outgoing);
        // The hinted connection has been tried.
        outgoing.options.hints.connection = None;
        outgoing.carrier = None;
        Ok(outgoing)
    }

    /// Allows the same bytes to be sent again in the same way: give them to the carrier that
    /// [`Sent::carrier`] names. A failure that was reported already may be reported again.
    ///
    /// # Errors
    /// Their channel was removed or their connection is closed.
    pub fn resend(&mut self, sent: &Sent) -> Result<(), SendCause> {
        match sent.carrier() {
            Carrier::Connection(id) if self.connections.get(id).is_none_or(|c| c.is_closing()) => {
                Err(SendCause::ConnectionClosed)
            }
            Carrier::Datagram { socket, .. } if self.channels.get(socket.channel).is_none() => {
                Err(SendCause::ChannelRemoved)
            }
            _ => {
                self.reported.sent_again(sent.id());
                Ok(())
            }
        }
    }

    /// Resumes a waiting send.
    pub(super) fn resume(&mut self, now: Instant, waiting: Box<Outgoing>) {
        match self.advance(now, waiting) {
            Ok(Routed::Ready(dispatch, outgoing)) => {
                self.outputs
                    .push_back(RouterOutput::Routed(dispatch, outgoing));
            }
            Ok(Routed::Waiting(_)) => {}
            Err(error) => self.outputs.push_back(RouterOutput::Failed(error)),
        }
    }

    pub(super) fn go_on_without_target(
        &mut self,
        now: Instant,
        mut waiting: Box<Outgoing>,
        cause: AttemptCause,
    ) {
        self.target_failed(now, &mut waiting, cause);
        self.resume(now, waiting);
    }

    /// Gives up the current target, or falls back to UDP; remembers the failure if the target is at
    /// fault.
    fn target_failed(&mut self, now: Instant, outgoing: &mut Outgoing, cause: AttemptCause) {
        let targets_fault = cause.is_of_target();
        if let Some(target) = outgoing.target().filter(|_| targets_fault) {
            if let AttemptCause::Tls(error) = cause
                && error.is_about_certificates()
            {
                self.warn_of_certificate(now, error, &target);
            }
            self.resolver.target_failed(now, &target);
        }
        if !self.fall_back(now, outgoing, &cause, targets_fault) {
            outgoing.drop_target(cause);
        }
    }

    /// A certificate or a configuration needs an operator, here or at the peer.
    fn warn_of_certificate(&self, now: Instant, error: TlsError, target: &Target) {
        let Some(left_out) = self.context.log_limits.certificates.now(now) else {
            return;
        };
        warn!(
            target: CONNECTION,
            protocol = %target.protocol,
            addr = %target.addr,
            name = target.tls_name.as_ref().map(display),
            %error,
            left_out,
            "certificate error"
        );
    }

    /// Routes a message: over the hinted connection or that of its request, else to its targets.
    fn advance(&mut self, now: Instant, mut outgoing: Box<Outgoing>) -> Result<Routed, SendError> {
        // Evict first, so that the message is not sent over the evicted connection.
        self.relieve_queues();
        let mut report = HintReport::default();
        if let Some(dispatch) = self.try_hinted_connection(&outgoing, &mut report) {
            return Ok(ready(dispatch, outgoing));
        }
        loop {
            let passed_over = match self.try_request_flow(&mut outgoing, report) {
                RequestFlow::Dispatched(dispatch) => return Ok(ready(dispatch, outgoing)),
                RequestFlow::PassedOver => true,
                RequestFlow::None => false,
            };
            outgoing = match self.try_targets(now, outgoing, report) {
                ControlFlow::Break(routed) => return routed,
                ControlFlow::Continue(outgoing) => outgoing,
            };
            let more = match passed_over {
                // The request's connection is skipped only once, before any target was tried.
                true => !outgoing.tried.is_empty(),
                false => self.turn_to_sent_by(&mut outgoing),
            };
            if !more {
                break;
            }
        }
        // A single target that was never tried: its cause is the error.
        let cause = match outgoing.tried.as_slice() {
            [
                Attempt {
                    cause: AttemptCause::Send(cause),
                    ..
                },
            ] => (**cause).clone(),
            _ => SendCause::AllTargetsFailed,
        };
        Err(self.end_send(cause, outgoing))
    }

    fn try_hinted_connection(
        &self,
        outgoing: &Outgoing,
        report: &mut HintReport,
    ) -> Option<Dispatch> {
        let id = outgoing.wanted_hints().connection?;
        let hinted = self.hinted_connection(id, outgoing);
        report.connection = (&hinted).into();
        let record = hinted.ok()?;
        report.channel = match outgoing.options.hints.channel {
            None => HintOutcome::NotGiven,
            Some(channel) if channel == record.channel => HintOutcome::Honoured,
            Some(_) => HintOutcome::Overruled(Overruled::ConnectionWins),
        };
        Some(self.dispatch_over(id, &record, outgoing, *report))
    }

    /// RFC 3261 §18.2.2: a response is sent over the connection of its request, unless the
    /// application asks for another channel that can carry it.
    fn try_request_flow(&self, outgoing: &mut Outgoing, mut report: HintReport) -> RequestFlow {
        let Some((id, record)) = self.request_connection(outgoing) else {
            return RequestFlow::None;
        };
        let hint = outgoing.options.hints.channel;
        let hinted = hint.map(|hint| self.hinted_over_flow(hint, outgoing, record));
        if matches!(hinted, Some(Ok(channel)) if channel != record.channel) {
            return RequestFlow::PassedOver;
        }
        report.channel = hinted.as_ref().map_or(HintOutcome::NotGiven, Into::into);
        outgoing.sent_by_left = false;
        RequestFlow::Dispatched(self.dispatch_over(id, record, outgoing, report))
    }

    /// The connection of a response's request, if the response is to use it.
    pub(super) fn request_connection(
        &self,
        outgoing: &Outgoing,
    ) -> Option<(ConnectionId, &ConnectionRecord)> {
        let NextHop::Flow(flow) = &outgoing.next_hop else {
            return None;
        };
        let Carrier::Connection(id) = flow::decode(flow, self.context.id)?.carrier else {
            return None;
        };
        let record = self.connections.get(id)?;
        let serves = !record.is_closing() && outgoing.options.to.is_none();
        serves.then_some((id, record))
    }

    /// Returns the hinted channel if it can carry a response whose request's connection is still
    /// open.
    fn hinted_over_flow(
        &self,
        hint: ChannelId,
        outgoing: &Outgoing,
        record: &ConnectionRecord,
    ) -> Result<ChannelId, Overruled> {
        let hinted = self.hinted_channel(hint, outgoing, Some(record.remote.ip()))?;
        if hint == record.channel {
            return Ok(hint);
        }
        if !outgoing.tried.is_empty() {
            // Already tried.
            return Err(Overruled::Unreachable);
        }
        if !self.may_connect(outgoing, hinted.protocol()) {
            return Err(Overruled::NoConnection);
        }
        Ok(hint)
    }

    /// Tries the targets in order. Returns the message if all have failed.
    fn try_targets(
        &mut self,
        now: Instant,
        mut outgoing: Box<Outgoing>,
        report: HintReport,
    ) -> ControlFlow<Result<Routed, SendError>, Box<Outgoing>> {
        if outgoing.targets.is_none() {
            match self.find_targets(now, &mut outgoing) {
                Ok(TargetLookup::Targets(targets)) => outgoing.targets = Some(targets),
                Ok(TargetLookup::Waits(plan)) => {
                    if !self.has_room() {
                        self.resolver.cancel(plan);
                    }
                    return ControlFlow::Break(self.wait(now, outgoing, |router, outgoing| {
                        router.queries.wait_for_plan(plan, outgoing);
                        None
                    }));
                }
                Err(cause) => return ControlFlow::Break(Err(self.end_send(cause, outgoing))),
            }
        }
        while let Some(mut target) = outgoing.target() {
            if let Some(rival) = self.connected_rival(now, &outgoing) {
                target = outgoing.prefer(rival).unwrap_or(target);
            }
            match self.try_target(now, target, &outgoing, report) {
                Ok(dispatch) => {
                    outgoing.sent_by_left = self.sent_by_hop(&outgoing).is_some();
                    return ControlFlow::Break(Ok(ready(dispatch, outgoing)));
                }
                Err(Obstacle::NeedsLocal(remote)) => {
                    return ControlFlow::Break(self.wait(now, outgoing, |router, outgoing| {
                        let query = router.queries.find_local(now, remote, outgoing);
                        query.map(|query| RouterOutput::LocalAddress { query, remote })
                    }));
                }
                Err(Obstacle::NeedsBind(channel)) => {
                    return ControlFlow::Break(self.wait(now, outgoing, |router, outgoing| {
                        router.queries.wait_for_bind(channel, outgoing);
                        None
                    }));
                }
                Err(Obstacle::Failed(cause)) => {
                    let cause = AttemptCause::Send(Box::new(cause));
                    self.target_failed(now, &mut outgoing, cause);
                }
            }
        }
        ControlFlow::Continue(outgoing)
    }

    /// Returns true if one more send may wait.
    pub(super) fn has_room(&self) -> bool {
        self.queries.len() < self.context.config.max_waiting_sends
    }

    /// Makes a send wait, if there is room for one more.
    fn wait(
        &mut self,
        now: Instant,
        outgoing: Box<Outgoing>,
        park: impl FnOnce(&mut Self, Box<Outgoing>) -> Option<RouterOutput>,
    ) -> Result<Routed, SendError> {
        if !self.has_room() {
            let limit = self.context.config.max_waiting_sends;
            if let Some(left_out) = self.context.log_limits.waiting.now(now) {
                warn!(target: LIMIT, limit, left_out, "too many waiting sends");
            }
            return Err(self.end_send(SendCause::TooManyWaiting { limit }, outgoing));
        }
        let id = outgoing.id;
        let output = park(self, outgoing);
        self.outputs.extend(output);
        Ok(Routed::Waiting(id))
    }
}

fn ready(dispatch: Dispatch, mut outgoing: Box<Outgoing>) -> Routed {
    let connection = dispatch.carrier().connection();
    outgoing.uses_connection = connection.is_some();
    outgoing.carrier = Some(ChosenCarrier {
        channel: dispatch.channel(),
        connection,
        open: connection.is_some() && dispatch.is_ready(),
    });
    Routed::Ready(dispatch, outgoing)
}
