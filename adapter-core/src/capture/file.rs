//! The thread of a capture to files.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use std::{io, thread};

use futures_channel::oneshot;
use sip_capture::{CapturedMessage, SenderStats, pcapng};
use sip_transport_proto::parts::LogLimiter;
use sip_transport_proto::trace::SOCKET;
use tracing::warn;

use crate::capture::intake::{Consumer, Intake, PAUSE, RecordBatch};
use crate::capture::rotation::{RotatedFile, Rotation};
use crate::capture::selection::Selection;
use crate::runtime::Runtime;
use crate::sync::block_on;

/// The bytes that are written at a time, unless a single message has more.
const WRITE: usize = 256 * 1024;

/// Starts the thread, and waits until it has opened the file.
pub(super) async fn spawn(
    path: PathBuf,
    rotation: Rotation,
    intake: Arc<Intake>,
    selection: Selection,
    runtime: Arc<dyn Runtime>,
) -> io::Result<()> {
    let (opened, outcome) = oneshot::channel();
    let job = move || {
        let intake = Consumer(intake);
        let file = match RotatedFile::open(path, rotation) {
            Ok(file) => file,
            Err(error) => return drop(opened.send(Err(error))),
        };
        // Nobody waits if binding was given up; then nothing is captured.
        if opened.send(Ok(())).is_ok() {
            run(FileWriter::new(file), &intake.0, &selection, &*runtime);
        }
    };
    let thread = thread::Builder::new().name("sip-capture".to_owned());
    thread.spawn(job)?;
    outcome.await.map_err(io::Error::other)?
}

/// Writes until nothing more will come.
fn run(mut writer: FileWriter, intake: &Intake, selection: &Selection, runtime: &dyn Runtime) {
    let mut batch = RecordBatch::default();
    while block_on(poll_fn(|cx| intake.poll_take(cx, &mut batch))) {
        let now = runtime.now();
        let filtered = selection.take(&mut batch, now, |channel, message| {
            writer.put(channel, message);
        });
        writer.flush();
        intake.counters.count_filtered(filtered);
        intake.counters.set_sender(writer.stats);
        if !intake.is_closed() {
            thread::sleep(PAUSE);
        }
    }
}

/// The encoder of a file, and what it has encoded.
struct FileWriter {
    file: RotatedFile,
    encoder: pcapng::Writer,
    /// What is encoded and not written, and of how many messages it is.
    out: Vec<u8>,
    messages: u64,
    stats: SenderStats,
    log_limiter: LogLimiter,
}

impl FileWriter {
    fn new(file: RotatedFile) -> Self {
        Self {
            file,
            encoder: pcapng::Writer::new(),
            out: Vec::new(),
            messages: 0,
            stats: SenderStats::default(),
            log_limiter: LogLimiter::default(),
        }
    }

    fn put(&mut self, channel: SocketAddr, message: &CapturedMessage<'_>) {
        let begin = self.out.len();
        self.encoder.write(channel, message, &mut self.out);
        if self.file.is_full(begin, self.out.len()) {
            let last = self.out.split_off(begin);
            self.flush();
            match self.file.rotate() {
                Ok(()) => {
                    self.encoder = pcapng::Writer::new();
                    self.encoder.write(channel, message, &mut self.out);
                }
                Err(error) => {
                    // The file grows on instead.
                    self.log(&error, "cannot rotate a capture file");
                    self.out.extend_from_slice(&last);
                }
            }
        }
        self.messages += 1;
        if self.out.len() > WRITE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        match self.file.write(&self.out) {
            Ok(()) => self.stats.sent += messages,
            Err(error) => {
                self.stats.failed += messages;
                // The header may be lost with them: a new section has one of its own.
                self.encoder = pcapng::Writer::new();
                self.log(&error, "cannot write a capture file");
            }
        }
        self.out.clear();
    }

    fn log(&self, error: &io::Error, message: &str) {
        if let Some(left_out) = self.log_limiter.now(Instant::now()) {
            warn!(target: SOCKET, %error, left_out, path = %self.file.path().display(), "{message}");
        }
    }
}
