//! The state machine that brings frames to a collector.

mod queue;
mod settings;
mod stats;

use std::time::{Duration, Instant};

use crate::hep::{Encoder, FRAME_MAX};
use crate::message::CapturedMessage;
use crate::sender::queue::{FrameQueue, Limits, Refused};

pub use settings::SenderSettings;
pub use stats::SenderStats;

/// The shortest wait between connections, whatever is set: without one, a collector that refuses
/// would be asked without an end.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// The bytes that a collector may send before its connection is closed. HEP has no answers.
const UNASKED_MAX: usize = 64 * 1024;

/// The most bytes in a UDP datagram over IPv4.
const DATAGRAM_MAX: usize = 65_507;

/// A sender of HEP3 frames to one collector: a bounded queue, and a connection that is opened again
/// when it is lost. It does no I/O.
///
/// A full queue refuses messages, which costs nothing; what a collector does never holds up who
/// calls. Each message that is not sent is counted by its reason ([`SenderStats`]).
///
/// - **Inputs**: [`handle_connected`](Self::handle_connected),
///   [`handle_closed`](Self::handle_closed), [`handle_written`](Self::handle_written),
///   [`handle_failed`](Self::handle_failed), [`handle_unreachable`](Self::handle_unreachable),
///   [`handle_received`](Self::handle_received), [`handle_timeout`](Self::handle_timeout).
/// - **Commands**: [`push`](Self::push) and [`abandon`](Self::abandon).
/// - **Outputs**, to be looked at after each of these: [`poll_output`](Self::poll_output),
///   [`transmit`](Self::transmit), [`poll_timeout`](Self::poll_timeout).
///
/// ```
/// use std::time::{Instant, UNIX_EPOCH};
/// use sip_capture::{CapturedMessage, Sender, SenderOutput, SenderSettings, hep};
/// use sip_capture::sip_transport_proto::Protocol;
///
/// let now = Instant::now();
/// let mut sender = Sender::stream(now, hep::Encoder::new(7), SenderSettings::default());
/// assert_eq!(sender.poll_output(), Some(SenderOutput::Connect));
/// let (from, to) = ("192.0.2.1:5060".parse()?, "192.0.2.2:5060".parse()?);
/// let bytes = b"OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n";
/// sender.push(now, &CapturedMessage::new(UNIX_EPOCH, Protocol::Udp, from, to, bytes));
/// assert!(sender.transmit().is_empty()); // until it is connected
/// sender.handle_connected(now);
/// let written = sender.transmit().len();
/// sender.handle_written(now, written);
/// assert_eq!(sender.stats().sent, 1);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
pub struct Sender {
    encoder: Encoder,
    settings: SenderSettings,
    /// True if each frame is a datagram.
    is_datagrams: bool,
    link: Link,
    output: Option<SenderOutput>,
    queue: FrameQueue,
    stats: SenderStats,
}

/// An order of a [`Sender`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SenderOutput {
    /// Open a connection to the collector, TLS included, and report it by
    /// [`Sender::handle_connected`] or [`Sender::handle_closed`].
    Connect,
    /// Close the connection, or give up opening it. Nothing is to be reported.
    Close,
}

#[derive(Debug)]
enum Link {
    Closed {
        retry_at: Instant,
        backoff: Duration,
    },
    Connecting {
        deadline: Instant,
        backoff: Duration,
    },
    Open {
        /// The time at which a write that makes no progress fails; `None` if nothing waits.
        deadline: Option<Instant>,
        backoff: Duration,
        unasked: usize,
    },
}

impl Sender {
    /// A sender of one datagram for each frame. Its connection is a socket, and the address that
    /// the collector's name leads to.
    pub fn datagrams(now: Instant, encoder: Encoder, settings: SenderSettings) -> Self {
        Self::new(now, encoder, settings, true)
    }

    /// A sender over a stream: TCP or TLS.
    pub fn stream(now: Instant, encoder: Encoder, settings: SenderSettings) -> Self {
        Self::new(now, encoder, settings, false)
    }

    /// It asks for a connection at once.
    fn new(now: Instant, encoder: Encoder, settings: SenderSettings, is_datagrams: bool) -> Self {
        let backoff_min = settings.backoff_min.max(BACKOFF_MIN);
        let settings = SenderSettings {
            backoff_min,
            backoff_max: settings.backoff_max.max(backoff_min),
            ..settings
        };
        let mut sender = Self {
            encoder,
            settings,
            is_datagrams,
            link: Link::Closed {
                retry_at: now,
                backoff: backoff_min,
            },
            output: None,
            queue: FrameQueue::default(),
            stats: SenderStats::default(),
        };
        sender.handle_timeout(now);
        sender
    }

    /// Queues a message, unless the queue is full or the message too long for a frame.
    pub fn push(&mut self, now: Instant, message: &CapturedMessage<'_>) {
        let limits = Limits {
            frame: match self.is_datagrams {
                true => DATAGRAM_MAX,
                false => FRAME_MAX,
            },
            queue: self.settings.queue,
        };
        match self.queue.push(&self.encoder, message, limits) {
            Ok(()) => self.watch_progress(now),
            Err(Refused::Full) => count(&mut self.stats.queue_full, 1),
            Err(Refused::TooLong) => count(&mut self.stats.too_long, 1),
        }
    }

    /// Processes that the connection asked for is open.
    pub fn handle_connected(&mut self, now: Instant) {
        if let Link::Connecting { backoff, .. } = self.link {
            count(&mut self.stats.connected, 1);
            self.link = Link::Open {
                deadline: None,
                backoff,
                unasked: 0,
            };
            self.watch_progress(now);
        }
    }

    /// Processes that the connection could not be opened, or was closed. The frame that was being
    /// written is sent again as a whole; those before it may be lost.
    pub fn handle_closed(&mut self, now: Instant) {
        let backoff = match self.link {
            Link::Connecting { backoff, .. } | Link::Open { backoff, .. } => backoff,
            Link::Closed { .. } => return,
        };
        count(&mut self.stats.disconnected, 1);
        self.queue.rewind();
        self.link = Link::Closed {
            retry_at: after(now, backoff),
            backoff: backoff.saturating_mul(2).min(self.settings.backoff_max),
        };
    }

    /// Processes that so many bytes of [`transmit`](Self::transmit) were written to the stream, or
    /// sent as a datagram.
    pub fn handle_written(&mut self, now: Instant, bytes: usize) {
        let Link::Open {
            deadline, backoff, ..
        } = &mut self.link
        else {
            return;
        };
        if bytes > 0 {
            // Progress: the deadline starts anew, and the next loss is the first again.
            *deadline = None;
            *backoff = self.settings.backoff_min;
        }
        let frames = self.queue.written(bytes);
        count(&mut self.stats.sent, frames);
        self.watch_progress(now);
    }

    /// Processes that so many datagrams, counted as sent by [`handle_written`](Self::handle_written),
    /// could not be sent.
    pub fn handle_failed(&mut self, datagrams: u64) {
        let datagrams = datagrams.min(self.stats.sent);
        self.stats.sent = self.stats.sent.saturating_sub(datagrams);
        count(&mut self.stats.failed, datagrams);
    }

    /// Processes that the network reported so often that nobody takes the datagrams (ICMP).
    pub fn handle_unreachable(&mut self, reports: u64) {
        count(&mut self.stats.unreachable, reports);
    }

    /// Processes that the collector sent so many bytes, which are to be discarded. A collector that
    /// goes on sending is disconnected.
    pub fn handle_received(&mut self, now: Instant, bytes: usize) {
        if let Link::Open { unasked, .. } = &mut self.link {
            *unasked = unasked.saturating_add(bytes);
            if *unasked > UNASKED_MAX {
                count(&mut self.stats.flooded, 1);
                self.close(now);
            }
        }
    }

    /// Processes the time.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.link {
            Link::Closed { retry_at, backoff } if retry_at <= now => {
                self.output = Some(SenderOutput::Connect);
                self.link = Link::Connecting {
                    deadline: after(now, self.settings.connect_timeout),
                    backoff,
                };
            }
            Link::Connecting { deadline, .. } if deadline <= now => self.close(now),
            Link::Open {
                deadline: Some(deadline),
                ..
            } if deadline <= now => {
                count(&mut self.stats.stalled, 1);
                self.close(now);
            }
            _ => {}
        }
    }

    /// Discards what waits, as the capture ends.
    pub fn abandon(&mut self) {
        let frames = self.queue.clear();
        count(&mut self.stats.abandoned, frames);
    }

    /// The next order.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<SenderOutput> {
        self.output.take()
    }

    /// The bytes to be sent: one datagram, or of a stream all that wait. What was taken of them is
    /// reported by [`handle_written`](Self::handle_written). Empty if there are none, or no
    /// connection.
    #[must_use]
    pub fn transmit(&self) -> &[u8] {
        match self.link {
            Link::Open { .. } if self.is_datagrams => self.queue.first(),
            Link::Open { .. } => self.queue.all(),
            Link::Closed { .. } | Link::Connecting { .. } => &[],
        }
    }

    /// The time at which [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.link {
            Link::Closed { retry_at, .. } => Some(retry_at),
            Link::Connecting { deadline, .. } => Some(deadline),
            Link::Open { deadline, .. } => deadline,
        }
    }

    /// Returns true if no frame waits.
    pub fn is_empty(&self) -> bool {
        self.queue.len() == 0
    }

    /// The counters since the start.
    pub fn stats(&self) -> SenderStats {
        SenderStats {
            queued_bytes: self.queue.len() as u64,
            ..self.stats
        }
    }

    fn close(&mut self, now: Instant) {
        self.handle_closed(now);
        self.output = Some(SenderOutput::Close);
    }

    /// Starts the deadline of a write where frames wait.
    fn watch_progress(&mut self, now: Instant) {
        let waits = !self.is_empty();
        if let Link::Open { deadline, .. } = &mut self.link {
            let stalls_at = || after(now, self.settings.stall_timeout);
            *deadline = waits.then(|| deadline.unwrap_or_else(stalls_at));
        }
    }
}

fn count(counter: &mut u64, by: u64) {
    *counter = counter.saturating_add(by);
}

/// The instant after a while; `now` if that is too far to be told.
fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}
