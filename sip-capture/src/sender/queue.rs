//! The frames that wait, as one string of bytes.

use crate::hep::{Encoder, Frame};
use crate::message::CapturedMessage;

/// The most bytes of one frame, and of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) frame: usize,
    pub(super) queue: usize,
}

/// The reason that a message was not queued.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    TooLong,
    Full,
}

/// Frames behind each other, which tell their lengths themselves.
#[derive(Debug, Default)]
pub(super) struct FrameQueue {
    bytes: Vec<u8>,
    /// The start of the first frame that is not written as a whole.
    first: usize,
    /// The position up to which bytes are written, in that frame.
    written: usize,
}

impl FrameQueue {
    /// Appends the frame of a message.
    pub(super) fn push(
        &mut self,
        encoder: &Encoder,
        message: &CapturedMessage<'_>,
        limits: Limits,
    ) -> Result<(), Refused> {
        // Nothing is encoded where there is no room.
        if self.len().saturating_add(message.bytes.len()) > limits.queue {
            return Err(Refused::Full);
        }
        let begin = self.bytes.len();
        let encoded = encoder.encode(message, &mut self.bytes);
        let length = self.bytes.len().saturating_sub(begin);
        let refused = if encoded.is_err() || length > limits.frame {
            Refused::TooLong
        } else if self.len() > limits.queue {
            Refused::Full
        } else {
            return Ok(());
        };
        self.bytes.truncate(begin);
        Err(refused)
    }

    /// The number of bytes of the frames that are not written as a whole.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.first)
    }

    /// The bytes that are not written.
    pub(super) fn all(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// The first frame.
    pub(super) fn first(&self) -> &[u8] {
        let rest = self.bytes.get(self.first..).unwrap_or_default();
        rest.get(..length(rest)).unwrap_or_default()
    }

    /// Marks bytes as written. Returns the number of frames that were completed.
    pub(super) fn written(&mut self, bytes: usize) -> u64 {
        self.written = self.written.saturating_add(bytes).min(self.bytes.len());
        let mut frames: u64 = 0;
        loop {
            let rest = self.bytes.get(self.first..self.written);
            let rest = rest.unwrap_or_default();
            let len = length(rest);
            if len == 0 || len > rest.len() {
                break;
            }
            self.first = self.first.saturating_add(len);
            frames = frames.saturating_add(1);
        }
        // The bytes that are done are dropped once they are the larger part, so that each is moved
        // at most once.
        if self.first > self.bytes.len() / 2 {
            self.bytes.drain(..self.first);
            self.written = self.written.saturating_sub(self.first);
            self.first = 0;
        }
        frames
    }

    /// Forgets what was written of the first frame.
    pub(super) fn rewind(&mut self) {
        self.written = self.first;
    }

    /// Discards all frames, and returns their number.
    pub(super) fn clear(&mut self) -> u64 {
        self.rewind();
        let frames = self.written(self.bytes.len());
        *self = Self::default();
        frames
    }
}

/// The length of the frame that the bytes begin with; 0 if they are too few to tell.
fn length(bytes: &[u8]) -> usize {
    Frame::length_of(bytes).ok().flatten().unwrap_or(0)
}
