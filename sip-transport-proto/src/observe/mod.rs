//! Observability: counters and `tracing` events.

pub(crate) mod counters;
pub mod trace;
