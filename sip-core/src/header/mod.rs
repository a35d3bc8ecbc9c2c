//! Typed headers: views over one value, parsed on demand, that can also be printed.

mod auth;
mod call_id;
mod contact;
mod cseq;
mod date;
mod event;
mod info;
mod known;
pub mod list;
mod media;
mod name_addr;
mod number;
mod privacy;
mod product;
mod reason;
mod replaces;
mod route_uri;
mod scan;
mod tagged;
mod text;
mod timer;
mod token;
mod via;

use core::fmt;

use crate::{Name, ValueError};

pub use auth::{
    AuthParam, AuthParams, AuthParamsIter, AuthenticationInfo, Authorization, ProxyAuthenticate,
    ProxyAuthorization, WwwAuthenticate,
};
pub(crate) use call_id::read_call_id;
pub use call_id::{CallId, InReplyTo};
pub use contact::{Contact, QValue};
pub use cseq::{CSeq, RAck};
pub use date::Date;
pub use event::{Event, SubscriptionState};
pub use info::{AlertInfo, CallInfo, ErrorInfo};
pub use media::{Accept, AcceptEncoding, ContentDisposition, ContentType};
pub(crate) use name_addr::check_tagged;
pub use name_addr::{From, PAssertedIdentity, Path, RecordRoute, ReferTo, Route, ServiceRoute, To};
pub use number::{ContentLength, Expires, MaxForwards, MimeVersion, MinExpires, RSeq, Timestamp};
pub use privacy::Privacy;
pub use product::{Product, Products, Server, UserAgent};
pub use reason::{Reason, Warning};
pub use replaces::Replaces;
pub(crate) use tagged::read_tagged;
pub use timer::{MinSe, Refresher, RetryAfter, SessionExpires};
pub use token::{Allow, ContentEncoding, Priority, ProxyRequire, Require, Supported, Unsupported};
pub use via::Via;
pub(crate) use via::ViaSpans;

/// A typed header: a view of one header value.
///
/// A view borrows the message (or the parts it was built from); to keep one, keep the message.
pub trait Header<'a>: Sized + fmt::Display {
    /// The header's name.
    const NAME: Name;
    /// True if a row may hold several values with commas between them (RFC 3261 §7.3.1).
    const LIST: bool = false;
    /// True if a row may hold no value at all (RFC 3261 §25.1).
    const MAY_BE_EMPTY: bool = false;

    /// Parses one value: no commas around it, leading and trailing white space already removed,
    /// folds kept as received.
    fn parse(value: &'a [u8]) -> Result<Self, ValueError>;

    /// Returns true if this value may not share its header with others (`*` in Contact).
    fn stands_alone(&self) -> bool {
        false
    }
}
