//! One transport driven by hand, and messages for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs,
    dead_code,
    unreachable_pub
)]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sip_transport_proto::error::{CloseReason, SendCause, SendError};
use sip_transport_proto::resolve::{
    Answer, DomainName, Family, LookupId, LookupKind, Record, Target, Zone,
};
use sip_transport_proto::sip_core::build::{RequestBuilder, ResponseBuilder};
use sip_transport_proto::sip_core::{Message, Method, Name, Request, Response, StatusCode};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Deadline, Event, Hints, Outgoing, Output,
    Protocol, QueryId, SendId, SendOptions, Sent, SipEndpoint, SocketId, Submitted, Transmit,
    Transport,
};

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn udp(text: &str) -> SipEndpoint {
    SipEndpoint::new(Protocol::Udp, addr(text))
}

pub fn tcp(text: &str) -> SipEndpoint {
    SipEndpoint::new(Protocol::Tcp, addr(text))
}

/// A built request with placeholders in Via, From and Contact.
pub fn invite(uri: &str) -> Request {
    let builder = RequestBuilder::new(Method::Invite, uri);
    builder.build(|bytes| bytes.fill(7)).unwrap()
}

pub fn options(uri: &str) -> Request {
    let builder = RequestBuilder::new(Method::Options, uri);
    builder.build(|bytes| bytes.fill(7)).unwrap()
}

pub fn ok(request: &Request) -> Response {
    let builder = ResponseBuilder::new(request, StatusCode::OK);
    builder.random_tag(|bytes| bytes.fill(9)).build().unwrap()
}

/// A request as it comes from the wire, with this top Via and these header lines more.
pub fn wire_request(via: &str, more: &str) -> Vec<u8> {
    wire_request_with_body(via, more, "")
}

pub fn wire_request_with_body(via: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: {via}\r\nFrom: <sip:b@192.0.2.9>;tag=1\r\n\
         To: <sip:a@192.0.2.1>\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A request on a stream, told from others by its Call-ID.
pub fn numbered(number: usize) -> Vec<u8> {
    format!(
        "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK{number}\r\n\
         From: <sip:b@192.0.2.9>;tag=1\r\nTo: <sip:a@192.0.2.1>\r\nCall-ID: {number}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

pub fn wire_response(via: &str) -> Vec<u8> {
    format!(
        "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: <sip:b@192.0.2.9>;tag=1\r\n\
         To: <sip:a@192.0.2.1>;tag=2\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// The value of the first row of that name in a message's bytes.
pub fn header(bytes: &[u8], name: &str) -> String {
    let message = Message::parse(bytes.to_vec()).unwrap();
    String::from_utf8(message.raw(name).unwrap_or_default().to_vec()).unwrap()
}

/// A transport and everything that it asked for.
pub struct Host {
    pub transport: Transport,
    pub now: Instant,
    pub events: VecDeque<Event>,
    pub datagrams: VecDeque<(SocketId, Transmit)>,
    pub connects: VecDeque<(ConnectionId, SocketAddr, Option<IpAddr>)>,
    pub closes: Vec<ConnectionId>,
    pub binds: VecDeque<(ChannelId, SocketAddr)>,
    pub lookups: VecDeque<(LookupId, LookupKind, DomainName)>,
    pub plans: Vec<(QueryId, Result<Vec<Target>, SendCause>)>,
    pub local_queries: VecDeque<(QueryId, SocketAddr)>,
    /// The answer to questions for the local address, if they are to be answered at once.
    pub local: Option<IpAddr>,
    pub deadline: Option<(Instant, Deadline)>,
}

impl Host {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        Self::seeded(config, 1)
    }

    pub fn seeded(config: Config, seed: u8) -> Self {
        Self {
            transport: Transport::new(config, [seed; 32]),
            now: Instant::now(),
            events: VecDeque::new(),
            datagrams: VecDeque::new(),
            connects: VecDeque::new(),
            closes: Vec::new(),
            binds: VecDeque::new(),
            lookups: VecDeque::new(),
            plans: Vec::new(),
            local_queries: VecDeque::new(),
            local: None,
            deadline: None,
        }
    }

    pub fn channel(&mut self, config: ChannelConfig) -> ChannelId {
        let id = self.transport.add_channel(config).unwrap();
        self.drain();
        id
    }

    pub fn udp(&mut self, local: &str) -> ChannelId {
        self.channel(ChannelConfig::new(Protocol::Udp, addr(local)))
    }

    pub fn tcp(&mut self, local: &str) -> ChannelId {
        self.channel(ChannelConfig::new(Protocol::Tcp, addr(local)))
    }

    pub fn drain(&mut self) {
        loop {
            match self.transport.poll_output(self.now) {
                Output::Event(event) => self.events.push_back(event),
                Output::Datagram { socket, transmit } => {
                    self.datagrams.push_back((socket, transmit));
                }
                Output::Writable(_) => {}
                Output::Connect {
                    connection,
                    remote,
                    local,
                } => self.connects.push_back((connection, remote, local)),
                Output::Close(connection) => self.closes.push(connection),
                Output::Bind { channel, local } => self.binds.push_back((channel, local)),
                Output::Lookup { id, kind, name } => self.lookups.push_back((id, kind, name)),
                Output::Planned { query, result } => self.plans.push((query, result)),
                Output::LocalAddress { query, remote } => {
                    self.local_queries.push_back((query, remote));
                }
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    match (self.local, self.local_queries.pop_front()) {
                        (Some(local), Some((query, _))) => {
                            let now = self.now;
                            self.transport.handle_local_address(now, query, Ok(local));
                        }
                        (None, Some(open)) => {
                            self.local_queries.push_front(open);
                            return;
                        }
                        (_, None) => return,
                    }
                }
                _ => {}
            }
        }
    }

    /// Answers what is being looked up: every host has these addresses, and nothing has other
    /// records.
    pub fn resolve(&mut self, ips: &[&str]) {
        self.look_up(|kind, _| {
            let ips = ips.iter().map(|text| ip(text));
            let records: Vec<_> = ips
                .filter(|ip| kind == Family::of(*ip).into())
                .map(Record::Address)
                .collect();
            let ttl = Duration::from_secs(60);
            match records.is_empty() {
                true => Answer::NotFound { ttl: None },
                false => Answer::Found { records, ttl },
            }
        });
    }

    /// Answers what is being looked up from a zone.
    pub fn resolve_from(&mut self, zone: &Zone) {
        self.look_up(|kind, name| zone.answer(kind, name));
    }

    pub fn look_up(&mut self, answer: impl Fn(LookupKind, &DomainName) -> Answer) {
        assert!(!self.lookups.is_empty(), "nothing is being looked up");
        while let Some((id, kind, name)) = self.lookups.pop_front() {
            let answer = answer(kind, &name);
            self.transport.handle_lookup(self.now, id, answer);
            self.drain();
        }
    }

    pub fn submit(
        &mut self,
        message: impl Into<Message>,
        options: SendOptions,
    ) -> Result<Submitted, SendError> {
        let outgoing = Outgoing::new(message, options);
        let result = self.transport.send(self.now, outgoing);
        self.drain();
        result
    }

    /// Sends a message on to its next target, of which there is one.
    pub fn next(&mut self, sent: Sent) -> Result<Submitted, SendError> {
        let outgoing = self.transport.try_next(self.now, sent).unwrap();
        let result = self.transport.send(self.now, outgoing);
        self.drain();
        result
    }

    /// Sends a message that must go out at once, or as soon as the local address is known.
    pub fn send(&mut self, message: impl Into<Message>, options: SendOptions) -> Sent {
        match self.submit(message, options).unwrap() {
            Submitted::Sent(sent) => sent,
            Submitted::Waiting(send) => self.completed(send).unwrap(),
        }
    }

    /// Sends a message that has to wait.
    pub fn waits(&mut self, message: impl Into<Message>, options: SendOptions) -> SendId {
        match self.submit(message, options).unwrap() {
            Submitted::Waiting(send) => send,
            Submitted::Sent(sent) => panic!("did not wait: {sent:?}"),
        }
    }

    /// How a send ended that had to wait.
    pub fn completed(&mut self, wanted: SendId) -> Result<Sent, SendError> {
        self.completed_yet(wanted).expect("it has ended")
    }

    /// How a send ended that had to wait, if it has.
    pub fn completed_yet(&mut self, wanted: SendId) -> Option<Result<Sent, SendError>> {
        let is_it =
            |event: &Event| matches!(event, Event::SendCompleted { send, .. } if *send == wanted);
        let at = self.events.iter().position(is_it)?;
        match self.events.remove(at) {
            Some(Event::SendCompleted { result, .. }) => Some(result.map(|sent| *sent)),
            _ => None,
        }
    }

    pub fn datagram(&mut self, channel: ChannelId, remote: &str, data: &[u8]) -> Option<Event> {
        self.datagram_to(channel, remote, None, data)
    }

    pub fn datagram_to(
        &mut self,
        channel: ChannelId,
        remote: &str,
        local: Option<IpAddr>,
        data: &[u8],
    ) -> Option<Event> {
        let socket = channel.socket(0);
        self.transport
            .handle_datagram(self.now, socket, addr(remote), local, data);
        self.drain();
        self.events.pop_front()
    }

    /// A request that came in a datagram.
    pub fn request(&mut self, channel: ChannelId, remote: &str, data: &[u8]) -> Received {
        Received::from(self.datagram(channel, remote, data).expect("a request"))
    }

    pub fn accept(&mut self, channel: ChannelId, local: &str, remote: &str) -> ConnectionId {
        self.accept_with(channel, (local, remote), b"")
    }

    /// An accepted connection that has agreed on WebSocket.
    pub fn accept_websocket(
        &mut self,
        channel: ChannelId,
        local: &str,
        remote: &str,
    ) -> ConnectionId {
        let upgrade = b"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\
            Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        self.accept_with(channel, (local, remote), upgrade)
    }

    fn accept_with(
        &mut self,
        channel: ChannelId,
        (local, remote): (&str, &str),
        head: &[u8],
    ) -> ConnectionId {
        let (local, remote) = (addr(local), addr(remote));
        let id = self
            .transport
            .handle_accepted(self.now, channel, local, remote)
            .unwrap();
        self.drain();
        self.feed(id, head);
        assert!(matches!(
            self.events.pop_back(),
            Some(Event::ConnectionOpened { accepted: true, .. })
        ));
        id
    }

    /// Completes the oldest attempt to connect.
    pub fn connected(&mut self, local: &str) -> ConnectionId {
        let (id, _, _) = self.connects.pop_front().expect("an attempt to connect");
        self.transport.handle_connected(self.now, id, addr(local));
        self.drain();
        id
    }

    pub fn refuse(&mut self) -> ConnectionId {
        let (id, _, _) = self.connects.pop_front().expect("an attempt to connect");
        self.transport
            .handle_error(id, std::io::ErrorKind::ConnectionRefused);
        self.drain();
        id
    }

    pub fn feed(&mut self, connection: ConnectionId, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            let n = self.transport.handle_data(self.now, connection, rest);
            self.drain();
            if n == 0 {
                return;
            }
            rest = &rest[n..];
        }
    }

    pub fn eof(&mut self, connection: ConnectionId) {
        self.transport.handle_eof(connection);
        self.drain();
    }

    /// Writes all that a connection has to write.
    pub fn written(&mut self, connection: ConnectionId) -> Vec<u8> {
        let bytes = self.transport.transmit(connection).to_vec();
        self.transport
            .handle_written(self.now, connection, bytes.len());
        self.drain();
        bytes
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.deadline
            && at <= end
        {
            self.now = self.now.max(at);
            self.transport.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// The requests and other events that came, oldest first.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Why a connection was closed; nothing if it was not.
    pub fn close_reason(&mut self, wanted: ConnectionId) -> Option<CloseReason> {
        let at = self.events.iter().position(
            |event| matches!(event, Event::ConnectionClosed { connection, .. } if *connection == wanted),
        )?;
        match self.events.remove(at) {
            Some(Event::ConnectionClosed { reason, .. }) => Some(reason),
            _ => None,
        }
    }
}

/// A received request.
#[derive(Debug)]
pub struct Received {
    pub local: SipEndpoint,
    pub remote: SipEndpoint,
    pub request: Request,
}

impl From<Event> for Received {
    fn from(event: Event) -> Self {
        match event {
            Event::Request {
                local,
                remote,
                request,
            } => Self {
                local,
                remote,
                request,
            },
            other => panic!("no request: {other:?}"),
        }
    }
}

impl Received {
    pub fn via(&self) -> String {
        String::from_utf8(self.request.raw(Name::Via).unwrap().to_vec()).unwrap()
    }
}

pub fn to(destination: SipEndpoint) -> SendOptions {
    SendOptions::new().to(destination)
}

pub fn hints(hints: Hints) -> SendOptions {
    SendOptions::new().hints(hints)
}
