//! The task of a capture to a collector.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{io, mem};

use sip_capture::{Sender, SenderOutput};
use sip_transport_proto::Protocol;
use sip_transport_proto::parts::LogLimiter;
use sip_transport_proto::trace::SOCKET;
use tracing::warn;

use crate::capture::collector::Collector;
use crate::capture::intake::{Consumer, Intake, PAUSE, RecordBatch};
use crate::capture::link::Link;
use crate::capture::selection::Selection;
use crate::hub::alarm::Alarm;
use crate::runtime::{BoxFuture, Runtime};

/// The time in which what waits must be sent, once the transport has ended.
const LAST: Duration = Duration::from_secs(2);

/// Starts the task.
pub(super) fn spawn(
    collector: Collector,
    intake: Arc<Intake>,
    selection: Selection,
    queue: usize,
    runtime: Arc<dyn Runtime>,
) {
    let (now, encoder) = (runtime.now(), collector.encoder());
    let settings = collector.sender_settings(queue);
    let sender = match collector.protocol {
        Protocol::Udp => Sender::datagrams(now, encoder, settings),
        _ => Sender::stream(now, encoder, settings),
    };
    let mut task = HepTask {
        collector: Arc::new(collector),
        intake: Consumer(intake),
        selection,
        sender,
        link: LinkState::Closed,
        batch: RecordBatch::default(),
        paused_until: None,
        last: None,
        alarm: Alarm::default(),
        log_limiter: LogLimiter::default(),
        runtime: Arc::clone(&runtime),
    };
    runtime.spawn(Box::pin(poll_fn(move |cx| task.poll(cx))));
}

struct HepTask {
    collector: Arc<Collector>,
    intake: Consumer,
    selection: Selection,
    sender: Sender,
    link: LinkState,
    batch: RecordBatch,
    /// The end of the pause in which nothing is taken.
    paused_until: Option<Instant>,
    /// The time at which the task ends in any case, once the transport has ended.
    last: Option<Instant>,
    alarm: Alarm,
    log_limiter: LogLimiter,
    runtime: Arc<dyn Runtime>,
}

/// The state of the link to the collector.
enum LinkState {
    Closed,
    Opening(BoxFuture<io::Result<Link>>),
    Open(Link),
}

impl HepTask {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.runtime.now();
            let is_over = self.take(cx, now);
            self.sender.handle_timeout(now);
            self.obey();
            self.advance(cx, now);
            // What was advanced may have made orders.
            self.obey();
            if is_over {
                let last = *self.last.get_or_insert(now + LAST);
                if self.sender.is_empty() || now >= last {
                    self.sender.abandon();
                    if let LinkState::Open(link) = &mut self.link {
                        link.close();
                    }
                    self.intake.0.counters.set_sender(self.sender.stats());
                    return Poll::Ready(());
                }
            }
            self.intake.0.counters.set_sender(self.sender.stats());
            let deadlines = [self.sender.poll_timeout(), self.paused_until, self.last];
            let deadline = deadlines.into_iter().flatten().min();
            if self.alarm.poll(cx, &*self.runtime, deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes what waits, unless it pauses. Returns true once there is nothing and will be nothing.
    fn take(&mut self, cx: &Context<'_>, now: Instant) -> bool {
        if self.paused_until.is_some_and(|until| now < until) && !self.intake.0.is_closed() {
            return false;
        }
        self.paused_until = None;
        match self.intake.0.poll_take(cx, &mut self.batch) {
            Poll::Pending => false,
            Poll::Ready(false) => true,
            Poll::Ready(true) => {
                let Self {
                    selection, sender, ..
                } = self;
                let filtered = selection.take(&mut self.batch, now, |_, message| {
                    sender.push(now, message);
                });
                self.intake.0.counters.count_filtered(filtered);
                self.paused_until = Some(now + PAUSE);
                false
            }
        }
    }

    /// Does what the sender orders.
    fn obey(&mut self) {
        while let Some(order) = self.sender.poll_output() {
            self.link = match order {
                SenderOutput::Connect => {
                    let collector = Arc::clone(&self.collector);
                    let opening = Link::open(collector, Arc::clone(&self.runtime));
                    LinkState::Opening(Box::pin(opening))
                }
                _ => LinkState::Closed,
            };
        }
    }

    /// Opens the link, or sends over it.
    fn advance(&mut self, cx: &mut Context<'_>, now: Instant) {
        if let LinkState::Opening(opening) = &mut self.link {
            match opening.as_mut().poll(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(link)) => {
                    self.link = LinkState::Open(link);
                    self.sender.handle_connected(now);
                }
                Poll::Ready(Err(error)) => return self.lost(now, &error),
            }
        }
        if let LinkState::Open(link) = &mut self.link
            && let Poll::Ready(error) = link.poll(cx, now, &mut self.sender)
        {
            self.lost(now, &error);
        }
    }

    fn lost(&mut self, now: Instant, error: &io::Error) {
        drop(mem::replace(&mut self.link, LinkState::Closed));
        self.sender.handle_closed(now);
        if let Some(left_out) = self.log_limiter.now(now) {
            let (host, port) = (&self.collector.host, self.collector.port);
            warn!(target: SOCKET, %error, left_out, host, port, "no connection to the collector of a capture");
        }
    }
}
