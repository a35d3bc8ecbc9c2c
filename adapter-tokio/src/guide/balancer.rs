//! Servers behind a load balancer.
//!
//! # What others are told
//!
//! Peers answer to what stands in Via, Contact and Record-Route. Behind a balancer that has to be its
//! address or name, not that of the socket:
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
//! [`advertise`](adapter_core::SipTransport::advertise) changes it while running, and
//! [`advertised`](adapter_core::SipTransport::advertised) tells it. Responses to a Via with a name that
//! was advertised are taken for ours; names that others use for us as well, such as that of a whole
//! cluster, are said by [`Config::own_name`](crate::Config::own_name).
//!
//! # Who is there
//!
//! A balancer of TCP connections hides the client, whose address `received`, limits and responses need.
//! It tells by a PROXY header, version 1 or 2, in front of all else, which is read from those that are
//! trusted and from nobody else:
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
//! Limits for an address then count against the client. A balancer that sends no header has all
//! connections come from its address, which is to be excepted:
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
//! # Which server has the flow
//!
//! A client behind NAT is reached by the server that has its flow, so requests to it have to come
//! there. Give each server a name of its own and put that, not the balancer's, into Record-Route and
//! Path; what is advertised is one name for a channel, so a server that needs both has two channels, on
//! two ports. A flow token is good only at the transport that made it, until that ends.
//!
//! # Leaving
//!
//! Before a server goes, have the balancer send nothing new, wait for the dialogs that you want to see
//! end, and call [`shutdown`](adapter_core::SipTransport::shutdown): it writes what is queued and closes.
//! Clients open new flows and register anew (RFC 5626 §4.4).
