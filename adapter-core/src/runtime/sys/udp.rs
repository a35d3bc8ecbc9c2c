//! A UDP socket that moves datagrams in batches.

use std::io;
use std::net::SocketAddr;

use sip_transport_proto::Membership;
use sip_transport_proto::trace::SOCKET;
use socket2::{Protocol, Socket, Type};

use super::{local_addr, open, platform, set_reuse_port};
use crate::runtime::SocketOptions;
use crate::runtime::batch::{RecvBatch, SendBatch};

/// The receive buffer for the answers to one query, some of which may be forged.
const ANSWERS: usize = 16 * 1024;

/// A bound, non-blocking UDP socket. Datagrams longer than the path's MTU are fragmented, never
/// refused or dropped for their size: the don't-fragment bit is not set.
///
/// On Linux a call moves up to 32 datagrams, a socket bound to a wildcard address reports on which
/// local address a datagram was received and sends from the one asked for, and ICMP errors are
/// reported with the destination they are about. Other systems send and receive datagrams one by
/// one, without these.
#[derive(Debug)]
pub struct UdpSocket {
    socket: std::net::UdpSocket,
    local: SocketAddr,
}

impl UdpSocket {
    /// Binds a socket; port 0 lets the system choose.
    pub fn bind(local: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        let socket = open(local, Type::DGRAM, Protocol::UDP)?;
        if local.is_ipv6() {
            socket.set_only_v6(!options.dual_stack)?;
        }
        if options.reuse_port {
            set_reuse_port(&socket)?;
        }
        platform::prepare(&socket, local)?;
        socket.bind(&local.into())?;
        let local = local_addr(&socket)?;
        set_receive_buffer(&socket, local, options.receive_buffer)?;
        for Membership { group, interface } in &options.groups {
            socket.join_multicast_v4(group, interface)?;
        }
        // On Linux the source address of each datagram selects the interface, unless this option
        // does.
        #[cfg(not(target_os = "linux"))]
        if let Some(first) = options.groups.first() {
            socket.set_multicast_if_v4(&first.interface)?;
        }
        Ok(Self {
            socket: socket.into(),
            local,
        })
    }

    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The socket, to wait for it to become ready or to set options.
    pub fn get_ref(&self) -> &std::net::UdpSocket {
        &self.socket
    }

    /// Receives waiting datagrams, as far as there is room in `batch`, whose former content is
    /// dropped. ICMP errors are added to [`RecvBatch::failures`].
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing waits; any other error is about the socket or the
    /// system, not about a peer.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<()> {
        batch.clear();
        platform::recv(&self.socket, self.local, batch)
    }

    /// Sends the datagrams of `batch`: the contract is that of [`Datagrams::try_send`].
    ///
    /// [`Datagrams::try_send`]: crate::runtime::Datagrams::try_send
    pub fn send(&self, batch: &mut SendBatch) -> io::Result<()> {
        platform::send(&self.socket, self.local, batch)
    }
}

/// A non-blocking UDP socket bound to `local`, whose port may be 0, that sends to `remote` and
/// receives only from it. Its buffers are small.
pub fn connect_datagrams(remote: SocketAddr, local: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = open(local, Type::DGRAM, Protocol::UDP)?;
    // The system may refuse; a larger buffer is no reason to fail.
    let _ = socket.set_recv_buffer_size(ANSWERS);
    socket.bind(&local.into())?;
    socket.connect(&remote.into())?;
    Ok(socket.into())
}

#[cfg(unix)]
impl std::os::fd::AsFd for UdpSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for UdpSocket {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

fn set_receive_buffer(socket: &Socket, local: SocketAddr, wanted: usize) -> io::Result<()> {
    // The system may refuse or grant less; a smaller buffer is no reason to fail.
    let _ = socket.set_recv_buffer_size(wanted);
    // Linux doubles the size that it grants, for its own bookkeeping.
    let factor = if cfg!(target_os = "linux") { 2 } else { 1 };
    let granted = socket.recv_buffer_size()? / factor;
    if granted < wanted {
        tracing::warn!(
            target: SOCKET,
            %local, wanted, granted,
            "the receive buffer is smaller than requested: bursts may be lost (net.core.rmem_max)"
        );
    }
    Ok(())
}
