use std::net::{Ipv4Addr, SocketAddr};

use sip_core::{
    Limits, Name, Reading, StatusCode,
    build::salvage,
    header::{Contact, From, To},
    message::Head,
    take_steps,
};

/// Steps that any message may cost, and those for each of its bytes: one that is scanned a few times
/// costs less.
const FIXED: usize = 2_000;
const PER_BYTE: usize = 20;

/// Reading a message, stamping, forwarding and answering it costs no more than a fixed number of
/// steps for each of its bytes.
pub fn steps(data: &[u8]) {
    for reading in [Reading::Lenient, Reading::Strict] {
        take_steps();
        work(&Limits::default().with_reading(reading), data);
        let (steps, most) = (take_steps(), FIXED + PER_BYTE * data.len());
        assert!(
            steps <= most,
            "{steps} steps for {} bytes, {reading:?}",
            data.len()
        );
    }
}

/// What a transport, a transaction layer and a proxy do with what came.
fn work(limits: &Limits, data: &[u8]) {
    let source = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 77), 40_000));
    let mut head = Head::default();
    if head.read(data, limits).is_err() || head.check(data).is_err() {
        if let Some(request) = salvage(data) {
            request.reply(StatusCode::BAD_REQUEST, "Why", "tag", source, None);
        }
        return;
    }
    let mut message = head.to_received(data, source, true);
    for _ in 0..2 {
        let _ = (message.top_via(), message.request_host());
        let _ = (
            message.from_tag(),
            message.to_tag(),
            message.call_id(),
            message.cseq(),
        );
        let _ = message.header::<From<'_>>();
        let _ = message.header::<To<'_>>();
        let _ = message.headers::<Contact<'_>>().last();
        // What is kept of the checks is gone with the first edit.
        let _ = message.prepend(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1");
        let _ = message.set_via_param("received", Some("192.0.2.9"));
    }
    message.wire_len();
}
