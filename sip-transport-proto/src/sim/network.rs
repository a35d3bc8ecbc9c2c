use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::time::Instant;

use super::link::Link;
use super::random::Random;
use super::stream::{Payload, Segment, State, Stream};
use super::trace::{Digest, Trace};

/// When a lost segment or a SYN comes again.
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// How long a socket stays blocked that is so by chance.
const BLOCKED: Duration = Duration::from_millis(1);
/// The largest UDP payload.
const MAX_DATAGRAM: usize = 65_507;
const FIRST_EPHEMERAL_PORT: u16 = 49_152;

/// A host on a [`Network`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostId(usize);

/// A datagram socket, a listener or one end of a stream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Socket(u64);

/// A question for the addresses of a name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lookup(u64);

/// What a name has for an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// An error.
    Fails(ErrorKind),
    /// None, ever.
    Never,
}

/// A datagram that came.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Datagram {
    /// Where from.
    pub remote: SocketAddr,
    /// The address that it was sent to.
    pub local: IpAddr,
    /// Its payload.
    pub data: Vec<u8>,
}

/// Something that an owner of sockets may act on. Ready or not, every call can be made at any
/// time; a socket that was closed meanwhile may still be named.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ready {
    /// [`Network::recv_datagram`] has something.
    Datagram(Socket),
    /// [`Network::accept`] has something.
    Accept(Socket),
    /// A stream is open.
    Connected(Socket),
    /// A stream could not be opened.
    ConnectFailed(Socket, ErrorKind),
    /// A stream has bytes, an end or an error to read.
    Readable(Socket),
    /// A stream that said `WouldBlock` to a write has room again.
    Writable(Socket),
    /// A datagram found nobody there, and word of it came back (ICMP).
    Unreachable {
        /// The socket that had sent it.
        socket: Socket,
        /// Where it had gone.
        destination: SocketAddr,
    },
    /// An answer came.
    LookedUp {
        /// The question.
        lookup: Lookup,
        /// The answer.
        result: Result<Vec<IpAddr>, ErrorKind>,
    },
}

/// A network of hosts in virtual time: datagrams, streams, names, routes, and what goes wrong with
/// them.
///
/// Calls answer at once, as non-blocking system calls do. What takes time happens in
/// [`advance`](Self::advance); what became possible is told by [`poll_ready`](Self::poll_ready).
#[derive(Debug)]
pub struct Network {
    start: Instant,
    now: Instant,
    random: Random,
    trace: Trace,
    hosts: Vec<Host>,
    by_ip: BTreeMap<IpAddr, HostId>,
    default_link: Link,
    links: BTreeMap<(HostId, HostId), Link>,
    cuts: BTreeSet<(HostId, HostId)>,
    names: BTreeMap<String, Answer>,
    datagrams: BTreeMap<Socket, DatagramSocket>,
    listeners: BTreeMap<Socket, Listener>,
    streams: BTreeMap<Socket, Stream>,
    bound: BTreeMap<(HostId, bool, SocketAddr), Socket>,
    agenda: BTreeMap<(Instant, u64), Happening>,
    ready: VecDeque<Ready>,
    next: u64,
}

#[derive(Debug)]
struct Host {
    name: String,
    addresses: Vec<IpAddr>,
    routes: BTreeMap<IpAddr, Result<IpAddr, ErrorKind>>,
    sockets: usize,
    max_sockets: usize,
    next_port: u16,
}

#[derive(Debug)]
struct DatagramSocket {
    host: HostId,
    local: SocketAddr,
    inbox: VecDeque<Datagram>,
}

#[derive(Debug)]
struct Listener {
    host: HostId,
    local: SocketAddr,
    backlog: VecDeque<Socket>,
}

#[derive(Debug)]
enum Happening {
    Datagram {
        from: Socket,
        source: SocketAddr,
        destination: SocketAddr,
        data: Vec<u8>,
    },
    Unreachable {
        socket: Socket,
        destination: SocketAddr,
    },
    Syn(Socket),
    Refused(Socket),
    /// The first segment of this stream's direction arrives.
    Segment(Socket),
    Writable(Socket),
    Readable(Socket),
    LookedUp(Lookup, Result<Vec<IpAddr>, ErrorKind>),
}

impl Network {
    /// An empty network. All chance comes from `seed`; `start` is the first instant of virtual
    /// time, any will do.
    pub fn new(seed: u64, start: Instant) -> Self {
        Self {
            start,
            now: start,
            random: Random::new(seed),
            trace: Trace::default(),
            hosts: Vec::new(),
            by_ip: BTreeMap::new(),
            default_link: Link::default(),
            links: BTreeMap::new(),
            cuts: BTreeSet::new(),
            names: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            listeners: BTreeMap::new(),
            streams: BTreeMap::new(),
            bound: BTreeMap::new(),
            agenda: BTreeMap::new(),
            ready: VecDeque::new(),
            next: 0,
        }
    }

    // Time.

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// When the next thing happens by itself; `None` if nothing will.
    pub fn next_event_at(&self) -> Option<Instant> {
        self.agenda.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Lets everything happen that is due by `to`, and makes that the time. Never goes back.
    pub fn advance(&mut self, to: Instant) {
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= to
        {
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(happening);
        }
        self.now = self.now.max(to);
    }

    /// What became possible since the last call, in order; `None` when all is told.
    pub fn poll_ready(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }

    /// What happened so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, what: fmt::Arguments<'_>) {
        let at = self.elapsed();
        self.trace.note(at, what);
    }

    /// Bytes that depend on the seed only, for the seeds of what runs on the network.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        self.random.array()
    }

    // Hosts and what lies between them.

    /// Adds a host with these addresses. Every host has its own loopback besides.
    pub fn add_host(&mut self, name: &str, addresses: &[IpAddr]) -> HostId {
        let id = HostId(self.hosts.len());
        self.by_ip.extend(addresses.iter().map(|&ip| (ip, id)));
        self.hosts.push(Host {
            name: name.to_owned(),
            addresses: addresses.to_vec(),
            routes: BTreeMap::new(),
            sockets: 0,
            max_sockets: usize::MAX,
            next_port: FIRST_EPHEMERAL_PORT,
        });
        id
    }

    /// A host's name.
    pub fn host_name(&self, host: HostId) -> &str {
        self.hosts.get(host.0).map_or("", |host| &host.name)
    }

    /// How many sockets of all kinds a host may have open; more give
    /// [`ErrorKind::QuotaExceeded`], as `EMFILE` would be.
    pub fn set_socket_limit(&mut self, host: HostId, limit: usize) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.max_sockets = limit;
        }
    }

    /// How many sockets of all kinds a host has open.
    pub fn open_sockets(&self, host: HostId) -> usize {
        self.hosts.get(host.0).map_or(0, |host| host.sockets)
    }

    /// Says how packets travel where no other link is set.
    pub fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    /// Says how packets travel between two hosts, both ways.
    pub fn set_link(&mut self, a: HostId, b: HostId, link: Link) {
        self.links.insert((a.min(b), a.max(b)), link);
    }

    /// Cuts two hosts off from each other: datagrams are lost, streams stand still.
    pub fn cut(&mut self, a: HostId, b: HostId) {
        self.cuts.insert((a.min(b), a.max(b)));
        self.note_cut("cut", a, b);
    }

    /// Joins two hosts again.
    pub fn heal(&mut self, a: HostId, b: HostId) {
        self.cuts.remove(&(a.min(b), a.max(b)));
        self.note_cut("healed", a, b);
    }

    fn note_cut(&mut self, what: &str, a: HostId, b: HostId) {
        let (a, b) = (self.host_name(a).to_owned(), self.host_name(b).to_owned());
        self.note(format_args!("{what} {a} {b}"));
    }

    /// Gives a name an answer. Names without one are not found.
    pub fn set_name(&mut self, name: &str, answer: Answer) {
        self.names.insert(name.to_ascii_lowercase(), answer);
    }

    /// Says which address a host sends from towards `remote`, or that it has no way there.
    /// Without it, the first address of the same family.
    pub fn set_route(&mut self, host: HostId, remote: IpAddr, local: Result<IpAddr, ErrorKind>) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.routes.insert(remote, local);
        }
    }

    /// The address that a host sends from towards `remote`.
    ///
    /// # Errors
    /// It has none of that family, or [`set_route`](Self::set_route) said so.
    pub fn local_address(&self, host: HostId, remote: IpAddr) -> Result<IpAddr, ErrorKind> {
        if remote.is_loopback() {
            return Ok(remote);
        }
        let host = self.hosts.get(host.0).ok_or(ErrorKind::NotFound)?;
        if let Some(route) = host.routes.get(&remote) {
            return *route;
        }
        let same = |ip: &&IpAddr| ip.is_ipv4() == remote.is_ipv4();
        let first = host.addresses.iter().find(same);
        first.copied().ok_or(ErrorKind::NetworkUnreachable)
    }

    /// Asks for the addresses of a name; [`Ready::LookedUp`] answers.
    pub fn lookup(&mut self, host: HostId, name: &str) -> Lookup {
        let lookup = Lookup(self.fresh());
        let answer = self.names.get(&name.to_ascii_lowercase()).cloned();
        self.note(format_args!("lookup {name}: {answer:?}"));
        let result = match answer {
            None => Err(ErrorKind::NotFound),
            Some(Answer::Addresses(ips)) => Ok(ips),
            Some(Answer::Fails(kind)) => Err(kind),
            Some(Answer::Never) => return lookup,
        };
        let at = self.now + self.delay(host, host, 2);
        self.plan(at, Happening::LookedUp(lookup, result));
        lookup
    }

    // Datagrams.

    /// Opens a datagram socket. Port 0 takes a free one.
    ///
    /// # Errors
    /// The address is not the host's, is taken, or there are too many sockets.
    pub fn bind(&mut self, host: HostId, local: SocketAddr) -> Result<Socket, ErrorKind> {
        let (socket, local) = self.take_address(host, false, local)?;
        let inbox = VecDeque::new();
        self.datagrams
            .insert(socket, DatagramSocket { host, local, inbox });
        Ok(socket)
    }

    /// Sends a datagram, from `source` if the socket is bound to all addresses.
    ///
    /// # Errors
    /// It is larger than a datagram can be (`InvalidInput`), there is no way there, or the socket
    /// is closed. A datagram that is lost is no error.
    pub fn send_datagram(
        &mut self,
        socket: Socket,
        source: Option<IpAddr>,
        destination: SocketAddr,
        data: &[u8],
    ) -> Result<(), ErrorKind> {
        let from = self.datagrams.get(&socket).ok_or(ErrorKind::NotConnected)?;
        let (host, local) = (from.host, from.local);
        if local.is_ipv4() != destination.is_ipv4() {
            return Err(ErrorKind::AddrNotAvailable);
        }
        if data.len() > MAX_DATAGRAM {
            return Err(ErrorKind::InvalidInput);
        }
        if destination.port() == 0 || destination.ip().is_unspecified() {
            return Err(ErrorKind::InvalidInput);
        }
        let ip = match source {
            Some(ip) if local.ip().is_unspecified() => {
                self.check_local(host, ip)?;
                ip
            }
            _ if local.ip().is_unspecified() => self.local_address(host, destination.ip())?,
            _ => local.ip(),
        };
        let source = SocketAddr::new(ip, local.port());
        let fate = self.send_packet(socket, host, source, destination, data);
        self.note(format_args!(
            "udp {source} > {destination} {} {fate}",
            Digest(data)
        ));
        Ok(())
    }

    fn send_packet(
        &mut self,
        from: Socket,
        host: HostId,
        source: SocketAddr,
        destination: SocketAddr,
        data: &[u8],
    ) -> &'static str {
        let Some(to) = self.host_at(host, destination.ip()) else {
            return "(nowhere)";
        };
        if self.is_cut(host, to) {
            return "(cut)";
        }
        let link = self.link(host, to).clone();
        let pieces = data.len().max(1).div_ceil(link.mtu.max(1));
        if pieces > 1 && !link.fragments {
            return "(too long)";
        }
        if (0..pieces).any(|_| self.random.chance(link.loss)) {
            return "(lost)";
        }
        let copies = if self.random.chance(link.duplication) {
            2
        } else {
            1
        };
        let mut fate = if copies > 1 { "(twice)" } else { "" };
        for _ in 0..copies {
            let mut trips = 1;
            if self.random.chance(link.reordering) {
                fate = "(slow)";
                trips = 3;
            }
            let at = self.now + self.delay(host, to, trips);
            let data = data.to_vec();
            self.plan(
                at,
                Happening::Datagram {
                    from,
                    source,
                    destination,
                    data,
                },
            );
        }
        fate
    }

    /// Takes the next datagram that came.
    pub fn recv_datagram(&mut self, socket: Socket) -> Option<Datagram> {
        self.datagrams.get_mut(&socket)?.inbox.pop_front()
    }

    // Streams.

    /// Starts to listen. Port 0 takes a free one.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind).
    pub fn listen(&mut self, host: HostId, local: SocketAddr) -> Result<Socket, ErrorKind> {
        let (socket, local) = self.take_address(host, true, local)?;
        let backlog = VecDeque::new();
        self.listeners.insert(
            socket,
            Listener {
                host,
                local,
                backlog,
            },
        );
        Ok(socket)
    }

    /// Takes the next stream that a listener has, with the address of its far end.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `QuotaExceeded` if there are too many sockets.
    pub fn accept(&mut self, listener: Socket) -> Result<(Socket, SocketAddr), ErrorKind> {
        let entry = self
            .listeners
            .get(&listener)
            .ok_or(ErrorKind::NotConnected)?;
        let host = entry.host;
        let &stream = entry.backlog.front().ok_or(ErrorKind::WouldBlock)?;
        self.count_socket(host)?;
        if let Some(entry) = self.listeners.get_mut(&listener) {
            entry.backlog.pop_front();
        }
        let remote = self.remote_addr(stream).ok_or(ErrorKind::NotConnected)?;
        Ok((stream, remote))
    }

    /// Opens a stream, from `local` or the address that the routes say. [`Ready::Connected`] or
    /// [`Ready::ConnectFailed`] tells how it ended; to a host that is not there or cut off it never
    /// ends.
    ///
    /// # Errors
    /// There is no way there, or there are too many sockets.
    pub fn connect(
        &mut self,
        host: HostId,
        local: Option<IpAddr>,
        remote: SocketAddr,
    ) -> Result<Socket, ErrorKind> {
        let ip = match local {
            Some(ip) => ip,
            None => self.local_address(host, remote.ip())?,
        };
        let (socket, local) = self.take_address(host, true, SocketAddr::new(ip, 0))?;
        // An ephemeral port of a stream is no listener's.
        self.bound.remove(&(host, true, local));
        self.streams
            .insert(socket, Stream::new(host, local, remote, State::Connecting));
        self.note(format_args!("tcp {local} > {remote} connect"));
        self.send_syn(socket);
        Ok(socket)
    }

    /// Whether a stream is open yet.
    ///
    /// # Errors
    /// What it failed of.
    pub fn is_connected(&self, stream: Socket) -> Result<bool, ErrorKind> {
        match self.streams.get(&stream).map(|stream| stream.state) {
            Some(State::Connecting) => Ok(false),
            Some(State::Open) => Ok(true),
            Some(State::Failed(kind)) => Err(kind),
            Some(State::Closed) | None => Err(ErrorKind::NotConnected),
        }
    }

    /// Writes some of `data` and says how much.
    ///
    /// # Errors
    /// `WouldBlock` while there is no room, [`Ready::Writable`] then follows; or what the stream
    /// failed of.
    pub fn write(&mut self, stream: Socket, data: &[u8]) -> Result<usize, ErrorKind> {
        let entry = self.streams.get(&stream).ok_or(ErrorKind::NotConnected)?;
        match entry.state {
            State::Open if entry.shut => return Err(ErrorKind::BrokenPipe),
            State::Open => {}
            State::Connecting => return Err(ErrorKind::WouldBlock),
            State::Failed(kind) => return Err(kind),
            State::Closed => return Err(ErrorKind::NotConnected),
        }
        if data.is_empty() {
            return Ok(0);
        }
        let (host, local, remote, peer) = (entry.host, entry.local, entry.remote, entry.peer);
        let used = entry.in_flight().saturating_add(self.unread(peer));
        let link = self.link_to(host, remote.ip()).clone();
        let room = link.window.saturating_sub(used);
        if room == 0 {
            self.set_blocked(stream);
            return Err(ErrorKind::WouldBlock);
        }
        if self.random.chance(link.would_block) {
            let at = self.now + BLOCKED;
            self.plan(at, Happening::Writable(stream));
            return Err(ErrorKind::WouldBlock);
        }
        if self.random.chance(link.reset) {
            self.note(format_args!("tcp {local} > {remote} breaks"));
            self.reset(stream);
            return Err(ErrorKind::ConnectionReset);
        }
        let most = self.random.within(&link.write_sizes).max(1);
        let n = data.len().min(room).min(most);
        let taken = data.get(..n).unwrap_or_default();
        self.note(format_args!("tcp {local} > {remote} {}", Digest(taken)));
        self.send_segment(stream, Payload::Data(taken.to_vec()));
        Ok(n)
    }

    /// Reads into `buffer` and says how much; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` while there is nothing, [`Ready::Readable`] then follows; or what the stream
    /// failed of, once everything before that is read.
    pub fn read(&mut self, stream: Socket, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let entry = self.streams.get(&stream).ok_or(ErrorKind::NotConnected)?;
        let (host, remote, peer) = (entry.host, entry.remote, entry.peer);
        if entry.inbox.is_empty() {
            return match entry.state {
                State::Failed(kind) => Err(kind),
                State::Closed => Err(ErrorKind::NotConnected),
                _ if entry.eof => Ok(0),
                _ => Err(ErrorKind::WouldBlock),
            };
        }
        let link = self.link_to(host, remote.ip()).clone();
        if self.random.chance(link.would_block) {
            let at = self.now + BLOCKED;
            self.plan(at, Happening::Readable(stream));
            return Err(ErrorKind::WouldBlock);
        }
        let most = self.random.within(&link.read_sizes).max(1);
        let Some(entry) = self.streams.get_mut(&stream) else {
            return Err(ErrorKind::NotConnected);
        };
        let n = buffer.len().min(most).min(entry.inbox.len());
        for (to, from) in buffer.iter_mut().zip(entry.inbox.drain(..n)) {
            *to = from;
        }
        self.unblock(host, remote, peer);
        Ok(n)
    }

    /// Closes our direction of a stream. What was written still arrives.
    pub fn shutdown(&mut self, stream: Socket) {
        if let Some(entry) = self.streams.get_mut(&stream)
            && entry.state == State::Open
            && !core::mem::replace(&mut entry.shut, true)
        {
            self.send_segment(stream, Payload::End);
        }
    }

    /// Breaks a stream: the far end gets `ConnectionReset` once it has read what came before.
    pub fn reset(&mut self, stream: Socket) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.outgoing.clear();
            entry.state = State::Failed(ErrorKind::ConnectionReset);
            self.ready.push_back(Ready::Readable(stream));
            self.send_segment(stream, Payload::Reset);
        }
    }

    // Any socket.

    /// Closes a socket of any kind. A stream with bytes left to read breaks, as with TCP.
    pub fn close(&mut self, socket: Socket) {
        if let Some(gone) = self.datagrams.remove(&socket) {
            self.bound.remove(&(gone.host, false, gone.local));
            self.uncount_socket(gone.host);
        } else if let Some(gone) = self.listeners.remove(&socket) {
            self.bound.remove(&(gone.host, true, gone.local));
            self.uncount_socket(gone.host);
            gone.backlog
                .into_iter()
                .for_each(|stream| self.abandon(stream));
        } else if let Some(entry) = self.streams.get(&socket)
            && entry.state != State::Closed
        {
            self.uncount_socket(entry.host);
            self.abandon(socket);
        }
    }

    /// The address of a socket.
    pub fn local_addr(&self, socket: Socket) -> Option<SocketAddr> {
        self.datagrams
            .get(&socket)
            .map(|socket| socket.local)
            .or_else(|| self.listeners.get(&socket).map(|socket| socket.local))
            .or_else(|| self.streams.get(&socket).map(|socket| socket.local))
    }

    /// The address of a stream's far end.
    pub fn remote_addr(&self, stream: Socket) -> Option<SocketAddr> {
        self.streams.get(&stream).map(|stream| stream.remote)
    }

    // Inside: packets.

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Datagram {
                from,
                source,
                destination,
                data,
            } => self.datagram_came(from, source, destination, data),
            Happening::Unreachable {
                socket,
                destination,
            } => self.ready.push_back(Ready::Unreachable {
                socket,
                destination,
            }),
            Happening::Syn(stream) => self.syn_came(stream),
            Happening::Refused(stream) => self.fail(stream, ErrorKind::ConnectionRefused),
            Happening::Segment(stream) => self.segment_came(stream),
            Happening::Writable(stream) => self.ready.push_back(Ready::Writable(stream)),
            Happening::Readable(stream) => self.ready.push_back(Ready::Readable(stream)),
            Happening::LookedUp(lookup, result) => {
                self.ready.push_back(Ready::LookedUp { lookup, result });
            }
        }
    }

    fn datagram_came(
        &mut self,
        from: Socket,
        source: SocketAddr,
        destination: SocketAddr,
        data: Vec<u8>,
    ) {
        let Some(sender) = self.datagrams.get(&from).map(|socket| socket.host) else {
            return;
        };
        let Some(host) = self.host_at(sender, destination.ip()) else {
            return;
        };
        let target = self.socket_at(host, false, destination);
        match target.and_then(|socket| Some((socket, self.datagrams.get_mut(&socket)?))) {
            Some((socket, entry)) => {
                entry.inbox.push_back(Datagram {
                    remote: source,
                    local: destination.ip(),
                    data,
                });
                self.ready.push_back(Ready::Datagram(socket));
            }
            None => {
                self.note(format_args!("udp {source} > {destination} (nobody there)"));
                let at = self.now + self.delay(host, sender, 1);
                self.plan(
                    at,
                    Happening::Unreachable {
                        socket: from,
                        destination,
                    },
                );
            }
        }
    }

    fn send_syn(&mut self, stream: Socket) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        let (host, remote) = (entry.host, entry.remote);
        let Some(to) = self.host_at(host, remote.ip()) else {
            return;
        };
        let lost = self.random.chance(self.link(host, to).loss);
        let mut at = self.now + self.delay(host, to, 1);
        if lost {
            at += RETRANSMISSION;
        }
        self.plan(at, Happening::Syn(stream));
    }

    fn syn_came(&mut self, stream: Socket) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        if entry.state != State::Connecting {
            return;
        }
        let (host, local, remote) = (entry.host, entry.local, entry.remote);
        let Some(to) = self.host_at(host, remote.ip()) else {
            return;
        };
        if self.is_cut(host, to) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, Happening::Syn(stream));
            return;
        }
        let Some(listener) = self.socket_at(to, true, remote) else {
            self.note(format_args!("tcp {local} > {remote} refused"));
            let at = self.now + self.delay(to, host, 1);
            self.plan(at, Happening::Refused(stream));
            return;
        };
        let far = Socket(self.fresh());
        let mut end = Stream::new(to, remote, local, State::Open);
        end.peer = Some(stream);
        self.streams.insert(far, end);
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.peer = Some(far);
        }
        if let Some(entry) = self.listeners.get_mut(&listener) {
            entry.backlog.push_back(far);
        }
        self.ready.push_back(Ready::Accept(listener));
        self.send_segment(far, Payload::Accepted);
    }

    /// Puts a segment on its way behind those before it.
    fn send_segment(&mut self, stream: Socket, what: Payload) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        let (host, remote) = (entry.host, entry.remote);
        let before = entry.outgoing.back().map(|segment| segment.at);
        let first = before.is_none();
        let Some(to) = self.host_at(host, remote.ip()) else {
            return;
        };
        let lost = self.random.chance(self.link(host, to).loss);
        let mut at = self.now + self.delay(host, to, 1);
        if lost {
            at += RETRANSMISSION;
        }
        let at = before.map_or(at, |before| before.max(at));
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.outgoing.push_back(Segment { at, what });
        }
        if first {
            self.plan(at, Happening::Segment(stream));
        }
    }

    fn segment_came(&mut self, stream: Socket) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        let (host, local, remote, peer) = (entry.host, entry.local, entry.remote, entry.peer);
        let to = self.host_at(host, remote.ip());
        if to.is_some_and(|to| self.is_cut(host, to)) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, Happening::Segment(stream));
            return;
        }
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        // A segment that was given up meanwhile leaves one arrival too many.
        if entry
            .outgoing
            .front()
            .is_none_or(|segment| segment.at > self.now)
        {
            return;
        }
        let Some(segment) = entry.outgoing.pop_front() else {
            return;
        };
        if let Some(next) = entry.outgoing.front().map(|segment| segment.at) {
            let at = next.max(self.now);
            self.plan(at, Happening::Segment(stream));
        } else if entry.state == State::Closed {
            self.streams.remove(&stream);
        }
        let Some(peer) = peer else {
            return;
        };
        match segment.what {
            Payload::Reset => self.fail(peer, ErrorKind::ConnectionReset),
            what => {
                let Some(far) = self.streams.get_mut(&peer) else {
                    return self.fail(stream, ErrorKind::ConnectionReset);
                };
                match (what, far.state) {
                    (Payload::Accepted, State::Connecting) => {
                        far.state = State::Open;
                        self.note(format_args!("tcp {remote} > {local} connected"));
                        self.ready.push_back(Ready::Connected(peer));
                    }
                    (Payload::Data(data), State::Open) => {
                        far.inbox.extend(data);
                        self.ready.push_back(Ready::Readable(peer));
                    }
                    (Payload::End, State::Open) => {
                        far.eof = true;
                        self.note(format_args!("tcp {local} > {remote} end"));
                        self.ready.push_back(Ready::Readable(peer));
                    }
                    // Nobody reads it any more.
                    (Payload::Data(_) | Payload::Accepted, State::Closed) => {
                        self.fail(stream, ErrorKind::ConnectionReset);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A stream is over, for a reason that came from outside.
    fn fail(&mut self, stream: Socket, kind: ErrorKind) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let (local, remote) = (entry.local, entry.remote);
        match entry.state {
            State::Closed | State::Failed(_) => return,
            State::Connecting => self.ready.push_back(Ready::ConnectFailed(stream, kind)),
            State::Open => {
                self.ready.push_back(Ready::Readable(stream));
                self.ready.push_back(Ready::Writable(stream));
            }
        }
        entry.state = State::Failed(kind);
        entry.outgoing.clear();
        self.note(format_args!("tcp {local} > {remote} failed: {kind:?}"));
    }

    /// The owner of a stream is done with it.
    fn abandon(&mut self, stream: Socket) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let last = match entry.state {
            State::Open if entry.inbox.is_empty() => (!entry.shut).then_some(Payload::End),
            State::Open => Some(Payload::Reset),
            State::Connecting | State::Failed(_) | State::Closed => None,
        };
        entry.state = State::Closed;
        entry.inbox.clear();
        let (local, remote) = (entry.local, entry.remote);
        match last {
            Some(last) => self.send_segment(stream, last),
            None if entry.outgoing.is_empty() => {
                self.streams.remove(&stream);
            }
            None => {}
        }
        self.note(format_args!("tcp {local} > {remote} close"));
    }

    /// Bytes were read at this end: its far end may have room to write again.
    fn unblock(&mut self, host: HostId, remote: SocketAddr, peer: Option<Socket>) {
        let Some(peer) = peer else {
            return;
        };
        let Some(far) = self.streams.get_mut(&peer) else {
            return;
        };
        if !core::mem::replace(&mut far.blocked, false) {
            return;
        }
        let to = self.host_at(host, remote.ip()).unwrap_or(host);
        let at = self.now + self.delay(host, to, 1);
        self.plan(at, Happening::Writable(peer));
    }

    fn set_blocked(&mut self, stream: Socket) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.blocked = true;
        }
    }

    fn unread(&self, peer: Option<Socket>) -> usize {
        let far = peer.and_then(|peer| self.streams.get(&peer));
        far.map_or(0, |far| far.inbox.len())
    }

    // Inside: addresses and links.

    /// The host that has `ip`, as `from` sees it.
    fn host_at(&self, from: HostId, ip: IpAddr) -> Option<HostId> {
        if ip.is_loopback() {
            return Some(from);
        }
        self.by_ip.get(&ip).copied()
    }

    /// The socket on an address: one bound to it, else one bound to all.
    fn socket_at(&self, host: HostId, stream: bool, addr: SocketAddr) -> Option<Socket> {
        let any = SocketAddr::new(unspecified(addr.ip()), addr.port());
        [addr, any]
            .into_iter()
            .find_map(|addr| self.bound.get(&(host, stream, addr)).copied())
    }

    fn check_local(&self, host: HostId, ip: IpAddr) -> Result<(), ErrorKind> {
        let own = self
            .hosts
            .get(host.0)
            .is_some_and(|host| host.addresses.contains(&ip));
        if own || ip.is_unspecified() || ip.is_loopback() {
            Ok(())
        } else {
            Err(ErrorKind::AddrNotAvailable)
        }
    }

    fn take_address(
        &mut self,
        host: HostId,
        stream: bool,
        local: SocketAddr,
    ) -> Result<(Socket, SocketAddr), ErrorKind> {
        self.check_local(host, local.ip())?;
        let mut local = local;
        if local.port() == 0 {
            let entry = self.hosts.get_mut(host.0).ok_or(ErrorKind::NotFound)?;
            local.set_port(entry.next_port);
            entry.next_port = entry
                .next_port
                .checked_add(1)
                .unwrap_or(FIRST_EPHEMERAL_PORT);
        }
        if self.bound.contains_key(&(host, stream, local)) {
            return Err(ErrorKind::AddrInUse);
        }
        self.count_socket(host)?;
        let socket = Socket(self.fresh());
        self.bound.insert((host, stream, local), socket);
        Ok((socket, local))
    }

    fn count_socket(&mut self, host: HostId) -> Result<(), ErrorKind> {
        let host = self.hosts.get_mut(host.0).ok_or(ErrorKind::NotFound)?;
        if host.sockets >= host.max_sockets {
            return Err(ErrorKind::QuotaExceeded);
        }
        host.sockets = host.sockets.saturating_add(1);
        Ok(())
    }

    fn uncount_socket(&mut self, host: HostId) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.sockets = host.sockets.saturating_sub(1);
        }
    }

    fn link(&self, a: HostId, b: HostId) -> &Link {
        self.links
            .get(&(a.min(b), a.max(b)))
            .unwrap_or(&self.default_link)
    }

    fn link_to(&self, host: HostId, ip: IpAddr) -> &Link {
        self.link(host, self.host_at(host, ip).unwrap_or(host))
    }

    fn is_cut(&self, a: HostId, b: HostId) -> bool {
        self.cuts.contains(&(a.min(b), a.max(b)))
    }

    /// How long so many trips take.
    fn delay(&mut self, a: HostId, b: HostId, trips: u32) -> Duration {
        let link = self.link(a, b);
        let (latency, jitter) = (link.latency, link.jitter);
        let one = latency.saturating_add(self.random.up_to(jitter));
        one.saturating_mul(trips)
    }

    fn plan(&mut self, at: Instant, happening: Happening) {
        let order = self.fresh();
        self.agenda.insert((at, order), happening);
    }

    fn fresh(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }
}

fn unspecified(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    }
}
