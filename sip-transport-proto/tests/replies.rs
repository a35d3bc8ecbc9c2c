//! What a malformed request gets for an answer: one, to where it came from, or none.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{Host, addr, header, ip, numbered, wire_request, wire_request_with_body};
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Event, Protocol, Transmit,
};

const VIA: &str = "SIP/2.0/UDP host.example;branch=z9hG4bK1;rport";

/// A request that lacks nothing but a right CSeq.
fn bad(via: &str) -> String {
    let good = String::from_utf8(wire_request(via, "Subject: a long enough one\r\n")).unwrap();
    good.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE")
}

/// The replies to a datagram from 192.0.2.9:33333.
fn replies(data: &[u8]) -> Vec<Transmit> {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let event = host.datagram(channel, "192.0.2.9:33333", data);
    assert!(matches!(event, Some(Event::Malformed { .. })), "{event:?}");
    let replies: Vec<_> = host
        .datagrams
        .drain(..)
        .map(|(_, transmit)| transmit)
        .collect();
    assert_eq!(
        host.transport.stats().malformed_replies,
        replies.len() as u64
    );
    replies
}

fn one_reply(data: &[u8]) -> Transmit {
    let mut all = replies(data);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn status(reply: &[u8]) -> u16 {
    Message::parse(reply.to_vec())
        .unwrap()
        .status()
        .unwrap()
        .code()
}

fn stream() -> (Host, ConnectionId) {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    (host, id)
}

// RFC 3261 §8.2.6.2; conformance: 156
#[test]
fn the_reply_has_the_headers_of_the_request_and_a_tag() {
    let mut data = bad(VIA);
    data = data.replace(
        "From:",
        "Via: SIP/2.0/TCP second.example;branch=z9hG4bK2\r\nFrom:",
    );
    let reply = one_reply(data.as_bytes());
    assert_eq!(reply.send, None);
    let message = Message::parse(reply.bytes).unwrap();
    assert_eq!(message.status().unwrap().code(), 400);
    let vias: Vec<_> = message
        .raw_all("Via")
        .map(String::from_utf8_lossy)
        .collect();
    assert_eq!(
        vias[0],
        "SIP/2.0/UDP host.example;branch=z9hG4bK1;rport=33333;received=192.0.2.9"
    );
    assert_eq!(vias[1], "SIP/2.0/TCP second.example;branch=z9hG4bK2");
    assert_eq!(message.raw("From"), Some(&b"<sip:b@192.0.2.9>;tag=1"[..]));
    assert_eq!(message.raw("Call-ID"), Some(&b"c1"[..]));
    assert_eq!(message.raw("CSeq"), Some(&b"1 INVITE"[..]));
    let to = String::from_utf8_lossy(message.raw("To").unwrap());
    assert!(
        to.starts_with("<sip:a@192.0.2.1>;tag=") && to.len() > 30,
        "{to}"
    );
    assert_eq!(message.raw("Content-Length"), Some(&b"0"[..]));
}

// RFC 3261 §8.2.7; conformance: 169
#[test]
fn the_same_request_gets_the_same_tag_and_another_another() {
    let run = |seed| {
        let mut host = Host::seeded(Config::default(), seed);
        let channel = host.udp("192.0.2.1:5060");
        for via in [VIA, VIA, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-another"] {
            host.datagram(channel, "192.0.2.9:33333", bad(via).as_bytes());
        }
        let replies = host.datagrams.iter();
        let tags: Vec<_> = replies
            .map(|(_, reply)| header(&reply.bytes, "To"))
            .collect();
        assert_eq!(tags[0], tags[1]);
        assert_ne!(tags[0], tags[2]);
        tags
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

// RFC 3261 §21.4, §21.5; conformance: 463
#[test]
fn the_status_says_what_is_wrong() {
    let good = String::from_utf8(wire_request_with_body(
        VIA,
        "Subject: a long one\r\n",
        "12345",
    ))
    .unwrap();
    for (from, to, expected) in [
        (
            "OPTIONS sip:a@192.0.2.1 SIP/2.0",
            "OPTIONS sip:a@192.0.2.1 SIP/7.0".to_owned(),
            505,
        ),
        (
            "OPTIONS sip:a@192.0.2.1 SIP/2.0",
            format!("OPTIONS sip:{} SIP/2.0", "a".repeat(9_000)),
            414,
        ),
        (
            "Subject: a long one",
            format!("Subject: {}", "a".repeat(17_000)),
            413,
        ),
        ("Call-ID: c1\r\n", String::new(), 400),
        ("Content-Length: 5", "Content-Length: 50".to_owned(), 400),
        ("Content-Length: 5", "Content-Length: -5".to_owned(), 400),
    ] {
        let data = good.replacen(from, &to, 1);
        assert_eq!(
            status(&one_reply(data.as_bytes()).bytes),
            expected,
            "{from}"
        );
    }
}

// RFC 3261 §18.2.2, RFC 3581 §4; bad-inputs: C14
#[test]
fn the_reply_goes_to_the_source_and_the_port_that_its_via_asks_for() {
    for (via, port) in [
        ("SIP/2.0/UDP host.example;branch=z9hG4bK1;rport", 33_333),
        ("SIP/2.0/UDP host.example:5070;branch=z9hG4bK1", 5_070),
        (
            "SIP/2.0/UDP 203.0.113.66;branch=z9hG4bK1;maddr=203.0.113.66",
            5_060,
        ),
        (
            "SIP/2.0/UDP host.example;received=203.0.113.66;rport=9;branch=z9hG4bK1",
            33_333,
        ),
    ] {
        let reply = one_reply(bad(via).as_bytes());
        assert_eq!(
            reply.destination,
            addr(&format!("192.0.2.9:{port}")),
            "{via}"
        );
    }
}

#[test]
fn the_reply_leaves_from_the_address_that_the_request_came_to() {
    let mut host = Host::new();
    let channel = host.udp("0.0.0.0:5060");
    host.datagram_to(
        channel,
        "192.0.2.9:33333",
        Some(ip("192.0.2.2")),
        bad(VIA).as_bytes(),
    );
    assert_eq!(host.datagrams[0].1.source, Some(ip("192.0.2.2")));
}

// conformance: 160
#[test]
fn without_a_readable_via_there_is_no_reply() {
    for via in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP [",
        "SIP/2.0/UDP host.example:99999",
    ] {
        assert!(replies(bad(via).as_bytes()).is_empty(), "{via}");
    }
    assert!(replies(b"hello\r\n\r\n").is_empty());
    assert!(replies(b"OPTIONS").is_empty());
}

// RFC 3261 §17.1.1.3; conformance: 157
#[test]
fn ack_and_responses_get_none() {
    assert!(replies(bad(VIA).replace("OPTIONS", "ACK").as_bytes()).is_empty());
    let response = common::wire_response(VIA);
    let response = String::from_utf8(response)
        .unwrap()
        .replace("CSeq: 1", "CSeq: x");
    assert!(replies(response.as_bytes()).is_empty());
    let (mut host, id) = stream();
    host.feed(id, bad(VIA).replace("OPTIONS", "ACK").as_bytes());
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::Malformed { .. })
    ));
    assert!(host.written(id).is_empty());
}

#[test]
fn a_datagram_reply_is_never_larger_than_the_request() {
    let whole = bad(VIA);
    for len in 1..=whole.len() {
        let data = &whole.as_bytes()[..len];
        for reply in replies(data) {
            assert!(
                reply.bytes.len() <= len,
                "{len}: {}",
                String::from_utf8_lossy(&reply.bytes)
            );
        }
    }
    // A header that is missing leaves room enough.
    assert_eq!(
        replies(
            whole
                .replace("Max-Forwards: 70", "Max-Forwards: x")
                .as_bytes()
        )
        .len(),
        1
    );
}

#[test]
fn a_reply_that_would_be_larger_than_its_request_is_counted_as_left_out() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let short = b"OPTIONS a SIP/2.0\r\nv:SIP/2.0/UDP h;rport\r\n\r\n";
    host.datagram(channel, "192.0.2.9:33333", short);
    let stats = host.transport.stats();
    let counts = (stats.malformed_replies, stats.malformed_replies_suppressed);
    assert_eq!((host.datagrams.len(), counts), (0, (0, 1)));
}

// RFC 3261 §21.4.1
#[test]
fn what_is_wrong_is_said_where_the_channel_says_so_and_in_the_event() {
    let plain = "SIP/2.0 400 Bad Request\r\n";
    for (protocol, setting, detailed) in [
        (Protocol::Udp, None, false),
        (Protocol::Udp, Some(true), true),
        (Protocol::Tcp, None, true),
        (Protocol::Tcp, Some(false), false),
    ] {
        let mut host = Host::new();
        let channel = ChannelConfig::new(protocol, addr("192.0.2.1:5060"));
        let channel = host.channel(match setting {
            Some(setting) => channel.detailed_reason(setting),
            None => channel,
        });
        let padding = format!("Subject: {}", "x".repeat(100));
        let data = bad(VIA).replace("Subject:", &padding);
        let (event, reply) = if protocol == Protocol::Udp {
            let event = host.datagram(channel, "192.0.2.9:33333", data.as_bytes());
            (event, host.datagrams.remove(0).unwrap().1.bytes.to_vec())
        } else {
            let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
            host.feed(id, data.as_bytes());
            (host.events.pop_front(), host.written(id))
        };
        let Some(Event::Malformed { error, .. }) = event else {
            panic!("{event:?}");
        };
        let detail = format!("SIP/2.0 400 {}\r\n", error.kind());
        assert_ne!(detail, plain);
        let expected = if detailed { detail.as_str() } else { plain };
        assert!(
            reply.starts_with(expected.as_bytes()),
            "{protocol} {setting:?}"
        );
    }
}

#[test]
fn a_source_port_of_zero_gets_no_reply() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    host.datagram(channel, "192.0.2.9:0", bad(VIA).as_bytes());
    assert!(host.datagrams.is_empty());
    assert_eq!(host.transport.stats().malformed_replies_suppressed, 1);
}

// RFC 3261 §26.3.2.4; conformance: 159
#[test]
fn a_channel_gives_so_many_replies_a_second() {
    let mut config = Config::default();
    config.malformed_replies_per_second(10).unwrap();
    let mut host = Host::with(config);
    let channel = host.udp("192.0.2.1:5060");
    let flood = |host: &mut Host| {
        for number in 0..50 {
            let source = format!("10.0.{number}.9:33333");
            host.datagram(channel, &source, bad(VIA).as_bytes());
        }
        host.datagrams.drain(..).count()
    };
    assert_eq!(flood(&mut host), 10);
    assert_eq!(flood(&mut host), 0);
    host.now += Duration::from_millis(500);
    assert_eq!(flood(&mut host), 5);
    host.now += Duration::from_secs(3_600);
    assert_eq!(flood(&mut host), 10, "what was not used is not saved");
    assert_eq!(host.transport.stats().malformed_replies_suppressed, 175);
}

// RFC 3261 §26.3.2.4
#[test]
fn the_sockets_of_a_channel_share_its_rate() {
    let mut config = Config::default();
    config.malformed_replies_per_second(10).unwrap();
    let mut host = Host::with(config);
    let local = addr("192.0.2.1:5060");
    let channel = host.channel(ChannelConfig::new(Protocol::Udp, local).sockets(4));
    let other = host.udp("192.0.2.1:5062");
    let mut sources = 0..;
    let mut flood = |channel: ChannelId, socket| {
        let now = host.now;
        for number in sources.by_ref().take(8) {
            let (socket, from) = (channel.socket(socket), format!("10.0.{number}.9:5060"));
            let from = addr(&from);
            host.transport
                .handle_datagram(now, socket, from, None, bad(VIA).as_bytes());
        }
        host.drain();
        host.datagrams.drain(..).count()
    };
    assert_eq!(
        [0, 1, 2, 3].map(|socket| flood(channel, socket)),
        [8, 2, 0, 0]
    );
    assert_eq!(flood(other, 0), 8, "each channel has its own");
}

#[test]
fn a_stream_gets_its_reply_over_itself() {
    let (mut host, id) = stream();
    host.feed(id, bad(VIA).as_bytes());
    let reply = host.written(id);
    assert_eq!(status(&reply), 400);
    assert!(header(&reply, "Via").ends_with(";rport=33333;received=192.0.2.9"));
    // What it broke is its own: the stream goes on.
    host.take_events();
    host.feed(id, &numbered(2));
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::Request { .. })
    ));
}

// RFC 3261 §18.3; conformance: 145
#[test]
fn after_a_framing_error_the_reply_is_written_and_the_stream_closed() {
    let (mut host, id) = stream();
    let text = String::from_utf8(numbered(1)).unwrap();
    host.feed(
        id,
        text.replace("Content-Length: 0", "Content-Length: x")
            .as_bytes(),
    );
    host.take_events();
    assert!(host.closes.is_empty());
    // Nothing more is read from it.
    host.feed(id, &numbered(2));
    assert!(host.events.is_empty());
    assert_eq!(status(&host.written(id)), 400);
    assert_eq!(host.closes, [id]);
}

#[test]
fn a_peer_that_does_not_read_its_replies_is_closed() {
    let (mut host, id) = stream();
    for _ in 0..1_000 {
        host.feed(id, bad(VIA).as_bytes());
    }
    assert!(host.transport.transmit(id).len() <= 64 << 10);
    assert!(host.transport.stats().malformed_replies_suppressed > 0);
    host.pass(Duration::from_secs(20));
    assert!(host.close_reason(id).is_some());
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

#[test]
fn a_reply_to_an_ipv6_peer_goes_back_with_its_scope() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Udp, addr("[fe80::1]:5060"));
    let channel = host.channel(config);
    let remote = std::net::SocketAddrV6::new("fe80::9".parse().unwrap(), 5060, 0, 3);
    let now = host.now;
    let data = bad(VIA);
    host.transport
        .handle_datagram(now, channel.socket(0), remote.into(), None, data.as_bytes());
    host.drain();
    assert_eq!(host.datagrams[0].1.destination, remote.into());
}
