//! The router of messages: channels, the index of connections, limits, hints, sends that wait.

mod channels;
mod connections;
mod dispatch;
mod failures;
mod held;
mod hints;
mod info;
mod keeping;
mod layers;
mod limits;
mod notices;
mod output;
mod proxied;
mod queries;
mod races;
mod receiving;
mod responses;
mod sending;
mod shares;
mod size;
mod targets;

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::AtomicU64;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use channels::Channels;
use connections::{ConnectionRecord, Connections};
use failures::ReportedSends;
use queries::{LocalWaiters, PlanWaiter, Queries};
use races::Races;
use tracing::warn;

use crate::config::Config;
use crate::connection;
use crate::connection::notice::CommandKind;
use crate::connection::{Connection, LayerSetup};
use crate::context::own_names::{OwnNames, SentByKey};
use crate::context::rates::Sources;
use crate::context::receiving::Receiving;
use crate::context::{Budget, ChannelContext, TransportContext, Warnings};
use crate::deadline::Deadline;
use crate::endpoint::{SipEndpoint, normalise};
use crate::error::{AcceptError, AttemptCause, CloseReason, LocalFault, SendCause, SendError};
use crate::ids::{ChannelId, ConnectionId, QueryId, TransportId};
use crate::keep::KeptFlows;
use crate::observe::counters::Stats;
use crate::observe::trace::SOCKET;
use crate::outgoing::Outgoing;
use crate::outgoing::options::SendOptions;
use crate::protocol::Protocol;
use crate::resolve::expiring_map::ExpiringMap;
use crate::resolve::{Answer, LookupId, ResolveStats, Resolver};
use crate::tls::{TlsChoice, TlsName};
use crate::tokens::Tokens;

pub use held::Held;
pub use output::RouterOutput;

/// The part of a transport that decides where messages go. It renders nothing, moves no payload and parses at most a top Via:
/// every call is a bounded number of tree lookups, so that one lock can guard it.
///
/// - **Commands**: [`add_channel`](Self::add_channel), [`remove_channel`](Self::remove_channel),
///   [`send`](Self::send), [`retry`](Self::retry), [`trust`](Self::trust), [`close`](Self::close),
///   [`shutdown`](Self::shutdown).
/// - **Inputs**: [`accept`](Self::accept), [`handle_notice`](Self::handle_notice) with the notices
///   of a [`Connection`], and the other `handle_…` methods, each the answer to an output.
/// - **Outputs**: after any of these, [`poll_output`](Self::poll_output) until `None`; then
///   [`poll_timeout`](Self::poll_timeout) says when to call
///   [`handle_timeout`](Self::handle_timeout).
#[derive(Debug)]
pub struct Router {
    /// The transport-wide context. Its counters are those of no channel, and the sums of removed
    /// channels.
    context: Arc<ChannelContext>,
    tokens: Tokens,
    channels: Channels,
    connections: Connections,
    kept: Arc<KeptFlows>,
    queries: Queries,
    races: Races,
    resolver: Resolver,
    /// The TLS configuration of channels that are made on demand.
    client_tls: TlsChoice,
    /// Targets to which no TCP connection could be opened for a request too large for UDP.
    without_tcp: ExpiringMap<SocketAddr, ()>,
    /// State machines of connections to be opened, until their owner takes them.
    machines: VecDeque<Connection>,
    outputs: VecDeque<RouterOutput>,
    reported: ReportedSends,
    closing: bool,
}

impl Router {
    /// A router without channels. `seed` is the only randomness it uses: take it from the operating
    /// system except in simulations.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut tokens = Tokens::new(seed);
        let id = TransportId(u32::from_be_bytes(tokens.array()));
        let names = OwnNames::new(&config);
        for (host, port) in &config.names {
            let host = host
                .parse::<IpAddr>()
                .map_or(sip_core::Host::Name(host), Into::into);
            // A name without a port stands for the default ports of all protocols.
            for protocol in Protocol::ALL {
                names.add(&SentByKey::new(
                    sip_core::HostPort::new(host, *port),
                    protocol.default_port(),
                ));
            }
        }
        let resolver = Resolver::new(config.resolve.clone());
        let client_tls = config.client_tls();
        let without_tcp = ExpiringMap::new(config.size_rule_targets, usize::MAX);
        let [key, branches, kept] = core::array::from_fn(|_| tokens.array());
        let context = TransportContext {
            id,
            key,
            branches,
            sends: AtomicU64::new(0),
            sources: Sources::new(&tokens.array()),
            config,
            names,
            queued: Budget::default(),
            receiving: Receiving::default(),
            log_limits: Warnings::default(),
        };
        Self {
            context: Arc::new(ChannelContext::new(context)),
            tokens,
            channels: Channels::default(),
            connections: Connections::default(),
            kept: Arc::new(KeptFlows::new(kept)),
            queries: Queries::default(),
            races: Races::default(),
            resolver,
            client_tls,
            without_tcp,
            machines: VecDeque::new(),
            outputs: VecDeque::new(),
            reported: ReportedSends::default(),
            closing: false,
        }
    }

    /// Takes a connection that a listener accepted, if the limits allow it. Ask the
    /// [`accept_filter`](Self::accept_filter) first.
    ///
    /// # Errors
    /// The limits do not allow it, or the channel does not listen: close the connection at once.
    pub fn accept(
        &mut self,
        now: Instant,
        channel: ChannelId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Connection, AcceptError> {
        let (local, remote) = (normalise(local), normalise(remote));
        let (protocol, context) = match self.channels.get(channel) {
            Some(c) if c.config.listener && c.protocol().is_stream() && !self.closing => {
                (c.protocol(), Arc::clone(&c.context))
            }
            _ => return Err(AcceptError::Unknown(channel)),
        };
        self.check_source(channel, remote)?;
        self.make_room(now, channel, Some(remote.ip()))?;
        context.counters.accepted.one();
        let layers = self.server_layers(channel, (protocol, remote));
        let peer = (protocol, remote);
        let tls = self.client_tls(Some(channel), &SendOptions::new()).clone();
        let setup = self.register_connection(now, channel, peer, Some(local), (None, tls), layers);
        Ok(Connection::accepted(now, setup, local))
    }

    /// Adds a connection to the index.
    fn register_connection(
        &mut self,
        now: Instant,
        channel: ChannelId,
        (protocol, remote): (Protocol, SocketAddr),
        accepted_at: Option<SocketAddr>,
        (name, tls): (Option<TlsName>, TlsChoice),
        layers: LayerSetup,
    ) -> connection::ConnectionSetup {
        let mut record = ConnectionRecord::new(now, channel, (protocol, remote), accepted_at);
        record.name = name;
        record.tls = tls;
        // A connection that we open counts towards no share. For a proxied one the party is known
        // once its PROXY header arrives.
        if record.accepted && self.awaited_header(channel, remote.ip()).is_none() {
            record.party = self.party(remote.ip());
        }
        let id = self.connections.add(self.context.id, record);
        let config = self.channels.get(channel).map(|channel| &channel.config);
        connection::ConnectionSetup {
            context: Arc::clone(self.channels.context_of(channel, &self.context)),
            id,
            channel,
            protocol,
            remote,
            force_rport: config.is_some_and(|config| config.force_rport),
            keep: config.and_then(|config| config.keep),
            alias: config.is_some_and(|config| config.alias),
            seed: self.tokens.array(),
            layers,
            races: false,
        }
    }

    /// The state machine of a new connection. Fetch them after every call, before the router is
    /// used again: a dispatch may name a connection before its [`RouterOutput::Connect`] is read.
    #[must_use]
    pub fn take_machine(&mut self) -> Option<Connection> {
        self.machines.pop_front()
    }

    /// Returns true if [`poll_output`](Self::poll_output) has something.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Takes the result of a [`RouterOutput::Bind`].
    pub fn handle_bound(
        &mut self,
        now: Instant,
        channel: ChannelId,
        result: Result<SocketAddr, io::ErrorKind>,
    ) {
        match result {
            Ok(local) => {
                if let Some(channel) = self.channels.get_mut(channel) {
                    channel.config.local = local;
                    channel.ready = true;
                    channel.log("added, client only");
                }
                for waiting in self.queries.bound(channel) {
                    self.resume(now, waiting);
                }
            }
            Err(kind) => self.cannot_bind(now, channel, AttemptCause::NoRoute(kind)),
        }
    }

    /// Takes the failure of a [`RouterOutput::Bind`] for lack of a local resource.
    pub fn handle_bind_fault(&mut self, now: Instant, channel: ChannelId, fault: LocalFault) {
        self.cannot_bind(now, channel, AttemptCause::LocalFault(fault));
    }

    fn cannot_bind(&mut self, now: Instant, channel: ChannelId, cause: AttemptCause) {
        warn!(target: SOCKET, id = %channel, %cause, "cannot bind a client-only channel");
        self.channels.remove(now, channel, &self.context);
        for waiting in self.queries.bound(channel) {
            self.go_on_without_target(now, waiting, cause.clone());
        }
    }

    /// The answer to a [`RouterOutput::Lookup`]. Late answers are ignored.
    pub fn handle_lookup(&mut self, now: Instant, id: LookupId, answer: Answer) {
        self.resolver.answer(now, id, answer);
        self.follow_resolver(now);
    }

    /// The answer to a [`RouterOutput::LocalAddress`]. Late answers are ignored.
    pub fn handle_local_address(
        &mut self,
        now: Instant,
        query: QueryId,
        result: Result<IpAddr, io::ErrorKind>,
    ) {
        let LocalWaiters { sends, races } = self.queries.local_found(now, query, result.ok());
        for waiting in sends {
            match result {
                Ok(_) => self.resume(now, waiting),
                Err(kind) => self.go_on_without_target(now, waiting, AttemptCause::NoRoute(kind)),
            }
        }
        for race in races {
            match result {
                Ok(_) => self.next_racer(now, race),
                Err(_) => self.skip_racer(now, race),
            }
        }
    }

    /// Advances the time. Early calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.keep_alive(now);
        self.resolver.handle_timeout(now);
        self.follow_resolver(now);
        let LocalWaiters { sends, races } = self.queries.expired(now);
        for waiting in sends {
            self.go_on_without_target(now, waiting, AttemptCause::Deadline(Deadline::Query));
        }
        for race in races {
            self.skip_racer(now, race);
        }
        self.run_races(now);
    }

    /// The time at which [`handle_timeout`](Self::handle_timeout) is due, and the deadline it is
    /// for. May change after any other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Deadline)> {
        let lookup = self.resolver.deadline();
        let query = self.queries.deadline().into_iter().chain(lookup).min();
        let query = query.map(|at| (at, Deadline::Query));
        let race = self.races.deadline().map(|at| (at, Deadline::Race));
        let kept = self.kept.deadline();
        query.into_iter().chain(race).chain(kept).min()
    }

    /// The next request to the owner. May change after any other call.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<RouterOutput> {
        self.outputs.pop_front()
    }

    /// Asks for a connection to be closed. Returns false if there is no such connection (any more).
    pub fn close(&mut self, connection: ConnectionId) -> bool {
        self.close_with(connection, CloseReason::Application)
    }

    /// Marks the peer of a connection as authenticated, by credentials or a certificate. Its
    /// connection is closed to make room for others only if all are trusted, counts towards no
    /// address's share, and its keep-alives count as activity as messages do. Returns false if
    /// there is no such connection (any more).
    ///
    /// The transport itself trusts nobody: any stranger can send a valid message.
    pub fn trust(&mut self, connection: ConnectionId) -> bool {
        self.connections.trust(connection)
    }

    /// Shuts the router down: all connections are asked to close; waiting sends fail, and so does
    /// every later one.
    pub fn shutdown(&mut self) {
        self.closing = true;
        self.races.clear();
        self.resolver.forget();
        self.without_tcp = ExpiringMap::new(0, 0);
        self.queries.forget();
        self.kept.forget_if(|_| true);
        let all: Vec<_> = self.connections.iter().map(|(id, _)| id).collect();
        for connection in all {
            self.close_with(connection, CloseReason::Shutdown);
        }
        for (plan, asker) in self.queries.drain_plans() {
            self.resolver.cancel(plan);
            match asker {
                PlanWaiter::Send(waiting) => {
                    self.report_failed_send(SendCause::ShuttingDown, waiting)
                }
                PlanWaiter::Plan(query, _) => self.outputs.push_back(RouterOutput::Planned {
                    query,
                    result: Err(SendCause::ShuttingDown),
                }),
            }
        }
        for waiting in self.queries.drain() {
            self.report_failed_send(SendCause::ShuttingDown, waiting);
        }
    }

    /// Randomness for the application: tags, branches, Call-IDs. Each has a seed of its own, drawn
    /// from this transport's.
    pub fn tokens(&mut self) -> Tokens {
        Tokens::new(self.tokens.array())
    }

    /// The number of connections and of waiting sends: both 0 once everything is closed.
    pub fn load(&self) -> (usize, usize) {
        (self.connections.len(), self.queries.len())
    }

    /// The counters since the start, and the current gauges.
    pub fn stats(&self) -> Stats {
        let mut stats = self.context.counters.snapshot();
        stats += self.channels.stats();
        stats.sends_waiting = self.queries.len() as u64;
        stats.kept_flows = self.kept.len() as u64;
        stats.trusted = self.connections.shares().trusted() as u64;
        stats
    }

    /// The same for each channel, in the order in which they were added.
    pub fn channel_stats(&self) -> impl Iterator<Item = (SipEndpoint, Stats)> {
        self.channels.iter().map(|channel| {
            let mut endpoint = SipEndpoint::new(channel.protocol(), channel.config.local);
            endpoint.channel = Some(channel.id);
            (endpoint, channel.context.counters.snapshot())
        })
    }

    /// The maximum number of unanswered [`RouterOutput::Lookup`]s.
    pub fn max_asked_lookups(&self) -> usize {
        self.context.config.resolve.max_asked_lookups
    }

    /// The counters of the resolver.
    pub fn resolve_stats(&self) -> ResolveStats {
        self.resolver.stats()
    }

    /// The number of bytes queued for all connections.
    pub fn queued_bytes(&self) -> usize {
        self.context.queued.used()
    }

    fn close_with(&mut self, connection: ConnectionId, reason: CloseReason) -> bool {
        let changed = self.connections.mark_closing(connection);
        if changed {
            self.command(connection, CommandKind::Close(reason));
        }
        changed
    }

    fn close_for(&mut self, connection: ConnectionId, reason: CloseReason) {
        if self.close_with(connection, reason)
            && reason == CloseReason::Limit
            && let Some(record) = self.connections.get(connection)
        {
            let context = self.channels.context_of(record.channel, &self.context);
            context.counters.connections_limited.one();
        }
    }

    fn report_failed_send(&mut self, cause: SendCause, outgoing: Box<Outgoing>) {
        let error = self.end_send(cause, outgoing);
        self.outputs.push_back(RouterOutput::Failed(error));
    }

    fn end_send(&self, cause: SendCause, outgoing: Box<Outgoing>) -> SendError {
        let context = match outgoing.carrier {
            Some(carrier) => self.channels.context_of(carrier.channel, &self.context),
            None => &self.context,
        };
        context.counters.sends_failed.one();
        outgoing.into_error(cause)
    }
}
