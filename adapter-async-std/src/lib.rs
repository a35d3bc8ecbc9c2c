//! A SIP transport (RFC 3261 §18) on async-std: UDP, TCP, TLS and WebSocket, IPv4 and IPv6.
//!
//! [`SipTransport::builder`](adapter_core::SipTransport::builder) binds channels and gives two
//! handles: [`SipTransport`] sends, [`Incoming`] receives. All that an application names is here.
//! The protocol itself is in [`sip_transport_proto`], its driver loops in [`adapter_core`]; this
//! crate adds async-std's sockets, timers and tasks. async-std calls itself discontinued in favour of smol; this adapter is
//! so thin that one for smol is a copy with other imports.
//!
//! ```
//! use adapter_async_std::sip_core::{Method, build::RequestBuilder};
//! use adapter_async_std::{Event, SipTransport, Tokens};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # async_std::task::block_on(async {
//! let (alice, _) = SipTransport::builder().udp("127.0.0.1:0".parse()?).bind().await?;
//! let (bob, mut incoming) = SipTransport::builder().udp("127.0.0.1:0".parse()?).bind().await?;
//!
//! let uri = format!("sip:{}", bob.local_endpoints()[0].addr);
//! let mut random = Tokens::new([7; 32]); // from the operating system, where it matters
//! let request = RequestBuilder::new(Method::Options, &uri).build(|bytes| random.fill(bytes))?;
//! let sent = alice.send_request(request).await?;
//!
//! let Some(Event::Request { remote, request, .. }) = incoming.recv().await else { panic!() };
//! assert_eq!(remote.addr, sent.local().addr);
//! assert_eq!(request.method(), Method::Options);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! For the most out of each core give each worker a thread of its own, with [`SingleThread`] and
//! [`Builder::worker_runtimes`](adapter_core::Builder::worker_runtimes): the transport and the
//! application then work in turns, in batches.

mod async_std_runtime;

pub use async_std_runtime::{AsyncStdRuntime, SingleThread};

pub use adapter_core;
#[doc(inline)]
pub use adapter_core::*;

/// The SIP transport on async-std.
pub type SipTransport = adapter_core::SipTransport<AsyncStdRuntime>;
