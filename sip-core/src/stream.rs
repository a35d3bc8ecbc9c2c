//! The framing of streams.

use alloc::vec::Vec;
use core::mem;

use memchr::memmem;

use crate::message::{Head, ParseError, ParseErrorKind};
use crate::{Limits, Name};

/// A framer that splits a byte stream into messages (RFC 3261 §18.3) and keep-alives (RFC 5626
/// §4.4.1).
///
/// The frames do not depend on how the bytes are split when they arrive, and no byte is searched
/// twice. The buffer never exceeds the longest message, and takes no memory while it is empty.
///
/// ```
/// use sip_core::{Frame, Framer, Limits};
/// let mut framer = Framer::new(Limits::default());
/// framer.push(b"\r\nOPTIONS sip:example.com SIP/2.0\r\nl: 2\r\n\r\nh");
/// assert!(matches!(framer.poll()?, Some(Frame::Crlf)));
/// assert!(framer.poll()?.is_none());
/// framer.push(b"i");
/// let Some(Frame::Message { head, data }) = framer.poll()? else { panic!() };
/// assert_eq!(head.to_message(data).body(), b"hi");
/// # Ok::<(), sip_core::message::ParseError>(())
/// ```
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// The start of the bytes not returned yet.
    start: usize,
    state: State,
    /// A CRLF was returned and may be the first half of a ping.
    crlf: bool,
    failed: Option<ParseError>,
    /// The number of bytes of the message at fault that had to be read to find the error.
    fault_len: usize,
}

#[derive(Debug)]
enum State {
    /// No byte of the next message has arrived.
    Between,
    /// The head is being indexed.
    Head(Head),
    /// The head is complete, the body perhaps not.
    Body(Head),
    /// A line of the head is invalid. The end of the head is searched for, after this many bytes,
    /// so that a request can be answered as far as it is readable.
    Faulty(ParseError, usize),
}

/// A piece of a stream.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "indexing must not allocate")]
#[non_exhaustive]
pub enum Frame<'a> {
    /// A CRLF between messages: a pong, the first half of a ping, or padding.
    Crlf,
    /// A second CRLF right after a [`Frame::Crlf`]: both are a ping, to be answered with one.
    Ping,
    /// A message.
    Message {
        /// Its index.
        head: Head,
        /// Its bytes, exactly.
        data: &'a [u8],
    },
}

impl Framer {
    /// A framer at the start of a stream.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            start: 0,
            state: State::Between,
            crlf: false,
            failed: None,
            fault_len: 0,
        }
    }

    /// Takes bytes of the stream and returns their number: as many as [`Framer::capacity_left`]
    /// allows. After [`Framer::poll`] has returned `None` that is at least one.
    #[must_use = "what was not taken has to be pushed again"]
    pub fn push(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(self.capacity_left());
        if self.failed.is_some() {
            return taken;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        // Doubling, but never beyond the bound: what is held counts, not what is used.
        let needed = self.buffer.len() + taken;
        if needed > self.buffer.capacity() {
            let capacity = needed.max(self.buffer.capacity() * 2).min(self.bound());
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
        self.buffer
            .extend_from_slice(data.get(..taken).unwrap_or_default());
        taken
    }

    fn bound(&self) -> usize {
        // A message that is one byte too long must fit, so that it is seen to be.
        self.limits.message().saturating_add(1)
    }

    /// The number of bytes that [`Framer::push`] accepts now.
    pub fn capacity_left(&self) -> usize {
        self.bound().saturating_sub(self.buffered())
    }

    /// The number of bytes that were taken and not returned.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The number of bytes of memory that the buffer holds.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Returns true if a message has begun and is not complete.
    pub fn is_inside_message(&self) -> bool {
        !matches!(self.state, State::Between)
    }

    /// Takes the last CRLF as the pong to the caller's own ping, so that another one after it is
    /// not the second half of a ping.
    pub fn take_pong(&mut self) {
        self.crlf = false;
    }

    /// The next frame, or `None` until more bytes arrive.
    ///
    /// An error ends the stream: what follows can no longer be delimited, and every later call
    /// returns the same error. [`Framer::rest`] has the bytes that could not be read.
    pub fn poll(&mut self) -> Result<Option<Frame<'_>>, ParseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.step() {
            Ok(FramerStep::Wait) => {
                if self.buffered() == 0 {
                    self.buffer = Vec::new();
                    self.start = 0;
                }
                Ok(None)
            }
            Ok(FramerStep::Crlf) => {
                self.crlf = !self.crlf;
                self.start += 2;
                Ok(Some(if self.crlf { Frame::Crlf } else { Frame::Ping }))
            }
            Ok(FramerStep::Message(head)) => {
                self.crlf = false;
                let from = self.start;
                self.start += head.len();
                let data = self.buffer.get(from..self.start).unwrap_or_default();
                Ok(Some(Frame::Message { head, data }))
            }
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// The bytes that are not returned yet; after an error, those of the message at fault, as far
    /// as they had to be read: the same however the stream was split.
    pub fn rest(&self) -> &[u8] {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        match self.failed {
            None => rest,
            Some(_) => rest.get(..self.fault_len).unwrap_or(rest),
        }
    }

    fn step(&mut self) -> Result<FramerStep, ParseError> {
        let data = self.buffer.get(self.start..).unwrap_or_default();
        let head = match mem::replace(&mut self.state, State::Between) {
            State::Between => match data {
                [] | [b'\r'] => return Ok(FramerStep::Wait),
                [b'\r', b'\n', ..] => return Ok(FramerStep::Crlf),
                _ => self.index(Head::default())?,
            },
            State::Head(head) => self.index(head)?,
            State::Body(head) => Some(head),
            State::Faulty(error, searched) => self.seek_end(error, searched)?,
        };
        match head {
            Some(head) if head.len() <= self.buffered() => Ok(FramerStep::Message(head)),
            Some(head) => {
                self.state = State::Body(head);
                Ok(FramerStep::Wait)
            }
            None => Ok(FramerStep::Wait),
        }
    }

    fn index(&mut self, mut head: Head) -> Result<Option<Head>, ParseError> {
        let data = self.buffer.get(self.start..).unwrap_or_default();
        let length = match head.advance(data, &self.limits) {
            Ok(Some(length)) => length,
            Ok(None) => {
                self.state = State::Head(head);
                return Ok(None);
            }
            Err(error) if head.head_len() > 0 => {
                self.fault_len = head.head_len();
                return Err(error);
            }
            Err(error) if leaves_lines_whole(error.kind()) => return self.seek_end(error, 0),
            Err(error) => {
                self.fault_len = error.offset().saturating_add(1);
                return Err(error);
            }
        };
        self.fault_len = head.head_len();
        let fault = |kind| ParseError::new(kind, head.head_len()).in_header(Name::ContentLength);
        let length = length.ok_or_else(|| fault(ParseErrorKind::ContentLengthMissing))?;
        let limit = self.limits.message();
        match usize::try_from(length) {
            Ok(length) if head.head_len().saturating_add(length) <= limit => {
                head.set_body_len(length);
                Ok(Some(head))
            }
            _ => Err(fault(ParseErrorKind::MessageTooLong(limit))),
        }
    }

    /// Searches for the end of a head with an error in it, as far as a head may reach.
    fn seek_end(&mut self, error: ParseError, searched: usize) -> Result<Option<Head>, ParseError> {
        let data = self.buffer.get(self.start..).unwrap_or_default();
        let most = self.limits.head().min(self.limits.message());
        let from = searched.saturating_sub(3);
        let end = memmem::find(data.get(from..).unwrap_or_default(), b"\r\n\r\n");
        let end = end.map(|at| from.saturating_add(at).saturating_add(4));
        match end.filter(|&end| end <= most) {
            Some(end) => self.fault_len = end,
            None if data.len() >= most => self.fault_len = most,
            None => {
                self.state = State::Faulty(error, data.len());
                return Ok(None);
            }
        }
        Err(error)
    }
}

/// Returns true if the lines behind such an error can still be told apart.
fn leaves_lines_whole(kind: ParseErrorKind) -> bool {
    matches!(
        kind,
        ParseErrorKind::StartLine(_)
            | ParseErrorKind::Version
            | ParseErrorKind::HeaderLine
            | ParseErrorKind::Fold
    )
}

#[expect(clippy::large_enum_variant, reason = "indexing must not allocate")]
enum FramerStep {
    Wait,
    Crlf,
    Message(Head),
}
