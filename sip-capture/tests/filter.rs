//! Filters.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::IpAddr;

use common::OPTIONS;
use proptest::prelude::*;
use sip_capture::{Filter, ShareError};

fn peer() -> IpAddr {
    [192, 0, 2, 1].into()
}

#[test]
fn without_conditions_all_messages_are_chosen() {
    for message in [OPTIONS, b"", b"\r\n\r\n", b"\x00\xFF"] {
        assert!(Filter::new().matches(peer(), message));
    }
}

#[test]
fn a_response_has_the_method_of_its_request() {
    let invites = Filter::new().methods(["INVITE", "ACK"]);
    assert!(invites.matches(peer(), b"\r\nINVITE sip:bob@example.com SIP/2.0\r\n\r\n"));
    assert!(invites.matches(peer(), b"SIP/2.0 200 OK\r\nCSeq: 1\t INVITE\r\n\r\n"));
    assert!(invites.matches(peer(), b"SIP/2.0 200 OK\r\ncseq:1 INVITE \r\n\r\n"));
    for other in [
        OPTIONS,
        b"invite sip:bob@example.com SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\n\r\nCSeq: 1 INVITE",
        b"SIP/2.0 200 OK\r\n\r\nCSeq: 1 INVITE",
        b"",
    ] {
        assert!(!invites.matches(peer(), other));
    }
}

#[test]
fn the_peer_is_in_one_of_the_networks() {
    let networks = ["192.0.2.0/25", "2001:db8::/32"].map(|network| network.parse().unwrap());
    let filter = Filter::new().networks(networks);
    for (ip, is_in) in [
        ("192.0.2.1", true),
        ("::ffff:192.0.2.1", true),
        ("192.0.2.129", false),
        ("2001:db8:1::1", true),
        ("2001:db9::1", false),
    ] {
        assert_eq!(filter.matches(ip.parse().unwrap(), OPTIONS), is_in, "{ip}");
    }
}

#[test]
fn a_share_is_between_0_and_1() {
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let refused = Filter::new().share(share, [0; 16]).unwrap_err();
        assert!(matches!(refused, ShareError(same) if same.to_bits() == share.to_bits()));
    }
    let all = Filter::new().share(1.0, [0; 16]).unwrap();
    let none = Filter::new().share(0.0, [0; 16]).unwrap();
    assert!(all.matches(peer(), OPTIONS) && !none.matches(peer(), OPTIONS));
    assert!(none.matches(peer(), b"no Call-ID"));
}

#[test]
fn about_the_share_asked_for_is_chosen() {
    let filter = Filter::new().share(0.2, [7; 16]).unwrap();
    let chosen = |n: &u32| {
        let message = format!("ACK sip:bob@example.com SIP/2.0\r\nCall-ID: {n}\r\n\r\n");
        filter.matches(peer(), message.as_bytes())
    };
    let chosen = (0..10_000).filter(chosen).count();
    assert!((1_850..2_150).contains(&chosen), "{chosen}");
}

proptest! {
    #[test]
    fn all_messages_of_a_call_are_chosen_or_none(call_id in "[!-~]{1,40}", key: [u8; 16], share in 0.0..1.0_f64) {
        let filter = Filter::new().share(share, key).unwrap();
        let first = format!("INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n");
        let later = format!("SIP/2.0 200 OK\r\nCSeq: 2 BYE\r\ni :  {call_id}\t\r\nl: 1\r\n\r\nx");
        let is_chosen = filter.matches(peer(), first.as_bytes());
        prop_assert_eq!(filter.matches([203, 0, 113, 9].into(), later.as_bytes()), is_chosen);
    }
}
