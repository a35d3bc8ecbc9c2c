//! What becomes of datagrams and streams that come in: events, stamps, counters, silence.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{Host, Received, addr, ip, numbered, wire_request, wire_request_with_body};
use proptest::prelude::*;
use sip_transport_proto::error::CloseReason;
use sip_transport_proto::sip_core::message::ParseErrorKind;
use sip_transport_proto::{ChannelConfig, Config, ConnectionId, Event, Protocol};

const VIA: &str = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";

/// The top Via of a request with this one, from 192.0.2.9:33333.
fn stamped(via: &str) -> String {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    host.request(channel, "192.0.2.9:33333", &wire_request(via, ""))
        .via()
}

fn stream() -> (Host, ConnectionId) {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    (host, id)
}

fn call_ids(host: &mut Host) -> Vec<String> {
    let events = host.take_events();
    let call_id = |event: &Event| match event {
        Event::Request { request, .. } => {
            Some(String::from_utf8_lossy(request.raw("Call-ID").unwrap()).into_owned())
        }
        _ => None,
    };
    events.iter().filter_map(call_id).collect()
}

#[test]
fn a_request_comes_with_both_ends_of_its_way() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let received = host.request(channel, "192.0.2.9:33333", &wire_request(VIA, ""));
    assert_eq!(received.local.to_string(), "udp:192.0.2.1:5060");
    assert_eq!(received.remote.to_string(), "udp:192.0.2.9:33333");
    assert_eq!(received.local.channel, Some(channel));
    assert_eq!(received.local.connection, None);
    let (mut host, id) = stream();
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    assert_eq!(received.remote.to_string(), "tcp:192.0.2.9:33333");
    assert_eq!(received.local.connection, Some(id));
}

// RFC 3261 §18.2.1; conformance: 119
#[test]
fn received_is_added_where_sent_by_is_not_the_source() {
    assert_eq!(
        stamped("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"),
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"
    );
    assert_eq!(
        stamped("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1"),
        "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1"
    );
    for sent_by in ["host.example", "10.0.0.1:5060", "[2001:db8::9]"] {
        let via = format!("SIP/2.0/UDP {sent_by};branch=z9hG4bK1");
        assert_eq!(stamped(&via), format!("{via};received=192.0.2.9"));
    }
}

// bad-inputs: R17
#[test]
fn only_the_first_of_two_vias_in_one_row_is_stamped() {
    let via = "SIP/2.0/UDP one.example;rport;branch=z9hG4bK1, SIP/2.0/TCP two.example;rport";
    let expected = "SIP/2.0/UDP one.example;rport=33333;branch=z9hG4bK1;received=192.0.2.9, \
                    SIP/2.0/TCP two.example;rport";
    assert_eq!(stamped(via), expected);
}

// RFC 3581 §4
#[test]
fn rport_is_filled_in_where_it_stands_and_received_with_it() {
    let via = "SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bK1";
    let expected = "SIP/2.0/UDP 192.0.2.9;rport=33333;branch=z9hG4bK1;received=192.0.2.9";
    assert_eq!(stamped(via), expected);
}

// conformance: 121; bad-inputs: R10, C14
#[test]
fn what_the_client_wrote_there_is_replaced() {
    let via = "SIP/2.0/UDP 192.0.2.9;received=203.0.113.66;rport=1;branch=z9hG4bK1";
    let expected = "SIP/2.0/UDP 192.0.2.9;received=192.0.2.9;rport=33333;branch=z9hG4bK1";
    assert_eq!(stamped(via), expected);
}

#[test]
fn rport_is_added_where_the_channel_is_set_to() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060")).force_rport(true);
    let channel = host.channel(config);
    let received = host.request(channel, "192.0.2.9:33333", &wire_request(VIA, ""));
    assert_eq!(
        received.via(),
        format!("{VIA};rport=33333;received=192.0.2.9")
    );
    let sent = host.send(common::ok(&received.request), Default::default());
    assert_eq!(sent.remote().addr, addr("192.0.2.9:33333"));
}

// bad-inputs: R7; conformance: 61, 63, 120
#[test]
fn an_ipv6_source_stands_in_received_without_brackets_and_zone() {
    let mut host = Host::new();
    let channel = host.udp("[2001:db8::1]:5060");
    let data = wire_request("SIP/2.0/UDP host.example;branch=z9hG4bK1", "");
    let via = host.request(channel, "[2001:db8::9]:5060", &data).via();
    assert!(via.ends_with(";received=2001:db8::9"), "{via}");
    let scoped = std::net::SocketAddrV6::new("fe80::9".parse().unwrap(), 5060, 0, 2);
    let now = host.now;
    host.transport
        .handle_datagram(now, channel.socket(0), scoped.into(), None, &data);
    host.drain();
    let via = Received::from(host.events.pop_front().unwrap()).via();
    assert!(via.ends_with(";received=fe80::9"), "{via}");
}

#[test]
fn an_ipv4_peer_of_a_dual_stack_socket_is_an_ipv4_peer() {
    let mut host = Host::new();
    let dual = |protocol| ChannelConfig::new(protocol, addr("[::]:5060")).dual_stack(true);
    let udp = host.channel(dual(Protocol::Udp));
    let tcp = host.channel(dual(Protocol::Tcp));
    let data = wire_request("SIP/2.0/UDP host.example;branch=z9hG4bK1", "");
    let local = Some(ip("::ffff:192.0.2.1"));
    let event = host.datagram_to(udp, "[::ffff:192.0.2.9]:5060", local, &data);
    let received = Received::from(event.unwrap());
    assert_eq!(received.remote.to_string(), "udp:192.0.2.9:5060");
    assert_eq!(received.local.to_string(), "udp:192.0.2.1:5060");
    let id = host.accept(tcp, "[::ffff:192.0.2.1]:5060", "[::ffff:192.0.2.9]:33333");
    host.feed(id, &data);
    let received = Received::from(host.events.pop_front().unwrap());
    assert_eq!(received.remote.to_string(), "tcp:192.0.2.9:33333");
    assert!(received.via().ends_with(";received=192.0.2.9"));
}

#[test]
fn a_via_that_names_another_transport_is_no_error() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let data = wire_request("SIP/2.0/TLS 192.0.2.9;branch=z9hG4bK1", "");
    assert!(matches!(
        host.datagram(channel, "192.0.2.9:5060", &data),
        Some(Event::Request { .. })
    ));
}

// bad-inputs: F16; conformance: 33
#[test]
fn keep_alives_in_datagrams_are_swallowed_and_not_answered() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let all: [&[u8]; 6] = [b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0", b"\n"];
    for data in all {
        assert!(host.datagram(channel, "192.0.2.9:5060", data).is_none());
    }
    assert_eq!(host.transport.stats().keepalives_in, 6);
    assert!(host.datagrams.is_empty());
}

// bad-inputs: F16
#[test]
fn what_cannot_be_sip_is_counted_and_dropped() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let rtp = b"\x80\x00\x12\x34";
    let dtls = b"\x16\xfe\xff\x00";
    for data in [&rtp[..], dtls, b"\xff", b"\x0bx"] {
        assert!(host.datagram(channel, "192.0.2.9:5060", data).is_none());
    }
    assert_eq!(host.transport.stats().not_sip, 4);
    assert!(host.datagrams.is_empty());
}

// bad-inputs: F16
#[test]
fn crlfs_before_a_datagrams_message_are_skipped() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let data = [&b"\r\n\r\n"[..], &wire_request(VIA, "")].concat();
    host.request(channel, "192.0.2.9:5060", &data);
}

// bad-inputs: F16; conformance: 442
#[test]
fn bytes_behind_a_datagrams_body_are_cut_off() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let data = [wire_request_with_body(VIA, "", "body"), numbered(2)].concat();
    let received = host.request(channel, "192.0.2.9:5060", &data);
    assert_eq!(received.request.body(), b"body");
    assert!(host.events.is_empty());
}

// bad-inputs: R4
#[test]
fn without_content_length_the_body_is_the_rest_of_the_datagram() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let text = String::from_utf8(wire_request_with_body(VIA, "", "the rest")).unwrap();
    let text = text.replace("Content-Length: 8\r\n", "");
    let received = host.request(channel, "192.0.2.9:5060", text.as_bytes());
    assert_eq!(received.request.body(), b"the rest");
}

// bad-inputs: F16; conformance: 97
#[test]
fn the_largest_datagram_is_taken() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let head = wire_request_with_body(VIA, "", &"x".repeat(10_000)).len() - 10_000;
    // Five digits of Content-Length, as in the head measured.
    let data = wire_request_with_body(VIA, "", &"x".repeat(65_507 - head));
    assert_eq!(data.len(), 65_507);
    let received = host.request(channel, "192.0.2.9:5060", &data);
    assert_eq!(received.request.body().len(), 65_507 - head);
}

/// The kind of error that a datagram with this text gives.
fn refused(data: &[u8]) -> ParseErrorKind {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    match host.datagram(channel, "192.0.2.9:5060", data) {
        Some(Event::Malformed { error, bytes, .. }) => {
            assert_eq!(bytes, data);
            assert_eq!(host.transport.stats().malformed, 1);
            error.kind()
        }
        other => panic!("{other:?}"),
    }
}

fn with_length(value: &str) -> Vec<u8> {
    let text = String::from_utf8(wire_request_with_body(VIA, "", "12345")).unwrap();
    text.replace("Content-Length: 5", &format!("Content-Length: {value}"))
        .into_bytes()
}

// bad-inputs: R5, F16; conformance: 449
#[test]
fn a_datagram_shorter_than_it_says_is_malformed() {
    assert!(matches!(
        refused(&with_length("6")),
        ParseErrorKind::BodyShort {
            announced: 6,
            available: 5
        }
    ));
}

// bad-inputs: F1, F2, F3, F4; conformance: 145, 450
#[test]
fn a_content_length_that_is_no_number_of_bytes_is_malformed() {
    for value in [
        "4294967301",
        "-1",
        "5abc",
        "5 garbage",
        "+5",
        "0x5",
        "5,5",
        "",
        "5\r\n 5",
        "2147483609",
        "2147483647",
        "99999999999999999999",
        "18446744073709551616",
        "4294967328",
    ] {
        let error = refused(&with_length(value));
        assert!(
            matches!(
                error,
                ParseErrorKind::ContentLength | ParseErrorKind::BodyShort { .. }
            ),
            "{value:?}: {error}"
        );
        // On a stream it is the end: nothing behind it can be found. Nothing of the size
        // announced is allocated.
        let (mut host, id) = stream();
        host.feed(id, &with_length(value));
        host.written(id);
        assert!(call_ids(&mut host).is_empty(), "{value:?}");
        assert_eq!(host.transport.router().load(), (0, 0), "{value:?}");
    }
}

// bad-inputs: F6, F10; conformance: 476
#[test]
fn two_content_lengths_and_names_that_two_hops_read_differently_are_malformed() {
    for line in [
        "l: 6\r\n",
        "Content-Length: 5\r\n",
        "Content-Length\x01: 5\r\n",
        "Content Length: 5\r\n",
    ] {
        let data = wire_request_with_body(VIA, line, "12345");
        refused(&data);
        let (mut host, id) = stream();
        host.feed(id, &data);
        host.written(id);
        assert!(call_ids(&mut host).is_empty(), "{line:?}");
        assert_eq!(host.transport.router().load(), (0, 0), "{line:?}");
    }
}

// bad-inputs: F10
#[test]
fn a_name_with_underscore_is_another_header() {
    let (mut host, id) = stream();
    host.feed(
        id,
        &wire_request_with_body(VIA, "Content_Length: 2\r\n", "12345"),
    );
    host.feed(id, &numbered(2));
    assert_eq!(call_ids(&mut host), ["c1", "2"]);
}

// bad-inputs: F10, R1
#[test]
fn a_space_before_the_colon_of_content_length_changes_nothing() {
    let inner = String::from_utf8(numbered(9)).unwrap();
    let text = String::from_utf8(wire_request_with_body(VIA, "", &inner)).unwrap();
    let data = text.replacen("Content-Length:", "Content-Length :", 1);
    let (mut host, id) = stream();
    host.feed(id, data.as_bytes());
    host.feed(id, &numbered(2));
    assert_eq!(call_ids(&mut host), ["c1", "2"]);
}

// bad-inputs: F15
#[test]
fn a_message_in_a_body_is_a_body() {
    let inner = String::from_utf8(numbered(9)).unwrap();
    let (mut host, id) = stream();
    host.feed(id, &wire_request_with_body(VIA, "", &inner));
    assert_eq!(call_ids(&mut host), ["c1"]);
}

// bad-inputs: F7; conformance: 145
#[test]
fn a_message_without_content_length_ends_the_stream() {
    let text = String::from_utf8(numbered(1))
        .unwrap()
        .replace("Content-Length: 0\r\n", "");
    let (mut host, id) = stream();
    host.feed(id, &[text.as_bytes(), &numbered(2)].concat());
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::Malformed { error, .. }) if error.kind() == ParseErrorKind::ContentLengthMissing
    ));
    assert!(host.written(id).starts_with(b"SIP/2.0 400 "));
    let reason = host.close_reason(id);
    assert_eq!(
        reason,
        Some(CloseReason::Framing(ParseErrorKind::ContentLengthMissing))
    );
    assert!(host.events.is_empty());
}

// bad-inputs: F8
#[test]
fn behind_a_message_that_is_too_long_nothing_is_read() {
    let (mut host, id) = stream();
    let long = wire_request_with_body(VIA, "", &"x".repeat(70_000));
    host.feed(id, &[long, numbered(2)].concat());
    assert!(host.written(id).starts_with(b"SIP/2.0 413 "));
    let events = host.take_events();
    assert!(matches!(events[0], Event::Malformed { .. }));
    assert!(matches!(
        events[1],
        Event::ConnectionClosed {
            reason: CloseReason::Framing(ParseErrorKind::MessageTooLong(_)),
            ..
        }
    ));
    assert_eq!(events.len(), 2);
}

// bad-inputs: R2, F11, R11; conformance: 148
#[test]
fn good_messages_before_a_bad_one_are_delivered_in_order() {
    let (mut host, id) = stream();
    let data = [
        numbered(1),
        numbered(2),
        numbered(3),
        b"garbage\r\n\r\n".to_vec(),
        numbered(4),
    ];
    host.feed(id, &data.concat());
    let kinds: Vec<_> = host
        .take_events()
        .iter()
        .map(|event| match event {
            Event::Request { request, .. } => {
                String::from_utf8_lossy(request.raw("Call-ID").unwrap()).into_owned()
            }
            Event::Malformed { .. } => "malformed".to_owned(),
            Event::ConnectionClosed { .. } => "closed".to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["1", "2", "3", "malformed", "closed"]);
    assert_eq!(host.closes, [id]);
}

// bad-inputs: F9
#[test]
fn what_stands_behind_a_body_is_the_next_message() {
    let (mut host, id) = stream();
    let text = String::from_utf8(wire_request_with_body(VIA, "", "12345")).unwrap();
    let data = text.replace("Content-Length: 5", "Content-Length: 3");
    host.feed(id, data.as_bytes());
    assert_eq!(call_ids(&mut host), ["c1"]);
    host.feed(id, b" SIP/2.0\r\n\r\n");
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::Malformed { .. })
    ));
    assert!(host.close_reason(id).is_some());
}

#[test]
fn a_message_that_only_breaks_a_rule_of_its_own_leaves_the_stream_open() {
    let text = String::from_utf8(numbered(1)).unwrap();
    for bad in [
        text.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
        text.replace("To: <sip:a@192.0.2.1>\r\n", ""),
        text.replace("Call-ID: 1", "Call-ID: 1\r\nCall-ID: 2"),
    ] {
        let (mut host, id) = stream();
        host.feed(id, &[bad.as_bytes(), &numbered(2)].concat());
        assert!(
            matches!(host.events.pop_front(), Some(Event::Malformed { .. })),
            "{bad}"
        );
        assert_eq!(call_ids(&mut host), ["2"], "{bad}");
    }
}

// bad-inputs: F15
#[test]
fn a_stream_that_ends_inside_a_message_is_malformed_and_closed() {
    for cut in [3, 40, numbered(1).len() - 1] {
        let (mut host, id) = stream();
        host.feed(id, &numbered(1)[..cut]);
        host.eof(id);
        host.written(id);
        assert!(
            matches!(host.events.pop_front(), Some(Event::Malformed { .. })),
            "{cut}"
        );
        assert_eq!(host.close_reason(id), Some(CloseReason::Peer));
        assert_eq!(host.transport.router().load(), (0, 0));
    }
    // Inside a body too.
    let (mut host, id) = stream();
    let whole = wire_request_with_body(VIA, "", "12345");
    host.feed(id, &whole[..whole.len() - 1]);
    host.eof(id);
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::Malformed { .. })
    ));
}

#[test]
fn what_came_before_the_end_of_a_stream_is_delivered_first() {
    let (mut host, id) = stream();
    let now = host.now;
    host.transport
        .handle_data(now, id, &[numbered(1), numbered(2)].concat());
    host.transport.handle_eof(id);
    host.drain();
    assert_eq!(host.events.len(), 3);
    assert!(matches!(
        host.events.back(),
        Some(Event::ConnectionClosed {
            reason: CloseReason::Peer,
            ..
        })
    ));
    assert_eq!(call_ids(&mut host), ["1", "2"]);
}

// bad-inputs: F14, R9; conformance: 32, 151
#[test]
fn a_ping_is_answered_once_and_a_pong_never() {
    for (pieces, pongs) in [
        (&[&b"\r\n\r\n"[..]][..], 1),
        (&[b"\r", b"\n\r\n"], 1),
        (&[b"\r\n", b"\r\n"], 1),
        (&[b"\r\n\r", b"\n"], 1),
        (&[b"\r", b"\n", b"\r", b"\n"], 1),
        (&[b"\r\n"], 0),
        (&[b"\r\n\r\n\r\n"], 1),
        (&[b"\r\n\r\n\r\n\r\n"], 2),
    ] {
        let (mut host, id) = stream();
        for piece in pieces {
            host.feed(id, piece);
        }
        assert_eq!(host.written(id), b"\r\n".repeat(pongs), "{pieces:?}");
        assert_eq!(host.transport.stats().pongs_out, pongs as u64);
        // Nothing of it is left in the framer.
        host.feed(id, &numbered(1));
        assert_eq!(call_ids(&mut host), ["1"]);
    }
}

// bad-inputs: F14
#[test]
fn a_lone_crlf_and_a_message_and_another_crlf_are_no_ping() {
    let (mut host, id) = stream();
    host.feed(
        id,
        &[&b"\r\n"[..], &numbered(1), b"\r\n", &numbered(2)].concat(),
    );
    assert!(host.written(id).is_empty());
    assert_eq!(call_ids(&mut host), ["1", "2"]);
}

// bad-inputs: F14; conformance: 151
#[test]
fn crlfs_inside_a_body_are_content() {
    let (mut host, id) = stream();
    host.feed(id, &wire_request_with_body(VIA, "", "\r\n\r\n"));
    host.feed(id, b"\r\n\r\n");
    let received = Received::from(host.events.pop_front().unwrap());
    assert_eq!(received.request.body(), b"\r\n\r\n");
    assert_eq!(host.written(id), b"\r\n");
}

// bad-inputs: F12
#[test]
fn line_ends_other_than_crlf_end_the_stream() {
    let text = String::from_utf8(numbered(1)).unwrap();
    for bad in [
        text.replace("\r\n", "\n"),
        text.replace("\r\n", "\r"),
        text.replacen("\r\nTo", "\nTo", 1),
    ] {
        let (mut host, id) = stream();
        host.feed(id, bad.as_bytes());
        if host.events.is_empty() {
            host.eof(id);
        }
        host.written(id);
        assert!(
            matches!(host.events.pop_front(), Some(Event::Malformed { .. })),
            "{bad:?}"
        );
        assert!(host.close_reason(id).is_some());
    }
}

// bad-inputs: F12
#[test]
fn a_flood_of_crlfs_is_bounded_and_ends() {
    let (mut host, id) = stream();
    let flood = b"\r\n".repeat(32 * 1024);
    for _ in 0..64 {
        host.feed(id, &flood);
    }
    // A silent peer that does not read its pongs: what waits for it stays within the limit.
    assert!(host.transport.transmit(id).len() <= 64 << 10);
    assert_eq!(
        host.transport.router().queued_bytes(),
        host.transport.transmit(id).len()
    );
    assert!(host.events.is_empty());
    host.pass(Duration::from_secs(25));
    assert!(host.close_reason(id).is_some());
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

// bad-inputs: R3, P9
#[test]
fn bytes_that_are_not_utf8_survive() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let mut data = wire_request(VIA, "Subject: caf?\r\n");
    let at = data.iter().position(|&b| b == b'?').unwrap();
    data[at] = 0xe9;
    let received = host.request(channel, "192.0.2.9:5060", &data);
    assert_eq!(received.request.raw("Subject"), Some(&b"caf\xe9"[..]));
    assert_eq!(received.request.to_bytes(), data);
}

// bad-inputs: P1, P5, P7, P12
#[test]
fn headers_that_the_transport_rests_on_are_checked_before_delivery() {
    let good = String::from_utf8(wire_request(VIA, "")).unwrap();
    for (from, to) in [
        ("From: <sip:b@192.0.2.9>;tag=1\r\n", ""),
        ("To: <sip:a@192.0.2.1>\r\n", ""),
        ("Call-ID: c1\r\n", ""),
        ("CSeq: 1 OPTIONS\r\n", ""),
        ("CSeq: 1 OPTIONS", "CSeq: 4294967296 OPTIONS"),
        ("CSeq: 1 OPTIONS", "CSeq: 1"),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
        ("Max-Forwards: 70", "Max-Forwards: 256"),
        ("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n", ""),
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", ""),
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "SIP/2.0/UDP"),
        ("SIP/2.0/UDP 192.0.2.9;", "SIP/2.0/ 192.0.2.9;"),
        ("SIP/2.0/UDP 192.0.2.9;", "SIP/2.0/UDP [];"),
        ("SIP/2.0/UDP 192.0.2.9;", "SIP/2.0/UDP [::1;"),
        ("SIP/2.0/UDP 192.0.2.9;", "SIP/2.0/UDP 192.0.2.9:99999;"),
        (
            "OPTIONS sip:a@192.0.2.1 SIP/2.0",
            "OPTIONS sip:a@192.0.2.1 SIP/7.0",
        ),
        ("OPTIONS sip:a@192.0.2.1 SIP/2.0", "OPTIONS  SIP/2.0"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        refused(bad.as_bytes());
    }
}

// bad-inputs: P7; conformance: 140, 466
#[test]
fn a_malformed_response_is_reported_and_not_answered() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let good = String::from_utf8(common::wire_response(
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
    ))
    .unwrap();
    for status in ["4", "1000", "-1", "4294967301"] {
        let bad = good.replacen("200 OK", status, 1);
        let event = host.datagram(channel, "192.0.2.9:5060", bad.as_bytes());
        assert!(matches!(event, Some(Event::Malformed { .. })), "{status}");
    }
    let short = good.replacen("Content-Length: 0", "Content-Length: 9", 1);
    let event = host.datagram(channel, "192.0.2.9:5060", short.as_bytes());
    assert!(matches!(event, Some(Event::Malformed { .. })));
    assert!(host.datagrams.is_empty());
}

// bad-inputs: C10, C13; conformance: 168
#[test]
fn datagrams_leave_no_state_behind() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    for number in 0..1_000 {
        let remote = format!("198.51.{}.{}:5060", number / 250, number % 250);
        host.request(channel, &remote, &wire_request(VIA, ""));
    }
    assert_eq!(host.transport.router().load(), (0, 0));
    assert_eq!(host.transport.router().queued_bytes(), 0);
    assert_eq!(host.deadline, None);
}

// bad-inputs: F13, P3
#[test]
fn what_has_no_end_is_given_up_at_its_limit() {
    let line = "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\n";
    for (start, piece, expected) in [
        ("OPTIONS sip:", "a", "start line"),
        // Where a header ends is known no sooner than where the head must.
        (&format!("{line}X: "), "a", "head is longer"),
        (line, "X: a\r\n", "header rows"),
        (line, "Via: SIP/2.0/UDP a.example\r\n", "header rows"),
        (
            line,
            &format!("X: {}\r\n", "a".repeat(1_000)),
            "head is longer",
        ),
    ] {
        let (mut host, id) = stream();
        host.feed(id, start.as_bytes());
        let chunk = piece.repeat(200_000 / piece.len());
        host.feed(id, chunk.as_bytes());
        match host.events.pop_front() {
            Some(Event::Malformed { error, .. }) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            other => panic!("{expected}: {other:?}"),
        }
        host.written(id);
        assert!(host.close_reason(id).is_some());
    }
}

// bad-inputs: R13, R14; conformance: 164
#[test]
fn unusual_but_valid_requests_are_delivered() {
    let good = String::from_utf8(wire_request(VIA, "")).unwrap();
    let long = format!("X: {}\r\n", "x".repeat(8_189));
    let many: String = (0..500).map(|n| format!("X-{n}: y\r\n")).collect();
    for data in [
        good.replace("sip:a@192.0.2.1 SIP", "tel:+1-201-555-0123 SIP"),
        good.replace("sip:a@192.0.2.1 SIP", "urn:service:sos SIP"),
        good.replace("OPTIONS", "x-METHOD.1"),
        String::from_utf8(wire_request(VIA, &long)).unwrap(),
        String::from_utf8(wire_request(VIA, &many)).unwrap(),
    ] {
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        host.request(channel, "192.0.2.9:5060", data.as_bytes());
    }
}

#[test]
fn a_socket_or_connection_that_is_not_there_is_ignored() {
    let (mut host, id) = stream();
    let mut other = Host::seeded(Config::default(), 2);
    let theirs = other.udp("192.0.2.1:5060");
    assert!(
        host.datagram(theirs, "192.0.2.9:5060", &wire_request(VIA, ""))
            .is_none()
    );
    host.transport
        .handle_error(id, std::io::ErrorKind::ConnectionReset);
    host.drain();
    host.take_events();
    host.feed(id, &numbered(1));
    host.eof(id);
    assert!(host.events.is_empty());
    assert!(host.transport.transmit(id).is_empty());
    assert_eq!(host.transport.recv_capacity(id), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    // bad-inputs: P10
    #[test]
    fn any_bytes_give_an_event_or_nothing(data in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        host.datagram(channel, "192.0.2.9:5060", &data);
        prop_assert!(host.events.is_empty());
        let (mut host, id) = stream();
        host.feed(id, &data);
        host.eof(id);
        prop_assert!(host.close_reason(id).is_some());
        prop_assert_eq!(host.transport.router().load(), (0, 0));
        prop_assert_eq!(host.transport.router().queued_bytes(), 0);
    }

    // bad-inputs: P10
    #[test]
    fn a_message_cut_short_is_malformed_or_a_keep_alive(cut in 1usize..230) {
        let whole = wire_request_with_body(VIA, "", "body");
        let data = &whole[..cut.min(whole.len() - 1)];
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        match host.datagram(channel, "192.0.2.9:5060", data) {
            Some(Event::Malformed { .. }) => {}
            // Before Content-Length nothing says that there is more to come.
            Some(Event::Request { .. }) => {
                prop_assert!(data.ends_with(b"\r\n") && cut < whole.len() - 4);
                prop_assert_eq!(host.transport.stats().tolerated_framing, 1);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
