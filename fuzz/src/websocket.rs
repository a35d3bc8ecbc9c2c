use sip_transport_proto::websocket::{
    MessageKind, WebSocket, WebSocketConfig, WebSocketError, WebSocketEvent, WebSocketLimits,
};

/// However the bytes of a WebSocket are cut, each side says and writes the same; what it writes
/// stays small and is something that the other side can read.
///
/// The first byte of the input chooses the side and whether the handshake is done, the second how
/// the rest is cut.
pub fn websocket(data: &[u8]) {
    let [choice, seed, stream @ ..] = data else {
        return;
    };
    let start = Start {
        server: choice & 1 == 0,
        open: choice & 2 == 0,
    };
    let (whole, output) = conversation(start, stream, |left| left);
    let (bytewise, bytewise_output) = conversation(start, stream, |_| 1);
    assert_eq!(whole, bytewise, "whole and byte by byte");
    assert_eq!(output, bytewise_output, "whole and byte by byte");
    // Small steps and large ones in turn.
    let mut state = u32::from(*seed).wrapping_mul(0x9e37_79b9) | 1;
    let (cut, cut_output) = conversation(start, stream, |_| {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        let step = state >> 16;
        (if step % 3 == 0 { step % 400 } else { step % 7 }) as usize + 1
    });
    assert_eq!(whole, cut, "whole and cut by {seed}");
    assert_eq!(output, cut_output, "whole and cut by {seed}");

    assert!(output.len() < 5_000, "{} bytes written", output.len());
    if start.open {
        let mut peer = start.other().socket();
        take(&mut peer, &output, &mut |_, said| {
            assert!(!matches!(said, Said::Failed(_)), "we wrote {output:?}");
        });
    }
    for said in whole {
        if let Said::Message(_, message) = said {
            echo(start, &message);
        }
    }
}

#[derive(Clone, Copy)]
struct Start {
    server: bool,
    open: bool,
}

impl Start {
    fn other(self) -> Self {
        Self {
            server: !self.server,
            ..self
        }
    }

    fn socket(self) -> WebSocket {
        let config = WebSocketConfig::default();
        let mut client = WebSocket::client(&config, "sip.example", [7; 32], limits());
        let mut server = WebSocket::server(&config, limits());
        if self.open {
            let hello = output(&mut client);
            take(&mut server, &hello, &mut |_, _| ());
            let reply = output(&mut server);
            take(&mut client, &reply, &mut |_, _| ());
            assert!(client.is_open() && server.is_open());
        }
        // What a client says first is of no interest any more.
        output(&mut client);
        if self.server { server } else { client }
    }
}

/// Small enough for the inputs to meet.
fn limits() -> WebSocketLimits {
    let mut limits = WebSocketLimits::default();
    for result in [limits.message(1_000).err(), limits.fragments(20).err()] {
        assert_eq!(result, None);
    }
    limits
}

#[derive(Debug, Eq, PartialEq)]
enum Said {
    Open,
    Message(MessageKind, Vec<u8>),
    Other(WebSocketEvent),
    Failed(WebSocketError),
    /// What is left when the bytes end.
    Buffered(usize),
}

/// What a WebSocket says and writes to a stream that comes in pieces, of which `next` chooses the
/// sizes.
fn conversation(
    start: Start,
    stream: &[u8],
    mut next: impl FnMut(usize) -> usize,
) -> (Vec<Said>, Vec<u8>) {
    let mut socket = start.socket();
    let mut heard = Vec::new();
    let mut left = stream;
    while !left.is_empty() {
        let (piece, rest) = left.split_at(next(left.len()).min(left.len()));
        left = rest;
        take(&mut socket, piece, &mut |_, said| heard.push(said));
    }
    heard.push(Said::Buffered(socket.buffered()));
    let output = output(&mut socket);
    (heard, output)
}

/// Gives it all the bytes, and tells what it says.
fn take(socket: &mut WebSocket, mut left: &[u8], said: &mut dyn FnMut(&WebSocket, Said)) {
    while !left.is_empty() {
        let taken = socket.push(left);
        assert!(taken > 0, "a WebSocket polled empty takes something");
        left = &left[taken..];
        // A head, a message and what stands around it.
        assert!(socket.buffered() <= 9 << 10);
        loop {
            match socket.poll() {
                Ok(None) => break,
                Ok(Some(WebSocketEvent::Accepted(_) | WebSocketEvent::Connected(_))) => {
                    said(socket, Said::Open)
                }
                Ok(Some(WebSocketEvent::Message { kind, data })) => {
                    assert!(kind == MessageKind::Binary || str::from_utf8(&data).is_ok());
                    assert!(data.len() <= 1_000);
                    said(socket, Said::Message(kind, data.to_vec()));
                }
                Ok(Some(item)) => said(socket, Said::Other(item)),
                Err(error) => {
                    assert!(socket.is_over());
                    assert_eq!(socket.buffered(), 0);
                    said(socket, Said::Failed(error));
                }
            }
        }
    }
}

fn output(socket: &mut WebSocket) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.take_output(&mut bytes);
    bytes
}

/// A message sent by the side that got it reaches the other as it was.
fn echo(start: Start, message: &[u8]) {
    let start = Start {
        open: true,
        ..start
    };
    let (mut from, mut to) = (start.socket(), start.other().socket());
    assert_eq!(from.send(message), Ok(()));
    let mut heard = Vec::new();
    take(&mut to, &output(&mut from), &mut |_, said| heard.push(said));
    let kind = match str::from_utf8(message) {
        Ok(_) => MessageKind::Text,
        Err(_) => MessageKind::Binary,
    };
    assert_eq!(heard, [Said::Message(kind, message.to_vec())]);
}
