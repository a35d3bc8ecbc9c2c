//! The targets of the [`tracing`] events of this crate and the adapters.
//!
//! | target | level | event |
//! |---|---|---|
//! | [`CONTENT`] | TRACE | each message in and out, whole |
//! | [`MESSAGE`] | TRACE | each message in and out: endpoints, length, start line, error |
//! | [`MESSAGE`] | WARN | a response dropped because it is not ours, with the sent-by of its Via; at most every ten seconds |
//! | [`CONNECTION`] | DEBUG | each connection opened, closed (with the reason) or refused |
//! | [`CONNECTION`] | WARN | a server whose certificate does not match the expected name; a target that accepted no TCP connection for a large request, once for each |
//! | [`CHANNEL`] | INFO | channels added and removed |
//! | [`CHANNEL`] | ERROR | a channel that failed |
//! | [`LIMIT`] | WARN | a limit that was reached; at most every ten seconds |
//! | [`SOCKET`] | WARN | a refusal by the operating system: descriptors, buffers, datagrams (from the adapters) |
//! | [`CALLBACK`] | ERROR | a panic of one of the application's callbacks, once for each |
//! | [`LOOKUP`] | WARN | no name servers are configured (from the adapters) |
//!
//! No other part of a message is logged above TRACE. Nothing is formatted or copied without a
//! subscriber for it. Messages are logged with no lock held; the rest is rare and is logged where
//! it happens, under locks of the adapters: a subscriber must not call the transport.

/// The target of whole messages.
pub const CONTENT: &str = "sip_transport::content";
/// The target of message summaries: endpoints and start line.
pub const MESSAGE: &str = "sip_transport::message";
/// The target of connections.
pub const CONNECTION: &str = "sip_transport::connection";
/// The target of channels.
pub const CHANNEL: &str = "sip_transport::channel";
/// The target of limits.
pub const LIMIT: &str = "sip_transport::limit";
/// The target of sockets of the operating system.
pub const SOCKET: &str = "sip_transport::socket";
/// The target of the application's callbacks.
pub const CALLBACK: &str = "sip_transport::callback";
/// The target of DNS.
pub const LOOKUP: &str = "sip_transport::lookup";
