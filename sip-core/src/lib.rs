//! SIP messages (RFC 3261) without any I/O: parser, stream framer, typed headers, URIs, builders.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod chars;
mod error;
mod flow;
mod host;
mod limits;
mod method;
mod name;
mod params;
mod quoted;
mod span;
mod stream;

pub mod build;
pub mod header;
pub mod message;
pub mod uri;

pub use error::ValueError;
pub use flow::Flow;
pub use host::{Host, HostPort};
pub use limits::{LimitError, Limits};
pub use message::{Message, Request, Response, StartLine, StatusCode};
pub use method::Method;
pub use name::Name;
pub use params::{Param, Params, ParamsIter};
pub use quoted::{quote, unquote};
pub use stream::{Frame, Framer};
