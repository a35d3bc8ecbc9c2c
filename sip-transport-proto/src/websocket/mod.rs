//! SIP over WebSocket (RFC 6455, RFC 7118) as a state machine: bytes in, bytes out.
//!
//! A [`WebSocket`] is one side of one connection. It does no I/O, knows no time and, as everything
//! in this crate, is a function of its inputs: a client's key and masks come from a seed. The
//! deadlines of the handshake, of a message and of the close are the caller's.
//!
//! The frame header, the accept key and their rules are tungstenite's. Its connection is not used:
//! that allocates what a frame announces, keeps its read buffer between messages, takes fragments
//! without end, masks with randomness of its own and does not tell a peer what it broke.
//!
//! # Memory
//!
//! What a peer sends takes at most the limit of a message and 139 bytes; before the handshake
//! ends, that of a head if it is larger. Output grows by what is sent; of what a peer causes it
//! holds 4 KiB at most, plus a reply and a close frame. An idle WebSocket holds no buffer.

mod assembly;
mod config;
mod frame;
mod handshake;
mod head;
mod inbox;

use assembly::Assembly;
use bytes::Bytes;
use frame::{Header, MAX_CONTROL, MAX_HEADER, Opcode};
use inbox::Inbox;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use thiserror::Error;

pub use crate::error::{HandshakeError, ProtocolViolation, WebSocketError};
pub use config::{Refusal, UpgradeCheck, WebSocketConfig, WebSocketLimits};
pub use head::{Headers, UpgradeRequest, UpgradeResponse};

/// As much output as pongs may fill. A peer that pings and never reads gets the last one only
/// (RFC 6455 §5.5.3).
const PONG_ROOM: usize = 4 << 10;

/// What a close frame without a status counts as (RFC 6455 §7.1.5).
const NO_STATUS: u16 = 1005;

/// One side of one WebSocket.
///
/// Give it what the socket reads with [`push`](Self::push), call [`poll`](Self::poll) until it has
/// no more, and write what [`take_output`](Self::take_output) hands out: after every call that may
/// have made some, errors included.
///
/// ```
/// use sip_transport_proto::websocket::{Item, WebSocket, WebSocketConfig, WebSocketLimits};
///
/// let config = WebSocketConfig::default();
/// let limits = WebSocketLimits::default();
/// let mut client = WebSocket::client(&config, "sip.example", [7; 32], limits);
/// let mut server = WebSocket::server(&config, limits);
///
/// let mut wire = Vec::new();
/// client.take_output(&mut wire);
/// server.push(&wire);
/// assert!(matches!(server.poll()?, Some(Item::Accepted(request)) if request.path() == "/"));
/// server.send(b"OPTIONS sip:you@example.com SIP/2.0\r\n\r\n")?;
///
/// wire.clear();
/// server.take_output(&mut wire);
/// client.push(&wire);
/// assert!(matches!(client.poll()?, Some(Item::Connected(_))));
/// assert!(matches!(client.poll()?, Some(Item::Message { data, .. }) if data.starts_with(b"OPTIONS")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WebSocket {
    side: Side,
    state: State,
    limits: WebSocketLimits,
    inbox: Inbox,
    /// How much of the inbox was searched for the end of a head.
    scanned: usize,
    /// A message of which the last fragment is missing.
    assembly: Option<Assembly>,
    /// What the peer's last message was.
    kind: MessageKind,
    output: Vec<u8>,
    /// Bytes of pongs in the output.
    pongs: usize,
    /// A pong for which there was no room.
    late_pong: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Client,
    Server,
}

/// A side and what only it needs.
#[derive(Debug)]
enum Side {
    /// Masks must not be foreseen by the application (RFC 6455 §5.3).
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

#[derive(Debug)]
enum State {
    /// A server waits for the request.
    Request(WebSocketConfig),
    /// A server waits for what the application's check says, with its 101 at hand.
    Asked {
        request: Box<UpgradeRequest>,
        reply: String,
    },
    /// The check has let the client in.
    Admitted(Box<UpgradeRequest>),
    /// The check has turned the client away, with this status.
    TurnedAway(u16),
    /// A client waits for the response to this key.
    Response {
        key: Box<str>,
    },
    Open,
    /// A close frame went out, none has come.
    Closing,
    /// Nothing more is read or sent.
    Closed,
    /// The server answered with another status than 101.
    Refused(Box<UpgradeResponse>),
}

/// What a WebSocket has to say.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// A client's request is correct, and the application has a check for it: run that, and tell
    /// what it said by [`WebSocket::decide`]. Nothing else comes before.
    Asked(UpgradeCheck),
    /// A server let the client in: frames may go both ways.
    Accepted(UpgradeRequest),
    /// A client was let in: frames may go both ways.
    Connected(UpgradeResponse),
    /// A whole message.
    Message {
        /// Text or binary.
        kind: MessageKind,
        /// What it holds; UTF-8 if it is text.
        data: Bytes,
    },
    /// A ping came; it is answered.
    Ping,
    /// A pong came.
    Pong,
    /// The peer's close frame came, with this status; 1005 if it had none. If it was the first of
    /// the two, it is answered. The server closes the TCP connection once all output is written;
    /// the client waits for that (RFC 6455 §7.1.1).
    Closed(u16),
}

/// How a message travels (RFC 7118 §4.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// Why we close (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(u16)]
pub enum CloseCode {
    /// The purpose is fulfilled.
    Normal = 1000,
    /// A server goes down.
    GoingAway = 1001,
    /// The peer broke the protocol.
    Protocol = 1002,
    /// The peer sent what is not accepted here.
    Unsupported = 1003,
    /// Text that is not UTF-8.
    NotUtf8 = 1007,
    /// A message against our policy.
    Policy = 1008,
    /// A message too large.
    TooLarge = 1009,
    /// Something failed here.
    Internal = 1011,
}

/// The handshake has not ended, or the close has begun.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the WebSocket is not open")]
pub struct NotOpen;

impl WebSocket {
    /// The client's side, with its request in the output.
    ///
    /// `host` is what Host says unless the configuration does: the name, and the port if it is not
    /// the default one. `seed` makes the key and the masks; where peers are not trusted it must
    /// come from the operating system, and be used once.
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
        let state = State::Response { key: key.into() };
        Self {
            output: request,
            ..Self::new(Side::Client { masks }, state, limits)
        }
    }

    /// The server's side, which waits for a request.
    pub fn server(config: &WebSocketConfig, limits: WebSocketLimits) -> Self {
        Self::new(Side::Server, State::Request(config.clone()), limits)
    }

    fn new(side: Side, state: State, limits: WebSocketLimits) -> Self {
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

    /// Takes in bytes from the peer and says how many: less than all where they would not fit.
    /// After a [`poll`](Self::poll) that had nothing more to say there is always room. When the
    /// WebSocket is over it takes everything, for nothing.
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

    /// How many bytes [`push`](Self::push) would take.
    pub fn capacity_left(&self) -> usize {
        self.capacity().saturating_sub(self.buffered())
    }

    /// Room for a whole message in frames and a control frame between them.
    fn capacity(&self) -> usize {
        let message = self.limits.message.saturating_add(MAX_HEADER + MAX_CONTROL);
        match self.state {
            State::Request(_) | State::Response { .. } => message.max(self.limits.head),
            _ => message,
        }
    }

    /// Bytes taken in and not handed out yet.
    pub fn buffered(&self) -> usize {
        self.inbox.len() + self.assembly.as_ref().map_or(0, Assembly::len)
    }

    /// Whether a part of something came: of a head, a frame or a message, even if all its
    /// fragments so far are empty.
    pub fn is_inside_message(&self) -> bool {
        self.inbox.len() > 0 || self.assembly.is_some()
    }

    /// Whether frames may go both ways.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether a close frame of ours went out, and none has come.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing)
    }

    /// Whether nothing will come any more: both sides closed, or an error ended it.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Refused(_))
    }

    /// The server's answer, after [`WebSocketError::Refused`]: for WWW-Authenticate, Location,
    /// Set-Cookie.
    pub fn refusal(&self) -> Option<&UpgradeResponse> {
        match &self.state {
            State::Refused(response) => Some(response),
            _ => None,
        }
    }

    /// The next thing that the bytes taken in say; `None` if more are needed, or all is over.
    /// Reads no more than what was taken in, and that once.
    ///
    /// # Errors
    /// An error ends the WebSocket. What the peer must be told of it is in the output.
    pub fn poll(&mut self) -> Result<Option<Item>, WebSocketError> {
        let polled = match &self.state {
            State::Request(_) | State::Response { .. } => self.poll_head(),
            State::Open | State::Closing => self.poll_frames(),
            State::Asked { .. } => Ok(None),
            State::Admitted(_) => Ok(self.admit()),
            State::TurnedAway(status) => {
                let status = *status;
                Err(HandshakeError::Application { status }.into())
            }
            State::Closed | State::Refused(_) => Ok(None),
        };
        if let Err(error) = polled {
            if self.is_open() {
                self.write_close(close_code(error) as u16);
            }
            if !self.is_over() {
                self.over(State::Closed);
            }
        }
        polled
    }

    /// Says what the application's check said to an [`Item::Asked`]. [`poll`](Self::poll) goes on
    /// from there.
    pub fn decide(&mut self, decision: Result<(), Refusal>) {
        let State::Asked { request, reply } = core::mem::replace(&mut self.state, State::Closed)
        else {
            return;
        };
        match decision {
            Ok(()) => {
                self.output.extend_from_slice(reply.as_bytes());
                self.state = State::Admitted(request);
            }
            Err(refusal) => {
                handshake::refuse(&refusal, &mut self.output);
                self.state = State::TurnedAway(refusal.status());
            }
        }
    }

    fn admit(&mut self) -> Option<Item> {
        match core::mem::replace(&mut self.state, State::Open) {
            State::Admitted(request) => Some(Item::Accepted(*request)),
            _ => None,
        }
    }

    /// Appends a message to the output as one frame: of the peer's own kind (RFC 7118 §4.2), but
    /// binary if it is not UTF-8.
    ///
    /// # Errors
    /// Nothing is sent before the handshake ended and after the close began.
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

    /// Begins the close (RFC 6455 §7.1.2): a close frame goes out, messages may come until the
    /// peer's. Before the handshake ended there is nothing to say, and it is over at once.
    pub fn close(&mut self, code: CloseCode) {
        match self.state {
            State::Open => {
                self.write_close(code as u16);
                self.state = State::Closing;
            }
            State::Request(_)
            | State::Asked { .. }
            | State::Admitted(_)
            | State::TurnedAway(_)
            | State::Response { .. } => self.over(State::Closed),
            State::Closing | State::Closed | State::Refused(_) => {}
        }
    }

    /// Whether there is something to write.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Appends to `into` what is to be written, in order. While it is not called, pings of the
    /// peer cannot make the output grow: a caller whose own queue is full leaves it.
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

    /// Ends it, and frees what will not be read.
    fn over(&mut self, state: State) {
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

    fn poll_head(&mut self) -> Result<Option<Item>, WebSocketError> {
        let head = match self.take_head() {
            Ok(None) => return Ok(None),
            Ok(Some(head)) => Ok(head),
            Err(error) => Err(error),
        };
        match &self.state {
            State::Request(config) => {
                let request = head.and_then(|head| UpgradeRequest::parse(&head));
                let (request, reply) = handshake::answer(config, request, &mut self.output)?;
                if let Some(check) = config.check_of(&request) {
                    let request = Box::new(request);
                    self.state = State::Asked { request, reply };
                    return Ok(Some(Item::Asked(check)));
                }
                self.output.extend_from_slice(reply.as_bytes());
                self.state = State::Open;
                Ok(Some(Item::Accepted(request)))
            }
            State::Response { key } => {
                let response = UpgradeResponse::parse(&head?)?;
                let status = response.status();
                if status != 101 {
                    self.over(State::Refused(Box::new(response)));
                    return Err(WebSocketError::Refused { status });
                }
                handshake::check_response(&response, key)?;
                self.state = State::Open;
                Ok(Some(Item::Connected(response)))
            }
            _ => Ok(None),
        }
    }

    /// Takes the head out of the inbox, once it is all there.
    fn take_head(&mut self) -> Result<Option<Bytes>, HandshakeError> {
        let bytes = self.inbox.unread();
        // A ClientHello, a frame or a keep-alive will never be a head: no need to wait for its end.
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

    fn poll_frames(&mut self) -> Result<Option<Item>, WebSocketError> {
        while let Some((header, payload)) = self.take_frame()? {
            let item = match header.opcode {
                Opcode::Text => self.begin(MessageKind::Text, header.fin, payload)?,
                Opcode::Binary => self.begin(MessageKind::Binary, header.fin, payload)?,
                Opcode::Continuation => self.go_on(header.fin, &payload)?,
                Opcode::Close => Some(self.closed_by_peer(&payload)?),
                Opcode::Ping => {
                    self.answer_ping(payload);
                    Some(Item::Ping)
                }
                Opcode::Pong => Some(Item::Pong),
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }

    /// Takes a frame out of the inbox, once it is all there. What its header says wrong is found
    /// before the payload comes.
    fn take_frame(&mut self) -> Result<Option<(Header, Bytes)>, WebSocketError> {
        let Some(header) = Header::parse(self.inbox.unread(), self.side.role())? else {
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

    /// The payload's length, if a frame of this kind and size may stand here.
    fn payload_len(&self, header: &Header) -> Result<usize, WebSocketError> {
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

    fn begin(
        &mut self,
        kind: MessageKind,
        fin: bool,
        data: Bytes,
    ) -> Result<Option<Item>, WebSocketError> {
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

    fn go_on(&mut self, fin: bool, data: &[u8]) -> Result<Option<Item>, WebSocketError> {
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

    fn message(&mut self, kind: MessageKind, data: Bytes) -> Item {
        self.kind = kind;
        Item::Message { kind, data }
    }

    /// RFC 6455 §5.5.2. After a close frame of ours nothing is sent any more.
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

    /// RFC 6455 §5.5.1, §7.1.5.
    fn closed_by_peer(&mut self, payload: &[u8]) -> Result<Item, WebSocketError> {
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
        self.over(State::Closed);
        Ok(Item::Closed(status.unwrap_or(NO_STATUS)))
    }
}

/// RFC 6455 §7.4: the registered ones that may stand in a frame, and those for libraries and
/// applications.
fn may_be_sent(status: u16) -> bool {
    matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// What the peer is told of an error after the handshake.
fn close_code(error: WebSocketError) -> CloseCode {
    match error {
        WebSocketError::NotUtf8 => CloseCode::NotUtf8,
        WebSocketError::TooLarge { .. } | WebSocketError::TooManyFragments { .. } => {
            CloseCode::TooLarge
        }
        _ => CloseCode::Protocol,
    }
}
