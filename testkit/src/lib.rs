//! What the adapters share and nobody else needs: the code of their examples.

pub mod examples;
