//! However its bytes are cut, a WebSocket says and writes the same.

use proptest::collection::vec;
use proptest::prelude::*;
use sip_transport_proto::websocket::{CloseCode, WebSocket, WebSocketConfig, WebSocketLimits};

use super::{REQUEST, SEED, SIDES, Said, Side, feed, frame_for, open_with, output, said};

/// Small, so that they are often met.
fn limits() -> WebSocketLimits {
    let mut limits = WebSocketLimits::default();
    limits.message(2_000).unwrap().fragments(10).unwrap();
    limits
}

/// Frames of which most keep the rules, and now and then a byte that does not.
fn frames(side: Side) -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x00, 0x80, 0x89, 0x8a]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => vec(prop::sample::select(b"abc\r\n \xc3\xa4".to_vec()), 0..200),
        1 => vec(any::<u8>(), 0..10),
        1 => vec(Just(b'x'), 1_800..2_100),
    ];
    let frame = (first, payload).prop_map(move |(first, payload)| frame_for(side, first, &payload));
    (
        vec(frame, 0..20),
        vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
    )
        .prop_map(|(frames, errors)| {
            let mut bytes = frames.concat();
            for (at, byte) in errors {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            bytes
        })
}

fn heard<'a>(
    mut socket: WebSocket,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Said>, Vec<u8>, usize) {
    let said: Vec<_> = pieces
        .into_iter()
        .flat_map(|piece| feed(&mut socket, piece))
        .collect();
    let buffered = socket.buffered();
    (said, output(&mut socket), buffered)
}

/// Pieces of the sizes in `cuts`, again and again.
fn cut<'a>(mut bytes: &'a [u8], cuts: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = cuts.iter().cycle();
    std::iter::from_fn(move || {
        let size = (*sizes.next()?).min(bytes.len());
        let (piece, left) = bytes.split_at(size);
        bytes = left;
        (!piece.is_empty()).then_some(piece)
    })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![3 => 1..20_usize, 1 => 1..5_000_usize], 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn frames_read_the_same_however_they_are_cut(
        (side, bytes) in prop::sample::select(SIDES.to_vec())
            .prop_flat_map(|side| (Just(side), frames(side))),
        sizes in sizes(),
    ) {
        let whole = heard(open_with(side, limits()), [&bytes[..]]);
        prop_assert_eq!(&whole, &heard(open_with(side, limits()), cut(&bytes, &sizes)));
        prop_assert_eq!(&whole, &heard(open_with(side, limits()), bytes.chunks(1)));
    }

    #[test]
    fn a_server_reads_a_request_and_frames_the_same_however_they_are_cut(
        frames in frames(Side::Server),
        error in proptest::option::of((0..REQUEST.len(), any::<u8>())),
        sizes in sizes(),
    ) {
        let server = || WebSocket::server(&WebSocketConfig::default(), limits());
        let mut bytes = REQUEST.as_bytes().to_vec();
        if let Some((at, byte)) = error {
            bytes[at] = byte;
        }
        bytes.extend(frames);
        let whole = heard(server(), [&bytes[..]]);
        prop_assert_eq!(&whole, &heard(server(), cut(&bytes, &sizes)));
        prop_assert_eq!(&whole, &heard(server(), bytes.chunks(1)));
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in vec(any::<u8>(), 0..300),
        head in any::<bool>(),
        side in prop::sample::select(SIDES.to_vec()),
        sizes in sizes(),
    ) {
        let socket = || match (head, side) {
            (false, side) => open_with(side, limits()),
            (true, Side::Server) => super::server(),
            (true, Side::Client) => super::client(),
        };
        prop_assert_eq!(heard(socket(), [&bytes[..]]), heard(socket(), cut(&bytes, &sizes)));
    }

    #[test]
    fn what_one_side_sends_the_other_hears_in_order(
        talk in vec((prop::sample::select(SIDES.to_vec()), step()), 0..40),
        sizes in sizes(),
    ) {
        let mut pair = Pair::new(&sizes);
        let mut expected = [vec![Said::Connected], vec![Said::Accepted]];
        pair.settle();
        for (from, step) in talk {
            // It is the other that hears it.
            let (from, at) = match from {
                Side::Client => (0, 1),
                Side::Server => (1, 0),
            };
            let socket = &mut pair.ends[from].socket;
            match step {
                Step::Send(message) => {
                    socket.send(&message).unwrap();
                    expected[at].push(Said::Binary(message));
                }
                Step::Ping => {
                    socket.ping(b"ping").unwrap();
                    expected[at].push(Said::Ping);
                }
                Step::Settle => pair.settle(),
            }
        }
        pair.settle();
        pair.ends[0].socket.close(CloseCode::Normal);
        pair.settle();
        for (end, mut expected) in pair.ends.iter().zip(expected) {
            expected.push(Said::Closed(1000));
            let heard: Vec<_> = end.heard.iter().filter(|said| **said != Said::Pong).map(as_binary).collect();
            prop_assert_eq!(heard, expected);
            prop_assert!(end.socket.is_over());
        }
        let count = |end: &End, what: &Said| end.heard.iter().filter(|said| *said == what).count();
        let [client, server] = &pair.ends;
        prop_assert_eq!(count(client, &Said::Pong), count(server, &Said::Ping));
        prop_assert_eq!(count(server, &Said::Pong), count(client, &Said::Ping));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Ping,
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let message = prop_oneof![
        vec(any::<u8>(), 0..300),
        "[a-zäöü]{0,300}".prop_map(String::into_bytes),
        vec(Just(b'x'), 1_900..=2_000),
    ];
    prop_oneof![4 => message.prop_map(Step::Send), 1 => Just(Step::Ping), 2 => Just(Step::Settle)]
}

/// Of which kind a message is, is not the matter here.
fn as_binary(said: &Said) -> Said {
    match said {
        Said::Text(data) => Said::Binary(data.clone()),
        other => other.clone(),
    }
}

/// A client and a server with the bytes under way between them.
struct Pair<'a> {
    ends: [End; 2],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

struct End {
    socket: WebSocket,
    heard: Vec<Said>,
    /// What it wrote and the other has not read.
    wire: Vec<u8>,
}

impl<'a> Pair<'a> {
    fn new(sizes: &'a [usize]) -> Self {
        let config = WebSocketConfig::default();
        let limits = limits();
        let ends = [
            WebSocket::client(&config, "sip.example", SEED, limits),
            WebSocket::server(&config, limits),
        ];
        Self {
            ends: ends.map(|socket| End {
                socket,
                heard: Vec::new(),
                wire: Vec::new(),
            }),
            sizes: sizes.iter().cycle(),
        }
    }

    /// Carries bytes to and fro, in pieces, until there are none.
    fn settle(&mut self) {
        let [a, b] = &mut self.ends;
        while Self::carry(a, b, &mut self.sizes) | Self::carry(b, a, &mut self.sizes) {}
    }

    fn carry(from: &mut End, to: &mut End, sizes: &mut impl Iterator<Item = &'a usize>) -> bool {
        from.socket.take_output(&mut from.wire);
        let size = sizes.next().map_or(1, |size| *size).min(from.wire.len());
        let taken = to.socket.push(&from.wire[..size]);
        from.wire.drain(..taken);
        to.heard.extend(said(&mut to.socket));
        size > 0
    }
}
