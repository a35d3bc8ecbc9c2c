//! The bodies of the fuzz targets, so that ordinary tests can replay the corpus without libFuzzer.
//!
//! Each asserts a property; "does not panic" comes with it.

mod agree;
#[allow(dead_code, unreachable_pub)]
#[path = "../../sip-capture/tests/common/capture_file.rs"]
mod capture_file;
#[allow(dead_code, unreachable_pub)]
#[path = "../../testkit/src/certificates.rs"]
mod certificates;
mod dns_plan;
mod headers;
mod hep;
mod message;
mod pcapng;
mod steps;
mod stream;
mod tls_ws_stream;
mod transport;
mod uri;
mod websocket;

pub use agree::agree;
pub use dns_plan::dns_plan;
pub use headers::headers;
pub use hep::hep;
pub use message::message;
pub use pcapng::pcapng;
pub use steps::steps;
pub use stream::stream;
pub use tls_ws_stream::tls_ws_stream;
pub use transport::transport;
pub use uri::uri;
pub use websocket::websocket;

/// A target's name, which is also that of its folder in `corpus`, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("message", message),
    ("agree", agree),
    ("steps", steps),
    ("uri", uri),
    ("headers", headers),
    ("stream", stream),
    ("transport", transport),
    ("websocket", websocket),
    ("tls_ws_stream", tls_ws_stream),
    ("dns_plan", dns_plan),
    ("hep", hep),
    ("pcapng", pcapng),
];
