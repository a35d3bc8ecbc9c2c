//! The driver loops of the SIP transport, written once over the small [`Runtime`] trait set.

mod batch;
mod runtime;
pub mod sys;

pub use batch::{BatchFull, Datagram, Entry, RecvBatch, SendBatch, SendFailure};
pub use runtime::{BoxFuture, Datagrams, Listener, Runtime, SocketOptions, Stream, Timer};
