//! What is checked before a message is handed on: the headers that transport and transactions
//! read (RFC 3261 §8.1.1), and that none of them can be read in two ways.

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

const MANDATORY: &[Name] = &[Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];

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
                Uri::parse(uri).map_err(|error| {
                    let at = usize::from(self.line.middle) + 1 + error.offset();
                    ParseError::new(ParseErrorKind::RequestUri(error), at)
                })?;
                Some(method)
            }
            StartLine::Response { .. } => None,
        };
        let mut seen = 0;
        let mut found = Found::default();
        for &packed in self.rows {
            let row = Row::unpack(packed);
            let bit = bit(row.id);
            if seen & bit & SINGLE != 0 {
                let kind = ParseErrorKind::Repeated(row.name());
                return Err(ParseError::new(kind, row.start.into()).in_header(row.name()));
            }
            seen |= bit;
            if CHECKED & bit != 0 {
                self.check_row(row, method, &mut found).map_err(|kind| {
                    let at = match kind {
                        ParseErrorKind::Value { error, .. } => error.offset(),
                        _ => 0,
                    };
                    ParseError::new(kind, usize::from(row.value) + at).in_header(row.name())
                })?;
            }
        }
        for &name in MANDATORY {
            if seen & bit(name as u8) == 0 {
                let at = usize::from(self.line.start);
                return Err(ParseError::new(ParseErrorKind::Missing(name), at).in_header(name));
            }
        }
        Ok(found.facts(self.base))
    }

    #[inline]
    fn check_row(
        self,
        row: Row,
        method: Option<Method<'_>>,
        found: &mut Found<'a>,
    ) -> Result<(), ParseErrorKind> {
        let value = self.value(row);
        let header = row.name();
        let result = match header {
            Name::Via => check_vias(value, &mut found.via),
            Name::From => From::parse(value).map(|from| found.from_tag = from.tag_bytes()),
            Name::To => To::parse(value).map(|to| found.to_tag = to.tag_bytes()),
            Name::CallId => CallId::parse(value).map(drop),
            Name::MaxForwards => MaxForwards::parse(value).map(drop),
            Name::CSeq => match CSeq::parse(value) {
                // RFC 3261 §8.1.1.5; RFC 4475 §3.1.2.17.
                Ok(cseq) if method.is_some_and(|method| method != cseq.method()) => {
                    return Err(ParseErrorKind::CSeqMethod);
                }
                result => result.map(drop),
            },
            _ => Ok(()),
        };
        result.map_err(|error| ParseErrorKind::Value { header, error })
    }
}

const CHECKED: u128 = set(&[
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::MaxForwards,
]);

/// Every Via: the top one says where the response goes, the others where it goes on.
#[inline]
fn check_vias<'a>(value: &'a [u8], top: &mut Option<Via<'a>>) -> Result<(), ValueError> {
    if list::comma(value).is_some() {
        return list::values::<Via<'_>>(value)
            .try_for_each(|via| via.map(|via| drop(top.get_or_insert(via))));
    }
    let via = Via::parse(value)?;
    top.get_or_insert(via);
    Ok(())
}

/// What the checks came across.
#[derive(Default)]
struct Found<'a> {
    via: Option<Via<'a>>,
    from_tag: Option<&'a [u8]>,
    to_tag: Option<&'a [u8]>,
}

impl Found<'_> {
    #[inline]
    fn facts(&self, base: &[u8]) -> Option<Facts> {
        Some(Facts {
            via: self.via?.spans(base)?,
            from_tag: Span::of_some(base, self.from_tag)?,
            to_tag: Span::of_some(base, self.to_tag)?,
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
        }
    }
}
