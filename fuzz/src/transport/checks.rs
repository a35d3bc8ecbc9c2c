//! What must follow, as the model has it.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use sip_transport_proto::parts::{Carrier, Held};
use sip_transport_proto::{
    ConnectionId, Event, HintOutcome, Output, Sent, SipEndpoint, SocketId, Submitted, Transmit,
    error::SendCause, error::SendError,
};

use super::model::{Ask, Channel, Connection, Next, Verdict};
use super::{
    ALL_QUEUES, CONNECTIONS, CONTROL, MANY, QUEUE, Question, SILENT_QUEUE, Socket, WAITING, World,
};

impl World {
    pub(super) fn submitted(
        &mut self,
        ask: Ask,
        verdict: &Verdict,
        (waited, queued): (usize, usize),
        result: Result<Submitted, SendError>,
    ) {
        self.adopt();
        let over = match verdict {
            // Over TLS it also counts whom the peer has to prove to be, which is not looked at here.
            Verdict::Over(id) => self.model.connections.get(id).map(|c| (*id, c.protocol)),
            _ => None,
        };
        let doubtful =
            over.is_some_and(|(id, protocol)| protocol.is_secure() || self.model.is_doubtful(id));
        let is_name = matches!(ask.next, Next::Name(_)) && ask.to.is_none();
        match result {
            Ok(Submitted::Sent(sent)) => {
                self.note(&sent);
                match verdict {
                    Verdict::Wait if is_name => {}
                    _ if doubtful => {}
                    Verdict::Datagram(..) => {
                        assert!(
                            matches!(sent.carrier(), Carrier::Datagram { .. }),
                            "{verdict:?}"
                        );
                    }
                    Verdict::Over(id) => {
                        assert_eq!(sent.carrier(), Carrier::Connection(*id), "{verdict:?}");
                        assert_eq!(self.open.get(id), Some(&Socket::Open));
                    }
                    _ => panic!("{verdict:?}, and sent {:?}: {ask:?}", sent.carrier()),
                }
                self.sent(ask, sent, true);
            }
            Ok(Submitted::Waiting(id)) => {
                self.note(&id);
                match verdict {
                    Verdict::Wait | Verdict::Open(..) => {}
                    _ if doubtful => {}
                    Verdict::Over(id) => {
                        assert_eq!(self.open.get(id), Some(&Socket::Connecting));
                    }
                    _ => panic!("{verdict:?}, and it waits: {ask:?}"),
                }
                assert!(self.waiting.insert(id, ask).is_none(), "{id:?} again");
            }
            Err(error) => {
                self.note(&error);
                let returned = error.message().to_bytes();
                assert_eq!(String::from_utf8_lossy(&returned), ask.text, "changed");
                assert!(!self.waiting.contains_key(&error.send()));
                match error.cause() {
                    SendCause::ShuttingDown => assert!(self.closing),
                    SendCause::TooManyWaiting { limit } => {
                        assert!(matches!(verdict, Verdict::Wait) || doubtful, "{verdict:?}");
                        assert_eq!((*limit, waited), (WAITING, WAITING));
                    }
                    SendCause::TooManyConnections { .. } => {
                        assert!(matches!(verdict, Verdict::Open(..)) || is_name || doubtful);
                        assert!(self.model.connections.len() >= CONNECTIONS);
                    }
                    SendCause::QueueFull { limit } => {
                        // Via, Contact and what else is filled in make it longer.
                        let size = ask.text.len() + 200;
                        let own = over.map_or(QUEUE, |(id, _)| self.sip.transmit(id).len());
                        match *limit {
                            ALL_QUEUES => assert!(queued + size > ALL_QUEUES),
                            // What waits for it to open counts too.
                            limit => assert!(own + queued + size > limit),
                        }
                    }
                    cause => {
                        let fails = matches!(verdict, Verdict::Fails) || is_name || doubtful;
                        assert!(fails, "{verdict:?}, and {cause:?}: {ask:?}");
                    }
                }
            }
        }
    }

    /// A send has ended well: where it went and what it says is what the model says.
    pub(super) fn sent(&mut self, ask: Ask, sent: Sent, at_once: bool) {
        let by_name = matches!(ask.next, Next::Name(_)) && ask.to.is_none();
        let target = sent.target().map(|target| (target.protocol, target.addr));
        let (verdict, report) = self
            .model
            .decide(self.now, &ask, target.filter(|_| by_name));
        let hinted = ask.hints.connection.or(ask.to.and_then(|to| to.connection));
        let mut strict = None;
        match sent.carrier() {
            Carrier::Datagram { .. } => {
                let came = match &ask.next {
                    Next::Back { local, .. } => local.connection,
                    _ => None,
                };
                if ![hinted, came]
                    .into_iter()
                    .flatten()
                    .any(|id| self.model.is_doubtful(id))
                {
                    assert_eq!(sent.hints(), report);
                    assert!(matches!(verdict, Verdict::Datagram(..)), "{verdict:?}");
                    strict = Some(&verdict);
                }
            }
            Carrier::Connection(id) => {
                let honoured = sent.hints().connection == HintOutcome::Honoured;
                assert_eq!(honoured, hinted == Some(id));
                if at_once && verdict == Verdict::Over(id) {
                    assert_eq!(sent.hints(), report);
                }
                let elsewhere = !honoured
                    && !matches!(&ask.next, Next::Back { local, .. } if local.connection == Some(id));
                if elsewhere && ask.hints.channel.is_none() {
                    let to = (sent.remote().protocol, sent.remote().addr);
                    let wanted = if by_name {
                        target
                    } else {
                        ask.target.or_else(|| self.model.target(&ask))
                    };
                    assert_eq!(Some(to), wanted, "{ask:?}");
                }
            }
        }
        self.model.check_sent(&ask, &sent, strict);
        self.queued(&sent, at_once);
        self.tellable.insert(sent.id());
        if self.kept.len() < 4 {
            self.kept.push((ask, sent));
        }
    }

    /// What was sent stands in a queue.
    pub(super) fn queued(&mut self, sent: &Sent, at_once: bool) {
        if let Some(datagram) = sent.datagram() {
            self.due.push(datagram);
            return;
        }
        let Carrier::Connection(id) = sent.carrier() else {
            return;
        };
        let bytes = self.sip.transmit(id);
        let Some(connection) = self.model.connections.get_mut(&id) else {
            panic!("{id:?} is gone");
        };
        if at_once {
            let silent = connection.accepted && !connection.heard;
            let limit = if silent { SILENT_QUEUE } else { QUEUE };
            assert!(
                bytes.len() <= limit,
                "{} bytes queued of {limit}",
                bytes.len()
            );
            assert!(bytes.ends_with(sent.bytes()));
            connection.queued = connection.written + bytes.len() as u64;
        } else {
            let before = connection.queued.max(connection.written);
            connection.queued = before + sent.bytes().len() as u64;
        }
        connection
            .unwritten
            .push_back((sent.id(), connection.queued));
    }

    pub(super) fn note(&mut self, what: &dyn std::fmt::Debug) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{what:?}"));
        }
    }

    /// Channels that were made on demand: one for each protocol and family, where there was none.
    pub(super) fn adopt(&mut self) {
        let all: Vec<_> = self.sip.router().channels().collect();
        for (id, config) in all {
            if self.model.channel(id).is_some() {
                continue;
            }
            let (protocol, local) = (config.protocol(), config.local());
            let same = |c: &Channel| {
                c.on_demand && c.protocol == protocol && c.local.is_ipv4() == local.is_ipv4()
            };
            assert!(self.model.creates && !self.model.channels.iter().any(same));
            assert!(local.ip().is_unspecified() && !config.is_listener());
            self.ever.0.push(id);
            self.model.channels.push(Channel {
                id,
                protocol,
                local,
                listens: false,
                dual_stack: false,
                advertised: None,
                on_demand: true,
                bound: protocol.is_stream(),
            });
        }
        assert_eq!(
            self.sip.router().channels().count(),
            self.model.channels.len()
        );
    }

    /// Takes outputs until there are none, and holds them against what is known.
    pub(super) fn drain(&mut self) {
        let mut outputs = Vec::new();
        let mut closed = Vec::new();
        loop {
            let output = self.sip.poll_output(self.now);
            self.note(&output);
            assert!(
                outputs.len() < MANY,
                "more than {MANY} outputs to one input"
            );
            match &output {
                Output::Timeout(_) => break,
                // While it is known: a race that is won closes it before the next output.
                Output::Connect {
                    connection,
                    remote,
                    local,
                } => {
                    self.adopt();
                    self.connect(*connection, *remote, *local);
                }
                Output::Close(id) => {
                    assert!(self.open.remove(id).is_some(), "{id:?} has no socket");
                    self.model
                        .connections
                        .entry(*id)
                        .and_modify(|c| c.closing = true);
                    self.pin(*id);
                    closed.push(*id);
                }
                _ => {}
            }
            outputs.push(output);
        }
        self.adopt();
        // What was made of these comes now; a datagram is given out before its send is told to be
        // over.
        let is_datagram = |output: &Output| matches!(output, Output::Datagram { .. });
        let (datagrams, others): (Vec<_>, Vec<_>) = outputs.into_iter().partition(is_datagram);
        for output in others.into_iter().chain(datagrams) {
            self.output(output);
        }
        let due = core::mem::take(&mut self.due);
        assert!(due.is_empty(), "sent, and not given out: {due:?}");
        for id in closed {
            let gone = self.model.connections.remove(&id);
            for (send, _) in gone.into_iter().flat_map(|connection| connection.unwritten) {
                assert!(
                    !self.tellable.contains(&send),
                    "{send} is lost, and nobody is told"
                );
            }
        }
        let held = self.sip.router().held();
        assert_eq!(held.connections, self.model.connections.len());
        assert!(
            held.connections <= CONNECTIONS && held.waiting <= WAITING,
            "{held:?}"
        );
        assert!(held.queued_bytes <= ALL_QUEUES + CONTROL, "{held:?}");
    }

    /// A connection is gone: the sends that were to go over it have their targets from now on,
    /// whatever channels come and go.
    fn pin(&mut self, id: ConnectionId) {
        for ask in self.waiting.values_mut() {
            let hinted = ask.hints.connection.or(ask.to.and_then(|to| to.connection));
            if hinted == Some(id) && ask.target.is_none() {
                ask.target = self.model.target(ask);
            }
        }
    }

    pub(super) fn connect(&mut self, id: ConnectionId, remote: SocketAddr, local: Option<IpAddr>) {
        let known = self.open.insert(id, Socket::Connecting);
        assert!(known.is_none(), "{id:?} again");
        self.ever.1.push(id);
        let Some(info) = self.sip.router().connection(id) else {
            panic!("{id:?} is to be opened, and unknown");
        };
        let channel = info.remote.channel.and_then(|id| self.model.channel(id));
        let Some(channel) = channel else {
            // It was removed in the same breath.
            panic!("{id:?} is for no channel");
        };
        assert_eq!(
            (info.remote.addr, info.remote.protocol),
            (remote, channel.protocol)
        );
        let bound = channel.local.ip();
        assert!(bound.is_unspecified() || local == Some(bound));
        let connection = Connection {
            channel: channel.id,
            protocol: channel.protocol,
            remote,
            local: None,
            accepted: false,
            heard: true,
            closing: false,
            doubtful: false,
            unwritten: Default::default(),
            queued: 0,
            written: 0,
        };
        self.model.connections.insert(id, connection);
    }

    pub(super) fn output(&mut self, output: Output) {
        match output {
            Output::Event(event) => self.event(event),
            Output::Datagram { socket, transmit } => {
                let channel = self.model.channel(socket.channel);
                assert!(channel.is_some(), "on a channel that is gone");
                let same = |(at, due): &(SocketId, Transmit)| {
                    *at == socket
                        && due.send == transmit.send
                        && due.bytes == transmit.bytes
                        && due.destination == transmit.destination
                        && due.source == transmit.source
                };
                if transmit.send.is_some() {
                    let at = self.due.iter().position(same);
                    // One whose end is told behind it is held against that.
                    match at {
                        Some(at) => drop(self.due.swap_remove(at)),
                        None => panic!("nobody sent {transmit:?}"),
                    }
                }
            }
            Output::Bind { channel, .. } => self.questions.push(Question::Bound(channel)),
            Output::Lookup { id, kind, .. } => self.questions.push(Question::Lookup(id, kind)),
            Output::LocalAddress { query, remote } => {
                self.questions
                    .push(Question::LocalAddress(query, remote.ip(), self.now));
            }
            _ => {}
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Request {
                local,
                remote,
                request,
            } => {
                self.heard(&local);
                self.requests.push((local, remote, request));
            }
            Event::Response { local, .. } => self.heard(&local),
            Event::Malformed { local, .. } => {
                local.connection.into_iter().for_each(|id| self.doubt(id));
            }
            Event::SendCompleted { send, result } => {
                let Some(ask) = self.waiting.remove(&send) else {
                    panic!("{send:?} did not wait");
                };
                match result {
                    Ok(sent) => {
                        assert_eq!(sent.id(), send);
                        self.sent(ask, *sent, false);
                    }
                    Err(error) => {
                        let returned = error.message().to_bytes();
                        assert_eq!(String::from_utf8_lossy(&returned), ask.text, "changed");
                    }
                }
            }
            Event::SendFailed { send, .. } => {
                assert!(self.tellable.remove(&send), "{send:?} is not lost");
            }
            _ => {}
        }
    }

    pub(super) fn heard(&mut self, local: &SipEndpoint) {
        let id = local.connection;
        if let Some(connection) = id.and_then(|id| self.model.connections.get_mut(&id)) {
            connection.heard = true;
        }
    }

    pub(super) fn end(&mut self) {
        self.closing = true;
        self.sip.shutdown(self.now);
        self.drain();
        for _ in 0..10 {
            self.now += Duration::from_secs(3_600);
            self.sip.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.waiting.is_empty(), "{:?} never ended", self.waiting);
        assert!(self.open.is_empty(), "{:?} never closed", self.open.keys());
        let mut held = self.sip.router().held();
        held.sent_bys = 0;
        assert_eq!(held, Held::default());
    }
}
