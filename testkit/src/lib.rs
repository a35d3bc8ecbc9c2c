//! What the adapters share: an in-memory runtime, the behaviour suite, the code of the examples, the
//! accounts of the simulations.

pub mod certificates;
pub mod dice;
pub mod examples;
pub mod ledger;
pub mod memory;
pub mod split;
pub mod suite;
pub mod weather;
