//! What travels between the two ends of a stream.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::ErrorKind;

use super::stream::{Payload, Segment, State, Stream};
use super::{Happening, HostId, Network, Ready, Socket};

/// When a lost segment or a SYN comes again.
const RETRANSMISSION: Duration = Duration::from_millis(200);

impl Network {
    pub(super) fn send_syn(&mut self, stream: Socket) {
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
        self.plan(at, Happening::Syn(stream));
    }

    pub(super) fn syn_came(&mut self, stream: Socket) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        if entry.state != State::Connecting {
            return;
        }
        let (host, local, remote) = (entry.host, entry.local, entry.remote);
        let Some(to) = self.host_at(host, remote.ip()) else {
            return;
        };
        if self.is_cut(host, to) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, Happening::Syn(stream));
            return;
        }
        let Some(listener) = self.socket_at(to, true, remote) else {
            self.note(format_args!("tcp {local} > {remote} refused"));
            let at = self.now + self.delay(to, host, 1);
            self.plan(at, Happening::Refused(stream));
            return;
        };
        let far = Socket(self.fresh());
        let mut end = Stream::new(to, remote, local, State::Open);
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

    /// Puts a segment on its way behind those before it.
    pub(super) fn send_segment(&mut self, stream: Socket, what: Payload) {
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
            self.plan(at, Happening::Segment(stream));
        }
    }

    pub(super) fn segment_came(&mut self, stream: Socket) {
        let Some(entry) = self.streams.get(&stream) else {
            return;
        };
        let (host, local, remote, peer) = (entry.host, entry.local, entry.remote, entry.peer);
        let to = self.host_at(host, remote.ip());
        if to.is_some_and(|to| self.is_cut(host, to)) {
            let at = self.now + RETRANSMISSION;
            self.plan(at, Happening::Segment(stream));
            return;
        }
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        // A segment that was given up meanwhile leaves one arrival too many.
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
            self.plan(at, Happening::Segment(stream));
        } else if entry.state == State::Closed {
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
                    (Payload::Accepted, State::Connecting) => {
                        far.state = State::Open;
                        self.note(format_args!("tcp {remote} > {local} connected"));
                        self.ready.push_back(Ready::Connected(peer));
                    }
                    (Payload::Data(data), State::Open) => {
                        far.inbox.extend(data);
                        self.ready.push_back(Ready::Readable(peer));
                    }
                    (Payload::End, State::Open) => {
                        far.eof = true;
                        self.note(format_args!("tcp {local} > {remote} end"));
                        self.ready.push_back(Ready::Readable(peer));
                    }
                    // Nobody reads it any more.
                    (Payload::Data(_) | Payload::Accepted, State::Closed) => {
                        self.fail(stream, ErrorKind::ConnectionReset);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A stream is over, for a reason that came from outside.
    pub(super) fn fail(&mut self, stream: Socket, kind: ErrorKind) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let (local, remote) = (entry.local, entry.remote);
        match entry.state {
            State::Closed | State::Failed(_) => return,
            State::Connecting => self.ready.push_back(Ready::ConnectFailed(stream, kind)),
            State::Open => {
                self.ready.push_back(Ready::Readable(stream));
                self.ready.push_back(Ready::Writable(stream));
            }
        }
        entry.state = State::Failed(kind);
        entry.outgoing.clear();
        self.note(format_args!("tcp {local} > {remote} failed: {kind:?}"));
    }

    /// The owner of a stream is done with it.
    pub(super) fn abandon(&mut self, stream: Socket) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let last = match entry.state {
            State::Open if entry.inbox.is_empty() => (!entry.shut).then_some(Payload::End),
            State::Open => Some(Payload::Reset),
            State::Connecting | State::Failed(_) | State::Closed => None,
        };
        entry.state = State::Closed;
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

    /// Bytes were read at this end: its far end may have room to write again.
    pub(super) fn unblock(&mut self, host: HostId, remote: SocketAddr, peer: Option<Socket>) {
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
        self.plan(at, Happening::Writable(peer));
    }

    pub(super) fn set_blocked(&mut self, stream: Socket) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.blocked = true;
        }
    }

    pub(super) fn unread(&self, peer: Option<Socket>) -> usize {
        let far = peer.and_then(|peer| self.streams.get(&peer));
        far.map_or(0, |far| far.inbox.len())
    }
}
