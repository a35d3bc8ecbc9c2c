//! The simulated network: hosts, addresses, links, names and virtual time.

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

use stream::{Stream, StreamState};

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

/// A socket: for datagrams, a listener, or one end of a stream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketHandle(u64);

/// A lookup of the records of a name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LookupHandle(u64);

/// The answer to lookups of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "made by users, and complete")]
pub enum NameAnswer {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// An error.
    Fails(ErrorKind),
    /// No answer, ever.
    Never,
}

/// A received datagram.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Datagram {
    /// The source.
    pub remote: SocketAddr,
    /// The address that it was sent to.
    pub local: IpAddr,
    /// Its payload.
    pub data: Vec<u8>,
}

/// A notice to an owner of sockets that a call may succeed. Every call may be made at any time,
/// with or without it; the socket may have been closed meanwhile.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ready {
    /// [`Network::recv_datagram`] has something.
    Datagram(SocketHandle),
    /// [`Network::accept`] has something.
    Accept(SocketHandle),
    /// A stream is open.
    Connected(SocketHandle),
    /// A stream could not be opened.
    ConnectFailed(SocketHandle, ErrorKind),
    /// A stream has bytes, an end or an error to read.
    Readable(SocketHandle),
    /// A stream whose write returned `WouldBlock` has room again.
    Writable(SocketHandle),
    /// A datagram was sent to a port where nobody listens, and the error arrived (ICMP).
    Unreachable {
        /// The socket that sent it.
        socket: SocketHandle,
        /// The destination of the datagram.
        destination: SocketAddr,
    },
    /// A lookup was answered.
    LookedUp {
        /// The lookup.
        lookup: LookupHandle,
        /// The answer.
        answer: resolve::Answer,
    },
}

/// A network of hosts in virtual time: datagrams, streams, names and routes, with their faults.
///
/// Calls return at once, as non-blocking system calls do. Whatever takes time happens in
/// [`advance`](Self::advance), and is reported by [`poll_ready`](Self::poll_ready).
#[derive(Debug)]
pub struct Network {
    start: Instant,
    now: Instant,
    random: Random,
    trace: Trace,
    hosts: Vec<NetworkHost>,
    by_ip: BTreeMap<IpAddr, HostId>,
    default_link: Link,
    links: BTreeMap<(HostId, HostId), Link>,
    cuts: BTreeSet<(HostId, HostId)>,
    names: BTreeMap<String, NameAnswer>,
    zone: Zone,
    name_server: Option<HostId>,
    datagrams: BTreeMap<SocketHandle, UdpSocket>,
    listeners: BTreeMap<SocketHandle, Listener>,
    streams: BTreeMap<SocketHandle, Stream>,
    bound: BTreeMap<(HostId, bool, SocketAddr), SocketHandle>,
    agenda: BTreeMap<(Instant, u64), NetworkEvent>,
    ready: VecDeque<Ready>,
    next: u64,
}

#[derive(Debug)]
struct NetworkHost {
    name: String,
    addresses: Vec<IpAddr>,
    routes: BTreeMap<IpAddr, Result<IpAddr, ErrorKind>>,
    sockets: usize,
    max_sockets: usize,
    next_port: u16,
    /// True if its power is off.
    down: bool,
}

#[derive(Debug)]
struct UdpSocket {
    host: HostId,
    local: SocketAddr,
    groups: BTreeSet<IpAddr>,
    inbox: VecDeque<Datagram>,
}

#[derive(Debug)]
struct Listener {
    host: HostId,
    local: SocketAddr,
    backlog: VecDeque<SocketHandle>,
}

#[derive(Debug)]
enum NetworkEvent {
    Datagram {
        /// The sender. The socket may have been closed meanwhile; the datagram is still delivered.
        from: (HostId, SocketHandle),
        source: SocketAddr,
        destination: SocketAddr,
        /// The member that this copy is for, if the destination is a multicast group.
        member: Option<SocketHandle>,
        data: Vec<u8>,
    },
    Unreachable {
        socket: SocketHandle,
        destination: SocketAddr,
    },
    Syn(SocketHandle),
    Refused(SocketHandle),
    /// The first segment of this stream's direction arrives.
    Segment(SocketHandle),
    Writable(SocketHandle),
    Readable(SocketHandle),
    LookedUp(LookupHandle, resolve::Answer),
}

impl Network {
    /// An empty network. All randomness comes from `seed`; `start` is the first instant of virtual
    /// time, and may be any instant.
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

    /// The virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// The time of the next event; `None` if there is none.
    pub fn next_event_at(&self) -> Option<Instant> {
        self.agenda.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Advances the time to `to`, with all events that are due by then. Time never goes back.
    pub fn advance(&mut self, to: Instant) {
        while let Some(entry) = self.agenda.first_entry()
            && entry.key().0 <= to
        {
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.handle(event);
        }
        self.now = self.now.max(to);
    }

    /// Returns the next notice; `None` if there are no more.
    pub fn poll_ready(&mut self) -> Option<Ready> {
        self.ready.pop_front()
    }

    /// The trace so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Adds a line to the trace.
    pub fn note(&mut self, what: fmt::Arguments<'_>) {
        let at = self.elapsed();
        self.trace.note(at, what);
    }

    /// Random bytes that depend on the seed only, for the seeds of what runs on the network.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        self.random.array()
    }

    // Hosts and what lies between them.

    /// Adds a host with these addresses. Every host has its own loopback besides.
    pub fn add_host(&mut self, name: &str, addresses: &[IpAddr]) -> HostId {
        let id = HostId(self.hosts.len());
        self.by_ip.extend(addresses.iter().map(|&ip| (ip, id)));
        self.hosts.push(NetworkHost {
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

    /// Sets the limit of open sockets of a host, of all kinds; beyond it calls fail with
    /// [`ErrorKind::QuotaExceeded`], in place of `EMFILE`.
    pub fn set_socket_limit(&mut self, host: HostId, limit: usize) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.max_sockets = limit;
        }
    }

    /// The number of open sockets of a host, of all kinds.
    pub fn open_sockets(&self, host: HostId) -> usize {
        self.hosts.get(host.0).map_or(0, |host| host.sockets)
    }

    /// Sets the link between all hosts without a link of their own.
    pub fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    /// Sets the link between two hosts, in both directions.
    pub fn set_link(&mut self, a: HostId, b: HostId, link: Link) {
        self.links.insert((a.min(b), a.max(b)), link);
    }

    /// Partitions two hosts: datagrams are lost, streams stall.
    pub fn cut(&mut self, a: HostId, b: HostId) {
        self.cuts.insert((a.min(b), a.max(b)));
        self.note_cut("cut", a, b);
    }

    /// Ends the partition of two hosts.
    pub fn heal(&mut self, a: HostId, b: HostId) {
        self.cuts.remove(&(a.min(b), a.max(b)));
        self.note_cut("healed", a, b);
    }

    /// Crashes a host, which closes all its sockets.
    pub fn crash(&mut self, host: HostId, how: Crash) {
        let name = self.host_name(host).to_owned();
        self.note(format_args!("{name} crashes: {how:?}"));
        let listeners = self.listeners.iter().map(|(&id, l)| (id, l.host));
        let streams = self.streams.iter().map(|(&id, s)| (id, s.host));
        let datagrams = self.datagrams.iter().map(|(&id, d)| (id, d.host));
        let all = listeners.chain(streams).chain(datagrams);
        let own = all.filter(|&(_, owner)| owner == host);
        let own: Vec<SocketHandle> = own.map(|(socket, _)| socket).collect();
        if how == Crash::Power {
            // Removed before they are closed, streams do not notify their peers.
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

    /// Restores a host's power. It has no sockets yet.
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

    /// Sets the answer for a name, in place of the zone's. Other names not in the zone are not
    /// found.
    pub fn set_name(&mut self, name: &str, answer: NameAnswer) {
        self.names.insert(name.to_ascii_lowercase(), answer);
    }

    /// Sets the zone that DNS answers come from.
    pub fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// The zone that DNS answers come from, to be changed.
    pub fn zone_mut(&mut self) -> &mut Zone {
        &mut self.zone
    }

    /// Makes a host the name server: lookups go to it and their answers come back as datagrams do:
    /// late, or never if they are lost, cut off, or the host is down. Without one, each host has a
    /// server of its own, two trips over its link to itself away.
    pub fn set_name_server(&mut self, host: HostId) {
        self.name_server = Some(host);
    }

    /// Sets the address that a host sends from towards `remote`, or an error for no route. Default:
    /// the first address of the same family.
    pub fn set_route(&mut self, host: HostId, remote: IpAddr, local: Result<IpAddr, ErrorKind>) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.routes.insert(remote, local);
        }
    }

    /// The address that a host sends from towards `remote`.
    ///
    /// # Errors
    /// The host has no address of that family, or [`set_route`](Self::set_route) set an error.
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

    /// Starts a lookup of the records of a name; [`Ready::LookedUp`] reports the answer.
    pub fn lookup(&mut self, host: HostId, kind: LookupKind, name: &DomainName) -> LookupHandle {
        let lookup = LookupHandle(self.fresh());
        let answer = match self.names.get(name.as_str()) {
            None => Some(self.zone.answer(kind, name)),
            Some(NameAnswer::Addresses(ips)) => Some(addresses(kind, ips)),
            Some(NameAnswer::Fails(error)) => Some(resolve::Answer::Failed(*error)),
            Some(NameAnswer::Never) => None,
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
        self.plan(at, NetworkEvent::LookedUp(lookup, answer));
        lookup
    }

    // Any socket.

    /// Closes a socket of any kind. A stream with bytes left to read breaks, as with TCP.
    pub fn close(&mut self, socket: SocketHandle) {
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
            && entry.state != StreamState::Closed
        {
            self.uncount_socket(entry.host);
            self.abandon(socket);
        }
    }

    /// The address of a socket.
    pub fn local_addr(&self, socket: SocketHandle) -> Option<SocketAddr> {
        self.datagrams
            .get(&socket)
            .map(|socket| socket.local)
            .or_else(|| self.listeners.get(&socket).map(|socket| socket.local))
            .or_else(|| self.streams.get(&socket).map(|socket| socket.local))
    }

    /// The remote address of a stream.
    pub fn remote_addr(&self, stream: SocketHandle) -> Option<SocketAddr> {
        self.streams.get(&stream).map(|stream| stream.remote)
    }

    // Inside: packets.

    fn handle(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Datagram {
                source,
                member: Some(member),
                data,
                ..
            } => self.group_datagram_arrived(member, source, data),
            NetworkEvent::Datagram {
                from,
                source,
                destination,
                member: None,
                data,
            } => self.datagram_arrived(from, source, destination, data),
            NetworkEvent::Unreachable {
                socket,
                destination,
            } => self.ready.push_back(Ready::Unreachable {
                socket,
                destination,
            }),
            NetworkEvent::Syn(stream) => self.syn_arrived(stream),
            NetworkEvent::Refused(stream) => self.fail(stream, ErrorKind::ConnectionRefused),
            NetworkEvent::Segment(stream) => self.segment_arrived(stream),
            NetworkEvent::Writable(stream) => self.ready.push_back(Ready::Writable(stream)),
            NetworkEvent::Readable(stream) => self.ready.push_back(Ready::Readable(stream)),
            NetworkEvent::LookedUp(lookup, answer) => {
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

    /// The socket at an address: one bound to it, or else one bound to the unspecified address.
    fn socket_at(&self, host: HostId, stream: bool, addr: SocketAddr) -> Option<SocketHandle> {
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
    ) -> Result<(SocketHandle, SocketAddr), ErrorKind> {
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
        let socket = SocketHandle(self.fresh());
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

    /// The delay of this number of trips.
    fn delay(&mut self, a: HostId, b: HostId, trips: u32) -> Duration {
        let link = self.link(a, b);
        let (latency, jitter) = (link.latency, link.jitter);
        let one = latency.saturating_add(self.random.up_to(jitter));
        one.saturating_mul(trips)
    }

    fn plan(&mut self, at: Instant, event: NetworkEvent) {
        let order = self.fresh();
        self.agenda.insert((at, order), event);
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

/// The answer for a name with these addresses and no other records.
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
