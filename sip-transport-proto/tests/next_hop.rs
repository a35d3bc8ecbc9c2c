//! Which URI of a request says where it goes: the request URI or the top Route (RFC 3261 §8.1.2).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Host, options};
use sip_transport_proto::{Config, Outgoing, SendOptions};
use testkit::suite::authority;

/// Where a request with this URI and these Routes goes first.
fn way(uri: &str, routes: &[&str]) -> String {
    let mut config = Config::default();
    config.tls(authority().client());
    let mut host = Host::with(config);
    let mut request = options(uri);
    for route in routes.iter().rev() {
        request.prepend("Route", *route).unwrap();
    }
    let outgoing = Outgoing::new(request, SendOptions::new());
    let now = host.now;
    host.transport.plan(now, outgoing);
    host.drain();
    let (_, result) = host.plans.pop().unwrap();
    let target = result.unwrap()[0].to_string();
    target.split(' ').next().unwrap().to_owned()
}

// conformance: 83
#[test]
fn the_top_route_goes_before_the_request_uri_if_it_is_a_loose_router() {
    let uri = "sip:bob@192.0.2.9";
    assert_eq!(way(uri, &[]), "udp:192.0.2.9:5060");
    assert_eq!(
        way(uri, &["<sip:192.0.2.50:5080;lr>", "<sip:192.0.2.51;lr>"]),
        "udp:192.0.2.50:5080"
    );
    assert_eq!(
        way(uri, &["<sip:192.0.2.50;lr>, <sip:192.0.2.51>"]),
        "udp:192.0.2.50:5060"
    );
    // A strict router's URI is the request URI already, and the Routes are those behind it.
    assert_eq!(
        way(
            "sip:192.0.2.50",
            &["<sip:192.0.2.51>", "<sip:bob@192.0.2.9>"]
        ),
        "udp:192.0.2.50:5060"
    );
}

// conformance: 84, 276, 278
#[test]
fn one_sips_uri_among_the_two_is_enough_to_ask_for_tls() {
    for (uri, route, way_out) in [
        (
            "sips:192.0.2.9",
            "<sip:192.0.2.50;lr>",
            "tls:192.0.2.50:5061",
        ),
        (
            "sips:192.0.2.9",
            "<sip:192.0.2.50;transport=tcp;lr>",
            "tls:192.0.2.50:5061",
        ),
        (
            "sips:192.0.2.9",
            "<sip:192.0.2.50;transport=ws;lr>",
            "wss:192.0.2.50:443",
        ),
        (
            "sip:192.0.2.9",
            "<sips:192.0.2.50;lr>",
            "tls:192.0.2.50:5061",
        ),
        (
            "sip:192.0.2.9",
            "<sips:192.0.2.50:5099;lr>",
            "tls:192.0.2.50:5099",
        ),
    ] {
        assert_eq!(way(uri, &[route]), way_out, "{uri} {route}");
    }
}
