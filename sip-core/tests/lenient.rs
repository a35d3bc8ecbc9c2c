//! What is off the grammar and harmless is let in, read as far as it must be, and left as it came.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use core::net::SocketAddr;

use sip_core::build::ResponseBuilder;
use sip_core::header::{From, Via};
use sip_core::message::{Head, LintKind, ParseError};
use sip_core::uri::{RoutingUri, Uri};
use sip_core::{Host, Limits, Message, Name, Reading, Request, StatusCode};

const ROWS: [(&str, &str); 5] = [
    ("Via", "SIP/2.0/UDP h.example;branch=z9hG4bK1"),
    ("From", "<sip:a@a.example>;tag=1"),
    ("To", "<sip:b@b.example>"),
    ("Call-ID", "1@h.example"),
    ("CSeq", "1 BYE"),
];
const REQUEST: &str = "BYE sip:b@b.example SIP/2.0";
const RESPONSE: &str = "SIP/2.0 200 OK";

fn message(start: &str, name: &str, value: &[u8]) -> Vec<u8> {
    let mut text = format!("{start}\r\n").into_bytes();
    for (row, usual) in ROWS {
        let value = if row == name { value } else { usual.as_bytes() };
        text.extend([row.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    text.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    text
}

fn source() -> SocketAddr {
    "192.0.2.9:5061".parse().unwrap()
}

fn check(reading: Reading, data: &[u8]) -> Result<(Head, Message), ParseError> {
    let mut head = Head::parse(data, &Limits::default().with_reading(reading))?;
    head.check(data)?;
    let message = head.to_message(data);
    Ok((head, message))
}

/// The message is let in under the one reading for this reason only, and not under the other.
fn tolerated(data: &[u8], kind: LintKind) -> Message {
    let text = String::from_utf8_lossy(data);
    let (head, message) = check(Reading::Lenient, data).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(
        head.tolerated().iter().collect::<Vec<_>>(),
        [kind],
        "{text}"
    );
    assert_eq!(message.to_bytes(), data);
    assert!(check(Reading::Strict, data).is_err(), "{text}");
    message
}

fn refused(data: &[u8]) {
    for reading in [Reading::Lenient, Reading::Strict] {
        let result = check(reading, data);
        assert!(result.is_err(), "{}", String::from_utf8_lossy(data));
    }
}

#[test]
fn a_clean_message_needs_no_tolerance() {
    for start in [REQUEST, RESPONSE] {
        let (head, _) = check(Reading::Strict, &message(start, "", b"")).unwrap();
        assert!(head.tolerated().is_empty());
        let (head, _) = check(Reading::Lenient, &message(start, "", b"")).unwrap();
        assert!(head.tolerated().is_empty());
    }
}

// conformance: 161, 255
#[test]
fn a_request_uri_needs_a_clear_host_and_nothing_else() {
    for (uri, host) in [
        ("sip:*72#@h.example", "h.example"),
        ("sip:#31#0123@h.example:5070", "h.example:5070"),
        ("sip:[a]{b}|^\"c@h.example", "h.example"),
        ("sip:jürgen:pä#w@h.example", "h.example"),
        ("sip:b@h.example;x=a=b;x=c;;y=;", "h.example"),
        ("sip:b@h.example;transport=", "h.example"),
        ("sips:b@3f2a1b4c5d6e:5060", "3f2a1b4c5d6e:5060"),
        ("sip:192.168.001.010;lr", "192.168.001.010"),
        ("sip:b@[fe80::1%eth0]:5060;ob", "[fe80::1]:5060"),
        ("sip:b@[fe80::1%25eth0]", "[fe80::1]"),
        ("sip:h;maddr=", "h"),
        ("sip:h;maddr=192.0.2.1;maddr=192.0.2.1", "h"),
    ] {
        let data = message(&format!("BYE {uri} SIP/2.0"), "", b"");
        let message = tolerated(&data, LintKind::RequestUri);
        assert_eq!(message.request_host().unwrap().to_string(), host, "{uri}");
        let again = Message::parse(data).unwrap();
        assert_eq!(again.request_host(), message.request_host(), "{uri}");
        assert!(Uri::parse(message.request_uri().unwrap()).is_err(), "{uri}");
    }
    for uri in [
        "sip:a@evil.example@h.example",
        "sip:h:5060;p=a@b",
        "sip:@h",
        "sip:a@",
        "sip:a%4@h",
        "sip:h;%",
        "sip:444.555.666.777",
        "sip:1.2.3",
        "sip:12345",
        "sip:0x7f000001",
        "sip:h:99999",
        "sip:h:",
        "sip:h;maddr=192.0.2.1;maddr=192.0.2.2",
        "sip:h;maddr=(x)",
        "sip:h?to=x",
        "sip:h#x",
        "sip:a\\b@h",
        "tel:é",
        "sip:2001:db8::1",
        "<sip:h>",
    ] {
        refused(&message(&format!("BYE {uri} SIP/2.0"), "", b""));
    }
}

#[test]
fn routing_reads_the_parameters_that_say_where() {
    let uri =
        RoutingUri::parse(b"sips:#1@h;x;TRANSPORT=;Transport=TCP;maddr=;MAddr=192.0.2.1;ttl=9")
            .unwrap();
    assert!(uri.is_secure() && !uri.is_loose_router());
    assert_eq!(
        (uri.scheme(), uri.transport(), uri.ttl()),
        ("sips", Some("TCP"), Some(9))
    );
    assert_eq!(uri.maddr(), Some(Host::try_from("192.0.2.1").unwrap()));
    let uri = RoutingUri::parse(b"sip:h;%6Cr=x;ttl=900").unwrap();
    assert!(uri.is_loose_router());
    assert_eq!(
        (uri.ttl(), uri.transport(), uri.maddr()),
        (None, None, None)
    );
    let uri = RoutingUri::parse(b"tel:+1555").unwrap();
    assert_eq!((uri.scheme(), uri.host_port()), ("tel", None));
}

// conformance: 161, 255
#[test]
fn from_and_to_need_a_clear_tag_and_nothing_else() {
    for (address, tag) in [
        // The user part.
        (&b"<sip:*72#@h>;tag=t"[..], Some("t")),
        (b"<sip:[a]{b}|^\"c@h>;tag=t", Some("t")),
        (b"sip:#31#0123@h;tag=t", Some("t")),
        (b"<sip:j\xfcrgen@h>;tag=t", Some("t")),
        (b"<sip:a;b@h;x=a=b;;y=#>;x;tag=t;", Some("t")),
        // The display name.
        ("Jürgen <sip:a@h>;tag=t".as_bytes(), Some("t")),
        (b"N., Nina (home) & co/kg @work <sip:a@h>;tag=t", Some("t")),
        (b"a < b <sip:a@h>;tag=t", Some("t")),
        (b"\"x\" y \"<z>\" <sip:a@h>;tag=t", Some("t")),
        (br#"\"Nina\" <sip:a@h>;tag=t"#, Some("t")),
        (b"\xff\xfe<sip:a@h>", None),
        // Parameters.
        (b"<sip:a@h>;tag=t;", Some("t")),
        (b"<sip:a@h>;;tag=t", Some("t")),
        (b"<sip:a@h>;", None),
        (b"<sip:a@h>;x=;tag=t;y=", Some("t")),
        (b"<sip:a@h> ; x = ; tag = t ;", Some("t")),
        (b"<sip:a@h>;tag=aGk=", Some("aGk=")),
        (b"<sip:a@h>;tag=a/b:c@d[1]", Some("a/b:c@d[1]")),
        ("<sip:a@h>;tag=é".as_bytes(), Some("é")),
        (b"<sip:a@h>;x=a:b;tag=t", Some("t")),
        (b"<sip:a@h>;tag=t;tag=t", Some("t")),
        (b"<sip:a@h>;x=1;tag=t;x=2", Some("t")),
        (b"<sip:a@h>;x=\"\xff;tag=z\";tag=t;y=/", Some("t")),
        // The URI.
        (b"<alice@atlanta.example>;tag=t", Some("t")),
        (b"alice@atlanta.example;tag=t", Some("t")),
        (b"<+15550100>;tag=t", Some("t")),
    ] {
        let text = String::from_utf8_lossy(address);
        for start in [REQUEST, RESPONSE] {
            let from = tolerated(&message(start, "From", address), LintKind::From);
            assert_eq!((from.from_tag(), from.to_tag()), (tag, None), "{text}");
            assert!(from.header::<From<'_>>().is_err(), "{text}");
            let to = tolerated(&message(start, "To", address), LintKind::To);
            assert_eq!((to.from_tag(), to.to_tag()), (Some("1"), tag), "{text}");
            let mut edited = to.clone();
            edited.set(Name::MaxForwards, "6").unwrap();
            assert_eq!(
                (edited.from_tag(), edited.to_tag()),
                (Some("1"), tag),
                "{text}"
            );
            let Ok(request) = Request::try_from(to) else {
                continue;
            };
            let response = ResponseBuilder::new(&request, StatusCode::OK).to_tag("new");
            let response = response.build().unwrap();
            assert_eq!(response.to_tag(), Some(tag.unwrap_or("new")), "{text}");
            response.check().unwrap();
            let again = Message::parse(response.to_bytes()).unwrap();
            assert_eq!(again.to_tag(), response.to_tag(), "{text}");
        }
    }
    for address in [
        "",
        "x",
        "<>",
        "<sip:>",
        "\"open <sip:a@h>;tag=t",
        "<sip:a@h",
        "< sip:a@h >;tag=t",
        "<sip:a@h>x;tag=t",
        "<sip:a@h>;tag=1;tag=2",
        "<sip:a@h>;tag=",
        "<sip:a@h>;tag",
        "<sip:a@h>;tag=\"t\"",
        "<sip:a@h>;tag=a,b",
        "<sip:a@h>;tag=a b",
        "<sip:a@h>;tag=1, <sip:b@h>;tag=2",
        "<sip:a@h>;x=<y>",
        "<sip:a@h> <sip:b@h>;tag=t",
        "<sip:a@h>;tag=1 <sip:b@h>;tag=2",
        "sip:a@h?x=y;tag=t",
        "<sip:a%4@h>;tag=t",
    ] {
        refused(&message(REQUEST, "From", address.as_bytes()));
        refused(&message(RESPONSE, "To", address.as_bytes()));
    }
    refused(&message(REQUEST, "From", b"<sip:a@h>;tag=\xff"));
}

// conformance: 161, 255
#[test]
fn a_top_via_needs_a_clear_way_back_and_nothing_else() {
    // The value, its sent-by, branch, what asks for a port, and what a request is stamped as.
    for (value, sent_by, branch, rport, stamped) in [
        ("h;", "h", None, None, "h;received=192.0.2.9"),
        (
            "h;;branch=b;",
            "h",
            Some("b"),
            None,
            "h;;branch=b;received=192.0.2.9",
        ),
        (
            "h;rport=;branch=b",
            "h",
            Some("b"),
            Some(None),
            "h;rport=5061;branch=b;received=192.0.2.9",
        ),
        (
            "h;rport=x;received=;branch=b",
            "h",
            Some("b"),
            Some(None),
            "h;rport=5061;received=192.0.2.9;branch=b",
        ),
        (
            "h;received=nat.example:5060;branch=b",
            "h",
            Some("b"),
            None,
            "h;received=192.0.2.9;branch=b",
        ),
        (
            "h;branch=z9hG4bK/a+b==:c",
            "h",
            Some("z9hG4bK/a+b==:c"),
            None,
            "h;branch=z9hG4bK/a+b==:c;received=192.0.2.9",
        ),
        ("h;branch", "h", None, None, "h;branch;received=192.0.2.9"),
        (
            "h;branch=b;x=1;x=2;maddr=;ttl=x",
            "h",
            Some("b"),
            None,
            "h;branch=b;x=1;x=2;maddr=;ttl=x;received=192.0.2.9",
        ),
        (
            "3f2a1b4c5d6e:5060;branch=b",
            "3f2a1b4c5d6e:5060",
            Some("b"),
            None,
            "3f2a1b4c5d6e:5060;branch=b;received=192.0.2.9",
        ),
        (
            "192.000.002.009;branch=b",
            "192.000.002.009",
            Some("b"),
            None,
            "192.000.002.009;branch=b;received=192.0.2.9",
        ),
        (
            "[fe80::1%en0]:5060;branch=b",
            "[fe80::1]:5060",
            Some("b"),
            None,
            "[fe80::1%en0]:5060;branch=b;received=192.0.2.9",
        ),
    ] {
        let text = format!("SIP/2.0/UDP {value}");
        for start in [REQUEST, RESPONSE] {
            let data = message(start, "Via", text.as_bytes());
            let message = tolerated(&data, LintKind::Via);
            let mut edited = message.clone();
            edited.append("X", "y").unwrap();
            let parsed = Message::parse(data).unwrap();
            for message in [&message, &edited, &parsed] {
                let via = message.top_via().unwrap();
                assert_eq!(via.sent_by().to_string(), sent_by, "{value}");
                assert_eq!((via.branch(), via.rport()), (branch, rport), "{value}");
                assert_eq!(via.received(), None, "{value}");
                assert!(message.header::<Via<'_>>().is_err(), "{value}");
            }
        }
        let data = message(REQUEST, "Via", text.as_bytes());
        let (head, _) = check(Reading::Lenient, &data).unwrap();
        let received = head.to_received(&data, source(), false);
        let stamped = format!("SIP/2.0/UDP {stamped}");
        assert_eq!(received.raw(Name::Via), Some(stamped.as_bytes()), "{value}");
        let via = received.top_via().unwrap();
        assert_eq!(via.received(), Some(source().ip()), "{value}");
        let again = Message::parse(received.to_bytes()).unwrap();
        assert_eq!(again.top_via().unwrap().received(), Some(source().ip()));
    }
    for value in [
        "h;branch=1;branch=2",
        "h;branch=1;branch=1",
        "h;rport;rport",
        "h;received=192.0.2.1;received=192.0.2.2",
        "h;maddr=192.0.2.1;maddr=192.0.2.1",
        "h;maddr=(x)",
        "h;branch=\"b\"",
        "h;x=\"open",
        "h;x=<y>",
        "h;=x",
        "h;x y",
        "h x",
        "444.555.666.777",
        "12345",
        "h:99999",
        "h:",
    ] {
        let text = format!("SIP/2.0/UDP {value}");
        refused(&message(REQUEST, "Via", text.as_bytes()));
        refused(&message(RESPONSE, "Via", text.as_bytes()));
    }
    refused(&message(REQUEST, "Via", b"SIP/2.0/UDP h;branch=\xff"));
}

#[test]
fn parameters_of_a_sloppy_via_are_found_edited_and_kept() {
    let value = b"SIP/2.0/UDP h;;x=\"\xff;\";keep=;branch=a/b ; rport= ;";
    let mut message = tolerated(&message(REQUEST, "Via", value), LintKind::Via);
    let via = message.top_via().unwrap();
    let names: Vec<_> = via.params().iter().map(|param| param.name()).collect();
    assert_eq!(names, ["x", "keep", "branch", "rport"]);
    assert_eq!(via.params().value("x"), Some(&b"\"\xff;\""[..]));
    assert_eq!(via.params().value("keep"), Some(&b""[..]));
    message.set_via_param("branch", Some("new")).unwrap();
    assert!(message.remove_via_param("keep").unwrap());
    let value = b"SIP/2.0/UDP h;;x=\"\xff;\";branch=new ; rport= ;";
    assert_eq!(message.raw(Name::Via), Some(&value[..]));
}

// conformance: 161, 255
#[test]
fn a_call_id_is_any_bytes_of_one_line() {
    for value in [&b"a b"[..], b"a@b@c", b"caf\xe9@h", b"@h", b"a=b;c,d#e"] {
        for start in [REQUEST, RESPONSE] {
            let data = message(start, "Call-ID", value);
            let mut message = tolerated(&data, LintKind::CallId);
            assert_eq!(message.call_id(), Some(value));
            message.set(Name::MaxForwards, "6").unwrap();
            assert_eq!(message.call_id(), Some(value));
        }
    }
    for value in [&b""[..], b"a\r\n b", b"\"\\\0\""] {
        refused(&message(REQUEST, "Call-ID", value));
    }
}

// conformance: 161, 255
#[test]
fn vias_below_the_top_one_are_only_counted() {
    for lower in [
        "x",
        "SIP/2.0/UDP []",
        "SIP/3.0/UDP h;;",
        "SIP/2.0/UDP h;a=\"open",
    ] {
        for value in [
            format!("SIP/2.0/UDP h;branch=b, {lower}"),
            format!("SIP/2.0/UDP h;branch=b\r\nVia: {lower}"),
        ] {
            for start in [REQUEST, RESPONSE] {
                let data = message(start, "Via", value.as_bytes());
                let (head, mut message) = check(Reading::Lenient, &data).unwrap();
                assert!(head.tolerated().is_empty(), "{lower}");
                assert_eq!(message.to_bytes(), data);
                assert_eq!(message.top_via().unwrap().branch(), Some("b"));
                message.remove_first_value(Name::Via).unwrap();
                assert_eq!(message.raw(Name::Via), Some(lower.as_bytes()));
                assert!(check(Reading::Strict, &data).is_err(), "{lower}");
            }
        }
    }
}

#[test]
fn equal_repeats_are_let_in_and_of_what_the_application_reads_any() {
    for rows in [
        "Max-Forwards: 70\r\nMax-Forwards: 70",
        "Expires: 60\r\nExpires: 60",
        "Expires: 60\r\nExpires: 3600",
        "Session-Expires: 90\r\nx: 90",
        "Min-SE: 90\r\nMin-SE: 90",
        "c: application/sdp\r\nContent-Type: application/sdp",
        "Event: presence\r\no: presence",
    ] {
        let value = format!("1 BYE\r\n{rows}");
        for start in [REQUEST, RESPONSE] {
            tolerated(
                &message(start, "CSeq", value.as_bytes()),
                LintKind::Repeated,
            );
        }
    }
    for rows in [
        "Max-Forwards: 70\r\nMax-Forwards: 69",
        "CSeq: 1 BYE",
        "i: 1@h.example",
        "f: <sip:a@a.example>;tag=1",
        "t: <sip:b@b.example>",
    ] {
        let value = format!("1 BYE\r\n{rows}");
        refused(&message(REQUEST, "CSeq", value.as_bytes()));
        refused(&message(RESPONSE, "CSeq", value.as_bytes()));
    }
}

// bad-inputs: F10
#[test]
fn a_line_that_is_no_header_is_kept_and_seen_by_nobody() {
    for line in [
        &b"no colon here"[..],
        b"i am here",
        b"(a comment): x",
        b": no name",
        b"X Y: z",
        b"Subject\x01: x",
        b"caf\xe9: x",
        b"@",
    ] {
        let value = [b"1 BYE\r\n", line, b" \r\nX: y"].concat();
        for start in [REQUEST, RESPONSE] {
            let data = message(start, "CSeq", &value);
            let (head, mut message) = check(Reading::Lenient, &data).unwrap();
            assert!(head.tolerated().contains(LintKind::HeaderLine));
            assert_eq!(message.to_bytes(), data);
            assert_eq!(message.rows().count(), 7);
            assert!(message.rows().all(|row| !row.name_text().is_empty()));
            // Counted as they are shown: behind CSeq stands X.
            message.splice(5, 0..1, b"new").unwrap();
            message.prepend(Name::Via, "SIP/2.0/UDP new").unwrap();
            message.remove("Subject");
            let text = message.to_bytes();
            let place = [line, b" \r\nX: new\r\n"].concat();
            assert!(text.windows(place.len()).any(|window| window == place));
            assert!(check(Reading::Strict, &data).is_err());
        }
    }
    for line in [
        "Content-Length 5",
        "Content-Length\x01: 5",
        "Content-Length@: 5",
        "content-length (5): 5",
        "l x: 5",
        "\x01Content-Length: 5",
        "@l: 5",
        "Via\x0b: SIP/2.0/UDP h",
        "V@: SIP/2.0/UDP h",
        "to whom: it may concern",
        "Content\x01Length: 5",
        "C ontent Length: 5",
        "(via): SIP/2.0/UDP h",
        "Max-Forwards 5",
        "x\0y",
        "X\r\n : folded",
        "l\r\n : 5",
    ] {
        let value = format!("1 BYE\r\n{line}");
        refused(&message(REQUEST, "CSeq", value.as_bytes()));
        refused(&message(RESPONSE, "CSeq", value.as_bytes()));
    }
}

#[test]
fn a_datagram_may_lack_its_empty_line_and_have_space_before_it() {
    let limits = Limits::default();
    for start in [REQUEST, RESPONSE] {
        let whole = message(start, "", b"");
        let cut = &whole[..whole.len() - 2];
        let (head, message) = check(Reading::Lenient, cut).unwrap();
        assert_eq!((head.len(), head.message(cut)), (cut.len(), cut));
        // It must not run into what is sent behind it.
        assert_eq!(message.to_bytes(), whole);
        assert_eq!(head.to_received(cut, source(), true).body(), b"");
        assert!(
            head.to_received(cut, source(), true)
                .to_bytes()
                .ends_with(b": 0\r\n\r\n")
        );
        let kinds: Vec<_> = message.lint().map(|lint| lint.kind()).collect();
        assert_eq!(kinds, [LintKind::NoEmptyLine]);
        let parsed = Message::parse(cut.to_vec()).unwrap();
        assert_eq!(
            (parsed.to_bytes(), parsed.lint().count()),
            (message.to_bytes(), 1)
        );
        assert!(check(Reading::Strict, cut).is_err());

        let spaced = [b" \r\n\t\n", &whole[..]].concat();
        let (head, message) = check(Reading::Lenient, &spaced).unwrap();
        assert_eq!(
            head.tolerated().iter().collect::<Vec<_>>(),
            [LintKind::LeadingSpace]
        );
        assert_eq!(message.to_bytes(), whole);
        assert_eq!(
            message.lint().next().unwrap().kind(),
            LintKind::LeadingSpace
        );
        assert!(check(Reading::Strict, &spaced).is_err());
    }
    let text = String::from_utf8(message(REQUEST, "", b"")).unwrap();
    for bad in [
        text.trim_end().to_owned(),
        text.trim_end().replace("Length: 0", "Length: 1\r\n"),
        text.trim_end().to_owned() + "\r\nX: y",
        REQUEST.to_owned() + "\r\n",
    ] {
        assert!(Head::parse(bad.as_bytes(), &limits).is_err(), "{bad}");
    }
}

#[test]
fn lint_says_what_is_off_and_where() {
    let via = "SIP/2.0/UDP h;rport=, x\r\nto nobody";
    let text = format!(
        "BYE sip:#1@h SIP/2.0\r\nv: {via}\r\nf: A, B <sip:a@h>;tag=1\r\nt: <sip:b@h>;\r\n\
         i: a b\r\nCSeq: 1 BYE\r\nX-Y: \u{1}\r\nExpires: 1\r\nExpires: 2\r\nno colon\r\n\r\n"
    );
    let text = text.replace("to nobody", "for nobody");
    let message = Message::parse(text.clone()).unwrap();
    message.check().unwrap();
    let at = |part: &str| text.find(part).unwrap();
    let found: Vec<_> = message
        .lint()
        .map(|lint| (lint.kind(), lint.offset(), lint.header()))
        .collect();
    assert_eq!(
        found,
        [
            (LintKind::RequestUri, at("#1"), None),
            (LintKind::Via, at(", x"), Some(Name::Via)),
            (LintKind::LowerVia, at("x\r\n"), Some(Name::Via)),
            (LintKind::HeaderLine, at("for nobody"), None),
            (LintKind::From, at(", B"), Some(Name::From)),
            (LintKind::To, at(";\r\n") + 1, Some(Name::To)),
            (LintKind::CallId, at(" b\r\n") + 1, Some(Name::CallId)),
            (LintKind::Control, at("\u{1}"), None),
            (LintKind::Repeated, at("Expires: 2"), Some(Name::Expires)),
            (LintKind::HeaderLine, at("no colon"), None),
        ]
    );
    let strict = Limits::default().with_reading(Reading::Strict);
    assert!(Message::parse_with(text, &strict).is_err());
}
