use alloc::vec::Vec;
use core::fmt::Write;
use core::net::SocketAddr;

use bytes::Bytes;

use crate::chars::{self, ascii, is_lws};
use crate::header::{self, Via, list};
use crate::message::Stamp;
use crate::{Method, Name, StatusCode};

/// What a request that cannot be used still tells: enough to answer it.
#[derive(Clone, Debug)]
pub struct Salvaged<'a> {
    method: &'a str,
    vias: Vec<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
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
    let mut salvaged = Salvaged {
        method: ascii(start.get(..end)?),
        vias: Vec::new(),
        from: None,
        to: None,
        call_id: None,
        cseq: None,
    };
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..)?.trim_ascii();
        let field = match Name::lookup(name.trim_ascii_end()) {
            Name::Via => {
                salvaged.vias.push(value);
                continue;
            }
            Name::From => &mut salvaged.from,
            Name::To => &mut salvaged.to,
            Name::CallId => &mut salvaged.call_id,
            Name::CSeq => &mut salvaged.cseq,
            _ => continue,
        };
        field.get_or_insert(value);
    }
    salvaged.top()?;
    Some(salvaged)
}

impl<'a> Salvaged<'a> {
    /// The method. ACK is never answered (RFC 3261 §17.1.1.3).
    pub fn method(&self) -> Method<'a> {
        Method::new(self.method)
    }

    /// The top Via.
    pub fn top_via(&self) -> Option<Via<'a>> {
        Some(self.top()?.0)
    }

    /// The top Via, its text, and what stands behind it in its row. Of a value with parameters that
    /// cannot be read it is what stands before them: it says where an answer goes.
    fn top(&self) -> Option<(Via<'a>, &'a [u8], &'a [u8])> {
        let row = self.vias.first()?;
        let value = list::comma(row).unwrap_or(row.len());
        let before_params = memchr::memchr(b';', row).unwrap_or(value);
        [value, before_params].into_iter().find_map(|end| {
            let text = row.get(..end)?.trim_ascii_end();
            let via = Via::parse_any_version(text).ok()?;
            Some((via, text, row.get(end..)?))
        })
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
        let own = if reason.is_empty() {
            status.reason()
        } else {
            reason
        };
        [(own, false), (status.reason(), false), ("", true)]
            .into_iter()
            .find_map(|(reason, compact)| {
                let reply = self.write(status, reason, tag, source, compact)?;
                (reply.len() <= max_len.unwrap_or(usize::MAX)).then(|| Bytes::from(reply))
            })
    }

    fn write(
        &self,
        status: StatusCode,
        reason: &str,
        tag: &str,
        source: SocketAddr,
        compact: bool,
    ) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"SIP/2.0 ");
        let mut code = Text(&mut out);
        write!(code, "{status} ").ok()?;
        clean(reason.as_bytes(), &mut out);
        out.extend_from_slice(b"\r\n");

        let (via, top, others) = self.top()?;
        let mut stamped = Vec::with_capacity(top.len() + 64);
        Stamp::of(&via, top, source, false).write(top, 0, &mut stamped);
        stamped.extend_from_slice(others);
        row(Name::Via, &stamped, compact, &mut out);
        for via in self.vias.iter().skip(1) {
            row(Name::Via, via, compact, &mut out);
        }
        if let Some(from) = self.from {
            row(Name::From, from, compact, &mut out);
        }
        if let Some(to) = self.to {
            let mut to = to.to_vec();
            // RFC 3261 §8.2.6.2: a tag, unless it has one or cannot be read.
            if header::tag(&to) == Ok(None) && !compact {
                if !to.ends_with(b";") {
                    to.push(b';');
                }
                to.extend_from_slice(b"tag=");
                to.extend_from_slice(tag.as_bytes());
            }
            row(Name::To, &to, compact, &mut out);
        }
        if let Some(call_id) = self.call_id {
            row(Name::CallId, call_id, compact, &mut out);
        }
        if let Some(cseq) = self.cseq {
            row(Name::CSeq, cseq, compact, &mut out);
        }
        if !compact {
            row(Name::ContentLength, b"0", compact, &mut out);
        }
        out.extend_from_slice(b"\r\n");
        Some(out)
    }
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
    for &b in value {
        match b {
            b'\r' | b'\n' | b'\t' | b' ' => {
                if out.last() != Some(&b' ') {
                    out.push(b' ');
                }
            }
            0..b' ' | 0x7f if out.last() == Some(&b'\\') => out.push(b' '),
            0..b' ' | 0x7f => {}
            _ => out.push(b),
        }
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
