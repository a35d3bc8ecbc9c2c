//! A deterministic network, and hosts on it that run transports: no socket, no clock, no waiting.
//!
//! - [`Network`] moves datagrams and streams between simulated hosts in virtual time, which jumps
//!   to the next event. Faults on the path are set by [`Link`]s and partitions. It knows nothing of
//!   SIP.
//! - [`World`] runs a [`Machine`], the state machine of a transport, on each host: by default a
//!   [`Transport`](crate::Transport).
//! - [`Trace`] records all events with their times. The same seed and the same calls give the same
//!   trace.
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
//!
//! Hosts crash and restart, DNS answers come from a [`Zone`](crate::resolve::Zone), and
//! [`World::captured`] holds what was sent:
//!
//! ```
//! use std::time::{Duration, Instant};
//! use sip_transport_proto::sim::{Crash, World};
//! use sip_transport_proto::sip_core::{Method, build::RequestBuilder};
//! use sip_transport_proto::{ChannelConfig, Config, Event, Outgoing, Protocol, SendOptions};
//!
//! let mut world: World = World::new(7, Instant::now());
//! let alice = world.add_host("alice", &["192.0.2.1".parse()?], Config::default());
//! let mut servers = Vec::new();
//! for (name, ip) in [("a", "192.0.2.7"), ("b", "192.0.2.8")] {
//!     let host = world.add_host(name, &[ip.parse()?], Config::default());
//!     world.add_channel(host, ChannelConfig::new(Protocol::Tcp, format!("{ip}:5060").parse()?))?;
//!     servers.push(host);
//! }
//! world.network_mut().set_zone("
//!     _sip._tcp.example.com SRV 1 1 5060 a.example.com
//!     _sip._tcp.example.com SRV 2 1 5060 b.example.com
//!     a.example.com A 192.0.2.7
//!     b.example.com A 192.0.2.8
//! ".parse()?);
//! world.capture();
//! // The program on the first server dies: its host refuses connections.
//! world.crash(servers[0], Crash::Program);
//! let request = RequestBuilder::new(Method::Options, "sip:example.com").build(|r| r.fill(1))?;
//! world.send(alice, Outgoing::new(request, SendOptions::new()))?;
//! loop {
//!     let (host, event) = world.next_event(Duration::from_secs(1)).expect("the second gets it");
//!     if let Event::Request { .. } = event {
//!         assert_eq!(host, servers[1]);
//!         break;
//!     }
//! }
//! assert!(world.captured().iter().all(|packet| packet.protocol == Protocol::Tcp));
//! world.restart(servers[0], Config::default()); // its channels have to be added again
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
pub use network::{Datagram, HostId, LookupHandle, NameAnswer, Network, Ready, SocketHandle};
pub use trace::Trace;
pub use world::{Packet, World};
