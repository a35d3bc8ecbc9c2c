//! The grammar violations of a message that were accepted.

use alloc::vec::Vec;
use core::fmt;

use super::check::check_request_uri;
use super::index::controls;
use super::{ParseError, ParseErrorKind, Row, StartLine, View};
use crate::header::{CallId, Header, Via, check_tagged, list};
use crate::{Name, ValueError};

/// A rule of the grammar that a message may break under
/// [`Reading::Lenient`](crate::Reading::Lenient).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
pub enum LintKind {
    /// The request URI (RFC 3261 §25.1).
    RequestUri,
    /// The top Via (RFC 3261 §20.42).
    Via,
    /// A Via below the top one, which is not read on receipt.
    LowerVia,
    /// From (RFC 3261 §20.20).
    From,
    /// To (RFC 3261 §20.39).
    To,
    /// Call-ID (RFC 3261 §20.8).
    CallId,
    /// A header that may occur once is repeated (RFC 3261 §7.3.1).
    Repeated,
    /// A header line without a name or a colon (RFC 3261 §7.3.1): it is kept and ignored.
    HeaderLine,
    /// A control character in a header that routing does not read (RFC 3261 §25.1).
    Control,
    /// White space before the start line.
    LeadingSpace,
    /// No empty line at the end of the head (RFC 3261 §7).
    NoEmptyLine,
}

/// One grammar violation of a message, from [`Message::lint`](super::Message::lint).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lint {
    kind: LintKind,
    error: ParseError,
}

impl Lint {
    /// The rule that was broken.
    pub const fn kind(&self) -> LintKind {
        self.kind
    }

    /// The position, in bytes from the start of the message. In a header that an edit has written
    /// it counts from the start of all edited text.
    pub const fn offset(&self) -> usize {
        self.error.offset()
    }

    /// The header in which it is, if that is a known one.
    pub const fn header(&self) -> Option<Name> {
        self.error.header()
    }

    /// The error with which [`Reading::Strict`](crate::Reading::Strict) would refuse the message.
    pub const fn error(&self) -> ParseError {
        self.error
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<'a> View<'a> {
    /// [`Head::lint`](super::Head::lint) and [`Message::lint`](super::Message::lint). Of `framing`,
    /// only what the bytes do not show is reported.
    pub(crate) fn lint(self, framing: Tolerated) -> impl Iterator<Item = Lint> + use<'a> {
        let mut found = Lints(Vec::new());
        if framing.contains(LintKind::LeadingSpace) {
            let kind = ParseErrorKind::StartLine("no white space before it");
            found.add(LintKind::LeadingSpace, ParseError::new(kind, 0));
        }
        if let StartLine::Request { uri, .. } = self.start_line()
            && let Err(error) = check_request_uri(uri)
        {
            let at = usize::from(self.line.middle) + 1 + error.offset();
            let error = ParseError::new(ParseErrorKind::RequestUri(error), at);
            found.add(LintKind::RequestUri, error);
        }
        let mut seen = [false; 256];
        for &packed in self.rows {
            let row = Row::unpack(packed);
            let is_first = !core::mem::replace(&mut seen[usize::from(row.id)], true);
            self.lint_row(row, is_first, &mut found);
        }
        for row in self.repeats() {
            let error = ParseError::new(ParseErrorKind::Repeated(row.name()), row.start.into());
            found.add(LintKind::Repeated, error.in_header(row.name()));
        }
        if framing.contains(LintKind::NoEmptyLine) {
            let last = self.rows.last().map(|&row| self.row_end(Row::unpack(row)));
            let error = ParseError::new(ParseErrorKind::Incomplete, last.unwrap_or_default());
            found.add(LintKind::NoEmptyLine, error);
        }
        // In the order in which they stand.
        found.0.sort_by_key(Lint::offset);
        found.0.into_iter()
    }

    fn lint_row(self, row: Row, is_first: bool, found: &mut Lints) {
        let start = usize::from(row.start);
        if row.id == Row::NO_HEADER {
            let error = ParseError::new(ParseErrorKind::HeaderLine, start);
            found.add(LintKind::HeaderLine, error);
        }
        let text = self.text(row.edited);
        let text = text.get(start..self.row_end(row)).unwrap_or_default();
        for (at, b) in controls(text) {
            let error = ParseError::new(ParseErrorKind::Control(b), start + at);
            found.add(LintKind::Control, error.in_row(row));
        }
        let value = self.value(row);
        match row.name() {
            Name::From if is_first => found.value(LintKind::From, row, check_tagged(value)),
            Name::To if is_first => found.value(LintKind::To, row, check_tagged(value)),
            Name::CallId if is_first => {
                found.value(LintKind::CallId, row, CallId::parse(value));
            }
            Name::Via => {
                let mut kind = match is_first {
                    true => LintKind::Via,
                    false => LintKind::LowerVia,
                };
                let mut rest = Some((0, value));
                while let Some((at, text)) = rest {
                    let value;
                    (value, rest) = list::first_at(at, text);
                    let (at, value) = value;
                    let via = Via::parse(value).map_err(|error| error.shifted(at));
                    found.value(kind, row, via);
                    kind = LintKind::LowerVia;
                }
            }
            _ => {}
        }
    }
}

struct Lints(Vec<Lint>);

impl Lints {
    fn add(&mut self, kind: LintKind, error: ParseError) {
        self.0.push(Lint { kind, error });
    }

    fn value<T>(&mut self, kind: LintKind, row: Row, result: Result<T, ValueError>) {
        if let Err(error) = result {
            self.add(kind, ParseError::of_value(row, error));
        }
    }
}

/// A set of [`LintKind`]s: the violations that [`Head::check`](super::Head::check) accepted.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Tolerated(u16);

impl Tolerated {
    /// Every kind, in the order of their declaration.
    const ALL: [LintKind; 11] = [
        LintKind::RequestUri,
        LintKind::Via,
        LintKind::LowerVia,
        LintKind::From,
        LintKind::To,
        LintKind::CallId,
        LintKind::Repeated,
        LintKind::HeaderLine,
        LintKind::Control,
        LintKind::LeadingSpace,
        LintKind::NoEmptyLine,
    ];

    #[inline]
    pub(crate) fn add(&mut self, kind: LintKind) {
        self.0 |= 1 << kind as u8;
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if nothing had to be tolerated.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns true if something of that kind was tolerated.
    pub const fn contains(self, kind: LintKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// The kinds, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = LintKind> {
        Self::ALL
            .into_iter()
            .filter(move |&kind| self.contains(kind))
    }
}

impl fmt::Debug for Tolerated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
