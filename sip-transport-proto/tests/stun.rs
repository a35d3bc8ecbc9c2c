//! STUN binding requests on the SIP port are answered (RFC 5626 §4.4.2, RFC 8489).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{Host, addr};
use sip_transport_proto::{Config, Transmit};

const ID: &[u8; 12] = b"abcdefghijkl";

fn request(attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap().to_be_bytes();
    [&[0, 1], &length[..], b"\x21\x12\xa4\x42", ID, attributes].concat()
}

fn answers(source: &str, data: &[u8]) -> Vec<Transmit> {
    let mut host = Host::new();
    let local = if source.starts_with('[') {
        "[2001:db8::1]:5060"
    } else {
        "192.0.2.1:5060"
    };
    let channel = host.udp(local);
    assert!(host.datagram(channel, source, data).is_none());
    host.datagrams
        .into_iter()
        .map(|(_, transmit)| transmit)
        .collect()
}

// conformance: 354, 374, 378
#[test]
fn a_binding_request_is_told_the_address_that_it_came_from() {
    let answers = answers("192.0.2.9:33333", &request(b""));
    let [answer] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(answer.destination, addr("192.0.2.9:33333"));
    let [a, b] = (33_333_u16 ^ 0x2112).to_be_bytes();
    let ip = [192 ^ 0x21, 0x12, 2 ^ 0xa4, 9 ^ 0x42];
    let value = [&[0, 0x20, 0, 8, 0, 1, a, b], &ip[..]].concat();
    let expected = [&b"\x01\x01\x00\x0c\x21\x12\xa4\x42"[..], ID, &value].concat();
    assert_eq!(answer.bytes[..], expected[..]);
}

// conformance: 378
#[test]
fn an_ipv6_address_is_masked_with_cookie_and_transaction() {
    let answers = answers("[2001:db8::9]:5060", &request(b""));
    let [answer] = &answers[..] else {
        panic!("{answers:?}")
    };
    let mask = [b"\x21\x12\xa4\x42", &ID[..]].concat();
    let ip: Vec<u8> = answer.bytes[28..44]
        .iter()
        .zip(mask)
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(answer.bytes[24..26], [0, 2]);
    assert_eq!(
        ip,
        "2001:db8::9"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets()
    );
}

// conformance: 375
#[test]
fn an_attribute_that_must_be_understood_is_named_in_a_420() {
    let unknown = request(b"\x00\x24\x00\x04\x01\x02\x03\x04");
    let answers = answers("192.0.2.9:33333", &unknown);
    let expected = b"\x00\x09\x00\x04\x00\x00\x04\x14\x00\x0a\x00\x02\x00\x24\x00\x00";
    assert_eq!(answers[0].bytes[..2], [1, 0x11]);
    assert_eq!(answers[0].bytes[20..], expected[..]);
}

// conformance: 376
#[test]
fn an_attribute_that_may_be_ignored_is() {
    let answers = answers("192.0.2.9:33333", &request(b"\x80\x22\x00\x03abc\x00"));
    assert_eq!(answers[0].bytes[..2], [1, 1]);
}

// RFC 8489 §6.3, §6.3.2; conformance: 372, 373, 377
#[test]
fn nothing_else_of_stun_is_answered() {
    let good = request(b"");
    let mut response = good.clone();
    response[0] = 1;
    let mut indication = good.clone();
    indication[1] = 0x11;
    let mut longer = good.clone();
    longer[3] = 4;
    let cut_attribute = request(b"\x80\x22\x00\x09abc\x00");
    let mut no_multiple_of_four = request(b"\x80\x22\x00\x01");
    no_multiple_of_four.push(b'a');
    no_multiple_of_four[3] = 5;
    let mut wrong_cookie = good.clone();
    wrong_cookie[7] ^= 1;
    for data in [
        no_multiple_of_four,
        wrong_cookie,
        response,
        indication,
        longer,
        cut_attribute,
        good[..19].to_vec(),
    ] {
        assert!(answers("192.0.2.9:33333", &data).is_empty(), "{data:?}");
    }
    assert!(answers("192.0.2.9:0", &good).is_empty());
}

/// RFC 5769 §2.1: a request with attributes of ICE, an integrity and a fingerprint.
const RFC_5769: &[u8] = b"\x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
    \x80\x22\x00\x10STUN test client\x00\x24\x00\x04\x6e\x00\x01\xff\
    \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\x00\x06\x00\x09evtj:h6vY   \
    \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
    \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

// RFC 8489 §14.7; conformance: 381, 375
#[test]
fn a_fingerprint_that_does_not_fit_makes_it_no_stun() {
    let good = answers("192.0.2.9:33333", RFC_5769);
    // PRIORITY, USERNAME and MESSAGE-INTEGRITY mean nothing here.
    let unknown = b"\x00\x0a\x00\x06\x00\x24\x00\x06\x00\x08\x00\x00";
    assert_eq!(good[0].bytes[..2], [1, 0x11]);
    assert!(good[0].bytes.ends_with(unknown), "{:?}", good[0].bytes);
    for at in [3 * 8, RFC_5769.len() - 1] {
        let mut bad = RFC_5769.to_vec();
        bad[at] ^= 1;
        assert!(answers("192.0.2.9:33333", &bad).is_empty(), "{at}");
    }
}

/// RFC 8489 §6.1: a message over UDP fits the path.
#[test]
fn what_is_longer_than_1500_bytes_is_no_keepalive() {
    let long = |bytes: u16| {
        // SOFTWARE, which may be ignored.
        let attribute = [
            &[0x80, 0x22][..],
            &(bytes - 24).to_be_bytes(),
            &vec![b'x'; usize::from(bytes - 24)],
        ];
        request(&attribute.concat())
    };
    assert_eq!(answers("192.0.2.9:33333", &long(1_500)).len(), 1);
    assert!(answers("192.0.2.9:33333", &long(1_504)).is_empty());
}

// RFC 7983 §7; conformance: 382, 373
#[test]
fn what_begins_like_another_protocol_is_dropped_unread() {
    for first in (0..=255_u8).filter(|b| !b.is_ascii_graphic() && !b" \t\r\n\0".contains(b)) {
        let mut data = request(b"");
        data[0] = first;
        data[4] = 0;
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        assert!(host.datagram(channel, "192.0.2.9:5060", &data).is_none());
        assert!(host.datagrams.is_empty(), "{first}");
        let stats = host.transport.stats();
        assert_eq!((stats.not_sip, stats.malformed), (1, 0), "{first}");
    }
}

#[test]
fn answers_have_a_rate_of_their_own() {
    let mut config = Config::default();
    config.stun_answers_per_second(200).unwrap();
    config.malformed_replies_per_second(1).unwrap();
    let mut host = Host::with(config);
    let channel = host.udp("192.0.2.1:5060");
    let bad = String::from_utf8(common::wire_request("SIP/2.0/UDP 192.0.2.9", "")).unwrap();
    let bad = bad.replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE");
    let source = |number| format!("10.{}.{}.9:33333", number / 256, number % 256);
    for number in 0..1_000 {
        host.datagram(channel, &source(number), bad.as_bytes());
        assert!(
            host.datagram(channel, &source(number), &request(b""))
                .is_none()
        );
    }
    let stats = host.transport.stats();
    assert_eq!((stats.stun_answers, stats.keepalives_in), (200, 1_000));
    assert_eq!(stats.stun_answers_suppressed, 800);
    assert_eq!(stats.malformed_replies, 1);
    assert_eq!(host.datagrams.len(), 201);
    host.now += Duration::from_millis(500);
    for number in 0..1_000 {
        host.datagram(channel, &source(number), &request(b""));
    }
    assert_eq!(host.transport.stats().stun_answers, 300);
}
