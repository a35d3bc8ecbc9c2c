use alloc::vec::Vec;
use core::fmt::Write;
use core::net::SocketAddr;

use bytes::Bytes;

use crate::automaton::Automaton;
use crate::chars::{self, ascii, is_lws};
use crate::header::{self, Via, list};
use crate::message::Stamp;
use crate::{Method, Name, StatusCode, steps};

/// The parts of an unusable request that are enough to answer it.
#[derive(Clone, Debug)]
pub struct Salvaged<'a> {
    method: &'a str,
    top: Top<'a>,
    vias: Vec<&'a [u8]>,
    fields: Fields<'a>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fields<'a> {
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
}

/// The top Via.
#[derive(Clone, Copy, Debug)]
struct Top<'a> {
    via: Via<'a>,
    text: &'a [u8],
    /// What stands behind it in its row.
    behind: &'a [u8],
}

impl<'a> Top<'a> {
    /// Of a value with parameters that cannot be read it is what stands before them: it says where
    /// an answer goes.
    fn read(row: &'a [u8]) -> Option<Self> {
        let value = list::comma(row).unwrap_or(row.len());
        let before_params = memchr::memchr(b';', row).unwrap_or(value);
        [value, before_params].into_iter().find_map(|end| {
            let (text, behind) = row.split_at_checked(end)?;
            let text = text.trim_ascii_end();
            let via = Via::parse_any_version(text).ok()?;
            Some(Self { via, text, behind })
        })
    }
}

/// Reads as much as possible of a malformed request, line by line, with any line ends. `None`: it
/// is a response, or its top Via does not say where an answer would go.
///
/// No more than 71 rows of Via are taken: a request has come over 70 hops at most (RFC 3261
/// §8.1.1.6). The reading ends behind 71 other rows that have the first letter of one that a reply
/// repeats.
///
/// ```
/// use sip_core::{StatusCode, build::salvage};
///
/// let data = b"INVITE sip:a b SIP/2.0\r\nv: SIP/2.0/UDP h.example;rport\r\nCSeq: 1 INVITE\r\n\r\n";
/// let source = "192.0.2.9:5060".parse()?;
/// let reply = salvage(data)
///     .and_then(|request| request.reply(StatusCode::BAD_REQUEST, "", "7f", source, None))
///     .ok_or("no reply")?;
/// assert!(reply.starts_with(b"SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP h.example;rport=5060;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn salvage(data: &[u8]) -> Option<Salvaged<'_>> {
    let data = data.trim_ascii_start();
    let mut lines = Lines { rest: data };
    let start = lines.next()?;
    let end = start.iter().position(|&b| !chars::is_token(b))?;
    if end == 0 || !is_lws(start[end]) {
        return None;
    }
    let mut vias = Vec::new();
    let mut fields = Fields::default();
    // What rows worth a look begin with, in full or in compact form.
    let mut letters = *b"vftic";
    let mut rows = 0;
    while rows - vias.len() < MAX_ROWS
        && let Some(line) = lines.next_of(letters)
    {
        rows += 1;
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..)?.trim_ascii();
        let field = match Name::lookup(name.trim_ascii_end()) {
            Name::Via => {
                vias.push(value);
                if vias.len() == MAX_ROWS {
                    letters[0] = NO_LETTER;
                }
                continue;
            }
            Name::From => &mut fields.from,
            Name::To => &mut fields.to,
            Name::CallId => &mut fields.call_id,
            Name::CSeq => &mut fields.cseq,
            _ => continue,
        };
        field.get_or_insert(value);
    }
    Some(Salvaged {
        method: ascii(start.get(..end)?),
        top: Top::read(vias.first()?)?,
        vias,
        fields,
    })
}

/// To read and repeat more rows could cost much more than to receive them.
const MAX_ROWS: usize = 71;
/// No byte in lower case.
const NO_LETTER: u8 = 0;

impl<'a> Salvaged<'a> {
    /// The method. ACK is never answered (RFC 3261 §17.1.1.3).
    pub fn method(&self) -> Method<'a> {
        Method::new(self.method)
    }

    /// The top Via.
    pub const fn top_via(&self) -> Via<'a> {
        self.top.via
    }

    /// The response: the headers of the request with `received` and `rport` stamped (RFC 3261
    /// §18.2.1) and the tag in To. An empty `reason` is that of the status.
    ///
    /// A reply longer than `max_len` bytes is written with a shorter reason, then with compact
    /// names and without what a datagram can do without; `None` if that is too long as well.
    pub fn reply(
        &self,
        status: StatusCode,
        reason: &str,
        tag: &str,
        source: SocketAddr,
        max_len: Option<usize>,
    ) -> Option<Bytes> {
        let max_len = max_len.unwrap_or(usize::MAX);
        let own = if reason.is_empty() {
            status.reason()
        } else {
            reason
        };
        let values = self.values(tag, source);
        let replies = [(own, false), (status.reason(), false), ("", true)];
        replies
            .into_iter()
            .find_map(|(reason, compact)| values.reply(status, reason, compact, max_len))
    }

    fn values(&self, tag: &str, source: SocketAddr) -> ReplyValues {
        let mut values = ReplyValues {
            to_tag: self.to_tag(tag),
            ..ReplyValues::default()
        };
        let Top { via, text, behind } = &self.top;
        let mut stamped = Vec::with_capacity(text.len() + behind.len() + 64);
        Stamp::of(via, text, source, false).write(text, 0, &mut stamped);
        stamped.extend_from_slice(behind);
        values.push(Name::Via, &stamped);
        for via in self.vias.iter().skip(1) {
            values.push(Name::Via, via);
        }
        let fields = [
            (Name::From, self.fields.from),
            (Name::To, self.fields.to),
            (Name::CallId, self.fields.call_id),
            (Name::CSeq, self.fields.cseq),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                values.push(name, value);
            }
        }
        values
    }

    /// RFC 3261 §8.2.6.2: a tag for To, unless it has one or cannot be read.
    fn to_tag(&self, tag: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(to) = self.fields.to
            && header::read_tagged(to) == Ok(None)
        {
            let separator = if to.ends_with(b";") { "" } else { ";" };
            clean([separator, "tag=", tag].concat().as_bytes(), &mut out);
        }
        out
    }
}

/// The values of the headers of a reply, cleaned.
#[derive(Default)]
struct ReplyValues {
    /// What is put behind To.
    to_tag: Vec<u8>,
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<(Name, usize)>,
}

impl ReplyValues {
    fn push(&mut self, name: Name, value: &[u8]) {
        clean(value, &mut self.text);
        self.ends.push((name, self.text.len()));
    }

    /// The response, if it is not too long.
    fn reply(
        &self,
        status: StatusCode,
        reason: &str,
        compact: bool,
        max_len: usize,
    ) -> Option<Bytes> {
        let mut len = 0;
        self.rows(compact, |part| len += part.len());
        let mut out = Vec::with_capacity(32 + reason.len() + len);
        out.extend_from_slice(b"SIP/2.0 ");
        let mut code = TextWriter(&mut out);
        write!(code, "{status} ").ok()?;
        clean(reason.as_bytes(), &mut out);
        out.extend_from_slice(b"\r\n");
        if out.len() + len > max_len {
            return None;
        }
        self.rows(compact, |part| out.extend_from_slice(part));
        Some(out.into())
    }

    /// Gives out the headers and the empty line behind them, part by part.
    fn rows(&self, compact: bool, mut put: impl FnMut(&[u8])) {
        let mut row = |name: Name, value: &[u8], tag: &[u8]| {
            match name.compact() {
                Some(letter) if compact => put(&[letter]),
                _ => put(name.as_str().as_bytes()),
            }
            put(if compact { b":" } else { b": " });
            put(value);
            put(tag);
            put(b"\r\n");
        };
        let mut start = 0;
        for &(name, end) in &self.ends {
            let value = self.text.get(start..end).unwrap_or_default();
            let has_tag = name == Name::To && !compact;
            row(name, value, if has_tag { &self.to_tag } else { &[] });
            start = end;
        }
        if !compact {
            row(Name::ContentLength, b"0", b"");
        }
        put(b"\r\n");
    }
}

/// Appends a value on one line: white space with line ends in it as one space, other control
/// characters left out; in a quoted pair a space takes their place.
fn clean(value: &[u8], out: &mut Vec<u8>) {
    const BLOCK: usize = 32;
    out.reserve(value.len());
    // No blanks stand at the start.
    let mut place = Automaton::place(SPACE);
    for block in value.chunks(BLOCK) {
        steps::count(block.len());
        let mut kept = [0; BLOCK];
        let mut len = 0;
        // Without a branch on what a byte is.
        for &b in block {
            place = CLEAN.step(place, b);
            kept[len % BLOCK] = SHOWN[usize::from(b)];
            len += usize::from(place % Automaton::PLACES < Automaton::place(LEFT_OUT));
        }
        out.extend_from_slice(kept.get(..len).unwrap_or_default());
    }
}

const fn is_visible(b: u8) -> bool {
    (b > b' ') & (b != 0x7f)
}

/// What becomes of a byte: it is kept, as a space or not, or left out behind one of these.
static CLEAN: Automaton = Automaton::new(&{
    let mut next = [[0; 256]; 5];
    let mut state = 0;
    while state < next.len() {
        let last = state as u8 % LEFT_OUT;
        let mut b = 0;
        while b < 256 {
            next[state][b] = match b as u8 {
                b'\\' => BACKSLASH,
                b if is_visible(b) => OTHER,
                b' ' | b'\t' | b'\r' | b'\n' if last != SPACE => SPACE,
                _ if last == BACKSLASH => SPACE,
                _ => LEFT_OUT + last,
            };
            b += 1;
        }
        state += 1;
    }
    next
});

/// Each byte as it is kept.
static SHOWN: [u8; 256] = {
    let mut shown = [b' '; 256];
    let mut b = 0;
    while b < 256 {
        if is_visible(b as u8) {
            shown[b] = b as u8;
        }
        b += 1;
    }
    shown
};

const OTHER: u8 = 0;
const SPACE: u8 = 1;
const BACKSLASH: u8 = 2;
const LEFT_OUT: u8 = 3;

/// The lines of a head up to the empty one, with the lines that continue them.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The next line that begins with one of these letters, in lower case or in capitals.
    fn next_of(&mut self, letters: [u8; 5]) -> Option<&'a [u8]> {
        let is_start = |b: u8| {
            // An empty line, white space aside.
            let is_end = (b == b'\n') | (b == b'\r') | (b == b'\x0c');
            letters
                .iter()
                .fold(is_end, |any, letter| any | (b | 0x20 == *letter))
        };
        if !self.rest.first().is_some_and(|&b| is_start(b)) {
            let end = chars::find_pair(self.rest, |b, next| (b == b'\n') & is_start(next))?;
            self.rest = self.rest.get(end + 1..)?;
        }
        self.next()
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let is_end = |b, next| (b == b'\n') & (next != b' ') & (next != b'\t');
        let line = chars::find_pair(self.rest, is_end).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(line);
        self.rest = rest.get(1..).unwrap_or_default();
        let line = line.trim_ascii_end();
        (!line.is_empty()).then_some(line)
    }
}

struct TextWriter<'a>(&'a mut Vec<u8>);

impl Write for TextWriter<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
