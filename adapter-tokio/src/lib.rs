//! The SIP transport on tokio.

mod runtime;

pub use runtime::TokioRuntime;

pub use adapter_core::{self, Builder, Incoming, sip_transport_proto};

/// The SIP transport on tokio.
pub type SipTransport = adapter_core::SipTransport<TokioRuntime>;
