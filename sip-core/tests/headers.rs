//! Typed headers: what is accepted, what it means, what is refused, and how it prints.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::net::IpAddr;

use sip_core::header::{
    Accept, AcceptEncoding, AlertInfo, Allow, AuthParam, AuthParams, AuthenticationInfo,
    Authorization, CSeq, CallId, CallInfo, Contact, ContentDisposition, ContentEncoding,
    ContentLength, ContentType, Date, ErrorInfo, Event, Expires, From, Header, InReplyTo,
    MaxForwards, MimeVersion, MinExpires, MinSe, PAssertedIdentity, Path, Priority, Privacy,
    Product, ProxyAuthenticate, ProxyAuthorization, ProxyRequire, QValue, RAck, RSeq, Reason,
    RecordRoute, ReferTo, Refresher, Replaces, Require, RetryAfter, Route, Server, ServiceRoute,
    SessionExpires, SubscriptionState, Supported, Timestamp, To, Unsupported, UserAgent, Via,
    Warning, WwwAuthenticate, list,
};
use sip_core::uri::Uri;
use sip_core::{Host, HostPort, Message, Method, Name, Param, Params, ValueError};

fn print<'a, H: Header<'a>>(value: &'a str) -> Result<String, ValueError> {
    H::parse(value.as_bytes()).map(|header| header.to_string())
}

/// Every value is accepted and prints as the text beside it.
#[track_caller]
fn accepts<'a, H: Header<'a>>(table: &[(&'a str, &str)]) {
    for (value, printed) in table {
        assert_eq!(print::<H>(value).as_deref(), Ok(*printed), "{value:?}");
    }
}

#[track_caller]
fn refuses<'a, H: Header<'a>>(values: &[&'a str]) {
    for value in values {
        let result = print::<H>(value);
        let error = result.expect_err(value);
        assert!(error.offset() <= value.len(), "{value:?}: {error}");
    }
}

fn values<'a, H: Header<'a>>(row: &'a str) -> Result<Vec<H>, ValueError> {
    list::values(row.as_bytes()).collect()
}

fn uri(text: &str) -> Uri<'_> {
    Uri::try_from(text).unwrap()
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

// conformance: 226, 228, 231
#[test]
fn via_shows_protocol_sent_by_and_parameters() {
    let value = b"SIP/2.0/TLS h.example:5061;ttl=16;maddr=224.2.0.1;received=192.0.2.9;\
                  branch=z9hG4bK1;rport=33;alias;keep=5";
    let via = Via::parse(value).unwrap();
    assert_eq!(via.transport(), "TLS");
    assert_eq!(via.sent_by(), HostPort::try_from("h.example:5061").unwrap());
    assert_eq!(
        (via.branch(), via.rport()),
        (Some("z9hG4bK1"), Some(Some(33)))
    );
    assert_eq!((via.received(), via.ttl()), (ip("192.0.2.9"), Some(16)));
    assert_eq!(via.maddr(), Some(Host::try_from("224.2.0.1").unwrap()));
    assert!(via.params().contains("ALIAS"));
    assert_eq!(via.params().value("keep"), Some(&b"5"[..]));
    for transport in [
        "UDP", "TCP", "SCTP", "TLS-SCTP", "WS", "WSS", "UNKNOWN", "udp",
    ] {
        let text = format!("SIP/2.0/{transport} h.example;branch=z9hG4bK1");
        assert_eq!(Via::parse(text.as_bytes()).unwrap().transport(), transport);
        assert_eq!(print::<Via<'_>>(&text).as_ref(), Ok(&text));
    }
}

// conformance: 48, 229; bad-inputs: P5 (folding)
#[test]
fn via_has_white_space_wherever_the_grammar_allows_it() {
    accepts::<Via<'_>>(&[
        (
            "SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
            "SIP/2.0/UDP first.example.com:4000;branch=z9hG4bKa7c6a8dlze.1;maddr=224.2.0.1;ttl=16",
        ),
        (
            "SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw",
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
        ),
        (
            "SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
        ),
        ("sip/2.0/udp h.example \t", "SIP/2.0/udp h.example"),
        (
            "SIP/2.0/UDP [2001:DB8::9] : 05060",
            "SIP/2.0/UDP [2001:db8::9]:5060",
        ),
    ]);
}

// conformance: 230
#[test]
fn via_may_lack_a_branch() {
    assert_eq!(
        Via::parse(b"SIP/2.0/UDP iftgw.example.com")
            .unwrap()
            .branch(),
        None
    );
}

// conformance: 61, 63, 488, 489; bad-inputs: R7
#[test]
fn received_takes_brackets_and_prints_none() {
    for written in ["2001:db8::9:255", "[2001:db8::9:255]"] {
        let text = format!("SIP/2.0/UDP [2001:db8::9:1];received={written};branch=z9hG4bKas3");
        let via = Via::parse(text.as_bytes()).unwrap();
        assert_eq!(via.received(), ip("2001:db8::9:255"));
        assert_eq!(
            via.to_string(),
            "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3;received=2001:db8::9:255"
        );
    }
    refuses::<Via<'_>>(&[
        "SIP/2.0/UDP h;received=fe80::1%2",
        "SIP/2.0/UDP h;received=[fe80::1%2]",
    ]);
}

// conformance: 66, 294
#[test]
fn rport_and_ttl_keep_to_their_range() {
    let rport = |text: &'static str| Via::parse(text.as_bytes()).map(|via| via.rport());
    assert_eq!(rport("SIP/2.0/UDP h"), Ok(None));
    assert_eq!(rport("SIP/2.0/UDP h;rport"), Ok(Some(None)));
    assert_eq!(rport("SIP/2.0/UDP h;RPort = 65535"), Ok(Some(Some(65535))));
    refuses::<Via<'_>>(&[
        "SIP/2.0/UDP h;rport=",
        "SIP/2.0/UDP h;rport=65536",
        "SIP/2.0/UDP h;rport=-1",
        "SIP/2.0/UDP h;rport=5x",
        "SIP/2.0/UDP h;rport=\"5\"",
        "SIP/2.0/UDP h;ttl=256",
        "SIP/2.0/UDP h;ttl=0001",
        "SIP/2.0/UDP h;ttl",
    ]);
}

// bad-inputs: P5; conformance: 22, 44, 51, 60
#[test]
fn a_broken_via_is_refused() {
    refuses::<Via<'_>>(&[
        "",
        "SIP",
        "SIP/2.0",
        "SIP/2.0/",
        "SIP/2.0/ ",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 UDP h",
        "SIP/7.0/UDP h",
        "HTTP/2.0/UDP h",
        "SIP/2.0/UDP h x",
        "SIP/2.0/UDP []",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP 2001:db8::9",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h:-1",
        "SIP/2.0/UDP :5060",
        "SIP/2.0/UDP ;branch=z",
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h;;branch=z",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP h;branch",
        "SIP/2.0/UDP h;branch=\"z\"",
        "SIP/2.0/UDP h;branch=z;Branch=y",
        "SIP/2.0/UDP h;rport=;received=",
        "SIP/2.0/UDP h;received=",
        "SIP/2.0/UDP h;received",
        "SIP/2.0/UDP h;received=h.example",
        "SIP/2.0/UDP h;maddr",
        "SIP/2.0/UDP h;maddr=-",
        "SIP/2.0/UDP h (comment)",
        "SIP/2.0/UDP h;a=b c",
    ]);
}

// bad-inputs: P4, P1
#[test]
fn long_values_are_kept_whole() {
    let branch = "z9hG4bK".repeat(1000);
    let via = format!("SIP/2.0/UDP h;branch={branch}");
    assert_eq!(Via::parse(via.as_bytes()).unwrap().branch(), Some(&*branch));
    let from = format!("<sip:a@b.example>;tag={branch}");
    assert_eq!(From::parse(from.as_bytes()).unwrap().tag(), Some(&*branch));
    let cseq = format!("1 {branch}");
    assert_eq!(
        CSeq::parse(cseq.as_bytes()).unwrap().method(),
        Method::Other(&branch)
    );
}

// bad-inputs: R12
#[test]
fn parameter_names_have_no_case() {
    let via = Via::parse(b"SIP/2.0/UDP h;Branch=z9hG4bK1;RPORT;Received=192.0.2.1;MAddr=h;TTL=1")
        .unwrap();
    assert_eq!(via.branch(), Some("z9hG4bK1"));
    assert_eq!(via.rport(), Some(None));
    assert!(via.received().is_some() && via.maddr().is_some() && via.ttl().is_some());
    assert_eq!(
        From::parse(b"<sip:a@b.example>;TAG=x").unwrap().tag(),
        Some("x")
    );
}

// bad-inputs: R17; conformance: 229
#[test]
fn two_vias_in_a_row_do_not_mix() {
    let row = "SIP/2.0/UDP a.example;branch=z1;rport , SIP/2.0/TCP b.example;branch=z2;received=192.0.2.1";
    let vias = values::<Via<'_>>(row).unwrap();
    assert_eq!(vias.len(), 2);
    assert_eq!(
        (vias[0].branch(), vias[0].rport(), vias[0].received()),
        (Some("z1"), Some(None), None)
    );
    assert_eq!(
        (vias[1].branch(), vias[1].rport(), vias[1].received()),
        (Some("z2"), None, ip("192.0.2.1"))
    );
}

// conformance: 227
#[test]
fn vias_are_equivalent_with_the_same_parameters_in_any_order() {
    let same = |a: &str, b: &str| {
        let (a, b) = (
            Via::parse(a.as_bytes()).unwrap(),
            Via::parse(b.as_bytes()).unwrap(),
        );
        assert_eq!(a.equivalent(&b), b.equivalent(&a));
        a.equivalent(&b)
    };
    assert!(same(
        "SIP/2.0/UDP H.example;a=1;branch=x;b",
        "sip/2.0/udp h.EXAMPLE ; B; branch=x;A=1"
    ));
    assert!(same(
        "SIP/2.0/UDP h;received=[::1]",
        "SIP/2.0/UDP h;received=::1"
    ));
    for other in [
        "SIP/2.0/TCP h;branch=x;a",
        "SIP/2.0/UDP i;branch=x;a",
        "SIP/2.0/UDP h:5060;branch=x;a",
        "SIP/2.0/UDP h;branch=y;a",
        "SIP/2.0/UDP h;branch=x",
        "SIP/2.0/UDP h;branch=x;a=1",
        "SIP/2.0/UDP h;branch=x;a;b",
        "SIP/2.0/UDP h;branch=x;a;rport",
    ] {
        assert!(!same("SIP/2.0/UDP h;branch=x;a", other), "{other}");
    }
}

#[test]
fn a_via_is_built_from_parts() {
    let params = [
        Param::flag("alias").unwrap(),
        Param::new("rport", "1").unwrap(),
    ];
    let via = Via::new(
        "TCP",
        HostPort::new(Host::from(ip("2001:db8::1").unwrap()), Some(5060)),
    )
    .unwrap()
    .with_branch("z9hG4bK7")
    .unwrap()
    .with_rport(None)
    .with_received("192.0.2.1".parse().unwrap())
    .with_maddr(Host::try_from("224.0.1.75").unwrap())
    .with_ttl(1)
    .with_params(Params::of(&params));
    assert_eq!(
        via.to_string(),
        "SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bK7;received=192.0.2.1;rport;maddr=224.0.1.75;ttl=1;alias"
    );
    assert!(Via::new("T P", via.sent_by()).is_err());
    assert!(via.with_branch("a\r\nb").is_err());
}

// conformance: 36
#[test]
fn a_token_is_of_its_characters_only() {
    for byte in 0..=255u8 {
        let token = byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        let branch = [b"SIP/2.0/UDP h;branch=a".as_slice(), &[byte], b"b"].concat();
        let whole = Via::parse(&branch)
            .ok()
            .and_then(|via| via.branch().map(str::len));
        assert_eq!(whole == Some(3), token, "{byte}");
        let tag = [b"<sip:a@b.example>;tag=a".as_slice(), &[byte], b"b"].concat();
        let whole = To::parse(&tag).ok().and_then(|to| to.tag().map(str::len));
        assert_eq!(whole == Some(3), token, "{byte}");
        let method = [b"1 A".as_slice(), &[byte], b"B"].concat();
        assert_eq!(CSeq::parse(&method).is_ok(), token, "{byte}");
    }
}

// conformance: 16, 41, 42; bad-inputs: R16
#[test]
fn the_uri_is_what_stands_behind_the_display_name() {
    for (value, name, uri) in [
        (
            "\"J \\\"q\\\" <sip:x@y.example>, ;\" <sip:a@b.example>;tag=1",
            Some("J \"q\" <sip:x@y.example>, ;"),
            "sip:a@b.example",
        ),
        (
            "caller<sip:caller@example.com>;tag=323",
            Some("caller"),
            "sip:caller@example.com",
        ),
        (
            "Two  Words <sip:a@b.example>",
            Some("Two  Words"),
            "sip:a@b.example",
        ),
        (
            "token1~` token2'+_ token3*%!.- <sip:m@e.example>",
            Some("token1~` token2'+_ token3*%!.-"),
            "sip:m@e.example",
        ),
        ("\"\"<sip:a@b.example>", Some(""), "sip:a@b.example"),
        (
            "Folded\r\n Name\r\n <sip:a@b.example>",
            Some("Folded Name"),
            "sip:a@b.example",
        ),
        (
            "\"Folded\r\n Name\" <sip:a@b.example>",
            Some("Folded Name"),
            "sip:a@b.example",
        ),
        ("<sip:a@b.example>", None, "sip:a@b.example"),
        ("sip:a@b.example;tag=1", None, "sip:a@b.example"),
        (
            "\r\n sip:a@b.example ;   tag    = 1",
            None,
            "sip:a@b.example",
        ),
    ] {
        let from = From::parse(value.as_bytes()).unwrap();
        assert_eq!(
            from.display_name().as_deref(),
            name.map(str::as_bytes),
            "{value:?}"
        );
        assert_eq!(from.uri().to_string(), uri, "{value:?}");
        assert_eq!(from.uri_text(), uri.as_bytes(), "{value:?}");
        let printed = from.to_string();
        let again = From::parse(printed.as_bytes()).unwrap();
        assert_eq!(again.display_name(), from.display_name(), "{printed:?}");
        assert_eq!(again.tag(), from.tag());
    }
}

// conformance: 40
#[test]
fn quoted_pairs_stand_for_any_ascii_but_cr_and_lf() {
    let to =
        To::parse(b"\"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f\" <sip:1_unusual.URI@example.com>").unwrap();
    assert_eq!(
        to.display_name().as_deref(),
        Some(&b"BEL:\x07 NUL:\0 DEL:\x7f"[..])
    );
    refuses::<To<'_>>(&[
        "\"a\\\r\n b\" <sip:a@b.example>",
        "\"a\\\n\" <sip:a@b.example>",
        "\"a\0\" <sip:a@b.example>",
        "\"a\x7f\" <sip:a@b.example>",
        "\"a\\\u{e9}\" <sip:a@b.example>",
    ]);
}

// conformance: 46; bad-inputs: P9
#[test]
fn bytes_that_are_not_utf8_are_kept() {
    let from = From::parse(b"\"caf\xE9 \xC3\x28\" <sip:a@b.example>;x=\"\xFF\"").unwrap();
    assert_eq!(
        from.display_name().as_deref(),
        Some(&b"caf\xE9 \xC3\x28"[..])
    );
    assert_eq!(from.params().value("x"), Some(&b"\"\xFF\""[..]));
    assert_eq!(
        from.to_string(),
        "\"caf\u{fffd} \u{fffd}(\" <sip:a@b.example>;x=\"\u{fffd}\""
    );
    assert!(From::parse(b"caf\xE9 <sip:a@b.example>").is_err());
}

// conformance: 22, 41, 43, 49, 221, 460, 461, 462; bad-inputs: P8
#[test]
fn a_broken_address_is_refused() {
    const BROKEN: &[&str] = &[
        "",
        "<>",
        "<",
        "\"/\"",
        "\"Mr. J. User <sip:j.user@example.com>",
        "\"ends in \\",
        "\"ends in \\\"",
        "\"Watson, Thomas\" < sip:t.watson@example.org >",
        "<sip:a@b.example >",
        "Bell, Alexander <sip:a.g.bell@bell-tel.com>;tag=43",
        "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        "sip:a,b@example.com",
        "<sip:a@b.example",
        "\"a\" sip:a@b.example",
        "a b",
        "a <sip:a@b.example> b",
        "<sip:a@b.example>;tag",
        "<sip:a@b.example>;tag=",
        "<sip:a@b.example>;tag=\"x\"",
        "<sip:a@b.example>;tag=1;tag=1",
        "<sip:a@b.example>;tag=1;x;TAG=2",
        "<sip:a@b.example>;;tag=1",
        "<sip:>",
        "<sip:@b.example>",
        "<sip:a@>",
        "<sip:>;sip:;1001@h.example",
        "<sip:a%@b.example>",
        "<sip:a%4@b.example>",
        "<sip:a@b.example;x=%>",
        "\"a\"\"b\" <sip:a@b.example>",
        "(a) <sip:a@b.example>",
    ];
    refuses::<From<'_>>(BROKEN);
    refuses::<To<'_>>(BROKEN);
    assert!(Contact::parse(b"sip:user@example.com?Route=%3Csip:sip.example.com%3E").is_err());
    assert!(Contact::parse(b"<sip:>;sip:;1001@h.example").is_err());
}

// conformance: 68
#[test]
fn an_escaped_nul_ends_nothing() {
    let contact = Contact::parse(b"<sip:%00@host5.example.com>").unwrap();
    assert_eq!(
        contact.uri().unwrap().to_string(),
        "sip:%00@host5.example.com"
    );
}

// conformance: 256; bad-inputs: P8
#[test]
fn addresses_hold_any_scheme() {
    for (value, scheme) in [
        ("isbn:2983792873", "isbn"),
        ("<http://www.example.com>;tag=3234233", "http"),
        ("\"911\" <urn:service:sos>", "urn"),
        ("<tel:+1-201-555-0123;isub=1>", "tel"),
        ("<sips:a@b.example>", "sips"),
    ] {
        assert_eq!(To::parse(value.as_bytes()).unwrap().uri().scheme(), scheme);
    }
    assert_eq!(
        Contact::parse(b"<name:John_Smith>")
            .unwrap()
            .uri()
            .unwrap()
            .scheme(),
        "name"
    );
}

// conformance: 219, 220
#[test]
fn parameters_belong_to_the_header_unless_in_brackets() {
    let outside = Contact::parse(b"sip:+19725552222@gw1.example.net;unknownparam").unwrap();
    assert!(outside.params().contains("unknownparam"));
    assert_eq!(
        outside.to_string(),
        "<sip:+19725552222@gw1.example.net>;unknownparam"
    );
    let inside = Contact::parse(b"<sip:+19725552222@gw1.example.net;unknownparam>").unwrap();
    assert!(inside.params().is_empty());
    let built = To::new(uri("sip:a@b.example;p=1")).with_tag("x").unwrap();
    assert_eq!(built.to_string(), "<sip:a@b.example;p=1>;tag=x");
}

// bad-inputs: P11
#[test]
fn text_of_the_caller_cannot_break_out() {
    let from = From::new(uri("sip:a@b.example")).with_display_name("a\" <sip:x@y>,\r\nVia: \\");
    assert_eq!(
        from.to_string(),
        "\"a\\\" <sip:x@y>,  Via: \\\\\" <sip:a@b.example>"
    );
    assert!(from.with_tag("a;b").is_err());
    assert!(from.with_tag("").is_err());
    assert!(from.with_tag("a\r\nb").is_err());
    let reason = Reason::new("SIP").unwrap().with_text("a\"\r\nb");
    assert_eq!(reason.to_string(), "SIP;text=\"a\\\"  b\"");
}

// conformance: 23, 225
#[test]
fn addresses_are_equivalent_by_uri_and_common_parameters() {
    let same = |a: &str, b: &str| {
        From::parse(a.as_bytes())
            .unwrap()
            .equivalent(&From::parse(b.as_bytes()).unwrap())
    };
    assert!(same(
        "\"A\" <sip:a@H.example>;tag=1;x=2",
        "sip:a@h.example;tag=1;y=3"
    ));
    assert!(same(
        "<sip:a@h.example>;x=\"Q\";tag=1",
        "<sip:a@h.example>;tag=1;X=\"\\Q\""
    ));
    // RFC 3261 §7.3.1: case counts in quotes only.
    assert!(same("<sip:a@h.example>;x=q", "<sip:a@h.example>;X=Q"));
    assert!(!same(
        "<sip:a@h.example>;x=\"q\"",
        "<sip:a@h.example>;x=\"Q\""
    ));
    assert!(!same("<sip:a@h.example>;tag=1", "<sip:a@h.example>;tag=2"));
    assert!(!same("<sip:a@h.example>;tag=1", "<sip:a@h.example>"));
    assert!(!same("<sip:a@h.example>;x=1", "<sip:a@h.example>;x=2"));
    assert!(!same("<sip:a@h.example>", "<sip:b@h.example>"));
}

// conformance: 53
#[test]
fn the_wildcard_contact_stands_alone() {
    let one = values::<Contact<'_>>("*").unwrap();
    assert!(one.len() == 1 && one[0].is_wildcard() && one[0].uri().is_none());
    for row in [
        "*, <sip:a@b.example>",
        "<sip:a@b.example>, *",
        "*,*",
        "*;expires=0",
        "*,",
        "**",
    ] {
        assert!(values::<Contact<'_>>(row).is_err(), "{row}");
    }
}

// conformance: 222; bad-inputs: R16
#[test]
fn lists_split_outside_quotes_and_brackets_only() {
    let split = |row: &'static str| {
        list::split(row.as_bytes())
            .map(|v| core::str::from_utf8(v).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        split("\"A, B\" <sip:a,b@h.example>, <sip:c@h.example>"),
        ["\"A, B\" <sip:a,b@h.example>", "<sip:c@h.example>"]
    );
    assert_eq!(
        split("\"a\\\",<\" <sip:x>\r\n ,\tb"),
        ["\"a\\\",<\" <sip:x>", "b"]
    );
    assert_eq!(split(" a , b "), ["a", "b"]);
    assert_eq!(split("a,,b,"), ["a", "", "b", ""]);
    assert_eq!(split(" \r\n "), [""; 0]);
    assert_eq!(split("\"open, b"), ["\"open, b"]);
    assert_eq!(split("<open, b"), ["<open, b"]);
    assert_eq!(split("\"open\\"), ["\"open\\"]);
}

// conformance: 223, 55, 224
#[test]
fn contact_has_q_and_expires() {
    let contact = Contact::parse(
        b"\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n newvalue ;\r\n  secondparam ; q = 0.33",
    )
    .unwrap();
    assert_eq!(contact.q(), QValue::new(330));
    let expires = |text: &'static str| Contact::parse(text.as_bytes()).unwrap().expires();
    assert_eq!(expires("<sip:a@b.example>"), None);
    assert_eq!(expires("<sip:a@b.example>;expires=0"), Some(0));
    assert_eq!(
        expires("<sip:a@b.example>;expires=4294967295"),
        Some(u32::MAX)
    );
    assert_eq!(expires("<sip:a@b.example>;expires=4294967296"), Some(3600));
    assert_eq!(expires("<sip:a@b.example>;expires=soon"), Some(3600));
    let built = Contact::new(uri("sip:0.0.0.0"))
        .with_q(QValue::new(70).unwrap())
        .with_expires(60);
    assert_eq!(
        built.with_display_name("A").to_string(),
        "\"A\" <sip:0.0.0.0>;q=0.07;expires=60"
    );
}

// conformance: 55
#[test]
fn q_has_three_decimals_and_ends_at_one() {
    for (text, thousandths) in [
        ("0", 0),
        ("1", 1000),
        ("0.", 0),
        ("1.000", 1000),
        ("0.333", 333),
        ("0.5", 500),
        ("1.", 1000),
    ] {
        let value = format!("<sip:a@b.example>;q={text}");
        let q = Contact::parse(value.as_bytes()).unwrap().q().unwrap();
        assert_eq!(q.thousandths(), thousandths, "{text}");
        let printed = format!("<sip:a@b.example>;q={q}");
        assert_eq!(Contact::parse(printed.as_bytes()).unwrap().q(), Some(q));
    }
    for text in [
        "0.3333", "1.001", ".5", "-1", "2", "0.x", "", "\"0\"", "00", "1.1",
    ] {
        let value = format!("<sip:a@b.example>;q={text}");
        assert!(Contact::parse(value.as_bytes()).is_err(), "{text}");
    }
}

// conformance: 232
#[test]
fn routes_need_brackets() {
    const GOOD: &[(&str, &str)] = &[
        ("<sip:p.example;lr>", "<sip:p.example;lr>"),
        (
            "\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
            "<sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
        ),
        ("P <sip:p.example;lr> ; x = y", "P <sip:p.example;lr>;x=y"),
    ];
    const BAD: &[&str] = &["sip:p.example;lr", "", "<sip:p.example", "sip:p.example"];
    accepts::<Route<'_>>(GOOD);
    accepts::<RecordRoute<'_>>(GOOD);
    accepts::<Path<'_>>(GOOD);
    accepts::<ServiceRoute<'_>>(GOOD);
    refuses::<Route<'_>>(BAD);
    refuses::<RecordRoute<'_>>(BAD);
    refuses::<Path<'_>>(BAD);
    refuses::<ServiceRoute<'_>>(BAD);
    let routes = values::<Route<'_>>("<sip:a.example;lr>,<sip:b.example>").unwrap();
    assert_eq!(routes[1].uri().to_string(), "sip:b.example");
    let path = Path::new(uri("sip:p.example;lr")).with_display_name("P");
    assert_eq!(path.to_string(), "\"P\" <sip:p.example;lr>");
}

#[test]
fn refer_to_and_identity_are_addresses() {
    accepts::<ReferTo<'_>>(&[
        (
            "sip:dave@denver.example.org",
            "<sip:dave@denver.example.org>",
        ),
        (
            "<sip:dave@d.example?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345>",
            "<sip:dave@d.example?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345>",
        ),
    ]);
    let row = "\"Cullen Jennings\" <sip:fluffy@cisco.example>, tel:+14085264000";
    let identities = values::<PAssertedIdentity<'_>>(row).unwrap();
    assert_eq!(identities[1].uri().scheme(), "tel");
}

// conformance: 56, 238; bad-inputs: P7
#[test]
fn cseq_is_a_number_of_32_bits_and_a_method() {
    accepts::<CSeq<'_>>(&[
        ("0009\r\n  INVITE", "9 INVITE"),
        ("4294967295 ACK", "4294967295 ACK"),
        ("1\tinvite", "1 invite"),
        (
            "139122385 !interesting-Method0123456789_*+`.%indeed'~",
            "139122385 !interesting-Method0123456789_*+`.%indeed'~",
        ),
    ]);
    refuses::<CSeq<'_>>(&[
        "",
        "1",
        "1 ",
        "INVITE",
        "INVITE 1",
        "1INVITE",
        "4294967296 INVITE",
        "36893488147419103232 REGISTER",
        "-1 INVITE",
        "+1 INVITE",
        "0x1 INVITE",
        "1 INVITE x",
        "1 INV(ITE",
        "1.0 INVITE",
    ]);
    assert_ne!(CSeq::parse(b"1 invite").unwrap().method(), Method::Invite);
}

// conformance: 37, 39, 73
#[test]
fn call_id_is_a_word_or_two() {
    for value in [
        "a84b4c76e66710@pc33.atlanta.example",
        "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
        "f81d4fae",
        "SSG95523997077@hlau_4100",
    ] {
        assert_eq!(CallId::parse(value.as_bytes()).unwrap().as_str(), value);
        assert_eq!(print::<CallId<'_>>(value).unwrap(), value);
    }
    refuses::<CallId<'_>>(&[
        "", "@", "a@", "@b", "a@b@c", "a b", "a,b", "a;b", "a\u{e9}", "a\0",
    ]);
    assert!(CallId::new("a\r\nb").is_err());
    assert_eq!(CallId::new("ABC@h"), CallId::new("ABC@h"));
    assert_ne!(CallId::new("ABC@h"), CallId::new("abc@h"));
}

// conformance: 56, 77, 233, 240
#[test]
fn numbers_are_decimal_and_never_wrap() {
    let forty = "1".repeat(40);
    for bad in [
        "", "+5", "-1", "0x10", "5 5", "5a", "5.0", " ", &forty, "\u{0665}",
    ] {
        assert!(ContentLength::parse(bad.as_bytes()).is_err(), "{bad}");
        assert!(MaxForwards::parse(bad.as_bytes()).is_err(), "{bad}");
        assert!(Expires::parse(bad.as_bytes()).is_err(), "{bad}");
        assert!(MinExpires::parse(bad.as_bytes()).is_err(), "{bad}");
        assert!(RSeq::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let zeros = format!("{}70", "0".repeat(100));
    assert_eq!(MaxForwards::parse(zeros.as_bytes()), Ok(MaxForwards(70)));
    assert_eq!(MaxForwards::parse(b"0068"), Ok(MaxForwards(68)));
    assert_eq!(MaxForwards::parse(b"255"), Ok(MaxForwards(255)));
    assert_eq!(
        MaxForwards::parse(b"256"),
        Err(ValueError::OutOfRange {
            what: "Max-Forwards",
            offset: 0
        })
    );
    assert_eq!(Expires::parse(b"4294967295"), Ok(Expires(u32::MAX)));
    assert!(Expires::parse(b"4294967296").is_err());
    assert_eq!(ContentLength::parse(b"0"), Ok(ContentLength(0)));
    assert_eq!(ContentLength::parse(b"150 "), Ok(ContentLength(150)));
    assert_eq!(ContentLength(7).to_string(), "7");
}

// conformance: 235
#[test]
fn content_type_is_a_type_with_parameters() {
    let media = ContentType::parse(b"Text / HTML ; charset=\"x\"").unwrap();
    assert!(media.is("text", "html") && !media.is("text", "plain"));
    assert_eq!((media.main(), media.sub()), ("Text", "HTML"));
    assert_eq!(media.to_string(), "Text/HTML;charset=\"x\"");
    refuses::<ContentType<'_>>(&[
        "",
        "text",
        "text/",
        "/html",
        "text/html;",
        "text/html;a",
        "text/html;a=",
        "text/html x",
        "text//html",
    ]);
}

// conformance: 52, 245
#[test]
fn accept_is_a_list_that_may_be_empty() {
    assert_eq!(values::<Accept<'_>>("").unwrap().len(), 0);
    let ranges =
        values::<Accept<'_>>("application/sdp;level=1, application/x-private;q=0.5, */*").unwrap();
    assert!(ranges[0].is("application", "SDP") && ranges[2].is("*", "*"));
    assert_eq!(ranges[1].q(), QValue::new(500));
    assert_eq!(ranges[0].to_string(), "application/sdp;level=1");
    assert!(values::<Accept<'_>>("text/plain;q=2").is_err());
    assert!(values::<Accept<'_>>("text/plain,").is_err());
}

// conformance: 51, 52, 243, 244
#[test]
fn token_lists_are_empty_only_where_allowed() {
    assert_eq!(values::<Allow<'_>>("").unwrap().len(), 0);
    assert_eq!(values::<Supported<'_>>(" ").unwrap().len(), 0);
    assert!(values::<Require<'_>>("").is_err());
    assert!(values::<ProxyRequire<'_>>("").is_err());
    assert!(values::<Unsupported<'_>>("").is_err());
    let methods: Vec<_> = values::<Allow<'_>>("INVITE,ACK , invite").unwrap();
    assert_eq!(
        methods.iter().map(Allow::method).collect::<Vec<_>>(),
        [Method::Invite, Method::Ack, Method::Other("invite")]
    );
    for row in ["a,,b", ",a", "a,", "a b", "a;b", ";;,;,,"] {
        assert!(values::<Supported<'_>>(row).is_err(), "{row}");
        assert!(values::<Require<'_>>(row).is_err(), "{row}");
    }
    assert!(Supported::new("a, b").is_err());
}

#[test]
fn errors_of_a_list_count_from_the_start_of_the_row() {
    let error = values::<Require<'_>>("100rel, , x").unwrap_err();
    assert_eq!(error.offset(), 8);
    let error = values::<Via<'_>>("SIP/2.0/UDP a,  SIP/2.0/UDP b;ttl=x").unwrap_err();
    assert_eq!(error.offset(), 30);
}

// conformance: 236
#[test]
fn codings_of_a_body_keep_their_order() {
    let row = "gzip, tar";
    let codings = values::<ContentEncoding<'_>>(row).unwrap();
    let names: Vec<_> = codings.iter().map(ContentEncoding::as_str).collect();
    assert_eq!(names, ["gzip", "tar"]);
    for row in ["", "gzip,", "gzip;q=1"] {
        assert!(values::<ContentEncoding<'_>>(row).is_err(), "{row}");
    }
}

// conformance: 52, 246
#[test]
fn no_accepted_coding_is_told_from_none_being_said() {
    let said = |rows: &str| {
        let message = Message::parse(format!("BYE sip:x SIP/2.0\r\n{rows}\r\n\r\n")).unwrap();
        let codings = message.headers::<AcceptEncoding<'_>>();
        let codings: Result<Vec<_>, _> = codings.map(|c| c.map(|c| c.to_string())).collect();
        let is_said = message.raw(Name::AcceptEncoding).is_some();
        is_said.then(|| codings.unwrap())
    };
    assert_eq!(said("X: y"), None);
    assert_eq!(said("Accept-Encoding:"), Some(vec![]));
    assert_eq!(
        said("Accept-Encoding: gzip;q=1.0, identity; Q=0.5\r\nAccept-Encoding: *"),
        Some(vec!["gzip;q=1".into(), "identity;q=0.5".into(), "*".into()])
    );
    refuses::<AcceptEncoding<'_>>(&["", ";q=1", "gzip;q=2", "gzip tar"]);
    assert_eq!(
        AcceptEncoding::new("gzip")
            .unwrap()
            .with_q(QValue::new(500).unwrap())
            .to_string(),
        "gzip;q=0.5"
    );
}

// conformance: 23, 237
#[test]
fn a_disposition_is_to_be_handled_unless_it_says_otherwise() {
    let parse = |text: &'static str| ContentDisposition::parse(text.as_bytes()).unwrap();
    assert_eq!(parse("session").handling(), "required");
    assert_eq!(parse("session;x=y").handling(), "required");
    assert_eq!(
        parse("Session ; Handling = OPTIONAL").handling(),
        "OPTIONAL"
    );
    assert_eq!(parse("by-reference").kind(), "by-reference");
    refuses::<ContentDisposition<'_>>(&["", "a b", "a;handling", "a;handling=\"x\"", ";x"]);
    let built = ContentDisposition::new("render").unwrap();
    assert_eq!(
        built.with_handling("optional").unwrap().to_string(),
        "render;handling=optional"
    );
}

// conformance: 249
#[test]
fn a_timestamp_is_a_number_with_a_delay() {
    accepts::<Timestamp<'_>>(&[
        ("54", "54"),
        ("54.21", "54.21"),
        ("54.", "54."),
        ("54 \r\n 0.3", "54 0.3"),
        ("54 .3", "54 .3"),
    ]);
    refuses::<Timestamp<'_>>(&["", ".5", "-1", "5x", "5.5.5", "5 5 5", "5 x", "0x5"]);
    let timestamp = Timestamp::new("54.21 0.3").unwrap();
    assert_eq!(
        (timestamp.time(), timestamp.delay()),
        ("54.21", Some("0.3"))
    );
    assert_eq!(Timestamp::new("54").unwrap().delay(), None);
}

// conformance: 251
#[test]
fn in_reply_to_is_a_list_of_call_ids() {
    let row = "70710@saturn.bell-tel.example, 17320@saturn.bell-tel.example";
    let calls = values::<InReplyTo<'_>>(row).unwrap();
    let first = CallId::new("70710@saturn.bell-tel.example").unwrap();
    assert_eq!((calls.len(), calls[0]), (2, InReplyTo(first)));
    for row in ["", "a,", "a b", "a@b@c"] {
        assert!(values::<InReplyTo<'_>>(row).is_err(), "{row}");
    }
}

// conformance: 252
#[test]
fn infos_are_uris_in_brackets() {
    let row = "<http://www.example.com/a,b.jpg> ;purpose=icon, <urn:x:y>";
    let infos = values::<CallInfo<'_>>(row).unwrap();
    assert_eq!(infos.len(), 2);
    assert_eq!(infos[0].uri().to_string(), "http://www.example.com/a,b.jpg");
    assert_eq!(infos[0].params().value("purpose"), Some(&b"icon"[..]));
    const BAD: &[&str] = &[
        "",
        "http://h/",
        "<http://h/",
        "x <http://h/>",
        "\"x\" <http://h/>",
    ];
    refuses::<AlertInfo<'_>>(BAD);
    refuses::<CallInfo<'_>>(BAD);
    refuses::<ErrorInfo<'_>>(BAD);
    let params = [Param::new("purpose", "card").unwrap()];
    let info = CallInfo::new(uri("http://h/")).with_params(Params::of(&params));
    assert_eq!(info.to_string(), "<http://h/>;purpose=card");
}

// conformance: 253
#[test]
fn any_token_is_a_priority() {
    for value in ["emergency", "Non-Urgent", "x"] {
        assert_eq!(Priority::parse(value.as_bytes()).unwrap().as_str(), value);
    }
    refuses::<Priority<'_>>(&["", "a b", "a, b", "a;b"]);
}

// conformance: 254
#[test]
fn a_mime_version_is_two_numbers() {
    accepts::<MimeVersion>(&[("1.0", "1.0"), ("01.10", "1.10")]);
    refuses::<MimeVersion>(&["", "1", "1.", ".0", "1.0.0", "1. 0", "-1.0", "4294967296.0"]);
}

// conformance: 44, 45, 67, 250
#[test]
fn user_agent_is_products_and_nested_comments() {
    let agent = UserAgent::parse(b"Softphone Beta1.5/2 (a (b) \\) c) x / y").unwrap();
    assert_eq!(
        agent.products().collect::<Vec<_>>(),
        [
            Product::Product {
                name: "Softphone",
                version: None
            },
            Product::Product {
                name: "Beta1.5",
                version: Some("2")
            },
            Product::Comment(b"(a (b) \\) c)"),
            Product::Product {
                name: "x",
                version: Some("y")
            },
        ]
    );
    assert_eq!(agent.to_string(), "Softphone Beta1.5/2 (a (b) \\) c) x/y");
    accepts::<Server<'_>>(&[
        ("HomeServer v2", "HomeServer v2"),
        ("A/1(b\r\n c)", "A/1 (b c)"),
    ]);
    let deep = "(".repeat(65_536);
    refuses::<UserAgent<'_>>(&[
        "",
        "/",
        "a/",
        "(a",
        "(a))",
        "a [b]",
        "(a\\",
        "(a\\\r\n)",
        &deep,
    ]);
    let closed = deep + &")".repeat(65_536);
    assert!(UserAgent::parse(closed.as_bytes()).is_ok());
}

// conformance: 239, 459
#[test]
fn date_is_gmt_in_the_form_of_rfc_1123() {
    accepts::<Date>(&[
        (
            "Sat, 13 Nov 2010 23:29:00 GMT",
            "Sat, 13 Nov 2010 23:29:00 GMT",
        ),
        (
            "Thu, 29 Feb 2024 00:00:59 GMT",
            "Thu, 29 Feb 2024 00:00:59 GMT",
        ),
        // The weekday is checked as a word only.
        (
            "Mon, 01 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
        ),
        (
            "Fri,\r\n 31 Dec 9999 23:59:59 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ),
    ]);
    refuses::<Date>(&[
        "",
        "Fri, 01 Jan 2010 16:00:00 EST",
        "Fri, 01 Jan 2010 16:00:00 gmt",
        "fri, 01 Jan 2010 16:00:00 GMT",
        "Fri, 01 jan 2010 16:00:00 GMT",
        "Fri, 1 Jan 2010 16:00:00 GMT",
        "Fri, 00 Jan 2010 16:00:00 GMT",
        "Fri, 31 Apr 2010 16:00:00 GMT",
        "Fri, 29 Feb 2100 16:00:00 GMT",
        "Fri, 01 Jan 2010 24:00:00 GMT",
        "Fri, 01 Jan 2010 16:60:00 GMT",
        "Fri, 01 Jan 2010 16:00:60 GMT",
        "Fri, 01 Jan 10 16:00:00 GMT",
        "Fri 01 Jan 2010 16:00:00 GMT",
        "Fri, 01 Jan 2010 16:00:00 GMT x",
        "Fri, 01 Jan 2010 16:00:00",
        "Sun, 01 Jan 0000 00:00:00 GMT",
    ]);
    assert_eq!(
        Date::parse(b"Thu, 01 Jan 1970 00:00:01 GMT")
            .unwrap()
            .unix(),
        1
    );
    assert!(
        Date::parse(b"Wed, 31 Dec 1969 23:59:59 GMT")
            .unwrap()
            .unix()
            == -1
    );
    assert_eq!(Date::from_unix(i64::MAX), None);
    assert_eq!(Date::from_unix(i64::MIN), None);
    assert_eq!(Date::from_unix(253_402_300_800), None);
    let last = Date::from_unix(253_402_300_799).unwrap();
    assert_eq!(
        (last.year_month_day(), last.hour_minute_second()),
        ((9999, 12, 31), (23, 59, 59))
    );
}

// conformance: 241
#[test]
fn retry_after_has_a_comment_and_parameters() {
    accepts::<RetryAfter<'_>>(&[
        ("18000;duration=3600", "18000;duration=3600"),
        ("120 (I'm in a meeting)", "120 (I'm in a meeting)"),
        ("5(a(b))  ; x = y", "5 (a(b));x=y"),
    ]);
    refuses::<RetryAfter<'_>>(&[
        "",
        "x",
        "949302838503028349304023988",
        "5 (a",
        "5 a",
        "5;duration",
        "5;duration=x",
        "5;",
    ]);
    let built = RetryAfter::new(5)
        .with_duration(6)
        .with_comment("(busy)")
        .unwrap();
    assert_eq!(built.to_string(), "5 (busy);duration=6");
    assert!(RetryAfter::new(5).with_comment("busy").is_err());
    assert!(RetryAfter::new(5).with_comment("(a) b").is_err());
}

// conformance: 242, 452
#[test]
fn warning_is_three_digits_an_agent_and_text() {
    let row = "307 isi.edu \"Session parameter 'foo' not understood\", 301 [2001:db8::1]:5060 \"a, \\\"b\\\"\", 399 dev-null \"\"";
    let warnings = values::<Warning<'_>>(row).unwrap();
    assert_eq!(
        warnings
            .iter()
            .map(|w| (w.code(), w.agent()))
            .collect::<Vec<_>>(),
        [
            (307, "isi.edu"),
            (301, "[2001:db8::1]:5060"),
            (399, "dev-null")
        ]
    );
    assert_eq!(&*warnings[1].text(), b"a, \"b\"");
    refuses::<Warning<'_>>(&[
        "",
        "1812 overture \"In Progress\"",
        "37 a \"b\"",
        "370 a",
        "370 \"b\"",
        "370 a b",
        "370 a \"b\" c",
        "370a \"b\"",
        "-37 a \"b\"",
        "370 a:5060x \"b\"",
    ]);
    assert_eq!(
        Warning::new(370, "h.example:5060", "a \"b\"")
            .unwrap()
            .to_string(),
        "370 h.example:5060 \"a \\\"b\\\"\""
    );
    assert!(Warning::new(1000, "a", "b").is_err());
    assert!(Warning::new(370, "a b", "b").is_err());
}

#[test]
fn events_and_subscription_states() {
    let event = Event::parse(b"presence.winfo ; ID=a1;x").unwrap();
    assert_eq!(
        (event.package(), event.id()),
        ("presence.winfo", Some("a1"))
    );
    assert_eq!(event.to_string(), "presence.winfo;id=a1;x");
    refuses::<Event<'_>>(&["", ";id=1", "a b", "a;id", "a;id=\"1\""]);
    accepts::<SubscriptionState<'_>>(&[
        ("active;expires=600", "active;expires=600"),
        (
            "terminated ; Reason = noresource;retry-after=0;x=y",
            "terminated;reason=noresource;retry-after=0;x=y",
        ),
    ]);
    refuses::<SubscriptionState<'_>>(&[
        "",
        "active;expires=x",
        "active;expires",
        "active;reason",
        "active;retry-after=4294967296",
    ]);
    let state = SubscriptionState::new("pending")
        .unwrap()
        .with_expires(5)
        .with_reason("x")
        .unwrap()
        .with_retry_after(1);
    assert_eq!(
        state.to_string(),
        "pending;reason=x;expires=5;retry-after=1"
    );
    assert_eq!(
        Event::new("dialog")
            .unwrap()
            .with_id("7")
            .unwrap()
            .to_string(),
        "dialog;id=7"
    );
}

#[test]
fn session_timers() {
    let timer = SessionExpires::parse(b"4000;Refresher=UAS").unwrap();
    assert_eq!(
        (timer.seconds(), timer.refresher()),
        (4000, Some(Refresher::Uas))
    );
    accepts::<SessionExpires<'_>>(&[("90 ; refresher = uac;x", "90;refresher=uac;x")]);
    refuses::<SessionExpires<'_>>(&[
        "",
        "x",
        "90;refresher",
        "90;refresher=me",
        "90 uac",
        "4294967296",
    ]);
    accepts::<MinSe<'_>>(&[("90", "90"), ("090;x=y", "90;x=y")]);
    assert_eq!(
        SessionExpires::new(90)
            .with_refresher(Refresher::Uac)
            .to_string(),
        "90;refresher=uac"
    );
}

#[test]
fn reliability_of_provisional_responses() {
    let rack = RAck::parse(b"776656 1 INVITE").unwrap();
    assert_eq!(
        (rack.rseq(), rack.cseq()),
        (776_656, CSeq::new(1, Method::Invite))
    );
    refuses::<RAck<'_>>(&[
        "",
        "1",
        "1 2",
        "1 2 ",
        "1 INVITE",
        "1 2 INVITE 3",
        "4294967296 1 INVITE",
        "1 4294967296 INVITE",
    ]);
}

#[test]
fn replaces_names_a_dialog() {
    accepts::<Replaces<'_>>(&[(
        "98732@sip.example.com ; from-tag=r33th4x0r\r\n ;to-tag=ff87ff;early-only;x=1",
        "98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r;early-only;x=1",
    )]);
    refuses::<Replaces<'_>>(&[
        "",
        "a",
        "a;to-tag=1",
        "a;from-tag=1",
        "a;to-tag=1;to-tag=2;from-tag=3",
        ";to-tag=1;from-tag=2",
        "a;to-tag;from-tag=2",
    ]);
    let replaces = Replaces::new(CallId::new("a@b").unwrap(), "1", "2")
        .unwrap()
        .with_early_only(true);
    assert_eq!(replaces.to_string(), "a@b;to-tag=1;from-tag=2;early-only");
}

#[test]
fn reasons_are_a_list() {
    let row = "SIP;cause=200;text=\"Call completed, elsewhere\", Q.850 ;cause=16";
    let reasons = values::<Reason<'_>>(row).unwrap();
    assert_eq!(
        (reasons[0].protocol(), reasons[0].cause()),
        ("SIP", Some(200))
    );
    assert_eq!(
        reasons[0].text().as_deref(),
        Some(&b"Call completed, elsewhere"[..])
    );
    assert_eq!(
        (reasons[1].protocol(), reasons[1].cause()),
        ("Q.850", Some(16))
    );
    refuses::<Reason<'_>>(&["", ";cause=1", "SIP;cause=x", "SIP;text", "SIP cause=1"]);
}

#[test]
fn privacy_is_tokens_with_semicolons() {
    let privacy = Privacy::parse(b"header ; Session;user").unwrap();
    assert_eq!(
        privacy.values().collect::<Vec<_>>(),
        ["header", "Session", "user"]
    );
    assert!(privacy.has("session"));
    assert_eq!(privacy.to_string(), "header;Session;user");
    refuses::<Privacy<'_>>(&["", ";", "id;", ";id", "id,critical", "id critical"]);
}

// conformance: 20, 247
#[test]
fn a_digest_challenge_has_its_parameters_in_any_order() {
    let value = b"Digest realm=\"atlanta.com\",\r\n domain=\"sip:ss1.carrier.com\", qop=\"auth,auth-int\",\r\n \
                  nonce=\"f84f1cec41e6cbe5aea9c8e88d359\", opaque=\"\", stale=FALSE, algorithm=MD5, x-new=\"\\\"\"";
    let challenge = WwwAuthenticate::parse(value).unwrap();
    assert_eq!(challenge.scheme(), "Digest");
    let get = |name| {
        challenge
            .params()
            .value(name)
            .map(|v| String::from_utf8(v.into_owned()).unwrap())
    };
    assert_eq!(get("Realm").as_deref(), Some("atlanta.com"));
    assert_eq!(get("qop").as_deref(), Some("auth,auth-int"));
    assert_eq!(get("opaque").as_deref(), Some(""));
    assert_eq!(get("stale").as_deref(), Some("FALSE"));
    assert_eq!(get("x-new").as_deref(), Some("\""));
    assert_eq!(get("nothing"), None);
    assert_eq!(challenge.params().iter().count(), 8);
    assert!(
        challenge
            .to_string()
            .starts_with("Digest realm=\"atlanta.com\", domain=")
    );
    // RFC 3261 §7.3.1: its commas part no values.
    assert_eq!(list::values::<WwwAuthenticate<'_>>(value).count(), 1);
    let rows = "WWW-Authenticate: A b=\"c, D e=f\", g=h\r\nWWW-Authenticate: I j=k";
    let message = Message::parse(format!("SIP/2.0 401 \r\n{rows}\r\n\r\n")).unwrap();
    let challenges = message.headers::<WwwAuthenticate<'_>>();
    let schemes: Vec<_> = challenges.map(|c| c.unwrap().scheme()).collect();
    assert_eq!(schemes, ["A", "I"]);
    assert!(!format!("{challenge:?}").contains("f84f1cec"));
}

// conformance: 248, 474; bad-inputs: P6
#[test]
fn digest_credentials_are_checked_and_other_schemes_kept() {
    let value = "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"dcd98b\", uri=\"sip:bob@biloxi.com\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", opaque=\"5ccc\"";
    assert_eq!(print::<Authorization<'_>>(value).unwrap(), value);
    assert_eq!(print::<ProxyAuthorization<'_>>(value).unwrap(), value);
    refuses::<Authorization<'_>>(&[
        "",
        "Digest",
        "Digest ",
        "Digest realm",
        "Digest realm=",
        "Digest realm=\"a",
        "Digest realm=\"a\",",
        "Digest ,realm=\"a\"",
        "Digest realm=\"a\" nonce=\"b\"",
        "Digest realm=\"a\", Realm=\"b\"",
        "Digest nc=1",
        "Digest nc=0000000g",
        "Digest response=\"abc\"",
        "Digest uri=sip:a@b",
        "=\"a\"",
        "Digest realm=\"a\\",
        "Odd \0",
    ]);
    let odd = ProxyAuthorization::parse(b"NoOneKnowsThisScheme opaque-data=here").unwrap();
    assert_eq!(
        odd.params().value("opaque-data").as_deref(),
        Some(&b"here"[..])
    );
    let basic = Authorization::parse(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
    assert_eq!(basic.raw(), Some(&b"QWxhZGRpbjpvcGVuIHNlc2FtZQ=="[..]));
    assert_eq!(basic.params().iter().count(), 0);
    assert_eq!(basic.to_string(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(!format!("{basic:?}").contains("QWx"));
    for len in 0..value.len() {
        let _ = Authorization::parse(&value.as_bytes()[..len]);
    }
}

#[test]
fn authentication_is_built_from_parts() {
    let params = [
        AuthParam::quoted("realm", "a \"b\"").unwrap(),
        AuthParam::token("algorithm", "SHA-256").unwrap(),
    ];
    let challenge = ProxyAuthenticate::new("Digest", AuthParams::of(&params)).unwrap();
    assert_eq!(
        challenge.to_string(),
        "Digest realm=\"a \\\"b\\\"\", algorithm=SHA-256"
    );
    assert!(AuthParam::token("algorithm", "a b").is_err());
    assert!(AuthParam::quoted("a b", "c").is_err());
    assert!(ProxyAuthenticate::new("Di gest", AuthParams::of(&params)).is_err());
    let info = AuthenticationInfo::parse(b"nextnonce=\"47364c\",qop=auth").unwrap();
    assert_eq!(
        info.params().value("nextnonce").as_deref(),
        Some(&b"47364c"[..])
    );
    assert_eq!(info.to_string(), "nextnonce=\"47364c\", qop=auth");
    refuses::<AuthenticationInfo<'_>>(&["", "Digest nextnonce=\"a\"", "a"]);
}

// conformance: 50
#[test]
fn a_header_parameter_is_a_flag_token_host_or_quoted_string() {
    let to = To::parse(b"<sip:a@b.example>;a;b=c;d=\"e;f\";g=[::1];h=192.0.2.1").unwrap();
    let params: Vec<_> = to.params().iter().map(|p| (p.name(), p.value())).collect();
    assert_eq!(
        params,
        [
            ("a", None),
            ("b", Some(&b"c"[..])),
            ("d", Some(b"\"e;f\"")),
            ("g", Some(b"[::1]")),
            ("h", Some(b"192.0.2.1"))
        ]
    );
    assert_eq!(
        to.to_string(),
        "<sip:a@b.example>;a;b=c;d=\"e;f\";g=[::1];h=192.0.2.1"
    );
}
