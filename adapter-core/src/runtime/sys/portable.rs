//! Datagrams one by one, through the standard library.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::Socket;

use super::canonical;
use crate::runtime::batch::{Received, RecvBatch, SendBatch};

/// WSAEMSGSIZE on Windows; the value of the BSDs and macOS elsewhere.
pub(super) const EMSGSIZE: i32 = if cfg!(windows) { 10_040 } else { 40 };
pub(super) const ENOBUFS: i32 = if cfg!(windows) { 10_055 } else { 55 };

pub(super) fn prepare(_socket: &Socket, _local: SocketAddr) -> io::Result<()> {
    Ok(())
}

pub(super) fn recv(socket: &UdpSocket, local: SocketAddr, batch: &mut RecvBatch) -> io::Result<()> {
    while !batch.is_full() {
        let Some(slot) = batch.spare().next() else {
            break;
        };
        let room = slot.len();
        match socket.recv_from(slot) {
            Ok((length, remote)) => batch.received.push(Received {
                length,
                remote: canonical(remote),
                local: local.ip(),
                truncated: length == room,
            }),
            // The form of an ICMP error about some peer; the system does not report which.
            Err(error) if is_about_a_peer(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if batch.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(())
}

pub(super) fn send(socket: &UdpSocket, local: SocketAddr, batch: &mut SendBatch) -> io::Result<()> {
    let mut retried = false;
    while let Some(result) = send_head(socket, local, batch) {
        match result {
            Ok(_) => batch.sent(1),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if is_about_a_peer(&error) && !retried => {
                retried = true;
                continue;
            }
            Err(error) => batch.failed(error),
        }
        retried = false;
    }
    Ok(())
}

fn send_head(
    socket: &UdpSocket,
    local: SocketAddr,
    batch: &SendBatch,
) -> Option<io::Result<usize>> {
    let entry = batch.iter().next()?;
    let destination = match entry.destination {
        SocketAddr::V4(v4) if local.is_ipv6() => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        other => other,
    };
    if let Some(ttl) = entry.ttl
        && let Err(error) = socket.set_multicast_ttl_v4(ttl.into())
    {
        return Some(Err(error));
    }
    Some(socket.send_to(entry.data, destination))
}

/// On Windows also true for a datagram longer than the buffer.
fn is_about_a_peer(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
    ) || cfg!(windows) && error.raw_os_error() == Some(EMSGSIZE)
}
