//! The transport in a mio event loop: UDP and TCP from one thread, 200 to all requests but ACK.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Clock and sockets are here.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::{collections::BTreeMap, env, error::Error, time::Duration, time::Instant};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Registry, Token};
use sip_transport_proto::sip_core::{Method, Name, Request, StatusCode, build::ResponseBuilder};
use sip_transport_proto::{ChannelConfig, ChannelId, Config, ConnectionId, Event, Outgoing};
use sip_transport_proto::{Output, Protocol, SendOptions, Transport};

const UDP: Token = Token(0);
const TCP: Token = Token(1);
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

struct Server {
    sip: Transport,
    registry: Registry,
    udp: (ChannelId, UdpSocket),
    tcp: (ChannelId, TcpListener),
    streams: BTreeMap<ConnectionId, (Token, TcpStream)>,
    connections: BTreeMap<Token, ConnectionId>,
    last_token: Token,
    tags: RandomState,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = env::args().skip(1).collect::<Vec<_>>().join(" ");
    let addresses = args.split_once(" --tcp ");
    let (udp, tcp) = addresses.ok_or("usage: own_loop --udp ADDR:PORT --tcp ADDR:PORT")?;
    let mut udp = UdpSocket::bind(udp.trim_start_matches("--udp ").parse()?)?;
    let mut tcp = TcpListener::bind(tcp.parse()?)?;
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut udp, UDP, Interest::READABLE)?;
    registry.register(&mut tcp, TCP, Interest::READABLE)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut sip = Transport::new(Config::default(), seed);
    let udp_channel = sip.add_channel(ChannelConfig::new(Protocol::Udp, udp.local_addr()?))?;
    let tcp_channel = sip.add_channel(ChannelConfig::new(Protocol::Tcp, tcp.local_addr()?))?;
    let mut server = Server {
        sip,
        registry,
        udp: (udp_channel, udp),
        tcp: (tcp_channel, tcp),
        streams: BTreeMap::new(),
        connections: BTreeMap::new(),
        last_token: TCP,
        tags: RandomState::new(),
    };
    let (mut events, mut buffer) = (Events::with_capacity(256), vec![0; 65_536]);
    loop {
        poll.poll(&mut events, server.drain())?;
        for event in &events {
            // mio tells of readiness once: go on until the system has no more.
            while server.input(event.token(), &mut buffer).is_ok() {
                server.drain();
            }
        }
        server.sip.handle_timeout(Instant::now());
    }
}

impl Server {
    /// Gives the transport one input from a socket; an error if there is none.
    fn input(&mut self, token: Token, buffer: &mut [u8]) -> io::Result<()> {
        let now = Instant::now();
        if token == UDP {
            let (len, remote) = self.udp.1.recv_from(buffer)?;
            let (socket, data) = (self.udp.0.socket(0), &buffer[..len]);
            self.sip.handle_datagram(now, socket, remote, None, data);
        } else if token == TCP {
            let (mut stream, remote) = self.tcp.1.accept()?;
            let (channel, local) = (self.tcp.0, stream.local_addr()?);
            if let Ok(id) = self.sip.handle_accepted(now, channel, local, remote) {
                self.last_token.0 += 1;
                self.registry.register(&mut stream, self.last_token, BOTH)?;
                self.connections.insert(self.last_token, id);
                self.streams.insert(id, (self.last_token, stream));
            } // Else there are too many, and dropping the stream closes it.
        } else {
            let id = *self.connections.get(&token).ok_or(ErrorKind::NotFound)?;
            self.write(id);
            self.drain();
            let room = self.sip.recv_capacity(id).min(buffer.len());
            let stream = self.streams.get_mut(&id).filter(|_| room > 0);
            let (_, stream) = stream.ok_or(ErrorKind::WouldBlock)?;
            match stream.read(&mut buffer[..room]) {
                Ok(0) => self.sip.handle_eof(id),
                Ok(len) => _ = self.sip.handle_data(now, id, &buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                Err(error) => self.sip.handle_error(id, error.kind()),
            }
        }
        Ok(())
    }

    /// Does what the transport asks for, and says how long to wait for input.
    fn drain(&mut self) -> Option<Duration> {
        loop {
            match self.sip.poll_output(Instant::now()) {
                Output::Timeout(due) => return due.map(|(at, _)| at - Instant::now()),
                // The send fails if the connection is gone, and so is who asked.
                Output::Event(Event::Request { request, .. }) => _ = self.answer(&request),
                Output::Datagram { transmit, .. } => {
                    if let Err(error) = self.udp.1.send_to(&transmit.bytes, transmit.destination) {
                        self.sip.handle_datagram_failed(transmit.send, error.kind());
                    }
                }
                Output::Writable(id) => self.write(id),
                Output::Close(id) => {
                    if let Some((token, _)) = self.streams.remove(&id) {
                        self.connections.remove(&token);
                    }
                }
                // Other events; connections and lookups, which requests of our own would need.
                _ => {}
            }
        }
    }

    fn write(&mut self, id: ConnectionId) {
        let data = self.sip.transmit(id);
        let stream = self.streams.get_mut(&id).filter(|_| !data.is_empty());
        match stream.map_or(Ok(0), |(_, stream)| stream.write(data)) {
            Ok(len) => self.sip.handle_written(Instant::now(), id, len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {} // mio will tell.
            Err(error) => self.sip.handle_error(id, error.kind()),
        }
    }

    fn answer(&mut self, request: &Request) -> Result<(), Box<dyn Error>> {
        if request.method() == Method::Ack {
            return Ok(());
        }
        // RFC 3261 §8.2.7: a request that comes again gets the same tag again.
        let tag = self.tags.hash_one(request.raw(Name::CallId)).to_string();
        let mut response = ResponseBuilder::new(request, StatusCode::OK).to_tag(&tag);
        if request.method() == Method::Invite {
            response = response.header(Name::Contact, "<sip:0.0.0.0>"); // The transport fills it in.
        }
        let outgoing = Outgoing::new(response.build(|_| {})?, SendOptions::new());
        self.sip.send(Instant::now(), outgoing)?;
        Ok(())
    }
}
