//! The cases, each a function whose name states the rule that it shows.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

pub mod adapters;
pub mod channels;
pub mod connections;
pub mod datagrams;
pub mod examples;
pub mod exchange;
pub mod hints;
pub mod life;
pub mod receiving;
pub mod responses;
pub mod runtime;
pub mod substitution;
pub mod threads;
