//! Observability: counters and `tracing` events.

pub(crate) mod counters;
pub(crate) mod log_limiter;
pub mod trace;
