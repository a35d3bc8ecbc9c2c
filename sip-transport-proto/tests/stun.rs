//! STUN binding requests on the SIP port are answered (RFC 5626 §4.4.2, RFC 8489).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Host, addr};
use sip_transport_proto::Transmit;

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

#[test]
fn an_attribute_that_must_be_understood_is_named_in_a_420() {
    let unknown = request(b"\x00\x24\x00\x04\x01\x02\x03\x04");
    let answers = answers("192.0.2.9:33333", &unknown);
    let expected = b"\x00\x09\x00\x04\x00\x00\x04\x14\x00\x0a\x00\x02\x00\x24\x00\x00";
    assert_eq!(answers[0].bytes[..2], [1, 0x11]);
    assert_eq!(answers[0].bytes[20..], expected[..]);
}

#[test]
fn an_attribute_that_may_be_ignored_is() {
    let answers = answers("192.0.2.9:33333", &request(b"\x80\x22\x00\x03abc\x00"));
    assert_eq!(answers[0].bytes[..2], [1, 1]);
}

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
    for data in [
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

#[test]
fn answers_are_limited_by_the_second() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    for _ in 0..1_000 {
        assert!(
            host.datagram(channel, "192.0.2.9:33333", &request(b""))
                .is_none()
        );
    }
    assert_eq!(host.datagrams.len(), 100);
    let stats = host.transport.stats();
    assert_eq!((stats.stun_answers, stats.keepalives_in), (100, 1_000));
}
