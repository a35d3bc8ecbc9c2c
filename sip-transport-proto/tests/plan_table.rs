//! Where a request goes by its request URI and its Route (RFC 3261 §8.1.2, RFC 3263), as
//! `Transport::plan` tells: URI, routes and zone in; ordered targets out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Host, options};
use sip_transport_proto::resolve::{Target, Zone};
use sip_transport_proto::{Config, Outgoing, SendOptions};
use testkit::suite::authority;

struct Row {
    rule: &'static str,
    uri: &'static str,
    routes: &'static [&'static str],
    targets: &'static str,
}

macro_rules! rows {
    ($($rule:literal: $uri:literal, $routes:expr => $targets:expr;)+) => {
        &[$(Row { rule: $rule, uri: $uri, routes: &$routes, targets: $targets },)+]
    };
}

const ZONE: &str = "
    example.com               NAPTR 10 10 s SIPS+D2T _sips._tcp.example.com
    example.com               NAPTR 20 10 s SIP+D2U _sip._udp.example.com
    _sips._tcp.example.com    SRV 1 1 5061 a.example.com
    _sips._tcp.example.com    SRV 2 1 5071 b.example.com
    _sip._udp.example.com     SRV 1 1 5060 a.example.com
    _sip._tcp.example.com     SRV 1 1 5062 b.example.com
    a.example.com             A 192.0.2.1
    b.example.com             A 192.0.2.2
    b.example.com             AAAA 2001:db8::2
    proxy.example             A 192.0.2.7
    proxy.example             AAAA 2001:db8::7
    _sip._udp.udp.example     SRV 0 0 5066 proxy.example";

const TABLE: &[Row] = rows! {
    "without a Route, the request URI":
        "sip:bob@example.com", []
        => "tls 192.0.2.1:5061 example.com
            tls [2001:db8::2]:5071 example.com\ntls 192.0.2.2:5071 example.com";
    "without a Route, the request URI with its transport":
        "sip:bob@example.com;transport=tcp", []
        => "tcp [2001:db8::2]:5062\ntcp 192.0.2.2:5062";
    "without a Route, sips":
        "sips:bob@example.com", []
        => "tls 192.0.2.1:5061 example.com
            tls [2001:db8::2]:5071 example.com\ntls 192.0.2.2:5071 example.com";
    "without a Route, an address":
        "sip:bob@192.0.2.9", [] => "udp 192.0.2.9:5060";
    "without a Route, maddr, and the name to be proven stays":
        "sips:bob@example.com;maddr=192.0.2.8", [] => "tls 192.0.2.8:5061 example.com";
    "a loose router comes before the request URI":
        "sip:bob@example.com", ["<sip:192.0.2.20;lr>"] => "udp 192.0.2.20:5060";
    "a loose router with a port":
        "sip:bob@example.com", ["<sip:192.0.2.20:5099;lr>"] => "udp 192.0.2.20:5099";
    "a loose router with a transport":
        "sip:bob@example.com", ["<sip:192.0.2.20;transport=tcp;lr>"] => "tcp 192.0.2.20:5060";
    "a loose router over TLS":
        "sip:bob@example.com", ["<sip:192.0.2.20;transport=tls;lr>"]
        => "tls 192.0.2.20:5061 192.0.2.20";
    "a loose router over WebSocket":
        "sip:bob@example.com", ["<sip:192.0.2.20;transport=ws;lr>"] => "ws 192.0.2.20:80";
    "a loose router by IPv6":
        "sip:bob@example.com", ["<sip:[2001:db8::20]:5070;lr>"] => "udp [2001:db8::20]:5070";
    "a loose router by name and port":
        "sip:bob@example.com", ["<sip:proxy.example:5080;lr>"]
        => "udp [2001:db8::7]:5080\nudp 192.0.2.7:5080";
    "a loose router by a name with services":
        "sip:bob@example.com", ["<sip:udp.example;lr>"]
        => "udp [2001:db8::7]:5066\nudp 192.0.2.7:5066";
    "a loose router by the name of its domain":
        "sip:bob@192.0.2.9", ["<sip:example.com;lr>"]
        => "tls 192.0.2.1:5061 example.com
            tls [2001:db8::2]:5071 example.com\ntls 192.0.2.2:5071 example.com";
    "a loose router with maddr":
        "sip:bob@example.com", ["<sip:proxy.example;maddr=192.0.2.21;lr>"] => "udp 192.0.2.21:5060";
    "a secure loose router with maddr proves its own name":
        "sip:bob@example.com", ["<sips:proxy.example;maddr=192.0.2.21;lr>"]
        => "tls 192.0.2.21:5061 proxy.example";
    "lr may have a value":
        "sip:bob@example.com", ["<sip:192.0.2.20;lr=on>"] => "udp 192.0.2.20:5060";
    "lr in any case":
        "sip:bob@example.com", ["<sip:192.0.2.20;LR>"] => "udp 192.0.2.20:5060";
    "only the first of several Routes counts":
        "sip:bob@example.com", ["<sip:192.0.2.20;lr>", "<sip:192.0.2.21;lr>"]
        => "udp 192.0.2.20:5060";
    "only the first of a row counts":
        "sip:bob@example.com", ["<sip:192.0.2.20;lr>, <sip:192.0.2.21;lr>"]
        => "udp 192.0.2.20:5060";
    "a display name with a comma and a URI in it":
        "sip:bob@example.com", ["\"a, <sip:192.0.2.66;lr>\" <sip:192.0.2.20;lr>"]
        => "udp 192.0.2.20:5060";
    "lr as a parameter of the header is none of the URI":
        "sip:bob@192.0.2.9", ["<sip:192.0.2.20>;lr"] => "udp 192.0.2.9:5060";
    // RFC 3261 §8.1.2: its URI has been put into the request URI.
    "a strict router is the request URI":
        "sip:192.0.2.30", ["<sip:192.0.2.20>", "<sip:bob@example.com>"] => "udp 192.0.2.30:5060";
    "a strict router by name":
        "sip:proxy.example:5090", ["<sip:bob@192.0.2.9>"]
        => "udp [2001:db8::7]:5090\nudp 192.0.2.7:5090";
    "a strict router with a loose one behind it":
        "sip:192.0.2.30", ["<sip:192.0.2.20>", "<sip:192.0.2.21;lr>"] => "udp 192.0.2.30:5060";
    "a secure strict router":
        "sips:192.0.2.30", ["<sip:bob@example.com>"] => "tls 192.0.2.30:5061 192.0.2.30";
    // RFC 3261 §8.1.2, §26.2.2
    "sips in the request URI protects the way to a loose router":
        "sips:bob@example.com", ["<sip:192.0.2.20;lr>"] => "tls 192.0.2.20:5061 192.0.2.20";
    "sips in the Route protects a sip request URI":
        "sip:bob@example.com", ["<sips:192.0.2.20;lr>"] => "tls 192.0.2.20:5061 192.0.2.20";
    "sips with a Route over TCP is TLS":
        "sips:bob@example.com", ["<sip:192.0.2.20;transport=tcp;lr>"]
        => "tls 192.0.2.20:5061 192.0.2.20";
    "sips with a Route over UDP cannot be":
        "sips:bob@example.com", ["<sip:192.0.2.20;transport=udp;lr>"]
        => "error: sips cannot go over udp";
    "sips with a Route over WebSocket is WSS":
        "sips:bob@example.com", ["<sip:192.0.2.20;transport=ws;lr>"]
        => "wss 192.0.2.20:443 192.0.2.20";
    "a tel URI goes where the Route says":
        "tel:+15550100", ["<sip:192.0.2.20;lr>"] => "udp 192.0.2.20:5060";
    "a tel URI without a Route goes nowhere":
        "tel:+15550100", [] => "error: a tel URI names no host to send to";
    "an urn goes where the Route says":
        "urn:service:sos", ["<sip:proxy.example;transport=tcp;lr>"]
        => "tcp [2001:db8::7]:5060\ntcp 192.0.2.7:5060";
    "a Route to a name that is nowhere":
        "sip:bob@192.0.2.9", ["<sip:nobody.invalid;lr>"]
        => "error: nobody.invalid does not exist in DNS (NXDOMAIN)";
    "a Route over a transport that nobody knows":
        "sip:bob@192.0.2.9", ["<sip:192.0.2.20;transport=x;lr>"]
        => "error: transport x is not supported";
};

fn text(target: &Target) -> String {
    let name = target.tls_name.as_ref();
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    format!("{} {}{name}", target.protocol, target.addr)
}

fn plan(zone: &Zone, row: &Row) -> String {
    let mut config = Config::default();
    config.tls(authority().client());
    let mut host = Host::with(config);
    let mut request = options(row.uri);
    for route in row.routes {
        request.append("Route", *route).unwrap();
    }
    let outgoing = Outgoing::new(request, SendOptions::new());
    let now = host.now;
    host.transport.plan(now, outgoing);
    host.drain();
    while !host.lookups.is_empty() {
        host.resolve_from(zone);
    }
    assert!(host.datagrams.is_empty() && host.connects.is_empty());
    match host.plans.pop().expect("the plan ends").1 {
        Ok(targets) => targets.iter().map(text).collect::<Vec<_>>().join("\n"),
        Err(error) => format!("error: {error}"),
    }
}

// RFC 3261 §8.1.2, RFC 3263 §4
// conformance: 83, 84, 195, 276, 297
#[test]
fn each_request_goes_where_its_route_and_its_uri_say() {
    let zone = ZONE.parse().unwrap();
    let mut wrong = Vec::new();
    for row in TABLE {
        let expected = row.targets.lines().map(str::trim);
        let expected = expected.collect::<Vec<_>>().join("\n");
        let targets = plan(&zone, row);
        if targets != expected {
            wrong.push(format!("{}: got\n{targets}\nnot\n{expected}\n", row.rule));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
