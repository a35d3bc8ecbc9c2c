//! Messages with the traits of those in RFC 4475 and RFC 5118, and what becomes of each.
//!
//! The messages are this project's own; a case is named after the one whose trait it has. What a
//! delivered message must read as is asked in words that hold for both, so that it can be asked
//! of the published ones too.

use std::env;
use std::path::{Path, PathBuf};

use sip_core::header::{Contact, Header, Via};
use sip_core::uri::{SipUri, Uri};
use sip_core::{Message, Name, StartLine};

mod invalid;
mod ipv6;
mod layers;
mod valid;

/// A message and its verdict.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub text: Vec<u8>,
    pub verdict: Verdict,
    pub stream: Stream,
}

/// What becomes of it in a datagram.
#[derive(Clone, Copy)]
pub enum Verdict {
    /// It is delivered and reads as this asserts.
    Delivered(fn(&Message)),
    /// A request is answered with this status, for a reason in these words. A response and an ACK
    /// are dropped.
    Refused(u16, &'static str),
}

/// What becomes of it on a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// The same as in a datagram.
    Same,
    /// It is two messages.
    Two,
    /// Its end has not come.
    Incomplete,
    /// Its end cannot be found.
    Broken,
}

impl Case {
    pub fn is_request(&self) -> bool {
        !self.text.starts_with(b"SIP/")
    }

    fn on_a_stream(mut self, stream: Stream) -> Self {
        self.stream = stream;
        self
    }
}

/// The folder with the published messages, if the environment variable `SIP_SHARED` names it; it
/// may do so from the top of the workspace.
pub fn published() -> Option<PathBuf> {
    let folder = env::var_os("SIP_SHARED")?;
    let top = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    Some(top.join(folder))
}

/// The cases of RFC 4475.
pub fn rfc4475() -> Vec<Case> {
    [valid::cases(), invalid::cases(), layers::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// The cases of RFC 5118.
pub fn rfc5118() -> Vec<Case> {
    ipv6::cases()
}

fn delivered(name: &'static str, text: Vec<u8>, facts: fn(&Message)) -> Case {
    Case {
        name,
        text,
        verdict: Verdict::Delivered(facts),
        stream: Stream::Same,
    }
}

fn refused(name: &'static str, text: Vec<u8>, status: u16, reason: &'static str) -> Case {
    Case {
        name,
        text,
        verdict: Verdict::Refused(status, reason),
        stream: Stream::Same,
    }
}

/// A message of these lines and the usual headers that they lack. An empty line starts the body.
fn message(text: &str) -> Vec<u8> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let body = body.replace('\n', "\r\n");
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    let has = |name: Name| {
        let lines = head.lines().skip(1).filter(|line| !line.starts_with(' '));
        let mut names = lines.filter_map(|line| line.split(':').next());
        names.any(|text| Name::lookup(text.trim_end().as_bytes()) == name)
    };
    let is_request = !head.starts_with("SIP/");
    let method = head
        .split(' ')
        .next()
        .filter(|_| is_request)
        .unwrap_or("INVITE");
    for (name, value) in [
        (Name::Via, "SIP/2.0/UDP pbx.north.example;branch=z9hG4bK-t1"),
        (Name::From, "<sip:nina@north.example>;tag=n1"),
        (Name::To, "<sip:olga@south.example>"),
        (Name::CallId, "torture-1@north.example"),
        (Name::CSeq, &format!("1 {method}")),
        (Name::ContentLength, &body.len().to_string()),
    ] {
        if !has(name) {
            lines.push(format!("{name}: {value}"));
        }
    }
    if is_request && !has(Name::MaxForwards) {
        lines.push("Max-Forwards: 70".to_owned());
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

/// A message of exactly these lines.
fn exactly(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

const SDP: &str = "v=0\no=nina 1 1 IN IP4 198.51.100.7\ns=-\nc=IN IP4 198.51.100.7\nt=0 0\n\
    m=audio 40000 RTP/AVP 0\n";

fn vias(message: &Message) -> Vec<Via<'_>> {
    message.headers().collect::<Result<_, _>>().unwrap()
}

fn contacts(message: &Message) -> Vec<Contact<'_>> {
    message.headers().collect::<Result<_, _>>().unwrap()
}

fn one<'a, H: Header<'a>>(message: &'a Message) -> H {
    message.header().unwrap().unwrap()
}

fn sip<'a>(uri: &Uri<'a>) -> SipUri<'a> {
    *uri.as_sip().expect("a SIP URI")
}

fn request_uri(message: &Message) -> Uri<'_> {
    Uri::parse(message.request_uri().unwrap()).unwrap()
}

fn reason(message: &Message) -> &[u8] {
    match message.start_line() {
        StartLine::Response { reason, .. } => reason,
        StartLine::Request { .. } => panic!("a request"),
    }
}

fn holds(text: impl AsRef<[u8]>, part: &str) -> bool {
    let text = text.as_ref();
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii()
}
