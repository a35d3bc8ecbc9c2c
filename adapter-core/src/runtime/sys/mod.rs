//! Socket system calls, for implementations of [`Runtime`](crate::runtime::Runtime). No call
//! blocks.

mod descriptors;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sip_transport_proto::error::LocalFault;
use socket2::{Domain, Protocol, Socket, Type};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod platform;
mod tcp;
mod udp;

pub use descriptors::{descriptor_limit, raise_descriptor_limit};
pub use tcp::{broke_before_accept, connect, listen};
pub use udp::{UdpSocket, connect_datagrams};

/// Too many open files, in the process and in the system. Windows has no limit of the second kind,
/// and WSAEMFILE for the first.
const EMFILE: i32 = if cfg!(windows) { 10_024 } else { 24 };
const ENFILE: i32 = 23;

/// The local address that the system uses towards `remote`. Sends nothing.
pub fn local_address(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    // Connecting a UDP socket only looks up the route; any port but 0 will do.
    let mut remote = remote;
    remote.set_port(remote.port().max(1));
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// Fills `seed` with random bytes of the operating system.
pub fn fill_random(seed: &mut [u8; 32]) -> io::Result<()> {
    getrandom::fill(seed).map_err(io::Error::other)
}

/// Returns true if the system found a datagram too long to send (EMSGSIZE).
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(platform::EMSGSIZE)
}

/// The address without its IPv6 mapping: on a dual-stack socket, `::ffff:192.0.2.1` is the IPv4
/// address 192.0.2.1.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match (address, address.ip().to_canonical()) {
        (SocketAddr::V6(v6), IpAddr::V4(ip)) => SocketAddr::new(ip.into(), v6.port()),
        _ => address,
    }
}

/// A new non-blocking socket that child processes do not inherit.
fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The socket's own address.
fn local_addr(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

#[cfg(any(
    target_os = "linux",
    target_os = "macos",
    target_os = "android",
    target_os = "freebsd"
))]
fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "macos",
    target_os = "android",
    target_os = "freebsd"
)))]
fn set_reuse_port(_socket: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no SO_REUSEPORT",
    ))
}

/// The local resource that was lacking to open a connection, if that is why it failed.
pub(crate) fn local_fault(error: &io::Error) -> Option<LocalFault> {
    match error.raw_os_error() {
        Some(EMFILE) => return Some(LocalFault::ProcessFiles),
        Some(ENFILE) => return Some(LocalFault::SystemFiles),
        Some(platform::ENOBUFS) => return Some(LocalFault::NoMemory),
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => Some(LocalFault::NoAddress),
        io::ErrorKind::OutOfMemory => Some(LocalFault::NoMemory),
        io::ErrorKind::PermissionDenied => Some(LocalFault::NotPermitted),
        _ => None,
    }
}
