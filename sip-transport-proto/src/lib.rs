//! A SIP transport layer (RFC 3261 §18, RFC 3581, RFC 7118) as a state machine without I/O, for
//! UDP, TCP, TLS and WebSocket.
//!
//! Feed it datagrams, stream bytes and the current time; it returns what to send, which connections
//! to open or close, and when to call again. There are two ways to use it:
//!
//! - [`Transport`] is the whole layer in one object, for an event loop of your own, simulations and
//!   fuzzing. Its documentation shows the loop.
//! - [`Router`](parts::Router), [`Connection`](parts::Connection) and
//!   [`DatagramSocket`](parts::DatagramSocket) are its [`parts`], each a state machine of its own, for servers with many cores: the router behind one lock, every connection and socket in a
//!   task of its own. `adapter-core` does that.
//!
//! A message to send is an [`Outgoing`]. The router chooses its path, a [`Dispatch`](parts::Dispatch), which renders
//! the bytes; [`Sent`] reports exactly what was sent where and why there ([`resolve`]), how
//! placeholders were filled in, and whether the hints were followed. A received message is an
//! [`Event`].
//!
//! # Determinism
//!
//! Outputs are a function of configuration, seed, and inputs with their instants. The crate uses no
//! clock and no randomness, opens no socket and iterates no hash map. Time is an argument; the seed
//! of 32 bytes starts a ChaCha generator for branches, tags, flow keys and WebSocket masks. With
//! the feature `sim` there is a network with virtual time to run transports on.
//!
//! TLS bytes are the exception: rustls has its own randomness, its own session store and, unless
//! its configuration says otherwise, its own clock. Their number is the same from run to run if
//! certificates use Ed25519 and configurations are fresh.
//!
//! # Observability
//!
//! - [`Stats`], from [`Router::stats`](parts::Router::stats) and by channel from [`Router::channel_stats`](parts::Router::channel_stats): messages and
//!   bytes in and out, malformed messages by reason, drops, limits reached, failed sends;
//!   connections by state, queued bytes, waiting sends. Each comes with its name, for an exporter:
//!   [`Stats::counters`], [`Stats::gauges`]. [`Router::resolve_stats`](parts::Router::resolve_stats) has those of DNS.
//! - `tracing` events, whose targets and levels [`trace`] lists.
//! - [`Config::tap`]: a callback with each message in and out.
//! - Failures, exactly once for each send: a [`SendError`](error::SendError) with the targets tried
//!   and the cause of each failure, or [`Sent`] followed by at most one [`Event::SendFailed`].
//!
//! # Panics and limits
//!
//! No input causes a panic. Everything that a peer can make grow has a limit in bytes or in number,
//! a setting in [`Config`] and a count in [`Stats`].

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod config;
mod connection;
mod context;
mod datagram;
mod deadline;
mod endpoint;
pub mod error;
mod event;
mod ids;
mod incoming;
mod keep;
mod observe;
mod outgoing;
mod protocol;
pub mod resolve;
mod router;
mod setting;
#[cfg(feature = "sim")]
pub mod sim;
pub mod tls;
mod tokens;
mod transport;
#[cfg(feature = "ws")]
pub mod websocket;
#[cfg(not(feature = "ws"))]
#[path = "websocket/absent.rs"]
mod websocket;

pub use ipnet;
pub use sip_core;

pub use config::advertised::Advertised;
pub use config::calls::{Direction, Tapped};
pub use config::keep::{Keep, KeepKind};
pub use config::multicast::Membership;
#[cfg(feature = "proxy")]
pub use config::proxy::ProxyProtocol;
pub use config::response_policy::ResponsePolicy;
pub use config::size_rule::SizeRule;
pub use config::{ChannelConfig, Config, Substitution};
pub use connection::info::{ConnectionInfo, ConnectionState};
pub use deadline::Deadline;
pub use endpoint::{Hints, SipEndpoint, Transmit};
pub use error::{KeepError, KeepStop};
pub use event::Event;
pub use ids::{ChannelId, ConnectionId, QueryId, SendId, SocketId};
pub use observe::counters::Stats;
pub use observe::trace;
pub use outgoing::Outgoing;
pub use outgoing::derive::Derived;
pub use outgoing::options::SendOptions;
pub use outgoing::outcome::Submitted;
pub use outgoing::sent::{HintOutcome, HintReport, Overruled, Sent};
pub use outgoing::size_rule::SizeOutcome;
pub use outgoing::stateless::stateless_branch;
pub use outgoing::substitute::Filled;
pub use protocol::Protocol;
pub use resolve::Family;
pub use setting::ConfigError;
pub use tokens::{Branch, Tag, Tokens};
pub use transport::{Output, Transport};

pub mod parts {
    //! The parts that a [`Transport`](super::Transport) is made of, for adapters that give each of them a
    //! task of its own.
    //!
    //! The [`Router`] decides where messages go, behind one lock. A [`Connection`] is one stream, a
    //! [`DatagramSocket`] one UDP socket. A message is prepared by [`SendIds`], routed by [`Router::send`]
    //! and rendered by its [`Dispatch`]; the bytes go to the [`Carrier`] that it names.

    pub use crate::connection::notice::{Command, Notice};
    pub use crate::connection::{Call, Connection, ConnectionEvent};
    pub use crate::context::accept_filter::AcceptFilter;
    pub use crate::context::tap::TapCall;
    pub use crate::datagram::DatagramSocket;
    pub use crate::ids::Carrier;
    pub use crate::observe::log_limiter::LogLimiter;
    pub use crate::outgoing::dispatch::Dispatch;
    pub use crate::outgoing::outcome::{Returned, Routed};
    pub use crate::outgoing::send_ids::SendIds;
    pub use crate::router::{Held, Router, RouterOutput};
}
