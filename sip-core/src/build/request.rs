//! The builder of requests.

use super::writer::{Writer, random_token};
use super::{BuildError, PLACEHOLDER};
use crate::chars::ascii;
use crate::header::{Contact, From, Header, To, Via};
use crate::message::{EditError, HeaderName};
use crate::uri::{Uri, UriHeaders, UriParam, UriParams};
use crate::{HostPort, Method, Name, Request};

use alloc::string::ToString;
use alloc::vec::Vec;

/// A builder of a request with every header that RFC 3261 §8.1.1 requires.
///
/// Headers that are not set get defaults: a new From tag and Call-ID, CSeq 1, Max-Forwards 70, and
/// To with the request URI less its port, transport and other routing parameters. Via, From and
/// Contact have the address `0.0.0.0`, which the transport replaces by the address that it sends
/// from. A Contact is added to requests that create or refresh a dialog.
///
/// ```
/// use sip_core::{Method, build::RequestBuilder, header::To};
///
/// let request = RequestBuilder::new(Method::Options, "sip:bob@example.com")
///     .to(To::new("sip:bob@example.com".try_into()?).with_display_name("Bob"))
///     .header("Subject", "Lunch")
///     .build(|random| random.fill(7))?; // a real generator, seeded from the system
/// assert_eq!(request.raw("Via"), Some(&b"SIP/2.0/UDP 0.0.0.0;rport"[..]));
/// assert_eq!(request.raw("From"), Some(&b"<sip:0.0.0.0>;tag=0707070707070707"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct RequestBuilder<'a> {
    method: Method<'a>,
    uri: &'a str,
    via: Option<Via<'a>>,
    from: From<'a>,
    to: Option<To<'a>>,
    call_id: Option<&'a str>,
    cseq: u32,
    max_forwards: u8,
    contact: Option<Contact<'a>>,
    headers: Vec<(HeaderName<'a>, Vec<u8>)>,
    body: Option<(&'a str, &'a [u8])>,
}

impl<'a> RequestBuilder<'a> {
    /// Starts a request for that URI.
    pub fn new(method: Method<'a>, uri: &'a str) -> Self {
        // RFC 3261 §8.1.1.8, RFC 3311 §5.1, RFC 3515 §2.2, RFC 6665 §8.
        let needs_contact = matches!(
            method,
            Method::Invite | Method::Update | Method::Refer | Method::Subscribe | Method::Notify
        );
        Self {
            method,
            uri,
            via: None,
            from: From::new(PLACEHOLDER),
            to: None,
            call_id: None,
            cseq: 1,
            max_forwards: 70,
            contact: needs_contact.then(|| Contact::new(PLACEHOLDER)),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Sets the Via. Without it: UDP, the placeholder `0.0.0.0`, and `rport`; the transport fills
    /// in its protocol, its address and a branch.
    pub fn via(mut self, via: Via<'a>) -> Self {
        self.via = Some(via);
        self
    }

    /// Sets From; a new tag is added if it has none.
    pub fn from(mut self, from: From<'a>) -> Self {
        self.from = from;
        self
    }

    /// Sets To.
    pub fn to(mut self, to: To<'a>) -> Self {
        self.to = Some(to);
        self
    }

    /// Sets the Call-ID.
    pub fn call_id(mut self, call_id: &'a str) -> Self {
        self.call_id = Some(call_id);
        self
    }

    /// Sets the CSeq number, below 2^31.
    pub fn cseq(mut self, number: u32) -> Self {
        self.cseq = number;
        self
    }

    /// Sets Max-Forwards.
    pub fn max_forwards(mut self, hops: u8) -> Self {
        self.max_forwards = hops;
        self
    }

    /// Sets Contact; `None` leaves it out.
    pub fn contact(mut self, contact: Option<Contact<'a>>) -> Self {
        self.contact = contact;
        self
    }

    /// Adds a row with this text as its value.
    pub fn header(mut self, name: impl Into<HeaderName<'a>>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Adds a row with a typed header.
    pub fn typed(self, header: impl Header<'a>) -> Self {
        let name = name_of(&header);
        let value = header.to_string();
        self.header(name, value)
    }

    /// Sets the body and its Content-Type, which every body has (RFC 3261 §7.4.1).
    pub fn body(mut self, content_type: &'a str, body: &'a [u8]) -> Self {
        self.body = Some((content_type, body));
        self
    }

    /// Builds the request. `random` fills the given slice with random bytes, for tags and Call-ID.
    pub fn build(self, mut random: impl FnMut(&mut [u8])) -> Result<Request, BuildError> {
        if self.cseq > i32::MAX as u32 {
            return Err(BuildError::CSeq(self.cseq));
        }
        let mut writer = Writer::request(self.method.as_str(), self.uri)?;
        match self.via {
            Some(via) => writer.print(Name::Via, via)?,
            None => writer.copy(Name::Via, b"SIP/2.0/UDP 0.0.0.0;rport"),
        }
        // RFC 3261 §7.3.1: what proxies need stands near the top.
        for (name, value) in self
            .headers
            .iter()
            .filter(|(name, _)| is_route(name.known()))
        {
            writer.row_named(name.known(), name.as_str(), |writer| writer.push(value))?;
        }
        writer.row(Name::MaxForwards, |writer| {
            writer.decimal(self.max_forwards.into())
        })?;
        let tag = random_token::<8, 16>(&mut random);
        let from = match self.from.tag() {
            Some(_) => self.from,
            None => self
                .from
                .with_tag(ascii(&tag))
                .map_err(|error| EditError::Value {
                    header: Name::From,
                    error,
                })?,
        };
        writer.print(Name::From, from)?;
        let mut kept = Vec::new();
        let to = match self.to {
            Some(to) => to,
            None => To::new(
                match Uri::try_from(self.uri).map_err(EditError::RequestUri)? {
                    Uri::Sip(uri) => {
                        kept.extend(uri.params().iter().filter(|param| may_stand_in_to(param)));
                        let uri = uri.with_host_port(HostPort::new(uri.host(), None));
                        let uri = uri.with_params(UriParams::of(&kept));
                        Uri::Sip(uri.with_headers(UriHeaders::EMPTY))
                    }
                    other => other,
                },
            ),
        };
        writer.print(Name::To, to)?;
        match self.call_id {
            Some(call_id) => writer.print(Name::CallId, call_id)?,
            None => writer.copy(Name::CallId, &random_token::<16, 32>(&mut random)),
        }
        writer.print(Name::CSeq, format_args!("{} {}", self.cseq, self.method))?;
        if let Some(contact) = self.contact {
            writer.print(Name::Contact, contact)?;
        }
        for (name, value) in self
            .headers
            .iter()
            .filter(|(name, _)| !is_route(name.known()))
        {
            writer.row_named(name.known(), name.as_str(), |writer| writer.push(value))?;
        }
        let body = writer.content(self.body)?;
        let message = writer.finish(body)?;
        message.check()?;
        Ok(Request::of(message))
    }
}

fn name_of<'a, H: Header<'a>>(_: &H) -> Name {
    H::NAME
}

/// Returns true for the parameters that To may have: those that route to a URI are not allowed (RFC
/// 3261 §19.1.1, table 1).
fn may_stand_in_to(param: &UriParam<'_>) -> bool {
    !["transport", "maddr", "ttl", "method", "lr"]
        .into_iter()
        .any(|name| name.eq_ignore_ascii_case(param.name()))
}

fn is_route(name: Name) -> bool {
    matches!(
        name,
        Name::Via | Name::Route | Name::RecordRoute | Name::ProxyRequire
    )
}
