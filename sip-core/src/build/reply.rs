use alloc::vec::Vec;
use core::fmt::Write;
use core::net::SocketAddr;

use bytes::Bytes;

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

/// Reads what it can of a malformed request, line by line and whatever the line ends. `None`: it
/// is a response, or its top Via does not say where an answer would go.
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
    for line in lines {
        // No other name starts so, in full or in compact form.
        if !matches!(line.first(), Some(first) if b"vftic".contains(&(first | 0x20))) {
            continue;
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..)?.trim_ascii();
        let field = match Name::lookup(name.trim_ascii_end()) {
            Name::Via => {
                vias.push(value);
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
        let rows = self.rows(tag, source, false);
        for reason in [own, status.reason()] {
            let mut reply = start_line(status, reason, rows.len())?;
            if reply.len() + rows.len() <= max_len {
                reply.extend_from_slice(&rows);
                return Some(reply.into());
            }
        }
        let rows = self.rows(tag, source, true);
        let mut reply = start_line(status, "", rows.len())?;
        reply.extend_from_slice(&rows);
        (reply.len() <= max_len).then(|| reply.into())
    }

    /// The headers and the empty line behind them.
    fn rows(&self, tag: &str, source: SocketAddr, compact: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let Top { via, text, behind } = &self.top;
        let mut stamped = Vec::with_capacity(text.len() + behind.len() + 64);
        Stamp::of(via, text, source, false).write(text, 0, &mut stamped);
        stamped.extend_from_slice(behind);
        row(Name::Via, &stamped, compact, &mut out);
        for via in self.vias.iter().skip(1) {
            row(Name::Via, via, compact, &mut out);
        }
        if let Some(from) = self.fields.from {
            row(Name::From, from, compact, &mut out);
        }
        if let Some(to) = self.fields.to {
            let mut to = to.to_vec();
            // RFC 3261 §8.2.6.2: a tag, unless it has one or cannot be read.
            if !compact && header::read_tagged(&to) == Ok(None) {
                if !to.ends_with(b";") {
                    to.push(b';');
                }
                to.extend_from_slice(b"tag=");
                to.extend_from_slice(tag.as_bytes());
            }
            row(Name::To, &to, compact, &mut out);
        }
        if let Some(call_id) = self.fields.call_id {
            row(Name::CallId, call_id, compact, &mut out);
        }
        if let Some(cseq) = self.fields.cseq {
            row(Name::CSeq, cseq, compact, &mut out);
        }
        if !compact {
            row(Name::ContentLength, b"0", compact, &mut out);
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// The status line, with room for the rows behind it.
fn start_line(status: StatusCode, reason: &str, rows: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(32 + reason.len() + rows);
    out.extend_from_slice(b"SIP/2.0 ");
    let mut code = Text(&mut out);
    write!(code, "{status} ").ok()?;
    clean(reason.as_bytes(), &mut out);
    out.extend_from_slice(b"\r\n");
    Some(out)
}

fn row(name: Name, value: &[u8], compact: bool, out: &mut Vec<u8>) {
    match name.compact() {
        Some(letter) if compact => out.push(letter),
        _ => out.extend_from_slice(name.as_str().as_bytes()),
    }
    out.extend_from_slice(if compact { b":" } else { b": " });
    clean(value, out);
    out.extend_from_slice(b"\r\n");
}

/// Copies a value onto one line: white space with line ends in it as one space, other control
/// characters left out; in a quoted pair a space takes their place.
fn clean(value: &[u8], out: &mut Vec<u8>) {
    const BLOCK: usize = 32;
    out.reserve(value.len());
    for block in value.chunks(BLOCK) {
        let is_visible = |&b: &u8| (b > b' ') & (b != 0x7f);
        if block.iter().fold(true, |all, b| all & is_visible(b)) {
            steps::count(1);
            out.extend_from_slice(block);
            continue;
        }
        steps::count(block.len());
        let mut last = out.last().copied().unwrap_or_default();
        let mut kept = [0; BLOCK];
        let mut len = 0;
        // Without a branch on what a byte is.
        for b in block {
            let is_blank = (*b == b' ') | (*b == b'\t') | (*b == b'\r') | (*b == b'\n');
            let leaves_space = if is_blank {
                last != b' '
            } else {
                last == b'\\'
            };
            let is_kept = is_visible(b) | leaves_space;
            let byte = if is_visible(b) { *b } else { b' ' };
            kept[len % BLOCK] = byte;
            len += usize::from(is_kept);
            last = if is_kept { byte } else { last };
        }
        out.extend_from_slice(kept.get(..len).unwrap_or_default());
    }
}

/// The lines of a head up to the empty one, with the lines that continue them.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = memchr::memchr_iter(b'\n', self.rest)
            .find(|&at| !matches!(self.rest.get(at + 1), Some(b' ' | b'\t')))
            .unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(line);
        self.rest = rest.get(1..).unwrap_or_default();
        let line = line.trim_ascii_end();
        (!line.is_empty()).then_some(line)
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
