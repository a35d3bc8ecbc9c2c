//! Listeners and streams.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::ErrorKind;

use super::stream::{Payload, Stream, StreamState};
use super::{HostId, Listener, Network, NetworkEvent, Ready, SocketHandle};

/// The time for which a socket blocks by chance.
const BLOCKED: Duration = Duration::from_millis(1);

impl Network {
    /// Opens a listener. Port 0 takes a free one.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind).
    pub fn listen(&mut self, host: HostId, local: SocketAddr) -> Result<SocketHandle, ErrorKind> {
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

    /// Accepts the next stream of a listener, and returns it with its remote address.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `QuotaExceeded` if there are too many sockets.
    pub fn accept(
        &mut self,
        listener: SocketHandle,
    ) -> Result<(SocketHandle, SocketAddr), ErrorKind> {
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

    /// Opens a stream from `local`, or from the address given by the routes. [`Ready::Connected`]
    /// or [`Ready::ConnectFailed`] reports the result, which never comes from a host that does not
    /// exist or is cut off.
    ///
    /// # Errors
    /// There is no route, or there are too many sockets.
    pub fn connect(
        &mut self,
        host: HostId,
        local: Option<IpAddr>,
        remote: SocketAddr,
    ) -> Result<SocketHandle, ErrorKind> {
        let ip = match local {
            Some(ip) => ip,
            None => self.local_address(host, remote.ip())?,
        };
        let (socket, local) = self.take_address(host, true, SocketAddr::new(ip, 0))?;
        // A stream's ephemeral port is not bound as a listener's is.
        self.bound.remove(&(host, true, local));
        self.streams.insert(
            socket,
            Stream::new(host, local, remote, StreamState::Connecting),
        );
        self.note(format_args!("tcp {local} > {remote} connect"));
        self.send_syn(socket);
        Ok(socket)
    }

    /// Returns true once a stream is open.
    ///
    /// # Errors
    /// The error that the stream failed with.
    pub fn is_connected(&self, stream: SocketHandle) -> Result<bool, ErrorKind> {
        match self.streams.get(&stream).map(|stream| stream.state) {
            Some(StreamState::Connecting) => Ok(false),
            Some(StreamState::Open) => Ok(true),
            Some(StreamState::Failed(kind)) => Err(kind),
            Some(StreamState::Closed) | None => Err(ErrorKind::NotConnected),
        }
    }

    /// Writes some of `data` and returns how much.
    ///
    /// # Errors
    /// `WouldBlock` while there is no room, followed by [`Ready::Writable`]; or the error that the
    /// stream failed with.
    pub fn write(&mut self, stream: SocketHandle, data: &[u8]) -> Result<usize, ErrorKind> {
        let entry = self.streams.get(&stream).ok_or(ErrorKind::NotConnected)?;
        match entry.state {
            StreamState::Open if entry.shut => return Err(ErrorKind::BrokenPipe),
            StreamState::Open => {}
            StreamState::Connecting => return Err(ErrorKind::WouldBlock),
            StreamState::Failed(kind) => return Err(kind),
            StreamState::Closed => return Err(ErrorKind::NotConnected),
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
            self.plan(at, NetworkEvent::Writable(stream));
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
        // The number, not the bytes: encrypted ones differ from run to run.
        self.note(format_args!("tcp {local} > {remote} {} bytes", taken.len()));
        self.send_segment(stream, Payload::Data(taken.to_vec()));
        Ok(n)
    }

    /// Reads into `buffer` and returns how much; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` while there is nothing to read, followed by [`Ready::Readable`]; or the error
    /// that the stream failed with, once everything before it is read.
    pub fn read(&mut self, stream: SocketHandle, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let entry = self.streams.get(&stream).ok_or(ErrorKind::NotConnected)?;
        let (host, remote, peer) = (entry.host, entry.remote, entry.peer);
        if entry.inbox.is_empty() {
            return match entry.state {
                StreamState::Failed(kind) => Err(kind),
                StreamState::Closed => Err(ErrorKind::NotConnected),
                _ if entry.eof => Ok(0),
                _ => Err(ErrorKind::WouldBlock),
            };
        }
        let link = self.link_to(host, remote.ip()).clone();
        if self.random.chance(link.would_block) {
            let at = self.now + BLOCKED;
            self.plan(at, NetworkEvent::Readable(stream));
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

    /// Closes our direction of a stream. Bytes written before still arrive.
    pub fn shutdown(&mut self, stream: SocketHandle) {
        if let Some(entry) = self.streams.get_mut(&stream)
            && entry.state == StreamState::Open
            && !core::mem::replace(&mut entry.shut, true)
        {
            self.send_segment(stream, Payload::End);
        }
    }

    /// Resets a stream: the peer gets `ConnectionReset` once it has read what came before.
    pub fn reset(&mut self, stream: SocketHandle) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.outgoing.clear();
            entry.state = StreamState::Failed(ErrorKind::ConnectionReset);
            self.ready.push_back(Ready::Readable(stream));
            self.send_segment(stream, Payload::Reset);
        }
    }
}
