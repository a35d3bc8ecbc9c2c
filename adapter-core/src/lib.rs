//! The driver loops of the SIP transport, written once over the small [`Runtime`] trait set.
//!
//! With the feature `dns` (default) names are looked up by hickory-resolver, over the runtime's own
//! sockets and timers, unless [`Builder::resolver`] says otherwise.

mod alarm;
mod batch;
mod builder;
mod core;
mod drive;
mod incoming;
mod link;
mod owner;
mod queue;
mod resolve;
mod runtime;
mod send;
mod socket;
mod sync;
pub mod sys;
mod transport;

pub use sip_transport_proto;

pub use batch::{BatchFull, Datagram, Entry, RecvBatch, SendBatch, SendFailure};
pub use builder::Builder;
pub use incoming::Incoming;
pub use resolve::{Resolve, StaticResolver};
pub use runtime::{
    BoxFuture, CurrentRuntime, Datagrams, Listener, Runtime, SocketOptions, Stream, Timer,
};
pub use send::{Send, Sending};
pub use transport::{BlockingSendError, SipTransport};
