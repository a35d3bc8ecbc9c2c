use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counts of what happened, shared by the parts of a transport.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        /// What has happened in a transport since it began.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Valid requests received.
    requests_in,
    /// Valid responses received.
    responses_in,
    /// Bytes of valid messages received.
    bytes_in,
    /// Messages rendered for sending.
    messages_out,
    /// Bytes of those.
    bytes_out,
    /// Received messages that broke a rule.
    malformed,
    /// Replies to malformed requests.
    malformed_replies,
    /// Such replies left out: over the rate, larger than the request, or no way back.
    malformed_replies_suppressed,
    /// Responses dropped because their top Via is not ours (RFC 3261 §18.1.2).
    stray_responses,
    /// Sent-by values of requests of ours that had to be forgotten before their time.
    sent_by_forgotten,
    /// Keep-alives received: CRLFs on streams; empty, CRLF-only and STUN datagrams.
    keepalives_in,
    /// STUN binding requests answered (RFC 5626 §4.4.2).
    stun_answers,
    /// Such requests left without an answer: over the rate, or no way back.
    stun_answers_suppressed,
    /// Pongs sent (RFC 5626 §4.4.1).
    pongs_out,
    /// Keep-alives sent on flows that are kept, retransmissions left out.
    pings_out,
    /// Answers to them.
    pongs_in,
    /// Answers that did not come in time, due or not.
    pongs_missed,
    /// Connections that can be reused for requests the other way (RFC 5923 §8.2).
    aliases,
    /// Datagrams that are neither SIP nor a keep-alive, dropped unread.
    not_sip,
    /// Messages dropped because the application did not fetch them in time.
    application_queue_full,
    /// Connections accepted.
    accepted,
    /// Connections refused or closed by a limit.
    connections_limited,
    /// Of those closed, the ones that had been idle for longest.
    idle_evicted,
    /// Of those closed, the ones whose peer was behind with the bytes queued for it.
    behind_evicted,
    /// Connections refused by the application's filter.
    accepts_filtered,
    /// Connections opened by us.
    connected,
    /// Connection attempts that failed.
    connect_failed,
    /// Connections closed.
    closed,
    /// Connections closed because a deadline passed.
    deadlines,
    /// Sends refused because a queue was full.
    send_queue_full,
    /// Sends that ended in an error.
    sends_failed,
    /// Messages that were queued but did not reach the kernel, and ICMP errors.
    send_failures_reported,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }

    #[inline]
    pub(crate) fn one(&self) {
        self.add(1);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
