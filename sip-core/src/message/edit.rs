//! The edits of messages: new text is stored after the message, and a row points to it.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::stamp::end_of;
use super::{EditError, HeaderName, Message, Packed, Row, StartLine, StartLineSpans};
use crate::header::list;
use crate::{Name, Param, Params, ValueError, chars};

impl Message {
    /// Inserts a row before all rows of that name, as a new hop does with Via and Record-Route. If
    /// there is none yet, routing headers are inserted at the top (RFC 3261 §7.3.1), others at the
    /// end.
    ///
    /// ```
    /// use sip_core::{Message, Name};
    /// let mut message = Message::parse("BYE sip:a@b.example SIP/2.0\r\nv: one, two\r\n\r\n")?;
    /// message.prepend(Name::Via, "zero")?;
    /// message.remove_first_value(Name::Via)?;
    /// message.remove_first_value(Name::Via)?;
    /// assert_eq!(message.to_bytes(), "BYE sip:a@b.example SIP/2.0\r\nv: two\r\n\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prepend<'n>(
        &mut self,
        name: impl Into<HeaderName<'n>>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), EditError> {
        let name = name.into();
        let index = match self.view().find_any(name).next() {
            Some((index, _)) => index,
            None if name.known() == Name::Via => 0,
            None if is_routing(name.known()) => self
                .view()
                .find(Name::Via)
                .last()
                .map_or(0, |(index, _)| index + 1),
            None => self.view().rows.len(),
        };
        let row = self.add_row(name, value.as_ref())?;
        self.own_rows(name.known()).insert(index, row);
        Ok(())
    }

    /// Adds a row after all others.
    pub fn append<'n>(
        &mut self,
        name: impl Into<HeaderName<'n>>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), EditError> {
        let name = name.into();
        let row = self.add_row(name, value.as_ref())?;
        self.own_rows(name.known()).push(row);
        Ok(())
    }

    /// Sets the header to this one value, in place of its first row, or after all others.
    pub fn set<'n>(
        &mut self,
        name: impl Into<HeaderName<'n>>,
        value: impl AsRef<[u8]>,
    ) -> Result<(), EditError> {
        let name = name.into();
        let new = self.add_row(name, value.as_ref())?;
        let old: Vec<usize> = self.view().find_any(name).map(|(index, _)| index).collect();
        let rows = self.own_rows(name.known());
        match old.split_first() {
            None => rows.push(new),
            Some((&first, others)) => {
                rows[first] = new;
                for &other in others.iter().rev() {
                    rows.remove(other);
                }
            }
        }
        Ok(())
    }

    /// Removes all rows of that name and returns their number.
    pub fn remove<'n>(&mut self, name: impl Into<HeaderName<'n>>) -> usize {
        let name = name.into();
        let old: Vec<usize> = self.view().find_any(name).map(|(index, _)| index).collect();
        for &index in old.iter().rev() {
            self.own_rows(name.known()).remove(index);
        }
        old.len()
    }

    /// Removes the first value: the row, or the part before its first comma. This is how a proxy
    /// removes its Via from a response (RFC 3261 §16.7).
    pub fn remove_first_value<'n>(
        &mut self,
        name: impl Into<HeaderName<'n>>,
    ) -> Result<(), EditError> {
        let name = name.into();
        let view = self.view();
        let Some((index, row)) = view.find_any(name).next() else {
            return Err(EditError::NoSuch(name.known()));
        };
        let value = view.value(row);
        match list::comma(value) {
            Some(comma) => {
                let blanks = chars::skip_lws(value, comma + 1);
                self.splice_at(index, 0..blanks, b"")
            }
            None => {
                self.own_rows(name.known()).remove(index);
                Ok(())
            }
        }
    }

    /// Sets a parameter of the top Via value, replacing the one of that name, else at the end. Other
    /// Via values, even in the same row, are unchanged.
    pub fn set_via_param(&mut self, name: &str, value: Option<&str>) -> Result<(), EditError> {
        let invalid = |error| EditError::Value {
            header: Name::Via,
            error,
        };
        match value {
            Some(value) => Param::new(name, value),
            None => Param::flag(name),
        }
        .map_err(invalid)?;
        let (index, place) = self.via_param(name)?;
        let mut text = Vec::with_capacity(name.len() + value.map_or(0, str::len) + 2);
        if place.is_empty() {
            text.push(b';');
        }
        text.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
        }
        self.splice_at(index, place, &text)
    }

    /// Removes a parameter of the top Via value and returns true if it was there.
    pub fn remove_via_param(&mut self, name: &str) -> Result<bool, EditError> {
        let (index, place) = self.via_param(name)?;
        if place.is_empty() {
            return Ok(false);
        }
        let view = self.view();
        let value = view
            .rows
            .get(index)
            .map_or(&[][..], |&row| view.value(Row::unpack(row)));
        let before = value.get(..place.start).unwrap_or_default();
        let semicolon = memchr::memrchr(b';', before).unwrap_or(place.start);
        self.splice_at(index, semicolon..place.end, b"")?;
        Ok(true)
    }

    /// The row of the top Via and the range of the parameter in its value; an empty range at the
    /// end of the first value if it is absent.
    fn via_param(&self, name: &str) -> Result<(usize, Range<usize>), EditError> {
        let (index, value) = self
            .view()
            .top_via_value()
            .ok_or(EditError::NoSuch(Name::Via))?;
        let mut place = value.len()..value.len();
        let from = memchr::memchr(b';', value).unwrap_or(value.len());
        Params::walk_loosely(value, from, |found, text, at| {
            if found.eq_ignore_ascii_case(name.as_bytes()) {
                place = at..end_of(value, at, found, text);
            }
            Ok(())
        })
        .map_err(|error| EditError::Value {
            header: Name::Via,
            error,
        })?;
        Ok((index, place))
    }

    /// Replaces a part of one row's value; `row` counts as [`Message::rows`] does, `range` counts
    /// bytes of its value.
    pub fn splice(
        &mut self,
        row: usize,
        range: Range<usize>,
        text: &[u8],
    ) -> Result<(), EditError> {
        check_value("a header value", text)?;
        let index = self.view().headers().nth(row).map(|(index, _)| index);
        let index = index.ok_or(EditError::NoSuch(Name::Other))?;
        self.splice_at(index, range, text)
    }

    /// The same, with a row number that also counts lines that are not headers.
    fn splice_at(
        &mut self,
        index: usize,
        range: Range<usize>,
        text: &[u8],
    ) -> Result<(), EditError> {
        let view = self.view();
        let Some(&packed) = view.rows.get(index) else {
            return Err(EditError::NoSuch(Name::Other));
        };
        let old = Row::unpack(packed);
        let value = view.value(old);
        let (Some(before), Some(after)) = (value.get(..range.start), value.get(range.end..)) else {
            return Err(EditError::NoSuch(old.name()));
        };
        // The name and the white space around the value stay as they are.
        let source = view.text(old.edited);
        let head = source
            .get(usize::from(old.start)..usize::from(old.value))
            .unwrap_or_default();
        let tail = source
            .get(usize::from(old.end)..view.row_end(old))
            .unwrap_or_default();
        let new = [head, before, text, after, tail].concat();
        let value = head.len()..new.len() - tail.len();
        let value = whole_folds(&new, value).ok_or_else(|| EditError::CutFold(old.name()))?;
        let start = self.add_text([&new])?;
        let new = Row {
            id: old.id,
            edited: true,
            start: start as u16,
            value: (start + value.start) as u16,
            end: (start + value.end) as u16,
        };
        self.own_rows(new.name())[index] = new.pack();
        Ok(())
    }

    /// Replaces the request URI.
    pub fn set_request_uri(&mut self, uri: impl AsRef<[u8]>) -> Result<(), EditError> {
        let uri = uri.as_ref();
        let what = "a request URI";
        // A blank would end the URI for another reader.
        let bad = uri.iter().position(|&b| b <= b' ' || b == 0x7f);
        if let Some(offset) = bad {
            return Err(EditError::Forbidden {
                what,
                byte: uri[offset],
                offset,
            });
        }
        let StartLine::Request { method, .. } = self.start_line() else {
            return Err(EditError::NotRequest);
        };
        if uri.is_empty() {
            let error = ValueError::Unexpected {
                expected: "a URI",
                found: None,
                offset: 0,
            };
            return Err(EditError::RequestUri(error));
        }
        let method = method.as_str();
        let middle = method.len();
        let new = [method.as_bytes(), b" ", uri, b" SIP/2.0\r\n"].concat();
        let start = self.add_text([&new])?;
        self.facts = None;
        self.line = StartLineSpans {
            edited: true,
            status: 0,
            start: start as u16,
            middle: (start + middle) as u16,
            end: (start + middle + 1 + uri.len()) as u16,
            capitals: true,
        };
        Ok(())
    }

    /// Replaces the body, and sets Content-Length to its length.
    pub fn set_body(&mut self, body: impl Into<Bytes>) -> Result<(), EditError> {
        let body = body.into();
        self.set(Name::ContentLength, alloc::format!("{}", body.len()))?;
        self.edits.get_or_insert_default().body = Some(body);
        Ok(())
    }

    /// The rows, copied for a change of those of that name.
    fn own_rows(&mut self, name: Name) -> &mut Vec<Packed> {
        match name {
            Name::CallId | Name::CSeq | Name::From | Name::To => self.facts = None,
            Name::Via => {
                if let Some(facts) = &mut self.facts {
                    facts.via = None;
                }
            }
            _ => {}
        }
        let own = self
            .edits
            .as_ref()
            .is_some_and(|edits| edits.rows.is_some());
        let rows = (!own).then(|| {
            let packed = self.view().rows;
            // A hop adds a row or two.
            let mut rows = Vec::with_capacity(packed.len() + 4);
            rows.extend_from_slice(packed);
            rows
        });
        let edits = self.edits.get_or_insert_default();
        edits.rows.get_or_insert_with(|| rows.unwrap_or_default())
    }

    fn add_row(&mut self, name: HeaderName<'_>, value: &[u8]) -> Result<Packed, EditError> {
        let text = name.as_str();
        if text.is_empty() || !text.bytes().all(chars::is_token) {
            return Err(EditError::NotToken {
                what: "a header name",
            });
        }
        check_value("a header value", value)?;
        let value = value.trim_ascii();
        let start = self.add_text([text.as_bytes(), b": ", value, b"\r\n"])?;
        let value_start = start + text.len() + 2;
        Ok(Row {
            id: name.known() as u8,
            edited: true,
            start: start as u16,
            value: value_start as u16,
            end: (value_start + value.len()) as u16,
        }
        .pack())
    }

    fn add_text<const N: usize>(&mut self, parts: [&[u8]; N]) -> Result<usize, EditError> {
        let extra = &mut self.edits.get_or_insert_default().extra;
        let start = extra.len();
        let len = parts
            .iter()
            .map(|part| part.len())
            .fold(0, usize::saturating_add);
        if start.saturating_add(len) > usize::from(u16::MAX) {
            return Err(EditError::TooLong(len));
        }
        extra.reserve(len);
        parts.iter().for_each(|part| extra.extend_from_slice(part));
        Ok(start)
    }
}

/// CR and LF would end the header and start another one; NUL hides what follows from some readers.
pub(crate) fn check_value(what: &'static str, value: &[u8]) -> Result<(), EditError> {
    match memchr::memchr3(b'\r', b'\n', 0, value) {
        Some(offset) => Err(EditError::Forbidden {
            what,
            byte: value[offset],
            offset,
        }),
        None => Ok(()),
    }
}

/// The value at `range` of a row without white space around it, unless a line end in it is not a
/// fold.
fn whole_folds(row: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    for at in memchr::memchr2_iter(b'\r', b'\n', row.get(range.clone())?) {
        let at = range.start + at;
        let fold = match row.get(at)? {
            b'\r' => row.get(at + 1..at + 3)?,
            _ => row
                .get(at.checked_sub(1)?..at + 2)
                .filter(|fold| fold[0] == b'\r')?
                .get(1..)?,
        };
        if !matches!(fold, [b'\n', b' ' | b'\t']) {
            return None;
        }
    }
    let value = row.get(range.clone())?;
    let start = range.start + chars::skip_lws(value, 0);
    let end = range.start + value.trim_ascii_end().len();
    Some(start.min(end)..end)
}

/// Returns true for the headers that proxies need, which should be near the top (RFC 3261 §7.3.1).
fn is_routing(name: Name) -> bool {
    matches!(
        name,
        Name::Via
            | Name::Route
            | Name::RecordRoute
            | Name::ProxyRequire
            | Name::MaxForwards
            | Name::ProxyAuthorization
    )
}
