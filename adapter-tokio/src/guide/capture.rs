//! Messages in Homer, Wireshark and sngrep. Needs the feature `capture`.
//!
//! A capture sees what a tap sees ([`Config::tap`](crate::Config::tap)): each message received and
//! sent, in clear, whatever protects it on the wire, malformed ones included.
//!
//! # To a collector
//!
//! Homer and its like take HEP3. The address alone means UDP; the Call-ID is the correlation id.
//!
//! ```
//! use adapter_tokio::SipTransport;
//! use adapter_tokio::capture::{Capture, Collector};
//! use adapter_tokio::tls::TlsConfig;
//!
//! # fn example(tls: TlsConfig) -> Result<(), Box<dyn std::error::Error>> {
//! let builder = SipTransport::builder().capture(Capture::hep("192.0.2.9:9060")?);
//!
//! // Over TLS, with an id and a key. `tls` is a client's configuration, as for SIP.
//! let collector: Collector = "tls:homer.example.com:9061".parse()?;
//! let collector = collector.agent(2002).auth_key("secret").tls(tls);
//! let builder = builder.capture(collector.into());
//! # Ok(())
//! # }
//! ```
//!
//! Over TCP and TLS a lost connection is opened again, after waits that double from a second to a
//! minute; what waits meanwhile is sent then. Over TCP and TLS many messages go out in one system
//! call, so they cost less than over UDP.
//!
//! # To files
//!
//! ```
//! use adapter_tokio::SipTransport;
//! use adapter_tokio::capture::{Capture, Rotation};
//!
//! // calls.pcapng, and the ten before it: calls.1.pcapng to calls.10.pcapng.
//! let files = Capture::pcapng("/var/log/sip/calls.pcapng", Rotation::size(100 << 20).keep(10));
//! let builder = SipTransport::builder().capture(files);
//! ```
//!
//! Wireshark, tshark and `sngrep -I` open them. Each channel is an interface with its name:
//! `frame.interface_name == "tls:192.0.2.2:5061"` in Wireshark's filter. Messages over TCP and TLS
//! are TCP segments there, and those over UDP and WebSocket are UDP datagrams. sngrep 1.6 reads no
//! message over 20 KB.
//!
//! # Less of it
//!
//! ```
//! use adapter_tokio::capture::{Capture, Filter, Redaction, Rotation};
//!
//! # fn example() -> Result<Capture, Box<dyn std::error::Error>> {
//! let calls = Filter::new()
//!     .methods(["INVITE", "ACK", "PRACK", "UPDATE", "BYE", "CANCEL"])
//!     .networks(["198.51.100.0/24".parse()?])
//!     .share(0.05, *b"the same on each")?; // one call in twenty, with all of its messages
//! let capture = Capture::pcapng("calls.pcapng", Rotation::never())
//!     .filter(calls)
//!     .redact(Redaction::credentials().bodies(true));
//! # Ok(capture)
//! # }
//! ```
//!
//! `Redaction::credentials` hides answers to challenges and bearer tokens. Bodies can hold keys of
//! media (RFC 4568).
//!
//! # What it costs, and what it loses
//!
//! The task of a socket or connection copies the message into a queue, 4 MiB unless
//! `Capture::queue` says otherwise, and goes on. A task of the capture's own takes what waits every
//! 5 ms; files have a thread of their own. So a collector that is slow or dead, or a full disk,
//! holds up nothing: what finds no room is dropped and counted. On an OPTIONS over UDP and its
//! answer, as little as a server can do, `.ci/capture-cost` saw a fifth more CPU with a collector
//! over TCP, a quarter with a file, nine tenths with a collector over UDP, which takes a datagram for
//! each message, and no more with one that is dead. `Capture::counters` has the counts by reason,
//! before and after the transport has ended:
//!
//! ```
//! # use adapter_tokio::capture::{Capture, CollectorError};
//! let capture = Capture::hep("tcp:192.0.2.9:9060")?;
//! let counters = capture.counters();
//! // Later.
//! let stats = counters.stats();
//! println!("{} sent, {} dropped", stats.sender.sent, stats.overrun + stats.sender.queue_full);
//! # Ok::<(), CollectorError>(())
//! ```
