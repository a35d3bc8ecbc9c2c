//! The SIP transport on tokio.

mod runtime;

pub use runtime::TokioRuntime;
