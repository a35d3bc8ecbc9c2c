//! `Via`.

use core::fmt;
use core::net::IpAddr;

use super::{Header, known};
use crate::chars::{TOKEN, ascii, is_keyword, is_token, run, skip_lws};
use crate::span::{HostPortSpan, Span, end_of};
use crate::{Host, HostPort, Name, Params, Reading, ValueError, host};

/// `Via`: one hop on the path of a request, which its responses follow in reverse (RFC 3261 §20.42).
///
/// ```
/// use sip_core::header::{Header, Via};
///
/// let via = Via::parse(b"SIP/2.0/UDP pbx.example.com:5070;branch=z9hG4bK87;rport")?;
/// assert_eq!(via.transport(), "UDP");
/// assert_eq!(via.sent_by().port(), Some(5070));
/// assert_eq!(via.branch(), Some("z9hG4bK87"));
/// assert_eq!(via.rport(), Some(None));
///
/// let mine = Via::new("TCP", "192.0.2.1:5060".try_into()?)?.with_branch("z9hG4bK88")?;
/// assert_eq!(mine.to_string(), "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK88");
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    transport: &'a [u8],
    sent_by: HostPort<'a>,
    params: Params<'a>,
    known: Known<'a>,
}

/// The parameters that have a getter.
#[derive(Clone, Copy, Debug, Default)]
struct Known<'a> {
    branch: Option<&'a [u8]>,
    received: Option<IpAddr>,
    /// The whole parameter as it was received.
    received_text: Option<&'a [u8]>,
    rport: Option<Option<u16>>,
    /// The whole parameter as it was received.
    rport_text: Option<&'a [u8]>,
    maddr: Option<Host<'a>>,
    ttl: Option<u8>,
}

/// A received Via as offsets into the bytes that it was parsed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViaSpans {
    transport: Span,
    sent_by: HostPortSpan,
    params: Span,
    branch: Option<Span>,
    received: Option<IpAddr>,
    received_text: Option<Span>,
    rport: Option<Option<u16>>,
    rport_text: Option<Span>,
}

impl ViaSpans {
    pub(crate) const fn received(&self) -> Option<IpAddr> {
        self.received
    }

    pub(crate) const fn rport(&self) -> Option<Option<u16>> {
        self.rport
    }

    /// Where its value ends, which does so with the parameters.
    pub(crate) fn end(&self) -> usize {
        self.params.end()
    }

    /// The same after `received` and `rport` were written: `params_grown` bytes more of them, and
    /// each place moved.
    pub(crate) fn stamped(
        mut self,
        received: Option<IpAddr>,
        rport: Option<Option<u16>>,
        params_grown: i32,
        moved: impl Fn(Span) -> Span,
    ) -> Self {
        self.transport = moved(self.transport);
        self.sent_by = self.sent_by.map(&moved);
        self.params = moved(self.params).grown(params_grown);
        self.branch = self.branch.map(&moved);
        (self.received, self.received_text) = (received, None);
        (self.rport, self.rport_text) = (rport, None);
        self
    }
}

impl<'a> Via<'a> {
    /// A Via without parameters; `transport` is a token such as `UDP`.
    pub fn new(transport: &'a str, sent_by: HostPort<'a>) -> Result<Self, ValueError> {
        Ok(Self {
            transport: known::own_token(transport, "a transport")?,
            sent_by,
            params: Params::EMPTY,
            known: Known::default(),
        })
    }

    /// The transport as it was written; compared without regard to case.
    pub fn transport(&self) -> &'a str {
        ascii(self.transport)
    }

    /// The host and port that the sender gave itself.
    pub const fn sent_by(&self) -> HostPort<'a> {
        self.sent_by
    }

    /// The transaction identifier; RFC 2543 peers leave it out.
    pub fn branch(&self) -> Option<&'a str> {
        self.known.branch.map(ascii)
    }

    /// The address that the message came from, as its receiver saw it.
    pub const fn received(&self) -> Option<IpAddr> {
        self.known.received
    }

    /// `rport`: `Some(None)` requests the source port, `Some(Some(port))` carries it (RFC 3581).
    pub const fn rport(&self) -> Option<Option<u16>> {
        self.known.rport
    }

    /// The address to which responses are sent instead of the source.
    pub const fn maddr(&self) -> Option<Host<'a>> {
        self.known.maddr
    }

    /// The time to live of a multicast request.
    pub const fn ttl(&self) -> Option<u8> {
        self.known.ttl
    }

    /// The received parameters `received` and `rport`, whole.
    pub(crate) fn stamp_texts(&self) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        (self.known.received_text, self.known.rport_text)
    }

    /// A received Via as offsets into `base`. `None` if it has parameters that are rare.
    #[inline(always)]
    pub(crate) fn spans(&self, base: &[u8]) -> Option<ViaSpans> {
        let known = &self.known;
        if known.maddr.is_some() || known.ttl.is_some() {
            return None;
        }
        Some(ViaSpans {
            transport: Span::of(base, self.transport)?,
            sent_by: self.sent_by.span(base)?,
            params: Span::of(base, self.params.text()?)?,
            branch: Span::of_some(base, known.branch)?,
            received: known.received,
            received_text: Span::of_some(base, known.received_text)?,
            rport: known.rport,
            rport_text: Span::of_some(base, known.rport_text)?,
        })
    }

    /// The reverse of [`Via::spans`].
    #[inline(always)]
    pub(crate) fn from_spans(spans: &ViaSpans, base: &'a [u8]) -> Self {
        Self {
            transport: spans.transport.get(base),
            sent_by: HostPort::from_span(spans.sent_by, base),
            params: Params::checked(spans.params.get(base)),
            known: Known {
                branch: spans.branch.map(|span| span.get(base)),
                received: spans.received,
                received_text: spans.received_text.map(|span| span.get(base)),
                rport: spans.rport,
                rport_text: spans.rport_text.map(|span| span.get(base)),
                maddr: None,
                ttl: None,
            },
        }
    }

    /// Parses a Via of any version of SIP, which is given back to its sender only
    /// (RFC 3261 §21.5.6).
    pub(crate) fn parse_any_version(value: &'a [u8]) -> Result<Self, ValueError> {
        let start = spaced_protocol(value, None)?;
        Self::parse_loosely(value, transport(value, start)?)
    }

    /// Reads the Via that says where a response goes. Its sent-by must follow the grammar; of its
    /// parameters only those that say where must be readable, and none of those that have a getter
    /// may come twice.
    #[inline(always)]
    pub(crate) fn read(value: &'a [u8]) -> Result<Self, ValueError> {
        match Self::parse(value) {
            Ok(via) => Ok(via),
            Err(_) => Self::read_off_grammar(value),
        }
    }

    /// The same of one that was found not to follow the grammar.
    pub(crate) fn read_off_grammar(value: &'a [u8]) -> Result<Self, ValueError> {
        Self::parse_loosely(value, sent_protocol(value)?)
    }

    #[inline(always)]
    fn parse_behind(
        value: &'a [u8],
        (transport, end): (&'a [u8], usize),
    ) -> Result<Self, ValueError> {
        let (sent_by, end) = sent_by(value, end, Reading::Strict)?;
        let mut known = Known::default();
        let params = Params::walk(value, end, |name, text, at| {
            known.take(name, text, at, whole(value, name, text, at))
        })?;
        Ok(Self {
            transport,
            sent_by,
            params,
            known,
        })
    }

    #[cold]
    fn parse_loosely(
        value: &'a [u8],
        (transport, end): (&'a [u8], usize),
    ) -> Result<Self, ValueError> {
        let (sent_by, end) = sent_by(value, end, Reading::Lenient)?;
        let mut known = Known::default();
        let mut seen = [false; KNOWN.len()];
        let params = Params::walk_loosely(value, end, |name, text, at| {
            let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
            let Some(index) = KNOWN.iter().position(is) else {
                return Ok(());
            };
            if core::mem::replace(&mut seen[index], true) {
                let what = "parameter";
                return Err(ValueError::Repeated { what, offset: at });
            }
            known.take_loosely(KNOWN[index], text, at, whole(value, name, text, at))
        })?;
        Ok(Self {
            transport,
            sent_by,
            params,
            known,
        })
    }

    /// Every parameter: those of received text, or those of [`with_params`](Self::with_params).
    pub const fn params(&self) -> Params<'a> {
        self.params
    }

    /// The same with a branch, which is a token.
    pub fn with_branch(mut self, branch: &'a str) -> Result<Self, ValueError> {
        self.known.branch = Some(known::own_token(branch, "a token as branch")?);
        Ok(self)
    }

    /// The same with `received`.
    #[must_use]
    pub const fn with_received(mut self, received: IpAddr) -> Self {
        self.known.received = Some(received);
        self
    }

    /// The same with `rport`; `None` asks for the port.
    #[must_use]
    pub const fn with_rport(mut self, rport: Option<u16>) -> Self {
        self.known.rport = Some(rport);
        self
    }

    /// The same with `maddr`.
    #[must_use]
    pub const fn with_maddr(mut self, maddr: Host<'a>) -> Self {
        self.known.maddr = Some(maddr);
        self
    }

    /// The same with `ttl`.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: u8) -> Self {
        self.known.ttl = Some(ttl);
        self
    }

    /// The same with these parameters in place of the others. Those that have a method of
    /// their own are ignored here.
    #[must_use]
    pub const fn with_params(mut self, params: Params<'a>) -> Self {
        self.params = params;
        self
    }

    /// Returns true if both are the same hop: protocol, `sent-by` and all parameters are equal
    /// (RFC 3261 §20.42).
    pub fn equivalent(&self, other: &Self) -> bool {
        let (a, b) = (&self.known, &other.known);
        self.transport.eq_ignore_ascii_case(other.transport)
            && self.sent_by == other.sent_by
            && known::same(a.branch, b.branch)
            && (a.received, a.rport, a.maddr, a.ttl) == (b.received, b.rport, b.maddr, b.ttl)
            && known::others(self.params, KNOWN).count()
                == known::others(other.params, KNOWN).count()
            && known::others(self.params, KNOWN).all(|param| {
                let other = other.params.get(param.name());
                other.is_some_and(|other| known::same(param.value(), other.value()))
            })
    }
}

const KNOWN: &[&str] = &["branch", "received", "rport", "maddr", "ttl"];

impl<'a> Header<'a> for Via<'a> {
    const NAME: Name = Name::Via;
    const LIST: bool = true;

    #[inline]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        Self::parse_behind(value, sent_protocol(value)?)
    }
}

/// The sent-by behind the transport that ends at `end`, and where it ends.
#[inline(always)]
fn sent_by(
    value: &[u8],
    end: usize,
    reading: Reading,
) -> Result<(HostPort<'_>, usize), ValueError> {
    let at = skip_lws(value, end);
    if at == end {
        return Err(ValueError::unexpected("white space", value, at));
    }
    let (sent_by, used) = HostPort::parse_sent_by(value.get(at..).unwrap_or_default(), reading)
        .map_err(|error| error.shifted(at))?;
    Ok((sent_by, at + used))
}

/// A parameter from its name at `at` to the end of its value.
#[inline(always)]
fn whole<'a>(value: &'a [u8], name: &[u8], text: Option<&[u8]>, at: usize) -> Option<&'a [u8]> {
    let end = text.map_or(at + name.len(), |text| end_of(value, text));
    value.get(at..end)
}

/// The transport of `SIP/2.0/transport` and where it ends.
#[inline(always)]
fn sent_protocol(value: &[u8]) -> Result<(&[u8], usize), ValueError> {
    let start = if value.starts_with(b"SIP/2.0/") && value.get(8).is_some_and(|&b| is_token(b)) {
        8
    } else {
        spaced_protocol(value, Some(b"2.0"))?
    };
    transport(value, start)
}

#[inline(always)]
fn transport(value: &[u8], start: usize) -> Result<(&[u8], usize), ValueError> {
    let end = run::<TOKEN>(value, start);
    match value.get(start..end) {
        Some(transport @ [_, ..]) => Ok((transport, end)),
        _ => Err(ValueError::unexpected("a transport", value, start)),
    }
}

/// Where the transport starts behind this version or any, with white space around the slashes and
/// in any case of letters.
#[cold]
fn spaced_protocol(value: &[u8], version: Option<&[u8]>) -> Result<usize, ValueError> {
    let mut at = 0;
    for part in [Some(&b"SIP"[..]), version] {
        let end = run::<TOKEN>(value, at);
        let text = value.get(at..end).unwrap_or_default();
        if text.is_empty() || part.is_some_and(|part| !text.eq_ignore_ascii_case(part)) {
            return Err(ValueError::unexpected("SIP/2.0", value, at));
        }
        let slash = skip_lws(value, end);
        if value.get(slash) != Some(&b'/') {
            return Err(ValueError::unexpected("'/'", value, slash));
        }
        at = skip_lws(value, slash + 1);
    }
    Ok(at)
}

impl<'a> Known<'a> {
    /// Takes a parameter if it is one of these; `at` is where its name stands.
    #[inline(always)]
    fn take(
        &mut self,
        name: &[u8],
        text: Option<&'a [u8]>,
        at: usize,
        whole: Option<&'a [u8]>,
    ) -> Result<(), ValueError> {
        match name.len() {
            6 if is_keyword(name, b"branch") => {
                self.branch = Some(known::token(text, at, "branch=token")?)
            }
            8 if is_keyword(name, b"received") => {
                let text = known::value(text, at, "received=IP address")?;
                let ip = ip(text).ok_or_else(|| known::wrong(text, at, "received=IP address"))?;
                self.received = Some(ip);
                self.received_text = whole;
            }
            5 if is_keyword(name, b"rport") => {
                let port = text.map(|_| known::int(text, at, u16::MAX.into(), "rport number"));
                self.rport = Some(port.transpose()?.map(|port| port as u16));
                self.rport_text = whole;
            }
            5 if is_keyword(name, b"maddr") => {
                let text = known::value(text, at, "maddr=host")?;
                self.maddr = Some(maddr(text, at, Reading::Strict)?);
            }
            3 if is_keyword(name, b"ttl") => {
                // RFC 3261 §25.1: one to three digits.
                let text = text.filter(|text| text.len() <= 3);
                self.ttl = Some(known::int(text, at, u8::MAX.into(), "ttl of 0 to 255")? as u8);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes one of these that may not follow its grammar: where the response goes must be clear,
    /// what we write ourselves may be anything.
    fn take_loosely(
        &mut self,
        name: &str,
        text: Option<&'a [u8]>,
        at: usize,
        whole: Option<&'a [u8]>,
    ) -> Result<(), ValueError> {
        let text = text.filter(|text| !text.is_empty());
        match name {
            "branch" => {
                self.branch = text
                    .map(|text| known::opaque(text, at, "a branch"))
                    .transpose()?;
            }
            "received" => (self.received, self.received_text) = (text.and_then(ip), whole),
            "rport" => {
                let port = known::int(text, at, u16::MAX.into(), "rport number");
                self.rport = Some(port.ok().map(|port| port as u16));
                self.rport_text = whole;
            }
            "maddr" => {
                self.maddr = text
                    .map(|text| maddr(text, at, Reading::Lenient))
                    .transpose()?
            }
            "ttl" => {
                let ttl = known::int(text, at, u8::MAX.into(), "ttl of 0 to 255");
                self.ttl = ttl.ok().map(|ttl| ttl as u8);
            }
            _ => {}
        }
        Ok(())
    }
}

fn maddr(text: &[u8], at: usize, reading: Reading) -> Result<Host<'_>, ValueError> {
    match Host::parse_as(text, reading) {
        Ok((host, end)) if end == text.len() => Ok(host),
        _ => Err(known::wrong(text, at, "maddr=host")),
    }
}

/// An IP address; an IPv6 one with or without brackets (RFC 5118 §4.5).
#[inline(always)]
fn ip(text: &[u8]) -> Option<IpAddr> {
    match Host::parse(text) {
        Ok((host, end)) if end == text.len() => host.ip(),
        _ => host::ipv6(text).map(IpAddr::V6),
    }
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Known {
            branch,
            received,
            rport,
            maddr,
            ttl,
            ..
        } = self.known;
        write!(f, "SIP/2.0/{} {}", self.transport(), self.sent_by)?;
        if let Some(branch) = branch {
            write!(f, ";branch={}", ascii(branch))?;
        }
        // RFC 5118 §4.5: no brackets here.
        if let Some(received) = received {
            write!(f, ";received={received}")?;
        }
        match rport {
            Some(Some(port)) => write!(f, ";rport={port}")?,
            Some(None) => f.write_str(";rport")?,
            None => {}
        }
        if let Some(maddr) = maddr {
            write!(f, ";maddr={maddr}")?;
        }
        if let Some(ttl) = ttl {
            write!(f, ";ttl={ttl}")?;
        }
        known::print_others(self.params, KNOWN, f)
    }
}
