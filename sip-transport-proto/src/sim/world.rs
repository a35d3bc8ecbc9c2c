//! Hosts on the network, each with the state machine of a transport.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::io::ErrorKind;
use std::time::Instant;

use super::crash::Crash;
use super::machine::Machine;
use super::network::{HostId, LookupHandle, Network, Ready, SocketHandle};
use super::summary::Summary;
use super::trace::Trace;
use crate::config::advertised::Advertised;
use crate::config::{ChannelConfig, Config};
use crate::error::{ChannelError, SendError};
use crate::event::Event;
use crate::ids::{ChannelId, ConnectionId, SendId, SocketId};
use crate::outgoing::Outgoing;
use crate::outgoing::outcome::Submitted;
use crate::outgoing::sent::{NextError, Sent};
use crate::protocol::Protocol;
use crate::resolve::{Family, LookupId};
use crate::transport::{Output, Transport};

/// Hosts on a [`Network`], each with a [`Machine`] whose outputs are carried out and whose inputs
/// come from the network.
///
/// A channel has one socket here, whatever [`ChannelConfig::sockets`] says, and carries one address
/// family.
#[derive(Debug)]
pub struct World<M = Transport> {
    network: Network,
    hosts: BTreeMap<HostId, WorldHost<M>>,
    owners: BTreeMap<SocketHandle, (HostId, Owner)>,
    lookups: BTreeMap<LookupHandle, (HostId, LookupId)>,
    events: VecDeque<(HostId, Event)>,
    /// The buffer for reads.
    buffer: Vec<u8>,
    /// The number of timeouts since time last advanced.
    timeouts: u32,
    captured: Option<Vec<Packet>>,
}

/// Bytes that a host sent, as they would be seen on the wire at the sender, whatever becomes of
/// them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Packet {
    /// Virtual time since the start.
    pub at: Duration,
    /// The host.
    pub host: HostId,
    /// The protocol of the channel or connection.
    pub protocol: Protocol,
    /// The channel, if it is (still) known.
    pub channel: Option<ChannelId>,
    /// The connection, if one carries it.
    pub connection: Option<ConnectionId>,
    /// The destination.
    pub remote: SocketAddr,
    /// A datagram, or the next piece of a stream.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
struct WorldHost<M> {
    machine: M,
    sockets: BTreeMap<SocketId, SocketHandle>,
    listeners: BTreeMap<ChannelId, SocketHandle>,
    streams: BTreeMap<ConnectionId, SocketHandle>,
    /// The last send to each destination, for errors that are reported later.
    sent: BTreeMap<(SocketHandle, SocketAddr), SendId>,
    deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    Datagrams(SocketId),
    Listener(ChannelId),
    Stream(ConnectionId),
}

/// The limit of timeouts at one instant: a machine that exceeds it would be due for ever.
const MAX_TIMEOUTS: u32 = 100_000;
/// The most bytes of one read.
const READ: usize = 64 * 1024;

impl<M: Machine> World<M> {
    /// A world without hosts. All randomness comes from `seed`; `start` is the first instant of
    /// virtual time, and may be any instant.
    pub fn new(seed: u64, start: Instant) -> Self {
        Self {
            network: Network::new(seed, start),
            hosts: BTreeMap::new(),
            owners: BTreeMap::new(),
            lookups: BTreeMap::new(),
            events: VecDeque::new(),
            buffer: vec![0; READ],
            timeouts: 0,
            captured: None,
        }
    }

    /// Adds a host with a machine.
    pub fn add_host(&mut self, name: &str, addresses: &[IpAddr], config: Config) -> HostId {
        let id = self.network.add_host(name, addresses);
        self.start(id, config);
        id
    }

    fn start(&mut self, host: HostId, config: Config) {
        let machine = M::new(config, self.network.random());
        self.hosts.insert(
            host,
            WorldHost {
                machine,
                sockets: BTreeMap::new(),
                listeners: BTreeMap::new(),
                streams: BTreeMap::new(),
                sent: BTreeMap::new(),
                deadline: None,
            },
        );
    }

    /// Crashes a host: its machine and its sockets are gone, and so are its events that were not
    /// fetched. Until it is [restarted](Self::restart), there is no such host.
    pub fn crash(&mut self, host: HostId, how: Crash) {
        self.hosts.remove(&host);
        self.owners.retain(|_, (owner, _)| *owner != host);
        self.lookups.retain(|_, (asker, _)| *asker != host);
        self.events.retain(|(of, _)| *of != host);
        self.network.crash(host, how);
    }

    /// Restarts a crashed host, with the same addresses and a new machine without channels. A host
    /// that is up crashes first.
    pub fn restart(&mut self, host: HostId, config: Config) {
        if self.is_up(host) {
            self.crash(host, Crash::Program);
        }
        self.network.restart(host);
        self.start(host, config);
    }

    /// Returns true if a host has a machine, and has not crashed.
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts.contains_key(&host)
    }

    /// Starts capturing what hosts send.
    pub fn capture(&mut self) {
        self.captured.get_or_insert_default();
    }

    /// The packets that hosts have sent since [`capture`](Self::capture), in order.
    pub fn captured(&self) -> &[Packet] {
        self.captured.as_deref().unwrap_or_default()
    }

    /// Binds a channel's socket, port 0 taking a free one, and adds the channel.
    ///
    /// # Errors
    /// The network or the machine refused it.
    pub fn add_channel(
        &mut self,
        host: HostId,
        mut config: ChannelConfig,
    ) -> Result<ChannelId, io::Error> {
        if !self.is_up(host) {
            return Err(ErrorKind::NotFound.into());
        }
        let datagrams = config.protocol == Protocol::Udp;
        let socket = match (datagrams, config.listener) {
            (true, _) => Some(self.network.bind(host, config.local)?),
            (false, true) => Some(self.network.listen(host, config.local)?),
            (false, false) => None,
        };
        if let Some(local) = socket.and_then(|socket| self.network.local_addr(socket)) {
            config.local = local;
        }
        for group in config.groups.iter().map(|joined| joined.group.into()) {
            socket.map_or(Ok(()), |socket| self.network.join(socket, group))?;
        }
        let entry = self.hosts.get_mut(&host).ok_or(ErrorKind::NotFound)?;
        let channel = match entry.machine.add_channel(config) {
            Ok(channel) => channel,
            Err(error) => {
                socket
                    .into_iter()
                    .for_each(|socket| self.network.close(socket));
                return Err(io::Error::other(error));
            }
        };
        if let Some(socket) = socket {
            let owner = if datagrams {
                entry.sockets.insert(channel.socket(0), socket);
                Owner::Datagrams(channel.socket(0))
            } else {
                entry.listeners.insert(channel, socket);
                Owner::Listener(channel)
            };
            self.owners.insert(socket, (host, owner));
        }
        self.drain(host);
        Ok(channel)
    }

    /// Removes a channel and closes its sockets. Returns false if there is none.
    pub fn remove_channel(&mut self, host: HostId, channel: ChannelId) -> bool {
        let now = self.network.now();
        let Some(entry) = self.hosts.get_mut(&host) else {
            return false;
        };
        let sockets = [
            entry.sockets.remove(&channel.socket(0)),
            entry.listeners.remove(&channel),
        ];
        let known = entry.machine.remove_channel(now, channel).is_ok();
        for socket in sockets.into_iter().flatten() {
            self.owners.remove(&socket);
            self.network.close(socket);
        }
        self.drain(host);
        known
    }

    /// Changes the host that a channel advertises.
    ///
    /// # Errors
    /// There is no such channel.
    ///
    /// # Panics
    /// There is no such host.
    pub fn advertise(
        &mut self,
        host: HostId,
        channel: ChannelId,
        family: Family,
        advertised: Option<Advertised>,
    ) -> Result<(), ChannelError> {
        let now = self.network.now();
        let machine = &mut self.host_mut(host).machine;
        machine.advertise(now, channel, family, advertised)
    }

    /// Sends a message from a host.
    ///
    /// # Errors
    /// As for [`Transport::send`].
    ///
    /// # Panics
    /// There is no such host.
    pub fn send(&mut self, host: HostId, outgoing: Box<Outgoing>) -> Result<Submitted, SendError> {
        let now = self.network.now();
        let result = self.host_mut(host).machine.send(now, outgoing);
        self.submitted(host, &result);
        result
    }

    /// Prepares a message for its next target, to be passed to [`send`](Self::send).
    ///
    /// # Errors
    /// As for [`Transport::try_next`].
    ///
    /// # Panics
    /// There is no such host.
    pub fn try_next(&mut self, host: HostId, sent: Sent) -> Result<Box<Outgoing>, NextError> {
        let now = self.network.now();
        self.host_mut(host).machine.try_next(now, sent)
    }

    fn submitted(&mut self, host: HostId, result: &Result<Submitted, SendError>) {
        let text: &dyn fmt::Display = match result {
            Ok(Submitted::Sent(_)) => &"sent",
            Ok(Submitted::Waiting(_)) => &"send waits",
            Err(error) => error,
        };
        let name = self.network.host_name(host).to_owned();
        self.network.note(format_args!("{name}: {text}"));
        self.drain(host);
    }

    /// Marks the peer of a host's connection as trusted. Returns false if there is no such
    /// connection.
    ///
    /// # Panics
    /// There is no such host.
    pub fn trust(&mut self, host: HostId, connection: ConnectionId) -> bool {
        self.host_mut(host).machine.trust(connection)
    }

    /// Asks a host to close a connection. Returns false if there is none.
    ///
    /// # Panics
    /// There is no such host.
    pub fn close(&mut self, host: HostId, connection: ConnectionId) -> bool {
        let now = self.network.now();
        let known = self.host_mut(host).machine.close(now, connection);
        self.drain(host);
        known
    }

    /// Shuts a host's machine down.
    ///
    /// # Panics
    /// There is no such host.
    pub fn shutdown(&mut self, host: HostId) {
        let now = self.network.now();
        self.host_mut(host).machine.shutdown(now);
        self.drain(host);
    }

    /// Returns the next event of any host within `patience`; otherwise, that time has passed.
    pub fn next_event(&mut self, patience: Duration) -> Option<(HostId, Event)> {
        self.next_event_by(self.network.now() + patience)
    }

    /// Returns the next event of any host until `by`; otherwise, the time is `by`.
    ///
    /// # Panics
    /// A machine stays due however often its timeout is handled.
    pub fn next_event_by(&mut self, by: Instant) -> Option<(HostId, Event)> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if let Some(ready) = self.network.poll_ready() {
                self.handle(ready);
                continue;
            }
            let now = self.network.now();
            let due = self
                .hosts
                .iter()
                .find(|(_, h)| h.deadline.is_some_and(|at| at <= now));
            if let Some((&host, _)) = due {
                self.timeouts = self.timeouts.saturating_add(1);
                assert!(self.timeouts < MAX_TIMEOUTS, "a machine stays due for ever");
                self.host_mut(host).machine.handle_timeout(now);
                self.drain(host);
                continue;
            }
            let deadlines = self.hosts.values().filter_map(|host| host.deadline);
            match deadlines.chain(self.network.next_event_at()).min() {
                Some(at) if at <= by => self.advance(at),
                _ => {
                    self.advance(by);
                    return None;
                }
            }
        }
    }

    /// The time of the next event without further input; `None` if there will be none.
    pub fn next_event_at(&self) -> Option<Instant> {
        let deadlines = self.hosts.values().filter_map(|host| host.deadline);
        deadlines.chain(self.network.next_event_at()).min()
    }

    /// Returns true if a host's machine waits for nothing but input.
    ///
    /// # Panics
    /// There is no such host.
    pub fn is_idle(&self, host: HostId) -> bool {
        match self.hosts.get(&host) {
            Some(host) => host.deadline.is_none(),
            None => panic!("no such host"),
        }
    }

    /// A host's machine.
    ///
    /// # Panics
    /// There is no such host.
    pub fn machine(&self, host: HostId) -> &M {
        match self.hosts.get(&host) {
            Some(host) => &host.machine,
            None => panic!("no such host"),
        }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network, to set links, cuts and names, and for sockets of your own.
    pub fn network_mut(&mut self) -> &mut Network {
        &mut self.network
    }

    /// The trace so far.
    pub fn trace(&self) -> &Trace {
        self.network.trace()
    }

    // Inside.

    fn host_mut(&mut self, host: HostId) -> &mut WorldHost<M> {
        match self.hosts.get_mut(&host) {
            Some(host) => host,
            None => panic!("no such host"),
        }
    }

    fn advance(&mut self, to: Instant) {
        if to > self.network.now() {
            self.timeouts = 0;
        }
        self.network.advance(to);
    }

    fn handle(&mut self, ready: Ready) {
        let now = self.network.now();
        match ready {
            Ready::Datagram(socket) => {
                if let Some(&(host, Owner::Datagrams(id))) = self.owners.get(&socket) {
                    while let Some(datagram) = self.network.recv_datagram(socket) {
                        let local = Some(datagram.local);
                        let machine = &mut self.host_mut(host).machine;
                        machine.handle_datagram(now, id, datagram.remote, local, &datagram.data);
                        self.drain(host);
                    }
                }
            }
            Ready::Accept(listener) => {
                if let Some(&(host, Owner::Listener(channel))) = self.owners.get(&listener) {
                    while let Ok((stream, remote)) = self.network.accept(listener) {
                        self.accept(host, channel, stream, remote);
                    }
                }
            }
            Ready::Connected(stream) => {
                if let Some((host, id)) = self.stream(stream)
                    && let Some(local) = self.network.local_addr(stream)
                {
                    self.host_mut(host).machine.handle_connected(now, id, local);
                    self.drain(host);
                }
            }
            Ready::ConnectFailed(stream, kind) => {
                if let Some((host, id)) = self.stream(stream) {
                    self.host_mut(host).machine.handle_error(id, kind);
                    self.drain(host);
                }
            }
            Ready::Readable(stream) => {
                if let Some((host, id)) = self.stream(stream) {
                    self.read(host, id, stream);
                }
            }
            Ready::Writable(stream) => {
                if let Some((host, id)) = self.stream(stream) {
                    self.write(host, id);
                    self.drain(host);
                }
            }
            Ready::Unreachable {
                socket,
                destination,
            } => {
                if let Some(&(host, Owner::Datagrams(_))) = self.owners.get(&socket) {
                    let entry = self.host_mut(host);
                    let send = entry.sent.remove(&(socket, destination));
                    let kind = ErrorKind::ConnectionRefused;
                    entry
                        .machine
                        .handle_datagram_failed(now, send, destination, kind);
                    self.drain(host);
                }
            }
            Ready::LookedUp { lookup, answer } => {
                if let Some((host, id)) = self.lookups.remove(&lookup) {
                    self.host_mut(host).machine.handle_lookup(now, id, answer);
                    self.drain(host);
                }
            }
        }
    }

    fn stream(&self, stream: SocketHandle) -> Option<(HostId, ConnectionId)> {
        match self.owners.get(&stream) {
            Some(&(host, Owner::Stream(id))) => Some((host, id)),
            _ => None,
        }
    }

    fn accept(
        &mut self,
        host: HostId,
        channel: ChannelId,
        stream: SocketHandle,
        remote: SocketAddr,
    ) {
        let now = self.network.now();
        let Some(local) = self.network.local_addr(stream) else {
            return;
        };
        let entry = self.host_mut(host);
        match entry.machine.handle_accepted(now, channel, local, remote) {
            Ok(id) => {
                entry.streams.insert(id, stream);
                self.owners.insert(stream, (host, Owner::Stream(id)));
            }
            Err(_) => self.network.close(stream),
        }
        self.drain(host);
    }

    fn read(&mut self, host: HostId, id: ConnectionId, stream: SocketHandle) {
        let now = self.network.now();
        let mut space = core::mem::take(&mut self.buffer);
        loop {
            let machine = &mut self.host_mut(host).machine;
            let capacity = machine.recv_capacity(id).min(READ);
            let buffer = space.get_mut(..capacity).unwrap_or_default();
            if buffer.is_empty() {
                break;
            }
            let result = self.network.read(stream, buffer);
            let machine = &mut self.host_mut(host).machine;
            match result {
                Ok(0) => machine.handle_eof(id),
                Ok(n) => {
                    machine.handle_data(now, id, buffer.get(..n).unwrap_or_default());
                }
                Err(ErrorKind::WouldBlock) => break,
                Err(kind) => machine.handle_error(id, kind),
            }
            self.drain(host);
            if !matches!(result, Ok(1..)) {
                break;
            }
        }
        self.buffer = space;
    }

    fn write(&mut self, host: HostId, id: ConnectionId) {
        let now = self.network.now();
        // Not by `host_mut`: the network is borrowed while the machine's bytes are written.
        let Some(entry) = self.hosts.get_mut(&host) else {
            return;
        };
        let Some(&stream) = entry.streams.get(&id) else {
            return;
        };
        let bytes = entry.machine.transmit(id);
        match self.network.write(stream, bytes) {
            Ok(n) => {
                if let Some(captured) = &mut self.captured
                    && let Some(info) = entry.machine.router().connection(id)
                {
                    captured.push(Packet {
                        at: self.network.elapsed(),
                        host,
                        protocol: info.remote.protocol,
                        channel: info.remote.channel,
                        connection: Some(id),
                        remote: info.remote.addr,
                        bytes: bytes.get(..n).unwrap_or_default().to_vec(),
                    });
                }
                entry.machine.handle_written(now, id, n);
            }
            Err(ErrorKind::WouldBlock) => {}
            Err(kind) => entry.machine.handle_error(id, kind),
        }
    }

    /// Carries out the outputs of a host's machine, one by one, until there are none.
    fn drain(&mut self, host: HostId) {
        let now = self.network.now();
        let mut todo = VecDeque::new();
        loop {
            let entry = self.host_mut(host);
            match entry.machine.poll_output(now) {
                Output::Timeout(at) => {
                    entry.deadline = at.map(|(at, _)| at);
                    match todo.pop_front() {
                        Some(output) => self.perform(host, output),
                        None => return,
                    }
                }
                output => todo.push_back(output),
            }
        }
    }

    fn perform(&mut self, host: HostId, output: Output) {
        let now = self.network.now();
        match output {
            Output::Event(event) => {
                let name = self.network.host_name(host).to_owned();
                self.network
                    .note(format_args!("{name}: {}", Summary(&event)));
                self.events.push_back((host, event));
            }
            Output::Datagram {
                socket: id,
                transmit,
            } => {
                let socket = self.host_mut(host).sockets.get(&id).copied();
                let result = match socket {
                    Some(socket) => {
                        if let Some(send) = transmit.send {
                            let key = (socket, transmit.destination);
                            self.host_mut(host).sent.insert(key, send);
                        }
                        let (source, destination) = (transmit.source, transmit.destination);
                        let bytes = &transmit.bytes;
                        if let Some(captured) = &mut self.captured {
                            captured.push(Packet {
                                at: self.network.elapsed(),
                                host,
                                protocol: Protocol::Udp,
                                channel: Some(id.channel),
                                connection: None,
                                remote: destination,
                                bytes: bytes.to_vec(),
                            });
                        }
                        self.network
                            .send_datagram(socket, source, destination, bytes)
                    }
                    None => Err(ErrorKind::NotConnected),
                };
                if let Err(kind) = result {
                    let machine = &mut self.host_mut(host).machine;
                    let remote = transmit.destination;
                    machine.handle_datagram_failed(now, transmit.send, remote, kind);
                }
            }
            Output::Writable(id) => self.write(host, id),
            Output::Connect {
                connection,
                remote,
                local,
            } => match self.network.connect(host, local, remote) {
                Ok(stream) => {
                    self.host_mut(host).streams.insert(connection, stream);
                    let owner = Owner::Stream(connection);
                    self.owners.insert(stream, (host, owner));
                }
                Err(kind) => self.host_mut(host).machine.handle_error(connection, kind),
            },
            Output::Close(id) => {
                if let Some(stream) = self.host_mut(host).streams.remove(&id) {
                    self.owners.remove(&stream);
                    self.network.close(stream);
                }
            }
            Output::Bind { channel, local } => {
                let result = self.network.bind(host, local);
                if let Ok(socket) = result {
                    let id = channel.socket(0);
                    self.host_mut(host).sockets.insert(id, socket);
                    self.owners.insert(socket, (host, Owner::Datagrams(id)));
                }
                let local = |socket| self.network.local_addr(socket).ok_or(ErrorKind::NotFound);
                let result = result.and_then(local);
                self.host_mut(host)
                    .machine
                    .handle_bound(now, channel, result);
            }
            Output::Lookup { id, kind, name } => {
                let lookup = self.network.lookup(host, kind, &name);
                self.lookups.insert(lookup, (host, id));
            }
            Output::LocalAddress { query, remote } => {
                let result = self.network.local_address(host, remote.ip());
                let machine = &mut self.host_mut(host).machine;
                machine.handle_local_address(now, query, result);
            }
            // An answer that nobody waits for is ignored; a timeout is never queued, and no plans
            // are requested here.
            Output::CancelLookup(_) | Output::Timeout(_) | Output::Planned { .. } => {}
        }
    }
}
