//! The addresses of collectors.
#![cfg(feature = "capture")]
#![allow(clippy::unwrap_used)]

use adapter_core::capture::{Capture, Collector, CollectorError};

#[test]
fn a_collector_is_a_host_and_port_with_or_without_a_protocol() {
    for text in [
        "192.0.2.9:9060",
        "udp:192.0.2.9:9060",
        "tcp:homer.example.com:9060",
        "tcp:[2001:db8::9]:9060",
        "[::1]:9060",
    ] {
        assert!(Capture::hep(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "192.0.2.9",
        ":9060",
        "192.0.2.9:0",
        "192.0.2.9:65536",
        "2001:db8::9:9060",
        "[192.0.2.9]:9060",
        "[2001:db8::9:9060",
        "sctp:192.0.2.9:9060",
        "http://homer.example.com:9060",
        "homer example.com:9060",
    ] {
        let refused = CollectorError::Address(text.to_owned());
        assert_eq!(text.parse::<Collector>().unwrap_err(), refused, "{text}");
    }
}

#[test]
fn a_collector_over_tls_needs_a_configuration() {
    let refused = Capture::hep("tls:homer.example.com:9061").unwrap_err();
    assert_eq!(refused, CollectorError::NoTlsConfig);
    assert!("tls:homer.example.com:9061".parse::<Collector>().is_ok());
}
