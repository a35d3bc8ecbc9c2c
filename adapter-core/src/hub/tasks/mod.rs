//! The tasks: one for each UDP socket, listener, connection and lookup, and one for the router's timers.

mod accept;
mod backoff;
mod connection;
mod datagrams;
mod lookup;
mod router;
mod watch;

pub(crate) use accept::accept;
pub(crate) use connection::connect;
pub(crate) use datagrams::datagrams;
pub(crate) use lookup::lookup;
pub(crate) use router::router;
