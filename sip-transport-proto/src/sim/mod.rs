//! A deterministic network, and hosts on it that run transports: no socket, no clock, no waiting.
//!
//! - [`Network`] moves datagrams and streams between simulated hosts in virtual time, which jumps
//!   to the next thing that happens. What goes wrong on the way is set by [`Link`]s and partitions.
//!   It knows nothing of SIP.
//! - [`World`] runs a [`Machine`] on each host, by default a [`Transport`](crate::Transport).
//! - [`Trace`] says what happened and when. The same seed and the same calls give the same trace.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use sip_transport_proto::sim::{Link, World};
//! use sip_transport_proto::sip_core::{Method, build::RequestBuilder};
//! use sip_transport_proto::{ChannelConfig, Config, Event, Outgoing, Protocol, SendOptions};
//!
//! let mut world: World = World::new(7, Instant::now());
//! world.network_mut().set_default_link(Link::default().with_latency(Duration::from_millis(20)));
//! let alice = world.add_host("alice", &["192.0.2.1".parse()?], Config::default());
//! let bob = world.add_host("bob", &["192.0.2.2".parse()?], Config::default());
//! for (host, addr) in [(alice, "192.0.2.1:5060"), (bob, "192.0.2.2:5060")] {
//!     world.add_channel(host, ChannelConfig::new(Protocol::Udp, addr.parse()?))?;
//! }
//! let request = RequestBuilder::new(Method::Options, "sip:192.0.2.2").build(|r| r.fill(1))?;
//! world.send(alice, Outgoing::new(request, SendOptions::new()))?;
//! let (host, event) = world.next_event(Duration::from_secs(1)).expect("20 ms later");
//! assert!(host == bob && matches!(event, Event::Request { .. }));
//! assert_eq!(world.network().elapsed(), Duration::from_millis(20));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod crash;
mod link;
mod machine;
mod network;
mod random;
mod summary;
mod trace;
mod world;

pub use crash::Crash;
pub use link::Link;
pub use machine::Machine;
pub use network::{Answer, Datagram, HostId, Lookup, Network, Ready, Socket};
pub use trace::Trace;
pub use world::{Packet, World};
