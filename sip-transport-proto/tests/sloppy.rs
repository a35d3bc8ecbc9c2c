//! The table of sloppy inputs of `sip-core`, through the transport: delivered over UDP and TCP, with
//! only the top Via of requests written, and answered.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
#[allow(dead_code)]
#[path = "../../sip-core/tests/sloppy/rows.rs"]
mod rows;

use common::{Host, ok};
use rows::Row;
use sip_transport_proto::sip_core::{Message, Name};
use sip_transport_proto::{Config, Event, SendOptions};

const REMOTE: &str = "192.0.2.77:4000";

fn host() -> Host {
    let mut config = Config::default();
    config.drop_stray_responses(false);
    Host::with(config)
}

fn message(event: Event) -> Message {
    match event {
        Event::Request { request, .. } => request.into_message(),
        Event::Response { response, .. } => response.into_message(),
        event => panic!("{event:?}"),
    }
}

fn assert_is(message: &Message, row: &Row) {
    let text = row.data.escape_ascii();
    assert_eq!(message.from_tag(), row.seen.from_tag, "{text}");
    assert_eq!(message.to_tag(), row.seen.to_tag, "{text}");
    assert_eq!(message.call_id(), Some(row.seen.call_id), "{text}");
    assert_eq!(
        message.top_via().unwrap().branch(),
        row.seen.branch,
        "{text}"
    );
    // A stamp may mend what was off in the top Via.
    if row.lints != ["Via"] {
        let is_clean = message.lint().next().is_none();
        assert_eq!(is_clean, row.lints.is_empty(), "{text}");
    }
    let others = |data: &[u8]| -> Vec<Vec<u8>> {
        let lines = data.split(|&b| b == b'\n').map(<[u8]>::to_vec).enumerate();
        lines
            .filter(|(at, _)| *at != 1)
            .map(|(_, line)| line)
            .collect()
    };
    assert_eq!(others(&message.to_bytes()), others(&row.data), "{text}");
}

#[test]
fn every_sloppy_input_is_delivered_and_answered_over_udp() {
    for row in rows::rows() {
        let mut host = host();
        let channel = host.udp("192.0.2.1:5060");
        let event = host.datagram(channel, REMOTE, &row.data).expect("an event");
        let is_request = matches!(event, Event::Request { .. });
        if let Event::Request { request, .. } = &event {
            let answer = host
                .send(ok(request), SendOptions::new())
                .message()
                .unwrap();
            for name in [Name::From, Name::CallId, Name::CSeq] {
                assert_eq!(answer.raw(name), request.raw(name));
            }
            assert!(answer.to_tag().is_some());
        }
        let message = message(event);
        assert_is(&message, &row);
        let via = message.top_via().unwrap();
        assert_eq!(
            via.received()
                .is_some_and(|ip| ip.to_string() == "192.0.2.77"),
            is_request
        );
    }
}

#[test]
fn every_sloppy_input_is_delivered_over_tcp() {
    let rows = rows::rows();
    let mut host = host();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", REMOTE);
    for row in &rows {
        host.take_events();
        host.feed(id, &row.data);
        let mut events: Vec<_> = host.take_events();
        assert_eq!(events.len(), 1, "{events:?} {}", row.data.escape_ascii());
        assert_is(&message(events.remove(0)), row);
    }
    assert_eq!(host.close_reason(id), None);
}

#[test]
fn what_stays_refused_is_told_as_malformed() {
    for (what, data) in rows::refused() {
        let mut host = host();
        let channel = host.udp("192.0.2.1:5060");
        let event = host.datagram(channel, REMOTE, &data);
        assert!(
            matches!(event, Some(Event::Malformed { .. })),
            "{what} {}",
            data.escape_ascii()
        );
    }
}
