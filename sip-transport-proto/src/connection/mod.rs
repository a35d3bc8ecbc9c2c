//! The state machine of one stream connection, from the decision to open it to its close.

mod deadlines;
mod event;
pub(crate) mod info;
mod keeping;
mod layers;
pub(crate) mod notice;
#[cfg_attr(not(feature = "proxy"), path = "absent_proxy.rs")]
pub(crate) mod proxy;
mod queue;
mod reading;
mod sending;
#[cfg_attr(not(feature = "ws"), path = "absent_websocket.rs")]
mod websocket;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use deadlines::Deadlines;
use event::CallKind;
use layers::Layers;
use notice::{Command, CommandKind, Notice, NoticeKind};
use queue::SendQueue;
use tracing::debug;

use crate::config::keep::Keep;
use crate::connection::info::ConnectionInfo;
use crate::context::ChannelContext;
use crate::context::callbacks::Callback;
use crate::deadline::Deadline;
use crate::endpoint::{SipEndpoint, normalise};
use crate::error::{CloseReason, LocalFault, SendFailure};
use crate::event::Event;
use crate::ids::{ChannelId, ConnectionId};
use crate::keep::KeepState;
use crate::observe::counters::Gauge;
use crate::observe::trace::CONNECTION;
use crate::outgoing::Outgoing;
use crate::outgoing::dispatch::Dispatch;
use crate::protocol::Protocol;
use crate::websocket::Refusal;

pub use event::{Call, ConnectionEvent};
pub(crate) use layers::{LayerSetup, TlsSide, WebSocketSide};

/// The time that the final bytes may take before a close.
const LINGER: Duration = Duration::from_secs(2);

/// The time that bytes wait before the peer counts as behind.
const BEHIND: Duration = Duration::from_secs(1);

/// While more than this waits to be written, the answers of TLS and WebSocket to the peer stay in
/// their layers, where they do not accumulate: a peer that pings and never reads gets no queue for
/// it.
const ANSWER_ROOM: usize = 16 << 10;

/// The state machine of one stream connection: TLS, WebSocket, framing, checks, deadlines and a
/// bounded queue of bytes to be written.
///
/// It exists from the decision to connect and takes sends at once; they wait in order until it is
/// open. Reading and writing are pulled: the owner hands over what it read, asks for one event
/// after the other, and asks what to write.
///
/// - **Inputs**: [`handle_connected`](Self::handle_connected),
///   [`handle_data`](Self::handle_data), [`handle_eof`](Self::handle_eof),
///   [`handle_error`](Self::handle_error), [`handle_local_fault`](Self::handle_local_fault),
///   [`handle_written`](Self::handle_written),
///   [`handle_timeout`](Self::handle_timeout).
/// - **Commands**: [`push`](Self::push), [`queue`](Self::queue),
///   [`handle_command`](Self::handle_command) with the commands of its router,
///   [`close`](Self::close), [`pause`](Self::pause).
/// - **Outputs**, each of which may change after any of these:
///   [`poll_event`](Self::poll_event) until `None`, then [`transmit`](Self::transmit), then
///   [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Connection {
    context: Arc<ChannelContext>,
    id: ConnectionId,
    channel: ChannelId,
    protocol: Protocol,
    remote: SocketAddr,
    local: Option<SocketAddr>,
    accepted: bool,
    /// The peer opened it and has sent no valid message.
    silent: bool,
    force_rport: bool,
    keeping: Option<KeepState>,
    /// The channel accepts aliases: the peer may offer the connection for requests to it, and has
    /// for this port.
    alias: Option<Option<u16>>,
    state: State,
    /// The times at which bytes and messages could pass.
    connected: Option<Instant>,
    opened: Option<Instant>,
    layers: Layers,
    /// The peer has closed its direction, or the socket has failed.
    ended: bool,
    out: SendQueue,
    /// Sends that wait for the connection to open, and the bytes charged for them.
    pending: VecDeque<(Dispatch, Box<Outgoing>, usize)>,
    pending_bytes: usize,
    backlog: Backlog,
    /// Another connection to the same server may be opened at the same time.
    races: bool,
    control: VecDeque<ConnectionEvent>,
    deadlines: Deadlines,
    /// Bytes received and not passed on, as last counted.
    held: usize,
    /// The time at which its activity was last reported to the router, and whether by messages.
    reported_active: Instant,
    reported_by_message: bool,
    /// The time since which it has been behind, as last reported to the router.
    reported_behind: Option<Instant>,
    seed: [u8; 32],
}

/// The parameters of a connection before it is open.
#[derive(Debug)]
pub(crate) struct ConnectionSetup {
    pub(crate) context: Arc<ChannelContext>,
    pub(crate) id: ConnectionId,
    pub(crate) channel: ChannelId,
    pub(crate) protocol: Protocol,
    pub(crate) remote: SocketAddr,
    pub(crate) force_rport: bool,
    /// The keep-alive settings, if we open it.
    pub(crate) keep: Option<Keep>,
    pub(crate) alias: bool,
    pub(crate) seed: [u8; 32],
    pub(crate) layers: LayerSetup,
    /// Others to the same server are opened at the same time.
    pub(crate) races: bool,
}

/// The state of the sends that wait for the connection to open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Backlog {
    /// There are none, or the connection is not open.
    None,
    /// They wait for the router's command: it may have decided meanwhile to close the connection,
    /// or that another one has won the race.
    AwaitingRouter,
    /// They are rendered one by one. Later ones have to queue behind them.
    Draining,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Connecting,
    /// TLS and WebSocket are being negotiated.
    Handshaking,
    Open,
    /// Only queued bytes are still written, and the peer's close is awaited.
    Closing(CloseReason),
    Closed(CloseReason),
}

impl Connection {
    pub(crate) fn connecting(now: Instant, setup: ConnectionSetup) -> Self {
        let ConnectionSetup {
            context,
            id,
            channel,
            protocol,
            remote,
            force_rport,
            keep,
            alias,
            seed,
            layers,
            races,
        } = setup;
        let mut deadlines = Deadlines::default();
        deadlines.connect = Some(now + context.config.connect_timeout);
        let connection = Self {
            layers: Layers::new(layers, context.limits),
            ended: false,
            out: SendQueue::new(Arc::clone(&context)),
            context,
            id,
            channel,
            protocol,
            remote,
            local: None,
            accepted: false,
            silent: false,
            force_rport,
            keeping: keep.map(KeepState::new),
            alias: alias.then_some(None),
            state: State::Connecting,
            connected: None,
            opened: None,
            pending: VecDeque::new(),
            pending_bytes: 0,
            backlog: Backlog::None,
            races,
            control: VecDeque::new(),
            deadlines,
            held: 0,
            reported_active: now,
            reported_by_message: true,
            reported_behind: None,
            seed,
        };
        connection.gauges().for_each(|gauge| gauge.up(1));
        connection
    }

    pub(crate) fn accepted(now: Instant, mut setup: ConnectionSetup, local: SocketAddr) -> Self {
        // The side that opened a connection keeps it alive.
        setup.keep = None;
        let first_message = now + setup.context.config.first_message_timeout;
        let mut connection = Self::connecting(now, setup);
        connection.change(|connection| {
            connection.accepted = true;
            connection.silent = true;
        });
        connection.deadlines.first_message = Some(first_message);
        connection.become_connected(now, local);
        connection
    }

    /// The id of the connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The peer's address.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The number of bytes that wait to be written, or for it to open.
    pub fn queued_bytes(&self) -> usize {
        self.out.len().saturating_add(self.pending_bytes)
    }

    /// Fills in the fields that the [`Router`](crate::parts::Router) does not know.
    pub fn fill_in(&self, info: &mut ConnectionInfo) {
        info.queued = self.queued_bytes();
        info.connected = self.connected;
        info.opened = self.opened;
    }

    /// Returns true if it is closed: the state machine can be dropped once its events are fetched.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    // Inputs.

    /// Handles a socket that is connected; `local` is its own address.
    pub fn handle_connected(&mut self, now: Instant, local: SocketAddr) {
        if self.state == State::Connecting {
            self.layers.start();
            self.become_connected(now, normalise(local));
        }
    }

    /// The number of bytes that [`handle_data`](Self::handle_data) accepts now. Do not read more:
    /// what is not read makes the peer wait.
    #[must_use]
    pub fn recv_capacity(&self) -> usize {
        match self.state {
            State::Open if self.deadlines.is_paused() => 0,
            State::Handshaking | State::Open if !self.ended => self.layers.capacity_left(),
            State::Closing(_) if self.layers.await_close() => self.layers.capacity_left(),
            _ => 0,
        }
    }

    /// Handles bytes that were read, and returns the number accepted. Call
    /// [`poll_event`](Self::poll_event) until `None` after it.
    ///
    /// Bytes beyond [`recv_capacity`](Self::recv_capacity) are not accepted.
    pub fn handle_data(&mut self, now: Instant, data: &[u8]) -> usize {
        if self.recv_capacity() == 0 {
            return 0;
        }
        let taken = self.layers.push(data);
        if self.state == State::Open
            && self.deadlines.message.is_none()
            && self.layers.holds_bytes()
        {
            self.deadlines.message = Some(now + self.context.config.message_timeout);
        }
        taken
    }

    /// Handles the end of the peer's direction. What it sent before is still read.
    pub fn handle_eof(&mut self) {
        match self.state {
            State::Handshaking | State::Open => {
                self.ended = true;
                self.layers.end();
            }
            State::Closing(reason) => self.finish(reason),
            State::Connecting | State::Closed(_) => {}
        }
    }

    /// Handles an error of the socket, or a failure to connect.
    pub fn handle_error(&mut self, kind: io::ErrorKind) {
        match self.state {
            State::Connecting => self.finish(CloseReason::ConnectFailed(kind)),
            State::Closing(reason) => self.finish(reason),
            State::Handshaking | State::Open => self.finish(CloseReason::Io(kind)),
            State::Closed(_) => {}
        }
    }

    /// Handles a failure to connect for lack of a local resource.
    pub fn handle_local_fault(&mut self, fault: LocalFault) {
        if self.state == State::Connecting {
            self.finish(CloseReason::LocalFault(fault));
        }
    }

    /// Handles the writing of `n` bytes of [`transmit`](Self::transmit).
    pub fn handle_written(&mut self, now: Instant, n: usize) {
        if n == 0 {
            return;
        }
        self.out.advance(n);
        self.flush_layers(now);
        self.deadlines.write = if self.out.is_empty() {
            None
        } else {
            Some(now + self.context.config.write_stall_timeout)
        };
        self.see_behind(now);
        if let State::Closing(reason) = self.state
            && self.out.is_empty()
            && !self.layers.await_close()
        {
            self.finish(reason);
        }
    }

    /// Advances the time. Early calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some((at, deadline)) = self.deadlines.next() else {
            return;
        };
        if at > now || self.is_closed() {
            return;
        }
        if deadline == Deadline::Message && !self.layers.is_inside_message() {
            // A keep-alive had begun, and is complete.
            self.deadlines.message = None;
            return;
        }
        match deadline {
            Deadline::Ping => return self.ping(now),
            Deadline::Behind => return self.fall_behind(now),
            Deadline::SizeRule => return self.return_impatient(now),
            Deadline::Pong if !self.missed_pong() => return,
            _ => {}
        }
        self.context.counters.deadlines.one();
        match self.state {
            State::Closing(reason) => self.finish(reason),
            _ => self.finish(CloseReason::Deadline(deadline)),
        }
    }

    // Commands.

    /// Handles a command of the router, from
    /// [`RouterOutput::Command`](crate::parts::RouterOutput::Command), or the answer to a [`Call`].
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command.0 {
            CommandKind::ReleasePending => self.release_pending(),
            CommandKind::Close(reason) => self.close(now, reason),
            CommandKind::Keep(keep) => self.keep(now, keep),
            CommandKind::Screened { allowed: false } => self.close(now, CloseReason::Application),
            CommandKind::Screened { allowed: true } => {
                let remote = self.remote;
                self.notify(NoticeKind::Announced { remote });
            }
            CommandKind::Admit(Ok(())) => self.layers.admit(),
            CommandKind::Admit(Err(_)) => self.close(now, CloseReason::Limit),
            CommandKind::Decide(decision) => {
                if decision.as_ref().is_err_and(Refusal::is_panic) {
                    self.context.panicked(Callback::UpgradeCheck);
                }
                self.layers.decide(decision);
            }
        }
    }

    /// Closes the connection. Queued bytes are still written, and the close is announced to the
    /// peer, for up to 2 s, unless it has to make room.
    pub fn close(&mut self, now: Instant, reason: CloseReason) {
        match self.state {
            State::Closing(first) if reason == CloseReason::Limit => self.finish(first),
            State::Closing(_) | State::Closed(_) => {}
            State::Connecting => self.finish(reason),
            _ if reason == CloseReason::Limit => self.finish(reason),
            State::Handshaking | State::Open => {
                self.out.push_control(|out| self.layers.close(out));
                if self.out.is_empty() && !self.layers.await_close() {
                    return self.finish(reason);
                }
                self.count_failed_attempt(reason);
                self.change(|this| this.state = State::Closing(reason));
                self.deadlines = Deadlines::default();
                self.deadlines.linger = Some(now + LINGER);
                self.return_pending(reason);
            }
        }
    }

    /// Stops reading, as the application is behind: no messages are accepted, and the deadlines
    /// that wait for messages of the peer stop.
    ///
    /// A handshake continues, and so does a close, as the application may be waiting for just that.
    /// So continue to ask [`recv_capacity`](Self::recv_capacity), and
    /// [`poll_control`](Self::poll_control) for events.
    pub fn pause(&mut self, now: Instant) {
        self.deadlines.pause(now);
        self.count_held(now);
    }

    /// Resumes reading.
    pub fn resume(&mut self, now: Instant) {
        self.deadlines.resume(now);
    }

    // Outputs.

    /// The next event: first those for the owner, then one message after the other. Bounded work:
    /// it reads at most one message.
    #[must_use]
    pub fn poll_event(&mut self, now: Instant) -> Option<ConnectionEvent> {
        loop {
            if let Some(event) = self.next_event() {
                return Some(event);
            }
            let event = match self.state {
                State::Handshaking | State::Open => self.step(now),
                State::Closing(reason) => {
                    self.await_close(reason);
                    None
                }
                State::Connecting | State::Closed(_) => None,
            };
            match event {
                Some(event) if self.control.is_empty() => {
                    return Some(ConnectionEvent::Event(event));
                }
                Some(event) => self.control.push_back(ConnectionEvent::Event(event)),
                None if self.control.is_empty() => return None,
                None => {}
            }
        }
    }

    /// The next event other than a message, for an owner whose application is behind.
    #[must_use]
    pub fn poll_control(&mut self, now: Instant) -> Option<ConnectionEvent> {
        loop {
            if let Some(event) = self.next_event() {
                return Some(event);
            }
            match self.state {
                // No message arrives before the handshake is complete.
                State::Handshaking => {
                    let event = self.step(now).map(ConnectionEvent::Event);
                    self.control.extend(event);
                }
                State::Closing(reason) => self.await_close(reason),
                State::Connecting | State::Open | State::Closed(_) => {}
            }
            if self.control.is_empty() {
                return None;
            }
        }
    }

    fn next_event(&mut self) -> Option<ConnectionEvent> {
        if let Some((dispatch, outgoing)) = self.next_pending() {
            return Some(ConnectionEvent::Ready(dispatch, outgoing));
        }
        let event = self.control.pop_front()?;
        if self.control.is_empty() {
            // An idle connection keeps no memory for rare events.
            self.control = VecDeque::new();
        }
        Some(event)
    }

    /// The bytes to be written now, which may be none.
    #[must_use]
    pub fn transmit(&self) -> &[u8] {
        self.out.bytes()
    }

    /// The time at which [`handle_timeout`](Self::handle_timeout) is due, and the deadline it is
    /// for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Deadline)> {
        if self.is_closed() {
            None
        } else {
            self.deadlines.next()
        }
    }

    // Inside.

    /// Handles a socket that can pass bytes.
    fn become_connected(&mut self, now: Instant, local: SocketAddr) {
        self.local = Some(local);
        self.connected = Some(now);
        self.deadlines.connect = None;
        self.deadlines.size_rule = None;
        if self.layers.is_open() {
            self.become_open(now, local);
        } else {
            self.change(|this| this.state = State::Handshaking);
            if self.races {
                self.notify(NoticeKind::Connected);
            }
            self.deadlines.handshake = Some(now + self.context.config.handshake_timeout);
            self.flush_layers(now);
        }
    }

    /// Handles layers that can pass messages.
    fn become_open(&mut self, now: Instant, local: SocketAddr) {
        self.change(|this| this.state = State::Open);
        self.opened = Some(now);
        self.deadlines.handshake = None;
        self.active(now);
        self.begin_keeping(now);
        if self.alias.is_some() {
            // Only an accepted connection whose peer is authenticated may become an alias (RFC 5923
            // §8.2).
            let verified = self.accepted && self.layers.identity().is_some();
            self.alias = verified.then_some(None);
        }
        if !self.accepted {
            self.context.counters.connected.one();
        }
        // One that races sends nothing before the router permits it.
        let waits = self.races || !self.pending.is_empty();
        if waits {
            self.backlog = Backlog::AwaitingRouter;
        }
        let identity = self.layers.identity();
        debug!(
            target: CONNECTION,
            id = %self.id,
            channel = %self.channel,
            local = %self.endpoint(local),
            remote = %self.endpoint(self.remote),
            accepted = self.accepted,
            verified = identity.is_some(),
            "open"
        );
        self.notify(NoticeKind::Opened {
            local,
            identity: identity.clone(),
            waits,
        });
        self.control
            .push_back(ConnectionEvent::Event(Event::ConnectionOpened {
                channel: self.channel,
                local: self.endpoint(local),
                remote: self.endpoint(self.remote),
                accepted: self.accepted,
                identity,
            }));
    }

    fn notify(&mut self, notice: NoticeKind) {
        self.control
            .push_back(ConnectionEvent::Notice(Notice(notice)));
    }

    fn ask(&mut self, call: CallKind) {
        self.control.push_back(ConnectionEvent::Call(Call(call)));
    }

    /// Records a message, in either direction. The router is notified only now and then, so that no
    /// message costs an access to its index.
    fn active(&mut self, now: Instant) {
        if self.restart_idle(now) || !self.reported_by_message {
            self.reported_active = now;
            self.reported_by_message = true;
            self.notify(NoticeKind::Active);
        }
    }

    /// Records a keep-alive, a control frame or an answer of the transport's own, in either
    /// direction.
    fn alive(&mut self, now: Instant) {
        if self.restart_idle(now) {
            self.reported_active = now;
            self.reported_by_message = false;
            self.notify(NoticeKind::Alive);
        }
    }

    /// Restarts the idle deadline. Returns true if the router is due a notice.
    fn restart_idle(&mut self, now: Instant) -> bool {
        let config = &self.context.config;
        self.deadlines.active(now, config);
        now.saturating_duration_since(self.reported_active) >= config.activity_grain()
    }

    /// Applies a change, and updates the gauges that it is counted in.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        self.gauges().for_each(|gauge| gauge.down(1));
        change(self);
        self.gauges().for_each(|gauge| gauge.up(1));
    }

    /// The gauges that it is counted in now.
    fn gauges(&self) -> impl Iterator<Item = &Gauge> {
        let counters = &self.context.counters;
        let state = match self.state {
            State::Connecting => Some(&counters.connecting),
            State::Handshaking => Some(&counters.handshaking),
            State::Open => Some(&counters.open),
            State::Closing(_) => Some(&counters.closing),
            State::Closed(_) => None,
        };
        let side = if self.accepted {
            &counters.connections_accepted
        } else {
            &counters.connections_opened
        };
        let silent = self.silent.then_some(&counters.silent);
        state
            .into_iter()
            .flat_map(move |state| [Some(state), Some(side), silent])
            .flatten()
    }

    /// Ends the connection: all who wait are notified, once.
    fn finish(&mut self, reason: CloseReason) {
        self.count_failed_attempt(reason);
        self.context.counters.closed.one();
        debug!(
            target: CONNECTION,
            id = %self.id,
            channel = %self.channel,
            remote = %self.endpoint(self.remote),
            accepted = self.accepted,
            opened = !matches!(self.state, State::Connecting | State::Handshaking),
            %reason,
            "closed"
        );
        self.change(|this| this.state = State::Closed(reason));
        self.deadlines = Deadlines::default();
        self.layers = Layers::new(LayerSetup::default(), self.context.limits);
        self.hold_nothing();
        self.control.push_back(ConnectionEvent::Closed);
        self.notify(NoticeKind::Closed(reason));
        for send in self.out.clear() {
            self.context.counters.send_failures_reported.one();
            let cause = SendFailure::Closed(reason);
            self.control
                .push_back(ConnectionEvent::Event(Event::SendFailed { send, cause }));
        }
        self.return_pending(reason);
        self.control
            .push_back(ConnectionEvent::Event(Event::ConnectionClosed {
                connection: self.id,
                channel: self.channel,
                remote: self.endpoint(self.remote),
                reason,
            }));
    }

    /// Counts a failed attempt of ours to connect.
    fn count_failed_attempt(&self, reason: CloseReason) {
        let counters = &self.context.counters;
        match (self.state, reason) {
            _ if self.accepted => {}
            (State::Closing(_) | State::Closed(_), _) => {}
            (_, CloseReason::Overtaken) => counters.attempts_overtaken.one(),
            (State::Connecting | State::Handshaking, _) => counters.connect_failed.one(),
            (State::Open, _) => {}
        }
    }

    fn endpoint(&self, addr: SocketAddr) -> SipEndpoint {
        SipEndpoint {
            protocol: self.protocol,
            addr,
            channel: Some(self.channel),
            connection: Some(self.id),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.gauges().for_each(|gauge| gauge.down(1));
        self.discharge(self.pending_bytes);
        self.hold_nothing();
    }
}
