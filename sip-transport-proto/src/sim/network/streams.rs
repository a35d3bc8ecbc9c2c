use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::ErrorKind;

use super::stream::{Payload, State, Stream};
use super::{Happening, HostId, Listener, Network, Ready, Socket};

/// How long a socket stays blocked that is so by chance.
const BLOCKED: Duration = Duration::from_millis(1);

impl Network {
    /// Starts to listen. Port 0 takes a free one.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind).
    pub fn listen(&mut self, host: HostId, local: SocketAddr) -> Result<Socket, ErrorKind> {
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

    /// Takes the next stream that a listener has, with the address of its far end.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, `QuotaExceeded` if there are too many sockets.
    pub fn accept(&mut self, listener: Socket) -> Result<(Socket, SocketAddr), ErrorKind> {
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

    /// Opens a stream, from `local` or the address that the routes say. [`Ready::Connected`] or
    /// [`Ready::ConnectFailed`] tells how it ended; to a host that is not there or cut off it never
    /// ends.
    ///
    /// # Errors
    /// There is no way there, or there are too many sockets.
    pub fn connect(
        &mut self,
        host: HostId,
        local: Option<IpAddr>,
        remote: SocketAddr,
    ) -> Result<Socket, ErrorKind> {
        let ip = match local {
            Some(ip) => ip,
            None => self.local_address(host, remote.ip())?,
        };
        let (socket, local) = self.take_address(host, true, SocketAddr::new(ip, 0))?;
        // An ephemeral port of a stream is no listener's.
        self.bound.remove(&(host, true, local));
        self.streams
            .insert(socket, Stream::new(host, local, remote, State::Connecting));
        self.note(format_args!("tcp {local} > {remote} connect"));
        self.send_syn(socket);
        Ok(socket)
    }

    /// Whether a stream is open yet.
    ///
    /// # Errors
    /// What it failed of.
    pub fn is_connected(&self, stream: Socket) -> Result<bool, ErrorKind> {
        match self.streams.get(&stream).map(|stream| stream.state) {
            Some(State::Connecting) => Ok(false),
            Some(State::Open) => Ok(true),
            Some(State::Failed(kind)) => Err(kind),
            Some(State::Closed) | None => Err(ErrorKind::NotConnected),
        }
    }

    /// Writes some of `data` and says how much.
    ///
    /// # Errors
    /// `WouldBlock` while there is no room, [`Ready::Writable`] then follows; or what the stream
    /// failed of.
    pub fn write(&mut self, stream: Socket, data: &[u8]) -> Result<usize, ErrorKind> {
        let entry = self.streams.get(&stream).ok_or(ErrorKind::NotConnected)?;
        match entry.state {
            State::Open if entry.shut => return Err(ErrorKind::BrokenPipe),
            State::Open => {}
            State::Connecting => return Err(ErrorKind::WouldBlock),
            State::Failed(kind) => return Err(kind),
            State::Closed => return Err(ErrorKind::NotConnected),
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
            self.plan(at, Happening::Writable(stream));
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
        // How many, not which: encrypted ones differ from run to run.
        self.note(format_args!("tcp {local} > {remote} {} bytes", taken.len()));
        self.send_segment(stream, Payload::Data(taken.to_vec()));
        Ok(n)
    }

    /// Reads into `buffer` and says how much; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` while there is nothing, [`Ready::Readable`] then follows; or what the stream
    /// failed of, once everything before that is read.
    pub fn read(&mut self, stream: Socket, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let entry = self.streams.get(&stream).ok_or(ErrorKind::NotConnected)?;
        let (host, remote, peer) = (entry.host, entry.remote, entry.peer);
        if entry.inbox.is_empty() {
            return match entry.state {
                State::Failed(kind) => Err(kind),
                State::Closed => Err(ErrorKind::NotConnected),
                _ if entry.eof => Ok(0),
                _ => Err(ErrorKind::WouldBlock),
            };
        }
        let link = self.link_to(host, remote.ip()).clone();
        if self.random.chance(link.would_block) {
            let at = self.now + BLOCKED;
            self.plan(at, Happening::Readable(stream));
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

    /// Closes our direction of a stream. What was written still arrives.
    pub fn shutdown(&mut self, stream: Socket) {
        if let Some(entry) = self.streams.get_mut(&stream)
            && entry.state == State::Open
            && !core::mem::replace(&mut entry.shut, true)
        {
            self.send_segment(stream, Payload::End);
        }
    }

    /// Breaks a stream: the far end gets `ConnectionReset` once it has read what came before.
    pub fn reset(&mut self, stream: Socket) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.outgoing.clear();
            entry.state = State::Failed(ErrorKind::ConnectionReset);
            self.ready.push_back(Ready::Readable(stream));
            self.send_segment(stream, Payload::Reset);
        }
    }
}
