//! Datagrams that counted as sent and did not arrive, reported once for each time that they were
//! sent.

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
use std::time::Instant;

use super::Router;
use crate::endpoint::normalise;
use crate::error::SendFailure;
use crate::event::Event;
use crate::ids::SendId;
use crate::protocol::Protocol;

/// The maximum number of reported sends that are remembered: several routers may report an error
/// for one message.
const REMEMBERED: usize = 4_096;

/// The most recently reported sends.
#[derive(Debug, Default)]
pub(super) struct ReportedSends {
    /// Each send, and whether it was sent again since.
    sends: BTreeMap<SendId, bool>,
    order: VecDeque<SendId>,
}

impl ReportedSends {
    /// Records the report of a failure. Returns true unless it was reported already.
    fn insert(&mut self, send: SendId) -> bool {
        if let Some(sent_again) = self.sends.insert(send, false) {
            return sent_again;
        }
        self.order.push_back(send);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.sends.remove(&oldest);
        }
        true
    }

    /// Allows a failure from now on to be reported again.
    pub(super) fn sent_again(&mut self, send: SendId) {
        if let Some(sent_again) = self.sends.get_mut(&send) {
            *sent_again = true;
        }
    }
}

impl Router {
    /// Handles a datagram that was not delivered: it could not be sent, an ICMP error came back, or
    /// its socket closed first. Returns the event for the application; `None` if the datagram was a
    /// keep-alive that will be sent again, or if a failure of the same message was reported before.
    /// An unreachable target is tried last for a while.
    pub fn handle_datagram_failed(
        &mut self,
        now: Instant,
        send: SendId,
        remote: SocketAddr,
        cause: impl Into<SendFailure>,
    ) -> Option<Event> {
        let cause = cause.into();
        if is_about_peer(cause) {
            self.resolver
                .failed_at(now, Protocol::Udp, normalise(remote), None);
        }
        if let Some(event) = self.kept.handle_failure(send, cause) {
            return event;
        }
        if !self.reported.insert(send) {
            return None;
        }
        self.context.counters.send_failures_reported.one();
        Some(Event::SendFailed { send, cause })
    }
}

/// Returns true if an error is about the datagram's destination, not about this host or the
/// datagram.
fn is_about_peer(cause: SendFailure) -> bool {
    matches!(
        cause,
        SendFailure::Io(ConnectionRefused | HostUnreachable | NetworkUnreachable)
    )
}
