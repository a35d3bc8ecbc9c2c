//! Servers behind a load balancer.
//!
//! # Advertised addresses
//!
//! Peers send to the addresses in Via, Contact and Record-Route. Behind a balancer these have to be
//! its address or name, not that of the socket:
//!
//! ```
//! use adapter_tokio::{ChannelConfig, Family, Protocol};
//!
//! # fn example() -> Result<[ChannelConfig; 2], Box<dyn std::error::Error>> {
//! let local = "10.0.0.5:5060".parse()?;
//! let udp = ChannelConfig::new(Protocol::Udp, local).advertised("sip.example.com".parse()?);
//! // Or one for each address family.
//! let tcp = ChannelConfig::new(Protocol::Tcp, local)
//!     .advertised_to(Family::Ipv4, "192.0.2.1:5060".parse()?)
//!     .advertised_to(Family::Ipv6, "[2001:db8::1]:5060".parse()?);
//! # Ok([udp, tcp])
//! # }
//! ```
//!
//! [`advertise`](adapter_core::SipTransport::advertise) changes them while running, and
//! [`advertised`](adapter_core::SipTransport::advertised) returns them. Responses to a Via with a
//! name that was advertised are accepted as ours; other names of ours, such as that of a whole
//! cluster, are set by [`Config::own_name`](crate::Config::own_name).
//!
//! # The client's address
//!
//! A balancer of TCP connections hides the client, whose address `received`, limits and responses
//! need. It announces the address in a PROXY header, version 1 or 2, ahead of everything else,
//! which is read from trusted balancers only:
//!
//! ```
//! use adapter_tokio::{ChannelConfig, Protocol, ProxyProtocol};
//!
//! # fn example() -> Result<ChannelConfig, Box<dyn std::error::Error>> {
//! let balancers = ProxyProtocol::trust(["10.0.0.0/28".parse()?]).refuse_others(true);
//! let channel = ChannelConfig::new(Protocol::Tcp, "10.0.0.5:5060".parse()?)
//!     .advertised("sip.example.com".parse()?)
//!     .proxy_protocol(balancers);
//! # Ok(channel)
//! # }
//! ```
//!
//! Limits for an address then apply to the client. With a balancer that sends no header, all
//! connections come from its address, which should be exempt:
//!
//! ```
//! # use adapter_tokio::Config;
//! # fn example() -> Result<Config, Box<dyn std::error::Error>> {
//! let mut config = Config::default();
//! config.per_ip_exempt(["10.0.0.0/28".parse()?]);
//! # Ok(config)
//! # }
//! ```
//!
//! # The server that has the flow
//!
//! A client behind NAT is reached by the server that has its flow, so requests to it have to arrive
//! there. Give each server a name of its own and put that, not the balancer's, into Record-Route
//! and Path; a channel advertises one name, so a server that needs both has two channels, on two
//! ports. A flow token is valid only at the transport that made it, until that ends.
//!
//! # Stopping a server
//!
//! Before a server stops, let the balancer send nothing new to it, wait for the dialogs that should
//! end normally, and call [`shutdown`](adapter_core::SipTransport::shutdown): it writes what is
//! queued and closes. Clients open new flows and register anew (RFC 5626 §4.4).
