//! Messages that counted as sent and did not arrive, told of once for each time that they were sent.

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

/// How many sends that were told of are remembered: several routers may complain of one message.
const REMEMBERED: usize = 4_096;

/// The sends that were told of last.
#[derive(Debug, Default)]
pub(super) struct ReportedSends {
    /// And whether they were sent again since.
    sends: BTreeMap<SendId, bool>,
    order: VecDeque<SendId>,
}

impl ReportedSends {
    /// Whether it is news.
    fn tell(&mut self, send: SendId) -> bool {
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

    /// What fails from now on is news.
    pub(super) fn sent_again(&mut self, send: SendId) {
        if let Some(sent_again) = self.sends.get_mut(&send) {
            *sent_again = true;
        }
    }
}

impl Router {
    /// A datagram could not be sent, a router on its way said so (ICMP), or its socket closed
    /// before: what to tell the application. Nothing, if a keep-alive is lost that will be sent
    /// again, or if it was told before that the same message failed. A target that nobody answers
    /// for is tried last for a while.
    pub fn send_failed(
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
        if let Some(event) = self.kept.failed(send, cause) {
            return event;
        }
        if !self.reported.tell(send) {
            return None;
        }
        self.shared.counters.send_failures_reported.one();
        Some(Event::SendFailed { send, cause })
    }
}

/// Whether an error of a datagram is about its destination, not about us or this datagram.
fn is_about_peer(cause: SendFailure) -> bool {
    matches!(
        cause,
        SendFailure::Io(ConnectionRefused | HostUnreachable | NetworkUnreachable)
    )
}
