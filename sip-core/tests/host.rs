//! Hosts and ports (RFC 3261 §25.1, RFC 5954, RFC 5118).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use sip_core::{Host, HostPort, ValueError};

fn is_host(text: &str) -> bool {
    Host::try_from(text).is_ok()
}

proptest! {
    /// But for the third colon of RFC 5118 §4.10.
    #[test]
    fn an_ipv6_address_reads_as_the_standard_library_reads_it(
        text in prop_oneof!["[0-9a-fA-F:.]{0,20}", "([0-9a-f]{0,5}:){1,9}[0-9a-f]{0,5}"]
            .prop_filter("three colons", |text| !text.contains(":::")),
    ) {
        let host = Host::try_from(format!("[{text}]").as_str()).ok().and_then(|host| host.ip());
        prop_assert_eq!(host, text.parse().ok().map(IpAddr::V6));
    }

    // conformance: 59, 64
    #[test]
    fn every_address_round_trips_in_canonical_form(ip: IpAddr) {
        let text = match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let host = Host::try_from(text.as_str()).unwrap();
        prop_assert_eq!(host, Host::from(ip));
        prop_assert_eq!(host.ip(), Some(ip));
        prop_assert_eq!(host.to_string(), text.as_str());
        prop_assert_eq!(host.is_unspecified(), ip.is_unspecified());
    }

    // conformance: 57
    #[test]
    fn every_name_of_the_grammar_is_a_host(
        name in "([a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?\\.){0,3}[a-z]([a-z0-9-]{0,5}[a-z0-9])?\\.?"
    ) {
        let host = Host::try_from(name.as_str()).unwrap();
        prop_assert_eq!(host, Host::Name(&name));
        prop_assert_eq!(host.to_string(), name.as_str());
    }

    #[test]
    fn any_bytes_give_a_prefix_or_an_error_within_them(
        data in prop_oneof![any::<Vec<u8>>(), "[a-f0-9:.\\[\\]_-]{0,60}".prop_map(String::into_bytes)]
    ) {
        match HostPort::parse(&data) {
            Ok((host_port, used)) => {
                let text = std::str::from_utf8(&data[..used]).unwrap();
                prop_assert_eq!(HostPort::try_from(text).unwrap(), host_port);
                let printed = host_port.to_string();
                prop_assert_eq!(HostPort::try_from(printed.as_str()).unwrap(), host_port);
            }
            Err(error) => prop_assert!(error.offset() <= data.len()),
        }
    }

    // conformance: 59
    #[test]
    fn a_dotted_quad_is_an_address_or_no_host(octets: [u16; 4]) {
        let octets = octets.map(|octet| octet % 400);
        let [a, b, c, d] = octets;
        let text = format!("{a}.{b}.{c}.{d}");
        match Host::try_from(text.as_str()) {
            Ok(host) => prop_assert_eq!(host.ip(), text.parse().ok()),
            Err(_) => prop_assert!(octets.iter().any(|&octet| octet > 255)),
        }
    }

    // conformance: 65
    #[test]
    fn a_port_may_have_leading_zeros(port: u16, zeros in 0..200usize) {
        let text = format!("h:{}{port}", "0".repeat(zeros));
        prop_assert_eq!(HostPort::try_from(text.as_str()).unwrap().port(), Some(port));
    }

    #[test]
    fn equal_hosts_have_equal_hashes(name in "[a-zA-Z]{1,8}") {
        let upper = name.to_ascii_uppercase();
        let hosts = HashSet::from([Host::Name(&name), Host::Name(&upper)]);
        prop_assert_eq!(hosts.len(), 1);
    }
}

// conformance: 57, 58
#[test]
fn names_have_labels_of_letters_digits_and_inner_hyphens() {
    let good = [
        "a",
        "example.com",
        "example.com.",
        "host-of-the-hour.example.com",
        "1host.example.com",
        "my_host",
        "_sip._udp.example.com",
        "xn--bcher-kva.example",
        "3com.com",
        "a.b-c.d1",
        "192.0.2.1.example.com",
        "invalid.",
        "a--b.c",
    ];
    for name in good {
        assert!(
            matches!(Host::try_from(name), Ok(Host::Name(n)) if n == name),
            "{name}"
        );
    }
    let bad = [
        "",
        ".",
        "-",
        "a-.b",
        "-a.b",
        "a.-b",
        "a..b",
        ".a",
        "a.b-",
        "a.b..",
        "127.0.0.1a",
        "1",
        "a.1",
        "a.1b",
        "ex%61mple.com",
        "exämple.com",
        "a b",
        "a.b/",
        "a.b-.",
    ];
    for name in bad {
        assert!(!is_host(name), "{name}");
    }
}

// conformance: 59; bad-inputs: P5
#[test]
fn addresses_follow_rfc_3986_and_nothing_looser() {
    for ip in ["0.0.0.0", "192.0.2.1", "255.255.255.255"] {
        assert_eq!(Host::try_from(ip), Ok(Host::V4(ip.parse().unwrap())));
    }
    for bad in [
        "444.555.666.777",
        "256.0.0.1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.04",
        "01.2.3.4",
        "1.2.3.",
        "1.2.3.4.",
        "1..3.4",
        "1.2.3.4-",
        "0x7f.0.0.1",
        "2130706433",
        "1.2.3.4a",
        "1.2.3.1000",
    ] {
        assert!(!is_host(bad), "{bad}");
    }
    for ip in [
        "::",
        "::0",
        "0:0:0:0:0:0:0:0",
        "::1",
        "1::",
        "2001:db8::9:1",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "::ffff:192.0.2.2",
        "2001:DB8::A",
        "2001:db8::192.0.2.1",
        "1:2:3:4:5:6:255.255.255.255",
    ] {
        let text = format!("[{ip}]");
        assert_eq!(
            Host::try_from(text.as_str()),
            Ok(Host::V6(ip.parse().unwrap()))
        );
    }
    for bad in [
        "[]",
        "[",
        "[::1",
        "]",
        "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[::1::2]",
        "[:::]",
        "[12345::]",
        "[g::]",
        "[1:2]",
        "[::1]x",
        "[::192.0.2.256]",
        "[::192.0.2]",
        "[192.0.2.1]",
        "[v1.x]",
        "[::1 ]",
        "[ ::1]",
        "[%31::]",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[1:2:3:4:5:6:7:8::]",
        "[::00000000000000000000000000000000000000000000000001]",
    ] {
        assert!(!is_host(bad), "{bad}");
    }
}

// conformance: 60; RFC 5118 §4.2
#[test]
fn an_ipv6_address_needs_brackets() {
    for text in ["2001:db8::10", "::1", "fe80::1", "abcd::", "abcd:1::2"] {
        assert!(HostPort::try_from(text).is_err(), "{text}");
        assert!(!is_host(text), "{text}");
    }
}

// RFC 5118 §4.3
#[test]
fn digits_inside_the_brackets_are_no_port() {
    let ambiguous = HostPort::try_from("[2001:db8::10:5070]").unwrap();
    assert_eq!(ambiguous.port(), None);
    assert_eq!(
        ambiguous.host(),
        Host::V6("2001:db8::10:5070".parse().unwrap())
    );
    let clear = HostPort::try_from("[2001:db8::10]:5070").unwrap();
    assert_eq!(clear.port(), Some(5070));
    assert_eq!(clear.to_string(), "[2001:db8::10]:5070");
}

// conformance: 62; RFC 5118 §4.10
#[test]
fn the_third_colon_before_an_ipv4_address_is_read_and_not_written() {
    let host = Host::try_from("[2001:db8:::192.0.2.1]").unwrap();
    assert_eq!(host, Host::try_from("[2001:db8::192.0.2.1]").unwrap());
    assert_eq!(host.to_string(), "[2001:db8::c000:201]");
    for bad in [
        "[2001:db8:::1]",
        "[:::1]",
        "[2001:::db8:::192.0.2.1]",
        "[2001:db8::::192.0.2.1]",
    ] {
        assert!(!is_host(bad), "{bad}");
    }
}

// conformance: 65
#[test]
fn a_port_is_1_to_5_digits_up_to_65535() {
    assert_eq!(HostPort::try_from("h:05060").unwrap().port(), Some(5060));
    assert_eq!(HostPort::try_from("h:65535").unwrap().port(), Some(65535));
    assert_eq!(HostPort::try_from("h").unwrap().port(), None);
    for bad in [
        "h:", "h:65536", "h:99999", "h:-1", "h:+1", "h:5060x", "h: 5060", "h :5060", "h:0x10",
    ] {
        assert!(HostPort::try_from(bad).is_err(), "{bad}");
    }
    let long = format!("h:{}", "9".repeat(10_000));
    assert!(matches!(
        HostPort::try_from(long.as_str()),
        Err(ValueError::OutOfRange { offset: 2, .. })
    ));
}

#[test]
fn parsing_stops_behind_the_host_and_tells_where() {
    let cases = [
        ("192.0.2.1;branch=z", 9),
        ("192.0.2.1:5060>", 14),
        ("example.com. ", 12),
        ("[::1]:5;x", 7),
        ("a>b", 1),
        ("1.a@b", 3),
    ];
    for (text, end) in cases {
        assert_eq!(HostPort::parse(text.as_bytes()).unwrap().1, end, "{text}");
    }
}

// conformance: 203, 210, 211
#[test]
fn names_compare_without_case_and_addresses_by_value() {
    let host = |text| Host::try_from(text).unwrap();
    assert_eq!(host("AtLanTa.CoM"), host("atlanta.com"));
    assert_eq!(host("[::ffff:192.0.2.128]"), host("[::ffff:c000:280]"));
    assert_eq!(host("[2001:DB8:0:0::1]"), host("[2001:db8::1]"));
    assert_ne!(host("192.0.2.128"), host("[::ffff:192.0.2.128]"));
    assert_ne!(host("localhost"), host("127.0.0.1"));
}

// design §4: the placeholder in any spelling
#[test]
fn the_unspecified_address_is_known_in_any_spelling() {
    for text in [
        "0.0.0.0",
        "[::]",
        "[::0]",
        "[0:0:0:0:0:0:0:0]",
        "[::0.0.0.0]",
    ] {
        assert!(Host::try_from(text).unwrap().is_unspecified(), "{text}");
    }
    for text in ["0.0.0.1", "[::1]", "localhost"] {
        assert!(!Host::try_from(text).unwrap().is_unspecified(), "{text}");
    }
}

// conformance: 63, 64
#[test]
fn addresses_are_written_in_brackets_without_zone_in_canonical_form() {
    let ip: Ipv6Addr = "2001:DB8:0:0:0:0:0:1".parse().unwrap();
    assert_eq!(Host::from(IpAddr::V6(ip)).to_string(), "[2001:db8::1]");
    let host = Host::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(
        HostPort::new(host, Some(5060)).to_string(),
        "127.0.0.1:5060"
    );
}

#[test]
fn errors_say_what_was_expected_and_where() {
    let message = |text: &str| HostPort::try_from(text).unwrap_err().to_string();
    assert_eq!(message("a..b"), "expected a host at byte 2, found '.'");
    assert_eq!(message("h:x"), "expected port number at byte 2, found 'x'");
    assert_eq!(
        message("h:"),
        "expected port number at byte 2, found the end"
    );
    assert_eq!(message("h:70000"), "port number at byte 2 is out of range");
    assert_eq!(
        message("[::1"),
        "expected ']' after an IPv6 address at byte 4, found the end"
    );
}
