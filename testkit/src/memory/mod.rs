//! A runtime in memory: virtual time, a simulated network, and tasks that run in an order drawn
//! from a seed. The same seed and the same program give the same trace.
//!
//! [`Simulation`] holds the network and the tasks; [`MemoryRuntime`] is one host on it, as the
//! driver loops of adapter-core see it. Readiness is told once per change, as an edge-triggered
//! poller does, so that a wake-up that a driver loses is never made up for: when nothing can run
//! and nothing is due, [`MemoryRuntime::block_on`] panics.
//!
//! ```
//! use adapter_core::SipTransport;
//! use testkit::memory::{MemoryRuntime, Simulation};
//!
//! let simulation = Simulation::new(1);
//! let host = simulation.add_host("alice", &["192.0.2.1".parse()?]);
//! host.block_on(async {
//!     let (transport, mut incoming) = SipTransport::<MemoryRuntime>::builder()
//!         .udp("192.0.2.1:5060".parse()?)
//!         .bind()
//!         .await?;
//!     transport.shutdown().await;
//!     assert!(incoming.recv().await.is_none());
//!     assert_eq!(transport.tasks(), 0);
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod datagrams;
mod executor;
mod faults;
mod runtime;
mod stream;
mod world;

pub use executor::Simulation;
pub use faults::{Call, Fault};
pub use runtime::MemoryRuntime;
