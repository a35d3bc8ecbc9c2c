//! Tests and example code that the adapters share: an in-memory runtime and the behaviour suite.

pub mod memory;
