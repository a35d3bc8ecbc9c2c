//! A SIP transport (RFC 3261 §18) on tokio: UDP, TCP, TLS and WebSocket, IPv4 and IPv6.
//!
//! [`SipTransport::builder`](adapter_core::SipTransport::builder) binds channels and returns two
//! handles: [`SipTransport`] sends, [`Incoming`] receives. All the names that an application needs
//! are here. The protocol itself is in [`sip_transport_proto`], its driver loops in
//! [`adapter_core`]; this crate adds tokio's sockets, timers and tasks.
//!
//! ```
//! use adapter_tokio::sip_core::{Method, build::RequestBuilder};
//! use adapter_tokio::{Event, SipTransport, Tokens};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (alice, _) = SipTransport::builder().udp("127.0.0.1:0".parse()?).bind().await?;
//! let (bob, mut incoming) = SipTransport::builder().udp("127.0.0.1:0".parse()?).bind().await?;
//!
//! let uri = format!("sip:{}", bob.local_endpoints()[0].addr);
//! let mut random = Tokens::new([7; 32]); // from the operating system in production
//! let request = RequestBuilder::new(Method::Options, &uri).build(|bytes| random.fill(bytes))?;
//! let sent = alice.send_request(request).await?;
//!
//! let Some(Event::Request { remote, request, .. }) = incoming.recv().await else { panic!() };
//! assert_eq!(remote.addr, sent.local().addr);
//! assert_eq!(request.method(), Method::Options);
//! # Ok(())
//! # }
//! ```
//!
//! Spawn the receive loop rather than run it in `main` of a multi-threaded runtime: there it would
//! run on a thread of its own, and each batch of messages would cross threads. For the highest
//! throughput per core, give each worker a single-threaded runtime:
//! [`Builder::worker_runtimes`](adapter_core::Builder::worker_runtimes).

pub mod guide;
mod tokio_runtime;

pub use tokio_runtime::TokioRuntime;

pub use adapter_core;
#[doc(inline)]
pub use adapter_core::*;

/// The SIP transport on tokio.
pub type SipTransport = adapter_core::SipTransport<TokioRuntime>;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
