//! The errors of WebSocket.

use thiserror::Error;

/// The error that ended a WebSocket, or the attempt to open one (RFC 6455, RFC 7118).
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The opening handshake broke a rule of RFC 6455 §4 or RFC 7118 §4, or the application's check
    /// refused it. On a server, the reply is in the output.
    #[error("WebSocket handshake: {0}")]
    Handshake(#[source] HandshakeError),
    /// The server answered the handshake with a status other than 101.
    #[error("WebSocket handshake: the server answered {status}")]
    Refused {
        /// The status, e.g. 401.
        status: u16,
    },
    /// The peer broke a rule of framing (RFC 6455 §5); the close frame has status 1002.
    #[error("WebSocket: {0}")]
    Protocol(ProtocolViolation),
    /// A text message or the reason in a close frame is not UTF-8 (RFC 6455 §8.1); the close frame
    /// has status 1007.
    #[error("WebSocket: text that is not UTF-8")]
    NotUtf8,
    /// A message exceeds the size limit (RFC 6455 §10.4); the close frame has status 1009.
    #[error("WebSocket: a message of more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message exceeds the limit of fragments; the close frame has status 1009.
    #[error("WebSocket: a message of more than {limit} fragments")]
    TooManyFragments {
        /// The limit.
        limit: usize,
    },
}

/// The error in a request or response of the opening handshake.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The data received is not an HTTP head.
    #[error("expected an HTTP head")]
    NotHttp,
    /// The head exceeds the size limit.
    #[error("a head of more than {limit} bytes")]
    HeadTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The head exceeds the limit of headers.
    #[error("more than {limit} headers")]
    TooManyHeaders {
        /// The limit.
        limit: usize,
    },
    /// The method is not GET.
    #[error("expected GET, got another method")]
    Method,
    /// The version is not HTTP/1.1.
    #[error("expected HTTP/1.1, got another version")]
    HttpVersion,
    /// There is not exactly one Host header.
    #[error("expected one Host header")]
    Host,
    /// The path is not served here.
    #[error("the path is not served")]
    Path,
    /// The request announces a body.
    #[error("a request with a body")]
    Body,
    /// `Upgrade: websocket` is missing.
    #[error("expected Upgrade: websocket")]
    Upgrade,
    /// `Connection: Upgrade` is missing.
    #[error("expected Connection: Upgrade")]
    Connection,
    /// The WebSocket version is not 13.
    #[error("expected Sec-WebSocket-Version: 13")]
    WebSocketVersion,
    /// There is not exactly one Sec-WebSocket-Key, or it is not 16 bytes in base64.
    #[error("expected one Sec-WebSocket-Key of 16 bytes")]
    Key,
    /// The subprotocol `sip` was not offered, or not chosen (RFC 7118 §4.1).
    #[error("expected the subprotocol sip")]
    Subprotocol,
    /// The server chose an extension that was not offered.
    #[error("an extension that was not offered")]
    Extension,
    /// Sec-WebSocket-Accept does not match the key.
    #[error("Sec-WebSocket-Accept does not match the key")]
    Accept,
    /// The application's check refused the request.
    #[error("refused by the application with {status}")]
    Application {
        /// The status of the check's refusal.
        status: u16,
    },
}

/// A rule of framing that the peer broke.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ProtocolViolation {
    /// A client's frame is not masked (RFC 6455 §5.1).
    #[error("a frame without a mask from a client")]
    Unmasked,
    /// A server's frame is masked (RFC 6455 §5.1).
    #[error("a frame with a mask from a server")]
    Masked,
    /// A reserved bit is set, though no extension was negotiated (RFC 6455 §5.2).
    #[error("a reserved bit is set")]
    ReservedBit,
    /// A reserved opcode is used (RFC 6455 §5.2).
    #[error("a reserved opcode")]
    ReservedOpcode,
    /// A control frame is fragmented (RFC 6455 §5.5).
    #[error("a fragmented control frame")]
    FragmentedControl,
    /// A control frame has more than 125 bytes of payload (RFC 6455 §5.5).
    #[error("a control frame of more than 125 bytes")]
    LongControl,
    /// A continuation frame arrived outside a message (RFC 6455 §5.4).
    #[error("a continuation frame outside a message")]
    Continuation,
    /// A new message began inside another (RFC 6455 §5.4).
    #[error("a new message inside another")]
    Interleaved,
    /// A close frame has a body of one byte, or a status that must not be sent (RFC 6455 §5.5.1,
    /// §7.4).
    #[error("a close frame with a bad status")]
    CloseStatus,
}

impl From<HandshakeError> for WebSocketError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<ProtocolViolation> for WebSocketError {
    fn from(violation: ProtocolViolation) -> Self {
        Self::Protocol(violation)
    }
}
