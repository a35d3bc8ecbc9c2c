//! What stands for `0.0.0.0` and `[::]` in Via, From and Contact, and what is left alone.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{
    Host, Received, addr, header, hints, invite, ip, numbered, ok, options, tcp, to, udp,
    wire_request, wire_response,
};
use proptest::prelude::*;
use sip_transport_proto::error::ChannelError;
use sip_transport_proto::resolve::Family;
use sip_transport_proto::sip_core::{Message, Name, Request};
use sip_transport_proto::{
    Advertised, ChannelConfig, Config, Hints, Protocol, SendOptions, Sent, SipEndpoint,
    Substitution,
};

/// Every way to write the placeholder that peers and applications use.
const PLACEHOLDERS: [&str; 5] = ["0.0.0.0", "[::]", "[::0]", "[0:0:0:0:0:0:0:0]", "[0::0]"];

fn with_contact(contact: &str) -> Request {
    let mut request = invite("sip:bob@192.0.2.9");
    request.set("Contact", contact).unwrap();
    request
}

/// Sends over UDP from 192.0.2.1:5060.
fn over_udp(request: Request) -> Sent {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.send(request, to(udp("192.0.2.9:5060")))
}

/// Sends over TCP from a listening channel on 192.0.2.1:5060, connected from port 40000.
fn over_tcp(request: Request) -> Sent {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let send = host.waits(request, to(tcp("192.0.2.9:5060")));
    host.connected("192.0.2.1:40000");
    host.completed(send).unwrap()
}

// conformance: 82, 428
#[test]
fn every_spelling_of_the_placeholder_becomes_the_sending_socket() {
    for host in PLACEHOLDERS {
        for port in ["", ":0", ":5060", ":12345"] {
            let mut request = with_contact(&format!("<sip:alice@{host}{port}>"));
            request
                .set("Via", format!("SIP/2.0/UDP {host}{port};branch=z9hG4bKa"))
                .unwrap();
            request
                .set("From", format!("\"0.0.0.0\" <sip:alice@{host}>;tag=1"))
                .unwrap();
            let sent = over_udp(request);
            assert_eq!(
                header(sent.bytes(), "Contact"),
                "<sip:alice@192.0.2.1:5060>"
            );
            let via = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa";
            assert_eq!(header(sent.bytes(), "Via"), via);
            let from = "\"0.0.0.0\" <sip:alice@192.0.2.1>;tag=1";
            assert_eq!(header(sent.bytes(), "From"), from);
            let filled = sent.filled();
            assert!(filled.via && filled.from && filled.contacts == 1);
            assert_eq!(filled.with.as_deref(), Some("192.0.2.1:5060"));
        }
    }
}

#[test]
fn other_hosts_are_left_as_they_are() {
    for host in [
        "192.0.2.77",
        "0.0.0.1",
        "[::1]",
        "0.0.0.0.example",
        "host.example",
    ] {
        let mut request = with_contact(&format!("<sip:alice@{host}>"));
        request
            .set("Via", format!("SIP/2.0/UDP {host};branch=z9hG4bKa"))
            .unwrap();
        request
            .set("From", format!("<sip:alice@{host}>;tag=1"))
            .unwrap();
        let given = request.to_bytes();
        let sent = over_udp(request);
        assert_eq!(*sent.bytes(), given, "{host}");
        assert_eq!(*sent.filled(), Default::default());
    }
}

#[test]
fn only_the_host_of_a_uri_can_be_a_placeholder() {
    let contact = "<sip:0.0.0.0@host.example;x=0.0.0.0>;y=\"sip:0.0.0.0\"";
    let sent = over_udp(with_contact(contact));
    assert_eq!(header(sent.bytes(), "Contact"), contact);
}

#[test]
fn every_contact_is_filled_in_whatever_the_rows() {
    let mut request =
        with_contact("<sip:a@0.0.0.0>;q=0.5, \"B, b\" <sip:b@host.example>, <sip:c@[::]>");
    request
        .append("m", "<sip:d@0.0.0.0;ob>;expires=60")
        .unwrap();
    let sent = over_udp(request);
    let message = sent.message().unwrap();
    let rows: Vec<_> = message
        .raw_all("Contact")
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(
        rows,
        [
            "<sip:a@192.0.2.1:5060>;q=0.5, \"B, b\" <sip:b@host.example>, <sip:c@192.0.2.1:5060>",
            "<sip:d@192.0.2.1:5060;ob>;expires=60",
        ]
    );
    assert_eq!(sent.filled().contacts, 3);
}

#[test]
fn a_contact_for_all_is_no_placeholder() {
    assert_eq!(header(over_udp(with_contact("*")).bytes(), "Contact"), "*");
}

#[test]
fn the_message_as_given_is_not_changed() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let request = invite("sip:bob@192.0.2.9");
    let given = request.to_bytes();
    host.send(request.clone(), SendOptions::new());
    assert_eq!(request.to_bytes(), given);
}

// conformance: 78
#[test]
fn via_names_the_protocol_and_the_listening_port() {
    let sent = over_tcp(options("sip:192.0.2.9"));
    assert!(
        header(sent.bytes(), "Via").starts_with("SIP/2.0/TCP 192.0.2.1:5060;rport;branch=z9hG4bK")
    );
    assert_eq!(sent.local().addr, addr("192.0.2.1:40000"));
}

#[test]
fn a_channel_without_listener_names_the_connections_own_port() {
    let mut host = Host::new();
    host.channel(ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:0")).listener(false));
    let send = host.waits(invite("sip:192.0.2.9"), to(tcp("192.0.2.9:5060")));
    host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert!(header(sent.bytes(), "Via").starts_with("SIP/2.0/TCP 192.0.2.1:40000;"));
    assert_eq!(
        header(sent.bytes(), "Contact"),
        "<sip:192.0.2.1:40000;transport=tcp>"
    );
}

#[test]
fn a_wildcard_stream_channel_names_the_address_of_the_connection() {
    let mut host = Host::new();
    host.tcp("0.0.0.0:5060");
    let send = host.waits(invite("sip:192.0.2.9"), to(tcp("192.0.2.9:5060")));
    host.connected("192.0.2.44:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(
        header(sent.bytes(), "Contact"),
        "<sip:192.0.2.44:5060;transport=tcp>"
    );
}

#[test]
fn a_wildcard_datagram_channel_names_the_address_that_the_system_sends_from() {
    let mut host = Host::new();
    host.local = Some(ip("192.0.2.44"));
    host.udp("0.0.0.0:5070");
    let sent = host.send(invite("sip:192.0.2.9"), SendOptions::new());
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:192.0.2.44:5070>");
}

#[test]
fn ipv6_stands_in_brackets_without_a_zone() {
    let mut host = Host::new();
    host.local = Some(ip("fe80::1"));
    host.udp("[::]:5060");
    let sent = host.send(invite("sip:[2001:db8::9]"), SendOptions::new());
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:[fe80::1]:5060>");
    assert_eq!(
        header(sent.bytes(), "From"),
        "<sip:[fe80::1]>;tag=0707070707070707"
    );
    assert!(header(sent.bytes(), "Via").starts_with("SIP/2.0/UDP [fe80::1]:5060;"));
}

// conformance: 103, 340
#[test]
fn the_advertised_name_stands_before_the_bound_address() {
    for expected in [
        "pbx.example:7060",
        "pbx.example",
        "203.0.113.5:5060",
        "[2001:db8::5]:5060",
        "[2001:db8::5]",
    ] {
        let mut host = Host::new();
        let config = ChannelConfig::new(Protocol::Udp, addr("10.0.0.1:5060"));
        host.channel(config.advertised(expected.parse().unwrap()));
        let sent = host.send(invite("sip:192.0.2.9"), SendOptions::new());
        assert_eq!(header(sent.bytes(), "Contact"), format!("<sip:{expected}>"));
        assert!(header(sent.bytes(), "Via").starts_with(&format!("SIP/2.0/UDP {expected};")));
    }
}

// conformance: 427, 428, 430, 431
#[test]
fn each_address_family_gets_what_is_advertised_to_it() {
    let mut host = Host::new();
    host.local = Some(ip("2001:db8::1"));
    let config = ChannelConfig::new(Protocol::Udp, addr("[::]:5060")).dual_stack(true);
    let v4 = addr("203.0.113.5:7060").into();
    let v6: Advertised = "[2001:db8:0::5]:8060".parse().unwrap();
    let config = config
        .advertised_to(Family::Ipv4, v4)
        .advertised_to(Family::Ipv6, v6);
    let channel = host.channel(config);
    for (peer, own) in [
        ("192.0.2.9", "203.0.113.5:7060"),
        ("[2001:db8::9]", "[2001:db8::5]:8060"),
        ("[2001:db8::9]:5070", "[2001:db8::5]:8060"),
    ] {
        let sent = host.send(invite(&format!("sip:{peer}")), SendOptions::new());
        assert_eq!(header(sent.bytes(), "Contact"), format!("<sip:{own}>"));
        assert!(header(sent.bytes(), "Via").starts_with(&format!("SIP/2.0/UDP {own};")));
    }
    // Both are ours, whatever the family that a response comes over.
    for own in ["203.0.113.5:7060", "[2001:DB8::0:5]:8060"] {
        let response = wire_response(&format!("SIP/2.0/UDP {own};branch=z9hG4bK1"));
        assert!(
            host.datagram(channel, "192.0.2.9:5060", &response)
                .is_some()
        );
    }
}

// conformance: 428, 430
#[test]
fn what_is_advertised_to_one_family_is_not_told_to_the_other() {
    let mut host = Host::new();
    host.local = Some(ip("192.0.2.44"));
    let config = ChannelConfig::new(Protocol::Udp, addr("[::]:5060")).dual_stack(true);
    let v6 = "v6.example".parse().unwrap();
    host.channel(config.advertised_to(Family::Ipv6, v6));
    let sent = host.send(invite("sip:192.0.2.9"), SendOptions::new());
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:192.0.2.44:5060>");
}

// conformance: 110, 429
#[test]
fn what_is_advertised_can_change_and_late_responses_still_come() {
    let mut host = Host::new();
    let channel = host.udp("10.0.0.1:5060");
    let mapped = addr("203.0.113.5:40000");
    let names = |host: &mut Host| {
        let sent = host.send(invite("sip:192.0.2.9"), SendOptions::new());
        header(sent.bytes(), "Contact")
    };
    assert_eq!(names(&mut host), "<sip:10.0.0.1:5060>");
    for (advertised, contact) in [
        (Some(mapped.into()), "<sip:203.0.113.5:40000>"),
        (Some("pbx.example".parse().unwrap()), "<sip:pbx.example>"),
        (None, "<sip:10.0.0.1:5060>"),
    ] {
        let now = host.now;
        let known = host
            .transport
            .advertise(now, channel, Family::Ipv4, advertised);
        assert_eq!(known, Ok(()));
        assert_eq!(names(&mut host), contact);
    }
    let taken = |host: &mut Host, own: &str| {
        let response = wire_response(&format!("SIP/2.0/UDP {own};branch=z9hG4bK1"));
        host.datagram(channel, "192.0.2.9:5060", &response)
            .is_some()
    };
    host.pass(Duration::from_secs(599));
    assert!(taken(&mut host, "203.0.113.5:40000"));
    assert!(taken(&mut host, "pbx.example"));
    host.pass(Duration::from_secs(2));
    assert!(!taken(&mut host, "203.0.113.5:40000"));
    assert!(!taken(&mut host, "pbx.example"));
    assert!(taken(&mut host, "10.0.0.1"));
    let now = host.now;
    host.transport.remove_channel(now, channel).unwrap();
    assert_eq!(
        host.transport.advertise(now, channel, Family::Ipv4, None),
        Err(ChannelError::Unknown(channel))
    );
}

// conformance: 137
#[test]
fn what_a_listener_puts_into_contact_leads_back_to_it() {
    for (config, contact) in [
        (
            ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5070")),
            "<sip:192.0.2.1:5070>",
        ),
        (
            ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:5071")),
            "<sip:192.0.2.1:5071;transport=tcp>",
        ),
    ] {
        let mut host = Host::new();
        let destination = SipEndpoint::new(config.protocol(), addr("192.0.2.9:5060"));
        let stream = config.protocol().is_stream();
        host.channel(config);
        let sent = if stream {
            let send = host.waits(invite("sip:192.0.2.9"), to(destination));
            host.connected("192.0.2.1:40000");
            host.completed(send).unwrap()
        } else {
            host.send(invite("sip:192.0.2.9"), to(destination))
        };
        assert_eq!(header(sent.bytes(), "Contact"), contact);
    }
}

// conformance: 340
#[test]
fn what_is_no_host_and_port_cannot_be_advertised() {
    for text in [
        "",
        "a b",
        "host:",
        "host:70000",
        "host:1:2",
        "x;y",
        "::1",
        "h\r\nX: y",
    ] {
        assert!(text.parse::<Advertised>().is_err(), "{text}");
    }
    for text in ["sip.example.com:5080", "192.0.2.1", "[2001:db8::1]:5060"] {
        assert_eq!(text.parse::<Advertised>().unwrap().to_string(), text);
    }
}

// RFC 3261 §16.6 step 4
#[test]
fn a_record_route_put_on_top_gets_the_sending_socket() {
    let forwarded = || {
        let bytes = wire_request(
            "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
            "Record-Route: <sip:0.0.0.0;lr>\r\nContact: <sip:0.0.0.0>\r\n",
        );
        let mut message = Message::parse(bytes).unwrap();
        message.prepend(Name::Via, "SIP/2.0/UDP 0.0.0.0").unwrap();
        message
    };
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060"));
    host.channel(config.advertised("proxy.example:5080".parse().unwrap()));

    // What another proxy put there stays.
    let sent = host.send(forwarded(), to(udp("192.0.2.7:5060")));
    assert_eq!(header(sent.bytes(), "Record-Route"), "<sip:0.0.0.0;lr>");
    assert!(!sent.filled().record_route);

    let mut message = forwarded();
    message
        .prepend(Name::RecordRoute, "<sip:p1@0.0.0.0;transport=udp;lr>;a=b")
        .unwrap();
    let sent = host.send(message, to(udp("192.0.2.7:5060")));
    let rows = Message::parse(sent.bytes().clone()).unwrap();
    let rows: Vec<_> = rows
        .rows()
        .filter(|row| row.name() == Name::RecordRoute)
        .map(|row| String::from_utf8(row.value().to_vec()).unwrap())
        .collect();
    assert_eq!(
        rows,
        [
            "<sip:p1@proxy.example:5080;transport=udp;lr>;a=b",
            "<sip:0.0.0.0;lr>"
        ]
    );
    assert!(sent.filled().record_route);
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:0.0.0.0>");
}

// RFC 5658 §5
#[test]
fn two_record_routes_get_the_sides_of_the_proxy() {
    let mut host = Host::new();
    let inside = host.udp("192.0.2.1:5060");
    let outside = ChannelConfig::new(Protocol::Udp, addr("198.51.100.1:5070"));
    let outside = host.channel(outside.advertised("proxy.example".parse().unwrap()));
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let bytes = wire_request(via, "Record-Route: <sip:0.0.0.0;lr>\r\n");
    let received = host.request(inside, "192.0.2.9:5060", &bytes).request;
    for rows in [
        &["<sip:0.0.0.0;lr;r2=on>", "<sip:0.0.0.0;lr;r2=on>"][..],
        &["<sip:0.0.0.0;lr;r2=on>, <sip:0.0.0.0;lr;r2=on>"],
    ] {
        let mut message = received.clone().into_message();
        message.prepend(Name::Via, "SIP/2.0/UDP 0.0.0.0").unwrap();
        for row in rows {
            message.prepend(Name::RecordRoute, *row).unwrap();
        }
        let options = to(udp("198.51.100.7:5060")).channel(outside);
        let sent = host.send(message, options);
        let text = String::from_utf8(sent.bytes().to_vec()).unwrap();
        let ours = [
            "<sip:proxy.example;lr;r2=on>",
            "<sip:192.0.2.1:5060;lr;r2=on>",
        ];
        let [top, below] = ours.map(|uri| text.find(uri).unwrap());
        assert!(top < below, "{text}");
        // What was there is another's.
        assert_eq!(text.matches("<sip:0.0.0.0;lr>").count(), 1, "{text}");
        assert!(sent.filled().record_route && sent.filled().second_record_route);
    }
}

#[test]
fn what_a_channel_advertises_can_be_asked_for() {
    let mut host = Host::new();
    let channel = host.udp("0.0.0.0:5060");
    let now = host.now;
    let name: Advertised = "proxy.example:5080".parse().unwrap();
    let transport = &mut host.transport;
    assert_eq!(transport.router().advertised(channel, Family::Ipv4), None);
    transport
        .advertise(now, channel, Family::Ipv4, Some(name.clone()))
        .unwrap();
    assert_eq!(
        transport.router().advertised(channel, Family::Ipv4),
        Some(&name)
    );
    assert_eq!(transport.router().advertised(channel, Family::Ipv6), None);
}

// RFC 3261 §12.1.1: a response's is an echo.
#[test]
fn a_record_route_of_a_response_is_an_echo() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let bytes = wire_request(
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "Record-Route: <sip:0.0.0.0;lr>\r\n",
    );
    let received = host.request(channel, "192.0.2.9:5060", &bytes);
    let mut response = ok(&received.request);
    response.set(Name::RecordRoute, "<sip:[::];lr>").unwrap();
    let sent = host.send(response, SendOptions::new());
    assert_eq!(header(sent.bytes(), "Record-Route"), "<sip:[::];lr>");
}

#[test]
fn a_local_address_hint_is_the_address_named() {
    let mut host = Host::new();
    host.udp("0.0.0.0:5060");
    let wish = Hints {
        local: Some(ip("192.0.2.5")),
        ..Hints::default()
    };
    let sent = host.send(invite("sip:192.0.2.9"), hints(wish));
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:192.0.2.5:5060>");
}

// RFC 3261 §19.1.1
#[test]
fn from_takes_the_host_only() {
    let mut request = invite("sip:bob@192.0.2.9");
    request
        .set("From", "<sip:alice@0.0.0.0:5099>;tag=1")
        .unwrap();
    assert_eq!(
        header(over_udp(request).bytes(), "From"),
        "<sip:alice@192.0.2.1>;tag=1"
    );
}

#[test]
fn a_contact_names_the_transport_of_a_stream_and_none_on_udp() {
    for (given, udp, tcp) in [
        (
            "<sip:a@0.0.0.0>",
            "<sip:a@192.0.2.1:5060>",
            "<sip:a@192.0.2.1:5060;transport=tcp>",
        ),
        (
            "<sip:a@0.0.0.0;transport=udp>",
            "<sip:a@192.0.2.1:5060>",
            "<sip:a@192.0.2.1:5060;transport=tcp>",
        ),
        (
            "<sip:a@0.0.0.0;Transport=TCP;ob>",
            "<sip:a@192.0.2.1:5060;ob>",
            "<sip:a@192.0.2.1:5060;ob;transport=tcp>",
        ),
        (
            "<sip:0.0.0.0;x=\"1\">;expires=9",
            "<sip:0.0.0.0;x=\"1\">;expires=9",
            "",
        ),
        ("sip:0.0.0.0;expires=9", "sip:192.0.2.1:5060;expires=9", ""),
    ] {
        if given.contains('"') {
            // Quotes have no place in a URI: an error, not a guess.
            continue;
        }
        assert_eq!(
            header(over_udp(with_contact(given)).bytes(), "Contact"),
            udp
        );
        if !tcp.is_empty() {
            assert_eq!(
                header(over_tcp(with_contact(given)).bytes(), "Contact"),
                tcp
            );
        }
    }
}

#[test]
fn a_contact_in_a_register_is_filled_in_too() {
    use sip_transport_proto::sip_core::{Method, build::RequestBuilder};
    let builder = RequestBuilder::new(Method::Register, "sip:192.0.2.9");
    let mut request = builder.build(|bytes| bytes.fill(7)).unwrap();
    request.set("Contact", "<sip:alice@0.0.0.0>").unwrap();
    assert_eq!(
        header(over_udp(request).bytes(), "Contact"),
        "<sip:alice@192.0.2.1:5060>"
    );
}

#[test]
fn a_missing_branch_is_added_and_one_that_is_there_kept() {
    let mut request = options("sip:192.0.2.9");
    request
        .set("Via", "SIP/2.0/UDP 0.0.0.0;Branch=z9hG4bKmine;rport")
        .unwrap();
    let via = header(over_udp(request).bytes(), "Via");
    assert_eq!(via, "SIP/2.0/UDP 192.0.2.1:5060;Branch=z9hG4bKmine;rport");
    let first = over_udp(options("sip:192.0.2.9"));
    let via = header(first.bytes(), "Via");
    let branch = via
        .strip_prefix("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK")
        .unwrap();
    assert_eq!(branch.len(), 16);
}

/// A quoted value may hold any bytes, UTF-8 or not (RFC 3261 §25.1).
#[test]
fn a_quoted_via_parameter_that_is_not_utf8_is_kept_with_all_others() {
    for (given, params) in [
        (
            &b";a=1;x=\"\xff\xc3(\";branch=z9hG4bKmine;b"[..],
            &b";a=1;x=\"\xff\xc3(\";branch=z9hG4bKmine;b"[..],
        ),
        (
            b"; x = \"\x80\" ;branch=z9hG4bKmine",
            b"; x = \"\x80\" ;branch=z9hG4bKmine",
        ),
    ] {
        let mut request = options("sip:192.0.2.9");
        request
            .set("Via", [&b"SIP/2.0/UDP 0.0.0.0"[..], given].concat())
            .unwrap();
        let sent = over_udp(request);
        let message = sent.message().unwrap();
        let via = message.raw(Name::Via).unwrap();
        assert_eq!(via, [&b"SIP/2.0/UDP 192.0.2.1:5060"[..], params].concat());
    }
}

#[test]
fn only_the_top_via_is_touched() {
    let mut request = options("sip:192.0.2.9");
    request
        .set(
            "Via",
            "SIP/2.0/UDP 0.0.0.0;branch=z9hG4bKa, SIP/2.0/UDP 0.0.0.0;branch=z9hG4bKb",
        )
        .unwrap();
    request
        .append("Via", "SIP/2.0/UDP 0.0.0.0;branch=z9hG4bKc")
        .unwrap();
    let message = over_udp(request).message().unwrap();
    let rows: Vec<_> = message
        .raw_all("Via")
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(
        rows,
        [
            "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa, SIP/2.0/UDP 0.0.0.0;branch=z9hG4bKb",
            "SIP/2.0/UDP 0.0.0.0;branch=z9hG4bKc",
        ]
    );
}

/// A request that came from the wire with placeholders everywhere.
fn received(host: &mut Host) -> Received {
    let channel = host.udp("192.0.2.1:5060");
    let data = wire_request(
        "SIP/2.0/UDP 0.0.0.0;branch=z9hG4bK1",
        "Contact: <sip:b@0.0.0.0>\r\n",
    );
    let text = String::from_utf8(data)
        .unwrap()
        .replace("<sip:b@192.0.2.9>", "<sip:b@0.0.0.0>");
    host.request(channel, "192.0.2.9:5060", text.as_bytes())
}

// conformance: 175, 179
#[test]
fn in_a_message_from_the_wire_only_a_via_put_on_top_is_filled_in() {
    let mut host = Host::new();
    let mut request = received(&mut host).request;
    let untouched = host.send(request.clone(), to(udp("192.0.2.8:5060")));
    assert_eq!(*untouched.bytes(), request.to_bytes());
    request.prepend("Via", "SIP/2.0/UDP 0.0.0.0").unwrap();
    let sent = host.send(request, to(udp("192.0.2.8:5060")));
    let message = sent.message().unwrap();
    let vias: Vec<_> = message
        .raw_all("Via")
        .map(String::from_utf8_lossy)
        .collect();
    assert!(vias[0].starts_with("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK"));
    assert!(vias[1].starts_with("SIP/2.0/UDP 0.0.0.0;"));
    assert_eq!(header(sent.bytes(), "From"), "<sip:b@0.0.0.0>;tag=1");
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:b@0.0.0.0>");
}

#[test]
fn a_forwarded_message_is_filled_in_where_that_is_asked_for() {
    let mut host = Host::new();
    let request = received(&mut host).request;
    let sent = host.send(request, to(udp("192.0.2.8:5060")).fill_forwarded());
    assert_eq!(header(sent.bytes(), "From"), "<sip:b@192.0.2.1>;tag=1");
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:b@192.0.2.1:5060>");
}

// RFC 3261 §8.2.6.2; conformance: 181
#[test]
fn of_a_response_only_contacts_are_filled_in() {
    let mut host = Host::new();
    let request = received(&mut host).request;
    let mut response = ok(&request);
    response.set("Contact", "<sip:me@0.0.0.0>").unwrap();
    let sent = host.send(response, SendOptions::new());
    let via = header(&request.to_bytes(), "Via");
    assert_eq!(header(sent.bytes(), "Via"), via);
    assert_eq!(header(sent.bytes(), "From"), "<sip:b@0.0.0.0>;tag=1");
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:me@192.0.2.1:5060>");
}

#[test]
fn a_response_names_the_address_that_the_request_came_to() {
    let mut host = Host::new();
    host.local = Some(ip("192.0.2.3"));
    let channel = host.udp("0.0.0.0:5060");
    let data = wire_request("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "");
    let event = host.datagram_to(channel, "192.0.2.9:5060", Some(ip("192.0.2.2")), &data);
    let request = Received::from(event.unwrap()).request;
    let mut response = ok(&request);
    response.set("Contact", "<sip:0.0.0.0>").unwrap();
    let sent = host.send(response, SendOptions::new());
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:192.0.2.2:5060>");
}

#[test]
fn a_response_over_tcp_names_the_listener() {
    let mut host = Host::new();
    let channel = host.tcp("0.0.0.0:5060");
    let id = host.accept(channel, "192.0.2.2:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let request = Received::from(host.events.pop_front().unwrap()).request;
    let mut response = ok(&request);
    response.set("Contact", "<sip:0.0.0.0>").unwrap();
    let sent = host.send(response, SendOptions::new());
    assert_eq!(
        header(sent.bytes(), "Contact"),
        "<sip:192.0.2.2:5060;transport=tcp>"
    );
}

#[test]
fn the_original_way_fills_in_from_with_port_responses_and_wire_messages() {
    let original = |options: SendOptions| options.substitution(Substitution::Original);
    let mut host = Host::new();
    let sent = {
        host.udp("192.0.2.2:5060");
        host.send(invite("sip:192.0.2.9"), original(SendOptions::new()))
    };
    assert_eq!(
        header(sent.bytes(), "From"),
        "<sip:192.0.2.2:5060>;tag=0707070707070707"
    );

    let mut host = Host::new();
    let request = received(&mut host).request;
    let sent = host.send(ok(&request), original(SendOptions::new()));
    assert_eq!(header(sent.bytes(), "From"), "<sip:b@192.0.2.1:5060>;tag=1");
    assert!(header(sent.bytes(), "Via").starts_with("SIP/2.0/UDP 192.0.2.1:5060;"));
    let sent = host.send(request, original(to(udp("192.0.2.8:5060"))));
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:b@192.0.2.1:5060>");
    assert!(header(sent.bytes(), "Via").starts_with("SIP/2.0/UDP 192.0.2.1:5060;"));
}

#[test]
fn substitution_can_be_switched_off() {
    let mut config = Config::default();
    config.substitution(Substitution::Off);
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    let sent = host.send(invite("sip:192.0.2.9"), SendOptions::new());
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:0.0.0.0>");
    assert!(header(sent.bytes(), "Via").starts_with("SIP/2.0/UDP 0.0.0.0;rport;branch="));
}

/// Values of headers that have nothing to do with the sending socket.
fn other_header() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 <>:;=@.\"]{0,60}".prop_map(|value| value.trim().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    // conformance: 179
    #[test]
    fn all_else_goes_out_byte_for_byte(
        values in prop::collection::vec(other_header(), 1..8),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut request = invite("sip:bob@192.0.2.9");
        for (number, value) in values.iter().enumerate() {
            request.append(format!("X-{number}").as_str(), value).unwrap();
        }
        request.set_body(body.clone()).unwrap();
        let given = Message::parse(request.to_bytes()).unwrap();
        let sent = over_udp(request).message().unwrap();
        prop_assert_eq!(sent.body(), body.as_slice());
        prop_assert_eq!(given.rows().count(), sent.rows().count());
        for (given, sent) in given.rows().zip(sent.rows()) {
            prop_assert_eq!(given.name_text(), sent.name_text());
            if !matches!(sent.name_text(), b"Via" | b"From" | b"Contact") {
                prop_assert_eq!(given.value(), sent.value());
            }
        }
    }
}
