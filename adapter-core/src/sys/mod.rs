//! Socket system calls, for those who implement a [`Runtime`](crate::Runtime).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The local address that the system sends from towards `remote`. Sends nothing, never blocks.
pub fn local_address(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
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
