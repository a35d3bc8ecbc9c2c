use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use sip_capture::hep::{Encoder, Frame};
use sip_capture::{CapturedMessage, Filter, Redaction};
use sip_transport_proto::Protocol;

/// What is decoded encodes to one form, which decodes to the same; an error names an offset in the
/// frame; each message that is encoded decodes to itself, and is filtered and redacted without a
/// panic.
pub fn hep(data: &[u8]) {
    match Frame::decode(data) {
        Ok(frame) => {
            let mut canonical = Vec::new();
            // Chunks that may be missing, and are written, can make it too long.
            if frame.encode(&mut canonical).is_ok() {
                let again = Frame::decode(&canonical).expect("what was encoded");
                assert_eq!(again, frame);
                let mut twice = Vec::new();
                again.encode(&mut twice).expect("what was encoded");
                assert_eq!(twice, canonical);
            }
        }
        Err(error) => assert!(error.offset <= data.len(), "{error}"),
    }
    let Some((&[kind, agent, m0, m1, m2, m3, a, b], payload)) = data.split_first_chunk() else {
        return;
    };
    let micros = u64::from(u32::from_be_bytes([m0, m1, m2, m3])) << 10;
    let ip = |octet| match kind & 8 {
        0 => IpAddr::from([192, 0, 2, octet]),
        _ => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(octet)]),
    };
    let protocol = Protocol::ALL[usize::from(kind & 7) % 5];
    let message = CapturedMessage::new(
        UNIX_EPOCH + Duration::from_micros(micros),
        protocol,
        SocketAddr::new(ip(a), 5060),
        SocketAddr::new(ip(b), u16::from(b) << 8 | u16::from(a)),
        payload,
    );
    let encoder = match kind & 16 {
        0 => Encoder::new(agent.into()),
        _ => Encoder::new(agent.into()).auth_key(&payload[..payload.len().min(8)]),
    };
    let mut bytes = Vec::new();
    if encoder.encode(&message, &mut bytes).is_ok() {
        let frame = Frame::decode(&bytes).expect("what was encoded");
        assert_eq!((frame.time, frame.protocol), (message.time, protocol));
        assert_eq!(
            (frame.source, frame.destination),
            (message.source, message.destination)
        );
        assert_eq!((frame.agent, frame.payload), (agent.into(), payload));
    }
    let all = Filter::new().methods(["INVITE"]).share(0.5, [kind; 16]);
    _ = all.expect("a share").matches(ip(a), payload);
    let redaction = Redaction::credentials().bodies(kind & 32 != 0);
    let once = redaction.apply(payload);
    assert_eq!(redaction.apply(&once), once, "redacted again");
}
