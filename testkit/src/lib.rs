//! What the adapters share: an in-memory runtime, the behaviour suite, the code of the examples.

pub mod certificates;
pub mod dice;
pub mod examples;
pub mod memory;
pub mod split;
pub mod suite;
