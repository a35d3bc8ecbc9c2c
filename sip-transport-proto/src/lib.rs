//! A SIP transport layer (RFC 3261 §18) as a state machine without I/O.

mod config;
mod connection;
mod counters;
mod datagram;
mod derive;
mod endpoint;
pub mod error;
mod event;
mod flow;
mod ids;
mod outgoing;
mod own_names;
mod protocol;
mod receive;
mod reply;
mod route;
mod router;
mod sent;
mod shared;
#[cfg(feature = "sim")]
pub mod sim;
mod substitute;
mod tokens;
mod transport;

pub use sip_core;

pub use config::{ChannelConfig, Config, ConfigError, Substitution};
pub use connection::{Connection, ConnectionEvent, Pushed};
pub use counters::Stats;
pub use datagram::{DatagramSocket, Transmit};
pub use derive::Derived;
pub use endpoint::{Hints, SipEndpoint};
pub use event::{Deadline, Event};
pub use ids::{ChannelId, ConnectionId, QueryId, SendId, SocketId};
pub use outgoing::{Outgoing, SendOptions};
pub use protocol::Protocol;
pub use route::{Route, Way};
pub use router::{Routed, Router, RouterOutput};
pub use sent::{Filled, HintOutcome, HintReport, Overruled, Sent};
pub use tokens::{Branch, Tag, Tokens};
pub use transport::{Output, Submitted, Transport};
