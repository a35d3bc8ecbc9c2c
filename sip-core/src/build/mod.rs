//! Builders of requests and responses that add the mandatory headers, and the reply to an
//! unreadable request.
//!
//! Names are written in full, values on one line, Content-Length always. No value can end its
//! header: CR, LF and NUL are errors.

mod reply;
mod request;
mod response;
mod writer;

use thiserror::Error;

pub use reply::{Salvaged, salvage};
pub use request::RequestBuilder;
pub use response::ResponseBuilder;

use core::net::Ipv4Addr;

use crate::message::{EditError, ParseError};
use crate::uri::{SipUri, Uri};
use crate::{Host, HostPort, ValueError};

/// `sip:0.0.0.0`: in Contact and From of a built message, the transport puts its own address here.
pub const PLACEHOLDER: Uri<'static> = Uri::Sip(SipUri::new(HostPort::new(
    Host::V4(Ipv4Addr::UNSPECIFIED),
    None,
)));

/// The reason that a message was not built.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// A name or a value that a message cannot contain.
    #[error(transparent)]
    Text(#[from] EditError),
    /// The result would be a message that a peer would refuse.
    #[error("the message would be malformed: {0}")]
    Malformed(#[from] ParseError),
    /// A CSeq number of 2^31 or more (RFC 3261 §8.1.1.5).
    #[error("the CSeq number {0} is not below 2^31")]
    CSeq(u32),
    /// The response needs a To tag (RFC 3261 §8.2.6.2), and none was set.
    #[error("the To of the response needs a tag")]
    NoTag,
    /// The request that is answered lacks a header or has one that does not follow its grammar.
    #[error("the request has no readable {header}")]
    Request {
        /// The header.
        header: crate::Name,
        /// The error in it, if it is there.
        #[source]
        error: Option<ValueError>,
    },
}
