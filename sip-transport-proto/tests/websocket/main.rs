//! WebSocket (RFC 6455, RFC 7118) through its public API: bytes in, items and bytes out.
#![cfg(feature = "ws")]
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod cuts;
mod frames;
mod handshake;
mod limits;

use sip_transport_proto::websocket::{
    MessageKind, WebSocket, WebSocketConfig, WebSocketError, WebSocketEvent, WebSocketLimits,
};

/// The request of RFC 6455 §1.3, for SIP.
pub const REQUEST: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Protocol: sip\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

pub const SEED: [u8; 32] = [7; 32];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    Client,
    Server,
}

pub const SIDES: [Side; 2] = [Side::Client, Side::Server];

pub fn server() -> WebSocket {
    WebSocket::server(&WebSocketConfig::default(), WebSocketLimits::default())
}

pub fn client() -> WebSocket {
    client_of(&WebSocketConfig::default())
}

pub fn client_of(config: &WebSocketConfig) -> WebSocket {
    WebSocket::client(config, "sip.example", SEED, WebSocketLimits::default())
}

/// A side whose handshake is done, with its output taken.
pub fn open(side: Side) -> WebSocket {
    open_with(side, WebSocketLimits::default())
}

pub fn open_with(side: Side, limits: WebSocketLimits) -> WebSocket {
    let config = WebSocketConfig::default();
    let mut client = WebSocket::client(&config, "sip.example", SEED, limits);
    let mut server = WebSocket::server(&config, limits);
    server.push(&output(&mut client));
    assert!(matches!(
        server.poll(),
        Ok(Some(WebSocketEvent::Accepted(_)))
    ));
    client.push(&output(&mut server));
    assert!(matches!(
        client.poll(),
        Ok(Some(WebSocketEvent::Connected(_)))
    ));
    match side {
        Side::Client => client,
        Side::Server => server,
    }
}

pub fn output(socket: &mut WebSocket) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.take_output(&mut bytes);
    assert!(!socket.has_output());
    bytes
}

pub fn output_text(socket: &mut WebSocket) -> String {
    String::from_utf8(output(socket)).unwrap()
}

/// What a WebSocket said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    Accepted,
    Connected,
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping,
    Pong,
    Closed(u16),
    Failed(WebSocketError),
}

pub fn text(text: &str) -> Said {
    Said::Text(text.into())
}

/// Polls until there is no more, and once more after an error, which must end it.
pub fn said(socket: &mut WebSocket) -> Vec<Said> {
    let mut said = Vec::new();
    loop {
        match socket.poll() {
            Ok(None) => return said,
            Ok(Some(WebSocketEvent::Asked(check))) => {
                // Nothing is said before that is answered.
                assert_eq!(socket.poll(), Ok(None));
                socket.decide(check.run());
            }
            Ok(Some(item)) => said.push(match item {
                WebSocketEvent::Accepted(_) => Said::Accepted,
                WebSocketEvent::Connected(_) => Said::Connected,
                WebSocketEvent::Message { kind, data } => match kind {
                    MessageKind::Text => Said::Text(data.to_vec()),
                    MessageKind::Binary => Said::Binary(data.to_vec()),
                },
                WebSocketEvent::Ping => Said::Ping,
                WebSocketEvent::Pong => Said::Pong,
                WebSocketEvent::Closed(status) => Said::Closed(status),
                other => panic!("{other:?}"),
            }),
            Err(error) => {
                said.push(Said::Failed(error));
                assert!(socket.is_over());
                assert_eq!(socket.poll(), Ok(None));
            }
        }
    }
}

/// Gives it all of `bytes`, however little it takes at a time.
pub fn feed(socket: &mut WebSocket, bytes: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    let mut left = bytes;
    while !left.is_empty() {
        let taken = socket.push(left);
        assert!(taken > 0, "it was polled empty");
        left = &left[taken..];
        all.extend(said(socket));
    }
    all
}

/// A frame with its first byte given, as the peer of `side` sends it.
pub fn frame_for(side: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = (side == Side::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = header(first, payload.len() as u64, mask.is_some());
    match mask {
        Some(mask) => {
            bytes.extend(mask);
            bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        }
        None => bytes.extend(payload),
    }
    bytes
}

/// A header but for the mask.
pub fn header(first: u8, len: u64, masked: bool) -> Vec<u8> {
    let mut bytes = vec![first];
    let bit = if masked { 0x80 } else { 0 };
    match len {
        0..=125 => bytes.push(bit | len as u8),
        126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(bit | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes
}

/// The frames in what a side wrote: first byte and payload. A client's are masked, a server's not.
pub fn written(side: Side, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut take = |n: usize| {
        let (taken, left) = bytes.split_at(n);
        bytes = left;
        (taken, left.is_empty())
    };
    let mut frames = Vec::new();
    let mut over = take(0).1;
    while !over {
        let (head, _) = take(2);
        assert_eq!(head[1] >= 0x80, side == Side::Client, "mask");
        let len = match head[1] & 0x7f {
            126 => u16::from_be_bytes(take(2).0.try_into().unwrap()).into(),
            127 => usize::try_from(u64::from_be_bytes(take(8).0.try_into().unwrap())).unwrap(),
            len => len.into(),
        };
        let mask = match side {
            Side::Client => take(4).0,
            Side::Server => &[0; 4],
        };
        let (payload, last) = take(len);
        let payload = payload.iter().zip(mask.iter().cycle());
        frames.push((head[0], payload.map(|(b, m)| b ^ m).collect()));
        over = last;
    }
    frames
}
