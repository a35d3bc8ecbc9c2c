//! The index of a message.

use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;

use super::check::Facts;
use super::index::Indexer;
use super::lint::Lint;
use super::stamp::Stamp;
use super::{
    HeaderError, LintKind, Message, ParseError, ParseErrorKind, Row, StartLine, Tolerated, View,
};
use crate::chars::{is_lws, skip_lws};
use crate::header::Via;
use crate::span::{Span, shifted};
use crate::{Limits, Name, Reading};

/// The index of one message: offsets of its start line and headers, and no bytes.
///
/// A receiver works on it before it decides whether to keep the message. Its methods take the bytes
/// that it was made from; with other bytes they return useless results but do not panic.
#[derive(Debug, Default)]
pub struct Head {
    /// The number of line ends and, under lenient reading, blanks before the message.
    skipped: usize,
    index: Indexer,
    head_len: usize,
    body_len: usize,
    facts: Option<Facts>,
    reading: Reading,
    tolerated: Tolerated,
}

impl Head {
    /// Indexes a datagram (RFC 3261 §18.3): without Content-Length the body is the rest, bytes
    /// after the body are discarded, and a body that is shorter than announced is an error. CRLFs
    /// before the start line are skipped, and under [`Reading::Lenient`] all white space; then the
    /// empty line may be missing, if a header line ends where the datagram does and no body is
    /// announced. [`Head::to_message`] adds it.
    ///
    /// ```
    /// use sip_core::{Limits, message::{Head, ParseErrorKind}};
    /// let limits = Limits::default();
    /// let data = b"OPTIONS sip:example.com SIP/2.0\r\nContent-Length: 2\r\n\r\nhi and more";
    /// let head = Head::parse(data, &limits)?;
    /// assert_eq!(head.message(data), &data[..data.len() - 9]);
    /// # Ok::<(), sip_core::message::ParseError>(())
    /// ```
    #[inline]
    pub fn parse(data: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        let mut head = Self::default();
        head.read(data, limits)?;
        Ok(head)
    }

    /// Like [`Head::parse`], but fills this new, empty index in place: an index is large, and a
    /// receiver need not move it. One that was used before must not be used again.
    #[inline]
    pub fn read(&mut self, data: &[u8], limits: &Limits) -> Result<(), ParseError> {
        let mut skipped = 0;
        while let Some(b"\r\n") = data.get(skipped..skipped + 2) {
            skipped += 2;
        }
        if limits.reading() == Reading::Lenient && data.get(skipped).is_some_and(|&b| is_lws(b)) {
            skipped = skip_lws(data, skipped);
            self.index.tolerated.add(LintKind::LeadingSpace);
        }
        let data = data.get(skipped..).unwrap_or_default();
        let length = match self.advance(data, limits)? {
            Some(length) => length,
            None => self.end(data, limits)?,
        };
        self.within_limits()?;
        self.skipped = skipped;
        let available = data.len().saturating_sub(self.head_len);
        self.body_len = match length {
            None => available,
            Some(length) => match usize::try_from(length) {
                Ok(length) if length <= available => length,
                length => {
                    let announced = length.unwrap_or(usize::MAX);
                    let kind = ParseErrorKind::BodyShort {
                        announced,
                        available,
                    };
                    let error = ParseError::new(kind, data.len());
                    return Err(error.in_header(Name::ContentLength));
                }
            },
        };
        if self.len() > limits.message() {
            let kind = ParseErrorKind::MessageTooLong(limits.message());
            return Err(ParseError::new(kind, limits.message()));
        }
        Ok(())
    }

    /// Like [`Head::read`], for data that must be exactly one message, as a WebSocket message must
    /// (RFC 7118 §5).
    pub fn read_whole(&mut self, data: &[u8], limits: &Limits) -> Result<(), ParseError> {
        self.read(data, limits)?;
        match data.len().saturating_sub(self.skipped + self.len()) {
            0 => Ok(()),
            surplus => Err(ParseError::new(
                ParseErrorKind::Surplus(surplus),
                self.len(),
            )),
        }
    }

    /// Continues with a message that starts where `data` does: the Content-Length if the head ends
    /// in it, else `None`.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        data: &[u8],
        limits: &Limits,
    ) -> Result<Option<Option<u64>>, ParseError> {
        self.reading = limits.reading();
        let Some(head_len) = self.index.advance(data, limits)? else {
            return Ok(None);
        };
        self.head_len = head_len;
        self.index.content_length(data).map(Some)
    }

    /// A header that is too long does not hide where the message ends, so a stream continues after
    /// it.
    fn within_limits(&self) -> Result<(), ParseError> {
        self.index.too_long.map_or(Ok(()), Err)
    }

    /// The Content-Length of a message whose head ends with its last header line.
    #[cold]
    fn end(&mut self, data: &[u8], limits: &Limits) -> Result<Option<u64>, ParseError> {
        let end = match limits.reading() {
            Reading::Lenient => self.index.end_without_empty_line(data, limits)?,
            Reading::Strict => None,
        };
        let error = ParseError::new(ParseErrorKind::Incomplete, data.len());
        self.head_len = end.ok_or(error)?;
        self.index.content_length(data)
    }

    pub(crate) fn set_body_len(&mut self, len: usize) {
        self.body_len = len;
    }

    /// The message without the bytes before and after it.
    #[inline]
    pub fn message<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        data.get(self.skipped..self.skipped + self.len())
            .unwrap_or_default()
    }

    /// The message's length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.head_len.saturating_add(self.body_len)
    }

    /// The length of start line, headers and empty line in bytes.
    pub fn head_len(&self) -> usize {
        self.head_len
    }

    /// The start line.
    #[inline]
    pub fn start_line<'a>(&self, data: &'a [u8]) -> StartLine<'a> {
        self.index.line().view(self.message(data))
    }

    /// Returns true if this is a request.
    pub fn is_request(&self) -> bool {
        self.index.line().status == 0
    }

    /// The value of the first row of that name, without white space around it.
    #[inline]
    pub fn raw<'a>(&'a self, data: &'a [u8], name: Name) -> Option<&'a [u8]> {
        let view = self.view(data);
        view.find(name).next().map(|(_, row)| view.value(row))
    }

    /// The first Via value.
    #[inline(always)]
    pub fn top_via<'a>(&'a self, data: &'a [u8]) -> Result<Via<'a>, HeaderError> {
        self.view(data).top_via()
    }

    /// Checks what transport and transactions rely on in a received message: request URI, top Via,
    /// From, To and Call-ID can be read, and CSeq (with the method of a request) and
    /// Max-Forwards follow their grammar; all of them are present (RFC 3261 §8.1.1; Max-Forwards
    /// may be missing, §16.3); and no header that must be unique is repeated (§7.3.1). The
    /// [module](super) lists what is readable; under [`Reading::Strict`] it is what follows the
    /// grammar, every Via included. Other headers are checked on demand.
    ///
    /// The results are kept, so that they are not read again.
    pub fn check(&mut self, data: &[u8]) -> Result<(), ParseError> {
        self.within_limits()?;
        let checked = self.view(data).check(self.reading)?;
        self.facts = checked.facts;
        self.tolerated = self.index.tolerated.union(checked.tolerated);
        Ok(())
    }

    /// The grammar violations that [`check`](Self::check) accepted; none before it was called.
    #[inline]
    pub fn tolerated(&self) -> Tolerated {
        self.tolerated
    }

    /// The grammar violations of the message; see [`Message::lint`].
    pub fn lint<'a>(&'a self, data: &'a [u8]) -> impl Iterator<Item = Lint> + 'a {
        self.view(data).lint(self.index.tolerated)
    }

    #[inline]
    pub(crate) fn view<'a>(&'a self, data: &'a [u8]) -> View<'a> {
        View {
            base: self.message(data),
            facts: self.facts.as_ref(),
            extra: &[],
            line: self.index.line(),
            rows: &self.index.rows,
        }
    }

    /// Copies the message out of `data`, into one allocation of its size and 8 bytes for each
    /// header row.
    #[inline]
    pub fn to_message(&self, data: &[u8]) -> Message {
        let message = self.message(data);
        let mut bytes = self.buffer(message.len());
        bytes.extend_from_slice(message);
        bytes.extend_from_slice(self.missing_end());
        bytes.extend_from_slice(self.index.rows.as_flattened());
        self.pack(bytes, self.head_len, self.facts)
    }

    /// The empty line, if the message lacked it.
    #[inline]
    fn missing_end(&self) -> &'static [u8] {
        match self.index.tolerated.contains(LintKind::NoEmptyLine) {
            true => b"\r\n",
            false => b"",
        }
    }

    /// Like [`Head::to_message`] for a message from `source`: in the top Via of a request,
    /// `received` and `rport` are written as RFC 3261 §18.2.1 and RFC 3581 §4 require, in place of
    /// the client's own. `force_rport` writes both even if they were not requested.
    ///
    /// A top Via that violates its grammar is left as it is; [`Head::check`] finds it.
    #[inline]
    pub fn to_received(&self, data: &[u8], source: SocketAddr, force_rport: bool) -> Message {
        if !self.is_request() {
            return self.to_message(data);
        }
        let message = self.message(data);
        let view = self.view(data);
        let Some((index, value)) = view.top_via_value() else {
            return self.to_message(data);
        };
        let Ok(via) = view.top_via() else {
            return self.to_message(data);
        };
        let stamp = Stamp::of(&via, value, source, force_rport);
        let top = Span::of(message, value).map_or(0, Span::start);
        let grown = stamp.grown();
        let resized = |len: usize| len.saturating_add_signed(grown as isize);
        let mut bytes = self.buffer(resized(message.len()));
        stamp.write(message, top, &mut bytes);
        bytes.extend_from_slice(self.missing_end());
        let facts = self.facts.map(|facts| facts.stamped(&stamp, top));
        let rows = bytes.len();
        bytes.extend_from_slice(self.index.rows.as_flattened());
        let (rows, _) = bytes.get_mut(rows..).unwrap_or_default().as_chunks_mut();
        for (at, packed) in rows.iter_mut().enumerate().skip(index) {
            let mut row = Row::unpack(*packed);
            if at > index {
                row.start = shifted(row.start, grown);
                row.value = shifted(row.value, grown);
            }
            row.end = shifted(row.end, grown);
            *packed = row.pack();
        }
        self.pack(bytes, resized(self.head_len), facts)
    }

    #[inline]
    fn buffer(&self, len: usize) -> Vec<u8> {
        let end = self.missing_end().len();
        Vec::with_capacity(len + end + self.index.rows.len() * 8)
    }

    /// The message of these bytes, which end with the rows.
    #[inline(always)]
    fn pack(&self, mut bytes: Vec<u8>, head_len: usize, facts: Option<Facts>) -> Message {
        let mut line = self.index.line();
        if !line.capitals {
            line.capitalise(&mut bytes);
            line.capitals = true;
        }
        let len = (head_len + self.missing_end().len(), self.body_len);
        let framing = self.index.tolerated;
        Message::packed(
            Bytes::from(bytes),
            line,
            len,
            facts,
            (self.reading, framing),
        )
    }

    /// Takes shared bytes as they are. `bytes` starts with the message.
    pub(crate) fn into_shared(self, bytes: &Bytes) -> Message {
        if !self.index.line().capitals || !self.missing_end().is_empty() {
            return self.to_message(bytes);
        }
        let end = self.skipped + self.len();
        let message = bytes.slice(self.skipped..end);
        Message::shared(
            message,
            self.index.rows.to_vec(),
            self.index.line(),
            self.head_len,
            (self.reading, self.index.tolerated),
        )
    }
}
