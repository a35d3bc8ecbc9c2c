//! The requests that belong to one that was sent: CANCEL (RFC 3261 §9.1) and the ACK of a final
//! response other than 2xx (§17.1.1.3).

use sip_core::build::RequestBuilder;
use sip_core::header::{CSeq, CallId, From, To};
use sip_core::{Message, Method, Name, Param, Params, Request, Response};

use crate::error::DeriveError;
use crate::{SendOptions, Sent};

/// A request made from one that was sent, and how to send it: with the same top Via, to the same
/// target, over the same flow.
#[derive(Debug)]
#[non_exhaustive]
pub struct Derived {
    /// The request.
    pub request: Request,
    /// To be given along with it.
    pub options: SendOptions,
}

impl Sent {
    /// The CANCEL of this request.
    ///
    /// # Errors
    /// What was sent is no request, or one that the application made unreadable.
    pub fn cancel(&self) -> Result<Derived, DeriveError> {
        let sent = self.message()?;
        let to = sent.header()?.ok_or(DeriveError::Missing("To"))?;
        self.derive(&sent, Method::Cancel, to)
    }

    /// The ACK for a final response to this INVITE that is not a 2xx: the To is the response's.
    ///
    /// # Errors
    /// What was sent is no request, or the response has no To.
    pub fn ack(&self, response: &Response) -> Result<Derived, DeriveError> {
        let sent = self.message()?;
        let to = response.header()?.ok_or(DeriveError::Missing("To"))?;
        self.derive(&sent, Method::Ack, to)
    }

    fn derive(
        &self,
        sent: &Message,
        method: Method<'_>,
        to: To<'_>,
    ) -> Result<Derived, DeriveError> {
        let uri = sent.request_uri().and_then(|uri| str::from_utf8(uri).ok());
        let uri = uri.ok_or(DeriveError::Missing("a request URI"))?;
        let from: From<'_> = sent.header()?.ok_or(DeriveError::Missing("From"))?;
        let call_id: CallId<'_> = sent.header()?.ok_or(DeriveError::Missing("Call-ID"))?;
        let cseq: CSeq<'_> = sent.header()?.ok_or(DeriveError::Missing("CSeq"))?;
        let mut via = sent.top_via()?;
        let params: Vec<Param<'_>>;
        if method == Method::Ack && via.params().contains("keep") {
            // RFC 6223 §4.3: an ACK has no response that could agree to keep-alives.
            let stays = |param: &Param<'_>| !param.name().eq_ignore_ascii_case("keep");
            params = via.params().iter().filter(stays).collect();
            via = via.with_params(Params::of(&params));
        }
        let mut builder = RequestBuilder::new(method, uri)
            .via(via)
            .from(from)
            .to(to)
            .call_id(call_id.as_str())
            .cseq(cseq.seq())
            .contact(None);
        for route in sent.raw_all(Name::Route) {
            builder = builder.header(Name::Route, route);
        }
        let request = builder.build(|random| random.fill(0))?;
        let mut options = SendOptions::new()
            .to(self.remote())
            .hints(self.local().hints());
        options.hints.connection = self.remote().connection;
        options.multicast_ttl = self.route.ttl();
        Ok(Derived { request, options })
    }
}
