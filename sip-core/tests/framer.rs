//! The stream framer: the same frames whatever the chunks, one Content-Length rule, and one error
//! that ends the stream.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use sip_core::message::{Head, ParseError, ParseErrorKind};
use sip_core::{Frame, Framer, Limits, Name};

/// What a framer gave out, in a form that can be compared.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Crlf,
    Ping,
    Message(Vec<u8>),
    Error(ParseError),
}
use Event::{Crlf, Error, Ping};

fn drain(framer: &mut Framer, events: &mut Vec<Event>) {
    loop {
        match framer.poll() {
            Ok(Some(Frame::Crlf)) => events.push(Crlf),
            Ok(Some(Frame::Ping)) => events.push(Ping),
            Ok(Some(Frame::Message { head, data })) => {
                assert_eq!(head.len(), data.len());
                let message = head.to_message(data);
                assert_eq!(message.to_bytes(), data);
                events.push(Event::Message(data.to_vec()));
            }
            Ok(Some(_)) => unreachable!(),
            Ok(None) => return,
            Err(error) => {
                assert_eq!(framer.poll().err(), Some(error), "an error stays");
                if events.last() != Some(&Error(error)) {
                    events.push(Error(error));
                }
                return;
            }
        }
    }
}

fn feed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Vec<Event> {
    let mut framer = Framer::new(limits);
    let mut events = Vec::new();
    for mut chunk in chunks {
        while !chunk.is_empty() {
            let taken = framer.push(chunk);
            assert!(framer.buffered() <= limits.message() + 1);
            assert!(framer.capacity() <= limits.message() + 1);
            drain(&mut framer, &mut events);
            if matches!(events.last(), Some(Error(_))) {
                return events;
            }
            assert!(taken > 0, "a drained framer takes bytes");
            chunk = &chunk[taken..];
        }
    }
    events
}

fn whole(data: &[u8]) -> Vec<Event> {
    feed([data], Limits::default())
}

fn message(text: &str) -> Event {
    Event::Message(text.as_bytes().to_vec())
}

fn fault(events: &[Event]) -> ParseErrorKind {
    match events.last() {
        Some(Error(error)) => {
            assert!(error.is_fatal_for_stream());
            error.kind()
        }
        other => panic!("no error but {other:?}"),
    }
}

const OPTIONS: &str = "OPTIONS sip:b.example SIP/2.0\r\nVia: SIP/2.0/TCP h.example;branch=z9hG4bK1\r\n\
    Content-Length: 0\r\n\r\n";
const WITH_BODY: &str = "MESSAGE sip:b.example SIP/2.0\r\nSubject: a\r\n  folded\r\n \r\n\tone\r\n\
    l : 9\r\n\r\n\r\nBYE \r\nx";
const RESPONSE: &str = "SIP/2.0 200 \r\nX-Quoted: \"no\r\nL: 0\r\n\r\n";

/// Streams that hold every kind of frame and fault.
fn streams() -> Vec<Vec<u8>> {
    let good = format!("\r\n\r\n{OPTIONS}\r\n\r\n{WITH_BODY}{OPTIONS}\r\n{WITH_BODY}\r\n\r\n\r\n");
    let cases = [
        good,
        format!("{OPTIONS}SIP/2.0 200 OK\r\nNo colon\r\n\r\n"),
        format!("{WITH_BODY}BYE sip:x SIP/2.0\r\nCall-ID: 1\r\n\r\n"),
        format!("{OPTIONS}BYE sip:x SIP/2.0\r\nl: 1\r\nl: 1\r\n\r\n"),
        "BYE sip:x SIP/2.0\r\nX: a\rb\r\nl: 0\r\n\r\n".into(),
        "BYE sip:x SIP/2.0\r\nX: a\nl: 0\r\n\r\n".into(),
        "BYE sip:x SIP/2.0\r\nX: \0\r\nl: 0\r\n\r\n".into(),
        "BYE sip:x SIP/2.0\r\nX: \"\\\0\"\r\nl: 0\r\n\r\n".into(),
        "BYE sip:x SIP/2.0\r\n fold\r\nl: 0\r\n\r\n".into(),
        "\rBYE sip:x SIP/2.0\r\nl: 0\r\n\r\n".into(),
        "\nBYE sip:x SIP/2.0\r\nl: 0\r\n\r\n".into(),
    ];
    cases.into_iter().map(String::into_bytes).collect()
}

// conformance: 148
#[test]
fn every_split_offset_gives_the_same_frames() {
    for stream in streams() {
        let expected = whole(&stream);
        for at in 0..=stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(feed([a, b], Limits::default()), expected, "split at {at}");
        }
    }
}

// conformance: 148
#[test]
fn byte_by_byte_gives_the_same_frames() {
    for stream in streams() {
        assert_eq!(feed(stream.chunks(1), Limits::default()), whole(&stream));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any bytes made of pieces that matter, in any chunks, under small limits too.
    #[test]
    fn any_chunks_give_the_same_frames(
        pieces in prop::collection::vec(prop::sample::select(vec![
            OPTIONS, WITH_BODY, RESPONSE, "\r\n", "\r", "\n", " ", "l: 3\r\n", "X: y\r\n",
            "BYE sip:x SIP/2.0\r\n", "\r\n\r\n", ":", "\0", "a", "\"\\", "Content-Length: 1\r\n",
        ]), 0..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        message in 40_usize..400,
        header in 5_usize..100,
        rows in 1_usize..6,
    ) {
        let stream = pieces.concat().into_bytes();
        let limits = Limits::default()
            .with_message(message).unwrap()
            .with_header(header).unwrap()
            .with_start_line(header).unwrap()
            .with_rows(rows).unwrap();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([stream.len()]) {
            chunks.push(&stream[from..cut]);
            from = cut;
        }
        for limits in [limits, Limits::default()] {
            let expected = feed([&stream[..]], limits);
            prop_assert_eq!(feed(chunks.iter().copied(), limits), expected.clone());
            prop_assert_eq!(feed(stream.chunks(1), limits), expected);
        }
    }
}

// conformance: 32, 151; bad-inputs: F11, F14, R9
#[test]
fn a_pair_of_crlfs_is_a_ping_and_a_lone_one_is_not() {
    assert_eq!(whole(b"\r\n"), [Crlf]);
    assert_eq!(whole(b"\r\n\r\n"), [Crlf, Ping]);
    assert_eq!(whole(b"\r\n\r\n\r\n"), [Crlf, Ping, Crlf]);
    let around = format!("{OPTIONS}\r\n\r\n{OPTIONS}");
    assert_eq!(
        whole(around.as_bytes()),
        [message(OPTIONS), Crlf, Ping, message(OPTIONS)]
    );
    let apart = format!("\r\n{OPTIONS}\r\n");
    assert_eq!(
        whole(apart.as_bytes()),
        [Crlf, message(OPTIONS), Crlf],
        "a message between them parts them"
    );
}

// bad-inputs: R9
#[test]
fn a_pong_is_not_the_first_half_of_a_ping() {
    let mut framer = Framer::new(Limits::default());
    assert_eq!(framer.push(b"\r\n\r\n"), 4);
    assert!(matches!(framer.poll(), Ok(Some(Frame::Crlf))));
    framer.take_pong();
    assert!(matches!(framer.poll(), Ok(Some(Frame::Crlf))));
    assert_eq!(framer.push(b"\r\n"), 2);
    assert!(matches!(framer.poll(), Ok(Some(Frame::Ping))));
}

// bad-inputs: F14
#[test]
fn crlfs_inside_a_body_are_body() {
    let text = "MESSAGE sip:b SIP/2.0\r\nl: 4\r\n\r\n\r\n\r\n";
    assert_eq!(whole(text.as_bytes()), [message(text)]);
}

// bad-inputs: F11, R11; conformance: 143
#[test]
fn pipelined_messages_come_in_order() {
    let stream = [OPTIONS, WITH_BODY, RESPONSE, OPTIONS].concat();
    assert_eq!(
        whole(stream.as_bytes()),
        [
            message(OPTIONS),
            message(WITH_BODY),
            message(RESPONSE),
            message(OPTIONS)
        ]
    );
}

// conformance: 149
#[test]
fn content_length_counts_octets() {
    let body = "жук";
    let text = format!("MESSAGE sip:b SIP/2.0\r\nl: 6\r\n\r\n{body}");
    assert_eq!(body.len(), 6);
    assert_eq!(
        whole([text.as_bytes(), OPTIONS.as_bytes()].concat().as_slice()),
        [message(&text), message(OPTIONS)]
    );
}

// bad-inputs: F15, R1; conformance: 30
#[test]
fn a_message_inside_a_body_is_body() {
    let text = format!(
        "MESSAGE sip:b SIP/2.0\r\nTransfer-Encoding: chunked\r\nContent-Length : {}\r\n\r\n{OPTIONS}",
        OPTIONS.len()
    );
    assert_eq!(whole(text.as_bytes()), [message(&text)]);
}

// bad-inputs: F1, F2, F3, F4; conformance: 56, 145, 150
#[test]
fn a_content_length_that_is_no_number_ends_the_stream() {
    for value in [
        "-1",
        "+5",
        "0x5",
        "5abc",
        "5 garbage",
        "5,5",
        "",
        "5\r\n 5",
        "5;a=b",
        "\"5\"",
        "５",
    ] {
        let text = format!("BYE sip:x SIP/2.0\r\nContent-Length: {value}\r\n\r\nhello");
        let events = whole(text.as_bytes());
        assert_eq!(fault(&events), ParseErrorKind::ContentLength, "{value:?}");
        assert!(matches!(events[..], [Error(e)] if e.header() == Some(Name::ContentLength)));
    }
    let limit = Limits::default().message();
    for value in [
        "4294967301",
        "4294967328",
        "2147483609",
        "2147483647",
        "99999999999999999999",
    ] {
        let text = format!("BYE sip:x SIP/2.0\r\nl: {value}\r\n\r\nhello");
        assert_eq!(
            fault(&whole(text.as_bytes())),
            ParseErrorKind::MessageTooLong(limit)
        );
    }
}

// bad-inputs: F5
#[test]
fn no_memory_is_taken_for_a_body_that_was_only_announced() {
    let mut framer = Framer::new(Limits::default().with_message(1 << 30).unwrap());
    let text = b"BYE sip:x SIP/2.0\r\nl: 1000000000\r\n\r\n";
    assert_eq!(framer.push(text), text.len());
    assert!(framer.poll().unwrap().is_none());
    assert!(framer.capacity() <= 2 * text.len());
}

// bad-inputs: F6; conformance: 146
#[test]
fn two_content_lengths_end_the_stream_equal_or_not() {
    for rows in [
        "l: 5\r\nContent-Length: 7",
        "l: 5\r\nl: 5",
        "Content-Length: 5\r\nX: y\r\nl: 05",
    ] {
        let text = format!("BYE sip:x SIP/2.0\r\n{rows}\r\n\r\nhello");
        let kind = ParseErrorKind::Repeated(Name::ContentLength);
        match whole(text.as_bytes())[..] {
            [Error(error)] => assert_eq!(error.kind(), kind),
            ref other => panic!("{other:?}"),
        }
    }
}

// bad-inputs: F7
#[test]
fn a_missing_content_length_ends_the_stream_before_the_next_message() {
    let text = format!("BYE sip:x SIP/2.0\r\nX: y\r\n\r\n{OPTIONS}");
    let events = whole(text.as_bytes());
    assert_eq!(events.len(), 1);
    assert_eq!(fault(&events), ParseErrorKind::ContentLengthMissing);
}

// bad-inputs: F8, R2
#[test]
fn a_good_message_comes_before_the_error_and_none_after_it() {
    let limits = Limits::default().with_message(200).unwrap();
    let stream = format!("{OPTIONS}BYE sip:x SIP/2.0\r\nl: 200\r\n\r\n{OPTIONS}");
    let events = feed([stream.as_bytes()], limits);
    assert_eq!(events[0], message(OPTIONS));
    assert_eq!(events.len(), 2);
    assert_eq!(fault(&events), ParseErrorKind::MessageTooLong(200));
}

#[test]
fn the_bytes_of_the_message_at_fault_can_be_read_after_the_error() {
    let mut framer = Framer::new(Limits::default());
    let bad = b"BYE sip:x SIP/2.0\r\nv: SIP/2.0/TCP h\r\n\r\n";
    let stream = [OPTIONS.as_bytes(), bad].concat();
    assert_eq!(framer.push(&stream), stream.len());
    assert!(framer.poll().is_ok());
    assert!(framer.poll().is_err());
    assert_eq!(framer.rest(), bad);
}

// bad-inputs: F9
#[test]
fn a_body_that_comes_in_a_read_of_its_own_is_cut_at_its_length() {
    let head = "MESSAGE sip:b SIP/2.0\r\nl: 2\r\n\r\n";
    let events = feed([head.as_bytes(), &b"hi\r\nBYE"[..]], Limits::default());
    assert_eq!(events, [message(&format!("{head}hi")), Crlf]);
}

// bad-inputs: F10; conformance: 14
#[test]
fn only_a_token_is_a_header_name() {
    for name in [
        "Content\x01Length",
        "Content Length",
        "(l)",
        "Content-Length\x01",
        "l\r\n ",
    ] {
        let text = format!("BYE sip:x SIP/2.0\r\n{name}: 0\r\n\r\n");
        assert_eq!(
            fault(&whole(text.as_bytes())),
            ParseErrorKind::HeaderLine,
            "{name:?}"
        );
    }
    // One that cannot be taken for it is passed over, and the stream cannot be cut without it.
    let nameless = b"BYE sip:x SIP/2.0\r\n: 0\r\n\r\n";
    assert_eq!(
        fault(&whole(nameless)),
        ParseErrorKind::ContentLengthMissing
    );
    let underscore = b"BYE sip:x SIP/2.0\r\nContent_Length: 0\r\n\r\n";
    assert_eq!(
        fault(&whole(underscore)),
        ParseErrorKind::ContentLengthMissing
    );
}

// bad-inputs: F12; conformance: 3
#[test]
fn line_ends_other_than_crlf_are_errors() {
    let kinds = [
        ("BYE sip:x SIP/2.0\nl: 0\n\n", ParseErrorKind::BareLf),
        ("BYE sip:x SIP/2.0\r\nl: 0\n\r\n", ParseErrorKind::BareLf),
        ("BYE sip:x SIP/2.0\r\nl: 0\r\n\n", ParseErrorKind::BareLf),
        (
            "BYE sip:x SIP/2.0\r\nX: a\rb\r\nl: 0\r\n\r\n",
            ParseErrorKind::BareCr,
        ),
        (
            "BYE sip:x SIP/2.0\r\nX: a\r\r\nl: 0\r\n\r\n",
            ParseErrorKind::BareCr,
        ),
    ];
    for (text, kind) in kinds {
        assert_eq!(fault(&whole(text.as_bytes())), kind, "{text:?}");
    }
    // A start line at fault is told of at the end of its head, so that it can be answered.
    for text in [
        "\r\rBYE sip:x SIP/2.0\r\n\r\n",
        "\nBYE sip:x SIP/2.0\r\n\r\n",
    ] {
        assert!(matches!(
            fault(&whole(text.as_bytes())),
            ParseErrorKind::StartLine(_)
        ));
    }
}

// bad-inputs: F12
#[test]
fn a_flood_of_crlfs_is_not_kept() {
    let mut framer = Framer::new(Limits::default());
    let flood = b"\r\n".repeat(8 * 1024);
    for _ in 0..64 {
        assert_eq!(framer.push(&flood), flood.len());
        let mut frames = 0;
        while framer.poll().unwrap().is_some() {
            frames += 1;
        }
        assert_eq!(frames, 8 * 1024);
        assert_eq!((framer.buffered(), framer.capacity()), (0, 0));
    }
}

// bad-inputs: F13; conformance: 35, 147
#[test]
fn endless_input_is_an_error_at_the_limit() {
    let limits = Limits::default();
    let start = "BYE sip:x SIP/2.0\r\n";
    let cases = [
        (
            "B".repeat(70_000),
            ParseErrorKind::StartLineTooLong(limits.start_line()),
        ),
        (
            format!("{start}X: {}", "y".repeat(70_000)),
            ParseErrorKind::HeadTooLong(limits.head()),
        ),
        (
            format!("{start}X: y\r\n{}", " y\r\n".repeat(70_000)),
            ParseErrorKind::HeadTooLong(limits.head()),
        ),
        (
            format!("{start}{}", "X: y\r\n".repeat(600)),
            ParseErrorKind::TooManyRows(limits.rows()),
        ),
        (
            format!(
                "{start}{}",
                format!("X: {}\r\n", "y".repeat(4000)).repeat(20)
            ),
            ParseErrorKind::HeadTooLong(limits.head()),
        ),
    ];
    for (text, kind) in cases {
        assert_eq!(fault(&whole(text.as_bytes())), kind);
        assert_eq!(fault(&feed(text.as_bytes().chunks(1), limits)), kind);
    }
}

/// The lines of such a head can be told apart, so it is known where the message ends.
// bad-inputs: F13
#[test]
fn a_header_that_is_too_long_refuses_its_message_and_no_other() {
    let limits = Limits::default();
    let of = |len: usize| {
        let long = "y".repeat(len - "X: ".len());
        format!("BYE sip:x SIP/2.0\r\nX: {long}\r\nl: 4\r\n\r\nbody")
    };
    let folded = of(limits.header() - 3).replace("yyyyy\r\nl", "yyyyy\r\n   y\r\nl");
    for (text, good) in [
        (of(limits.header()), true),
        (of(limits.header() + 1), false),
        (folded, false),
    ] {
        for size in [1, 1_000, usize::MAX] {
            let mut framer = Framer::new(limits);
            let mut seen = Vec::new();
            for piece in (text.clone() + OPTIONS).as_bytes().chunks(size) {
                assert_eq!(framer.push(piece), piece.len());
                while let Some(frame) = framer.poll().unwrap() {
                    let Frame::Message { mut head, data } = frame else {
                        panic!()
                    };
                    seen.push((data.to_vec(), head.check(data).unwrap_err()));
                }
            }
            let [(first, error), (second, _)] = &seen[..] else {
                panic!("{seen:?}")
            };
            assert_eq!(
                (&first[..], &second[..]),
                (text.as_bytes(), OPTIONS.as_bytes())
            );
            let too_long = ParseErrorKind::HeaderTooLong(limits.header());
            assert_eq!(error.kind() == too_long, !good);
            assert!(!error.is_fatal_for_stream());
            let datagram = Head::parse(text.as_bytes(), &limits);
            assert_eq!(datagram.err(), (!good).then_some(*error));
        }
    }
}

// bad-inputs: F13
#[test]
fn a_64_kib_message_byte_by_byte_is_framed() {
    let body = "x".repeat(64 * 1024 - 60);
    let text = format!("MESSAGE sip:b SIP/2.0\r\nl: {}\r\n\r\n{body}", body.len());
    assert_eq!(
        feed(text.as_bytes().chunks(1), Limits::default()),
        [message(&text)]
    );
}

// conformance: 35
#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
    let text = "MESSAGE sip:b SIP/2.0\r\nl: 10\r\n\r\n0123456789";
    let limit = |bytes| Limits::default().with_message(bytes).unwrap();
    assert_eq!(feed([text.as_bytes()], limit(text.len())), [message(text)]);
    let events = feed([text.as_bytes()], limit(text.len() - 1));
    assert_eq!(
        fault(&events),
        ParseErrorKind::MessageTooLong(text.len() - 1)
    );
}

#[test]
fn an_idle_framer_holds_no_buffer() {
    let mut framer = Framer::new(Limits::default());
    assert_eq!(framer.push(OPTIONS.as_bytes()), OPTIONS.len());
    assert!(framer.is_inside_message() || framer.buffered() > 0);
    assert!(framer.poll().unwrap().is_some());
    assert!(framer.poll().unwrap().is_none());
    assert_eq!(framer.capacity(), 0);
    assert!(!framer.is_inside_message());
}

// bad-inputs: F10
#[test]
fn a_name_with_one_bit_changed_is_the_same_name_only_where_case_changes() {
    for name in Name::ALL {
        for at in 0..name.as_str().len() {
            let mut spelled = name.as_str().as_bytes().to_vec();
            spelled[at] ^= 0x20;
            let line = [&spelled[..], b": some\r\n"].concat();
            let head = [b"BYE sip:x SIP/2.0\r\n", &line[..], b"l: 0\r\n\r\n"].concat();
            let all = feed([&head[..]], Limits::default());
            assert_eq!(all, feed(head.chunks(1), Limits::default()), "{name}");
            let same = spelled[at].is_ascii_alphabetic();
            let found = sip_core::Message::parse(head)
                .is_ok_and(|m| m.raw(*name).is_some_and(|v| v.starts_with(b"some")));
            if *name != Name::ContentLength {
                assert_eq!(found, same, "{name} {at}");
            }
        }
    }
}
