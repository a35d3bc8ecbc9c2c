//! The rules of framing, one row each: what comes, what is said of it, what is written.

use sip_transport_proto::websocket::ProtocolViolation as Violation;
use sip_transport_proto::websocket::{CloseCode, WebSocket, WebSocketError};

use super::{SIDES, Said, Side, feed, frame_for, header, open, output, said, text, written};

const FIN: u8 = 0x80;
const MORE: u8 = 0;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

type Frame<'a> = (u8, &'a [u8]);

/// Feeds the frames to both sides, whole and byte by byte.
#[track_caller]
fn row(name: &str, frames: &[Frame<'_>], expected: &[Said], replies: &[Frame<'_>]) {
    for side in SIDES {
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(first, payload)| frame_for(side, *first, payload))
            .collect();
        check(
            &format!("{name} to the {side:?}"),
            side,
            &bytes,
            expected,
            replies,
        );
    }
}

#[track_caller]
fn check(name: &str, side: Side, bytes: &[u8], expected: &[Said], replies: &[Frame<'_>]) {
    let replies: Vec<_> = replies.iter().map(|(f, p)| (*f, p.to_vec())).collect();
    for step in [bytes.len(), 1] {
        let mut socket = open(side);
        let mut heard = Vec::new();
        for piece in bytes.chunks(step.max(1)) {
            heard.extend(feed(&mut socket, piece));
        }
        assert_eq!(heard, expected, "{name}, {step} at a time");
        let frames = written(side, &output(&mut socket));
        assert_eq!(frames, replies, "{name}, {step} at a time");
        let failed = matches!(heard.last(), Some(Said::Failed(_) | Said::Closed(_)));
        assert_eq!(socket.is_over(), failed, "{name}");
    }
}

fn fails(error: impl Into<WebSocketError>) -> Said {
    Said::Failed(error.into())
}

/// The close frame that tells the peer.
fn told(code: CloseCode) -> Vec<u8> {
    (code as u16).to_be_bytes().to_vec()
}

/// Rows of which the last frame breaks a rule of framing.
#[track_caller]
fn violates(name: &str, frames: &[Frame<'_>], before: &[Said], violation: Violation) {
    let mut expected = before.to_vec();
    expected.push(fails(violation));
    let pongs = before.iter().filter(|said| **said == Said::Ping).count();
    let mut replies: Vec<Frame<'_>> = vec![(FIN | PONG, b""); pongs];
    let close = told(CloseCode::Protocol);
    replies.push((FIN | CLOSE, &close));
    row(name, frames, &expected, &replies);
}

// bad-inputs: W4
#[test]
fn a_message_may_have_any_length_up_to_the_limit() {
    for len in [0, 1, 125, 126, 127, 128, 1000, 65_535, 65_536] {
        let payload = vec![b'*'; len];
        row(
            "text",
            &[(FIN | TEXT, &payload)],
            &[Said::Text(payload.clone())],
            &[],
        );
        let payload = vec![0xfe; len];
        row(
            "binary",
            &[(FIN | BINARY, &payload)],
            &[Said::Binary(payload.clone())],
            &[],
        );
    }
}

// bad-inputs: W1
#[test]
fn a_length_over_the_limit_fails_before_the_payload_comes() {
    let limit = 64 << 10;
    let lengths = [
        limit as u64 + 1,
        1 << 31,
        (1 << 31) - 1,
        (1 << 32) + 5,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX - 13,
        u64::MAX,
    ];
    for side in SIDES {
        for len in lengths {
            for opcode in [TEXT, BINARY] {
                for fin in [FIN, MORE] {
                    let masked = side == Side::Server;
                    let mut bytes = header(fin | opcode, len, masked);
                    bytes.extend(if masked { &[0; 4][..] } else { &[] });
                    let close = told(CloseCode::TooLarge);
                    check(
                        &format!("{len} bytes announced"),
                        side,
                        &bytes,
                        &[fails(WebSocketError::TooLarge { limit })],
                        &[(FIN | CLOSE, &close)],
                    );
                }
            }
        }
    }
}

// bad-inputs: W1
// conformance: 417
#[test]
fn fragments_together_may_not_pass_the_limit() {
    let limit = 64 << 10;
    let most = vec![b'a'; limit - 1];
    let close = told(CloseCode::TooLarge);
    row(
        "the limit, then one byte more",
        &[(TEXT, &most), (CONTINUATION, b"b"), (FIN, b"c")],
        &[fails(WebSocketError::TooLarge { limit })],
        &[(FIN | CLOSE, &close)],
    );
    let mut whole = most.clone();
    whole.push(b'b');
    row(
        "just the limit, with a ping inside",
        &[
            (TEXT, &most),
            (CONTINUATION, b"b"),
            (FIN | PING, &[7; 125]),
            (FIN, b""),
        ],
        &[Said::Ping, Said::Text(whole)],
        &[(FIN | PONG, &[7; 125])],
    );
}

/// A length may be written longer than it needs: no reader can take it for another.
// bad-inputs: W2
#[test]
fn a_header_of_fourteen_bytes_is_read_at_any_split() {
    let mut bytes = vec![FIN | TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 3, 4];
    bytes.extend([b'h' ^ 1, b'i' ^ 2]);
    for at in 0..bytes.len() {
        let mut socket = open(Side::Server);
        let mut heard = feed(&mut socket, &bytes[..at]);
        assert_eq!(heard, [], "cut at {at}");
        assert_eq!(socket.is_inside_message(), at > 0);
        heard.extend(feed(&mut socket, &bytes[at..]));
        assert_eq!(heard, [text("hi")], "cut at {at}");
        assert!(!socket.is_inside_message());
    }
}

// conformance: 412
#[test]
fn a_ping_is_answered_with_its_own_data() {
    let long = [0xfe; 125];
    for payload in [&b""[..], b"Hello", b"\x00\xff\xfe\xfd", &long] {
        row(
            "ping",
            &[(FIN | PING, payload)],
            &[Said::Ping],
            &[(FIN | PONG, payload)],
        );
    }
    let pings: Vec<[u8; 1]> = (0..10).map(|n| [n]).collect();
    let frames: Vec<Frame<'_>> = pings.iter().map(|ping| (FIN | PING, &ping[..])).collect();
    let pongs: Vec<Frame<'_>> = pings.iter().map(|ping| (FIN | PONG, &ping[..])).collect();
    row("ten pings", &frames, &[const { Said::Ping }; 10], &pongs);
}

#[test]
fn a_pong_that_nobody_asked_for_is_no_error() {
    row("pong", &[(FIN | PONG, b"")], &[Said::Pong], &[]);
    row(
        "pong, then ping",
        &[(FIN | PONG, b"unasked"), (FIN | PING, b"asked")],
        &[Said::Pong, Said::Ping],
        &[(FIN | PONG, b"asked")],
    );
}

// bad-inputs: W5
// conformance: 415
#[test]
fn a_control_frame_is_short_and_whole() {
    for opcode in [PING, PONG, CLOSE] {
        let long = [0; 126];
        violates(
            "126 bytes",
            &[(FIN | opcode, &long)],
            &[],
            Violation::LongControl,
        );
        violates(
            "fragment",
            &[(opcode, b"")],
            &[],
            Violation::FragmentedControl,
        );
        violates(
            "fragment with its rest",
            &[(opcode, b"ab"), (FIN | CONTINUATION, b"c")],
            &[],
            Violation::FragmentedControl,
        );
    }
}

// bad-inputs: W5
// conformance: 414
#[test]
fn a_reserved_bit_fails_the_connection() {
    for bits in 1..8 {
        let reserved = bits << 4;
        for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
            violates(
                "alone",
                &[(FIN | reserved | opcode, b"")],
                &[],
                Violation::ReservedBit,
            );
        }
        violates(
            "behind a message and a ping",
            &[
                (FIN | TEXT, b"good"),
                (FIN | PING, b""),
                (FIN | reserved | TEXT, b"bad"),
            ],
            &[text("good"), Said::Ping],
            Violation::ReservedBit,
        );
        violates(
            "on a continuation",
            &[(TEXT, b"good"), (FIN | reserved | CONTINUATION, b"bad")],
            &[],
            Violation::ReservedBit,
        );
    }
}

// bad-inputs: W5
// conformance: 414
#[test]
fn a_reserved_opcode_fails_the_connection() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        violates(
            "alone",
            &[(FIN | opcode, b"")],
            &[],
            Violation::ReservedOpcode,
        );
        violates(
            "unfinished",
            &[(opcode, b"data")],
            &[],
            Violation::ReservedOpcode,
        );
        violates(
            "behind a message and a ping",
            &[
                (FIN | TEXT, b"good"),
                (FIN | PING, b""),
                (FIN | opcode, b"bad"),
            ],
            &[text("good"), Said::Ping],
            Violation::ReservedOpcode,
        );
        violates(
            "inside a message",
            &[(TEXT, b"good"), (FIN | opcode, b"bad")],
            &[],
            Violation::ReservedOpcode,
        );
    }
}

// bad-inputs: W5
// conformance: 413
#[test]
fn a_client_masks_and_a_server_does_not() {
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        for (side, other, violation) in [
            (Side::Server, Side::Client, Violation::Unmasked),
            (Side::Client, Side::Server, Violation::Masked),
        ] {
            let close = told(CloseCode::Protocol);
            check(
                "mask",
                side,
                &frame_for(other, FIN | opcode, b""),
                &[fails(violation)],
                &[(FIN | CLOSE, &close)],
            );
        }
    }
}

// bad-inputs: W8
// conformance: 402
#[test]
fn fragments_make_one_message() {
    for (opcode, whole) in [
        (TEXT, Said::Text(b"one two three".to_vec())),
        (BINARY, Said::Binary(b"one two three".to_vec())),
    ] {
        row(
            "three",
            &[(opcode, b"one "), (CONTINUATION, b"two "), (FIN, b"three")],
            std::slice::from_ref(&whole),
            &[],
        );
        row(
            "with empty ones",
            &[
                (opcode, b""),
                (CONTINUATION, b"one two three"),
                (CONTINUATION, b""),
                (FIN, b""),
            ],
            std::slice::from_ref(&whole),
            &[],
        );
    }
    row(
        "only empty ones",
        &[(TEXT, b""), (CONTINUATION, b""), (FIN, b"")],
        &[text("")],
        &[],
    );
    row(
        "two messages",
        &[
            (TEXT, b"a"),
            (FIN, b"b"),
            (BINARY, b"c"),
            (FIN, b"d"),
            (FIN | TEXT, b"e"),
        ],
        &[text("ab"), Said::Binary(b"cd".to_vec()), text("e")],
        &[],
    );
}

// conformance: 415
#[test]
fn control_frames_may_stand_between_fragments() {
    row(
        "ping and pong",
        &[
            (TEXT, b"one "),
            (FIN | PING, b"p"),
            (CONTINUATION, b"two "),
            (FIN | PONG, b""),
            (FIN | PING, b"q"),
            (FIN, b"three"),
        ],
        &[Said::Ping, Said::Pong, Said::Ping, text("one two three")],
        &[(FIN | PONG, b"p"), (FIN | PONG, b"q")],
    );
    row(
        "close",
        &[(TEXT, b"one "), (FIN | CLOSE, b"\x03\xe8"), (FIN, b"two")],
        &[Said::Closed(1000)],
        &[(FIN | CLOSE, b"\x03\xe8")],
    );
}

// bad-inputs: W3
#[test]
fn a_continuation_needs_a_start_and_a_start_an_end() {
    for first in [FIN | CONTINUATION, CONTINUATION] {
        violates(
            "nothing to continue",
            &[(first, b"x")],
            &[],
            Violation::Continuation,
        );
        violates(
            "a message that has ended",
            &[(FIN | TEXT, b"whole"), (first, b"x")],
            &[text("whole")],
            Violation::Continuation,
        );
        violates(
            "fragments that have ended",
            &[(TEXT, b"a"), (FIN, b"b"), (first, b"x")],
            &[text("ab")],
            Violation::Continuation,
        );
    }
    for second in [FIN | TEXT, TEXT, FIN | BINARY, BINARY] {
        violates(
            "a start inside",
            &[(TEXT, b"a"), (second, b"b")],
            &[],
            Violation::Interleaved,
        );
        violates(
            "a start inside, after more",
            &[(BINARY, b"a"), (CONTINUATION, b"b"), (second, b"c")],
            &[],
            Violation::Interleaved,
        );
    }
}

const NOT_UTF8: [&[u8]; 16] = [
    b"\x80",
    b"\xbf",
    b"\xff",
    b"\xfe",
    b"a\xc3(",
    b"\xc0\xaf",                 // overlong /
    b"\xe0\x80\xaf",             // overlong /
    b"\xf0\x80\x80\xaf",         // overlong /
    b"\xc1\xbf",                 // overlong
    b"\xe0\x9f\xbf",             // overlong
    b"\xf0\x8f\xbf\xbf",         // overlong
    b"\xed\xa0\x80",             // a surrogate
    b"\xed\xbf\xbf",             // a surrogate
    b"\xf4\x90\x80\x80",         // beyond U+10FFFF
    b"\xf8\x88\x80\x80\x80",     // five bytes
    b"\xfc\x84\x80\x80\x80\x80", // six bytes
];

const CUT: [&[u8]; 5] = [
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f",
    b"\xf0\x9f\x92",
    b"ab\xce",
];

// bad-inputs: W4
// conformance: 416
#[test]
fn text_that_is_not_utf8_fails_the_connection() {
    let close = told(CloseCode::NotUtf8);
    let told: &[Frame<'_>] = &[(FIN | CLOSE, &close)];
    let fails = &[fails(WebSocketError::NotUtf8)];
    for bad in NOT_UTF8 {
        row("in one frame", &[(FIN | TEXT, bad)], fails, told);
        row(
            "in the first fragment",
            &[(TEXT, bad), (FIN, b"")],
            fails,
            told,
        );
        row(
            "in a later one",
            &[(TEXT, b"good"), (CONTINUATION, bad), (FIN, b"")],
            fails,
            told,
        );
        for at in 1..bad.len() {
            let (a, b) = bad.split_at(at);
            row("over two fragments", &[(TEXT, a), (FIN, b)], fails, told);
        }
    }
    for cut in CUT {
        row(
            "cut at the end of a frame",
            &[(FIN | TEXT, cut)],
            fails,
            told,
        );
        row(
            "cut at the end of fragments",
            &[(TEXT, cut), (FIN, b"")],
            fails,
            told,
        );
        row(
            "cut, then something else",
            &[(TEXT, cut), (FIN, b"a")],
            fails,
            told,
        );
    }
}

/// What is wrong is said when it is known, not at the end of a message that may never come.
#[test]
fn bad_text_fails_before_its_last_fragment() {
    for side in SIDES {
        let mut socket = open(side);
        assert_eq!(
            feed(&mut socket, &frame_for(side, TEXT, "κόσμ".as_bytes())),
            []
        );
        let heard = feed(&mut socket, &frame_for(side, CONTINUATION, b"\xed\xa0\x80"));
        assert_eq!(heard, [fails(WebSocketError::NotUtf8)]);
    }
}

#[test]
fn text_may_hold_any_character_and_be_cut_inside_it() {
    for good in [
        "κόσμε",
        "\0",
        "\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10000}\u{10ffff}",
        "Hello-µ@ßöäüàá-UTF-8!!",
    ] {
        let said = [text(good)];
        let good = good.as_bytes();
        row("whole", &[(FIN | TEXT, good)], &said, &[]);
        for at in 0..=good.len() {
            let (a, b) = good.split_at(at);
            row(
                "cut",
                &[(TEXT, a), (CONTINUATION, b""), (FIN, b)],
                &said,
                &[],
            );
        }
        let bytes: Vec<[u8; 1]> = good.iter().map(|byte| [*byte]).collect();
        let mut frames: Vec<Frame<'_>> =
            bytes.iter().map(|byte| (CONTINUATION, &byte[..])).collect();
        frames.insert(0, (TEXT, b""));
        frames.push((FIN, b""));
        row("a fragment for every byte", &frames, &said, &[]);
    }
}

// conformance: 400
#[test]
fn binary_messages_hold_anything() {
    for bad in NOT_UTF8.into_iter().chain(CUT) {
        let said = [Said::Binary(bad.to_vec())];
        row("whole", &[(FIN | BINARY, bad)], &said, &[]);
        row("fragments", &[(BINARY, bad), (FIN, b"")], &said, &[]);
    }
}

// conformance: 418
#[test]
fn a_close_is_answered_with_its_status() {
    row(
        "empty",
        &[(FIN | CLOSE, b"")],
        &[Said::Closed(1005)],
        &[(FIN | CLOSE, b"")],
    );
    let reason = [b'r'; 123];
    for status in (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999])
    {
        let bytes = u16::to_be_bytes(status);
        for reason in [&b""[..], "Schluß".as_bytes(), &reason] {
            let payload = [&bytes, reason].concat();
            row(
                "status",
                &[(FIN | CLOSE, &payload)],
                &[Said::Closed(status)],
                &[(FIN | CLOSE, &bytes)],
            );
        }
    }
}

// bad-inputs: W4
#[test]
fn a_close_that_says_what_it_may_not_fails_the_connection() {
    violates(
        "half a status",
        &[(FIN | CLOSE, b"\x03")],
        &[],
        Violation::CloseStatus,
    );
    for status in [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65_535,
    ] {
        let payload = u16::to_be_bytes(status);
        violates(
            "status",
            &[(FIN | CLOSE, &payload)],
            &[],
            Violation::CloseStatus,
        );
    }
    let close = told(CloseCode::NotUtf8);
    for bad in NOT_UTF8.into_iter().chain(CUT) {
        let payload = [b"\x03\xe8", bad].concat();
        row(
            "reason",
            &[(FIN | CLOSE, &payload)],
            &[fails(WebSocketError::NotUtf8)],
            &[(FIN | CLOSE, &close)],
        );
    }
}

#[test]
fn behind_a_close_nothing_is_read() {
    for behind in [FIN | TEXT, FIN | PING, FIN | CLOSE, CONTINUATION, 0x7f] {
        row(
            "close",
            &[(FIN | CLOSE, b"\x03\xe8"), (behind, b"xy"), (behind, b"xy")],
            &[Said::Closed(1000)],
            &[(FIN | CLOSE, b"\x03\xe8")],
        );
        let close = told(CloseCode::Protocol);
        row(
            "error",
            &[(FIN | 3, b""), (behind, b"xy")],
            &[fails(Violation::ReservedOpcode)],
            &[(FIN | CLOSE, &close)],
        );
    }
}

// conformance: 418
#[test]
fn after_our_close_messages_come_until_the_peers() {
    for side in SIDES {
        let mut socket = open(side);
        socket.close(CloseCode::GoingAway);
        assert!(!socket.is_open() && !socket.is_over());
        let frames = [
            frame_for(side, FIN | TEXT, b"late"),
            frame_for(side, FIN | PING, b"unanswered"),
            frame_for(side, FIN | CLOSE, b"\x03\xe9"),
        ];
        let heard = feed(&mut socket, &frames.concat());
        assert_eq!(heard, [text("late"), Said::Ping, Said::Closed(1001)]);
        assert!(socket.is_over());
        let close = (FIN | CLOSE, told(CloseCode::GoingAway));
        assert_eq!(written(side, &output(&mut socket)), [close]);
    }
}

#[test]
fn a_violation_after_our_close_brings_no_second_close() {
    for side in SIDES {
        let mut socket = open(side);
        socket.close(CloseCode::Normal);
        let heard = feed(&mut socket, &frame_for(side, FIN | 3, b""));
        assert_eq!(heard, [fails(Violation::ReservedOpcode)]);
        assert_eq!(written(side, &output(&mut socket)).len(), 1);
    }
}

#[test]
fn nothing_is_sent_behind_a_close() {
    for side in SIDES {
        let mut ours = open(side);
        ours.close(CloseCode::Normal);
        let mut theirs = open(side);
        feed(&mut theirs, &frame_for(side, FIN | CLOSE, b""));
        for mut socket in [ours, theirs] {
            output(&mut socket);
            assert!(socket.send(b"x").is_err() && socket.ping(b"").is_err());
            socket.close(CloseCode::Normal);
            assert!(!socket.has_output());
        }
    }
}

// conformance: 400, 401
#[test]
fn a_message_goes_out_as_the_peers_came_but_never_as_text_that_is_none() {
    for side in SIDES {
        let mut socket = open(side);
        let opcode = |socket: &mut WebSocket, came: Option<u8>, message: &[u8]| {
            if let Some(first) = came {
                feed(socket, &frame_for(side, FIN | first, b"hello"));
                output(socket);
            }
            socket.send(message).unwrap();
            let frames = written(side, &output(socket));
            assert_eq!(frames.len(), 1);
            assert_eq!(frames[0].1, message);
            frames[0].0
        };
        let good = "grüße".as_bytes();
        assert_eq!(opcode(&mut socket, None, good), FIN | TEXT);
        assert_eq!(opcode(&mut socket, None, b"\xff"), FIN | BINARY);
        assert_eq!(opcode(&mut socket, None, good), FIN | TEXT);
        assert_eq!(opcode(&mut socket, Some(BINARY), good), FIN | BINARY);
        assert_eq!(opcode(&mut socket, Some(PING), good), FIN | BINARY);
        assert_eq!(opcode(&mut socket, Some(TEXT), good), FIN | TEXT);
    }
}

/// RFC 6455 §5.5: not even our own pings may be longer.
#[test]
fn our_ping_is_cut_to_what_a_control_frame_holds() {
    let mut socket = open(Side::Client);
    socket.ping(&[1; 200]).unwrap();
    socket.ping(b"abc").unwrap();
    let frames = written(Side::Client, &output(&mut socket));
    assert_eq!(
        frames,
        [(FIN | PING, vec![1; 125]), (FIN | PING, b"abc".to_vec())]
    );
}

// bad-inputs: W7
#[test]
fn of_what_was_announced_and_does_not_come_nothing_is_said() {
    for side in SIDES {
        let frame = frame_for(side, FIN | TEXT, &[b'x'; 1000]);
        let mut socket = open(side);
        assert_eq!(feed(&mut socket, &frame[..500]), []);
        for _ in 0..3 {
            assert_eq!(said(&mut socket), []);
            assert!(socket.is_inside_message() && !socket.is_over());
            assert_eq!(socket.buffered(), 500);
        }
    }
}

/// Which of a message is SIP is for others to say: keep-alives come as any message.
// bad-inputs: W8
#[test]
fn line_ends_alone_are_a_message() {
    row(
        "ping",
        &[(FIN | TEXT, b"\r\n\r\n")],
        &[text("\r\n\r\n")],
        &[],
    );
    row(
        "pong",
        &[(FIN | BINARY, b"\r\n")],
        &[Said::Binary(b"\r\n".to_vec())],
        &[],
    );
}
