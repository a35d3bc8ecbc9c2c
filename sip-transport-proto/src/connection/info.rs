//! Information about a connection.

use core::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::endpoint::SipEndpoint;
use crate::ids::ConnectionId;
use crate::tls::Identity;

/// Information about a connection.
///
/// The [`Router`](crate::parts::Router) does not know the queued bytes and the times of opening:
/// [`Transport::connections`](crate::Transport::connections) and the adapters do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The id of the connection.
    pub id: ConnectionId,
    /// The peer's end, with protocol, channel and connection.
    pub remote: SipEndpoint,
    /// The local address, once it is open.
    pub local: Option<SocketAddr>,
    /// True if the peer opened it.
    pub accepted: bool,
    /// The state of the connection.
    pub state: ConnectionState,
    /// True if the peer opened it and no valid message has been received over it yet.
    pub silent: bool,
    /// True if the application [trusts](crate::parts::Router::trust) it.
    pub trusted: bool,
    /// The time it was accepted, or its opening requested.
    pub since: Instant,
    /// The time its socket was connected.
    pub connected: Option<Instant>,
    /// The time messages could pass: TLS and WebSocket, if any, were negotiated.
    pub opened: Option<Instant>,
    /// The time it last carried a message, or a keep-alive where we opened it or trust it; with a
    /// resolution of 1/128 of the idle timeout.
    pub active: Instant,
    /// Bytes that wait to be written, or for it to open.
    pub queued: usize,
    /// The identity that the peer has proved, over TLS.
    pub identity: Option<Arc<Identity>>,
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is being opened: connecting, or TLS and WebSocket are being negotiated.
    Opening,
    /// Messages can pass.
    Open,
    /// It is being closed: queued bytes are still written.
    Closing,
}
