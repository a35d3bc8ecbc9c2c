//! Connections: messages over TCP, TLS, WebSocket and secure WebSocket.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket as RawSocket, Type};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderValue, header};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

use crate::Failure;
use crate::message::Frames;
use crate::tls::Trust;

/// How long anything may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What SIP runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Over {
    /// As the transport of a Via (RFC 3261 §25.1, RFC 7118 §5.2).
    pub fn via(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// Whether it is encrypted.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether it is WebSocket.
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// How messages become WebSocket frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// A text frame each.
    #[default]
    Text,
    /// A binary message each, in two fragments with a ping between them (RFC 6455 §5.4).
    Fragments,
}

/// Makes connections to one server.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Where to.
    pub to: SocketAddr,
    /// The address to connect from, if not any.
    pub from: Option<IpAddr>,
    /// Over what.
    pub over: Over,
    /// The server's name in TLS and in the upgrade's Host; for an address, TLS sends no name.
    pub name: String,
    /// For TLS and secure WebSocket.
    pub tls: Arc<ClientConfig>,
    /// For WebSocket.
    pub framing: Framing,
}

impl Connector {
    /// Plain TCP, from any address.
    ///
    /// # Errors
    /// The configuration of TLS, which is not used, cannot be made.
    pub fn tcp(to: SocketAddr) -> Result<Self, Failure> {
        Ok(Self {
            to,
            from: None,
            over: Over::Tcp,
            name: "localhost".to_owned(),
            tls: Trust::default().config()?,
            framing: Framing::Text,
        })
    }

    /// Connects, with whatever handshakes that takes.
    ///
    /// # Errors
    /// The network, TLS or WebSocket fails, or the server does not choose the subprotocol `sip`.
    pub fn connect(&self) -> Result<Link, Failure> {
        let tcp = connect_from(self.to, self.from)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let local = tcp.local_addr()?;
        let socket = if self.over.is_secure() {
            self.handshake(tcp)?
        } else {
            Socket::Plain(tcp)
        };
        let wire = if self.over.is_websocket() {
            Wire::WebSocket(Box::new(self.upgrade(socket)?), self.framing)
        } else {
            Wire::Stream(socket, Frames::default())
        };
        Ok(Link {
            local,
            over: self.over,
            wire,
            pings: 0,
            pongs: 0,
        })
    }

    fn handshake(&self, mut tcp: TcpStream) -> Result<Socket, Failure> {
        let name = ServerName::try_from(self.name.clone())?;
        let mut tls = ClientConnection::new(self.tls.clone(), name)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Socket::Tls(Box::new(StreamOwned::new(tls, tcp))))
    }

    fn upgrade(&self, socket: Socket) -> Result<WebSocket<Socket>, Failure> {
        let scheme = if self.over.is_secure() { "wss" } else { "ws" };
        let host = if self.name.contains(':') {
            format!("[{}]", self.name)
        } else {
            self.name.clone()
        };
        let mut request = format!("{scheme}://{host}:{}/", self.to.port()).into_client_request()?;
        let sip = HeaderValue::from_static("sip");
        request
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, sip.clone());
        // The default of 128 KiB is much for a thousand connections.
        let config = WebSocketConfig::default().read_buffer_size(4096);
        let (websocket, response) =
            tungstenite::client::client_with_config(request, socket, Some(config))?;
        let chosen = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
        if chosen != Some(&sip) {
            return Err(format!("the server chose the subprotocol {chosen:?}").into());
        }
        Ok(websocket)
    }
}

/// A bare connection, from that address if one is given.
///
/// # Errors
/// It cannot be made in time.
pub fn connect_from(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = RawSocket::new(Domain::for_address(to), Type::STREAM, None)?;
    if let Some(ip) = from {
        socket.bind(&SocketAddr::new(ip, 0).into())?;
    }
    socket.connect_timeout(&to.into(), PATIENCE)?;
    Ok(socket.into())
}

/// A connection.
#[derive(Debug)]
pub struct Link {
    local: SocketAddr,
    over: Over,
    wire: Wire,
    pings: usize,
    pongs: usize,
}

#[derive(Debug)]
enum Wire {
    Stream(Socket, Frames),
    WebSocket(Box<WebSocket<Socket>>, Framing),
}

impl Link {
    /// The own address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// What it runs over.
    pub fn over(&self) -> Over {
        self.over
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send(&mut self, message: &str) -> Result<(), Failure> {
        match &mut self.wire {
            Wire::Stream(socket, _) => {
                socket.write_all(message.as_bytes())?;
                socket.flush()?;
            }
            Wire::WebSocket(websocket, Framing::Text) => websocket.send(Message::text(message))?,
            Wire::WebSocket(websocket, Framing::Fragments) => {
                let (first, rest) = message.as_bytes().split_at(message.len() / 2);
                let (first, rest) = (first.to_vec(), rest.to_vec());
                let first = Frame::message(first, OpCode::Data(Data::Binary), false);
                let rest = Frame::message(rest, OpCode::Data(Data::Continue), true);
                websocket.write(Message::Frame(first))?;
                websocket.write(Message::Ping("between".into()))?;
                websocket.send(Message::Frame(rest))?;
                self.pings += 1;
            }
        }
        Ok(())
    }

    /// Sends the ping of RFC 5626 §4.4.1 over TCP or TLS, and waits for the pong.
    ///
    /// # Errors
    /// The connection broke, was closed, something else came, or nothing in time.
    pub fn keep_alive(&mut self) -> Result<(), Failure> {
        let Wire::Stream(socket, _) = &mut self.wire else {
            return Err("CRLF pings are for TCP and TLS".into());
        };
        socket.write_all(b"\r\n\r\n")?;
        socket.flush()?;
        let mut pong = [0; 2];
        socket.read_exact(&mut pong).map_err(in_time)?;
        match &pong {
            b"\r\n" => Ok(()),
            other => Err(format!("{other:?} came instead of a pong").into()),
        }
    }

    /// Waits for a message.
    ///
    /// # Errors
    /// The connection broke, was closed, or nothing came in time.
    pub fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        match &mut self.wire {
            Wire::Stream(socket, frames) => loop {
                if let Some(message) = frames.take()? {
                    return Ok(message);
                }
                let mut data = [0; 16 * 1024];
                match socket.read(&mut data).map_err(in_time)? {
                    0 => return Err("closed by the server".into()),
                    len => frames.push(&data[..len]),
                }
            },
            Wire::WebSocket(websocket, framing) => loop {
                // RFC 7118 §5: the type of the request's message is the type of its answer's.
                match (websocket.read().map_err(late)?, &framing) {
                    (Message::Text(text), Framing::Text) => return Ok(text.as_bytes().to_vec()),
                    (Message::Binary(data), Framing::Fragments) => return Ok(data.to_vec()),
                    (Message::Pong(data), _) if data.as_ref() == b"between" => self.pongs += 1,
                    (Message::Ping(_), _) => {}
                    (message, _) => return Err(format!("this came: {message:?}").into()),
                }
            },
        }
    }

    /// Closes it as its protocols do, and waits until the server has done so too.
    ///
    /// # Errors
    /// The server sent something else before, cut the connection, or left pings unanswered.
    pub fn close(mut self) -> Result<(), Failure> {
        let mut socket = match self.wire {
            Wire::Stream(mut socket, _) => {
                socket.end()?;
                socket
            }
            Wire::WebSocket(mut websocket, _) => {
                websocket.close(None)?;
                loop {
                    match websocket.read().map_err(late) {
                        Ok(Message::Pong(_)) => self.pongs += 1,
                        Ok(Message::Close(_)) => break,
                        Ok(message) => {
                            return Err(format!("this came instead of Close: {message:?}").into());
                        }
                        Err(error) => return Err(format!("no Close came: {error}").into()),
                    }
                }
                websocket.into_inner()
            }
        };
        if self.pings != self.pongs {
            return Err(format!("{} pings, {} pongs", self.pings, self.pongs).into());
        }
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).map_err(in_time)?;
        if rest.is_empty() {
            Ok(())
        } else {
            Err(format!("{} more bytes at the end", rest.len()).into())
        }
    }
}

/// Says what a read timeout is.
fn in_time(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("nothing came within {PATIENCE:?}").into()
        }
        _ => error.into(),
    }
}

fn late(error: tungstenite::Error) -> Failure {
    match error {
        tungstenite::Error::Io(error) => in_time(error),
        error => error.into(),
    }
}

/// The bytes below.
#[derive(Debug)]
enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Says that no more will be sent.
    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.shutdown(std::net::Shutdown::Write),
            Self::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush()
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(data),
            Self::Tls(tls) => tls.read(data),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(data),
            Self::Tls(tls) => tls.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
