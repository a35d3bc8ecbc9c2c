//! Messages: what a datagram must be, what is read of it, and that nothing else changes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use sip_core::header::{Contact, Route, Via};
use sip_core::message::{Head, ParseErrorKind};
use sip_core::{Limits, Message, Method, Name, Reading, Request, Response, StartLine, StatusCode};

const BENCH: [&[u8]; 5] = [
    include_bytes!("../../benches/messages/options.sip"),
    include_bytes!("../../benches/messages/invite.sip"),
    include_bytes!("../../benches/messages/large.sip"),
    include_bytes!("../../benches/messages/resp200.sip"),
    include_bytes!("../../benches/messages/register.sip"),
];

fn kind(data: impl AsRef<[u8]>) -> ParseErrorKind {
    Head::parse(data.as_ref(), &Limits::default())
        .unwrap_err()
        .kind()
}

fn with_rows(rows: &str) -> Vec<u8> {
    format!("BYE sip:x SIP/2.0\r\n{rows}\r\n\r\n").into_bytes()
}

fn valid(start: &str, cseq: &str, more: &str) -> Message {
    valid_by(Reading::Lenient, start, cseq, more)
}

fn valid_by(reading: Reading, start: &str, cseq: &str, more: &str) -> Message {
    let text = format!(
        "{start}\r\nv: SIP/2.0/UDP h.example;branch=z9hG4bK1\r\nf: <sip:a@a.example>;tag=1\r\n\
         t: <sip:b@b.example>\r\ni: 1@h\r\nCSeq: {cseq}\r\n{more}\r\n"
    );
    Message::parse_with(text, &Limits::default().with_reading(reading)).unwrap()
}

// conformance: 1, 2, 177
#[test]
fn untouched_messages_are_written_byte_for_byte() {
    for data in BENCH {
        let message = Message::parse(data).unwrap();
        message.check().unwrap();
        let mut out = b"before".to_vec();
        message.write_to(&mut out);
        assert_eq!(&out[6..], data);
        assert_eq!(message.to_bytes(), data);
        assert_eq!(message.wire_len(), data.len());
        let head = Head::parse(data, &Limits::default()).unwrap();
        let copy = head.to_message(data);
        assert_eq!(copy.to_bytes(), data);
        assert_eq!(copy.rows().count(), message.rows().count());
    }
}

// bad-inputs: P10
#[test]
fn a_message_cut_at_any_length_never_panics_and_is_never_whole() {
    for data in BENCH {
        for len in 0..data.len() {
            let strict = Limits::default().with_reading(Reading::Strict);
            assert!(Head::parse(&data[..len], &strict).is_err(), "{len} bytes");
            // One without its empty line, and without a body, is whole where a line ends.
            if let Ok(head) = Head::parse(&data[..len], &Limits::default()) {
                assert!(data[..len].ends_with(b"\r\n"), "{len} bytes");
                assert!(
                    head.to_message(&data[..len]).body().is_empty(),
                    "{len} bytes"
                );
            }
            if let Some(salvaged) = sip_core::build::salvage(&data[..len]) {
                let source = ([192, 0, 2, 1], 5060).into();
                let reply = salvaged.reply(StatusCode::BAD_REQUEST, "", "tag", source, Some(len));
                assert!(reply.is_none_or(|reply| reply.len() <= len));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// One byte of a valid message changed: an error or a message that is written as it came.
    #[test]
    fn a_changed_byte_never_panics(
        which in 0_usize..5,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut data = BENCH[which].to_vec();
        let at = at.index(data.len());
        data[at] = byte;
        if let Ok(mut head) = Head::parse(&data, &Limits::default()) {
            let _ = head.check(&data);
            let whole = head.message(&data).to_vec();
            let received = head.to_received(&data, ([192, 0, 2, 1], 5060).into(), true);
            let again = Message::parse(whole.clone()).unwrap();
            prop_assert_eq!(received.body(), again.body());
            let version = |b: &u8| !b.eq_ignore_ascii_case(&byte);
            if version(&b's') && version(&b'i') && version(&b'p') {
                prop_assert_eq!(Message::parse(whole.clone()).unwrap().to_bytes(), whole);
            }
        }
    }
}

// conformance: 33; bad-inputs: F16
#[test]
fn crlfs_before_a_datagram_are_skipped() {
    let data = [b"\r\n\r\n", BENCH[0]].concat();
    let mut head = Head::parse(&data, &Limits::default()).unwrap();
    head.check(&data).unwrap();
    assert_eq!(head.message(&data), BENCH[0]);
    assert_eq!(head.to_message(&data).to_bytes(), BENCH[0]);
    assert_eq!(Message::parse(data).unwrap().to_bytes(), BENCH[0]);
}

// bad-inputs: F16
#[test]
fn datagrams_without_a_message_are_errors() {
    for data in [
        &b""[..],
        b"\r\n",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"x",
        b" ",
        b"\r",
    ] {
        assert!(Head::parse(data, &Limits::default()).is_err(), "{data:?}");
    }
    let body = vec![b'x'; 65_507 - 40];
    let data = [&with_rows("l: 65467")[..], &body].concat();
    assert_eq!(Message::parse(data).unwrap().body(), body);
}

// conformance: 138, 139, 34; bad-inputs: F16
#[test]
fn bytes_behind_the_body_of_a_datagram_are_cut_off() {
    let data = [&with_rows("l: 2")[..], b"hiBYE sip:x SIP/2.0\r\n\r\n"].concat();
    let message = Message::parse(data).unwrap();
    assert_eq!(message.body(), b"hi");
    assert!(message.to_bytes().ends_with(b"\r\n\r\nhi"));
}

// bad-inputs: F16, R5
#[test]
fn a_body_shorter_than_announced_is_a_400() {
    let data = [&with_rows("l: 10")[..], b"hi"].concat();
    let error = Head::parse(&data, &Limits::default()).unwrap_err();
    assert_eq!(
        error.kind(),
        ParseErrorKind::BodyShort {
            announced: 10,
            available: 2
        }
    );
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
}

// conformance: 142; bad-inputs: R4
#[test]
fn without_content_length_the_body_is_the_rest_of_the_datagram() {
    let data = [&with_rows("X: y")[..], b"the rest"].concat();
    assert_eq!(Message::parse(data).unwrap().body(), b"the rest");
}

// bad-inputs: F1, F2, F3, F4, F6
#[test]
fn the_content_length_rule_is_that_of_streams() {
    for value in [
        "-1",
        "+5",
        "0x5",
        "5abc",
        "5 garbage",
        "5,5",
        "",
        "\r\n 5\r\n 5",
    ] {
        let data = [
            &with_rows(&format!("Content-Length: {value}"))[..],
            b"hello",
        ]
        .concat();
        assert_eq!(kind(data), ParseErrorKind::ContentLength, "{value:?}");
    }
    for value in ["4294967301", "99999999999999999999", "18446744073709551616"] {
        let data = [&with_rows(&format!("l: {value}"))[..], b"hello"].concat();
        assert!(matches!(
            kind(data),
            ParseErrorKind::BodyShort { available: 5, .. }
        ));
    }
    for rows in ["l: 5\r\nContent-Length: 7", "l: 5\r\nl: 5"] {
        let data = [&with_rows(rows)[..], b"hello"].concat();
        assert_eq!(kind(data), ParseErrorKind::Repeated(Name::ContentLength));
    }
    let folded = [&with_rows("l:\r\n 0005 ")[..], b"hello"].concat();
    assert_eq!(Message::parse(folded).unwrap().body(), b"hello");
}

// conformance: 4, 5; RFC 4475 §3.1.2.7-10
#[test]
fn a_request_line_has_one_space_on_each_side_of_the_uri() {
    for line in [
        "BYE  sip:x SIP/2.0",
        "BYE sip:x  SIP/2.0",
        "BYE sip:x SIP/2.0 ",
        "BYE sip:x; lr SIP/2.0",
        "BYE\tsip:x SIP/2.0",
        "BYE sip:x\tSIP/2.0",
        "BYE sip:x",
        "BYE",
        "",
        "BYE sip:x SIP/2.",
        "BYE sip:x HTTP/1.1",
        "BYE sip:x SIP/2.0x",
        "B(E sip:x SIP/2.0",
        "BYE ",
    ] {
        let data = format!("{line}\r\nX: y\r\n\r\n");
        assert!(
            matches!(kind(&data), ParseErrorKind::StartLine(_)),
            "{line:?}: {:?}",
            kind(&data)
        );
    }
}

// conformance: 8
#[test]
fn another_version_is_a_505() {
    for line in [
        "BYE sip:x SIP/7.0",
        "BYE sip:x SIP/2.1",
        "BYE sip:x sip/10.20",
        "SIP/3.0 200 OK",
    ] {
        let error = Message::parse(format!("{line}\r\nX: y\r\n\r\n")).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::Version);
        assert_eq!(error.status(), StatusCode::VERSION_NOT_SUPPORTED);
    }
}

// conformance: 7
#[test]
fn the_version_is_read_in_any_case_and_written_in_capitals() {
    for (line, written) in [
        ("BYE sip:x sip/2.0", "BYE sip:x SIP/2.0"),
        ("Sip/2.0 200 OK", "SIP/2.0 200 OK"),
    ] {
        let rest = "\r\nX: y\r\n\r\nbody";
        let message = Message::parse(format!("{line}{rest}")).unwrap();
        assert_eq!(message.start_line().to_string(), written);
        assert_eq!(message.to_bytes(), format!("{written}{rest}"));
    }
}

// conformance: 9, 10, 11; bad-inputs: P7
#[test]
fn a_status_code_is_three_digits_of_100_to_699() {
    for code in [
        "4",
        "1000",
        "-1",
        "099",
        "700",
        "20",
        "2000",
        "4294967301",
        "2 0",
        "",
        "20x",
    ] {
        let data = format!("SIP/2.0 {code} Reason\r\nX: y\r\n\r\n");
        assert!(
            matches!(kind(data), ParseErrorKind::StartLine(_)),
            "{code:?}"
        );
    }
    for (line, reason) in [
        ("SIP/2.0 200 OK", &b"OK"[..]),
        ("SIP/2.0 100 ", b""),
        ("SIP/2.0 200", b""),
        ("SIP/2.0 699 = 2**3 * 5", b"= 2**3 * 5"),
    ] {
        let message = Message::parse(format!("{line}\r\nX: y\r\n\r\n")).unwrap();
        let response = Response::try_from(message).unwrap();
        assert_eq!(response.reason(), reason);
    }
}

// conformance: 12
#[test]
fn a_code_that_nobody_knows_counts_as_its_class() {
    for (code, known, class) in [
        (100, 100, 1),
        (180, 180, 1),
        (199, 183, 1),
        (299, 200, 2),
        (431, 400, 4),
        (486, 486, 4),
        (599, 500, 5),
        (699, 600, 6),
    ] {
        let code = StatusCode::new(code).unwrap();
        assert_eq!((code.as_known().code(), code.class()), (known, class));
    }
}

// conformance: 6, 38; bad-inputs: R13
#[test]
fn unknown_methods_and_schemes_are_delivered() {
    for (method, uri) in [("invite", "tel:+1555"), ("X-!%*_+`'~.", "urn:service:sos")] {
        let message = valid(
            &format!("{method} {uri} SIP/2.0"),
            &format!("1 {method}"),
            "",
        );
        message.check().unwrap();
        let request = Request::try_from(message).unwrap();
        assert_eq!(request.method(), Method::Other(method));
        assert_eq!(request.uri().unwrap().to_string(), uri);
    }
}

// conformance: 13, 14, 25, 27, 28
#[test]
fn every_name_is_found_in_full_and_compact_in_any_case() {
    for &name in Name::ALL {
        let mut texts = vec![
            name.as_str().to_owned(),
            name.as_str().to_lowercase(),
            name.as_str().to_uppercase(),
        ];
        if let Some(letter) = name.compact() {
            texts.push((letter as char).to_string());
            texts.push((letter as char).to_uppercase().to_string());
        }
        for text in texts {
            assert_eq!(Name::lookup(text.as_bytes()), name);
            let value = if name == Name::ContentLength {
                "0"
            } else {
                "v"
            };
            for blank in ["", " ", "\t \t", "                    "] {
                let data = with_rows(&format!("{text}{blank}: {value}"));
                let message = Message::parse(data).unwrap();
                assert_eq!(message.raw(name), Some(value.as_bytes()), "{text}");
                assert_eq!(message.raw(text.as_str()), Some(value.as_bytes()), "{text}");
                assert_eq!(message.rows().next().unwrap().name_text(), text.as_bytes());
            }
        }
    }
    for text in [
        "",
        "z",
        "Via2",
        "Vi",
        "Call\rID",
        "Call_ID",
        "Content-Lengt",
        "Content-Lengthy",
    ] {
        assert_eq!(Name::lookup(text.as_bytes()), Name::Other, "{text:?}");
    }
}

#[test]
fn any_other_header_is_found_by_its_text() {
    let message = Message::parse(with_rows("X-One: 1\r\nx-two : 2\r\nX-ONE: 3")).unwrap();
    let all: Vec<_> = message.raw_all("x-one").collect();
    assert_eq!(all, [b"1", b"3"]);
    assert_eq!(message.raw("X-Two"), Some(&b"2"[..]));
    assert_eq!(message.raw("X-Three"), None);
}

// conformance: 14, 16, 47
#[test]
fn folds_belong_to_the_value_and_a_blank_line_of_blanks_does_not_end_the_head() {
    let rows = "Subject: a\r\n \r\n b\r\nX:\r\n  c \r\n\t\r\nY: \r\nZ:d ";
    let data = [&with_rows(rows)[..], b"body"].concat();
    let message = Message::parse(data.clone()).unwrap();
    assert_eq!(message.raw("Subject"), Some(&b"a\r\n \r\n b"[..]));
    assert_eq!(message.raw("X"), Some(&b"c"[..]));
    assert_eq!(message.raw("Y"), Some(&b""[..]));
    assert_eq!(message.raw("Z"), Some(&b"d"[..]));
    assert_eq!(message.body(), b"body");
    let mut edited = message;
    edited.remove("Z");
    edited.append("Z", "d").unwrap();
    let text = String::from_utf8(data).unwrap().replace("Z:d ", "Z: d");
    assert_eq!(edited.to_bytes(), text);
}

// conformance: 17
#[test]
fn a_fold_without_a_header_is_an_error() {
    assert_eq!(
        kind("BYE sip:x SIP/2.0\r\n X: y\r\n\r\n"),
        ParseErrorKind::Fold
    );
}

// conformance: 40, 46; bad-inputs: P9, R3
#[test]
fn control_characters_stand_in_quoted_pairs_only() {
    let good = b"f: \"a\\\0\\\x07\\\x7f\" <sip:a@h>\r\nSubject: caf\xe9 \xc3\x28\r\nX: a\tb";
    let data = [b"BYE sip:x SIP/2.0\r\n", &good[..], b"\r\n\r\n"].concat();
    let message = Message::parse(data.clone()).unwrap();
    assert_eq!(message.raw("Subject"), Some(&b"caf\xe9 \xc3\x28"[..]));
    assert_eq!(message.to_bytes(), data);
    let strict = Limits::default().with_reading(Reading::Strict);
    // Where routing does not look they are let in, but for NUL.
    for (bad, is_let_in) in [
        ("X: a\0b", false),
        ("X: \\\0", false),
        ("X: \"a\x01\"", true),
        ("X: \"\\\0\x01\"", true),
        ("i: \x01", true),
        ("f: \"\\\\\0\" <sip:a@h>", false),
        ("f: \x01 <sip:a@h>", false),
        ("v: \x7f", false),
        ("Route: \x1f", false),
        ("X: \x7f", true),
        ("X: \"\r\nY: \\\0", false),
    ] {
        let data = with_rows(bad);
        let error = Head::parse(&data, &strict).unwrap_err();
        assert!(
            matches!(error.kind(), ParseErrorKind::Control(_)),
            "{bad:?}"
        );
        assert_eq!(
            Head::parse(&data, &Limits::default()).is_ok(),
            is_let_in,
            "{bad:?}"
        );
    }
    assert_eq!(kind(with_rows("X: \"\\\rb\"")), ParseErrorKind::BareCr);
    assert_eq!(kind(with_rows("X: \"\\\nb\"")), ParseErrorKind::BareLf);
}

// conformance: 2, 31
#[test]
fn control_characters_in_a_body_are_body() {
    for body in [&b"\0\x01\r\n\n\r"[..], b"\r", b"\n", b"\x7f\0"] {
        let data = [&with_rows("X: y")[..], body].concat();
        assert_eq!(Message::parse(data).unwrap().body(), body);
    }
}

// conformance: 18, 19; bad-inputs: R16, R17
#[test]
fn lists_read_the_same_over_rows_and_commas() {
    let split = |rows: &str| {
        let message = Message::parse(with_rows(rows)).unwrap();
        let routes: Result<Vec<_>, _> = message
            .headers::<Route<'_>>()
            .map(|route| route.map(|r| r.to_string()))
            .collect();
        routes.unwrap()
    };
    let expected = split("Route: <sip:a;lr>\r\nRoute: <sip:b;lr>\r\nRoute: <sip:c;lr>");
    assert_eq!(expected.len(), 3);
    assert_eq!(
        split("Route: <sip:a;lr>, <sip:b;lr>\r\nSubject: x\r\nRoute: <sip:c;lr>"),
        expected
    );
    assert_eq!(
        split("Route: <sip:a;lr> ,<sip:b;lr>,\r\n <sip:c;lr>"),
        expected
    );
    // Within one name the order counts.
    assert_ne!(
        split("Route: <sip:b;lr>, <sip:a;lr>\r\nRoute: <sip:c;lr>"),
        expected
    );

    let rows = "v: SIP/2.0/UDP a;rport , SIP/2.0/TCP b;received=192.0.2.1\r\nm: \"x, <sip:y>; \\\"\" <sip:c@h>";
    let message = Message::parse(with_rows(rows)).unwrap();
    let top = message.top_via().unwrap();
    assert_eq!((top.rport(), top.received()), (Some(None), None));
    assert_eq!(message.headers::<Via<'_>>().count(), 2);
    let contact = message.header::<Contact<'_>>().unwrap().unwrap();
    assert_eq!(contact.uri().unwrap().to_string(), "sip:c@h");
}

// conformance: 69; bad-inputs: P12
#[test]
fn a_missing_mandatory_header_is_named() {
    let full = "v: SIP/2.0/UDP h\r\nf: <sip:a@h>\r\nt: <sip:b@h>\r\ni: 1\r\nCSeq: 1 BYE";
    let names = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];
    let rows: Vec<_> = full.split("\r\n").collect();
    for (left_out, name) in names.into_iter().enumerate() {
        let mut rows = rows.clone();
        rows.remove(left_out);
        let error = Message::parse(with_rows(&rows.join("\r\n")))
            .unwrap()
            .check()
            .unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::Missing(name));
        assert_eq!(
            (error.header(), error.is_fatal_for_stream()),
            (Some(name), false)
        );
    }
}

// conformance: 70; RFC 4475 §3.4.1
#[test]
fn requests_of_rfc_2543_peers_are_accepted() {
    let rows = "v: SIP/2.0/UDP h\r\nf: sip:a@h\r\nt: sip:b@h\r\ni: 1\r\nCSeq: 1 BYE";
    Message::parse(with_rows(rows)).unwrap().check().unwrap();
}

// conformance: 21; bad-inputs: P4; RFC 4475 §3.3.8
#[test]
fn a_header_that_stands_once_must_not_come_twice() {
    let refused = [
        "To: <sip:b@h>",
        "f: <sip:a@h>",
        "Call-ID: 2",
        "i: 1@h",
        "CSeq: 1 BYE",
        "Max-Forwards: 1\r\nMax-Forwards: 2",
        "To:\r\nt:",
    ];
    let sloppy = [
        "Max-Forwards: 1\r\nMax-Forwards: 1",
        "c: a/b\r\nContent-Type: a/b",
        "Expires: 1\r\nExpires: 2",
    ];
    let check = |reading, row: &str| {
        let more = format!("{row}\r\n");
        valid_by(reading, "BYE sip:x SIP/2.0", "1 BYE", &more).check()
    };
    for row in refused {
        let error = check(Reading::Lenient, row).unwrap_err();
        assert!(
            matches!(error.kind(), ParseErrorKind::Repeated(_)),
            "{row}: {error}"
        );
    }
    for row in sloppy {
        assert_eq!(check(Reading::Lenient, row), Ok(()), "{row}");
    }
    for row in refused.into_iter().chain(sloppy) {
        let error = check(Reading::Strict, row).unwrap_err();
        assert!(
            matches!(error.kind(), ParseErrorKind::Repeated(_)),
            "{row}: {error}"
        );
    }
    let harmless = "Subject: a\r\nSubject: b\r\nServer: a\r\nServer: b\r\nWarning: x\r\n";
    valid("BYE sip:x SIP/2.0", "1 BYE", harmless)
        .check()
        .unwrap();
}

// conformance: 74, 77; bad-inputs: P1, P7
#[test]
fn cseq_and_max_forwards_are_checked() {
    for cseq in [
        "1 INVITE",
        "4294967296 BYE",
        "1",
        "BYE",
        "-1 BYE",
        "1 BYE x",
        "",
        "1BYE",
    ] {
        let error = valid("BYE sip:x SIP/2.0", cseq, "").check().unwrap_err();
        assert_eq!(
            (error.header(), error.status().code()),
            (Some(Name::CSeq), 400),
            "{cseq}"
        );
    }
    valid("BYE sip:x SIP/2.0", "0009\r\n  BYE", "")
        .check()
        .unwrap();
    valid("SIP/2.0 200 OK", "1 ANYTHING", "").check().unwrap();
    for hops in ["256", "300", "-1", "", "x"] {
        let more = format!("Max-Forwards: {hops}\r\n");
        assert!(
            valid("BYE sip:x SIP/2.0", "1 BYE", &more).check().is_err(),
            "{hops}"
        );
    }
    valid("BYE sip:x SIP/2.0", "1 BYE", "Max-Forwards: 0068\r\n")
        .check()
        .unwrap();
}

// conformance: 24
#[test]
fn a_header_of_the_other_class_of_messages_is_ignored() {
    let of_requests =
        "Route: <sip:p;lr>\r\nProxy-Require: x\r\nPriority: urgent\r\nMax-Forwards: 70\r\n";
    let response = valid("SIP/2.0 200 OK", "1 BYE", of_requests);
    response.check().unwrap();
    assert_eq!(response.status(), Some(StatusCode::OK));
    let of_responses = "WWW-Authenticate: Digest\r\nWarning: x\r\nRetry-After: soon\r\n";
    let request = valid("BYE sip:x SIP/2.0", "1 BYE", of_responses);
    request.check().unwrap();
    assert_eq!(request.method(), Some(Method::Bye));
}

// conformance: 43, 161, 250, 255; bad-inputs: P5
#[test]
fn vias_below_the_top_one_and_other_headers_are_read_when_asked_for() {
    for via in [
        "SIP/2.0/UDP h, x",
        "SIP/2.0/UDP []",
        "SIP/2.0/UDP h;;a",
        "SIP/2.0/UDP h:99999",
    ] {
        let more = format!("Via: {via}\r\n");
        let message = valid("BYE sip:x SIP/2.0", "1 BYE", &more);
        message.check().unwrap();
        assert!(
            message.headers::<Via<'_>>().any(|via| via.is_err()),
            "{via}"
        );
        let error = valid_by(Reading::Strict, "BYE sip:x SIP/2.0", "1 BYE", &more)
            .check()
            .unwrap_err();
        assert_eq!(error.header(), Some(Name::Via), "{via}");
    }
    // None may be empty: then one reader would count it and another would not.
    for via in ["", "SIP/2.0/UDP h,,SIP/2.0/UDP g", "SIP/2.0/UDP h, "] {
        let error = valid("BYE sip:x SIP/2.0", "1 BYE", &format!("Via: {via}\r\n"))
            .check()
            .unwrap_err();
        assert_eq!(error.header(), Some(Name::Via), "{via}");
    }
    let junk = "Date: junk\r\nContact: <\r\nRoute: \"\r\nAccept: ,,,\r\nExpires: x\r\nUser-Agent: (\r\nServer: [\r\n";
    valid("BYE sip:x SIP/2.0", "1 BYE", junk).check().unwrap();
    let error = valid("BYE sip:x SIP/2.0", "1 BYE", "").check();
    assert_eq!(error, Ok(()));
}

#[test]
fn an_error_says_where() {
    let data = b"BYE sip:x SIP/2.0\r\nv: SIP/2.0/UDP h;;?a\r\nf: x\r\n\r\n";
    let error = Head::parse(data, &Limits::default())
        .unwrap()
        .check(data)
        .unwrap_err();
    assert_eq!(
        error.offset(),
        data.windows(2).position(|w| w == b";?").unwrap() + 1
    );
    let data = b"BYE sip:x@ SIP/2.0\r\n\r\n";
    let error = Head::parse(data, &Limits::default())
        .unwrap()
        .check(data)
        .unwrap_err();
    assert!(matches!(error.kind(), ParseErrorKind::RequestUri(_)));
    assert_eq!(
        error.offset(),
        data.windows(2).position(|w| w == b"@ ").unwrap() + 1
    );
}

// conformance: 35; bad-inputs: F13, P3, R14
#[test]
fn limits_hold_at_n_and_not_at_n_plus_1() {
    type Set = fn(Limits, usize) -> Limits;
    let start = "BYE sip:x SIP/2.0";
    let text = format!("{start}\r\nAA: b\r\n cc\r\nD: e\r\n\r\nbody");
    let head = text.len() - 4;
    let cases: [(usize, Set, ParseErrorKind, u16); 5] = [
        (
            start.len(),
            |l, n| l.with_start_line(n).unwrap(),
            ParseErrorKind::StartLineTooLong(start.len() - 1),
            414,
        ),
        (
            10,
            |l, n| l.with_header(n).unwrap(),
            ParseErrorKind::HeaderTooLong(9),
            413,
        ),
        (
            2,
            |l, n| l.with_rows(n).unwrap(),
            ParseErrorKind::TooManyRows(1),
            513,
        ),
        (
            head,
            |l, n| l.with_head(n).unwrap(),
            ParseErrorKind::HeadTooLong(head - 1),
            513,
        ),
        (
            text.len(),
            |l, n| l.with_message(n).unwrap(),
            ParseErrorKind::MessageTooLong(text.len() - 1),
            413,
        ),
    ];
    for (n, set, kind, status) in cases {
        let limits = Limits::default();
        Head::parse(text.as_bytes(), &set(limits, n)).unwrap();
        let error = Head::parse(text.as_bytes(), &set(limits, n - 1)).unwrap_err();
        assert_eq!((error.kind(), error.status().code()), (kind, status));
    }
    let rows: String = (0..500).map(|i| format!("X{i}: y\r\n")).collect();
    assert_eq!(
        Message::parse(with_rows(rows.trim_end()))
            .unwrap()
            .rows()
            .count(),
        500
    );
    let long = "y".repeat(16 * 1024 - 3);
    let message = Message::parse(with_rows(&format!("X: {long}"))).unwrap();
    assert_eq!(message.raw("X").unwrap().len(), long.len());
}

#[test]
fn a_limit_outside_its_range_is_an_error() {
    let limits = Limits::default();
    assert!(limits.with_head(0).is_err());
    assert!(limits.with_head(Limits::HEAD_MAX + 1).is_err());
    assert!(limits.with_message(Limits::MESSAGE_MAX + 1).is_err());
    assert!(limits.with_rows(0).is_err());
    let error = limits.with_start_line(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the limit of the start line must be 1 to 65000, not 0"
    );
}

/// A head of the longest allowed length still has room for what receipt adds.
#[test]
fn the_longest_head_can_be_stamped() {
    let limits = Limits::default()
        .with_head(Limits::HEAD_MAX)
        .unwrap()
        .with_header(Limits::HEAD_MAX)
        .unwrap()
        .with_message(70_000)
        .unwrap();
    let start = "BYE sip:x SIP/2.0\r\nv: SIP/2.0/UDP h;rport\r\nX: ";
    let data = format!(
        "{start}{}\r\nY: z\r\n\r\n",
        "y".repeat(Limits::HEAD_MAX - start.len() - 10)
    );
    assert_eq!(data.len(), Limits::HEAD_MAX);
    let head = Head::parse(data.as_bytes(), &limits).unwrap();
    let source = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"
        .parse()
        .unwrap();
    let message = head.to_received(data.as_bytes(), source, true);
    assert_eq!(message.raw("Y"), Some(&b"z"[..]));
    assert!(message.wire_len() > Limits::HEAD_MAX);
}

/// However much of the Via the stamp takes the place of, all that stands behind it is where it was.
#[test]
fn a_stamp_may_take_the_place_of_nearly_a_whole_head() {
    let limits = Limits::default()
        .with_head(Limits::HEAD_MAX)
        .unwrap()
        .with_header(Limits::HEAD_MAX)
        .unwrap();
    let stamp = ";rport=5061;received=192.0.2.9";
    for blanks in [0, 1, 100, 32_700, 32_767, 32_768, 32_800, 40_000, 64_000] {
        let gap = " ".repeat(blanks);
        for (params, kept) in [
            (
                format!(";received={gap}192.0.2.1;rport"),
                ";received=192.0.2.9;rport=5061",
            ),
            (format!(";rport={gap}7;received=192.0.2.1"), stamp),
            (format!(";rport{gap}=7"), stamp),
            (format!(";received={gap}192.0.2.1;x=\"{gap}\""), ""),
        ] {
            if params.len() > 64_500 {
                continue;
            }
            let with = |params: &str| {
                with_rows(&format!(
                    "X: y\r\nv: SIP/2.0/UDP h{params}\r\nf: <sip:a@h>;tag=from\r\n\
                     t: <sip:b@h>;tag=to\r\ni: 1\r\nCSeq: 1 BYE\r\nl: 4"
                ))
            };
            let data = [&with(&params)[..], b"body"].concat();
            let mut head = Head::parse(&data, &limits).unwrap();
            head.check(&data).unwrap();
            let message = head.to_received(&data, ([192, 0, 2, 9], 5061).into(), true);
            if !kept.is_empty() {
                assert_eq!(message.to_bytes(), [&with(kept)[..], b"body"].concat());
            }
            let again = Message::parse_with(message.to_bytes(), &limits).unwrap();
            again.check().unwrap();
            for message in [&message, &again] {
                assert_eq!(message.rows().count(), 7);
                assert_eq!(message.wire_len(), message.to_bytes().len());
                assert_eq!(message.raw("l"), Some(&b"4"[..]));
                assert_eq!(message.body(), b"body");
                assert_eq!(
                    (message.from_tag(), message.to_tag()),
                    (Some("from"), Some("to"))
                );
                assert_eq!(
                    (message.call_id(), message.cseq().unwrap().seq()),
                    (Some(&b"1"[..]), 1)
                );
                let via = message.top_via().unwrap();
                assert_eq!(via.received(), Some([192, 0, 2, 9].into()));
                assert_eq!(via.rport(), Some(Some(5061)));
                assert_eq!(
                    via.params().iter().count(),
                    2 + usize::from(kept.is_empty())
                );
            }
        }
    }
}

// bad-inputs: R10; conformance: 176, 177, 291, 292, 120
#[test]
fn received_and_rport_are_written_into_the_top_via() {
    let v4 = "192.0.2.9:5061";
    let cases = [
        // What came, from where, forced, what is kept.
        (
            "SIP/2.0/UDP h",
            v4,
            false,
            "SIP/2.0/UDP h;received=192.0.2.9",
        ),
        ("SIP/2.0/UDP 192.0.2.9", v4, false, "SIP/2.0/UDP 192.0.2.9"),
        (
            "SIP/2.0/UDP 192.0.2.9:7;rport",
            v4,
            false,
            "SIP/2.0/UDP 192.0.2.9:7;rport=5061;received=192.0.2.9",
        ),
        (
            "SIP/2.0/UDP 192.0.2.9",
            v4,
            true,
            "SIP/2.0/UDP 192.0.2.9;rport=5061;received=192.0.2.9",
        ),
        (
            "SIP/2.0/UDP h;RPORT;branch=z9hG4bK1",
            v4,
            false,
            "SIP/2.0/UDP h;rport=5061;branch=z9hG4bK1;received=192.0.2.9",
        ),
        (
            "SIP/2.0/UDP h;rport=1;received=198.51.100.1;a=b",
            v4,
            false,
            "SIP/2.0/UDP h;rport=5061;received=192.0.2.9;a=b",
        ),
        (
            "SIP/2.0/UDP h;received=[2001:db8::1];x",
            v4,
            false,
            "SIP/2.0/UDP h;received=192.0.2.9;x",
        ),
        (
            "SIP/2.0/UDP h;Received = 1.2.3.4 ;rport = 9 ;x",
            v4,
            false,
            "SIP/2.0/UDP h;received=192.0.2.9 ;rport=5061 ;x",
        ),
        (
            "SIP/2.0/UDP h , SIP/2.0/TCP b;rport",
            v4,
            false,
            "SIP/2.0/UDP h;received=192.0.2.9 , SIP/2.0/TCP b;rport",
        ),
        (
            "SIP/2.0/UDP h;rport",
            "[2001:db8::9]:1",
            false,
            "SIP/2.0/UDP h;rport=1;received=2001:db8::9",
        ),
        (
            "SIP/2.0/UDP [2001:DB8::0:9]",
            "[2001:db8::9]:1",
            false,
            "SIP/2.0/UDP [2001:DB8::0:9]",
        ),
        (
            "SIP/2.0/UDP h",
            "[::ffff:192.0.2.9]:1",
            false,
            "SIP/2.0/UDP h;received=192.0.2.9",
        ),
        (
            "SIP/2.0/UDP h",
            "[fe80::1%2]:1",
            false,
            "SIP/2.0/UDP h;received=fe80::1",
        ),
        ("SIP/2.0/UDP", v4, false, "SIP/2.0/UDP"),
    ];
    for (came, source, force, kept) in cases {
        let text = |via: &str| {
            format!("BYE sip:x SIP/2.0\r\nA: 1\r\nv:  {via}\r\nX: y\r\n z\r\nl: 4\r\n\r\nbody")
        };
        let data = text(came);
        let head = Head::parse(data.as_bytes(), &Limits::default()).unwrap();
        let message = head.to_received(data.as_bytes(), source.parse().unwrap(), force);
        assert_eq!(message.to_bytes(), text(kept), "{came} from {source}");
        assert_eq!(message.raw("X"), Some(&b"y\r\n z"[..]));
        assert_eq!(message.raw("l"), Some(&b"4"[..]));
        assert_eq!(message.body(), b"body");
        assert_eq!(message.raw(Name::Via), Some(kept.as_bytes()));
    }
}

/// What the checks found stays right when the Via grows or shrinks before it.
#[test]
fn a_checked_and_stamped_message_reads_as_its_bytes_do() {
    for via in [
        "SIP/2.0/UDP h.example:5;branch=z9hG4bK1",
        "SIP/2.0/UDP h.example;rport;branch=z9hG4bK1",
        "SIP/2.0/UDP h.example;received=1.2.3.4;branch=z9hG4bK1;rport=70;x=y",
        "SIP/2.0/UDP 192.0.2.9;rport=7000000",
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1",
        "SIP/2.0/UDP [2001:db8::1]:7;rport ; received=[2001:db8:1111:2222:3333:4444:5555:6666]",
        "SIP/2.0/UDP h;maddr=224.0.1.75;ttl=1;rport",
        "SIP/2.0/UDP h;rport , SIP/2.0/TCP b",
    ] {
        for rows in [
            format!("v: {via}\r\nf: <sip:a@h>;tag=from\r\nt: <sip:b@h>;x;tag=to"),
            format!("f: <sip:a@h>;tag=from\r\nt: <sip:b@h>;x;tag=to\r\nv: {via}"),
        ] {
            let data = with_rows(&format!("{rows}\r\ni: 1\r\nCSeq: 1 BYE"));
            let mut head = Head::parse(&data, &Limits::default()).unwrap();
            if head.check(&data).is_err() {
                continue;
            }
            for force in [true, false] {
                let mut head = Head::parse(&data, &Limits::default()).unwrap();
                head.check(&data).unwrap();
                let message = head.to_received(&data, ([192, 0, 2, 9], 5061).into(), force);
                let again = Message::parse(message.to_bytes()).unwrap();
                let print = |message: &Message| message.top_via().unwrap().to_string();
                assert_eq!(print(&message), print(&again));
                assert_eq!(
                    (message.from_tag(), message.to_tag()),
                    (Some("from"), Some("to"))
                );
                assert_eq!(
                    (again.from_tag(), again.to_tag()),
                    (Some("from"), Some("to"))
                );
                let mut edited = message.clone();
                edited.remove_first_value(Name::Via).unwrap();
                edited
                    .prepend(Name::Via, "SIP/2.0/TCP new;branch=1")
                    .unwrap();
                edited.set("From", "<sip:c@h>;tag=new").unwrap();
                assert_eq!(edited.top_via().unwrap().transport(), "TCP");
                assert_eq!(edited.from_tag(), Some("new"));
            }
        }
    }
}

#[test]
fn responses_are_never_stamped() {
    let data = BENCH[3];
    let head = Head::parse(data, &Limits::default()).unwrap();
    let message = head.to_received(data, ([192, 0, 2, 9], 1).into(), true);
    assert_eq!(message.to_bytes(), data);
}

#[test]
fn a_message_is_a_request_or_a_response() {
    let request = Message::parse(BENCH[0]).unwrap();
    assert!(matches!(
        request.start_line(),
        StartLine::Request {
            method: Method::Options,
            ..
        }
    ));
    assert!(request.status().is_none() && request.method().is_some());
    let error = Response::try_from(request).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("expected a response, found OPTIONS sip:")
    );
    assert_eq!(error.into_message().to_bytes(), BENCH[0]);
    let response = Response::try_from(Message::parse(BENCH[3]).unwrap()).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(Request::try_from(response.into_message()).is_err());
}
