//! HEP3 frames.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::{IpAddr, SocketAddr};

use common::{OPTIONS, addr, message, time};
use proptest::prelude::*;
use sip_capture::CapturedMessage;
use sip_capture::hep::{DecodeError, EncodeError, Encoder, FRAME_MAX, Fault, Frame};
use sip_capture::sip_transport_proto::Protocol;

fn encoded(message: &CapturedMessage<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = Encoder::new(2001).auth_key("myHep");
    encoder.encode(message, &mut out).unwrap();
    out
}

/// A chunk of vendor 0.
fn chunk(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut chunk = vec![0, 0];
    chunk.extend(kind.to_be_bytes());
    chunk.extend((value.len() as u16 + 6).to_be_bytes());
    chunk.extend(value);
    chunk
}

fn frame(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = chunks.concat();
    let mut frame = b"HEP3".to_vec();
    frame.extend((body.len() as u16 + 6).to_be_bytes());
    frame.extend(body);
    frame
}

/// All that a frame must have, over IPv4.
fn chunks() -> Vec<Vec<u8>> {
    vec![
        chunk(1, &[2]),
        chunk(2, &[17]),
        chunk(7, &5060_u16.to_be_bytes()),
        chunk(8, &5062_u16.to_be_bytes()),
        chunk(9, &[0, 0, 0, 1]),
        chunk(11, &[1]),
        chunk(3, &[192, 0, 2, 1]),
        chunk(4, &[192, 0, 2, 2]),
        chunk(15, OPTIONS),
    ]
}

#[test]
fn a_frame_carries_the_message_its_path_and_the_call_id() {
    for protocol in Protocol::ALL {
        let message = message(protocol, OPTIONS);
        let bytes = encoded(&message);
        let frame = Frame::decode(&bytes).unwrap();
        assert_eq!(frame.protocol, protocol);
        assert_eq!(frame.time, message.time);
        assert_eq!(frame.source, message.source);
        assert_eq!(frame.destination, message.destination);
        assert_eq!(frame.agent, 2001);
        assert_eq!(frame.auth_key, Some(&b"myHep"[..]));
        assert_eq!(frame.correlation_id, Some(&b"a84b4c76e66710"[..]));
        assert_eq!(frame.payload, OPTIONS);
    }
}

#[test]
fn a_compact_or_folded_call_id_is_the_correlation_id() {
    for text in ["i:x1@example.com\r\n", "CALL-ID \t:\r\n x1@example.com\r\n"] {
        let text = format!("BYE sip:bob@example.com SIP/2.0\r\n{text}\r\nCall-ID: body");
        let bytes = encoded(&message(Protocol::Udp, text.as_bytes()));
        let frame = Frame::decode(&bytes).unwrap();
        assert_eq!(frame.correlation_id, Some(&b"x1@example.com"[..]));
    }
    let bytes = encoded(&message(Protocol::Udp, b"\x00\xFF"));
    assert_eq!(Frame::decode(&bytes).unwrap().correlation_id, None);
}

#[test]
fn chunks_may_stand_in_any_order_and_unknown_ones_are_skipped() {
    let mut all = chunks();
    all.reverse();
    all.insert(3, chunk(0x20, b"later"));
    // Vendor 1 has numbers of its own.
    all.insert(5, vec![0, 1, 0, 15, 0, 7, 0]);
    let bytes = frame(&all);
    let frame = Frame::decode(&bytes).unwrap();
    assert_eq!(frame.payload, OPTIONS);
    assert_eq!(frame.destination, addr("192.0.2.2:5062"));
    assert_eq!((frame.time, frame.agent), (time(1_000_000), 0));
}

#[test]
fn a_malformed_frame_is_refused_with_the_fault_and_its_offset() {
    let error = |bytes: &[u8]| Frame::decode(bytes).unwrap_err();
    assert_eq!(error(b""), error_of(Fault::Magic, 0));
    assert_eq!(error(b"HEP2"), error_of(Fault::Magic, 3));
    assert_eq!(error(b"HEP3\0"), error_of(Fault::Magic, 5));
    assert_eq!(error(b"HEP3\0\x05"), error_of(Fault::FrameLength(5), 4));
    assert_eq!(error(b"HEP3\0\x09abc"), error_of(Fault::ShortChunk(3), 6));
    let good = frame(&chunks());
    let short = &good[..good.len() - 1];
    assert_eq!(
        error(short),
        error_of(Fault::FrameLength(good.len() as u16), 4)
    );
    let long = [&good[..], b"HEP3"].concat();
    assert_eq!(error(&long), error_of(Fault::Trailing(4), good.len()));
    let bad_length = frame(&[vec![0, 0, 0, 1, 0, 5]]);
    assert_eq!(error(&bad_length), error_of(Fault::ChunkLength(5), 6));
    let twice = frame(&[chunk(12, &[0; 4]), chunk(12, &[0; 4])]);
    assert_eq!(error(&twice), error_of(Fault::Repeated(12), 16));
    let wrong = frame(&[chunk(7, &[0; 3])]);
    assert_eq!(error(&wrong), error_of(Fault::ValueLength(7), 6));
    let value = |kind, value| Fault::Value { kind, value };
    for (at, other, fault) in [
        (0, chunk(1, &[3]), value(1, 3)),
        (1, chunk(2, &[0]), value(2, 0)),
        (5, chunk(11, &[5]), value(11, 5)),
        (0, chunk(10, &[0, 15, 66, 64]), Fault::Missing(1)),
        (8, chunk(16, b"zlib"), Fault::Missing(15)),
        (6, chunk(5, &[0; 16]), Fault::Missing(3)),
    ] {
        let mut all = chunks();
        all[at] = other;
        let bytes = frame(&all);
        assert_eq!(error(&bytes), error_of(fault, bytes.len()));
    }
    let text = error(&bad_length).to_string();
    assert_eq!(text, "expected the length of a chunk, got 5, at offset 6");
}

fn error_of(fault: Fault, offset: usize) -> DecodeError {
    // The struct may grow, so it is made from one that the decoder made.
    let mut error = Frame::decode(b"").unwrap_err();
    (error.fault, error.offset) = (fault, offset);
    error
}

#[test]
fn a_message_too_long_for_a_frame_is_refused_and_nothing_is_written() {
    let overhead = encoded(&message(Protocol::Tcp, b"")).len();
    let longest = vec![0; FRAME_MAX - overhead];
    let bytes = encoded(&message(Protocol::Tcp, &longest));
    assert_eq!(Frame::decode(&bytes).unwrap().payload, longest);
    let mut out = b"before".to_vec();
    let longer = [&longest[..], b"x"].concat();
    let encoder = Encoder::new(1).auth_key("myHep");
    let refused = encoder.encode(&message(Protocol::Tcp, &longer), &mut out);
    assert_eq!(refused, Err(EncodeError::TooLong(FRAME_MAX + 1)));
    assert_eq!(out, b"before");
}

#[test]
fn a_stream_is_split_by_the_length_of_its_frames() {
    let bytes = encoded(&message(Protocol::Tcp, OPTIONS));
    for cut in 0..6 {
        assert_eq!(Frame::length_of(&bytes[..cut]), Ok(None));
    }
    assert_eq!(Frame::length_of(&bytes[..6]), Ok(Some(bytes.len())));
}

fn end() -> impl Strategy<Value = (IpAddr, u16)> {
    let v4 = any::<[u8; 4]>().prop_map(IpAddr::from);
    let v6 = any::<[u8; 16]>().prop_map(IpAddr::from);
    (prop_oneof![v4, v6], any::<u16>())
}

fn v6(end: SocketAddr) -> SocketAddr {
    match end.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), end.port()),
        IpAddr::V6(_) => end,
    }
}

proptest! {
    #[test]
    fn what_is_decoded_is_what_was_encoded(
        protocol in 0..5_usize, source in end(), destination in end(), micros in 0..4_294_967_295_000_000_u64,
        agent: u32, key in prop::option::of(".{0,20}"), payload in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        let mut message = message(Protocol::ALL[protocol], &payload);
        message.source = SocketAddr::new(source.0, source.1);
        message.destination = SocketAddr::new(destination.0, destination.1);
        message.time = time(micros);
        let encoder = key.iter().fold(Encoder::new(agent), |encoder, key| encoder.auth_key(key.as_str()));
        let mut bytes = Vec::new();
        encoder.encode(&message, &mut bytes).unwrap();
        let frame = Frame::decode(&bytes).unwrap();
        let is_mixed = message.source.is_ipv4() != message.destination.is_ipv4();
        let path = |end| if is_mixed { v6(end) } else { end };
        prop_assert_eq!(frame.source, path(message.source));
        prop_assert_eq!(frame.destination, path(message.destination));
        prop_assert_eq!(frame.time, message.time);
        prop_assert_eq!((frame.protocol, frame.agent), (message.protocol, agent));
        prop_assert_eq!(frame.auth_key, key.as_ref().map(|key| key.as_bytes()));
        prop_assert_eq!(frame.payload, &payload[..]);
        let mut again = Vec::new();
        frame.encode(&mut again).unwrap();
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn a_frame_that_was_cut_or_changed_never_panics(cut in 0..400_usize, at in 0..400_usize, byte: u8) {
        let mut bytes = encoded(&message(Protocol::Wss, OPTIONS));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let bytes = &bytes[..cut.min(bytes.len())];
        if let Err(error) = Frame::decode(bytes) {
            prop_assert!(error.offset <= bytes.len());
        }
    }
}
