//! Captures of a transport's messages: to a collector by HEP3, or to pcapng files.
//!
//! The tap copies a message into a bounded queue and goes on. Filters, redaction, encoding and I/O
//! run in a task of the capture's own, or for files on a thread of its own.

mod collector;
mod counters;
mod file;
mod hep;
mod intake;
mod link;
mod rotation;
mod selection;

use std::path::PathBuf;
use std::sync::Arc;

use sip_transport_proto::Config;

use crate::error::BindError;
use crate::hub::follower::Follower;
use crate::runtime::Runtime;

use intake::Intake;
use selection::Selection;

pub use collector::{Collector, CollectorError};
pub use counters::{CaptureCounters, CaptureStats};
pub use rotation::Rotation;
pub use sip_capture;
pub use sip_capture::{Filter, Redaction};

/// A capture of a transport's messages, for [`Builder::capture`](crate::Builder::capture).
///
/// It never holds a message up: what finds no room in the queue, or cannot be sent or written, is
/// dropped and counted ([`counters`](Self::counters)).
///
/// ```no_run
/// # use adapter_core::runtime::CurrentRuntime;
/// # use adapter_core::SipTransport;
/// # use adapter_core::capture::{Capture, Filter, Redaction, Rotation};
/// # async fn example<R: CurrentRuntime>() -> Result<(), Box<dyn std::error::Error>> {
/// let homer = Capture::hep("192.0.2.9:9060")?
///     .filter(Filter::new().methods(["INVITE", "ACK", "BYE", "CANCEL"]))
///     .redact(Redaction::credentials());
/// let counters = homer.counters();
/// let files = Capture::pcapng("calls.pcapng", Rotation::size(100 << 20).keep(10));
/// let builder = SipTransport::<R>::builder().udp("0.0.0.0:5060".parse()?);
/// let (transport, incoming) = builder.capture(homer).capture(files).bind().await?;
/// println!("{} messages sent", counters.stats().sender.sent);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "give it to `Builder::capture`"]
pub struct Capture {
    target: Target,
    filter: Filter,
    redaction: Redaction,
    queue: usize,
    counters: Arc<CaptureCounters>,
}

#[derive(Debug)]
enum Target {
    Hep(Box<Collector>),
    File(PathBuf, Rotation),
}

impl Capture {
    /// A capture to a HEP3 collector: `192.0.2.9:9060` over UDP, or `tcp:homer.example.com:9060`.
    /// [`Collector`] has more settings.
    ///
    /// # Errors
    /// The text names no protocol, host and port; or TLS, which needs a configuration
    /// ([`Collector::tls`]).
    pub fn hep(collector: &str) -> Result<Self, CollectorError> {
        let collector: Collector = collector.parse()?;
        match collector.lacks_tls() {
            true => Err(CollectorError::NoTlsConfig),
            false => Ok(collector.into()),
        }
    }

    /// A capture to a pcapng file, which Wireshark and sngrep open. Its content is as secret as the
    /// calls: on Unix it is readable for its owner only.
    pub fn pcapng(path: impl Into<PathBuf>, rotation: Rotation) -> Self {
        Self::to(Target::File(path.into(), rotation))
    }

    fn to(target: Target) -> Self {
        Self {
            target,
            filter: Filter::default(),
            redaction: Redaction::default(),
            queue: 4 << 20,
            counters: Arc::default(),
        }
    }

    /// Sets which messages are captured. Default: all.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets what is hidden in captured messages. Default: nothing.
    pub fn redact(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Sets the limit in bytes on messages that wait to be encoded, and the same again on encoded
    /// ones that wait for a collector. Default: 4 MiB.
    pub fn queue(mut self, bytes: usize) -> Self {
        self.queue = bytes.max(1);
        self
    }

    /// The counters of the capture, to be read while it runs and after.
    pub fn counters(&self) -> Arc<CaptureCounters> {
        Arc::clone(&self.counters)
    }
}

/// A capture to this collector. One over TLS without a configuration fails to connect.
impl From<Collector> for Capture {
    fn from(collector: Collector) -> Self {
        Self::to(Target::Hep(Box::new(collector)))
    }
}

/// Starts captures on a runtime, and taps the transport for them.
pub(crate) async fn start(
    captures: Vec<Capture>,
    config: &mut Config,
    runtime: &Arc<dyn Runtime>,
) -> Result<Vec<Arc<dyn Follower>>, BindError> {
    let mut started: Vec<Arc<dyn Follower>> = Vec::new();
    for capture in captures {
        let intake = Arc::new(Intake::new(capture.queue, capture.counters));
        let selection = Selection::new(capture.filter, capture.redaction);
        let outcome = match capture.target {
            Target::Hep(collector) => {
                let intake = Arc::clone(&intake);
                hep::spawn(
                    *collector,
                    intake,
                    selection,
                    capture.queue,
                    Arc::clone(runtime),
                );
                Ok(())
            }
            Target::File(path, rotation) => {
                let (intake, runtime) = (Arc::clone(&intake), Arc::clone(runtime));
                let opened = file::spawn(path.clone(), rotation, intake, selection, runtime).await;
                opened.map_err(|source| BindError::Capture { path, source })
            }
        };
        if let Err(error) = outcome {
            started.iter().for_each(|capture| capture.end());
            return Err(error);
        }
        started.push(Arc::clone(&intake) as Arc<dyn Follower>);
        config.tap(move |seen| intake.offer(&seen));
    }
    Ok(started)
}
