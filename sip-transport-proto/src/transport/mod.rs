//! The whole transport in one object.

mod driving;
mod output;

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use sip_core::message::Message;

use crate::config::advertised::Advertised;
use crate::config::keep::Keep;
use crate::config::{ChannelConfig, Config};
use crate::connection::Connection;
use crate::connection::info::ConnectionInfo;
use crate::datagram::DatagramSocket;
use crate::endpoint::SipEndpoint;
use crate::error::{
    AcceptError, ChannelError, ChannelFailure, KeepError, LocalFault, SendCause, SendError,
    SendFailure,
};
use crate::ids::{ChannelId, ConnectionId, QueryId, SendId, SocketId};
use crate::observe::counters::Stats;
use crate::outgoing::Outgoing;
use crate::outgoing::options::SendOptions;
use crate::outgoing::outcome::Submitted;
use crate::outgoing::sent::{NextError, Sent};
use crate::resolve::{Answer, Family, LookupId};
use crate::router::Router;
use crate::tokens::Tokens;

pub use output::Output;

/// A whole transport in one object, for an event loop of your own, for simulations and fuzzing.
///
/// It owns a [`Router`] and all state machines, and has one rule: **after any input, drain
/// [`poll_output`](Self::poll_output) until it returns [`Output::Timeout`]** before the next one.
/// Then wait for a socket or for that time, whichever is first. Commands, such as
/// [`send`](Self::send), may be given at any time, also while draining.
///
/// 1. Bind sockets and report each to [`add_channel`](Self::add_channel).
/// 2. Drain the outputs, doing what each says.
/// 3. Wait. A datagram goes to [`handle_datagram`](Self::handle_datagram), an accepted connection
///    to [`handle_accepted`](Self::handle_accepted), read bytes to
///    [`handle_data`](Self::handle_data), and so on; the time to
///    [`handle_timeout`](Self::handle_timeout). Go to 2.
///
/// ```
/// use std::time::Instant;
/// use sip_transport_proto::{ChannelConfig, Config, Event, Output, Protocol, Transport};
///
/// let mut transport = Transport::new(Config::default(), [0; 32]);
/// let channel = transport.add_channel(ChannelConfig::new(Protocol::Udp, "192.0.2.1:5060".parse()?))?;
/// let now = Instant::now();
/// transport.handle_datagram(now, channel.socket(0), "192.0.2.9:5060".parse()?, None, b"\
///     OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;rport\r\n\
///     From: <sip:b@192.0.2.9>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
///     Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
/// loop {
///     match transport.poll_output(now) {
///         Output::Event(Event::Request { remote, request, .. }) => {
///             println!("{remote}: {}", request.start_line());
///         }
///         Output::Datagram { socket, transmit } => { /* send it */ }
///         Output::Timeout(at) => break, // wait for input, or until then
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Outputs are a function of configuration, seed and inputs with their instants.
#[derive(Debug)]
pub struct Transport {
    router: Router,
    sockets: BTreeMap<SocketId, DatagramSocket>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Connections that may have events or something to write.
    touched: BTreeSet<ConnectionId>,
    /// The deadline of each connection.
    deadlines: BTreeMap<ConnectionId, Instant>,
    due: BTreeSet<(Instant, ConnectionId)>,
    outputs: VecDeque<Output>,
}

impl Transport {
    /// A transport without channels. `seed` is the only randomness it uses: take it from the
    /// operating system, except in simulations.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            router: Router::new(config, seed),
            sockets: BTreeMap::new(),
            connections: BTreeMap::new(),
            touched: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            due: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The counters and the current gauges. [`Router::channel_stats`] has them by channel.
    pub fn stats(&self) -> Stats {
        self.router.stats()
    }

    /// The router: channels and connections.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The connections, open or being opened.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> {
        self.router.connections().map(|mut info| {
            if let Some(machine) = self.connections.get(&info.id) {
                machine.fill_in(&mut info);
            }
            info
        })
    }

    // Commands.

    /// Adds a channel whose socket is bound.
    ///
    /// # Errors
    /// See [`Router::add_channel`].
    pub fn add_channel(&mut self, config: ChannelConfig) -> Result<ChannelId, ChannelError> {
        let sockets = config.sockets;
        let id = self.router.add_channel(config)?;
        (0..sockets).for_each(|index| self.add_socket(SocketId { channel: id, index }));
        Ok(id)
    }

    /// Removes a channel. Close its sockets; its connections follow as [`Output::Close`].
    ///
    /// # Errors
    /// There is no such channel.
    pub fn remove_channel(&mut self, now: Instant, id: ChannelId) -> Result<(), ChannelError> {
        self.router.remove_channel(now, id)?;
        self.sockets.retain(|socket, _| socket.channel != id);
        self.drain_router(now);
        Ok(())
    }

    /// Removes a channel whose socket failed, and reports it. See [`Router::fail_channel`].
    ///
    /// # Errors
    /// There is no such channel.
    pub fn fail_channel(
        &mut self,
        now: Instant,
        id: ChannelId,
        cause: ChannelFailure,
    ) -> Result<(), ChannelError> {
        self.router.fail_channel(now, id, cause)?;
        self.sockets.retain(|socket, _| socket.channel != id);
        self.drain_router(now);
        Ok(())
    }

    /// Changes what a channel advertises. See [`Router::advertise`].
    ///
    /// # Errors
    /// There is no such channel.
    pub fn advertise(
        &mut self,
        now: Instant,
        channel: ChannelId,
        family: Family,
        advertised: Option<Advertised>,
    ) -> Result<(), ChannelError> {
        self.router.advertise(now, channel, family, advertised)
    }

    /// Randomness for the application. See [`Router::tokens`].
    pub fn tokens(&mut self) -> Tokens {
        self.router.tokens()
    }

    /// Prepares a message with its id and its branch: to be recorded, then given to
    /// [`send`](Self::send).
    pub fn prepare(&self, message: impl Into<Message>, options: SendOptions) -> Box<Outgoing> {
        let mut outgoing = Outgoing::new(message, options);
        self.router.send_ids().assign(&mut outgoing);
        outgoing
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It cannot be sent; the error gives the reason and the message back.
    pub fn send(&mut self, now: Instant, outgoing: Box<Outgoing>) -> Result<Submitted, SendError> {
        let result = self.router.send(now, outgoing).and_then(|routed| {
            let attempt = self.try_dispatch(now, routed);
            self.try_until_taken(now, attempt)
        });
        self.drain_router(now);
        result
    }

    /// Sends the same bytes once more over the same flow. A failure to deliver them is reported
    /// again ([`Event::SendFailed`](crate::Event::SendFailed)).
    ///
    /// # Errors
    /// The flow is gone, or its queue is full.
    pub fn resend(&mut self, now: Instant, sent: &Sent) -> Result<(), SendCause> {
        self.router.resend(sent)?;
        self.queue_bytes(now, sent)
    }

    /// Makes a message ready for its next target, as another transaction with an id and a branch
    /// of its own, to be given to [`send`](Self::send): after a timeout or a 503.
    ///
    /// # Errors
    /// There is no target left.
    pub fn try_next(&mut self, now: Instant, sent: Sent) -> Result<Box<Outgoing>, NextError> {
        self.router.try_next(now, sent)
    }

    /// Finds the targets of a message without sending it: the targets, best first, each with the
    /// reason for it. The answer is [`Output::Planned`], even if it is known at once.
    pub fn plan(&mut self, now: Instant, outgoing: Box<Outgoing>) -> QueryId {
        let query = self.router.plan(now, outgoing);
        self.drain_router(now);
        query
    }

    /// Marks the peer of a connection as authenticated. Returns false if there is no such
    /// connection. See [`Router::trust`].
    pub fn trust(&mut self, connection: ConnectionId) -> bool {
        self.router.trust(connection)
    }

    /// Asks for a connection to be closed. Returns false if there is no such connection.
    pub fn close(&mut self, now: Instant, connection: ConnectionId) -> bool {
        let known = self.router.close(connection);
        self.drain_router(now);
        known
    }

    /// Keeps a flow alive from now on, or changes how. See [`Router::keep`].
    ///
    /// # Errors
    /// There is no such flow.
    pub fn keep(
        &mut self,
        now: Instant,
        remote: &SipEndpoint,
        keep: Keep,
    ) -> Result<(), KeepError> {
        let result = self.router.keep(now, remote, keep);
        self.drain_router(now);
        result
    }

    /// Stops keeping a flow alive. Returns false if there is no such flow.
    pub fn stop_keeping(&mut self, now: Instant, remote: &SipEndpoint) -> bool {
        let known = self.router.stop_keeping(remote);
        self.drain_router(now);
        known
    }

    /// Shuts the transport down: connections close, waiting sends fail.
    pub fn shutdown(&mut self, now: Instant) {
        self.router.shutdown();
        self.drain_router(now);
    }

    // Inputs.

    /// Handles a received datagram. `local_ip` is the address it was sent to, if the socket is
    /// bound to the wildcard address and the system reports it.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        data: &[u8],
    ) {
        let Some(machine) = self.sockets.get_mut(&socket) else {
            return;
        };
        let event = machine.handle_datagram(now, remote, local_ip, data);
        self.outputs.extend(event.map(Output::Event));
        while let Some(transmit) = machine.poll_transmit() {
            self.outputs
                .push_back(Output::Datagram { socket, transmit });
        }
    }

    /// Handles a datagram that could not be sent, or an ICMP error for its destination.
    pub fn handle_datagram_failed(
        &mut self,
        now: Instant,
        send: Option<SendId>,
        remote: SocketAddr,
        cause: impl Into<SendFailure>,
    ) {
        if let Some(send) = send {
            let event = self.router.handle_datagram_failed(now, send, remote, cause);
            self.outputs.extend(event.map(Output::Event));
        }
    }

    /// Handles a connection that a listener accepted.
    ///
    /// # Errors
    /// The application or the limits do not allow it: close it at once.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        channel: ChannelId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<ConnectionId, AcceptError> {
        if let Some(filter) = self.router.accept_filter(channel)
            && !filter.allows(local, remote)
        {
            return Err(AcceptError::Filtered);
        }
        let accepted = self.router.accept(now, channel, local, remote);
        let result = accepted.map(|machine| {
            let id = machine.id();
            self.connections.insert(id, machine);
            self.touched.insert(id);
            id
        });
        self.drain_router(now);
        result
    }

    /// Handles the connection of an [`Output::Connect`] that is open.
    pub fn handle_connected(&mut self, now: Instant, connection: ConnectionId, local: SocketAddr) {
        self.with(connection, |machine| machine.handle_connected(now, local));
    }

    /// Handles a connection that failed, or could not be opened.
    pub fn handle_error(&mut self, connection: ConnectionId, kind: io::ErrorKind) {
        self.with(connection, |machine| machine.handle_error(kind));
    }

    /// Handles a connection that could not be opened for lack of a local resource: its target is
    /// not at fault.
    pub fn handle_local_fault(&mut self, connection: ConnectionId, fault: LocalFault) {
        self.with(connection, |machine| machine.handle_local_fault(fault));
    }

    /// The number of bytes that [`handle_data`](Self::handle_data) accepts for this connection:
    /// read no more.
    #[must_use]
    pub fn recv_capacity(&self, connection: ConnectionId) -> usize {
        self.connections
            .get(&connection)
            .map_or(0, Connection::recv_capacity)
    }

    /// Handles bytes that were read, and returns the number accepted.
    pub fn handle_data(&mut self, now: Instant, connection: ConnectionId, data: &[u8]) -> usize {
        self.with(connection, |machine| machine.handle_data(now, data))
            .unwrap_or(0)
    }

    /// Handles the end of the peer's direction.
    pub fn handle_eof(&mut self, connection: ConnectionId) {
        self.with(connection, Connection::handle_eof);
    }

    /// The bytes that a connection has to write.
    #[must_use]
    pub fn transmit(&self, connection: ConnectionId) -> &[u8] {
        self.connections
            .get(&connection)
            .map(Connection::transmit)
            .unwrap_or_default()
    }

    /// Handles the writing of `n` bytes of [`transmit`](Self::transmit).
    pub fn handle_written(&mut self, now: Instant, connection: ConnectionId, n: usize) {
        self.with(connection, |machine| machine.handle_written(now, n));
    }

    /// The answer to an [`Output::Bind`].
    pub fn handle_bound(
        &mut self,
        now: Instant,
        channel: ChannelId,
        result: Result<SocketAddr, io::ErrorKind>,
    ) {
        self.router.handle_bound(now, channel, result);
        self.add_socket(SocketId { channel, index: 0 });
        self.drain_router(now);
    }

    /// The failure of an [`Output::Bind`] for lack of a local resource.
    pub fn handle_bind_fault(&mut self, now: Instant, channel: ChannelId, fault: LocalFault) {
        self.router.handle_bind_fault(now, channel, fault);
        self.drain_router(now);
    }

    /// The answer to an [`Output::Lookup`].
    pub fn handle_lookup(&mut self, now: Instant, id: LookupId, answer: Answer) {
        self.router.handle_lookup(now, id, answer);
        self.drain_router(now);
    }

    /// The answer to an [`Output::LocalAddress`].
    pub fn handle_local_address(
        &mut self,
        now: Instant,
        query: QueryId,
        result: Result<IpAddr, io::ErrorKind>,
    ) {
        self.router.handle_local_address(now, query, result);
        self.drain_router(now);
    }

    /// Advances the time. Early calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.router.handle_timeout(now);
        self.drain_router(now);
        while let Some(&(at, connection)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            self.deadlines.remove(&connection);
            self.with(connection, |machine| machine.handle_timeout(now));
        }
    }

    // Outputs.

    /// The next output. Each call parses at most one message.
    #[must_use]
    pub fn poll_output(&mut self, now: Instant) -> Output {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            let Some(&connection) = self.touched.first() else {
                break;
            };
            self.drive(now, connection);
        }
        let connection = self.due.first().copied();
        let connection = connection.and_then(|(at, id)| {
            let (_, why) = self.connections.get(&id)?.poll_timeout()?;
            Some((at, why))
        });
        Output::Timeout(
            connection
                .into_iter()
                .chain(self.router.poll_timeout())
                .min(),
        )
    }

    // Inside.

    fn add_socket(&mut self, socket: SocketId) {
        if let Some(machine) = self.router.datagram_socket(socket) {
            self.sockets.insert(socket, machine);
        }
    }

    fn with<T>(
        &mut self,
        connection: ConnectionId,
        call: impl FnOnce(&mut Connection) -> T,
    ) -> Option<T> {
        let machine = self.connections.get_mut(&connection)?;
        self.touched.insert(connection);
        Some(call(machine))
    }
}
