//! The segments between the two ends of a stream.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind;

use super::stream::{Payload, Segment, Stream, StreamState};
use super::{HostId, Network, NetworkEvent, Ready, SocketHandle};

/// The delay of a retransmission, of a segment or a SYN.
const RETRANSMISSION: Duration = Duration::from_millis(200);

impl Network {
    pub(super) fn send_syn(&mut self, stream: SocketHandle) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        let (host, remote) = (entry.host, entry.remote);
        let Some(to) = self.host_at(host, remote.ip()) else {
            return;
        };
        let lost = self.random.chance(self.link(host, to).loss);
        let mut at = self.now + self.delay(host, to, 1);
        if lost {
            at += RETRANSMISSION;
        }
        self.plan(at, NetworkEvent::Syn(stream));
    }

    pub(super) fn syn_arrived(&mut self, stream: SocketHandle) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        if entry.state != StreamState::Connecting {
            return;
        }
        let (host, local, remote) = (entry.host, entry.local, entry.remote);
        let Some(to) = self.host_at(host, remote.ip()) else {
            return;
        };
        if self.is_cut(host, to) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, NetworkEvent::Syn(stream));
            return;
        }
        let Some(listener) = self.socket_at(to, true, remote) else {
            self.note(format_args!("tcp {local} > {remote} refused"));
            let at = self.now + self.delay(to, host, 1);
            self.plan(at, NetworkEvent::Refused(stream));
            return;
        };
        let far = SocketHandle(self.fresh());
        let mut end = Stream::new(to, remote, local, StreamState::Open);
        end.peer = Some(stream);
        self.streams.insert(far, end);
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.peer = Some(far);
        }
        if let Some(entry) = self.listeners.get_mut(&listener) {
            entry.backlog.push_back(far);
        }
        self.ready.push_back(Ready::Accept(listener));
        self.send_segment(far, Payload::Accepted);
    }

    /// Sends a segment, in order behind those before it.
    pub(super) fn send_segment(&mut self, stream: SocketHandle, what: Payload) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        let (host, remote) = (entry.host, entry.remote);
        let before = entry.outgoing.back().map(|segment| segment.at);
        let first = before.is_none();
        let Some(to) = self.host_at(host, remote.ip()) else {
            return;
        };
        let lost = self.random.chance(self.link(host, to).loss);
        let mut at = self.now + self.delay(host, to, 1);
        if lost {
            at += RETRANSMISSION;
        }
        let at = before.map_or(at, |before| before.max(at));
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.outgoing.push_back(Segment { at, what });
        }
        if first {
            self.plan(at, NetworkEvent::Segment(stream));
        }
    }

    pub(super) fn segment_arrived(&mut self, stream: SocketHandle) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        let (host, local, remote, peer) = (entry.host, entry.local, entry.remote, entry.peer);
        let to = self.host_at(host, remote.ip());
        if to.is_some_and(|to| self.is_cut(host, to)) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, NetworkEvent::Segment(stream));
            return;
        }
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        // A segment that was dropped meanwhile leaves one arrival too many.
        if entry
            .outgoing
            .front()
            .is_none_or(|segment| segment.at > self.now)
        {
            return;
        }
        let Some(segment) = entry.outgoing.pop_front() else {
            return;
        };
        if let Some(next) = entry.outgoing.front().map(|segment| segment.at) {
            let at = next.max(self.now);
            self.plan(at, NetworkEvent::Segment(stream));
        } else if entry.state == StreamState::Closed {
            self.streams.remove(&stream);
        }
        let Some(peer) = peer else {
            return;
        };
        match segment.what {
            Payload::Reset => self.fail(peer, ErrorKind::ConnectionReset),
            what => {
                let Some(far) = self.streams.get_mut(&peer) else {
                    return self.fail(stream, ErrorKind::ConnectionReset);
                };
                match (what, far.state) {
                    (Payload::Accepted, StreamState::Connecting) => {
                        far.state = StreamState::Open;
                        self.note(format_args!("tcp {remote} > {local} connected"));
                        self.ready.push_back(Ready::Connected(peer));
                    }
                    (Payload::Data(data), StreamState::Open) => {
                        far.inbox.extend(data);
                        self.ready.push_back(Ready::Readable(peer));
                    }
                    (Payload::End, StreamState::Open) => {
                        far.eof = true;
                        self.note(format_args!("tcp {local} > {remote} end"));
                        self.ready.push_back(Ready::Readable(peer));
                    }
                    // The reader has closed the stream.
                    (Payload::Data(_) | Payload::Accepted, StreamState::Closed) => {
                        self.fail(stream, ErrorKind::ConnectionReset);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Ends a stream with an error from the network.
    pub(super) fn fail(&mut self, stream: SocketHandle, kind: ErrorKind) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let (local, remote) = (entry.local, entry.remote);
        match entry.state {
            StreamState::Closed | StreamState::Failed(_) => return,
            StreamState::Connecting => self.ready.push_back(Ready::ConnectFailed(stream, kind)),
            StreamState::Open => {
                self.ready.push_back(Ready::Readable(stream));
                self.ready.push_back(Ready::Writable(stream));
            }
        }
        entry.state = StreamState::Failed(kind);
        entry.outgoing.clear();
        self.note(format_args!("tcp {local} > {remote} failed: {kind:?}"));
    }

    /// Closes a stream on behalf of its owner.
    pub(super) fn abandon(&mut self, stream: SocketHandle) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let last = match entry.state {
            StreamState::Open if entry.inbox.is_empty() => (!entry.shut).then_some(Payload::End),
            StreamState::Open => Some(Payload::Reset),
            StreamState::Connecting | StreamState::Failed(_) | StreamState::Closed => None,
        };
        entry.state = StreamState::Closed;
        entry.inbox.clear();
        let (local, remote) = (entry.local, entry.remote);
        match last {
            Some(last) => self.send_segment(stream, last),
            None if entry.outgoing.is_empty() => {
                self.streams.remove(&stream);
            }
            None => {}
        }
        self.note(format_args!("tcp {local} > {remote} close"));
    }

    /// Notifies the peer of a stream that bytes were read, so that it may have room to write again.
    pub(super) fn unblock(&mut self, host: HostId, remote: SocketAddr, peer: Option<SocketHandle>) {
        let Some(peer) = peer else {
            return;
        };
        let Some(far) = self.streams.get_mut(&peer) else {
            return;
        };
        if !core::mem::replace(&mut far.blocked, false) {
            return;
        }
        let to = self.host_at(host, remote.ip()).unwrap_or(host);
        let at = self.now + self.delay(host, to, 1);
        self.plan(at, NetworkEvent::Writable(peer));
    }

    pub(super) fn set_blocked(&mut self, stream: SocketHandle) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.blocked = true;
        }
    }

    pub(super) fn unread(&self, peer: Option<SocketHandle>) -> usize {
        let far = peer.and_then(|peer| self.streams.get(&peer));
        far.map_or(0, |far| far.inbox.len())
    }
}
