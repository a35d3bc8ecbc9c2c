use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;

use adapter_core::runtime::{Listener, Stream};
use sip_transport_proto::tls::{Tls, TlsConfig, TlsName};
use sip_transport_proto::websocket::{
    CloseCode, MessageKind, WebSocket, WebSocketConfig, WebSocketEvent, WebSocketLimits,
};
use sip_transport_proto::{Protocol, SipEndpoint};

use super::{Host, Place, authority, server_at};

/// What one read takes at most.
const CHUNK: usize = 4096;

/// A stream connection that says what it likes: over TCP, TLS, WebSocket or both.
#[derive(Debug)]
pub struct StreamPeer {
    stream: Box<dyn Stream>,
    tls: Option<Tls>,
    socket: Option<WebSocket>,
    /// What was read and not taken.
    buffer: Vec<u8>,
    /// How the last message came.
    kind: Option<MessageKind>,
    /// With what status the peer closed its WebSocket.
    close_status: Option<u16>,
}

impl StreamPeer {
    /// A peer on that connection, without TLS and WebSocket.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            tls: None,
            socket: None,
            buffer: Vec::new(),
            kind: None,
            close_status: None,
        }
    }

    /// Connects, and agrees on TLS and WebSocket as the protocol has them.
    ///
    /// # Panics
    /// It fails.
    pub async fn connect<H: Host>(host: &H, place: &Place, to: SipEndpoint) -> Self {
        Self::connect_with(host, place, to, &authority().client()).await
    }

    /// The same, with a TLS configuration of its own.
    ///
    /// # Panics
    /// It fails.
    pub async fn connect_with<H: Host>(
        host: &H,
        place: &Place,
        to: SipEndpoint,
        tls: &TlsConfig,
    ) -> Self {
        let mut peer = Self::secure(host, place, to, tls).await;
        if to.protocol.is_websocket() {
            peer.socket = Some(WebSocket::client(
                &WebSocketConfig::default(),
                &to.addr.to_string(),
                [7; 32],
                WebSocketLimits::default(),
            ));
        }
        peer.handshake().await;
        peer
    }

    /// Connects and begins TLS if the protocol has it; does nothing about a WebSocket.
    ///
    /// # Panics
    /// It fails.
    pub async fn connect_below_websocket<H: Host>(
        host: &H,
        place: &Place,
        to: SipEndpoint,
    ) -> Self {
        let mut peer = Self::secure(host, place, to, &authority().client()).await;
        peer.handshake().await;
        peer
    }

    async fn secure<H: Host>(host: &H, place: &Place, to: SipEndpoint, tls: &TlsConfig) -> Self {
        let stream = match host.connect(place, to.addr).await {
            Ok(stream) => stream,
            Err(error) => panic!("cannot connect: {error}"),
        };
        let mut peer = Self::new(stream);
        if to.protocol.is_secure() {
            let name = TlsName::from(to.addr.ip());
            peer.tls = Some(made(Tls::client(tls, to.protocol, &name)));
        }
        peer
    }

    /// The next connection of a listener, with TLS and WebSocket agreed on as the protocol has
    /// them.
    ///
    /// # Panics
    /// It fails.
    pub async fn accept(protocol: Protocol, listener: &dyn Listener) -> Self {
        let tls = server_at(listener.local_addr().ip());
        Self::accept_with(protocol, listener, &tls).await
    }

    /// The same, with a TLS configuration of its own.
    ///
    /// # Panics
    /// It fails.
    pub async fn accept_with(protocol: Protocol, listener: &dyn Listener, tls: &TlsConfig) -> Self {
        let mut peer = Self::accept_plain(listener).await;
        if protocol.is_secure() {
            peer.tls = Some(made(Tls::server(tls, protocol)));
        }
        if protocol.is_websocket() {
            let (config, limits) = (WebSocketConfig::default(), WebSocketLimits::default());
            peer.socket = Some(WebSocket::server(&config, limits));
        }
        peer.handshake().await;
        peer
    }

    /// The next connection of a listener, as it is.
    ///
    /// # Panics
    /// It fails.
    pub async fn accept_plain(listener: &dyn Listener) -> Self {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok((stream, _)) => Self::new(stream),
            Err(error) => panic!("cannot accept: {error}"),
        }
    }

    /// Its own address.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    /// Its far end.
    pub fn remote(&self) -> SocketAddr {
        self.stream.remote_addr()
    }

    /// Its TLS.
    ///
    /// # Panics
    /// It has none.
    pub fn tls(&self) -> &Tls {
        match &self.tls {
            Some(tls) => tls,
            None => panic!("no TLS"),
        }
    }

    /// How the last WebSocket message came.
    pub fn kind(&self) -> Option<MessageKind> {
        self.kind
    }

    /// With what status the peer closed its WebSocket, if it has.
    pub fn close_status(&self) -> Option<u16> {
        self.close_status
    }

    /// Writes all of it, over WebSocket as one message.
    ///
    /// # Panics
    /// The connection breaks.
    pub async fn write(&mut self, data: impl AsRef<[u8]>) {
        let wire = self.seal(data);
        self.write_wire(wire).await;
    }

    /// The bytes on the wire that carry this.
    ///
    /// # Panics
    /// The connection is not open.
    pub fn seal(&mut self, data: impl AsRef<[u8]>) -> Vec<u8> {
        let mut plain = data.as_ref().to_vec();
        if let Some(socket) = &mut self.socket {
            assert!(socket.send(&plain).is_ok(), "the WebSocket is not open");
            plain.clear();
            socket.take_output(&mut plain);
        }
        self.seal_below_websocket(plain)
    }

    /// Writes bytes that stand where WebSocket frames do.
    ///
    /// # Panics
    /// The connection breaks.
    pub async fn write_below_websocket(&mut self, data: impl AsRef<[u8]>) {
        if let Err(error) = self.try_write_below_websocket(data).await {
            panic!("cannot write: {error}");
        }
    }

    /// The same, to one who may close before it has read all.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn try_write_below_websocket(&mut self, data: impl AsRef<[u8]>) -> io::Result<()> {
        let wire = self.seal_below_websocket(data.as_ref().to_vec());
        self.try_write_wire(&wire).await
    }

    fn seal_below_websocket(&mut self, plain: Vec<u8>) -> Vec<u8> {
        let Some(tls) = &mut self.tls else {
            return plain;
        };
        let mut wire = Vec::new();
        assert!(tls.write(&plain, &mut wire), "TLS is over");
        wire
    }

    /// Writes bytes as they are.
    ///
    /// # Panics
    /// The connection breaks.
    pub async fn write_wire(&self, data: impl AsRef<[u8]>) {
        if let Err(error) = self.try_write_wire(data.as_ref()).await {
            panic!("cannot write: {error}");
        }
    }

    async fn try_write_wire(&self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            let n = poll_fn(|cx| self.stream.poll_write(cx, rest)).await?;
            rest = rest.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes leave, as the topmost of WebSocket and TLS does.
    pub async fn close(&mut self) {
        let mut wire = Vec::new();
        match (&mut self.socket, &mut self.tls) {
            (Some(socket), _) => socket.close(CloseCode::Normal),
            (None, Some(tls)) => tls.close(&mut wire),
            (None, None) => {}
        }
        self.write_wire(wire).await;
        self.flush().await;
    }

    /// Reads up to and with `end`.
    ///
    /// # Panics
    /// The connection ends before.
    pub async fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let found = self.buffer.windows(end.len()).position(|at| at == end);
            if let Some(start) = found {
                let rest = self.buffer.split_off(start + end.len());
                return std::mem::replace(&mut self.buffer, rest);
            }
            let more = self.fill().await;
            assert!(
                matches!(more, Ok(1..)),
                "{more:?} after {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        }
    }

    /// Reads so many bytes.
    ///
    /// # Panics
    /// The connection ends before.
    pub async fn read(&mut self, len: usize) -> Vec<u8> {
        while self.buffer.len() < len {
            let more = self.fill().await;
            assert!(matches!(more, Ok(1..)), "{more:?}");
        }
        let rest = self.buffer.split_off(len);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Reads a message that has no body.
    ///
    /// # Panics
    /// The connection ends before.
    pub async fn read_head(&mut self) -> String {
        let bytes = self.read_until(b"\r\n\r\n").await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads to the end of the stream; true if it was reset or broke instead.
    pub async fn read_to_end(&mut self) -> (Vec<u8>, bool) {
        loop {
            match self.fill().await {
                Ok(0) => return (std::mem::take(&mut self.buffer), false),
                Ok(_) => {}
                Err(_) => return (std::mem::take(&mut self.buffer), true),
            }
        }
    }

    async fn handshake(&mut self) {
        loop {
            self.flush().await;
            let secured = self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking());
            if secured && self.socket.as_ref().is_none_or(WebSocket::is_open) {
                return;
            }
            let more = self.fill().await;
            assert!(matches!(more, Ok(1..)), "the handshake failed: {more:?}");
        }
    }

    /// Writes what TLS and WebSocket have to say themselves.
    async fn flush(&mut self) {
        let secured = self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking());
        let (mut plain, mut wire) = (Vec::new(), Vec::new());
        if let Some(socket) = self.socket.as_mut().filter(|_| secured) {
            socket.take_output(&mut plain);
        }
        match &mut self.tls {
            None => wire = plain,
            Some(tls) => {
                if !plain.is_empty() {
                    // It takes none after its end, and then they are of no use.
                    let _taken = tls.write(&plain, &mut wire);
                }
                tls.flush(&mut wire);
            }
        }
        // Where the other end is gone there is nobody to tell.
        let _told = self.try_write_wire(&wire).await;
    }

    /// One read, and what it brings.
    async fn fill(&mut self) -> io::Result<usize> {
        // Not in the future: some runtimes move that about.
        let mut chunk = vec![0; CHUNK];
        let n = poll_fn(|cx| self.stream.poll_read(cx, &mut chunk)).await?;
        let mut plain = chunk.get(..n).unwrap_or_default().to_vec();
        let mut read = Ok(n);
        if let Some(tls) = self.tls.as_mut().filter(|_| n > 0) {
            let mut opened = Vec::new();
            let result = tls.read(&plain, &mut |data| {
                opened.extend_from_slice(data);
                data.len()
            });
            plain = opened;
            read = result.map(|()| n).map_err(io::Error::other);
        }
        match &mut self.socket {
            None => self.buffer.append(&mut plain),
            Some(socket) => {
                let mut rest = plain.as_slice();
                loop {
                    let taken = socket.push(rest);
                    rest = rest.get(taken..).unwrap_or_default();
                    match socket.poll() {
                        Ok(Some(WebSocketEvent::Message { kind, data })) => {
                            self.kind = Some(kind);
                            self.buffer.extend_from_slice(&data);
                        }
                        Ok(Some(WebSocketEvent::Closed(status))) => {
                            self.close_status = Some(status)
                        }
                        Ok(Some(_)) => {}
                        Ok(None) if rest.is_empty() => break,
                        Ok(None) => {}
                        Err(error) => {
                            read = Err(io::Error::other(error));
                            break;
                        }
                    }
                }
            }
        }
        if let Some(tls) = self.tls.as_mut().filter(|tls| tls.peer_closed()) {
            let mut wire = Vec::new();
            tls.close(&mut wire);
            let _told = self.try_write_wire(&wire).await;
        } else if n > 0 {
            self.flush().await;
        }
        read
    }
}

fn made<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// A frame of a client, its mask of zeros: opcode 0 to 15, the last of its message or not.
pub fn frame(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode | if last { 0x80 } else { 0 }];
    match u16::try_from(payload.len()) {
        Ok(len @ ..126) => frame.push(0x80 | len.to_le_bytes()[0]),
        Ok(len) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}
