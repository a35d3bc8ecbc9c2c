//! The torture tests of RFC 4475 and RFC 5118 at the socket: what is delivered, which status a
//! request gets for an answer, and what gets none.
//!
//! The messages are those of sip-core's tests; where the environment variable `SIP_SHARED` names
//! the folder with the published ones, they too.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

#[path = "../../sip-core/tests/torture/cases/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "another test uses the rest")]
mod cases;

use std::fs;

use cases::{Case, Stream, Verdict};
use common::{Host, addr};
use sip_transport_proto::sip_core::build::salvage;
use sip_transport_proto::sip_core::{Message, Name};
use sip_transport_proto::{Config, Event};

const LOCAL: &str = "203.0.113.1:5060";
const REMOTE: &str = "203.0.113.9:33333";

fn host() -> Host {
    let mut config = Config::default();
    config.drop_stray_responses(false);
    Host::with(config)
}

/// The cases, and the published messages if they are there.
fn all() -> Vec<(Case, Vec<u8>)> {
    let shared = cases::published();
    if shared.is_none() {
        println!("without the published messages: SIP_SHARED does not name their folder");
    }
    let mut all = Vec::new();
    for (folder, extension, cases) in [
        ("rfc4475", ".dat", cases::rfc4475()),
        ("rfc5118", "", cases::rfc5118()),
    ] {
        for case in cases {
            if let Some(shared) = &shared {
                let file = format!("{}{extension}", case.name);
                let data = fs::read(shared.join(folder).join(file)).unwrap();
                all.push((case.clone(), data));
            }
            let own = case.text.clone();
            all.push((case, own));
        }
    }
    all
}

// conformance: 139, 141, 435-495; bad-inputs: P13
#[test]
fn a_datagram_is_delivered_answered_or_dropped() {
    for (case, data) in all() {
        let name = case.name;
        let mut host = host();
        let channel = host.udp(LOCAL);
        let event = host.datagram(channel, REMOTE, &data);
        match (case.verdict, event) {
            (Verdict::Delivered(facts), Some(Event::Request { request, .. })) => {
                assert!(case.is_request(), "{name}");
                facts(&request);
                assert!(host.datagrams.is_empty(), "{name}: answered");
            }
            (Verdict::Delivered(facts), Some(Event::Response { response, .. })) => {
                assert!(!case.is_request(), "{name}");
                facts(&response);
                assert!(host.datagrams.is_empty(), "{name}: answered");
            }
            (Verdict::Refused(status, reason), Some(Event::Malformed { error, bytes, .. })) => {
                assert_eq!(bytes, data, "{name}");
                assert!(error.to_string().contains(reason), "{name}: {error}");
                let replies: Vec<_> = host.datagrams.drain(..).map(|(_, reply)| reply).collect();
                if is_answerable(&case) {
                    let [reply] = &replies[..] else {
                        panic!("{name}: {} replies", replies.len());
                    };
                    assert_eq!(reply.destination.ip(), addr(REMOTE).ip(), "{name}");
                    assert!(reply.bytes.len() <= data.len(), "{name}: amplified");
                    answers(&case, status, &data, &reply.bytes);
                } else {
                    assert!(replies.is_empty(), "{name}: answered");
                }
            }
            (_, event) => panic!("{name}: {event:?}"),
        }
        assert!(host.events.is_empty(), "{name}: one datagram, one event");
    }
}

/// Without a Via there is no way back (RFC 3261 §18.2.2), and responses have none.
fn is_answerable(case: &Case) -> bool {
    case.is_request() && case.name != "test"
}

fn answers(case: &Case, status: u16, request: &[u8], reply: &[u8]) {
    let name = case.name;
    let reply = Message::parse(reply.to_vec()).unwrap();
    assert_eq!(reply.status().unwrap().code(), status, "{name}");
    let request = String::from_utf8_lossy(request);
    for row in [Name::Via, Name::CallId, Name::CSeq] {
        let value = String::from_utf8_lossy(reply.raw(row).unwrap_or_default());
        // What stands behind the sent-by of a Via is the stamp's.
        let kept = value.split(';').next().unwrap_or_default();
        assert!(request.contains(kept), "{name}: {row}: {kept}");
    }
}

// RFC 3261 §17.1.1.3; conformance: 157, 169
#[test]
fn no_ack_is_ever_answered() {
    for (case, data) in all() {
        let Some(space) = data
            .iter()
            .position(|&b| b == b' ')
            .filter(|_| case.is_request())
        else {
            continue;
        };
        let mut host = host();
        let channel = host.udp(LOCAL);
        let ack = [b"ACK", &data[space..]].concat();
        assert!(
            host.datagram(channel, REMOTE, &ack).is_some(),
            "{}",
            case.name
        );
        assert!(host.datagrams.is_empty(), "{}", case.name);
    }
}

// conformance: 477
#[test]
fn a_response_that_is_not_ours_is_dropped() {
    for (case, data) in all() {
        if case.is_request() {
            continue;
        }
        let mut host = Host::new();
        let channel = host.udp(LOCAL);
        let event = host.datagram(channel, REMOTE, &data);
        let is_malformed = matches!(case.verdict, Verdict::Refused(..));
        assert_eq!(event.is_some(), is_malformed, "{}", case.name);
        assert_eq!(
            host.transport.stats().stray_responses,
            u64::from(!is_malformed)
        );
        assert!(host.datagrams.is_empty(), "{}", case.name);
    }
}

// RFC 3261 §18.3; conformance: 435-495
#[test]
fn a_stream_goes_on_waits_or_is_closed() {
    for (case, data) in all() {
        let name = case.name;
        let mut host = host();
        let channel = host.tcp(LOCAL);
        let id = host.accept(channel, LOCAL, REMOTE);
        host.feed(id, &data);
        let reply = host.written(id);
        let events = host.take_events();
        let delivered =
            |event: &Event| matches!(event, Event::Request { .. } | Event::Response { .. });
        let count = events.iter().filter(|event| delivered(event)).count();
        let closed = events
            .iter()
            .any(|event| matches!(event, Event::ConnectionClosed { .. }));
        let fault = events.iter().find_map(|event| match event {
            Event::Malformed { error, bytes, .. } => Some((error, bytes)),
            _ => None,
        });
        if case.stream == Stream::Incomplete {
            assert!(events.is_empty() && reply.is_empty(), "{name}: {events:?}");
            continue;
        }
        let is_delivered = matches!(case.verdict, Verdict::Delivered(_));
        let expected = match case.stream {
            Stream::Two => 2,
            Stream::Broken => 0,
            _ => usize::from(is_delivered),
        };
        assert_eq!(count, expected, "{name}");
        // What only breaks a rule of its own leaves the stream open.
        let is_fatal = fault.is_some_and(|(error, _)| error.is_fatal_for_stream());
        assert_eq!(closed, is_fatal, "{name}");
        assert!(is_fatal || case.stream != Stream::Broken, "{name}");
        if let (0, Some((error, read))) = (expected, fault) {
            // Behind a fault of the framing nothing is read, so a Via that stands there is no way
            // back.
            let is_answered = salvage(read).is_some();
            assert!(is_answered || is_fatal || !is_answerable(&case), "{name}");
            assert_eq!(!reply.is_empty(), is_answered, "{name}: one answer or none");
            let line = format!("SIP/2.0 {} ", error.status().code());
            assert!(
                reply.is_empty() || reply.starts_with(line.as_bytes()),
                "{name}"
            );
        }
    }
}
