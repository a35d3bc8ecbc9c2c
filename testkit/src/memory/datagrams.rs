use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use adapter_core::runtime::{DatagramFailure, Datagrams, RecvBatch, SendBatch, SocketOptions};
use sip_transport_proto::sim::{Datagram, HostId, Network, SocketHandle};

use super::executor::Shared;
use super::faults::{Call, check};
use super::world::World;

/// A datagram that is too long for its way, on Linux.
const EMSGSIZE: i32 = 90;

/// A bound address and the sockets on it: several with `reuse_port`, over which senders spread.
#[derive(Debug)]
pub(super) struct Port {
    socket: SocketHandle,
    members: BTreeMap<u64, Member>,
    /// Who sent last to a destination, to hear of it when nobody is there.
    senders: BTreeMap<SocketAddr, u64>,
}

#[derive(Debug)]
struct Member {
    inbox: VecDeque<Datagram>,
    held: usize,
    receive_buffer: usize,
    failures: Vec<SocketAddr>,
    waiting: Option<Waker>,
    blocked_until: Option<Instant>,
}

impl Port {
    /// Gives what came to the members; what finds no room is lost.
    pub(super) fn receive(&mut self, network: &mut Network) {
        while let Some(datagram) = network.recv_datagram(self.socket) {
            let spread = match datagram.remote.ip() {
                IpAddr::V4(ip) => ip.octets().map(usize::from).iter().sum::<usize>(),
                IpAddr::V6(ip) => ip.octets().map(usize::from).iter().sum::<usize>(),
            };
            let spread = spread + usize::from(datagram.remote.port());
            let choice = spread.checked_rem(self.members.len()).unwrap_or_default();
            if let Some(member) = self.members.values_mut().nth(choice)
                && member.held < member.receive_buffer
            {
                member.held += datagram.data.len();
                member.inbox.push_back(datagram);
                member.wake();
            }
        }
    }

    pub(super) fn wake(&mut self) {
        self.members.values_mut().for_each(Member::wake);
    }

    pub(super) fn unreachable(&mut self, destination: SocketAddr) {
        let sender = self.senders.get(&destination);
        if let Some(member) = sender.and_then(|id| self.members.get_mut(id)) {
            member.failures.push(destination);
            member.wake();
        }
    }
}

impl Member {
    fn wake(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

pub(super) struct MemoryDatagrams {
    shared: Arc<Shared>,
    host: HostId,
    socket: SocketHandle,
    local: SocketAddr,
    member: u64,
}

impl MemoryDatagrams {
    pub(super) fn bind(
        shared: &Arc<Shared>,
        host: HostId,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> io::Result<Self> {
        let mut guard = shared.world();
        let world = &mut *guard;
        let there = world.shared.get(&(host, local)).copied();
        let socket = match there {
            Some(socket) if options.reuse_port => socket,
            _ => world.network.bind(host, local)?,
        };
        for joined in &options.groups {
            world.network.join(socket, joined.group.into())?;
        }
        let local = world.network.local_addr(socket);
        let local = local.ok_or(io::ErrorKind::NotConnected)?;
        let member = world.fresh();
        if options.reuse_port {
            world.shared.insert((host, local), socket);
        }
        let port = world.ports.entry(socket).or_insert_with(|| Port {
            socket,
            members: BTreeMap::new(),
            senders: BTreeMap::new(),
        });
        port.members.insert(
            member,
            Member {
                inbox: VecDeque::new(),
                held: 0,
                receive_buffer: options.receive_buffer,
                failures: Vec::new(),
                waiting: None,
                blocked_until: None,
            },
        );
        Ok(Self {
            shared: Arc::clone(shared),
            host,
            socket,
            local,
            member,
        })
    }

    fn member<'a>(&self, world: &'a mut World) -> Option<&'a mut Member> {
        world
            .ports
            .get_mut(&self.socket)?
            .members
            .get_mut(&self.member)
    }
}

impl Datagrams for MemoryDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        batch.clear();
        check(&self.shared, self.host, Call::Receive)?;
        let mut world = self.shared.world();
        let Some(member) = self.member(&mut world) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while let Some(datagram) = member.inbox.front() {
            if !batch.push(datagram.remote, datagram.local, &datagram.data) {
                break;
            }
            member.held -= datagram.data.len();
            member.inbox.pop_front();
        }
        for destination in member.failures.drain(..) {
            let error = io::ErrorKind::ConnectionRefused.into();
            batch
                .failures()
                .push(DatagramFailure::new(None, destination, error));
        }
        if batch.is_empty() && batch.failures().is_empty() {
            member.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()> {
        let mut guard = self.shared.world();
        let world = &mut *guard;
        let now = world.network.now();
        loop {
            let Some(entry) = batch.iter().next() else {
                return Ok(());
            };
            let chance = world.blocked_until();
            let Some(member) = self.member(world) else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            member.blocked_until = member.blocked_until.filter(|&at| at > now).or(chance);
            if member.blocked_until.is_some() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if entry.data.len() > world.longest_datagram {
                batch.failed(io::Error::from_raw_os_error(EMSGSIZE));
                continue;
            }
            let destination = entry.destination;
            let sent =
                world
                    .network
                    .send_datagram(self.socket, entry.source, destination, entry.data);
            match sent {
                Ok(()) => batch.sent(1),
                Err(kind) => batch.failed(kind.into()),
            }
            if let Some(port) = world.ports.get_mut(&self.socket) {
                port.senders.insert(destination, self.member);
            }
        }
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut guard = self.shared.world();
        let world = &mut *guard;
        let now = world.network.now();
        let until = self
            .member(world)
            .and_then(|member| member.blocked_until.filter(|&at| at > now));
        match until {
            Some(at) => {
                let key = (at, u64::MAX - self.member);
                world.timers.insert(key, cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for MemoryDatagrams {
    fn drop(&mut self) {
        let mut world = self.shared.world();
        if let Some(port) = world.ports.get_mut(&self.socket) {
            port.members.remove(&self.member);
            if port.members.is_empty() {
                world.ports.remove(&self.socket);
                world.shared.remove(&(self.host, self.local));
                world.close(self.socket);
            }
        }
    }
}

impl fmt::Debug for MemoryDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryDatagrams on {}", self.local)
    }
}
