//! A SIP caller on blocking sockets, with rustls and tungstenite for what is not plain TCP. It shares no code with the
//! other crates: what both ends get wrong in the same way would else not be found.

pub mod calls;
pub mod crowd;
pub mod flood;
pub mod link;
pub mod message;
pub mod siege;
pub mod tls;

use std::error::Error;

/// What went wrong, in words.
pub type Failure = Box<dyn Error + Send + Sync>;
