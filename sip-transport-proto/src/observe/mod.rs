//! What an operator sees: counts, and `tracing` events.

pub(crate) mod counters;
pub mod trace;
