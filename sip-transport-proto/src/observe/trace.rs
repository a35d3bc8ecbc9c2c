//! The targets of what this crate and the adapters say through [`tracing`].
//!
//! | target | level | says |
//! |---|---|---|
//! | [`CONTENT`] | TRACE | each message in and out, whole |
//! | [`MESSAGE`] | TRACE | each message in and out: end points, length, start line, what is wrong with it |
//! | [`MESSAGE`] | WARN | a response dropped as it is not ours, with the sent-by of its Via, once in ten seconds at most |
//! | [`CONNECTION`] | DEBUG | each connection opened, closed with the reason, or refused |
//! | [`CONNECTION`] | WARN | a server whose certificate does not prove what it must; one to which a large request waited for TCP in vain, once for each |
//! | [`CHANNEL`] | INFO | channels added and removed |
//! | [`CHANNEL`] | ERROR | a channel that came to an end nobody asked for |
//! | [`LIMIT`] | WARN | a limit that was reached, once in ten seconds at most |
//! | [`SOCKET`] | WARN | what the operating system refuses: descriptors, buffers, datagrams (the adapters) |
//! | [`CALLBACK`] | ERROR | a call of the application panicked, once for each |
//! | [`LOOKUP`] | WARN | no name servers to ask (the adapters) |
//!
//! Nothing else of a message is said above TRACE. Nothing is written or copied for what no subscriber
//! wants. Messages are told of with no lock held; the rest is rare, and said where it happens,
//! under locks of the adapters: a subscriber must not call the transport.

/// Whole messages.
pub const CONTENT: &str = "sip_transport::content";
/// Messages: where they go and how they begin.
pub const MESSAGE: &str = "sip_transport::message";
/// Connections.
pub const CONNECTION: &str = "sip_transport::connection";
/// Channels.
pub const CHANNEL: &str = "sip_transport::channel";
/// Limits.
pub const LIMIT: &str = "sip_transport::limit";
/// Sockets of the operating system.
pub const SOCKET: &str = "sip_transport::socket";
/// Calls that the application gave.
pub const CALLBACK: &str = "sip_transport::callback";
/// DNS.
pub const LOOKUP: &str = "sip_transport::lookup";
