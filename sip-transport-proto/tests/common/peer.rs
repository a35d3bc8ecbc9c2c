//! A peer made of TLS and WebSocket only, which can say what a transport never would.
#![allow(dead_code, unreachable_pub)]

use std::sync::LazyLock;

use sip_transport_proto::Protocol;
use sip_transport_proto::tls::{Tls, TlsConfig, TlsName};
use sip_transport_proto::websocket::{
    CloseCode, WebSocket, WebSocketConfig, WebSocketEvent, WebSocketLimits,
};

use crate::tls_common::Certificates;

/// Us, where a transport accepts.
pub const US: &str = "192.0.2.1";
/// The peer, where a transport connects.
pub const THEM: &str = "192.0.2.9";

static MADE: LazyLock<Certificates> = LazyLock::new(|| Certificates::new().at(1_750_000_000));
static TLS: LazyLock<TlsConfig> = LazyLock::new(|| {
    // Each handshake is a whole one, whatever was before it.
    let client = MADE.client_builder().sessions(0).build().unwrap();
    MADE.server(&[US, THEM, "example.com"]).and(client)
});

/// Accepts and connects, for all of these names.
pub fn tls() -> TlsConfig {
    TLS.clone()
}

pub struct Peer {
    tls: Option<Tls>,
    socket: Option<WebSocket>,
    is_client: bool,
    out: Vec<u8>,
    /// What came inside TLS, without WebSocket.
    pub plain: Vec<u8>,
    /// What came by WebSocket.
    pub items: Vec<WebSocketEvent>,
    /// What went wrong first.
    pub error: Option<String>,
}

impl Peer {
    pub fn client(protocol: Protocol) -> Self {
        let tls = || Tls::client(&tls(), protocol, &TlsName::new(US).unwrap()).unwrap();
        let socket = || {
            let limits = WebSocketLimits::default();
            WebSocket::client(&WebSocketConfig::default(), US, [7; 32], limits)
        };
        Self::new(
            protocol.is_secure().then(tls),
            protocol.is_websocket().then(socket),
            true,
        )
    }

    pub fn server(protocol: Protocol) -> Self {
        let tls = || Tls::server(&tls(), protocol).unwrap();
        let socket = || WebSocket::server(&WebSocketConfig::default(), WebSocketLimits::default());
        Self::new(
            protocol.is_secure().then(tls),
            protocol.is_websocket().then(socket),
            false,
        )
    }

    fn new(tls: Option<Tls>, socket: Option<WebSocket>, is_client: bool) -> Self {
        let mut peer = Self {
            tls,
            socket,
            is_client,
            out: Vec::new(),
            plain: Vec::new(),
            items: Vec::new(),
            error: None,
        };
        peer.settle();
        peer
    }

    pub fn is_open(&self) -> bool {
        self.is_secured() && self.socket.as_ref().is_none_or(WebSocket::is_open)
    }

    pub fn is_secured(&self) -> bool {
        !self.tls.as_ref().is_some_and(Tls::is_handshaking)
    }

    /// Whether the other end has said that it sends no more.
    pub fn has_ended(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::peer_closed)
            || self
                .items
                .iter()
                .any(|item| matches!(item, WebSocketEvent::Closed(_)))
    }

    /// Takes in bytes of the wire, and answers as TLS and WebSocket do.
    pub fn receive(&mut self, data: &[u8]) {
        let mut plain = Vec::new();
        match &mut self.tls {
            None => plain.extend_from_slice(data),
            Some(tls) => {
                let read = tls.read(data, &mut |piece| {
                    plain.extend_from_slice(piece);
                    piece.len()
                });
                if let Err(error) = read {
                    self.error.get_or_insert_with(|| error.to_string());
                }
            }
        }
        if let Some(tls) = &mut self.tls
            && tls.peer_closed()
        {
            tls.close(&mut self.out);
        }
        let Some(socket) = &mut self.socket else {
            self.plain.extend(plain);
            return self.settle();
        };
        let mut rest = &plain[..];
        loop {
            rest = &rest[socket.push(rest)..];
            match socket.poll() {
                Ok(Some(item)) => self.items.push(item),
                Ok(None) if rest.is_empty() => break,
                Ok(None) => {}
                Err(error) => {
                    self.error.get_or_insert_with(|| error.to_string());
                    break;
                }
            }
        }
        self.settle();
    }

    /// The bytes for the wire since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        self.settle();
        core::mem::take(&mut self.out)
    }

    /// One message, or keep-alive.
    pub fn send(&mut self, message: &[u8]) {
        match &mut self.socket {
            Some(socket) => socket.send(message).unwrap(),
            None => self.raw(message),
        }
        self.settle();
    }

    /// Bytes below WebSocket, as they are, in one record of TLS.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.settle();
        match &mut self.tls {
            Some(tls) => assert!(tls.write(bytes, &mut self.out)),
            None => self.out.extend_from_slice(bytes),
        }
    }

    /// A frame of any kind.
    pub fn frame(&mut self, fin: bool, opcode: u8, payload: &[u8]) {
        self.raw(&frame(self.is_client, fin, opcode, payload));
    }

    pub fn close(&mut self) {
        if let Some(socket) = &mut self.socket {
            socket.close(CloseCode::Normal);
        }
        self.settle();
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.out);
        }
    }

    fn settle(&mut self) {
        if let Some(socket) = &mut self.socket
            && !self.tls.as_ref().is_some_and(Tls::is_handshaking)
        {
            let mut frames = Vec::new();
            socket.take_output(&mut frames);
            match &mut self.tls {
                None => self.out.extend(frames),
                Some(tls) if !frames.is_empty() => {
                    let _taken = tls.write(&frames, &mut self.out);
                }
                Some(_) => {}
            }
        }
        if let Some(tls) = &mut self.tls {
            tls.flush(&mut self.out);
        }
    }
}

/// A WebSocket frame of at most 65,535 bytes (RFC 6455 §5.2); the mask of a client's is zero.
pub fn frame(masked: bool, fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![u8::from(fin) << 7 | opcode];
    let bit = u8::from(masked) << 7;
    match payload.len() {
        len @ 0..=125 => frame.push(bit | len as u8),
        len => {
            frame.push(bit | 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    if masked {
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}
