//! Equivalence of URIs, and `tel` URIs turned into SIP URIs (RFC 3261 §19.1.4 and §19.1.6,
//! RFC 3966 §4).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use sip_core::HostPort;
use sip_core::uri::{SipUri, TelUri, Uri};

fn sip(text: &str) -> SipUri<'_> {
    SipUri::try_from(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn tel(text: &str) -> TelUri<'_> {
    TelUri::try_from(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

// RFC 3261 §19.1.4: the examples, and more.
const EQUIVALENT: &[(&str, &str)] = &[
    (
        "sip:%61lice@atlanta.com;transport=TCP",
        "sip:alice@AtLanTa.CoM;Transport=tcp",
    ),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
    (
        "sip:carol@chicago.com;newparam=5",
        "sip:carol@chicago.com;security=on",
    ),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("sip:carol@chicago.com;lr", "sip:carol@chicago.com"),
    ("sip:a@h:5060", "sip:a@h:05060"),
    ("sip:[::ffff:192.0.2.128]", "sip:[::ffff:c000:280]"),
    ("sip:h;maddr=[2001:db8:0::1]", "sip:h;maddr=[2001:DB8::1]"),
    ("sip:h;x=%41", "sip:h;X=a"),
    ("sip:h?a=1&a=2&b=3", "sip:h?b=3&A=1&a=2"),
];

const DIFFERENT: &[(&str, &str)] = &[
    (
        "SIP:ALICE@AtLanTa.CoM;Transport=udp",
        "sip:alice@AtLanTa.CoM;Transport=UDP",
    ),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    (
        "sip:bob@biloxi.com",
        "sip:bob@biloxi.com:6000;transport=tcp",
    ),
    (
        "sip:carol@chicago.com",
        "sip:carol@chicago.com?Subject=next%20meeting",
    ),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    (
        "sip:carol@chicago.com;security=on",
        "sip:carol@chicago.com;security=off",
    ),
    ("sip:a@h", "sips:a@h"),
    ("sip:a@h", "sip:h"),
    ("sip:a:b@h", "sip:a@h"),
    ("sip:a:b@h", "sip:a:B@h"),
    ("sip:a:@h", "sip:a@h"),
    ("sip:a%3bb@h", "sip:a;b@h"),
    ("sip:a@h;ttl=1", "sip:a@h"),
    ("sip:a@h;user=ip", "sip:a@h"),
    ("sip:a@h;method=INVITE", "sip:a@h"),
    ("sip:a@h;maddr=192.0.2.1", "sip:a@h"),
    ("sip:a@h;maddr=192.0.2.1", "sip:a@h;maddr=192.0.2.2"),
    ("sip:a@h;x", "sip:a@h;x=1"),
    ("sip:h?a=1&b=2", "sip:h?a=1"),
    ("sip:h?a=1&a=2", "sip:h?a=1&a=1"),
    ("sip:h?a=1&a=1", "sip:h?a=1&b=1"),
    ("sip:h?Call-ID=a", "sip:h?call-id=A"),
    ("sip:192.0.2.128", "sip:[::ffff:192.0.2.128]"),
];

// conformance: 203, 204, 205, 207, 208, 210
#[test]
fn equivalent_uris_are_equivalent() {
    for (a, b) in EQUIVALENT {
        assert!(sip(a).equivalent(&sip(b)), "{a} {b}");
        assert!(sip(b).equivalent(&sip(a)), "{b} {a}");
    }
}

// conformance: 202, 203, 204, 206, 207, 208, 209, 211
#[test]
fn different_uris_are_not_equivalent() {
    for (a, b) in DIFFERENT {
        assert!(!sip(a).equivalent(&sip(b)), "{a} {b}");
        assert!(!sip(b).equivalent(&sip(a)), "{b} {a}");
    }
}

#[test]
fn uris_of_different_kinds_are_not_equivalent() {
    let uri = |text| Uri::try_from(text).unwrap();
    assert!(uri("HTTP://a/b").equivalent(&uri("http://a/b")));
    assert!(!uri("http://a/B").equivalent(&uri("http://a/b")));
    assert!(!uri("tel:+1").equivalent(&uri("sip:+1@h")));
    assert!(uri("tel:+1").equivalent(&uri("TEL:+1")));
}

// conformance: 216; RFC 3261 §19.1.6
#[test]
fn a_tel_uri_becomes_a_sip_uri_in_canonical_order() {
    let cases = [
        (
            "tel:+358-555-1234567;postd=pp22",
            "sip:+358-555-1234567;postd=pp22@foo.com;user=phone",
        ),
        (
            "tel:+358-555-1234567;POSTD=PP22",
            "sip:+358-555-1234567;postd=pp22@foo.com;user=phone",
        ),
        (
            "tel:+358-555-1234567;postd=pp22;isub=1411",
            "sip:+358-555-1234567;isub=1411;postd=pp22@foo.com;user=phone",
        ),
        (
            "tel:+358-555-1234567;tsp=a.b;phone-context=5",
            "sip:+358-555-1234567;phone-context=5;tsp=a.b@foo.com;user=phone",
        ),
        ("tel:*67#911", "sip:*67%23911@foo.com;user=phone"),
        (
            "tel:+1;x=[a]:%20",
            "sip:+1;x=%5Ba%5D%3A%20@foo.com;user=phone",
        ),
    ];
    for (from, to) in cases {
        let text = tel(from).to_sip(HostPort::try_from("foo.com").unwrap());
        assert_eq!(text, to);
        assert_eq!(sip(&text).params().value("user"), Some("phone"));
    }
}

// RFC 3966 §4, RFC 3261 §19.1.6
#[test]
fn tel_uris_compare_without_case_separators_and_order() {
    let same = [
        (
            "tel:+358-555-1234567;postd=pp22",
            "tel:+358-555-1234567;POSTD=PP22",
        ),
        ("tel:+1;postd=pp22;isub=1411", "tel:+1;isub=1411;postd=pp22"),
        ("tel:+1-201-555-0123", "TEL:+1(201)555.0123"),
        (
            "tel:7042;phone-context=Example.com",
            "tel:7042;phone-context=example.COM",
        ),
        ("tel:7042;phone-context=+1-2", "tel:7042;phone-context=+12"),
        ("tel:+1;ext=2-2", "tel:+1;ext=22"),
        ("tel:a1", "tel:A1"),
    ];
    for (a, b) in same {
        assert!(tel(a).equivalent(&tel(b)), "{a} {b}");
    }
    let different = [
        ("tel:+1", "tel:1"),
        ("tel:+1", "tel:+2"),
        ("tel:+1;ext=1", "tel:+1"),
        ("tel:+1", "tel:+1;x"),
        ("tel:+1;x=1", "tel:+1;x"),
        ("tel:1;phone-context=a.b", "tel:1;phone-context=a.c"),
    ];
    for (a, b) in different {
        assert!(!tel(a).equivalent(&tel(b)), "{a} {b}");
    }
    assert_eq!(
        tel("tel:7042;phone-context=x.y").phone_context(),
        Some("x.y")
    );
    assert!(!tel("tel:7042;phone-context=x.y").is_global());
    assert_eq!(tel("tel:+1(2)-3").number(), "+1(2)-3");
}
