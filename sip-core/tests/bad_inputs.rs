//! Messages that broke other parsers, and what becomes of them here.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fmt::Write;

use sip_core::header::{Accept, Authorization, Contact, ContentType, From, Header, To, Via, list};
use sip_core::message::{Head, ParseErrorKind};
use sip_core::uri::Uri;
use sip_core::{Limits, Message, Method, Name, Reading, Request};

const ROWS: [(&str, &str); 5] = [
    ("Via", "SIP/2.0/UDP h.example;branch=z9hG4bK1"),
    ("From", "<sip:a@a.example>;tag=1"),
    ("To", "<sip:b@b.example>"),
    ("Call-ID", "1@h.example"),
    ("CSeq", "1 MESSAGE"),
];

/// A valid request with one of its values replaced, further rows and a body.
fn request(name: &str, value: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut head = String::from("MESSAGE sip:b@b.example SIP/2.0\r\n");
    for (row, usual) in ROWS {
        let value = if row == name { value } else { usual };
        write!(head, "{row}: {value}\r\n").unwrap();
    }
    write!(head, "{more}Content-Length: {}\r\n\r\n", body.len()).unwrap();
    [head.as_bytes(), body].concat()
}

fn with(name: &str, value: &str) -> Vec<u8> {
    request(name, value, "", b"")
}

fn and(more: &str) -> Vec<u8> {
    request("", "", more, b"")
}

/// What a datagram gives: the message, or the error's header, kind and status.
fn receive(data: &[u8]) -> Result<Message, (Option<Name>, ParseErrorKind, u16)> {
    receive_by(Reading::Lenient, data)
}

fn receive_by(
    reading: Reading,
    data: &[u8],
) -> Result<Message, (Option<Name>, ParseErrorKind, u16)> {
    let limits = Limits::default().with_reading(reading);
    Head::parse(data, &limits)
        .and_then(|mut head| head.check(data).map(|()| head.to_message(data)))
        .map_err(|error| (error.header(), error.kind(), error.status().code()))
}

fn refused(data: &[u8]) -> (Option<Name>, ParseErrorKind, u16) {
    match receive(data) {
        Err(error) => error,
        Ok(message) => panic!(
            "delivered: {}",
            String::from_utf8_lossy(&message.to_bytes())
        ),
    }
}

fn delivered(data: &[u8]) -> Message {
    let message = receive(data).unwrap();
    assert_eq!(message.to_bytes(), data);
    message
}

// bad-inputs: P1
#[test]
fn a_via_without_branch_and_a_very_long_method_are_delivered() {
    let method = "M".repeat(7_000);
    let data = with("Via", "SIP/2.0/UDP h.example");
    let text = String::from_utf8(data).unwrap().replace("MESSAGE", &method);
    let request = Request::try_from(delivered(text.as_bytes())).unwrap();
    assert_eq!(request.method(), Method::Other(&method));
    assert_eq!(request.cseq().unwrap().method(), Method::Other(&method));
    assert_eq!(request.top_via().unwrap().branch(), None);
    let text = text.replace(&method, &"M".repeat(9_000));
    assert_eq!(refused(text.as_bytes()).2, 414);
}

// bad-inputs: P2
#[test]
fn a_body_is_bytes_whatever_its_type_says() {
    for body in [
        "",
        "--a",
        "--a--",
        "\n--a\n\nLF only\n--a--\n",
        "\r\n--a\r\n",
        "--a\r\n--ab\r\n--abc--\r\n--a--",
        "--a\r\nContent-Type: multipart/mixed;boundary=a\r\n\r\n--a\r\n",
        "--a\r\nContent-Length: 1000\r\n\r\nx",
        "--\0\r\n--",
    ] {
        for boundary in ["a", "\"a b:?\"", "\"\"", "=", ""] {
            let more = format!("Content-Type: multipart/mixed;boundary={boundary}\r\n");
            let data = request("", "", &more, body.as_bytes());
            let message = delivered(&data);
            assert_eq!(message.body(), body.as_bytes());
            let wants = !matches!(boundary, "=" | "");
            assert_eq!(
                message.header::<ContentType<'_>>().is_ok(),
                wants,
                "{boundary}"
            );
        }
    }
}

// bad-inputs: P3
#[test]
fn many_headers_are_delivered_up_to_the_limit() {
    let accepts = "Accept: application/sdp;q=0.1, text/plain\r\n".repeat(60);
    let message = delivered(&and(&accepts));
    assert_eq!(
        message
            .headers::<Accept<'_>>()
            .filter(Result::is_ok)
            .count(),
        120
    );

    let contacts = format!("m: {}<sip:z@h>\r\n", "<sip:c@h>, ".repeat(299));
    let message = delivered(&and(&contacts));
    assert_eq!(
        message
            .headers::<Contact<'_>>()
            .filter(Result::is_ok)
            .count(),
        300
    );

    let via = "Via: SIP/2.0/UDP h\r\n";
    let message = delivered(&and(&via.repeat(500)));
    assert_eq!(
        message.headers::<Via<'_>>().filter(Result::is_ok).count(),
        501
    );
    let list = format!("Via: {}SIP/2.0/UDP h\r\n", "SIP/2.0/UDP h,".repeat(499));
    let message = delivered(&and(&list));
    assert_eq!(
        message.headers::<Via<'_>>().filter(Result::is_ok).count(),
        501
    );

    let limits = Limits::default();
    for (more, kind, status) in [
        (
            via.repeat(1_000),
            ParseErrorKind::TooManyRows(limits.rows()),
            513,
        ),
        (
            "a:\r\n".repeat(10_000),
            ParseErrorKind::TooManyRows(limits.rows()),
            513,
        ),
        (
            format!("v: {}SIP/2.0/UDP h\r\n", "SIP/2.0/UDP h,".repeat(1_999)),
            ParseErrorKind::HeaderTooLong(limits.header()),
            413,
        ),
    ] {
        let (_, found, answer) = refused(&and(&more));
        assert_eq!((found, answer), (kind, status));
    }
}

// bad-inputs: P4
#[test]
fn tags_and_branches_of_any_length_are_kept_whole() {
    for len in [63, 64, 65, 127, 128, 129, 255, 256, 257, 1_024, 8_000] {
        let text = "t".repeat(len);
        let message = delivered(&with("From", &format!("<sip:a@a.example>;tag={text}")));
        assert_eq!(message.from_tag(), Some(&*text));
        let message = delivered(&with("Via", &format!("SIP/2.0/UDP h;branch={text}")));
        assert_eq!(message.top_via().unwrap().branch(), Some(&*text));
    }
    let long = "t".repeat(17_000);
    assert_eq!(
        refused(&with("To", &format!("<sip:b@b.example>;tag={long}"))).2,
        413
    );
}

// bad-inputs: P4
#[test]
fn a_second_from_or_to_is_refused_whatever_it_holds() {
    for row in ["To", "From", "t", "f"] {
        for value in ["<sip:b@b.example>;tag=", "<sip:b@b.example>;tag=1", "", "x"] {
            let (name, kind, status) = refused(&and(&format!("{row}: {value}\r\n")));
            assert_eq!(name, Some(Name::lookup(row.as_bytes())), "{row}: {value}");
            assert!(
                matches!(kind, ParseErrorKind::Repeated(_)),
                "{row}: {value}"
            );
            assert_eq!(status, 400);
        }
    }
    assert_eq!(
        refused(&with("To", "<sip:b@b.example>;tag=")).0,
        Some(Name::To)
    );
}

// bad-inputs: P5
#[test]
fn a_top_via_that_hides_its_sender_is_a_400_and_under_strict_reading_any_broken_one() {
    let no_sender = [
        "",
        "SIP/2.0",
        "SIP/2.0/",
        "SIP/2.0/ h",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP :5060",
        "SIP/2.0/UDP []",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP ::1]",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h:-1",
        "SIP/2.0/UDP h (comment)",
        "SIP/2.0/UDP h,",
        ",SIP/2.0/UDP h",
        "SIP/2.0/UDP h;maddr=(comment)",
        "SIP/2.0/UDP h;branch=1;branch=2",
        "SIP/2.0/UDP h;a=\"b",
    ];
    let sloppy = [
        "SIP/2.0/UDP h;",
        "SIP/2.0/UDP h;branch",
        "SIP/2.0/UDP h;branch=",
        "SIP/2.0/UDP h;received",
        "SIP/2.0/UDP h;rport=;received=",
        "SIP/2.0/UDP h;rport=99999",
        "SIP/2.0/UDP h;a=(comment)",
    ];
    for via in no_sender {
        let (name, _, status) = refused(&with("Via", via));
        assert_eq!((name, status), (Some(Name::Via), 400), "{via}");
    }
    for via in sloppy {
        let message = delivered(&with("Via", via));
        let host = message.top_via().unwrap().sent_by().host();
        assert_eq!(host.to_string(), "h", "{via}");
    }
    for via in no_sender.into_iter().chain(sloppy) {
        let lower = and(&format!("Via: {via}\r\n"));
        for data in [with("Via", via), lower.clone()] {
            let (name, _, status) = receive_by(Reading::Strict, &data).unwrap_err();
            assert_eq!((name, status), (Some(Name::Via), 400), "{via}");
        }
        // Those below the top one only have to be there.
        let parts = via.split(',').all(|part| !part.is_empty());
        assert_eq!(receive(&lower).is_ok(), parts, "{via}");
    }
    let folded = "SIP\r\n / 2.0\r\n / UDP\r\n  h\r\n : 5070\r\n ;\r\n branch\r\n =\r\n z9hG4bK1";
    let message = delivered(&with("Via", folded));
    let via = message.top_via().unwrap();
    assert_eq!(
        (via.branch(), via.sent_by().port()),
        (Some("z9hG4bK1"), Some(5070))
    );
}

// bad-inputs: P6
#[test]
fn credentials_that_end_anywhere_are_delivered_and_never_read_as_more() {
    let whole = "Digest username=\"a\", realm=\"b\\\"\", nonce=\"c\", uri=\"sip:h\", response=\"\
        00000000000000000000000000000000\", nc=00000001, qop=auth";
    for len in 0..whole.len() {
        let cut = &whole[..len];
        let message = delivered(&and(&format!("Authorization: {cut}\r\n")));
        if let Ok(Some(authorization)) = message.header::<Authorization<'_>>() {
            for param in authorization.params().iter() {
                assert!(cut.contains(param.name()), "{cut}");
            }
        }
    }
    let unclosed = delivered(&and("Authorization: Digest realm=\"b\r\nX: \"\r\n"));
    assert!(unclosed.header::<Authorization<'_>>().is_err());
    assert_eq!(unclosed.raw("X"), Some(&b"\""[..]));
}

// bad-inputs: P7
#[test]
fn start_lines_and_cseq_hold_what_they_say() {
    let text = String::from_utf8(and("")).unwrap();
    let one_letter = text.replace("MESSAGE", "M");
    assert_eq!(
        delivered(one_letter.as_bytes()).method(),
        Some(Method::Other("M"))
    );
    for cseq in [
        "1 INVITE",
        "1 message",
        "4294967296 MESSAGE",
        "1",
        "MESSAGE",
        "1MESSAGE",
        "-1 MESSAGE",
    ] {
        assert_eq!(refused(&with("CSeq", cseq)).0, Some(Name::CSeq), "{cseq}");
    }
    let message = delivered(&with("CSeq", "4294967295 MESSAGE"));
    assert_eq!(message.cseq().unwrap().seq(), u32::MAX);
    for status in [
        "4", "1000", "-1", "099", "700", "+200", "20 0", "2e2", "٢٠٠",
    ] {
        let response = text.replace(
            "MESSAGE sip:b@b.example SIP/2.0",
            &format!("SIP/2.0 {status} OK"),
        );
        let (_, kind, _) = refused(response.as_bytes());
        assert!(matches!(kind, ParseErrorKind::StartLine(_)), "{status}");
    }
}

// bad-inputs: P8
#[test]
fn broken_addresses_are_refused_where_the_transport_reads_them() {
    let broken = [
        "<sip:>;sip:;1001@h.example",
        "\"/\"",
        "\"a\\\" <sip:a@h.example>",
        "\"a\\",
        "<sip:a@h.example%>",
        "<sip:a%@h.example>",
        "<sip:a%4@h.example>",
        "<>",
    ];
    for value in broken {
        assert_eq!(refused(&with("From", value)).0, Some(Name::From), "{value}");
        assert_eq!(refused(&with("To", value)).0, Some(Name::To), "{value}");
    }
    // Of the URI in From and To, only the characters are looked at before it is asked for.
    let no_uri = ["<sip:@h.example>", "<sip:a@>", "<sip:>", "<tel:>", "<urn:>"];
    for value in no_uri {
        match receive(&with("From", value)) {
            Err((header, ..)) => assert_eq!(header, Some(Name::From), "{value}"),
            Ok(message) => assert!(message.header::<From<'_>>().is_err(), "{value}"),
        }
    }
    for value in broken.into_iter().chain(no_uri) {
        // The transport does not read Contact: it is the application's to refuse.
        let message = delivered(&and(&format!("Contact: {value}\r\nX: y\r\n")));
        assert!(message.header::<Contact<'_>>().is_err(), "{value}");
        assert_eq!(message.raw("X"), Some(&b"y"[..]), "{value}");
    }
    for (value, scheme) in [
        ("<urn:service:sos>", "urn"),
        ("<tel:+1555;phone-context=h.example>", "tel"),
        ("<sip:a%00@h.example>", "sip"),
        ("\"/\" <sip:a@h.example>", "sip"),
        ("\"a\\\\\" <sip:a@h.example>", "sip"),
    ] {
        let message = delivered(&with("From", value));
        let from = message.header::<From<'_>>().unwrap().unwrap();
        assert_eq!(from.uri().scheme(), scheme, "{value}");
        assert!(value.contains(&from.uri().to_string()), "{value}");
    }
    for uri in [
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:h%",
        "sip:a%4@h",
        "tel:",
        "urn:",
        "x",
        ":",
    ] {
        let text = String::from_utf8(and("")).unwrap();
        let (_, kind, status) = refused(
            text.replace("sip:b@b.example SIP", &format!("{uri} SIP"))
                .as_bytes(),
        );
        assert!(matches!(kind, ParseErrorKind::RequestUri(_)), "{uri}");
        assert_eq!(status, 400);
    }
}

// bad-inputs: P9
#[test]
fn no_control_character_passes_and_no_other_byte_is_changed() {
    let good = request(
        "",
        "",
        "Subject: a \"quoted\" one\r\nX-Other: b\r\n",
        b"body",
    );
    let head = good.len() - b"\r\n\r\nbody".len();
    for at in 0..head {
        for byte in [0, 1, 0x0b, 0x1f, 0x7f] {
            let mut data = good.clone();
            data[at] = byte;
            assert!(
                receive_by(Reading::Strict, &data).is_err(),
                "{byte:#x} at {at}"
            );
            // Where routing does not look, all but NUL is let in and stays as it is.
            if let Ok(message) = receive(&data) {
                assert_eq!(message.to_bytes(), data, "{byte:#x} at {at}");
                let routed = data[..at].rsplit(|&b| b == b'\n').next().unwrap();
                let names: [&[u8]; 3] = [b"Call", b"Subj", b"X-Ot"];
                let is_seen = routed.contains(&b':') && !names.contains(&&routed[..4]);
                assert!(byte != 0 && !is_seen, "{byte:#x} at {at}");
            }
        }
        for byte in [0x80, 0xc3, 0xff] {
            let mut data = good.clone();
            data[at] = byte;
            if let Ok(message) = receive(&data) {
                assert_eq!(message.to_bytes(), data, "{byte:#x} at {at}");
            }
        }
    }
    let body = [&b"\0\xff\x80\x7f"[..], &[0x1f; 9]].concat();
    assert_eq!(delivered(&request("", "", "", &body)).body(), body);
    // A signed byte must not become a negative index into a table of names or characters.
    for byte in 0x80..=0xff_u8 {
        let mut data = and("Q: y\r\n");
        let at = data.iter().position(|&b| b == b'Q').unwrap();
        data[at] = byte;
        let strict = receive_by(Reading::Strict, &data).unwrap_err();
        assert!(matches!(strict.1, ParseErrorKind::HeaderLine), "{byte:#x}");
        assert_eq!(delivered(&data).rows().count(), 6, "{byte:#x}");
        data[at] = b'Q';
        data[at + 3] = byte;
        assert_eq!(delivered(&data).raw("Q"), Some(&[byte][..]));
    }
}

// bad-inputs: P10
#[test]
fn a_value_that_ends_anywhere_is_read_or_refused() {
    fn cut<'a, H: Header<'a>>(value: &'a [u8]) {
        for len in 0..=value.len() {
            for value in list::values::<H>(&value[..len]).flatten() {
                let _ = value.to_string();
            }
        }
        assert!(
            H::parse(value).is_ok(),
            "{}",
            String::from_utf8_lossy(value)
        );
    }
    cut::<Via<'_>>(b"SIP / 2.0 / UDP [2001:db8::1] : 5070 ; branch = z9hG4bK ; received = 192.0.2.1 ; x = \"\\\"\"");
    cut::<From<'_>>(
        b"\"a \\\" b\" <sip:a%40b:c@[::1]:5060;x=%41;lr?y=%42&z=> ; tag = 1 ; w = \"\\\\\"",
    );
    cut::<To<'_>>(b"one two <tel:+1-555;phone-context=h.example;isub=1>;tag=2");
    cut::<Contact<'_>>(b"\"a\" <sips:a@h;transport=tcp> ; q = 0.123 ; expires = 60");
    let uri = b"sip:a;b=c%40:d@h.example:5060;transport=tcp;x=%4a?Subject=a%20b&Body=";
    for len in 0..uri.len() {
        if let Ok(uri) = Uri::parse(&uri[..len]) {
            let _ = uri.to_string();
        }
    }
}

// bad-inputs: P12
#[test]
fn without_what_every_message_has_none_is_delivered() {
    for (name, _) in ROWS {
        let text = String::from_utf8(and("")).unwrap();
        let without: String = text
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(&format!("{name}:")))
            .collect();
        for text in [
            &without,
            &without.replace("MESSAGE sip:b@b.example SIP/2.0", "SIP/2.0 200 OK"),
        ] {
            let (_, kind, status) = refused(text.as_bytes());
            assert_eq!(kind, ParseErrorKind::Missing(Name::lookup(name.as_bytes())));
            assert_eq!(status, 400);
        }
    }
}

// bad-inputs: R12
#[test]
fn parameters_are_found_in_any_case() {
    let message = delivered(&with(
        "Via",
        "SIP/2.0/UDP h;Branch=z9hG4bK1;RPORT;Received=192.0.2.1",
    ));
    let via = message.top_via().unwrap();
    assert_eq!((via.branch(), via.rport()), (Some("z9hG4bK1"), Some(None)));
    assert!(via.received().is_some());
    let message = delivered(&with(
        "From",
        "<sip:a@h;Transport=TCP;LR;MAddr=192.0.2.2>;TAG=7",
    ));
    assert_eq!(message.from_tag(), Some("7"));
    let from = message.header::<From<'_>>().unwrap().unwrap();
    let uri = *from.uri().as_sip().unwrap();
    assert_eq!(uri.transport(), Some("TCP"));
    assert!(uri.is_loose_router() && uri.maddr().is_some());
}

// bad-inputs: R16, R17
#[test]
fn quotes_hold_what_looks_like_more_and_commas_part_vias() {
    let name = "\"<sip:x@y.example>, \\\"z\\\"; tag=9\" <sip:a@a.example>;tag=1";
    let message = delivered(&with("From", name));
    assert_eq!(message.from_tag(), Some("1"));
    let from = message.header::<From<'_>>().unwrap().unwrap();
    assert_eq!(from.uri().to_string(), "sip:a@a.example");
    let both = "SIP/2.0/UDP one;branch=z9hG4bK1;x=\"a,b\" , SIP/2.0/TCP two:5070;rport";
    let message = delivered(&with("Via", both));
    let vias: Vec<Via<'_>> = message.headers().collect::<Result<_, _>>().unwrap();
    assert_eq!(vias.len(), 2);
    assert_eq!((vias[0].rport(), vias[1].rport()), (None, Some(None)));
    assert_eq!(
        (vias[1].branch(), vias[1].sent_by().port()),
        (None, Some(5070))
    );
}
