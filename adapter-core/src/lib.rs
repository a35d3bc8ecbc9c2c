//! The driver loops of the SIP transport, written once over the small [`Runtime`] trait set.
//!
//! With the feature `dns` (default) names are looked up by hickory-resolver, over the runtime's own
//! sockets and timers, unless [`Builder::resolver`] says otherwise.
//!
//! # What an operator sees
//!
//! [`SipTransport::stats`] and [`SipTransport::channel_stats`] tell what has happened and what there
//! is, [`SipTransport::resolve_stats`] the same of DNS. `tracing` events have the targets that
//! [`sip_transport_proto::trace`] lists; in this crate:
//!
//! | target | level | says |
//! |---|---|---|
//! | `sip_transport::connection` | DEBUG | a connection that could not be opened, or was refused |
//! | `sip_transport::limit` | WARN | datagrams dropped as the application does not fetch messages in time |
//! | `sip_transport::socket` | WARN | accepting failed, as for want of descriptors; receiving failed; a receive buffer smaller than asked for |
//! | `sip_transport::lookup` | WARN | the system names no name servers |
//!
//! [`Config::tap`](sip_transport_proto::Config::tap), given by [`Builder::config`], shows each message
//! in and out.

mod builder;
mod hub;
mod incoming;
mod resolve;
mod runtime;
mod send;
mod sync;
mod transport;

pub use sip_transport_proto;

pub use builder::Builder;
pub use incoming::Incoming;
pub use resolve::StaticResolver;
pub use runtime::batch::{BatchFull, Datagram, DatagramFailure, Entry, RecvBatch, SendBatch};
pub use runtime::{
    BoxFuture, ConnectedDatagrams, CurrentRuntime, Datagrams, Listener, Resolve, Runtime,
    SocketOptions, Stream, Timer, sys,
};
pub use send::{BlockingSendError, Send, Sending};
pub use transport::SipTransport;
