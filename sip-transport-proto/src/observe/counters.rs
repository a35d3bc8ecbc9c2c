//! Counters and gauges, and the snapshot of them.

use core::ops::AddAssign;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use sip_core::message::{LintKind, ParseErrorKind, Tolerated};

macro_rules! counters {
    (
        counters { $($(#[$doc:meta])* $name:ident,)+ }
        gauges { $($(#[$gauge_doc:meta])* $gauge:ident,)+ }
        sums { $($(#[$sum_doc:meta])* $sum:ident = [$($part:ident),+],)+ }
    ) => {
        /// The counters and gauges of one channel, shared by its parts.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
            $(pub(crate) $gauge: Gauge,)+
        }

        /// Statistics of a transport or of one of its channels: counters since it began, and gauges
        /// of its current state.
        ///
        /// The [`counters`](Self::counters) only grow; the [`gauges`](Self::gauges) are current
        /// numbers. Both are available with their names, for an exporter. The counts of a removed
        /// channel stay in the transport's.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)+
            $($(#[$sum_doc])* pub $sum: u64,)+
            $($(#[$gauge_doc])* pub $gauge: u64,)+
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                let mut stats = Stats {
                    $($name: self.$name.get(),)+
                    $($gauge: self.$gauge.0.get(),)+
                    ..Stats::default()
                };
                $(stats.$sum = 0_u64 $(.wrapping_add(stats.$part))+;)+
                stats
            }

            /// Adds the counts of another.
            pub(crate) fn take_over(&self, other: &Self) {
                $(self.$name.0.fetch_add(other.$name.get(), Relaxed);)+
            }
        }

        impl Stats {
            /// The counters, by name: these only grow.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [
                    $((stringify!($name), self.$name),)+
                    $((stringify!($sum), self.$sum),)+
                ]
                .into_iter()
            }

            /// The gauges, by name.
            pub fn gauges(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($gauge), self.$gauge),)+].into_iter()
            }
        }

        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)+
                $(self.$sum = self.$sum.wrapping_add(other.$sum);)+
                $(self.$gauge = self.$gauge.wrapping_add(other.$gauge);)+
            }
        }
    };
}

counters! {
    counters {
        /// Valid requests received.
        requests_in,
        /// Valid responses received.
        responses_in,
        /// Bytes of valid messages received.
        bytes_in,
        /// Requests rendered for sending.
        requests_out,
        /// Responses rendered for sending.
        responses_out,
        /// Bytes of messages rendered for sending.
        bytes_out,
        /// Malformed messages received; each is also in one of the next counts.
        malformed,
        /// Of those: head or body incomplete.
        malformed_incomplete,
        /// Of those: no start line of SIP/2.0.
        malformed_start_line,
        /// Of those: malformed Request-URI.
        malformed_request_uri,
        /// Of those: a lone CR or LF, or a control character.
        malformed_bytes,
        /// Of those: a header line without a name.
        malformed_header_line,
        /// Of those: a size limit was exceeded.
        malformed_too_large,
        /// Of those: Content-Length missing on a stream, not a number, or not matching the body.
        malformed_content_length,
        /// Of those: a mandatory header missing.
        malformed_missing,
        /// Of those: a header repeated that may occur only once.
        malformed_repeated,
        /// Of those: a malformed header value, or one that contradicts the start line.
        malformed_value,
        /// Of those: any other reason.
        malformed_otherwise,
        /// Messages accepted although they deviate from the grammar; each is also in one or more of
        /// the next counts.
        tolerated,
        /// Of those: a deviant Request-URI.
        tolerated_request_uri,
        /// Of those: a deviant top Via. The Vias below it are not read.
        tolerated_via,
        /// Of those: a deviant From or To.
        tolerated_from_to,
        /// Of those: a deviant Call-ID.
        tolerated_call_id,
        /// Of those: a header repeated that may occur only once.
        tolerated_repeated,
        /// Of those: a header line without a name or a colon.
        tolerated_header_line,
        /// Of those: a control character in a header that routing does not read.
        tolerated_bytes,
        /// Of those: white space before the start line, or no empty line after the head.
        tolerated_framing,
        /// Of those: any other reason.
        tolerated_otherwise,
        /// Replies sent to malformed requests.
        malformed_replies,
        /// Replies to malformed requests suppressed: over the rate, larger than the request, or
        /// without a usable destination.
        malformed_replies_suppressed,
        /// Responses dropped because their top Via is not ours (RFC 3261 §18.1.2).
        stray_responses,
        /// Sent-by values of our requests that were forgotten before their time.
        sent_by_forgotten,
        /// Keep-alives received: CRLFs on streams; empty, CRLF-only and STUN datagrams.
        keepalives_in,
        /// STUN binding requests answered (RFC 5626 §4.4.2).
        stun_answers,
        /// STUN answers suppressed: over the rate, or without a usable destination.
        stun_answers_suppressed,
        /// Pongs sent (RFC 5626 §4.4.1).
        pongs_out,
        /// Keep-alives sent on flows that are kept alive, not counting retransmissions.
        pings_out,
        /// Answers to these keep-alives.
        pongs_in,
        /// Answers to keep-alives that did not arrive in time, required or not.
        pongs_missed,
        /// Connections that can be reused for requests in the other direction (RFC 5923 §8.2).
        aliases,
        /// Datagrams that are neither SIP nor a keep-alive, dropped unread.
        not_sip,
        /// Datagrams dropped unread because their source exceeded its rate
        /// ([`ChannelConfig::messages_per_source`](crate::ChannelConfig::messages_per_source)).
        datagrams_limited,
        /// Datagrams dropped because they were longer than the receive buffer (counted by the
        /// adapters).
        truncated,
        /// Messages dropped because the application did not take them in time (counted by the
        /// adapters, not by channel).
        application_queue_full,
        /// Connections accepted.
        accepted,
        /// Connections refused or closed by a limit.
        connections_limited,
        /// Of those closed, the ones that had been idle for longest.
        idle_evicted,
        /// Of those closed, the ones whose peer was behind in reading.
        behind_evicted,
        /// Of those closed, the ones that made room in the total of received bytes.
        receiving_evicted,
        /// Connections refused by the application's accept filter, or because they came from no
        /// trusted load balancer.
        accepts_filtered,
        /// Connections closed because the PROXY header of a trusted load balancer was missing or
        /// malformed.
        bad_proxy_headers,
        /// Connections opened by us.
        connected,
        /// Connection attempts that failed.
        connect_failed,
        /// Connection attempts abandoned because another address of the server was connected first
        /// (RFC 8305 §5).
        attempts_overtaken,
        /// Connections closed.
        closed,
        /// Panics of the application's callbacks: tap, accept filter, header hook, upgrade check.
        callback_panics,
        /// Connections closed because a deadline passed.
        deadlines,
        /// Sends refused because a queue was full.
        send_queue_full,
        /// Sends that ended in an error.
        sends_failed,
        /// Requests sent over TCP because they were too large for UDP (RFC 3261 §18.1.1).
        size_rule_tcp,
        /// Requests sent over UDP although they were too large, because TCP failed.
        size_rule_udp,
        /// Targets without TCP that were forgotten before their time, to make room (not counted by
        /// channel).
        size_rule_forgotten,
        /// Messages that were queued but did not reach the kernel, and ICMP errors.
        send_failures_reported,
    }
    gauges {
        /// Connections being opened.
        connecting,
        /// Connections in their TLS or WebSocket handshake.
        handshaking,
        /// Connections that carry messages.
        open,
        /// Connections being closed, whose queued bytes are still being written.
        closing,
        /// Of all these, those that the peer opened.
        connections_accepted,
        /// Of all these, those that we opened.
        connections_opened,
        /// Of the accepted ones, those from which no valid message has arrived yet.
        silent,
        /// Of all connections, those that the application trusts (not counted by channel).
        trusted,
        /// Bytes queued on connections and, in the adapters, on UDP sockets.
        queued_bytes,
        /// Bytes that connections have received and not passed on.
        received_bytes,
        /// Sends that wait for a lookup, a local address or a socket (not counted by channel).
        sends_waiting,
        /// UDP flows that are kept alive (not counted by channel).
        kept_flows,
        /// Messages that wait for the application (counted by the adapters, not by channel).
        application_queue,
        /// Bytes that these messages hold (counted by the adapters, not by channel).
        application_queue_bytes,
        /// Other events that wait for the application, such as closed connections: while there are
        /// many, no connection is accepted (counted by the adapters, not by channel).
        application_events,
    }
    sums {
        /// Valid messages received.
        messages_in = [requests_in, responses_in],
        /// Messages rendered for sending.
        messages_out = [requests_out, responses_out],
    }
}

impl Counters {
    /// Counts a malformed message, by the kind of error.
    pub(crate) fn malformed(&self, kind: ParseErrorKind) {
        use ParseErrorKind as Kind;
        self.malformed.one();
        let reason = match kind {
            Kind::Incomplete | Kind::BodyShort { .. } => &self.malformed_incomplete,
            Kind::StartLine(_) | Kind::Version => &self.malformed_start_line,
            Kind::RequestUri(_) => &self.malformed_request_uri,
            Kind::BareLf | Kind::BareCr | Kind::Control(_) => &self.malformed_bytes,
            Kind::HeaderLine | Kind::Fold => &self.malformed_header_line,
            Kind::StartLineTooLong(_)
            | Kind::HeaderTooLong(_)
            | Kind::HeadTooLong(_)
            | Kind::TooManyRows(_)
            | Kind::MessageTooLong(_) => &self.malformed_too_large,
            Kind::ContentLength | Kind::ContentLengthMissing | Kind::Surplus(_) => {
                &self.malformed_content_length
            }
            Kind::Missing(_) => &self.malformed_missing,
            Kind::Repeated(_) => &self.malformed_repeated,
            Kind::Value { .. } | Kind::CSeqMethod => &self.malformed_value,
            _ => &self.malformed_otherwise,
        };
        reason.one();
    }
}

impl Counters {
    /// Counts an accepted message that deviates from the grammar, once under each reason.
    #[cold]
    pub(crate) fn tolerated(&self, tolerated: Tolerated) {
        self.tolerated.one();
        let counter = |kind| match kind {
            LintKind::RequestUri => &self.tolerated_request_uri,
            LintKind::Via => &self.tolerated_via,
            LintKind::From | LintKind::To => &self.tolerated_from_to,
            LintKind::CallId => &self.tolerated_call_id,
            LintKind::Repeated => &self.tolerated_repeated,
            LintKind::HeaderLine => &self.tolerated_header_line,
            LintKind::Control => &self.tolerated_bytes,
            LintKind::LeadingSpace | LintKind::NoEmptyLine => &self.tolerated_framing,
            _ => &self.tolerated_otherwise,
        };
        let mut last = None;
        for counter in tolerated.iter().map(counter) {
            // Kinds that share a counter are adjacent.
            if !last
                .replace(counter)
                .is_some_and(|last| core::ptr::eq(last, counter))
            {
                counter.one();
            }
        }
    }
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

/// A current number.
#[derive(Debug, Default)]
pub(crate) struct Gauge(Counter);

impl Gauge {
    #[inline]
    pub(crate) fn up(&self, n: usize) {
        self.0.add(n);
    }

    #[inline]
    pub(crate) fn down(&self, n: usize) {
        self.0.0.fetch_sub(n as u64, Relaxed);
    }
}
