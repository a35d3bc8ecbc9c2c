//! The driver loops of the SIP transport, written once over a small set of [`runtime`] traits.
//!
//! Applications use it through an adapter, such as `adapter-tokio`, which re-exports all of it. To
//! write one, implement [`Runtime`](runtime::Runtime).
//!
//! With the feature `dns` (default) names are looked up by hickory-resolver, over the runtime's own
//! sockets and timers, unless [`Builder::resolver`] sets another resolver.
//!
//! # What an operator sees
//!
//! [`SipTransport::stats`] and [`SipTransport::channel_stats`] return counters and gauges,
//! [`SipTransport::resolve_stats`] those of DNS. `tracing` events have the targets that
//! [`sip_transport_proto::trace`] lists; in this crate:
//!
//! | target | level | event |
//! |---|---|---|
//! | `sip_transport::connection` | DEBUG | a connection that could not be opened, or was refused |
//! | `sip_transport::limit` | WARN | datagrams dropped, or accepting paused, as the application is slow to fetch events |
//! | `sip_transport::socket` | WARN | accepting failed, as for lack of descriptors; receiving failed; a receive buffer smaller than asked for; no way to the collector of a capture, or a capture file that cannot be written |
//! | `sip_transport::lookup` | WARN | the system names no name servers |
//!
//! [`Config::tap`](sip_transport_proto::Config::tap), set with [`Builder::config`], is shown each
//! message received and sent. With the feature `capture`, `Builder::capture` sends them to a HEP3
//! collector or writes them to pcapng files.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod builder;
#[cfg(feature = "capture")]
pub mod capture;
pub mod error;
mod hub;
mod incoming;
mod resolver;
pub mod runtime;
mod send;
mod sync;
mod transport;

pub use sip_transport_proto;

pub use builder::Builder;
pub use error::{BindError, BlockingSendError};
pub use hub::outcome::Sending;
pub use incoming::Incoming;
pub use resolver::StaticResolver;
pub use runtime::{BoxFuture, Resolve, SocketOptions};
pub use send::SendBuilder;
pub use transport::SipTransport;

// The protocol's types that applications name. Adapters re-export all of this crate's root.
#[cfg(feature = "proxy")]
pub use sip_transport_proto::ProxyProtocol;
#[cfg(feature = "ws")]
pub use sip_transport_proto::websocket;
pub use sip_transport_proto::{
    Advertised, Branch, ChannelConfig, ChannelId, Config, ConfigError, ConnectionId,
    ConnectionInfo, ConnectionState, Deadline, Derived, Direction, Event, Family, Filled,
    HintOutcome, HintReport, Hints, Keep, KeepError, KeepKind, KeepStop, Membership, Overruled,
    Protocol, ResponsePolicy, SendId, SendOptions, Sent, SipEndpoint, SizeOutcome, SizeRule, Stats,
    Substitution, Tag, Tapped, Tokens, ipnet, resolve, sip_core, stateless_branch, tls, trace,
};
