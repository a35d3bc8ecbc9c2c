//! The arguments of the examples.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use clap::Parser;
use sip_transport_proto::sip_core::StatusCode;
use testkit::examples::ping::Expected;
use testkit::examples::{ping, quickstart, responder};

#[test]
fn arguments_that_make_no_sense_are_refused() {
    assert!(ping::Args::try_parse_from(["ping"]).is_err());
    assert!(ping::Args::try_parse_from(["ping", "sip:a", "--count", "0"]).is_err());
    assert!(ping::Args::try_parse_from(["ping", "sip:a", "--interval", "-1"]).is_err());
    for option in [["--expect", "180"], ["--from", "sip:"], ["-4", "-6"]] {
        let args = [&["ping", "sip:a"], &option[..]].concat();
        assert!(ping::Args::try_parse_from(args).is_err());
    }
    assert!(responder::Args::try_parse_from(["responder"]).is_err());
    assert!(responder::Args::try_parse_from(["responder", "--udp", "nonsense"]).is_err());
    for option in [["--status", "180"], ["--status", "700"], ["--delay", "-1"]] {
        let args = [&["responder", "--udp", "127.0.0.1:0"], &option[..]].concat();
        assert!(responder::Args::try_parse_from(args).is_err());
    }
    let workers = ["responder", "--udp", "127.0.0.1:0", "--workers", "0"];
    assert!(responder::Args::try_parse_from(workers).is_err());
    assert!(quickstart::Args::try_parse_from(["quickstart", "--port-base", "70000"]).is_err());
}

#[test]
fn a_target_without_a_scheme_is_a_sip_uri() {
    for (target, uri) in [
        ("example.com", "sip:example.com"),
        ("alice@example.com:5070", "sip:alice@example.com:5070"),
        (
            "192.0.2.1:5070;transport=tcp",
            "sip:192.0.2.1:5070;transport=tcp",
        ),
        ("localhost:5060", "sip:localhost:5060"),
        ("[2001:db8::1]:5060", "sip:[2001:db8::1]:5060"),
        ("2001:db8::1", "sip:[2001:db8::1]"),
        ("sip:example.com", "sip:example.com"),
        ("SIPS:example.com", "SIPS:example.com"),
        ("tel:+15551234", "tel:+15551234"),
    ] {
        let args = ping::Args::try_parse_from(["ping", target]).unwrap();
        assert_eq!(args.uri, uri);
    }
    let error = ping::Args::try_parse_from(["ping", "a b"]).unwrap_err();
    assert!(error.to_string().contains("sip:a b: "), "{error}");
}

#[test]
fn success_is_one_response_that_is_expected() {
    let codes = |codes: &[u16]| -> Vec<_> {
        codes
            .iter()
            .map(|code| StatusCode::new(*code).unwrap())
            .collect()
    };
    let succeeds = |expected: Expected, came: &[u16]| expected.verdict(&codes(came)).is_ok();
    for expected in [Expected::Success, Expected::Any, Expected::Code(200)] {
        assert!(!succeeds(expected, &[]));
        assert!(succeeds(expected, &[404, 200, 503]));
        assert_eq!(succeeds(expected, &[404]), expected == Expected::Any);
        assert_eq!(
            succeeds(expected, &[202]),
            !matches!(expected, Expected::Code(_))
        );
    }
}

#[test]
fn a_responder_listens_on_all_addresses_of_a_host_name() {
    let args = ["responder", "--udp", "localhost:5060", "192.0.2.1:5070"];
    let args = responder::Args::try_parse_from(args).unwrap();
    let [localhost, number] = &args.udp[..] else {
        panic!("two places");
    };
    let is_loopback = |addr: &SocketAddr| addr.ip().is_loopback() && addr.port() == 5060;
    assert!(!localhost.all().is_empty() && localhost.all().iter().all(is_loopback));
    assert_eq!(number.all(), ["192.0.2.1:5070".parse().unwrap()]);
    let unknown = ["responder", "--udp", "nowhere.invalid:5060"];
    assert!(responder::Args::try_parse_from(unknown).is_err());
}
