//! However the bytes of a stream are cut, a connection says and answers the same.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Host, numbered, wire_request_with_body};
use proptest::prelude::*;
use sip_transport_proto::Event;
use sip_transport_proto::sip_core::Name;

const VIA: &str = "SIP/2.0/TCP host.example;branch=z9hG4bK1;rport";

/// What a connection makes of the pieces of a stream: its events, its pongs, and what it writes.
///
/// Of what cannot be framed an event holds as much as was read, which depends on the pieces; so
/// does whether there was enough of it for a reply.
fn heard<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, u64, Vec<u8>) {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    let mut written = Vec::new();
    for piece in pieces {
        host.feed(id, piece);
        written.extend(host.written(id));
    }
    host.eof(id);
    let events: Vec<_> = host
        .take_events()
        .into_iter()
        .map(|event| match event {
            Event::Request { request, .. } => {
                String::from_utf8_lossy(&request.to_bytes()).into_owned()
            }
            Event::Malformed { error, bytes, .. } => {
                format!("malformed {error} {}", String::from_utf8_lossy(&bytes))
            }
            Event::ConnectionClosed { reason, .. } => format!("closed {reason}"),
            other => panic!("{other:?}"),
        })
        .collect();
    (events, host.transport.stats().pongs_out, written)
}

/// Keep-alives, messages with and without body, one that breaks a rule of its own.
fn stream() -> Vec<u8> {
    let bad = String::from_utf8(numbered(3))
        .unwrap()
        .replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE");
    [
        b"\r\n\r\n".to_vec(),
        numbered(1),
        wire_request_with_body(VIA, "", "a body\r\n\r\nwith empty lines\r\n\r\n"),
        b"\r\n".to_vec(),
        numbered(2),
        b"\r\n\r\n\r\n\r\n".to_vec(),
        bad.into_bytes(),
        numbered(4),
        b"\r\n\r\n".to_vec(),
    ]
    .concat()
}

// bad-inputs: F11; conformance: 148
#[test]
fn cut_at_any_offset_a_stream_is_the_same() {
    let stream = stream();
    let whole = heard([stream.as_slice()]);
    assert_eq!(whole.0.len(), 6, "{:?}", whole.0);
    for cut in 0..=stream.len() {
        let (first, second) = stream.split_at(cut);
        assert_eq!(heard([first, second]), whole, "cut at {cut}");
    }
}

// bad-inputs: F11, F13; conformance: 148
#[test]
fn byte_by_byte_a_stream_is_the_same() {
    let stream = stream();
    assert_eq!(heard(stream.chunks(1)), heard([stream.as_slice()]));
}

// bad-inputs: F13; conformance: 67
#[test]
fn the_largest_message_byte_by_byte_takes_linear_time() {
    let head = wire_request_with_body(VIA, "", &"x".repeat(10_000)).len() - 10_000;
    let message = wire_request_with_body(VIA, "", &"x".repeat(65_536 - head));
    assert_eq!(message.len(), 65_536);
    let (events, ..) = heard(message.chunks(1));
    assert_eq!(events.len(), 2, "the request and the close");
    // An endless header is given up at its limit, not searched over and over.
    let endless = format!("OPTIONS sip:a@b SIP/2.0\r\nX: {}", "x".repeat(60_000));
    let (events, ..) = heard(endless.as_bytes().chunks(1));
    assert!(
        events[0].starts_with("malformed the head is longer than"),
        "{events:?}"
    );
}

#[derive(Clone, Debug)]
enum Piece {
    Crlfs(usize),
    Message(usize),
    Body(Vec<u8>),
    NoTo,
    Broken(&'static str),
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Crlfs(n) => b"\r\n".repeat(*n),
            Self::Message(number) => numbered(*number),
            Self::Body(body) => {
                let mut bytes = numbered(0);
                let at = bytes.len() - "0\r\n\r\n".len();
                bytes.truncate(at);
                bytes.extend(format!("{}\r\n\r\n", body.len()).into_bytes());
                bytes.extend(body);
                bytes
            }
            Self::NoTo => {
                let text = String::from_utf8(numbered(5)).unwrap();
                text.replace("To: <sip:a@192.0.2.1>\r\n", "").into_bytes()
            }
            Self::Broken(what) => {
                let text = String::from_utf8(numbered(6)).unwrap();
                text.replace("Call-ID: 6", what).into_bytes()
            }
        }
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        3 => (1usize..6).prop_map(Piece::Crlfs),
        4 => (0usize..100).prop_map(Piece::Message),
        3 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Piece::Body),
        1 => Just(Piece::NoTo),
        1 => prop::sample::select(vec![
            "Call-ID: 6\rX",
            "Call-ID: 6\nX: y",
            "Call-ID",
            "Call-ID: \x01",
            "Call-ID: 6\r\nl: 5",
            "Content-Length: x",
        ]).prop_map(Piece::Broken),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_in_any_pieces_is_the_same(
        pieces in prop::collection::vec(piece(), 0..8),
        cuts in prop::collection::vec(0.0f64..1.0, 0..12),
    ) {
        let stream: Vec<u8> = pieces.iter().flat_map(Piece::bytes).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|c| (c * stream.len() as f64) as usize).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        let whole = heard([stream.as_slice()]);
        prop_assert_eq!(&heard(chunks), &whole);
        prop_assert_eq!(&heard(stream.chunks(1)), &whole);
    }

    #[test]
    fn what_is_delivered_is_what_came_but_for_the_stamp(
        body in prop::collection::vec(any::<u8>(), 0..100),
        cut in 0usize..300,
    ) {
        let data = Piece::Body(body.clone()).bytes();
        let (first, second) = data.split_at(cut.min(data.len()));
        let mut host = Host::new();
        let channel = host.tcp("192.0.2.1:5060");
        let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
        host.feed(id, first);
        host.feed(id, second);
        let Some(Event::Request { request, .. }) = host.events.pop_front() else {
            panic!("no request");
        };
        prop_assert_eq!(request.body(), body);
        // Sent-by is the source and there is no rport: nothing to stamp.
        prop_assert_eq!(request.to_bytes(), data);
        prop_assert!(request.raw(Name::Via).is_some());
    }
}
