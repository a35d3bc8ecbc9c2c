use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::endpoint::SipEndpoint;
use crate::ids::ConnectionId;
use crate::tls::Identity;

/// What is known of a connection.
///
/// The [`Router`](crate::parts::Router) does not know what is queued and how opening went:
/// [`Transport::connections`](crate::Transport::connections) and the adapters do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Which one.
    pub id: ConnectionId,
    /// The peer's end, with protocol, channel and connection.
    pub remote: SipEndpoint,
    /// Our own end, once it is open.
    pub local: Option<SocketAddr>,
    /// Whether the peer opened it.
    pub accepted: bool,
    /// How far it is.
    pub state: ConnectionState,
    /// Whether the peer opened it and no valid message has come over it yet.
    pub silent: bool,
    /// Whether the application [trusts](crate::parts::Router::trust) it.
    pub trusted: bool,
    /// When it was accepted, or asked for.
    pub since: Instant,
    /// When its socket was connected.
    pub connected: Option<Instant>,
    /// When messages could pass: TLS and WebSocket, if any, were agreed on.
    pub opened: Option<Instant>,
    /// When it last carried a message, or a keep-alive where we opened it or trust it; as exactly as
    /// 1/128 of the idle timeout.
    pub active: Instant,
    /// Bytes that wait to be written, or for it to open.
    pub queued: usize,
    /// Whom the peer has proved to be, over TLS.
    pub identity: Option<Arc<Identity>>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is being opened: connecting, or TLS and WebSocket are being agreed on.
    Opening,
    /// Messages can pass.
    Open,
    /// It is being closed: what is queued is still written.
    Closing,
}
