//! The index of a head: one pass over its lines, resumable at every byte.

use smallvec::SmallVec;

use super::line_ends::LineEnds;
use super::{LintKind, Packed, ParseError, ParseErrorKind, Row, StartLineSpans, Tolerated};
use crate::automaton::Automaton;
use crate::chars::{self, TOKEN, blanks};
use crate::{Limits, Name, Reading, steps};

pub(crate) type Rows = SmallVec<[Packed; 48]>;

/// Indexes a head line by line as its bytes come in. No byte is looked for a line end twice, and
/// what it finds depends on the bytes alone, not on how they were cut.
#[derive(Debug)]
pub(crate) struct Indexer {
    /// Start of the current line.
    line_start: usize,
    ends: LineEnds,
    /// Start of the row that the current line belongs to, if it is folded.
    row_start: usize,
    line: Option<StartLineSpans>,
    pub(crate) rows: Rows,
    content_length: ContentLength,
    /// The first row that is too long. It is indexed all the same, so that the end of the message
    /// is known.
    pub(crate) too_long: Option<ParseError>,
    pub(crate) tolerated: Tolerated,
}

/// What the Content-Length rows said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ContentLength {
    Absent,
    Row(usize),
    Repeated(usize),
}

impl Default for Indexer {
    fn default() -> Self {
        Self {
            line_start: 0,
            ends: LineEnds::new(),
            row_start: 0,
            line: None,
            rows: Rows::new(),
            content_length: ContentLength::Absent,
            too_long: None,
            tolerated: Tolerated::default(),
        }
    }
}

impl Indexer {
    /// Goes on with `data`, which starts where the message does and holds at least what it held
    /// at the last call. `None`: the head goes on behind the end of `data`.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        data: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, ParseError> {
        if self.line.is_none() {
            let limit = limits.start_line();
            let Some(text) = self.next_line(data, limit + 2, limits)? else {
                return Ok(None);
            };
            self.line = Some(StartLineSpans::parse(text)?);
        }
        loop {
            let start = self.line_start;
            // A folded line counts as a part of its row.
            let folded = matches!(data.get(start), Some(b' ' | b'\t'));
            let row_start = if folded { self.row_start } else { start };
            let Some(text) = self.next_line(data, usize::MAX, limits)? else {
                return Ok(None);
            };
            if folded {
                if self.fold(text, start)? {
                    self.skip_blank_lines(data, limits);
                }
            } else if text.is_empty() {
                self.check_octets(data, limits)?;
                return Ok(Some(self.line_start));
            } else {
                self.row(data, text, start, limits)?;
            }
            if self.line_start > row_start + limits.header() + 2 {
                self.note_too_long(row_start, limits);
            }
        }
    }

    /// Takes the end of `data` for the end of the head, if a header line ends there.
    #[cold]
    pub(crate) fn end_without_empty_line(
        &mut self,
        data: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, ParseError> {
        if self.rows.is_empty() || self.line_start != data.len() {
            return Ok(None);
        }
        self.tolerated.add(LintKind::NoEmptyLine);
        self.check_octets(data, limits)?;
        Ok(Some(data.len()))
    }

    /// The current line without its CRLF, if it ends before `window` and before the limit of the
    /// head. A start line of `limit` bytes has its LF at `limit + 1`.
    #[inline(always)]
    fn next_line<'a>(
        &mut self,
        data: &'a [u8],
        window: usize,
        limits: &Limits,
    ) -> Result<Option<&'a [u8]>, ParseError> {
        let head = limits.head().min(limits.message());
        let newline = match self.ends.next(data) {
            Some(newline) if newline < window.min(head) => newline,
            None if data.len() < window.min(head) => return Ok(None),
            _ => return Err(Self::line_too_long(window, head, limits)),
        };
        let Some((b'\r', text)) = data
            .get(self.line_start..newline)
            .and_then(<[u8]>::split_last)
        else {
            return Err(self.error(ParseErrorKind::BareLf, newline));
        };
        self.line_start = newline + 1;
        Ok(Some(text))
    }

    #[cold]
    fn line_too_long(window: usize, head: usize, limits: &Limits) -> ParseError {
        if window > head {
            ParseError::new(ParseErrorKind::HeadTooLong(head), head)
        } else {
            ParseError::new(ParseErrorKind::StartLineTooLong(limits.start_line()), 0)
        }
    }

    #[cold]
    fn note_too_long(&mut self, row_start: usize, limits: &Limits) {
        let kind = ParseErrorKind::HeaderTooLong(limits.header());
        let error = self.error(kind, row_start);
        self.too_long.get_or_insert(error);
    }

    #[inline]
    fn row(
        &mut self,
        data: &[u8],
        text: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<(), ParseError> {
        // The bytes behind a short line do no harm: no known name has a line end in it.
        let bytes = data.get(start..).and_then(<[u8]>::first_chunk);
        let (name, colon) = match bytes.and_then(Name::at_start) {
            Some((name, len)) if name != Name::Other || chars::run::<TOKEN>(text, 0) == len => {
                (name, len)
            }
            _ => match other_name(text) {
                Ok(other) => other,
                Err(at) => return self.no_header(text, start, at, limits),
            },
        };
        let (value, end) = match text.get(colon + 1..) {
            Some([b' ', b'!'..=0xff, .., b'!'..=0xff]) => (colon + 2, text.len()),
            _ => trim(text, colon + 1),
        };
        if name == Name::ContentLength {
            self.content_length = match self.content_length {
                ContentLength::Absent => ContentLength::Row(self.rows.len()),
                _ => ContentLength::Repeated(start),
            };
        }
        self.push(name as u8, start, (start + value, start + end), limits)
    }

    #[inline]
    fn push(
        &mut self,
        id: u8,
        start: usize,
        (value, end): (usize, usize),
        limits: &Limits,
    ) -> Result<(), ParseError> {
        if self.rows.len() >= limits.rows() {
            return Err(ParseError::new(
                ParseErrorKind::TooManyRows(limits.rows()),
                start,
            ));
        }
        self.row_start = start;
        self.rows.push(
            Row {
                id,
                edited: false,
                start: start as u16,
                value: value as u16,
                end: end as u16,
            }
            .pack(),
        );
        Ok(())
    }

    /// A line that has no name and colon, of which byte `at` is not what it should be: a row that
    /// nobody sees, unless it may hide one that counts.
    #[cold]
    fn no_header(
        &mut self,
        text: &[u8],
        start: usize,
        at: usize,
        limits: &Limits,
    ) -> Result<(), ParseError> {
        if limits.reading() == Reading::Strict || may_hide_header(text) {
            return Err(ParseError::new(ParseErrorKind::HeaderLine, start + at));
        }
        self.tolerated.add(LintKind::HeaderLine);
        let (_, end) = trim(text, 0);
        self.push(Row::NO_HEADER, start, (start, start + end), limits)
    }

    /// A line that starts with a blank continues the row before it (RFC 3261 §7.3.1); one of
    /// blanks only, which this says it is, is white space of that row and does not end the head.
    fn fold(&mut self, text: &[u8], start: usize) -> Result<bool, ParseError> {
        let Some(last) = self.rows.last_mut() else {
            return Err(ParseError::new(ParseErrorKind::Fold, start));
        };
        let mut row = Row::unpack(*last);
        // Who unfolds first may find the colon here.
        if row.id == Row::NO_HEADER {
            return Err(ParseError::new(
                ParseErrorKind::HeaderLine,
                row.start.into(),
            ));
        }
        let (value, end) = match text {
            [_, b'!'..=0xff, .., b'!'..=0xff] => (1, text.len()),
            _ => trim(text, 0),
        };
        if value < end {
            if row.value == row.end {
                row.value = (start + value) as u16;
            }
            row.end = (start + end) as u16;
            *last = row.pack();
        }
        Ok(value == end)
    }

    /// Steps over more lines of blanks behind one, as far as their ends are known: they add nothing to
    /// the row that they continue.
    fn skip_blank_lines(&mut self, data: &[u8], limits: &Limits) {
        let head = limits.head().min(limits.message());
        while let Some(newline) = self.ends.peek()
            && newline < head
            && let Some([text @ .., b'\r']) = data.get(self.line_start..newline)
            && !text.is_empty()
            && blanks(text.iter()) == text.len()
        {
            self.ends.pop();
            self.line_start = newline + 1;
        }
    }

    /// Looks for what no head may hold: a CR that ends no line, and control characters.
    #[inline]
    fn check_octets(&mut self, data: &[u8], limits: &Limits) -> Result<(), ParseError> {
        if !self.ends.is_suspicious() {
            return Ok(());
        }
        self.find_bad_octet(&data[..self.line_start], limits.reading())
    }

    #[cold]
    fn find_bad_octet(&mut self, head: &[u8], reading: Reading) -> Result<(), ParseError> {
        let bare = chars::find_pair(head, |b, next| (b == b'\r') & (next != b'\n'));
        if let Some(at) = bare {
            return Err(self.error(ParseErrorKind::BareCr, at));
        }
        let mut start = 0;
        // That of the start line, which is read by all.
        let mut is_read = true;
        for index in 0..=self.rows.len() {
            let next = self.rows.get(index).map(|&row| Row::unpack(row));
            let end = next.map_or(head.len(), |row| row.start.into());
            let text = head.get(start..end).unwrap_or_default();
            steps::count(text.len());
            // Of most rows the quotes need no look.
            if text.iter().fold(false, |any, &b| any | is_control(b)) {
                // NUL hides what follows from some readers.
                let goal = match reading == Reading::Strict || is_read {
                    true => SEEN,
                    false => SEEN_NUL,
                };
                let (found, state) = CONTROLS.find(0, text, goal);
                if let Some((at, &b)) = found.and_then(|at| Some((at, text.get(at)?))) {
                    return Err(self.error(ParseErrorKind::Control(b), start + at));
                }
                if state >= SEEN {
                    self.tolerated.add(LintKind::Control);
                }
            }
            start = end;
            is_read = next.is_some_and(|row| {
                // Of Call-ID the bytes alone count.
                row.name() != Name::CallId && ROUTING.contains(&row.name())
            });
        }
        Ok(())
    }

    /// The start line; an empty one until `advance` has seen it.
    #[inline]
    pub(crate) fn line(&self) -> StartLineSpans {
        self.line.unwrap_or_default()
    }

    /// What Content-Length says, once `advance` has found the end of the head.
    #[inline]
    pub(crate) fn content_length(&self, data: &[u8]) -> Result<Option<u64>, ParseError> {
        match self.content_length {
            ContentLength::Absent => Ok(None),
            // Two that are equal are refused as well: another reader may add them up or join
            // them (RFC 3261 §7.3.1).
            ContentLength::Repeated(start) => {
                let kind = ParseErrorKind::Repeated(Name::ContentLength);
                Err(ParseError::new(kind, start).in_header(Name::ContentLength))
            }
            ContentLength::Row(index) => {
                let row = self.rows.get(index).map(|&row| Row::unpack(row));
                let (start, end) = row.map_or((0, 0), |row| (row.value.into(), row.end.into()));
                let value = data.get(start..end).unwrap_or_default();
                match number(value) {
                    Some(length) => Ok(Some(length)),
                    None => {
                        let error = ParseError::new(ParseErrorKind::ContentLength, start);
                        Err(error.in_header(Name::ContentLength))
                    }
                }
            }
        }
    }

    #[cold]
    fn error(&self, kind: ParseErrorKind, offset: usize) -> ParseError {
        let error = ParseError::new(kind, offset);
        let row = self
            .rows
            .iter()
            .map(|&row| Row::unpack(row))
            .take_while(|row| usize::from(row.start) <= offset);
        match row.last() {
            Some(row) if row.name() != Name::Other => error.in_header(row.name()),
            _ => error,
        }
    }
}

/// The name at the start of a header line and where its colon stands, or where the fault is.
fn other_name(text: &[u8]) -> Result<(Name, usize), usize> {
    let len = text
        .iter()
        .position(|&b| !chars::is_token(b))
        .unwrap_or(text.len());
    let mut colon = len;
    // RFC 3261 §25.1 HCOLON: blanks may stand before the colon, line ends may not.
    while let Some(b' ' | b'\t') = text.get(colon) {
        colon += 1;
    }
    if len == 0 || text.get(colon) != Some(&b':') {
        return Err(colon);
    }
    Ok((Name::lookup(&text[..len]), colon))
}

/// The control characters in a row. They may stand in a quoted pair (RFC 3261 §25.1).
pub(crate) fn controls(row: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let mut state = 0;
    row.iter().copied().enumerate().filter(move |&(_, b)| {
        state = CONTROLS.run(state % SEEN, &[b]);
        state >= SEEN
    })
}

/// Looks for control characters outside quoted pairs. Its states are text, quotes and behind a
/// backslash in quotes, and these once more where one was seen, and where NUL was.
static CONTROLS: Automaton = Automaton::new(&{
    let mut next = [[0; 256]; 9];
    let mut state = 0;
    while state < next.len() {
        let seen = state / 3;
        let mut b = 0;
        while b < 256 {
            let (quoting, found) = match (state % 3, b as u8) {
                (2, _) => (1, 0),
                (0, b'"') => (1, 0),
                (1, b'"') => (0, 0),
                (1, b'\\') => (2, 0),
                (quoting, 0) => (quoting, 2),
                (quoting, b) if is_control(b) => (quoting, 1),
                (quoting, _) => (quoting, 0),
            };
            let seen = if found > seen { found } else { seen };
            next[state][b] = (3 * seen + quoting) as u8;
            b += 1;
        }
        state += 1;
    }
    next
});
const SEEN: u8 = 3;
const SEEN_NUL: u8 = 6;

const fn is_control(b: u8) -> bool {
    (b == 0x7f) | ((b < b' ') & (b != b'\t') & (b != b'\r') & (b != b'\n'))
}

/// Whether another reader may find in a line that is no header one that messages are framed, routed
/// or matched by: the first token in it names one, or the letters before the colon do.
fn may_hide_header(text: &[u8]) -> bool {
    let colon = memchr::memchr(b':', text);
    let before = text.get(..colon.unwrap_or(text.len())).unwrap_or_default();
    let mut tokens = before
        .split(|&b| !chars::is_token(b))
        .filter(|token| !token.is_empty());
    let token = tokens.next().unwrap_or_default();
    // A letter alone may be a word where no colon follows.
    let is_named = (token.len() > 1 || colon.is_some()) && ROUTING.contains(&Name::lookup(token));
    is_named || letters(before).is_some_and(|letters| ROUTING_LETTERS.contains(&letters))
}

/// The letters and digits of a text in lower case, as one number; `None` if they are more than any
/// name has.
const fn letters(text: &[u8]) -> Option<u128> {
    const ROOM: u32 = u128::BITS - u8::BITS;
    let (mut letters, mut at) = (0_u128, 0);
    while at < text.len() {
        if text[at].is_ascii_alphanumeric() {
            if letters >> ROOM != 0 {
                return None;
            }
            letters = letters << u8::BITS | text[at].to_ascii_lowercase() as u128;
        }
        at += 1;
    }
    Some(letters)
}

const ROUTING_LETTERS: [u128; ROUTING.len()] = {
    let mut all = [0; ROUTING.len()];
    let mut index = 0;
    while index < ROUTING.len() {
        let Some(letters) = letters(ROUTING[index].as_str().as_bytes()) else {
            panic!("a name with more letters than there is room for");
        };
        all[index] = letters;
        index += 1;
    }
    all
};

/// The headers by which messages are framed, routed and matched.
const ROUTING: [Name; 14] = [
    Name::CallId,
    Name::Contact,
    Name::ContentLength,
    Name::CSeq,
    Name::From,
    Name::MaxForwards,
    Name::Path,
    Name::ProxyRequire,
    Name::RecordRoute,
    Name::Require,
    Name::Route,
    Name::ServiceRoute,
    Name::To,
    Name::Via,
];

/// The range of `text[from..]` without blanks around it.
#[inline]
fn trim(text: &[u8], from: usize) -> (usize, usize) {
    let value = text.get(from..).unwrap_or_default();
    let start = from + blanks(value.iter());
    let behind = blanks(text.get(start..).unwrap_or_default().iter().rev());
    (start, text.len() - behind)
}

/// `1*DIGIT` without sign, saturating far above every limit.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &b| {
        b.is_ascii_digit().then(|| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(b - b'0'))
        })
    })
}
