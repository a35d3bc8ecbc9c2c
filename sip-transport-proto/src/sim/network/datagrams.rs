//! Datagram sockets.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeSet, VecDeque};
use std::io::ErrorKind;

use super::super::trace::Digest;
use super::{Datagram, HostId, Network, NetworkEvent, Ready, SocketHandle, UdpSocket};

/// The largest UDP payload.
const MAX_DATAGRAM: usize = 65_507;

impl Network {
    /// Binds a datagram socket. Port 0 takes a free one.
    ///
    /// # Errors
    /// The address is not one of the host's, is in use, or there are too many sockets.
    pub fn bind(&mut self, host: HostId, local: SocketAddr) -> Result<SocketHandle, ErrorKind> {
        let (socket, local) = self.take_address(host, false, local)?;
        let (groups, inbox) = (BTreeSet::new(), VecDeque::new());
        self.datagrams.insert(
            socket,
            UdpSocket {
                host,
                local,
                groups,
                inbox,
            },
        );
        Ok(socket)
    }

    /// Joins a socket to a multicast group. All hosts are on one network with each other, whatever
    /// the TTL.
    ///
    /// # Errors
    /// The address is not a multicast address of the socket's family, or the socket is closed.
    pub fn join(&mut self, socket: SocketHandle, group: IpAddr) -> Result<(), ErrorKind> {
        let entry = self.datagrams.get_mut(&socket);
        let entry = entry.ok_or(ErrorKind::NotConnected)?;
        if !group.is_multicast() || group.is_ipv4() != entry.local.is_ipv4() {
            return Err(ErrorKind::InvalidInput);
        }
        entry.groups.insert(group);
        Ok(())
    }

    /// Sends a datagram, from `source` if the socket is bound to all addresses.
    ///
    /// # Errors
    /// The datagram is too large (`InvalidInput`), there is no route, or the socket is closed. The
    /// loss of a datagram is not an error.
    pub fn send_datagram(
        &mut self,
        socket: SocketHandle,
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
        let fate = if destination.ip().is_multicast() {
            for (member, to) in self.members(destination) {
                self.send_packet(
                    (socket, host),
                    source,
                    destination,
                    (Some(member), to),
                    data,
                );
            }
            "(group)"
        } else {
            match self.host_at(host, destination.ip()) {
                Some(to) => self.send_packet((socket, host), source, destination, (None, to), data),
                None => "(nowhere)",
            }
        };
        self.note(format_args!(
            "udp {source} > {destination} {} {fate}",
            Digest(data)
        ));
        Ok(())
    }

    /// The sockets that have joined a group on a port, and their hosts.
    fn members(&self, group: SocketAddr) -> Vec<(SocketHandle, HostId)> {
        let hears = |entry: &UdpSocket| {
            entry.groups.contains(&group.ip()) && entry.local.port() == group.port()
        };
        let members = self.datagrams.iter().filter(|(_, entry)| hears(entry));
        members
            .map(|(&socket, entry)| (socket, entry.host))
            .collect()
    }

    fn send_packet(
        &mut self,
        (from, host): (SocketHandle, HostId),
        source: SocketAddr,
        destination: SocketAddr,
        (member, to): (Option<SocketHandle>, HostId),
        data: &[u8],
    ) -> &'static str {
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
                NetworkEvent::Datagram {
                    from: (host, from),
                    source,
                    destination,
                    member,
                    data,
                },
            );
        }
        fate
    }

    /// Returns the next datagram received.
    pub fn recv_datagram(&mut self, socket: SocketHandle) -> Option<Datagram> {
        self.datagrams.get_mut(&socket)?.inbox.pop_front()
    }

    pub(super) fn group_datagram_arrived(
        &mut self,
        member: SocketHandle,
        source: SocketAddr,
        data: Vec<u8>,
    ) {
        let host = self.datagrams.get(&member).map(|entry| entry.host);
        // The source address of replies to the sender.
        let local = host.and_then(|host| self.local_address(host, source.ip()).ok());
        if let (Some(local), Some(entry)) = (local, self.datagrams.get_mut(&member)) {
            let remote = source;
            entry.inbox.push_back(Datagram {
                remote,
                local,
                data,
            });
            self.ready.push_back(Ready::Datagram(member));
        }
    }

    pub(super) fn datagram_arrived(
        &mut self,
        (sender, from): (HostId, SocketHandle),
        source: SocketAddr,
        destination: SocketAddr,
        data: Vec<u8>,
    ) {
        let Some(host) = self.host_at(sender, destination.ip()) else {
            return;
        };
        if self.is_down(host) {
            self.note(format_args!("udp {source} > {destination} (down)"));
            return;
        }
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
                    NetworkEvent::Unreachable {
                        socket: from,
                        destination,
                    },
                );
            }
        }
    }
}
