mod datagrams;
mod segments;
mod stream;
mod streams;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io::ErrorKind;
use std::time::Instant;

use stream::{State, Stream};

use super::crash::Crash;
use super::link::Link;
use super::random::Random;
use super::trace::Trace;
use crate::resolve;
use crate::resolve::{DomainName, Family, LookupKind, Record, Zone};

const FIRST_EPHEMERAL_PORT: u16 = 49_152;

/// A host on a [`Network`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostId(usize);

/// A datagram socket, a listener or one end of a stream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Socket(u64);

/// A question for the records of a name.
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
        answer: resolve::Answer,
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
    zone: Zone,
    name_server: Option<HostId>,
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
    /// Its power is off.
    down: bool,
}

#[derive(Debug)]
struct DatagramSocket {
    host: HostId,
    local: SocketAddr,
    groups: BTreeSet<IpAddr>,
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
        /// The socket may have closed meanwhile; the datagram is on its way.
        from: (HostId, Socket),
        source: SocketAddr,
        destination: SocketAddr,
        /// Where it goes to a group: the member that this one is for.
        member: Option<Socket>,
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
    LookedUp(Lookup, resolve::Answer),
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
            zone: Zone::default(),
            name_server: None,
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
            down: false,
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

    /// Closes all sockets of a host, as its crash does.
    pub fn crash(&mut self, host: HostId, how: Crash) {
        let name = self.host_name(host).to_owned();
        self.note(format_args!("{name} crashes: {how:?}"));
        let listeners = self.listeners.iter().map(|(&id, l)| (id, l.host));
        let streams = self.streams.iter().map(|(&id, s)| (id, s.host));
        let datagrams = self.datagrams.iter().map(|(&id, d)| (id, d.host));
        let all = listeners.chain(streams).chain(datagrams);
        let own = all.filter(|&(_, owner)| owner == host);
        let own: Vec<Socket> = own.map(|(socket, _)| socket).collect();
        if how == Crash::Power {
            // Gone before they are closed, streams tell their far ends nothing.
            self.streams.retain(|_, stream| stream.host != host);
        }
        for socket in own {
            self.reset(socket);
            self.close(socket);
        }
        if let Some(entry) = self.hosts.get_mut(host.0) {
            entry.sockets = 0;
            entry.down = how == Crash::Power;
        }
    }

    /// Gives a host its power back. It has no sockets yet.
    pub fn restart(&mut self, host: HostId) {
        let name = self.host_name(host).to_owned();
        self.note(format_args!("{name} is back"));
        if let Some(entry) = self.hosts.get_mut(host.0) {
            entry.down = false;
        }
    }

    fn note_cut(&mut self, what: &str, a: HostId, b: HostId) {
        let (a, b) = (self.host_name(a).to_owned(), self.host_name(b).to_owned());
        self.note(format_args!("{what} {a} {b}"));
    }

    /// Gives a name an answer, in place of what the zone says. Names without one are not found.
    pub fn set_name(&mut self, name: &str, answer: Answer) {
        self.names.insert(name.to_ascii_lowercase(), answer);
    }

    /// What the DNS says.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// What the DNS says, to be changed.
    pub fn zone_mut(&mut self) -> &mut Zone {
        &mut self.zone
    }

    /// Says which host has the DNS: lookups go there and their answers come back as datagrams do,
    /// late, or never where they are lost, cut off or the host is down. Without it, each host has
    /// it at hand, two trips over its link to itself away.
    pub fn set_name_server(&mut self, host: HostId) {
        self.name_server = Some(host);
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

    /// Asks for the records of a name; [`Ready::LookedUp`] answers.
    pub fn lookup(&mut self, host: HostId, kind: LookupKind, name: &DomainName) -> Lookup {
        let lookup = Lookup(self.fresh());
        let answer = match self.names.get(name.as_str()) {
            None => Some(self.zone.answer(kind, name)),
            Some(Answer::Addresses(ips)) => Some(addresses(kind, ips)),
            Some(Answer::Fails(error)) => Some(resolve::Answer::Failed(*error)),
            Some(Answer::Never) => None,
        };
        self.note(format_args!("lookup {kind} {name}: {answer:?}"));
        let Some(answer) = answer else {
            return lookup;
        };
        let server = self.name_server.unwrap_or(host);
        let loss = self.link(host, server).loss;
        let lost = self.is_cut(host, server)
            || (self.name_server.is_some() && (0..2).any(|_| self.random.chance(loss)));
        if lost {
            self.note(format_args!("lookup {kind} {name} (lost)"));
            return lookup;
        }
        let at = self.now + self.delay(host, server, 2);
        self.plan(at, Happening::LookedUp(lookup, answer));
        lookup
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
                source,
                member: Some(member),
                data,
                ..
            } => self.group_datagram_came(member, source, data),
            Happening::Datagram {
                from,
                source,
                destination,
                member: None,
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
            Happening::LookedUp(lookup, answer) => {
                self.ready.push_back(Ready::LookedUp { lookup, answer });
            }
        }
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
        self.cuts.contains(&(a.min(b), a.max(b))) || self.is_down(a) || self.is_down(b)
    }

    fn is_down(&self, host: HostId) -> bool {
        self.hosts.get(host.0).is_some_and(|host| host.down)
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

/// The answer of a name that has these addresses and nothing else.
fn addresses(kind: LookupKind, ips: &[IpAddr]) -> resolve::Answer {
    let of_kind = |ip: &&IpAddr| LookupKind::from(Family::of(**ip)) == kind;
    let records: Vec<_> = ips
        .iter()
        .filter(of_kind)
        .copied()
        .map(Record::Address)
        .collect();
    let ttl = Duration::from_secs(60);
    match records.is_empty() {
        true => resolve::Answer::NotFound { ttl: None },
        false => resolve::Answer::Found { records, ttl },
    }
}
