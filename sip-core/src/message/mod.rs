//! Messages over shared bytes: indexed once, typed on demand, edited without touching the rest.
//!
//! # What is read, and what is refused
//!
//! What transport and transactions do not need is left unchecked (RFC 3261 §16.3 step 1). The
//! grammar is enforced where two hops could otherwise interpret one message in two ways: where it
//! or a header ends, and who it is for.
//!
//! - Lines end in CRLF. A CR or an LF alone in the head is an error, over UDP as on streams.
//! - A line of blanks inside the head (CRLF SP CRLF) is white space of the header before it.
//! - NUL is an error, except after a backslash in a quoted string. Bytes above 0x7f are accepted
//!   and kept, whether they are UTF-8 or not.
//! - A request line has exactly one space on each side of the request URI and nothing after the
//!   version; other lines get 400, another version gets 505. The version is case-insensitive and
//!   kept in capitals (RFC 3261 §7.1).
//! - A status line may lack the space after the code if it has no reason phrase.
//! - Content-Length is digits only. Two rows of it are an error even when they are equal, and so are
//!   two of Call-ID, CSeq, From and To.
//! - CRLFs before the start line of a datagram are skipped; bytes after its body are discarded.
//! - Requests of RFC 2543 peers, without branch, From tag or Max-Forwards, are accepted.
//! - Of a SIP URI in From and To only the characters are checked on receipt, as transport and
//!   transactions read the tags alone; [`header::From`] and [`header::To`] apply the whole grammar
//!   on demand.
//! - Max-Forwards above 255 gets 400, as every number outside its range does.
//!
//! Under [`Reading::Lenient`], the default, this is accepted as well; [`Message::lint`] reports it:
//!
//! - The request URI needs an unambiguous scheme, host, port and `maddr`: see [`RoutingUri`].
//! - From and To need an unambiguous tag. Any display name up to the last `<` outside quotes, any
//!   characters in the user, a URI without scheme, empty parameters, values of any visible
//!   characters but `; , " < >`, and a repeated parameter (the tag with one value) are accepted.
//!   The tag itself is text, not always a token.
//! - The top Via needs an unambiguous sent-by and `maddr`, and none of the parameters that
//!   transport reads may be repeated. The Vias below it are only separated, and none may be empty.
//! - Call-ID is any bytes but CR, LF and NUL.
//! - A host may end in a label that starts with a digit, and be an IPv4 address with leading zeros
//!   (a name, as some read octal) or an IPv6 address with a zone (which is omitted).
//! - A line without a name or a colon is kept and ignored, unless another reader could find a
//!   significant header in it; then it is an error.
//! - Control characters may occur in headers that routing does not read.
//! - Max-Forwards may be repeated with one value; headers that only the application reads, such as
//!   Expires or Content-Type, with any.
//! - White space may precede the start line of a datagram, and the empty line may be missing where
//!   a header line ends the datagram. It is added when the message is kept: this and the version
//!   are the only parts that are not re-emitted as received.
//!
//! # Choices where the RFCs leave one
//!
//! Where RFC 4475 and RFC 5118 let a message be either refused or read:
//!
//! | Message | Result |
//! |---|---|
//! | `<` and `>` around the request URI, white space in it (RFC 4475 §3.1.2.7, §3.1.2.8) | 400 |
//! | More than one space in the request line, or one at its end (§3.1.2.9, §3.1.2.10) | 400 |
//! | Headers in the request URI (§3.1.2.11) | 400: if forwarded, they would reach a server that honours them |
//! | A Date that is not in GMT (§3.1.2.12) | Delivered; reading the Date is an error |
//! | A Contact with `?` outside of angle brackets (§3.1.2.13) | Delivered; reading the Contact is an error |
//! | White space in the URI of From or To (§3.1.2.14) | 400 |
//! | A display name that is neither quoted nor tokens (§3.1.2.15) | Delivered; reading the From or To is an error. Under strict reading 400 |
//! | A CSeq with another method than an unknown one (§3.1.2.18) | 400, not 501: only the application knows which methods are supported |
//! | A branch that is the magic cookie alone (§3.2.1) | Delivered; it identifies no transaction, as in RFC 2543 |
//! | A third colon in an IPv6 address that ends as an IPv4 one (RFC 5118 §4.10) | Read, and printed with two; a message that is forwarded untouched keeps it |
//!
//! The reply to a request of another version has that version in its Via, as received; a Via with
//! unreadable parameters is returned with `received` before them.

mod check;
mod edit;
mod error;
mod head;
mod index;
mod line_ends;
mod lint;
mod request;
mod row;
mod stamp;
mod start_line;
mod status;
mod view;
mod write;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use check::Facts;
pub(crate) use edit::check_value;
pub use error::{EditError, HeaderError, ParseError, ParseErrorKind};
pub use head::Head;
pub use lint::{Lint, LintKind, Tolerated};
pub use request::{Request, Response, WrongKind};
pub(crate) use row::{Packed, Row};
pub(crate) use stamp::Stamp;
pub use start_line::StartLine;
pub(crate) use start_line::StartLineSpans;
pub use status::StatusCode;
pub use view::HeaderRow;
pub(crate) use view::View;

use crate::chars::ascii;
use crate::header::{self, CSeq, Header, Via, list};
use crate::uri::RoutingUri;
use crate::{Flow, HostPort, Limits, Method, Name, Reading, ValueError};

/// A SIP message: the bytes received, an index of its headers, and the text of edits.
///
/// Reading returns slices of those bytes. An edit adds text and changes the index, so everything
/// else is written exactly as received. A clone shares the bytes.
///
/// ```
/// use sip_core::{Name, message::Message};
/// let text = "BYE sip:bob@192.0.2.4 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.1\r\nX-Note:  a\r\n\r\n";
/// let message = Message::parse(text)?;
/// assert_eq!(message.start_line().to_string(), "BYE sip:bob@192.0.2.4 SIP/2.0");
/// assert_eq!(message.raw(Name::Via), Some(&b"SIP/2.0/UDP 192.0.2.1"[..]));
/// assert_eq!(message.raw("x-note"), Some(&b"a"[..]));
/// # Ok::<(), sip_core::message::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Message {
    /// The message and, unless `rows` has them, the packed rows after it.
    base: Bytes,
    head_len: usize,
    body_len: usize,
    line: StartLineSpans,
    /// Boxed: most messages have none, and messages are moved a lot.
    edits: Option<Box<Edits>>,
    /// The facts found by the checks, until an edit changes them.
    facts: Option<Facts>,
    flow: Option<Flow>,
    built: bool,
    /// The strictness with which [`check`](Self::check) reads.
    reading: Reading,
    /// The violations that were tolerated, including those that the bytes do not show.
    framing: Tolerated,
}

/// The changes, and rows that are not stored after the message's own bytes.
#[derive(Clone, Default)]
struct Edits {
    rows: Option<Vec<Packed>>,
    extra: Vec<u8>,
    body: Option<Bytes>,
}

impl Edits {
    fn held(&self) -> usize {
        let rows = self.rows.as_ref().map_or(0, Vec::capacity);
        let body = self.body.as_ref().map_or(0, Bytes::len);
        [rows.saturating_mul(8), self.extra.capacity(), body]
            .into_iter()
            .fold(size_of::<Self>(), usize::saturating_add)
    }
}

impl Message {
    /// Parses a datagram, or any other run of bytes that holds one message, with the default
    /// limits. The bytes are shared, not copied. [`Head::parse`] has the rules.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ParseError> {
        Self::parse_with(bytes, &Limits::default())
    }

    /// Like [`Message::parse`], with limits.
    pub fn parse_with(bytes: impl Into<Bytes>, limits: &Limits) -> Result<Self, ParseError> {
        let bytes = bytes.into();
        Ok(Head::parse(&bytes, limits)?.into_shared(&bytes))
    }

    #[inline(always)]
    pub(crate) fn packed(
        base: Bytes,
        line: StartLineSpans,
        (head_len, body_len): (usize, usize),
        facts: Option<Facts>,
        (reading, framing): (Reading, Tolerated),
    ) -> Self {
        Self {
            base,
            head_len,
            body_len,
            line,
            edits: None,
            facts,
            flow: None,
            built: false,
            reading,
            framing,
        }
    }

    fn shared(
        base: Bytes,
        rows: Vec<Packed>,
        line: StartLineSpans,
        head_len: usize,
        received: (Reading, Tolerated),
    ) -> Self {
        let body_len = base.len() - head_len;
        let edits = Edits {
            rows: Some(rows),
            ..Edits::default()
        };
        Self {
            edits: Some(Box::new(edits)),
            ..Self::packed(base, line, (head_len, body_len), None, received)
        }
    }

    #[inline]
    fn view(&self) -> View<'_> {
        let edits = self.edits.as_deref();
        let rows = match edits.and_then(|edits| edits.rows.as_deref()) {
            Some(rows) => rows,
            None => {
                self.base
                    .get(self.head_len + self.body_len..)
                    .unwrap_or_default()
                    .as_chunks()
                    .0
            }
        };
        View {
            facts: self.facts.as_ref(),
            base: &self.base,
            extra: edits.map(|edits| &*edits.extra).unwrap_or_default(),
            line: self.line,
            rows,
        }
    }

    /// The start line.
    pub fn start_line(&self) -> StartLine<'_> {
        self.view().start_line()
    }

    /// Returns true if this is a request.
    pub fn is_request(&self) -> bool {
        self.line.status == 0
    }

    /// The method of a request.
    pub fn method(&self) -> Option<Method<'_>> {
        match self.start_line() {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The request URI of a request, as received.
    pub fn request_uri(&self) -> Option<&[u8]> {
        match self.start_line() {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status code of a response.
    pub fn status(&self) -> Option<StatusCode> {
        StatusCode::new(self.line.status)
    }

    /// All header rows in order.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = HeaderRow<'_>> + Clone {
        self.view().rows()
    }

    /// The value of the first row of that name, without white space around it. A `&str` finds
    /// known headers by any of their names, and any other header.
    #[inline]
    pub fn raw<'a>(&'a self, name: impl Into<HeaderName<'a>>) -> Option<&'a [u8]> {
        let view = self.view();
        view.find_any(name.into())
            .next()
            .map(|(_, row)| view.value(row))
    }

    /// The values of all rows of that name. Lists with commas are not split.
    pub fn raw_all<'a>(
        &'a self,
        name: impl Into<HeaderName<'a>>,
    ) -> impl Iterator<Item = &'a [u8]> + Clone {
        let view = self.view();
        view.find_any(name.into())
            .map(move |(_, row)| view.value(row))
    }

    /// The first value of that header, as its type. `None` if there is no such header.
    pub fn header<'a, H: Header<'a>>(&'a self) -> Result<Option<H>, HeaderError> {
        let wrap = |error| HeaderError::Value {
            header: H::NAME,
            error,
        };
        for value in self.raw_all(H::NAME) {
            let is_list = H::LIST && (value.is_empty() || list::comma(value).is_some());
            if !is_list {
                return H::parse(value).map(Some).map_err(wrap);
            }
            if let Some(first) = list::values(value).next() {
                return first.map(Some).map_err(wrap);
            }
        }
        Ok(None)
    }

    /// All values of that header, from all rows and, for lists, between all commas
    /// (RFC 3261 §7.3.1).
    pub fn headers<'a, H: Header<'a>>(&'a self) -> impl Iterator<Item = Result<H, HeaderError>> {
        self.raw_all(H::NAME)
            .flat_map(list::values)
            .map(|value: Result<H, _>| {
                value.map_err(|error| HeaderError::Value {
                    header: H::NAME,
                    error,
                })
            })
    }

    /// The first Via value: the hop that a request was received from, and the destination of its
    /// response.
    ///
    /// Every one that [`check`](Self::check) accepts can be read here, even if
    /// [`header`](Self::header) finds that it violates the grammar. Its parameters are then as
    /// received: a branch need not be a token; an invalid `received` counts as absent, and an
    /// invalid `rport` as one without a value.
    pub fn top_via(&self) -> Result<Via<'_>, HeaderError> {
        self.view().top_via()
    }

    /// The tag in From: the caller's part of the dialog identifier (RFC 3261 §19.3). Every From
    /// that [`check`](Self::check) accepts can be read here, before and after edits; the tag need
    /// not be a token.
    pub fn from_tag(&self) -> Option<&str> {
        match &self.facts {
            Some(facts) => facts.from_tag.map(|tag| ascii(tag.get(&self.base))),
            None => self.view().tag(Name::From).map(ascii),
        }
    }

    /// The tag in To: the callee's part of the dialog identifier (RFC 3261 §19.3), as with
    /// [`from_tag`](Self::from_tag).
    pub fn to_tag(&self) -> Option<&str> {
        match &self.facts {
            Some(facts) => facts.to_tag.map(|tag| ascii(tag.get(&self.base))),
            None => self.view().tag(Name::To).map(ascii),
        }
    }

    /// The Call-ID as received, compared byte by byte (RFC 3261 §20.8): text that is not always
    /// UTF-8.
    pub fn call_id(&self) -> Option<&[u8]> {
        match &self.facts {
            Some(facts) => Some(facts.call_id.get(&self.base)),
            None => header::read_call_id(self.raw(Name::CallId)?).ok(),
        }
    }

    /// The CSeq, if there is one that follows its grammar.
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        match &self.facts {
            Some(Facts {
                cseq: (number, method),
                ..
            }) => Some(CSeq::new(*number, Method::of_token(method.get(&self.base)))),
            None => self.header().ok()?,
        }
    }

    /// The host and port of a request URI, if it is a SIP or SIPS URI; also of one that violates
    /// the grammar elsewhere, as [`RoutingUri`] reads it.
    pub fn request_host(&self) -> Option<HostPort<'_>> {
        match &self.facts {
            Some(facts) => facts
                .request_host
                .map(|span| HostPort::from_span(span, &self.base)),
            None => RoutingUri::parse(self.request_uri()?).ok()?.host_port(),
        }
    }

    /// Returns true if To has a tag.
    pub(crate) fn has_to_tag(&self) -> Result<bool, ValueError> {
        match (&self.facts, self.raw(Name::To)) {
            (Some(facts), _) => Ok(facts.to_tag.is_some()),
            (None, Some(to)) => Ok(header::read_tagged(to)?.is_some()),
            (None, None) => Ok(false),
        }
    }

    /// The body, empty if there is none.
    pub fn body(&self) -> &[u8] {
        match self.edits.as_deref().and_then(|edits| edits.body.as_ref()) {
            Some(body) => body,
            None => self
                .base
                .get(self.head_len..self.head_len + self.body_len)
                .unwrap_or_default(),
        }
    }

    /// Checks what [`Head::check`] checks, edits included, under the [`Reading`] that the message
    /// was parsed with. A message from a builder must follow the grammar.
    pub fn check(&self) -> Result<(), ParseError> {
        self.view().check(self.reading).map(drop)
    }

    /// The grammar violations of the message: all that [`Reading::Strict`] would refuse and
    /// [`Reading::Lenient`] accepts. Most messages have none.
    ///
    /// Each call reads the message anew, including the Vias below the top one. Headers that neither
    /// transport nor transactions need are not examined: [`header`](Self::header) reports the
    /// errors of one.
    ///
    /// ```
    /// use sip_core::{Message, message::LintKind};
    /// let message = Message::parse("BYE sip:*72#@h SIP/2.0\r\nl: 0\r\nno colon\r\n\r\n")?;
    /// let lint: Vec<_> = message.lint().collect();
    /// assert_eq!((lint[0].kind(), lint[0].offset()), (LintKind::RequestUri, 4 + 4));
    /// assert_eq!(lint[1].to_string(), "a header line needs a name and a colon (at byte 30)");
    /// # Ok::<(), sip_core::message::ParseError>(())
    /// ```
    pub fn lint(&self) -> impl Iterator<Item = Lint> + '_ {
        self.view().lint(self.framing)
    }

    /// The flow on which the message was received, if a transport has set it.
    pub fn flow(&self) -> Option<Flow> {
        self.flow
    }

    /// Sets the flow on which the message was received; responses built from a request inherit it.
    #[inline]
    pub fn set_flow(&mut self, flow: Flow) {
        self.flow = Some(flow);
    }

    pub(crate) fn mark_built(&mut self) {
        self.built = true;
    }

    /// Takes over the strictness of the request's checks: a response contains what its request
    /// contained.
    pub(crate) fn judge_like(&mut self, request: &Self) {
        self.reading = request.reading;
    }

    /// The bytes of memory that the message holds beyond itself, shared ones included.
    pub fn held(&self) -> usize {
        let edits = self.edits.as_deref().map_or(0, Edits::held);
        self.base.len().saturating_add(edits)
    }

    /// Returns true if the message was made by the builders of this crate, not parsed.
    pub fn is_built(&self) -> bool {
        self.built
    }
}

impl fmt::Debug for Message {
    /// Shows the start line only: headers and bodies may be confidential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.start_line())
    }
}

/// A header's name as text, known or not.
#[derive(Clone, Copy, Debug)]
pub struct HeaderName<'a> {
    known: Name,
    text: &'a str,
}

impl<'a> HeaderName<'a> {
    /// The known header, or [`Name::Other`].
    pub fn known(&self) -> Name {
        self.known
    }

    /// The name as given.
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

impl From<Name> for HeaderName<'_> {
    fn from(name: Name) -> Self {
        Self {
            known: name,
            text: name.as_str(),
        }
    }
}

impl<'a> From<&'a str> for HeaderName<'a> {
    fn from(text: &'a str) -> Self {
        Self {
            known: Name::lookup(text.as_bytes()),
            text,
        }
    }
}

/// Octets that are mostly text: printed as UTF-8 with a replacement for what is not.
pub(crate) struct LossyText<'a>(pub(crate) &'a [u8]);

impl fmt::Display for LossyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}
