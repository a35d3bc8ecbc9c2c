//! Clients that share no code with the other crates.
