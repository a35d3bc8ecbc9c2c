//! The transport in a mio event loop: every kind of channel from one thread, 200 to all requests
//! but ACK.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Clock and sockets are here.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::{
    collections::BTreeMap, env, error::Error, process::ExitCode, time::Duration, time::Instant,
};

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Registry, Token};
use sip_transport_proto::sip_core::{Method, Name, Request, StatusCode, build::ResponseBuilder};
use sip_transport_proto::tls::{LocalCertificate, TlsConfig, TlsServer, rustls};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Event, Outgoing, Output, Protocol, SendOptions,
    Transport,
};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
const USAGE: &str =
    "usage: own_loop [--cert FILE --key FILE] --udp|--tcp|--tls|--ws|--wss ADDRESS:PORT ...";

struct Server {
    sip: Transport,
    registry: Registry,
    sockets: BTreeMap<Token, Socket>,
    udp: BTreeMap<ChannelId, Token>,
    streams: BTreeMap<ConnectionId, Token>,
    last_token: Token,
    tags: RandomState,
}

enum Socket {
    Udp(ChannelId, UdpSocket),
    Listener(ChannelId, TcpListener),
    Stream(ConnectionId, TcpStream),
}

fn main() -> ExitCode {
    let Err(error) = run(env::args().skip(1));
    eprintln!("{error}");
    ExitCode::FAILURE
}

/// Serves until something fails.
fn run(args: impl Iterator<Item = String>) -> Result<Infallible, Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut server = Server {
        sip: Transport::new(Config::default(), seed),
        registry: poll.registry().try_clone()?,
        sockets: BTreeMap::new(),
        udp: BTreeMap::new(),
        streams: BTreeMap::new(),
        last_token: Token(0),
        tags: RandomState::new(),
    };
    server.configure(args)?;
    let (mut events, mut buffer) = (Events::with_capacity(256), vec![0; 65_536]);
    loop {
        match poll.poll(&mut events, server.drain()) {
            // A signal came, such as the one that lets a stopped process go on.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => result?,
        }
        for event in &events {
            // mio tells of readiness once: go on until the system has no more.
            while server.input(event.token(), &mut buffer).is_ok() {
                server.drain();
            }
        }
        server.sip.handle_timeout(Instant::now());
    }
}

fn tls(cert: &[u8], key: &[u8]) -> Result<TlsConfig, Box<dyn Error>> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let certificate = LocalCertificate::from_pem(&provider, cert, key)?;
    Ok(TlsServer::new(provider, certificate).build()?)
}

impl Server {
    fn configure(&mut self, mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
        let (mut cert, mut key) = (None, None);
        let read = |file: String| std::fs::read(&file).map_err(|e| format!("{file}: {e}"));
        while let Some(option) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match option.as_str() {
                "--cert" => cert = Some(read(value)?),
                "--key" => key = Some(read(value)?),
                other => {
                    let protocol = Protocol::from_token(other.trim_start_matches('-'));
                    let local = value.parse().map_err(|e| format!("{value}: {e}"))?;
                    let mut channel = ChannelConfig::new(protocol.ok_or(USAGE)?, local);
                    if let (Some(cert), Some(key)) = (&cert, &key) {
                        channel = channel.tls(tls(cert, key)?);
                    }
                    self.open(channel)
                        .map_err(|e| format!("{option} {value}: {e}"))?;
                }
            }
        }
        // Without a socket there is nothing to serve.
        if self.sockets.is_empty() {
            Err(USAGE.into())
        } else {
            Ok(())
        }
    }

    fn open(&mut self, channel: ChannelConfig) -> Result<(), Box<dyn Error>> {
        let local = channel.local();
        if channel.protocol() == Protocol::Udp {
            let socket = UdpSocket::bind(local)?;
            let id = self.sip.add_channel(channel.at(socket.local_addr()?))?;
            let token = self.keep(Socket::Udp(id, socket))?;
            self.udp.insert(id, token);
        } else {
            let listener = TcpListener::bind(local)?;
            let id = self.sip.add_channel(channel.at(listener.local_addr()?))?;
            self.keep(Socket::Listener(id, listener))?;
        }
        Ok(())
    }

    fn keep(&mut self, mut socket: Socket) -> io::Result<Token> {
        self.last_token.0 += 1;
        let token = self.last_token;
        match &mut socket {
            Socket::Udp(_, io) => self.registry.register(io, token, Interest::READABLE)?,
            Socket::Listener(_, io) => self.registry.register(io, token, Interest::READABLE)?,
            Socket::Stream(_, io) => self.registry.register(io, token, BOTH)?,
        }
        self.sockets.insert(token, socket);
        Ok(token)
    }

    /// Gives the transport one input from a socket; an error if there is none.
    fn input(&mut self, token: Token, buffer: &mut [u8]) -> io::Result<()> {
        let now = Instant::now();
        match self.sockets.get_mut(&token).ok_or(ErrorKind::NotFound)? {
            Socket::Udp(channel, socket) => {
                let (len, remote) = socket.recv_from(buffer)?;
                let (socket, data) = (channel.socket(0), &buffer[..len]);
                self.sip.handle_datagram(now, socket, remote, None, data);
            }
            Socket::Listener(channel, listener) => {
                let (stream, remote) = listener.accept()?;
                let local = stream.local_addr()?;
                if let Ok(id) = self.sip.handle_accepted(now, *channel, local, remote) {
                    let token = self.keep(Socket::Stream(id, stream))?;
                    self.streams.insert(id, token);
                } // Else there are too many, and dropping the stream closes it.
            }
            Socket::Stream(id, _) => {
                let id = *id;
                self.write(id);
                self.drain();
                let room = self.sip.recv_capacity(id).min(buffer.len());
                let Some(Socket::Stream(_, stream)) = self.sockets.get_mut(&token) else {
                    return Err(ErrorKind::NotFound.into());
                };
                if room == 0 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                match stream.read(&mut buffer[..room]) {
                    Ok(0) => self.sip.handle_eof(id),
                    Ok(len) => _ = self.sip.handle_data(now, id, &buffer[..len]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                    Err(error) => self.sip.handle_error(id, error.kind()),
                }
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
                Output::Datagram { socket, transmit } => {
                    let token = self.udp.get(&socket.channel);
                    if let Some(Socket::Udp(_, io)) = token.and_then(|t| self.sockets.get(t))
                        && let Err(error) = io.send_to(&transmit.bytes, transmit.destination)
                    {
                        let to = transmit.destination;
                        self.sip.handle_datagram_failed(
                            Instant::now(),
                            transmit.send,
                            to,
                            error.kind(),
                        );
                    }
                }
                Output::Writable(id) => self.write(id),
                Output::Close(id) => {
                    if let Some(token) = self.streams.remove(&id) {
                        self.sockets.remove(&token);
                    }
                }
                // Other events; connections and lookups, which requests of our own would need.
                _ => {}
            }
        }
    }

    fn write(&mut self, id: ConnectionId) {
        let data = self.sip.transmit(id);
        let token = self.streams.get(&id).filter(|_| !data.is_empty());
        let Some(Socket::Stream(_, stream)) = token.and_then(|t| self.sockets.get_mut(t)) else {
            return;
        };
        match stream.write(data) {
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
        let outgoing = Outgoing::new(response.build()?, SendOptions::new());
        self.sip.send(Instant::now(), outgoing)?;
        Ok(())
    }
}
