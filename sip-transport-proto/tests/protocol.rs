//! What each transport protocol is called, and what it is.
#![allow(missing_docs)]

use sip_transport_proto::Protocol::{self, Tcp, Tls, Udp, Ws, Wss};

// conformance: 104, 105, 172, 228, 404, 405
#[test]
fn every_protocol_has_its_name_port_and_reliability() {
    for (protocol, token, port, is_reliable, is_secure) in [
        (Udp, "UDP", 5060, false, false),
        (Tcp, "TCP", 5060, true, false),
        (Tls, "TLS", 5061, true, true),
        (Ws, "WS", 80, true, false),
        (Wss, "WSS", 443, true, true),
    ] {
        assert_eq!(protocol.via_token(), token);
        assert_eq!(protocol.default_port(), port);
        assert_eq!(protocol.is_stream(), is_reliable);
        assert_eq!(protocol.is_secure(), is_secure);
        for text in [token.to_owned(), token.to_lowercase()] {
            assert_eq!(Protocol::from_token(&text), Some(protocol));
        }
    }
    for text in ["", "SCTP", "TLS-SCTP", "UDP "] {
        assert_eq!(Protocol::from_token(text), None);
    }
}
