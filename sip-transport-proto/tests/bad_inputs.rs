//! Bytes on sockets that broke other stacks, and what becomes of them here.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Host, Received, numbered, wire_request, wire_request_with_body, wire_response};
use sip_transport_proto::error::CloseReason;
use sip_transport_proto::sip_core::Name;
use sip_transport_proto::sip_core::message::ParseErrorKind;
use sip_transport_proto::{Config, ConnectionId, Event};

const VIA: &str = "SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1";

fn stream() -> (Host, ConnectionId) {
    let mut config = Config::default();
    config.drop_stray_responses(false);
    let mut host = Host::with(config);
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    (host, id)
}

fn text(data: Vec<u8>) -> String {
    String::from_utf8(data).unwrap()
}

/// The start lines of what was delivered, and what else came.
fn start_lines(host: &mut Host) -> Vec<String> {
    let line = |event: Event| match event {
        Event::Request { request, .. } => request.start_line().to_string(),
        Event::Response { response, .. } => response.start_line().to_string(),
        Event::Malformed { error, .. } => format!("malformed: {error}"),
        Event::ConnectionClosed { reason, .. } => format!("closed: {reason:?}"),
        other => panic!("{other:?}"),
    };
    host.take_events().into_iter().map(line).collect()
}

// bad-inputs: F1
#[test]
fn a_length_beyond_32_bits_hides_no_second_message() {
    for length in ["4294967301", "4294967328", "18446744073709551616"] {
        let bad = text(numbered(1)).replace("Length: 0", &format!("Length: {length}"));
        let (mut host, id) = stream();
        host.feed(id, &[bad.as_bytes(), &numbered(2)].concat());
        assert!(host.written(id).starts_with(b"SIP/2.0 413 "));
        let events = start_lines(&mut host);
        assert!(events[0].starts_with("malformed"), "{events:?}");
        assert!(events[1].starts_with("closed"), "{events:?}");
        assert_eq!(events.len(), 2, "{events:?}");
    }
}

// bad-inputs: F11
#[test]
fn requests_in_one_segment_come_one_by_one_with_keep_alives_between_them() {
    let one = text(numbered(1));
    let [invite, ack] = ["INVITE", "ACK"].map(|method| one.replace("OPTIONS", method));
    let (mut host, id) = stream();
    host.feed(id, format!("{invite}{invite}{invite}{ack}").as_bytes());
    let methods: Vec<_> = start_lines(&mut host)
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(methods, ["INVITE", "INVITE", "INVITE", "ACK"]);
    host.feed(id, format!("{invite}\r\n\r\n{ack}").as_bytes());
    assert_eq!(start_lines(&mut host).len(), 2);
    assert_eq!(host.written(id), b"\r\n", "one pong");
}

// bad-inputs: F11, R9
#[test]
fn a_pong_before_a_response_is_no_part_of_it() {
    let (mut host, id) = stream();
    host.feed(id, b"\r\n");
    host.feed(id, &wire_response("SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1"));
    assert_eq!(start_lines(&mut host), ["SIP/2.0 200 OK"]);
    assert!(host.written(id).is_empty(), "a pong is not answered");
}

// bad-inputs: F13
#[test]
fn an_honest_message_may_take_any_number_of_reads() {
    let data = wire_request_with_body(VIA, "", &"x".repeat(60_000));
    for size in [1, 7, 1_400] {
        let (mut host, id) = stream();
        for piece in data.chunks(size) {
            host.feed(id, piece);
        }
        let received = Received::from(host.events.pop_front().unwrap());
        assert_eq!(received.request.body().len(), 60_000);
    }
}

// bad-inputs: F13
#[test]
fn what_never_ends_is_closed_at_the_limit() {
    let row = |name: &str| text(numbered(1)).replace("Content-Length: 0\r\n\r\n", name);
    for (mut endless, kind) in [
        (
            "OPTIONS sip:".to_owned(),
            ParseErrorKind::StartLineTooLong(8 << 10),
        ),
        (row("X: "), ParseErrorKind::HeadTooLong(32 << 10)),
        (row("Content-Length"), ParseErrorKind::HeadTooLong(32 << 10)),
    ] {
        endless.push_str(&"x".repeat(100_000));
        let (mut host, id) = stream();
        host.feed(id, endless.as_bytes());
        host.written(id);
        assert!(matches!(
            host.events.pop_front(),
            Some(Event::Malformed { .. })
        ));
        assert_eq!(host.close_reason(id), Some(CloseReason::Framing(kind)));
    }
}

/// A registrar's response may list many bindings; one that lists too many is refused, and the
/// connection goes on.
// bad-inputs: F13, P1
#[test]
fn a_header_that_is_too_long_closes_no_connection() {
    let with = |bindings: usize| {
        let contact = |i| {
            format!("<sip:bob@192.0.2.7:{i};transport=tcp;line=abcdefghijklmnopqrs>;expires=3600")
        };
        let row = (0..bindings)
            .map(|i| contact(10_000 + i))
            .collect::<Vec<_>>()
            .join(", ");
        wire_request_with_body(VIA, &format!("Contact: {row}\r\n"), "body")
    };
    for size in [1, 1_400, usize::MAX] {
        let (mut host, id) = stream();
        for data in [with(148), with(250), numbered(2).to_vec()] {
            data.chunks(size).for_each(|piece| host.feed(id, piece));
        }
        let events: Vec<_> = host.events.drain(..).collect();
        let [
            Event::Request { request, .. },
            Event::Malformed { error, bytes, .. },
            Event::Request { .. },
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert!(request.raw("Contact").unwrap().len() > 11_000);
        assert_eq!(error.kind(), ParseErrorKind::HeaderTooLong(16 << 10));
        assert_eq!(bytes[..], with(250)[..]);
        let reply = host.written(id);
        assert!(
            reply.starts_with(b"SIP/2.0 413 "),
            "{}",
            reply.escape_ascii()
        );
        assert_eq!(host.close_reason(id), None);
    }
}

// bad-inputs: F14
#[test]
fn bytes_of_an_earlier_read_make_no_ping() {
    let (mut host, id) = stream();
    // Both end where the other half of a ping would stand if old bytes counted.
    host.feed(id, &wire_request_with_body(VIA, "", "\r\n\r\n"));
    host.feed(id, b"\r\n");
    host.feed(id, &numbered(2));
    host.feed(id, b"\r\n");
    assert_eq!(start_lines(&mut host).len(), 2);
    assert!(host.written(id).is_empty());
    host.feed(id, b"\r\n");
    assert_eq!(host.written(id), b"\r\n");
}

// bad-inputs: P1, P3, P4
#[test]
fn too_much_of_anything_is_answered_with_what_was_too_much() {
    let good = text(wire_request(&VIA.replace("TCP", "UDP"), ""));
    for (from, to, status) in [
        ("OPTIONS", "O".repeat(9_000), 414),
        ("Max-Forwards: 70", "a:\r\n".repeat(10_000), 513),
        (
            "Max-Forwards: 70",
            format!("{VIA}\r\n", VIA = "v: SIP/2.0/UDP h").repeat(1_000),
            513,
        ),
        ("tag=1", format!("tag={}", "1".repeat(17_000)), 413),
        (
            "branch=z9hG4bK1",
            format!("branch={}", "1".repeat(17_000)),
            413,
        ),
    ] {
        let data = good.replacen(from, to.trim_end(), 1);
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        let event = host.datagram(channel, "192.0.2.9:5060", data.as_bytes());
        assert!(matches!(event, Some(Event::Malformed { .. })), "{status}");
        let (_, reply) = host.datagrams.pop_front().expect("a reply");
        let line = format!("SIP/2.0 {status} ");
        assert!(reply.bytes.starts_with(line.as_bytes()), "{from}");
        assert!(reply.bytes.len() <= data.len(), "{from}");
        assert!(host.datagrams.is_empty(), "one");
    }
}

// bad-inputs: P2
#[test]
fn a_body_is_never_looked_into() {
    let body = "--a\r\nContent-Length: 99999\r\n\r\nOPTIONS sip:x SIP/2.0\r\n\r\n\r\n\r\n--a--";
    let (mut host, id) = stream();
    let more = "Content-Type: multipart/mixed;boundary=a\r\n";
    host.feed(id, &wire_request_with_body(VIA, more, body));
    host.feed(id, &numbered(2));
    let received = Received::from(host.events.pop_front().unwrap());
    assert_eq!(received.request.body(), body.as_bytes());
    assert_eq!(start_lines(&mut host).len(), 1);
    assert!(host.written(id).is_empty());
}

// bad-inputs: R12
#[test]
fn rport_in_capitals_is_filled_in() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let data = wire_request("SIP/2.0/UDP h.example;RPORT;Branch=z9hG4bK1", "");
    let received = host.request(channel, "192.0.2.9:33333", &data);
    let via = received.request.top_via().unwrap();
    assert_eq!(
        (via.rport(), via.branch()),
        (Some(Some(33_333)), Some("z9hG4bK1"))
    );
    assert_eq!(received.via().matches("port").count(), 1);
}

// bad-inputs: R6, R16, R17, R18
#[test]
fn what_is_unusual_and_legal_is_delivered_and_kept() {
    let uri = "sip:+1555;phone-context=x@gw.example;user=phone";
    let good = text(wire_request(
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1, SIP/2.0/TCP [2001:db8::9]:5070;received=192.0.2.7",
        "m: \"<sip:x@y>, \\\"q\\\"; z\" <sip:a+b&c=d$e@h.example>;expires=9, <sip:f@h.example>\r\n",
    ));
    let data = good.replacen("sip:a@192.0.2.1", uri, 1);
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let received = host.request(channel, "192.0.2.9:5060", data.as_bytes());
    assert_eq!(received.request.uri().unwrap().to_string(), uri);
    assert_eq!(received.request.to_bytes(), data, "untouched");
    assert_eq!(received.request.raw_all(Name::Via).count(), 1);
}
