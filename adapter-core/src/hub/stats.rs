//! The statistics of a transport.

use sip_transport_proto::{ChannelId, SipEndpoint, Stats};

use super::Hub;
use crate::sync::read;

impl Hub {
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.with_router(|router| router.stats());
        stats.queued_bytes += self.queued_datagrams(|_| true);
        for worker in &self.workers {
            let held = worker.queue.held();
            stats.application_queue += held.messages as u64;
            stats.application_queue_bytes += held.bytes as u64;
            stats.application_events += held.others as u64;
            stats.application_queue_full += worker.queue.dropped();
        }
        stats
    }

    pub(crate) fn channel_stats(&self) -> Vec<(SipEndpoint, Stats)> {
        let mut all: Vec<_> = self.with_router(|router| router.channel_stats().collect());
        for (endpoint, stats) in &mut all {
            stats.queued_bytes += self.queued_datagrams(|id| endpoint.channel == Some(id));
        }
        all
    }

    /// The number of bytes that wait on the UDP sockets of these channels.
    fn queued_datagrams(&self, counts: impl Fn(ChannelId) -> bool) -> u64 {
        let sockets = read(&self.sockets);
        let sockets = sockets.values().filter(|socket| counts(socket.id.channel));
        sockets.map(|socket| socket.queued() as u64).sum()
    }
}
