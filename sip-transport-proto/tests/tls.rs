//! TLS, bytes in and bytes out: records, limits, ends and errors.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![cfg(feature = "tls")]

#[path = "../../testkit/src/certificates.rs"]
#[allow(dead_code, unreachable_pub)]
mod certificates;

use certificates::Certificates;
use sip_transport_proto::Protocol;
use sip_transport_proto::tls::{Tls, TlsName};

#[test]
fn what_is_written_at_one_end_is_read_at_the_other() {
    let made = Certificates::new();
    let name = TlsName::new("example.com").unwrap();
    let mut client = Tls::client(&made.client(), Protocol::Tls, &name).unwrap();
    let mut server = Tls::server(&made.server(&["example.com"]), Protocol::Tls).unwrap();
    let mut got = Vec::new();
    for _ in 0..4 {
        let mut wire = Vec::new();
        client.flush(&mut wire);
        server
            .read(&wire, &mut |data| {
                got.extend_from_slice(data);
                data.len()
            })
            .unwrap();
        wire.clear();
        server.flush(&mut wire);
        client.read(&wire, &mut |data| data.len()).unwrap();
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    let mut wire = Vec::new();
    assert!(client.write(b"OPTIONS", &mut wire));
    server
        .read(&wire, &mut |data| {
            got.extend_from_slice(data);
            data.len()
        })
        .unwrap();
    assert_eq!(got, b"OPTIONS");
}
