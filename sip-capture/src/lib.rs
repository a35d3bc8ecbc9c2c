//! Captures of SIP messages without I/O: HEP3 for collectors such as Homer, pcapng for Wireshark
//! and sngrep.
//!
//! A capture is fed by the tap of a transport
//! ([`Config::tap`](sip_transport_proto::Config::tap)), so messages over TLS and secure WebSocket
//! are in clear. Applications use it through an adapter with the feature `capture`, such as
//! `adapter-tokio`; this crate is for event loops of their own.
//!
//! - [`CapturedMessage`]: a message with its path and time.
//! - [`Filter`] chooses messages by method, address and a share of the Call-IDs; [`Redaction`]
//!   hides credentials and bodies.
//! - [`hep`]: the encoder and decoder of HEP3 frames.
//! - [`Sender`]: the queue of frames for a collector over UDP, TCP or TLS, with reconnects.
//! - [`pcapng`]: the writer of capture files.
//!
//! There is no clock, socket or randomness in this crate, and no input causes a panic.
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! use sip_capture::{CapturedMessage, hep, pcapng, sip_transport_proto::Protocol};
//!
//! let options = b"OPTIONS sip:bob@example.com SIP/2.0\r\nCall-ID: a84b4c76e66710\r\n\r\n";
//! let message = CapturedMessage::new(
//!     UNIX_EPOCH + Duration::from_secs(1_800_000_000),
//!     Protocol::Tls,
//!     "192.0.2.1:49152".parse()?,
//!     "192.0.2.2:5061".parse()?,
//!     options,
//! );
//!
//! let mut frame = Vec::new();
//! hep::Encoder::new(7).encode(&message, &mut frame)?;
//! let decoded = hep::Frame::decode(&frame)?;
//! assert_eq!(decoded.correlation_id, Some(&b"a84b4c76e66710"[..]));
//! assert_eq!(decoded.payload, options);
//!
//! let mut file = Vec::new();
//! pcapng::Writer::new().write("192.0.2.2:5061".parse()?, &message, &mut file);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod filter;
mod message;
mod redaction;
mod rows;
mod sender;

pub mod hep;
pub mod pcapng;

pub use ipnet;
pub use sip_transport_proto;

pub use filter::{Filter, ShareError};
pub use message::CapturedMessage;
pub use redaction::Redaction;
pub use sender::{Sender, SenderOutput, SenderSettings, SenderStats};
