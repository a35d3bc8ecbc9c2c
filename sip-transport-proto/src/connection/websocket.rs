//! The WebSocket layer: messages and keep-alives from WebSocket events.

use bytes::Bytes;

use super::layers::{Inbound, WebSocketSide};
use crate::error::CloseReason;
use crate::websocket::{CloseCode, Refusal, WebSocket, WebSocketEvent, WebSocketLimits};

/// The maximum number of bytes that a frame header with its mask adds to a message (RFC 6455 §5.2).
const FRAME_OVERHEAD: usize = 14;

#[derive(Debug)]
pub(super) struct WebSocketLayer {
    machine: WebSocket,
    /// The message returned last.
    message: Bytes,
}

impl WebSocketLayer {
    pub(super) fn new((side, limits): (WebSocketSide, WebSocketLimits)) -> Box<Self> {
        let machine = match side {
            WebSocketSide::Client { config, host, seed } => {
                WebSocket::client(&config, &host, seed, limits)
            }
            WebSocketSide::Server(config) => WebSocket::server(&config, limits),
        };
        Box::new(Self {
            machine,
            message: Bytes::new(),
        })
    }

    pub(super) fn poll(&mut self) -> Result<Option<Inbound<'_>>, CloseReason> {
        self.message = Bytes::new();
        let item = self.machine.poll().map_err(CloseReason::WebSocket)?;
        Ok(match item {
            None => None,
            Some(WebSocketEvent::Asked(check)) => Some(Inbound::Asked(check)),
            Some(WebSocketEvent::Accepted(_) | WebSocketEvent::Connected(_)) => Some(Inbound::Open),
            // We have sent no close frame, so the peer is closing.
            Some(WebSocketEvent::Closed(_)) => return Err(CloseReason::Peer),
            // RFC 7118 §6: CRLF keep-alives arrive as messages.
            Some(WebSocketEvent::Message { data, .. })
                if data.iter().all(|b| matches!(b, b'\r' | b'\n')) =>
            {
                Some(if data.len() > 2 {
                    Inbound::Ping
                } else {
                    Inbound::Pong
                })
            }
            Some(WebSocketEvent::Pong) => Some(Inbound::Pong),
            Some(WebSocketEvent::Message { data, .. }) => {
                self.message = data;
                Some(Inbound::Whole(&self.message))
            }
            Some(_) => Some(Inbound::Alive),
        })
    }

    pub(super) fn decide(&mut self, decision: Result<(), Refusal>) {
        self.machine.decide(decision);
    }

    pub(super) fn is_inside_message(&self) -> bool {
        self.machine.is_inside_message()
    }

    pub(super) fn capacity_left(&self) -> usize {
        self.machine.capacity_left()
    }

    pub(super) fn buffered(&self) -> usize {
        self.machine.buffered()
    }

    pub(super) fn push(&mut self, data: &[u8]) -> usize {
        self.machine.push(data)
    }

    /// The maximum number of bytes that a message becomes.
    pub(super) fn bound(&self, message: usize) -> usize {
        message.saturating_add(FRAME_OVERHEAD)
    }

    /// The connection sends nothing before this is open, and nothing after its close.
    pub(super) fn send(&mut self, message: &[u8]) {
        let _sent = self.machine.send(message);
    }

    pub(super) fn ping(&mut self) -> bool {
        self.machine.ping(&[]).is_ok()
    }

    pub(super) fn close(&mut self) {
        self.machine.close(CloseCode::GoingAway);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.machine.is_closing()
    }

    pub(super) fn take_output(&mut self, into: &mut Vec<u8>) {
        self.machine.take_output(into);
    }
}
