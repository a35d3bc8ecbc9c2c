//! The checks before a message is delivered: the headers that transport and transactions read can
//! be parsed, in one way only (RFC 3261 §8.1.1).

use memchr::{memchr, memrchr};

use super::{LintKind, ParseError, ParseErrorKind, Row, Stamp, StartLine, Tolerated, View};
use crate::header::{
    self, CSeq, CallId, Header, MaxForwards, Via, ViaSpans, check_tagged, list, read_tagged,
};
use crate::span::{HostPortSpan, Span};
use crate::uri::{RoutingUri, Uri};
use crate::{HostPort, Name, Reading, ValueError};

/// Headers whose second row would be read by one hop and not by the next (RFC 3261 §7.3.1).
/// A second Subject or User-Agent does no harm and is let through.
const SINGLE: [bool; IDS] = ids(&[
    Name::CallId,
    Name::ContentLength,
    Name::ContentType,
    Name::CSeq,
    Name::Event,
    Name::Expires,
    Name::From,
    Name::MaxForwards,
    Name::MinExpires,
    Name::MinSe,
    Name::RAck,
    Name::ReferTo,
    Name::Replaces,
    Name::RSeq,
    Name::SessionExpires,
    Name::SubscriptionState,
    Name::To,
]);

/// Of these, the ones that tell a transaction: two of them are refused even where they are equal.
const ONE_ONLY: [bool; IDS] = ids(&[
    Name::CallId,
    Name::ContentLength,
    Name::CSeq,
    Name::From,
    Name::To,
]);

const fn ids(names: &[Name]) -> [bool; IDS] {
    let mut ids = [false; IDS];
    let mut i = 0;
    while i < names.len() {
        ids[names[i] as usize] = true;
        i += 1;
    }
    ids
}

/// A power of two, so that no id is out of bounds.
const IDS: usize = 128;
const _: () = assert!(Name::ALL.len() < IDS, "more names than ids");

/// The first row of each known name.
struct FirstRows([u16; IDS]);

const NO_ROW: u16 = u16::MAX;

impl<'a> View<'a> {
    /// [`Head::check`](super::Head::check) and [`Message::check`](super::Message::check).
    pub(crate) fn check(self, reading: Reading) -> Result<Checked, ParseError> {
        let mut judge = Judge {
            reading,
            tolerated: Tolerated::default(),
        };
        let mut request_host = None;
        let method = match self.start_line() {
            StartLine::Request { method, uri } => {
                request_host = self.check_request_uri(uri, &mut judge)?;
                Some(method)
            }
            StartLine::Response { .. } => None,
        };
        let rows = self.first_rows(&mut judge)?;
        let via = self.check_vias(&rows, &mut judge)?;
        let from_tag = self.tagged(&rows, Name::From, &mut judge)?;
        let to_tag = self.tagged(&rows, Name::To, &mut judge)?;
        let call_id = self.check_call_id(&rows, &mut judge)?;
        let (row, cseq) = self.mandatory::<CSeq<'_>>(&rows)?;
        // RFC 3261 §8.1.1.5; RFC 4475 §3.1.2.17.
        if method.is_some_and(|method| method != cseq.method()) {
            let error = ParseError::new(ParseErrorKind::CSeqMethod, row.value.into());
            return Err(error.in_header(Name::CSeq));
        }
        // RFC 4475 §3.4.1: RFC 2543 peers leave it out.
        if let Some(row) = self.first(&rows, Name::MaxForwards) {
            self.typed::<MaxForwards>(row, self.value(row), 0)?;
        }
        // The method is the last thing in its value.
        let value = self.value(row);
        let start = value.len().saturating_sub(cseq.method().as_str().len());
        let facts = self.facts(
            via,
            from_tag,
            to_tag,
            call_id,
            request_host,
            (cseq.seq(), &value[start..]),
        );
        Ok(Checked {
            facts,
            tolerated: judge.tolerated,
        })
    }

    fn check_request_uri(
        self,
        text: &'a [u8],
        judge: &mut Judge,
    ) -> Result<Option<HostPort<'a>>, ParseError> {
        check_request_uri(text)
            .or_else(|error| {
                judge.tolerate(LintKind::RequestUri, error)?;
                read_request_uri(text)
            })
            .map_err(|error| {
                let at = usize::from(self.line.middle) + 1 + error.offset();
                ParseError::new(ParseErrorKind::RequestUri(error), at)
            })
    }

    /// Where each header is, unless one that may stand once stands twice. It asks nothing row by
    /// row, because no two messages have the same rows.
    #[inline]
    fn first_rows(self, judge: &mut Judge) -> Result<FirstRows, ParseError> {
        let mut first = [NO_ROW; IDS];
        let mut repeated = false;
        for (index, &packed) in self.rows.iter().enumerate().rev() {
            let id = usize::from(Row::id(packed)) % IDS;
            repeated |= SINGLE[id] & (first[id] != NO_ROW);
            first[id] = index as u16;
        }
        let rows = FirstRows(first);
        if repeated {
            self.check_repeats(&rows, judge)?;
        }
        Ok(rows)
    }

    #[cold]
    fn check_repeats(self, first: &FirstRows, judge: &mut Judge) -> Result<(), ParseError> {
        for row in self.repeats() {
            let name = row.name();
            let error = ParseError::new(ParseErrorKind::Repeated(name), row.start.into());
            let error = error.in_header(name);
            // What the application alone reads is for it to judge.
            let differs = || {
                let first = self.first(first, name).map(|first| self.value(first));
                name == Name::MaxForwards && first != Some(self.value(row))
            };
            if ONE_ONLY[usize::from(row.id) % IDS] || differs() {
                return Err(error);
            }
            judge.tolerate(LintKind::Repeated, error)?;
        }
        Ok(())
    }

    /// The second and later rows of headers that may stand once.
    pub(super) fn repeats(self) -> impl Iterator<Item = Row> + 'a {
        let mut seen = [false; IDS];
        let rows = self.rows.iter().map(|&packed| Row::unpack(packed));
        rows.filter(move |row| {
            let id = usize::from(row.id) % IDS;
            SINGLE[id] && core::mem::replace(&mut seen[id], true)
        })
    }

    #[inline]
    fn first(self, rows: &FirstRows, name: Name) -> Option<Row> {
        let index = rows.0[name as usize % IDS];
        self.rows
            .get(usize::from(index))
            .map(|&packed| Row::unpack(packed))
    }

    #[inline]
    fn mandatory<H: Header<'a>>(self, rows: &FirstRows) -> Result<(Row, H), ParseError> {
        let row = self
            .first(rows, H::NAME)
            .ok_or_else(|| self.missing(H::NAME))?;
        Ok((row, self.typed(row, self.value(row), 0)?))
    }

    /// The tag of a From or To.
    #[inline]
    fn tagged(
        self,
        rows: &FirstRows,
        name: Name,
        judge: &mut Judge,
    ) -> Result<Option<&'a [u8]>, ParseError> {
        let row = self.first(rows, name).ok_or_else(|| self.missing(name))?;
        let value = self.value(row);
        let kind = match name {
            Name::From => LintKind::From,
            _ => LintKind::To,
        };
        check_tagged(value)
            .or_else(|error| {
                judge.tolerate(kind, error)?;
                read_tagged(value)
            })
            .map_err(|error| ParseError::of_value(row, error))
    }

    /// The value of Call-ID.
    #[inline]
    fn check_call_id(self, rows: &FirstRows, judge: &mut Judge) -> Result<&'a [u8], ParseError> {
        let name = Name::CallId;
        let row = self.first(rows, name).ok_or_else(|| self.missing(name))?;
        let value = self.value(row);
        match CallId::parse(value) {
            Ok(_) => Ok(value),
            Err(error) => judge
                .tolerate(LintKind::CallId, error)
                .and_then(|()| header::read_call_id(value))
                .map_err(|error| ParseError::of_value(row, error)),
        }
    }

    #[cold]
    fn missing(self, name: Name) -> ParseError {
        let at = usize::from(self.line.start);
        ParseError::new(ParseErrorKind::Missing(name), at).in_header(name)
    }

    /// A value that starts at `at` in the value of its row.
    #[inline]
    fn typed<H: Header<'a>>(self, row: Row, value: &'a [u8], at: usize) -> Result<H, ParseError> {
        // No `map_err`: it would move a large value.
        match H::parse(value) {
            Ok(header) => Ok(header),
            Err(error) => Err(ParseError::of_value(row, error.shifted(at))),
        }
    }

    /// The top Via, which says where the response goes. Those below are for later hops to read:
    /// here it only counts that none is empty, so that all agree on which is which. Gives the top
    /// one, unless it is one that is not kept.
    #[inline]
    fn check_vias(
        self,
        rows: &FirstRows,
        judge: &mut Judge,
    ) -> Result<Option<ViaSpans>, ParseError> {
        let mut top = None;
        let mut is_top = true;
        self.first(rows, Name::Via)
            .ok_or_else(|| self.missing(Name::Via))?;
        for (_, row) in self.find(Name::Via) {
            let mut rest = Some((0, self.value(row)));
            while let Some((at, text)) = rest {
                let value;
                if is_top || judge.reading == Reading::Strict {
                    (value, rest) = list::first_at(at, text);
                } else {
                    let Some(empty) = list::first_empty(text) else {
                        break;
                    };
                    (value, rest) = ((at + empty, &[][..]), None);
                }
                let (at, value) = value;
                match value.is_empty() {
                    true => Err(ValueError::unexpected("a Via", value, 0)),
                    false => self.check_via(value, is_top, &mut top, judge),
                }
                .map_err(|error| ParseError::of_value(row, error.shifted(at)))?;
                is_top = false;
            }
        }
        Ok(top)
    }

    #[inline]
    fn check_via(
        self,
        value: &'a [u8],
        is_top: bool,
        top: &mut Option<ViaSpans>,
        judge: &mut Judge,
    ) -> Result<(), ValueError> {
        // No `map`: it would move a large value.
        let via = match Via::parse(value) {
            Ok(via) => via,
            Err(error) => {
                judge.tolerate(LintKind::Via, error)?;
                Via::read_off_grammar(value)?
            }
        };
        if is_top {
            *top = via.spans(self.base);
        }
        Ok(())
    }

    #[inline]
    fn facts(
        self,
        via: Option<ViaSpans>,
        from_tag: Option<&[u8]>,
        to_tag: Option<&[u8]>,
        call_id: &[u8],
        request_host: Option<HostPort<'_>>,
        (number, method): (u32, &[u8]),
    ) -> Option<Facts> {
        let request_host = match request_host {
            // An edit may have put the request line elsewhere.
            Some(host) => Some(host.span(self.base)?),
            None => None,
        };
        Some(Facts {
            request_host,
            via,
            from_tag: Span::of_some(self.base, from_tag)?,
            to_tag: Span::of_some(self.base, to_tag)?,
            call_id: Span::of(self.base, call_id)?,
            cseq: (number, Span::of(self.base, method)?),
        })
    }
}

/// RFC 3261 §19.1.1: it has no headers; let through, they would be forwarded (RFC 4475 §3.1.2.11).
#[inline]
pub(super) fn check_request_uri(text: &[u8]) -> Result<Option<HostPort<'_>>, ValueError> {
    match Uri::parse(text)? {
        Uri::Sip(uri) if !uri.headers().is_empty() => {
            // Behind the user, which may hold a question mark too, there is but one.
            let host = memrchr(b'@', text).unwrap_or(0);
            let at = memchr(b'?', text.get(host..).unwrap_or_default()).unwrap_or(0);
            Err(ValueError::unexpected("no headers", text, host + at))
        }
        uri => Ok(uri.as_sip().map(|uri| uri.host_port())),
    }
}

/// The same of a request URI that need not follow its grammar.
#[cold]
fn read_request_uri(text: &[u8]) -> Result<Option<HostPort<'_>>, ValueError> {
    let uri = RoutingUri::parse(text)?;
    match uri.headers() {
        Some(at) => Err(ValueError::unexpected("no headers", text, at)),
        None => Ok(uri.host_port()),
    }
}

/// What the grammar forbids: the end of the check, or noted.
struct Judge {
    reading: Reading,
    tolerated: Tolerated,
}

impl Judge {
    #[cold]
    fn tolerate<E>(&mut self, kind: LintKind, error: E) -> Result<(), E> {
        if self.reading == Reading::Strict {
            return Err(error);
        }
        self.tolerated.add(kind);
        Ok(())
    }
}

/// What a check found.
pub(crate) struct Checked {
    pub(crate) facts: Option<Facts>,
    pub(crate) tolerated: Tolerated,
}

/// What the checks found and every transport and transaction layer asks for, kept as places in the
/// message so that it is read once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) request_host: Option<HostPortSpan>,
    /// `None`: it is read anew, for its rare parameters or because an edit changed it.
    pub(crate) via: Option<ViaSpans>,
    pub(crate) from_tag: Option<Span>,
    pub(crate) to_tag: Option<Span>,
    pub(crate) call_id: Span,
    pub(crate) cseq: (u32, Span),
}

impl Facts {
    /// The same after the top Via was stamped.
    pub(crate) fn stamped(self, stamp: &Stamp, via: usize) -> Self {
        let moved = |span: Span| stamp.moved(span, via);
        let stamped = |via: ViaSpans| {
            let (received, rport) = stamp.values(&via);
            via.stamped(received, rport, stamp.grown(), moved)
        };
        Self {
            // It stands before the Via.
            request_host: self.request_host,
            via: self.via.map(stamped),
            from_tag: self.from_tag.map(moved),
            to_tag: self.to_tag.map(moved),
            call_id: moved(self.call_id),
            cseq: (self.cseq.0, moved(self.cseq.1)),
        }
    }
}
