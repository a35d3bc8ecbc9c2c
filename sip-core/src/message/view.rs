//! The reading of messages: what a [`Head`](super::Head) and a [`Message`](super::Message) have in
//! common.

use super::check::Facts;
use super::{HeaderError, HeaderName, Packed, Row, StartLine, StartLineSpans};
use crate::header::{self, Via, list};
use crate::{Name, steps};

/// A start line and rows over the bytes they were parsed from and the text of edits.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) base: &'a [u8],
    pub(crate) extra: &'a [u8],
    pub(crate) line: StartLineSpans,
    pub(crate) rows: &'a [Packed],
    pub(crate) facts: Option<&'a Facts>,
}

impl<'a> View<'a> {
    #[inline]
    pub(crate) fn text(self, edited: bool) -> &'a [u8] {
        if edited { self.extra } else { self.base }
    }

    #[inline]
    pub(crate) fn start_line(self) -> StartLine<'a> {
        self.line.view(self.text(self.line.edited))
    }

    #[inline]
    pub(crate) fn value(self, row: Row) -> &'a [u8] {
        let range = usize::from(row.value)..usize::from(row.end);
        self.text(row.edited).get(range).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn rows(self) -> impl DoubleEndedIterator<Item = HeaderRow<'a>> + Clone {
        self.headers().map(move |(_, packed)| self.row(packed))
    }

    /// The rows that are headers, with their indices.
    #[inline]
    pub(crate) fn headers(
        self,
    ) -> impl DoubleEndedIterator<Item = (usize, Packed)> + Clone + use<'a> {
        let rows = self.rows.iter().copied().enumerate();
        rows.filter(|&(_, packed)| Row::id(packed) != Row::NO_HEADER)
    }

    #[inline]
    pub(crate) fn row(self, packed: Packed) -> HeaderRow<'a> {
        let row = Row::unpack(packed);
        HeaderRow {
            row,
            text: self.text(row.edited),
        }
    }

    /// The rows of one known name, with their indices.
    #[inline]
    pub(crate) fn find(self, name: Name) -> impl Iterator<Item = (usize, Row)> + Clone + 'a {
        steps::count(self.rows.len());
        let ids = self.rows.iter().enumerate();
        ids.filter(move |(_, packed)| Row::id(**packed) == name as u8)
            .map(|(index, &packed)| (index, Row::unpack(packed)))
    }

    /// The first Via value and the index of its row.
    #[inline]
    pub(crate) fn top_via_value(self) -> Option<(usize, &'a [u8])> {
        let (index, row) = self.find(Name::Via).next()?;
        if let Some(via) = self.facts.and_then(|facts| facts.via.as_ref()) {
            return Some((index, self.base.get(row.value.into()..via.end())?));
        }
        let value = self.value(row);
        let end = list::comma(value).unwrap_or(value.len());
        Some((index, value.get(..end)?.trim_ascii_end()))
    }

    /// The tag of From or To; `None` if there is none, or if it cannot be read.
    #[inline]
    pub(crate) fn tag(self, name: Name) -> Option<&'a [u8]> {
        let (_, row) = self.find(name).next()?;
        header::read_tagged(self.value(row)).ok()?
    }

    #[inline(always)]
    pub(crate) fn top_via(self) -> Result<Via<'a>, HeaderError> {
        if let Some(via) = self.facts.and_then(|facts| facts.via.as_ref()) {
            return Ok(Via::from_spans(via, self.base));
        }
        let (_, value) = self
            .top_via_value()
            .ok_or(HeaderError::Missing(Name::Via))?;
        Via::read(value).map_err(|error| HeaderError::Value {
            header: Name::Via,
            error,
        })
    }

    /// The rows of any name, with their indices.
    #[inline]
    pub(crate) fn find_any(
        self,
        name: HeaderName<'a>,
    ) -> impl Iterator<Item = (usize, Row)> + Clone + 'a {
        self.find(name.known()).filter(move |&(_, row)| {
            name.known() != Name::Other
                || (HeaderRow {
                    row,
                    text: self.text(row.edited),
                })
                .name_text()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    }
}

/// A header row of a message.
#[derive(Clone, Copy)]
pub struct HeaderRow<'a> {
    row: Row,
    text: &'a [u8],
}

impl<'a> HeaderRow<'a> {
    /// The header, or [`Name::Other`] for one that this crate does not know.
    pub fn name(&self) -> Name {
        self.row.name()
    }

    /// The name as it was written, in full or compact (RFC 3261 §7.3.3).
    pub fn name_text(&self) -> &'a [u8] {
        let text = self
            .text
            .get(usize::from(self.row.start)..)
            .unwrap_or_default();
        let len = text
            .iter()
            .position(|&b| !crate::chars::is_token(b))
            .unwrap_or(text.len());
        text.get(..len).unwrap_or_default()
    }

    /// Returns true if it was written by an edit, not read from the wire.
    pub fn is_edited(&self) -> bool {
        self.row.edited
    }

    /// The value without white space around it; folds inside are kept.
    pub fn value(&self) -> &'a [u8] {
        let range = usize::from(self.row.value)..usize::from(self.row.end);
        self.text.get(range).unwrap_or_default()
    }
}

impl core::fmt::Debug for HeaderRow<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "{}: {}",
            super::LossyText(self.name_text()),
            super::LossyText(self.value())
        )
    }
}
