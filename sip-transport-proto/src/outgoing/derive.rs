//! The requests derived from a sent one: CANCEL (RFC 3261 §9.1) and the ACK of a final response
//! other than 2xx (§17.1.1.3).

use sip_core::header::{CSeq, list};
use sip_core::{Message, Method, Name, Request, Response};

use crate::error::DeriveError;
use crate::outgoing::options::SendOptions;
use crate::outgoing::sent::Sent;

/// A request derived from a sent one, and the options to send it: with the same top Via, to the
/// same target, over the same flow.
#[derive(Debug)]
#[non_exhaustive]
pub struct Derived {
    /// The request.
    pub request: Request,
    /// The options to send it with.
    pub options: SendOptions,
}

impl Sent {
    /// The CANCEL of this request.
    ///
    /// # Errors
    /// The sent message is no request, or one that the application made unreadable.
    pub fn cancel(&self) -> Result<Derived, DeriveError> {
        let sent = self.message()?;
        self.derive(&sent, Method::Cancel, row(&sent, Name::To)?)
    }

    /// The ACK for a final response to this INVITE that is not a 2xx: the To is the response's.
    ///
    /// # Errors
    /// The sent message is no request, or the response has no To.
    pub fn ack(&self, response: &Response) -> Result<Derived, DeriveError> {
        let sent = self.message()?;
        self.derive(&sent, Method::Ack, row(response, Name::To)?)
    }

    fn derive(
        &self,
        sent: &Message,
        method: Method<'_>,
        to: &[u8],
    ) -> Result<Derived, DeriveError> {
        let uri = sent.request_uri();
        let uri = uri.ok_or(DeriveError::Missing("a request URI"))?;
        let via = list::split(row(sent, Name::Via)?).next();
        let cseq = sent.cseq().ok_or(DeriveError::Missing("CSeq"))?;
        let cseq = CSeq::new(cseq.seq(), method).to_string();
        // Copied as they stand: text that violates the grammar has to match too.
        let mut text = [method.as_str().as_bytes(), b" ", uri, b" SIP/2.0\r\n"].concat();
        let mut add = |name: Name, value: &[u8]| {
            text.extend([name.as_str().as_bytes(), b": ", value, b"\r\n"].concat());
        };
        add(Name::Via, via.unwrap_or_default());
        sent.raw_all(Name::Route)
            .for_each(|route| add(Name::Route, route));
        add(Name::MaxForwards, b"70");
        add(Name::From, row(sent, Name::From)?);
        add(Name::To, to);
        add(Name::CallId, row(sent, Name::CallId)?);
        add(Name::CSeq, cseq.as_bytes());
        add(Name::ContentLength, b"0");
        text.extend_from_slice(b"\r\n");
        let mut request = Message::parse(text)?;
        if method == Method::Ack {
            // RFC 6223 §4.3: an ACK has no response that could accept keep-alives.
            let removed = request.remove_via_param("keep");
            removed.map_err(|_| DeriveError::Missing("a readable Via"))?;
        }
        let request = Request::new(request).ok_or(DeriveError::Missing("a request line"))?;
        let mut options = SendOptions::new()
            .to(self.remote())
            .hints(self.local().hints());
        options.hints.connection = self.remote().connection;
        options.multicast_ttl = self.dispatch.ttl();
        Ok(Derived { request, options })
    }
}

fn row(message: &Message, name: Name) -> Result<&[u8], DeriveError> {
    message.raw(name).ok_or(DeriveError::Missing(name.as_str()))
}
