//! The builder of responses.

use super::BuildError;
use super::writer::{Writer, random_token};
use crate::chars::ascii;
use crate::header::{Contact, Header};
use crate::message::HeaderName;
use crate::{Method, Name, Request, Response, StatusCode};

use alloc::string::ToString;
use alloc::vec::Vec;

/// A builder of the response to a request: Via, From, To, Call-ID and CSeq are the request's, To
/// gets a tag if it has none (RFC 3261 §8.2.6.2), Record-Route is copied if a dialog may start
/// (§12.1.1). The response takes over the request's flow.
///
/// ```
/// use sip_core::{Request, Message, StatusCode, build::ResponseBuilder};
///
/// let request = Message::parse(
///     "OPTIONS sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
///      f: <sip:a@example.com>;tag=1\r\nt: <sip:bob@example.com>\r\ni: 7\r\nCSeq: 1 OPTIONS\r\n\r\n",
/// )?;
/// let request = Request::try_from(request)?;
/// let response = ResponseBuilder::new(&request, StatusCode::OK)
///     .to_tag("abc")
///     .header("Allow", "OPTIONS")
///     .build()?;
/// assert_eq!(response.raw("To"), Some(&b"<sip:bob@example.com>;tag=abc"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ResponseBuilder<'a> {
    request: &'a Request,
    status: StatusCode,
    reason: &'a str,
    tag: Option<ToTag<'a>>,
    contact: Option<Contact<'a>>,
    headers: Vec<(HeaderName<'a>, Vec<u8>)>,
    body: Option<(&'a str, &'a [u8])>,
}

impl<'a> ResponseBuilder<'a> {
    /// Starts a response of that status, with its standard reason phrase.
    pub fn new(request: &'a Request, status: StatusCode) -> Self {
        Self {
            request,
            status,
            reason: status.reason(),
            tag: None,
            contact: None,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Sets the reason phrase.
    pub fn reason(mut self, reason: &'a str) -> Self {
        self.reason = reason;
        self
    }

    /// Sets the tag that To gets if it has none. All responses to one request have the same tag,
    /// except 100, which gets none.
    pub fn to_tag(mut self, tag: &'a str) -> Self {
        self.tag = Some(ToTag::Given(tag));
        self
    }

    /// Sets a random tag, for a request that receives exactly one response. `random` fills the given slice
    /// with random bytes.
    pub fn random_tag(mut self, mut random: impl FnMut(&mut [u8])) -> Self {
        self.tag = Some(ToTag::Random(random_token::<8, 16>(&mut random)));
        self
    }

    /// Sets Contact. [`PLACEHOLDER`](super::PLACEHOLDER) in it is replaced by the transport.
    pub fn contact(mut self, contact: Contact<'a>) -> Self {
        self.contact = Some(contact);
        self
    }

    /// Adds a row with this text as its value.
    pub fn header(mut self, name: impl Into<HeaderName<'a>>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// Adds a row with a typed header.
    pub fn typed<H: Header<'a>>(self, header: H) -> Self {
        self.header(H::NAME, header.to_string())
    }

    /// Sets the body and its Content-Type, which every body has (RFC 3261 §7.4.1).
    pub fn body(mut self, content_type: &'a str, body: &'a [u8]) -> Self {
        self.body = Some((content_type, body));
        self
    }

    /// Builds the response.
    ///
    /// # Errors
    /// The request lacks what a response repeats, To needs a tag and none was set, or a message
    /// cannot contain something that was set.
    pub fn build(self) -> Result<Response, BuildError> {
        let request = self.request;
        let mut writer = Writer::response(self.status.code(), self.reason)?;
        let dialog = matches!(self.status.code(), 101..300)
            && matches!(
                request.method(),
                Method::Invite | Method::Subscribe | Method::Refer
            );
        let mut to = None;
        let mut missing = [
            Some(Name::Via),
            Some(Name::From),
            Some(Name::CallId),
            Some(Name::CSeq),
        ];
        for row in request.rows() {
            let name = row.name();
            match name {
                Name::Via | Name::From | Name::CallId | Name::CSeq => {
                    missing
                        .iter_mut()
                        .filter(|m| **m == Some(name))
                        .for_each(|m| *m = None);
                }
                Name::RecordRoute if dialog => {}
                // RFC 3261 §8.2.6.1
                Name::Timestamp if self.status == StatusCode::TRYING => {}
                Name::To if to.is_none() => {
                    to = Some(row.value());
                    continue;
                }
                _ => continue,
            }
            writer.copy(name, row.value());
        }
        if let Some(header) = missing.into_iter().flatten().next() {
            return Err(BuildError::Request {
                header,
                error: None,
            });
        }
        let header = Name::To;
        let Some(to) = to else {
            return Err(BuildError::Request {
                header,
                error: None,
            });
        };
        let tagged = request.has_to_tag().map_err(|error| BuildError::Request {
            header,
            error: Some(error),
        })?;
        if tagged || self.status == StatusCode::TRYING {
            writer.copy(header, to);
        } else {
            let tag = match self.tag {
                Some(ToTag::Given(tag)) => tag,
                Some(ToTag::Random(ref tag)) => ascii(tag),
                None => return Err(BuildError::NoTag),
            };
            if tag.is_empty() || !tag.bytes().all(crate::chars::is_token) {
                return Err(crate::message::EditError::NotToken { what: "a tag" }.into());
            }
            let semicolon = if to.ends_with(b";") { &b""[..] } else { b";" };
            writer.copy_parts(header, &[to, semicolon, b"tag=", tag.as_bytes()]);
        }
        if let Some(contact) = self.contact {
            writer.print(Name::Contact, contact)?;
        }
        for (name, value) in &self.headers {
            writer.row_named(name.known(), name.as_str(), |writer| writer.push(value))?;
        }
        let body = writer.content(self.body)?;
        let mut message = writer.finish(body)?;
        message.judge_like(request);
        if let Some(flow) = request.flow() {
            message.set_flow(flow);
        }
        Ok(Response::of(message))
    }
}

#[derive(Clone, Copy, Debug)]
enum ToTag<'a> {
    Given(&'a str),
    Random([u8; 16]),
}
