//! What is checked before a message is handed on: the headers that transport and transactions
//! read (RFC 3261 §8.1.1), and that none of them can be read in two ways.

use memchr::{memchr, memrchr};

use super::{ParseError, ParseErrorKind, Row, Stamp, StartLine, View};
use crate::header::{CSeq, CallId, From, Header, MaxForwards, To, Via, ViaSpans, list};
use crate::span::Span;
use crate::uri::Uri;
use crate::{Method, Name, ValueError};

/// Headers whose second row would be read by one hop and not by the next (RFC 3261 §7.3.1).
/// A second Subject or User-Agent does no harm and is let through.
const SINGLE: u128 = set(&[
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

const MANDATORY: u128 = set(&[Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq]);

/// Checked besides Via.
const CHECKED: [Name; 5] = [
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::MaxForwards,
];

const fn bit(id: u8) -> u128 {
    1 << (id & 127)
}

const fn set(names: &[Name]) -> u128 {
    assert!(Name::ALL.len() < 128, "names no longer fit into the set");
    let mut set = 0;
    let mut i = 0;
    while i < names.len() {
        set |= bit(names[i] as u8);
        i += 1;
    }
    set
}

impl<'a> View<'a> {
    /// [`Head::check`](super::Head::check) and [`Message::check`](super::Message::check).
    pub(crate) fn check(self) -> Result<Option<Facts>, ParseError> {
        let method = match self.start_line() {
            StartLine::Request { method, uri } => {
                check_request_uri(uri).map_err(|error| {
                    let at = usize::from(self.line.middle) + 1 + error.offset();
                    ParseError::new(ParseErrorKind::RequestUri(error), at)
                })?;
                Some(method)
            }
            StartLine::Response { .. } => None,
        };
        // What comes twice is seen without asking row by row, because no two messages have the
        // same rows.
        let mut seen = 0;
        let mut twice = 0;
        let mut first = [0_u16; 128];
        for (index, &packed) in self.rows.iter().enumerate().rev() {
            let id = Row::id(packed) & 127;
            twice |= seen & bit(id);
            seen |= bit(id);
            first[usize::from(id)] = index as u16;
        }
        if twice & SINGLE != 0 {
            return Err(self.repeated());
        }
        let mut found = Found::default();
        if seen & bit(Name::Via as u8) != 0 {
            for (_, row) in self.find(Name::Via) {
                self.check_row(row, method, &mut found)?;
            }
        }
        for name in CHECKED {
            if seen & bit(name as u8) != 0 {
                let index = usize::from(first[name as usize & 127]);
                let packed = self.rows.get(index).copied().unwrap_or_default();
                self.check_row(Row::unpack(packed), method, &mut found)?;
            }
        }
        if seen & MANDATORY != MANDATORY {
            return Err(self.missing(seen));
        }
        Ok(found.facts(self.base))
    }

    #[cold]
    fn repeated(self) -> ParseError {
        let mut seen = 0;
        let again = self
            .rows
            .iter()
            .map(|&packed| Row::unpack(packed))
            .find(|row| {
                let again = seen & bit(row.id) & SINGLE != 0;
                seen |= bit(row.id);
                again
            });
        let (name, start) = again.map_or((Name::Other, 0), |row| (row.name(), row.start));
        ParseError::new(ParseErrorKind::Repeated(name), start.into()).in_header(name)
    }

    #[cold]
    fn missing(self, seen: u128) -> ParseError {
        let missing = Name::ALL
            .iter()
            .find(|&&name| MANDATORY & !seen & bit(name as u8) != 0);
        let name = missing.copied().unwrap_or(Name::Other);
        let at = usize::from(self.line.start);
        ParseError::new(ParseErrorKind::Missing(name), at).in_header(name)
    }

    #[inline]
    fn check_row(
        self,
        row: Row,
        method: Option<Method<'_>>,
        found: &mut Found<'a>,
    ) -> Result<(), ParseError> {
        let value = self.value(row);
        let header = row.name();
        let fault = |kind, at| ParseError::new(kind, usize::from(row.value) + at).in_header(header);
        let result = match header {
            Name::Via => check_vias(value, self.base, &mut found.via),
            Name::From => From::parse(value).map(|from| found.from_tag = from.tag_bytes()),
            Name::To => To::parse(value).map(|to| found.to_tag = to.tag_bytes()),
            Name::CallId => CallId::parse(value).map(|_| found.call_id = value),
            Name::MaxForwards => MaxForwards::parse(value).map(drop),
            Name::CSeq => match CSeq::parse(value) {
                // RFC 3261 §8.1.1.5; RFC 4475 §3.1.2.17.
                Ok(cseq) if method.is_some_and(|method| method != cseq.method()) => {
                    return Err(fault(ParseErrorKind::CSeqMethod, 0));
                }
                result => result.map(|cseq| {
                    let start = value.len().saturating_sub(cseq.method().as_str().len());
                    found.cseq = Some((cseq.seq(), value.get(start..).unwrap_or_default()));
                }),
            },
            _ => Ok(()),
        };
        result.map_err(|error| fault(ParseErrorKind::Value { header, error }, error.offset()))
    }
}

/// RFC 3261 §19.1.1: it has no headers; let through, they would be forwarded (RFC 4475 §3.1.2.11).
#[inline]
fn check_request_uri(text: &[u8]) -> Result<(), ValueError> {
    match Uri::parse(text)? {
        Uri::Sip(uri) if !uri.headers().is_empty() => {
            // Behind the user, which may hold a question mark too, there is but one.
            let host = memrchr(b'@', text).unwrap_or(0);
            let at = memchr(b'?', text.get(host..).unwrap_or_default()).unwrap_or(0);
            Err(ValueError::unexpected("no headers", text, host + at))
        }
        _ => Ok(()),
    }
}

/// Every Via: the top one says where the response goes, the others where it goes on.
#[inline]
fn check_vias(value: &[u8], base: &[u8], top: &mut TopVia) -> Result<(), ValueError> {
    if list::comma(value).is_some() {
        return list::values::<Via<'_>>(value)
            .try_for_each(|via| via.map(|via| top.found(&via, base)));
    }
    top.found(&Via::parse(value)?, base);
    Ok(())
}

/// The first Via that was come across.
#[derive(Clone, Copy, Default)]
enum TopVia {
    #[default]
    None,
    /// One that is not kept.
    Rare,
    Kept(ViaSpans),
}

impl TopVia {
    #[inline]
    fn found(&mut self, via: &Via<'_>, base: &[u8]) {
        if let Self::None = self {
            *self = via.spans(base).map_or(Self::Rare, Self::Kept);
        }
    }
}

/// What the checks came across.
#[derive(Default)]
struct Found<'a> {
    via: TopVia,
    from_tag: Option<&'a [u8]>,
    to_tag: Option<&'a [u8]>,
    call_id: &'a [u8],
    cseq: Option<(u32, &'a [u8])>,
}

impl Found<'_> {
    #[inline]
    fn facts(&self, base: &[u8]) -> Option<Facts> {
        let TopVia::Kept(via) = self.via else {
            return None;
        };
        let (number, method) = self.cseq?;
        Some(Facts {
            via,
            from_tag: Span::of_some(base, self.from_tag)?,
            to_tag: Span::of_some(base, self.to_tag)?,
            call_id: Span::of(base, self.call_id)?,
            cseq: (number, Span::of(base, method)?),
        })
    }
}

/// What the checks found and every transport and transaction layer asks for, kept as places in the
/// message so that it is read once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) via: ViaSpans,
    pub(crate) from_tag: Option<Span>,
    pub(crate) to_tag: Option<Span>,
    pub(crate) call_id: Span,
    pub(crate) cseq: (u32, Span),
}

impl Facts {
    /// The same after the top Via was stamped.
    pub(crate) fn stamped(self, stamp: &Stamp, via: usize) -> Self {
        let moved = |span: Span| stamp.moved(span, via);
        let (received, rport) = stamp.values(&self.via);
        Self {
            via: self.via.stamped(received, rport, stamp.grown(), moved),
            from_tag: self.from_tag.map(moved),
            to_tag: self.to_tag.map(moved),
            call_id: moved(self.call_id),
            cseq: (self.cseq.0, moved(self.cseq.1)),
        }
    }
}
