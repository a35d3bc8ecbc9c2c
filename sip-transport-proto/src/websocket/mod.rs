//! SIP over WebSocket (RFC 6455, RFC 7118) as a state machine without I/O: bytes in, bytes out.
//!
//! A [`WebSocket`] is one side of one connection. It does no I/O, has no clock and, as everything
//! in this crate, is a function of its inputs: a client's key and masks come from a seed. The
//! deadlines of the handshake, of a message and of the close are up to the caller.
//!
//! The frame header, the accept key and their rules are tungstenite's. Its connection type is not
//! used, because it allocates the length that a frame announces, keeps its read buffer between
//! messages, accepts an unlimited number of fragments, masks with randomness of its own, and does
//! not tell the peer which rule it broke.
//!
//! # Memory
//!
//! The bytes received from a peer take at most the limit of a message and 139 bytes or, during the
//! handshake, that of a head if it is larger. Output grows with what is sent; of output caused by
//! the peer it holds at most 4 KiB, plus a response and a close frame. An idle WebSocket holds no
//! buffer.

mod assembly;
mod config;
mod frame;
mod handshake;
mod head;
mod inbox;

use assembly::Assembly;
use bytes::Bytes;
use frame::{MAX_CONTROL, MAX_HEADER, Opcode, ReceivedHeader};
use inbox::Inbox;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use thiserror::Error;

pub use crate::error::{HandshakeError, ProtocolViolation, WebSocketError};
pub use config::{Refusal, UpgradeCheck, WebSocketConfig, WebSocketLimits};
pub use head::{Headers, UpgradeRequest, UpgradeResponse};

/// The limit of output taken by pongs. A peer that sends pings and never reads gets a pong for the
/// last one only (RFC 6455 §5.5.3).
const PONG_ROOM: usize = 4 << 10;

/// The status that a close frame without one counts as (RFC 6455 §7.1.5).
const NO_STATUS: u16 = 1005;

/// The state machine of one side of a WebSocket.
///
/// Pass the bytes from the socket to [`push`](Self::push), call [`poll`](Self::poll) until it
/// returns `None`, and write the bytes from [`take_output`](Self::take_output): after every call
/// that may have produced some, errors included.
///
/// ```
/// use sip_transport_proto::websocket::{WebSocketEvent, WebSocket, WebSocketConfig, WebSocketLimits};
///
/// let config = WebSocketConfig::default();
/// let limits = WebSocketLimits::default();
/// let mut client = WebSocket::client(&config, "sip.example", [7; 32], limits);
/// let mut server = WebSocket::server(&config, limits);
///
/// let mut wire = Vec::new();
/// client.take_output(&mut wire);
/// server.push(&wire);
/// assert!(matches!(server.poll()?, Some(WebSocketEvent::Accepted(request)) if request.path() == "/"));
/// server.send(b"OPTIONS sip:you@example.com SIP/2.0\r\n\r\n")?;
///
/// wire.clear();
/// server.take_output(&mut wire);
/// client.push(&wire);
/// assert!(matches!(client.poll()?, Some(WebSocketEvent::Connected(_))));
/// assert!(matches!(client.poll()?, Some(WebSocketEvent::Message { data, .. }) if data.starts_with(b"OPTIONS")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WebSocket {
    side: Side,
    state: WebSocketState,
    limits: WebSocketLimits,
    inbox: Inbox,
    /// The length of the inbox that was searched for the end of a head.
    scanned: usize,
    /// A message whose last fragment has not arrived.
    assembly: Option<Assembly>,
    /// The kind of the peer's last message.
    kind: MessageKind,
    output: Vec<u8>,
    /// The bytes of pongs in the output.
    pongs: usize,
    /// The payload of a pong for which there was no room.
    late_pong: Option<Bytes>,
}

/// The role of a side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Client,
    Server,
}

/// The client or the server side, with the state that only it needs.
#[derive(Debug)]
enum Side {
    /// The masks must be unpredictable for the application (RFC 6455 §5.3).
    Client {
        masks: Box<ChaCha12Rng>,
    },
    Server,
}

impl Side {
    fn role(&self) -> Role {
        match self {
            Self::Client { .. } => Role::Client,
            Self::Server => Role::Server,
        }
    }

    fn mask(&mut self) -> Option<[u8; 4]> {
        match self {
            Self::Client { masks } => {
                let mut mask = [0; 4];
                masks.fill_bytes(&mut mask);
                Some(mask)
            }
            Self::Server => None,
        }
    }
}

/// The state of a WebSocket.
#[derive(Debug)]
enum WebSocketState {
    /// A server that waits for the request.
    Request(WebSocketConfig),
    /// A server that waits for the decision of the application's check, with its 101 response
    /// ready.
    Asked {
        request: Box<UpgradeRequest>,
        reply: String,
    },
    /// A server whose check accepted the client.
    Admitted(Box<UpgradeRequest>),
    /// A server whose check refused the client, with this status.
    TurnedAway(u16),
    /// A client that waits for the response to this key.
    Response {
        key: Box<str>,
    },
    Open,
    /// A close frame has been sent and none received.
    Closing,
    /// The end: nothing more is read or sent.
    Closed,
    /// A client whose server answered with a status other than 101.
    Refused(Box<UpgradeResponse>),
}

/// An event of a WebSocket.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WebSocketEvent {
    /// A client's request is correct, and the application has a check for it: run the check, and
    /// pass its decision to [`WebSocket::decide`]. Nothing else happens before that.
    Asked(UpgradeCheck),
    /// A server accepted the client: frames may be sent both ways.
    Accepted(UpgradeRequest),
    /// A client was accepted: frames may be sent both ways.
    Connected(UpgradeResponse),
    /// A whole message.
    Message {
        /// Text or binary.
        kind: MessageKind,
        /// The payload; UTF-8 if it is text.
        data: Bytes,
    },
    /// A ping arrived; a pong is queued.
    Ping,
    /// A pong arrived.
    Pong,
    /// The peer's close frame arrived, with this status, or 1005 if it had none. If it was the
    /// first of the two, the answer is queued. The server closes the TCP connection once all output
    /// is written; the client waits for that (RFC 6455 §7.1.1).
    Closed(u16),
}

/// The kind of a message (RFC 7118 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the RFC")]
pub enum MessageKind {
    /// Text in UTF-8.
    Text,
    /// Arbitrary bytes.
    Binary,
}

/// The status of a close frame that we send (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u16)]
pub enum CloseCode {
    /// The connection has served its purpose.
    Normal = 1000,
    /// The server is shutting down.
    GoingAway = 1001,
    /// The peer broke the protocol.
    Protocol = 1002,
    /// The peer sent data of a kind that is not accepted.
    Unsupported = 1003,
    /// The peer sent text that is not UTF-8.
    NotUtf8 = 1007,
    /// The peer sent a message that violates a policy.
    Policy = 1008,
    /// The peer sent a message that is too large.
    TooLarge = 1009,
    /// A local failure.
    Internal = 1011,
}

/// The error of sending before the handshake has ended, or after the close has begun.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the WebSocket is not open")]
#[expect(clippy::exhaustive_structs, reason = "it says all")]
pub struct NotOpen;

impl WebSocket {
    /// The client side, with its request in the output.
    ///
    /// `host` is the Host header unless the configuration sets it: the name, and the port if it is
    /// not the default one. `seed` generates the key and the masks; unless all peers are trusted,
    /// it must come from the operating system's randomness, and be used only once.
    pub fn client(
        config: &WebSocketConfig,
        host: &str,
        seed: [u8; 32],
        limits: WebSocketLimits,
    ) -> Self {
        let mut masks = Box::new(ChaCha12Rng::from_seed(seed));
        let mut key = [0; 16];
        masks.fill_bytes(&mut key);
        let key = handshake::key(key);
        let request = handshake::request(config, host, &key);
        let state = WebSocketState::Response { key: key.into() };
        Self {
            output: request,
            ..Self::new(Side::Client { masks }, state, limits)
        }
    }

    /// The server side, which waits for a request.
    pub fn server(config: &WebSocketConfig, limits: WebSocketLimits) -> Self {
        Self::new(
            Side::Server,
            WebSocketState::Request(config.clone()),
            limits,
        )
    }

    fn new(side: Side, state: WebSocketState, limits: WebSocketLimits) -> Self {
        Self {
            side,
            state,
            limits,
            inbox: Inbox::default(),
            scanned: 0,
            assembly: None,
            kind: MessageKind::Text,
            output: Vec::new(),
            pongs: 0,
            late_pong: None,
        }
    }

    /// Takes bytes from the peer and returns how many it accepted: less than all if they do not
    /// fit. There is always room after [`poll`](Self::poll) has returned `None`. After the end all
    /// bytes are accepted and discarded.
    pub fn push(&mut self, data: &[u8]) -> usize {
        if self.is_over() {
            return data.len();
        }
        let taken = data.len().min(self.capacity_left());
        let limit = self.capacity();
        if let Some(data) = data.get(..taken) {
            self.inbox.push(data, limit);
        }
        taken
    }

    /// The number of bytes that [`push`](Self::push) would accept.
    pub fn capacity_left(&self) -> usize {
        self.capacity().saturating_sub(self.buffered())
    }

    /// The capacity: a whole message in frames, and a control frame between them.
    fn capacity(&self) -> usize {
        let message = self.limits.message.saturating_add(MAX_HEADER + MAX_CONTROL);
        match self.state {
            WebSocketState::Request(_) | WebSocketState::Response { .. } => {
                message.max(self.limits.head)
            }
            _ => message,
        }
    }

    /// The number of bytes received and not yet returned.
    pub fn buffered(&self) -> usize {
        self.inbox.len() + self.assembly.as_ref().map_or(0, Assembly::len)
    }

    /// Returns true if a head, a frame or a message has been received in part, even if all
    /// fragments so far are empty.
    pub fn is_inside_message(&self) -> bool {
        self.inbox.len() > 0 || self.assembly.is_some()
    }

    /// Returns true if frames may be sent both ways.
    pub fn is_open(&self) -> bool {
        matches!(self.state, WebSocketState::Open)
    }

    /// Returns true if a close frame has been sent and none received.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, WebSocketState::Closing)
    }

    /// Returns true after the end: both sides closed, or an error occurred.
    pub fn is_over(&self) -> bool {
        matches!(
            self.state,
            WebSocketState::Closed | WebSocketState::Refused(_)
        )
    }

    /// The server's response, after [`WebSocketError::Refused`]: for WWW-Authenticate, Location,
    /// Set-Cookie.
    pub fn refusal(&self) -> Option<&UpgradeResponse> {
        match &self.state {
            WebSocketState::Refused(response) => Some(response),
            _ => None,
        }
    }

    /// Returns the next event in the bytes received; `None` if more are needed, or after the end.
    /// Each byte is examined once.
    ///
    /// # Errors
    /// An error ends the WebSocket. The close frame or response for the peer is in the output.
    pub fn poll(&mut self) -> Result<Option<WebSocketEvent>, WebSocketError> {
        let polled = match &self.state {
            WebSocketState::Request(_) | WebSocketState::Response { .. } => self.poll_head(),
            WebSocketState::Open | WebSocketState::Closing => self.poll_frames(),
            WebSocketState::Asked { .. } => Ok(None),
            WebSocketState::Admitted(_) => Ok(self.admit()),
            WebSocketState::TurnedAway(status) => {
                let status = *status;
                Err(HandshakeError::Application { status }.into())
            }
            WebSocketState::Closed | WebSocketState::Refused(_) => Ok(None),
        };
        if let Err(error) = polled {
            if self.is_open() {
                self.write_close(close_code(error) as u16);
            }
            if !self.is_over() {
                self.finish(WebSocketState::Closed);
            }
        }
        polled
    }

    /// Passes the decision of the application's check, after [`WebSocketEvent::Asked`]. [`poll`](Self::poll)
    /// then continues.
    pub fn decide(&mut self, decision: Result<(), Refusal>) {
        let WebSocketState::Asked { request, reply } =
            core::mem::replace(&mut self.state, WebSocketState::Closed)
        else {
            return;
        };
        match decision {
            Ok(()) => {
                self.output.extend_from_slice(reply.as_bytes());
                self.state = WebSocketState::Admitted(request);
            }
            Err(refusal) => {
                handshake::refuse(&refusal, &mut self.output);
                self.state = WebSocketState::TurnedAway(refusal.status());
            }
        }
    }

    fn admit(&mut self) -> Option<WebSocketEvent> {
        match core::mem::replace(&mut self.state, WebSocketState::Open) {
            WebSocketState::Admitted(request) => Some(WebSocketEvent::Accepted(*request)),
            _ => None,
        }
    }

    /// Appends a message to the output as one frame: of the kind that the peer uses (RFC 7118
    /// §4.2), but binary if it is not UTF-8.
    ///
    /// # Errors
    /// Nothing is sent before the handshake has ended and after the close has begun.
    pub fn send(&mut self, message: &[u8]) -> Result<(), NotOpen> {
        if !self.is_open() {
            return Err(NotOpen);
        }
        let text = self.kind == MessageKind::Text && str::from_utf8(message).is_ok();
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        self.write(opcode, message);
        Ok(())
    }

    /// Appends a ping to the output, with at most 125 bytes of `payload`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), NotOpen> {
        if !self.is_open() {
            return Err(NotOpen);
        }
        let payload = payload.get(..MAX_CONTROL).unwrap_or(payload);
        self.write(Opcode::Ping, payload);
        Ok(())
    }

    /// Begins the close (RFC 6455 §7.1.2): a close frame is sent, and messages may arrive until the
    /// peer's. Before the end of the handshake, the WebSocket ends at once without a frame.
    pub fn close(&mut self, code: CloseCode) {
        match self.state {
            WebSocketState::Open => {
                self.write_close(code as u16);
                self.state = WebSocketState::Closing;
            }
            WebSocketState::Request(_)
            | WebSocketState::Asked { .. }
            | WebSocketState::Admitted(_)
            | WebSocketState::TurnedAway(_)
            | WebSocketState::Response { .. } => self.finish(WebSocketState::Closed),
            WebSocketState::Closing | WebSocketState::Closed | WebSocketState::Refused(_) => {}
        }
    }

    /// Returns true if there is output to write.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Appends the output to `into`, in order. As long as it is not called, pings of the peer
    /// cannot make the output grow, so a caller whose own queue is full may leave it there.
    pub fn take_output(&mut self, into: &mut Vec<u8>) {
        if let Some(payload) = self.late_pong.take() {
            self.write(Opcode::Pong, &payload);
        }
        if into.is_empty() {
            core::mem::swap(into, &mut self.output);
        } else {
            into.append(&mut self.output);
        }
        self.output = Vec::new();
        self.pongs = 0;
    }

    /// Ends the WebSocket, and frees the buffers that will not be read.
    fn finish(&mut self, state: WebSocketState) {
        self.state = state;
        self.inbox.clear();
        self.assembly = None;
        self.late_pong = None;
    }

    fn write(&mut self, opcode: Opcode, payload: &[u8]) {
        frame::write(&mut self.output, opcode, payload, self.side.mask());
    }

    fn write_close(&mut self, status: u16) {
        self.late_pong = None;
        self.write(Opcode::Close, &status.to_be_bytes());
    }

    fn poll_head(&mut self) -> Result<Option<WebSocketEvent>, WebSocketError> {
        let head = match self.take_head() {
            Ok(None) => return Ok(None),
            Ok(Some(head)) => Ok(head),
            Err(error) => Err(error),
        };
        match &self.state {
            WebSocketState::Request(config) => {
                let request = head.and_then(|head| UpgradeRequest::parse(&head));
                let (request, reply) = handshake::answer(config, request, &mut self.output)?;
                if let Some(check) = config.check_of(&request) {
                    let request = Box::new(request);
                    self.state = WebSocketState::Asked { request, reply };
                    return Ok(Some(WebSocketEvent::Asked(check)));
                }
                self.output.extend_from_slice(reply.as_bytes());
                self.state = WebSocketState::Open;
                Ok(Some(WebSocketEvent::Accepted(request)))
            }
            WebSocketState::Response { key } => {
                let response = UpgradeResponse::parse(&head?)?;
                let status = response.status();
                if status != 101 {
                    self.finish(WebSocketState::Refused(Box::new(response)));
                    return Err(WebSocketError::Refused { status });
                }
                handshake::check_response(&response, key)?;
                self.state = WebSocketState::Open;
                Ok(Some(WebSocketEvent::Connected(response)))
            }
            _ => Ok(None),
        }
    }

    /// Takes the head out of the inbox, once it is complete.
    fn take_head(&mut self) -> Result<Option<Bytes>, HandshakeError> {
        let bytes = self.inbox.unread();
        // A ClientHello, a frame or a keep-alive is not an HTTP head: no need to wait for its end.
        if bytes
            .first()
            .is_some_and(|first| !first.is_ascii_uppercase())
        {
            return Err(HandshakeError::NotHttp);
        }
        let limit = self.limits.head;
        let head = bytes.get(..limit).unwrap_or(bytes);
        let fresh = head.get(self.scanned..).unwrap_or_default();
        if let Some(at) = fresh.windows(4).position(|four| four == b"\r\n\r\n") {
            let len = self.scanned + at + 4;
            let head = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
            self.inbox.consume(len);
            return Ok(Some(head));
        }
        if bytes.len() >= limit {
            return Err(HandshakeError::HeadTooLarge { limit });
        }
        self.scanned = bytes.len().saturating_sub(3);
        Ok(None)
    }

    fn poll_frames(&mut self) -> Result<Option<WebSocketEvent>, WebSocketError> {
        while let Some((header, payload)) = self.take_frame()? {
            let item = match header.opcode {
                Opcode::Text => self.begin_message(MessageKind::Text, header.fin, payload)?,
                Opcode::Binary => self.begin_message(MessageKind::Binary, header.fin, payload)?,
                Opcode::Continuation => self.continue_message(header.fin, &payload)?,
                Opcode::Close => Some(self.closed_by_peer(&payload)?),
                Opcode::Ping => {
                    self.answer_ping(payload);
                    Some(WebSocketEvent::Ping)
                }
                Opcode::Pong => Some(WebSocketEvent::Pong),
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// Takes a frame out of the inbox, once it is complete. Errors in its header are found before
    /// the payload arrives.
    fn take_frame(&mut self) -> Result<Option<(ReceivedHeader, Bytes)>, WebSocketError> {
        let Some(header) = ReceivedHeader::parse(self.inbox.unread(), self.side.role())? else {
            return Ok(None);
        };
        let end = header.len + self.payload_len(&header)?;
        let Some(payload) = self.inbox.unread_mut().get_mut(header.len..end) else {
            return Ok(None);
        };
        if let Some(mask) = header.mask {
            frame::apply_mask(payload, mask);
        }
        let payload = Bytes::copy_from_slice(payload);
        self.inbox.consume(end);
        Ok(Some((header, payload)))
    }

    /// The payload's length, if a frame of this kind and size is allowed here.
    fn payload_len(&self, header: &ReceivedHeader) -> Result<usize, WebSocketError> {
        let begun = match (header.opcode, &self.assembly) {
            (Opcode::Continuation, None) => return Err(ProtocolViolation::Continuation.into()),
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(ProtocolViolation::Interleaved.into());
            }
            (Opcode::Continuation, Some(assembly)) => assembly.len(),
            _ => 0,
        };
        let limit = self.limits.message;
        match usize::try_from(header.payload_len) {
            Ok(len) if header.opcode.is_control() || len <= limit.saturating_sub(begun) => Ok(len),
            _ => Err(WebSocketError::TooLarge { limit }),
        }
    }

    fn begin_message(
        &mut self,
        kind: MessageKind,
        fin: bool,
        data: Bytes,
    ) -> Result<Option<WebSocketEvent>, WebSocketError> {
        if fin {
            if kind == MessageKind::Text && str::from_utf8(&data).is_err() {
                return Err(WebSocketError::NotUtf8);
            }
            return Ok(Some(self.message(kind, data)));
        }
        let mut assembly = Assembly::new(kind);
        assembly.add(&data, self.limits.fragments)?;
        self.assembly = Some(assembly);
        Ok(None)
    }

    fn continue_message(
        &mut self,
        fin: bool,
        data: &[u8],
    ) -> Result<Option<WebSocketEvent>, WebSocketError> {
        let Some(mut assembly) = self.assembly.take() else {
            return Err(ProtocolViolation::Continuation.into());
        };
        assembly.add(data, self.limits.fragments)?;
        if fin {
            let (kind, data) = assembly.finish()?;
            return Ok(Some(self.message(kind, data)));
        }
        self.assembly = Some(assembly);
        Ok(None)
    }

    fn message(&mut self, kind: MessageKind, data: Bytes) -> WebSocketEvent {
        self.kind = kind;
        WebSocketEvent::Message { kind, data }
    }

    /// Queues a pong (RFC 6455 §5.5.2). After our close frame nothing more is sent.
    fn answer_ping(&mut self, payload: Bytes) {
        if !self.is_open() {
            return;
        }
        if self.pongs < PONG_ROOM {
            self.pongs += MAX_HEADER + payload.len();
            self.write(Opcode::Pong, &payload);
        } else {
            self.late_pong = Some(payload);
        }
    }

    /// Processes the peer's close frame (RFC 6455 §5.5.1, §7.1.5).
    fn closed_by_peer(&mut self, payload: &[u8]) -> Result<WebSocketEvent, WebSocketError> {
        let status = match payload {
            [] => None,
            [a, b, reason @ ..] => {
                let status = u16::from_be_bytes([*a, *b]);
                if !may_be_sent(status) {
                    return Err(ProtocolViolation::CloseStatus.into());
                }
                if str::from_utf8(reason).is_err() {
                    return Err(WebSocketError::NotUtf8);
                }
                Some(status)
            }
            [_] => return Err(ProtocolViolation::CloseStatus.into()),
        };
        if self.is_open() {
            match status {
                Some(status) => self.write_close(status),
                None => self.write(Opcode::Close, &[]),
            }
        }
        self.finish(WebSocketState::Closed);
        Ok(WebSocketEvent::Closed(status.unwrap_or(NO_STATUS)))
    }
}

/// Returns true for a status that may be sent in a frame (RFC 6455 §7.4): the registered ones, and
/// those for libraries and applications.
fn may_be_sent(status: u16) -> bool {
    matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The status for an error after the handshake.
fn close_code(error: WebSocketError) -> CloseCode {
    match error {
        WebSocketError::NotUtf8 => CloseCode::NotUtf8,
        WebSocketError::TooLarge { .. } | WebSocketError::TooManyFragments { .. } => {
            CloseCode::TooLarge
        }
        _ => CloseCode::Protocol,
    }
}
