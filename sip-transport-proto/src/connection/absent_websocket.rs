//! The stand-in for the WebSocket layer without its feature.

#![expect(
    clippy::needless_pass_by_ref_mut,
    reason = "the signatures are those of the methods that these stand for"
)]

use super::layers::{Inbound, WebSocketSide};
use crate::error::CloseReason;
use crate::websocket::{Refusal, WebSocketLimits};

#[derive(Debug)]
pub(super) enum WebSocketLayer {}

impl WebSocketLayer {
    pub(super) fn new((_, limits): (WebSocketSide, WebSocketLimits)) -> Box<Self> {
        match limits {}
    }

    pub(super) fn poll(&mut self) -> Result<Option<Inbound<'_>>, CloseReason> {
        match *self {}
    }

    pub(super) fn decide(&mut self, _: Result<(), Refusal>) {
        match *self {}
    }

    pub(super) fn is_inside_message(&self) -> bool {
        match *self {}
    }

    pub(super) fn capacity_left(&self) -> usize {
        match *self {}
    }

    pub(super) fn buffered(&self) -> usize {
        match *self {}
    }

    pub(super) fn push(&mut self, _: &[u8]) -> usize {
        match *self {}
    }

    pub(super) fn bound(&self, _: usize) -> usize {
        match *self {}
    }

    pub(super) fn send(&mut self, _: &[u8]) {
        match *self {}
    }

    pub(super) fn ping(&mut self) -> bool {
        match *self {}
    }

    pub(super) fn close(&mut self) {
        match *self {}
    }

    pub(super) fn is_closing(&self) -> bool {
        match *self {}
    }

    pub(super) fn take_output(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }
}
