use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use sip_transport_proto::SipEndpoint;
use sip_transport_proto::sip_core::build::{RequestBuilder, ResponseBuilder};
use sip_transport_proto::sip_core::{Message, Method, Request, StatusCode};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Fills with bytes that no other call gets.
fn fill(random: &mut [u8]) {
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    for (to, from) in random.iter_mut().rev().zip(number.into_iter().rev()) {
        *to = from;
    }
}

/// A request to that address and protocol, with placeholders for where it comes from.
///
/// # Panics
/// It cannot be built.
pub fn request(method: Method<'_>, to: SipEndpoint) -> Request {
    request_to(
        method,
        &format!("sip:bob@{};transport={}", to.addr, to.protocol),
        b"",
    )
}

/// A request to that URI, with that body.
///
/// # Panics
/// It cannot be built.
pub fn request_to(method: Method<'_>, uri: &str, body: &[u8]) -> Request {
    let mut builder = RequestBuilder::new(method, uri);
    if !body.is_empty() {
        builder = builder.body("application/octet-stream", body);
    }
    match builder.build(fill) {
        Ok(request) => request,
        Err(error) => panic!("{error}"),
    }
}

/// A body of so many bytes that differ.
pub fn body_of_length(length: usize) -> Vec<u8> {
    (0..length).map(|n| b'a' + (n % 23) as u8).collect()
}

/// A response to that request, with a tag.
///
/// # Panics
/// It cannot be built.
pub fn reply(request: &Request, status: u16) -> Message {
    let Some(status) = StatusCode::new(status) else {
        panic!("no status: {status}");
    };
    match ResponseBuilder::new(request, status)
        .random_tag(fill)
        .build()
    {
        Ok(response) => response.into(),
        Err(error) => panic!("{error}"),
    }
}

/// What a peer writes: a request by hand, with that Via and CSeq number.
pub fn text(method: &str, via: &str, number: u32) -> String {
    format!(
        "{method} sip:alice@example.com SIP/2.0\r\n\
         Via: {via}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:bob@example.com>;tag=1\r\n\
         To: <sip:alice@example.com>\r\n\
         Call-ID: by-hand\r\n\
         CSeq: {number} {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// A Via by hand.
pub fn via(protocol: &str, sent_by: SocketAddr, rest: &str) -> String {
    format!("SIP/2.0/{protocol} {sent_by};branch=z9hG4bKhand{rest}")
}
