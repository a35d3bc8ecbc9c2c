//! The tasks: one for each UDP socket, listener and connection, and one for the router's timers.

mod accept;
mod connection;
mod datagrams;
mod router;

pub(crate) use accept::accept;
pub(crate) use connection::connect;
pub(crate) use datagrams::datagrams;
pub(crate) use router::router;
