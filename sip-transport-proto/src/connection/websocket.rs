//! A WebSocket as a layer: messages and keep-alives out of its items.

use bytes::Bytes;

use super::layers::{Inbound, WebSocketSide};
use crate::error::CloseReason;
use crate::websocket::{CloseCode, Item, Refusal, WebSocket, WebSocketLimits};

/// What a frame and its mask add to a message at most (RFC 6455 §5.2).
const FRAME_OVERHEAD: usize = 14;

#[derive(Debug)]
pub(super) struct WebSocketLayer {
    machine: WebSocket,
    /// The message that was given out last.
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
            Some(Item::Asked(check)) => Some(Inbound::Asked(check)),
            Some(Item::Accepted(_) | Item::Connected(_)) => Some(Inbound::Open),
            // Nobody but the peer began to close.
            Some(Item::Closed(_)) => return Err(CloseReason::Peer),
            // RFC 7118 §6: CRLF keep-alives come as messages.
            Some(Item::Message { data, .. }) if data.iter().all(|b| matches!(b, b'\r' | b'\n')) => {
                Some(if data.len() > 2 {
                    Inbound::Ping
                } else {
                    Inbound::Pong
                })
            }
            Some(Item::Pong) => Some(Inbound::Pong),
            Some(Item::Message { data, .. }) => {
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

    /// The most bytes that a message becomes.
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
