//! A guide to the uses of SIP transports.
//!
//! - [`proxy`]: a proxy or registrar whose clients are behind NAT.
//! - [`tls`]: TLS, secure WebSocket, and certificates that are replaced while running.
//! - [`balancer`]: servers behind a load balancer.
//! - [`capture`]: messages in Homer, Wireshark and sngrep.
//!
//! Each is short, and its code compiles. Whole programs are in the folder `examples` of this crate:
//! `answer` and `call`, `proxy`, `tls`.

pub mod balancer;
pub mod capture;
pub mod proxy;
pub mod tls;
