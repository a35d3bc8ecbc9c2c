//! SIP messages (RFC 3261) without any I/O: parser, stream framer, typed headers, URIs, builders.
//!
//! A [`Message`] is the bytes received and an index of its headers. Reading returns slices, typed
//! headers are views that are parsed on demand, an edit changes nothing else, and writing
//! reproduces every other byte.
//!
//! ```
//! use sip_core::header::Contact;
//! use sip_core::{Message, Name, Request, StatusCode, build::ResponseBuilder};
//!
//! let request = Message::parse(
//!     "INVITE sip:bob@example.com SIP/2.0\r\n\
//!      Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK7\r\n\
//!      From: <sip:anna@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n\
//!      Call-ID: 7@192.0.2.1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
//!      Contact: <sip:anna@192.0.2.1>\r\nContent-Length: 0\r\n\r\n",
//! )?;
//! request.check()?; // what transport and transactions rest on
//! assert_eq!(request.top_via()?.branch(), Some("z9hG4bK7"));
//! assert_eq!(request.header::<Contact>()?.map(|c| c.uri_text()), Some(&b"sip:anna@192.0.2.1"[..]));
//!
//! let mut forwarded = request.clone();
//! forwarded.prepend(Name::Via, "SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK8")?;
//!
//! let request = Request::try_from(request)?;
//! let response = ResponseBuilder::new(&request, StatusCode::RINGING).to_tag("a1").build()?;
//! assert!(response.to_bytes().starts_with(b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`message`] describes the messages that are accepted, and the choices made where the RFCs
//!   leave one.
//! - [`Framer`] splits a stream into messages; [`Limits`] bound what a peer can make us store.
//! - [`header`] and [`uri`] hold the types, [`build`] the builders of requests and responses.
//!
//! `no_std` with `alloc`; the feature `std` (default) only makes byte searches faster. No input
//! causes a panic, and nothing recurses on input or allocates a size that a peer announced.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod automaton;
mod chars;
mod error;
mod flow;
mod host;
mod limits;
mod method;
mod name;
mod names;
mod params;
mod quoted;
mod span;
mod steps;
mod stream;

pub mod build;
pub mod header;
pub mod message;
pub mod uri;

pub use error::ValueError;
pub use flow::Flow;
pub use host::{Host, HostPort};
pub use limits::{LimitError, Limits, Reading};
pub use message::{Message, Request, Response, StartLine, StatusCode};
pub use method::Method;
pub use name::Name;
pub use params::{Param, Params, ParamsIter};
pub use quoted::{quote, unquote};
#[cfg(feature = "count-steps")]
#[doc(hidden)]
pub use steps::take_steps;
pub use stream::{Frame, Framer};
