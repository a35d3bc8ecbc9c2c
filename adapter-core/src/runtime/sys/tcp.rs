//! TCP sockets: listening, and the start of a connection.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Protocol, Type};

use super::{open, set_reuse_port};
use crate::runtime::SocketOptions;

/// A non-blocking TCP socket that listens at `local`.
pub fn listen(local: SocketAddr, options: &SocketOptions) -> io::Result<TcpListener> {
    let socket = open(local, Type::STREAM, Protocol::TCP)?;
    if local.is_ipv6() {
        socket.set_only_v6(!options.dual_stack)?;
    }
    // A restart must not wait for the connections of the last run to leave TIME_WAIT. On other
    // systems than Unix the option would let others take the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if options.reuse_port {
        set_reuse_port(&socket)?;
    }
    socket.bind(&local.into())?;
    socket.listen(options.backlog.into())?;
    Ok(socket.into())
}

/// Starts a TCP connection, from `local` if given (its port may be 0). Once the non-blocking socket
/// is writable, [`TcpStream::take_error`] reports whether it is connected.
pub fn connect(remote: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = open(remote, Type::STREAM, Protocol::TCP)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(local) = local {
        if local.port() != 0 {
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
        } else {
            // The port is chosen when connecting, so that connections to several peers can share
            // one.
            #[cfg(target_os = "linux")]
            super::platform::set_bind_address_no_port(&socket)?;
        }
        socket.bind(&local.into())?;
    }
    match socket.connect(&remote.into()) {
        Ok(()) => {}
        Err(error) if in_progress(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// Returns true if accepting failed for this connection only, so that the next can be accepted at
/// once (Linux reports errors of the new connection here: accept(2)).
pub fn broke_before_accept(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
    )
}

fn in_progress(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    const EINPROGRESS: i32 = nix::libc::EINPROGRESS;
    #[cfg(not(target_os = "linux"))]
    const EINPROGRESS: i32 = if cfg!(target_os = "android") { 115 } else { 36 };
    error.raw_os_error() == Some(EINPROGRESS) || error.kind() == io::ErrorKind::WouldBlock
}
