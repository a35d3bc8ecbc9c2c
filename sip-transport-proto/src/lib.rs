//! A SIP transport layer (RFC 3261 §18, RFC 3581, RFC 7118) as a state machine without I/O: UDP, TCP,
//! TLS and WebSocket.
//!
//! It eats datagrams, stream bytes and instants, and says what to send, open, close and wait for.
//! There are two ways to use it:
//!
//! - [`Transport`] is all of it in one object, for an event loop of your own, simulations and
//!   fuzzing. Its documentation has the loop.
//! - [`Router`](parts::Router), [`Connection`](parts::Connection) and
//!   [`DatagramSocket`](parts::DatagramSocket) are its [`parts`], for servers with many cores: the
//!   router behind one lock, every connection and socket in a task of its own. `adapter-core` does
//!   that.
//!
//! A message goes out as an [`Outgoing`], whose bytes are rendered once the way is known:
//! [`Sent`] tells exactly what went where and why there ([`resolve`]), what took the place of placeholders, and what became of
//! the hints. A message comes in as an [`Event`].
//!
//! # Determinism
//!
//! Outputs are a function of configuration, seed, and inputs with their instants. The crate reads
//! no clock and no randomness, opens no socket and iterates no hash map. Time is an argument; the
//! seed of 32 bytes starts a ChaCha generator that makes branches, tags, flow keys and the masks of
//! WebSocket. With the feature `sim` there is a network with virtual time to run transports in.
//!
//! The exception are the bytes of TLS: rustls has its own randomness, its own session store and,
//! unless its configuration says otherwise, its own clock. Their number is the same from run to
//! run if certificates are of Ed25519 and configurations are fresh.
//!
//! # What an operator sees
//!
//! - [`Stats`], from [`Router::stats`](parts::Router::stats) and by channel from
//!   [`Router::channel_stats`](parts::Router::channel_stats): messages and
//!   bytes in and out, malformed messages by reason, what was dropped, limits that were hit, sends
//!   that failed; connections by state, queued bytes, sends that wait. Each comes with its name, for
//!   an exporter: [`Stats::counters`], [`Stats::gauges`]. [`Router::resolve_stats`](parts::Router::resolve_stats) has those of DNS.
//! - `tracing` events, whose targets and levels [`trace`] lists.
//! - [`Config::tap`]: a call with each message in and out.
//! - What failed, exactly once for each send: a [`SendError`](error::SendError) with the targets tried
//!   and why each failed, or [`Sent`] and behind it at most one [`Event::SendFailed`].
//!
//! # Panics and limits
//!
//! No input makes it panic. What a peer can make grow has a limit in bytes or in number, a setting
//! in [`Config`] and a count in [`Stats`].

mod config;
mod connection;
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
mod shared;
#[cfg(feature = "sim")]
pub mod sim;
pub mod tls;
mod tokens;
mod transport;
#[cfg(feature = "ws")]
pub mod websocket;

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
pub use outgoing::sent::{HintOutcome, HintReport, Overruled, Sent};
pub use outgoing::size_rule::SizeOutcome;
pub use outgoing::stateless::stateless_branch;
pub use outgoing::substitute::Filled;
pub use protocol::Protocol;
pub use resolve::Family;
pub use setting::ConfigError;
pub use tokens::{Branch, Tag, Tokens};
pub use transport::{Output, Submitted, Transport};

pub mod parts {
    //! The parts that a [`Transport`](super::Transport) is made of, for adapters that give each of them a
    //! task of its own.
    //!
    //! The [`Router`] decides where messages go, behind one lock. A [`Connection`] is one stream, a
    //! [`DatagramSocket`] one UDP socket. A message is prepared by [`SendIds`], routed by [`Router::send`]
    //! and rendered by its [`Dispatch`]; the bytes go to the [`Carrier`] that it names.

    pub use crate::connection::{Connection, ConnectionEvent, Pushed};
    pub use crate::datagram::DatagramSocket;
    pub use crate::ids::Carrier;
    pub use crate::observe::log_limiter::LogLimiter;
    pub use crate::outgoing::dispatch::Dispatch;
    pub use crate::outgoing::send_ids::SendIds;
    pub use crate::router::{AcceptFilter, Held, Routed, Router, RouterOutput};
    pub use crate::shared::tap::TapCall;
}
