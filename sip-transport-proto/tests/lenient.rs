//! What is off the grammar and harmless is delivered, counted, passed on and answered.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Host, Received, addr, header, ok, wire_request, wire_response};
use sip_transport_proto::sip_core::{Message, Name, Reading, Request, Response};
use sip_transport_proto::{ChannelConfig, Config, Event, Protocol, SendOptions, Stats};

const VIA: &str = "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1";
const REMOTE: &str = "192.0.2.9:5060";

fn tolerated(stats: &Stats) -> Vec<(&'static str, u64)> {
    let counted = |name: &str, count: u64| name.starts_with("tolerated") && count > 0;
    let all = stats.counters();
    all.filter(|(name, count)| counted(name, *count)).collect()
}

/// Sloppy requests and by what each is counted.
fn sloppy() -> Vec<(&'static str, Vec<u8>)> {
    let good = String::from_utf8(wire_request(VIA, "")).unwrap();
    [
        (
            "tolerated_request_uri",
            "sip:a@192.0.2.1 SIP",
            "sip:*72#@192.0.2.1;x=a=b;; SIP",
        ),
        (
            "tolerated_via",
            "z9hG4bK1",
            "z9hG4bK/1=;received=nat;rport=",
        ),
        ("tolerated_from_to", "From: <", "From: N., Nina <"),
        (
            "tolerated_from_to",
            "To: <sip:a@192.0.2.1>",
            "To: <sip:a@192.0.2.1>;",
        ),
        ("tolerated_call_id", "Call-ID: c1", "Call-ID: c 1"),
        (
            "tolerated_repeated",
            "Max-Forwards: 70",
            "Max-Forwards: 70\r\nMax-Forwards: 70",
        ),
        (
            "tolerated_header_line",
            "Max-Forwards: 70",
            "Max-Forwards: 70\r\nno colon",
        ),
        (
            "tolerated_bytes",
            "Max-Forwards: 70",
            "Max-Forwards: 70\r\nX: \u{1}",
        ),
    ]
    .into_iter()
    .map(|(counter, from, to)| {
        assert!(good.contains(from), "{from}");
        (counter, good.replacen(from, to, 1).into_bytes())
    })
    .collect()
}

// conformance: 161
#[test]
fn a_sloppy_request_is_delivered_and_counted_by_reason() {
    for (counter, data) in sloppy() {
        let text = String::from_utf8_lossy(&data);
        let expected = [("tolerated", 1), (counter, 1)];
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        let received = host.request(channel, REMOTE, &data);
        assert!(received.request.lint().next().is_some(), "{text}");
        assert_eq!(tolerated(&host.transport.stats()), expected, "{text}");

        let mut host = Host::new();
        let channel = host.tcp("192.0.2.1:5060");
        let connection = host.accept(channel, "192.0.2.1:5060", REMOTE);
        host.feed(connection, &data);
        let requests = host.take_events().into_iter();
        let requests = requests.filter(|event| matches!(event, Event::Request { .. }));
        assert_eq!(requests.count(), 1, "{text}");
        assert_eq!(tolerated(&host.transport.stats()), expected, "{text}");
    }
    for (data, lint) in [
        ([b" \r\n", &*wire_request(VIA, "")].concat(), 1),
        (
            wire_request(VIA, "")
                .strip_suffix(b"\r\n")
                .unwrap()
                .to_vec(),
            1,
        ),
        (wire_request(VIA, ""), 0),
    ] {
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        let received = host.request(channel, REMOTE, &data);
        assert_eq!(received.request.lint().count(), lint);
        assert_eq!(host.transport.stats().tolerated_framing, lint as u64);
    }
}

#[test]
fn strict_reading_is_a_setting_of_a_transport_and_of_a_channel() {
    let listener = |local: &str| ChannelConfig::new(Protocol::Udp, addr(local));
    for (counter, data) in sloppy() {
        let mut config = Config::default();
        config.reading(Reading::Strict);
        let mut host = Host::with(config);
        let strict = host.channel(listener("192.0.2.1:5060"));
        let lenient = host.channel(listener("192.0.2.1:5070").reading(Reading::Lenient));
        let event = host.datagram(strict, REMOTE, &data);
        assert!(matches!(event, Some(Event::Malformed { .. })), "{counter}");
        host.request(lenient, REMOTE, &data);
        assert_eq!(host.transport.stats().tolerated, 1);

        let mut host = Host::new();
        let strict = host.channel(listener("192.0.2.1:5060").reading(Reading::Strict));
        let event = host.datagram(strict, REMOTE, &data);
        assert!(matches!(event, Some(Event::Malformed { .. })), "{counter}");
    }
}

// conformance: 161
#[test]
fn a_sloppy_request_is_answered_passed_on_and_cancelled_as_it_stands() {
    for (counter, data) in sloppy() {
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        let Received { request, .. } = host.request(channel, REMOTE, &data);
        let answer = host.send(ok(&request), SendOptions::new());
        assert_eq!(answer.remote().addr, addr(REMOTE), "{counter}");
        let answered = Response::try_from(answer.message().unwrap()).unwrap();
        assert!(answered.to_tag().is_some(), "{counter}");
        assert_eq!(answered.from_tag(), Some("1"), "{counter}");
        assert_eq!(answered.call_id(), request.call_id(), "{counter}");
        answered.check().unwrap();

        let mut forwarded = request.clone();
        forwarded.prepend(Name::Via, "SIP/2.0/UDP 0.0.0.0").unwrap();
        let sent = host.send(forwarded, SendOptions::new());
        assert_eq!(sent.remote().addr, addr("192.0.2.1:5060"), "{counter}");
        let there = sent.message().unwrap();
        assert_eq!(there.request_uri(), request.request_uri(), "{counter}");
        for name in [Name::From, Name::To, Name::CallId] {
            assert_eq!(there.raw(name), request.raw(name), "{counter}");
        }
        let last = |message: &Message| message.raw_all(Name::Via).last().unwrap().to_vec();
        assert_eq!(last(&there), last(&request), "{counter}");

        let derived = sent.cancel().unwrap();
        let cancel: &Request = &derived.request;
        assert_eq!(cancel.request_uri(), request.request_uri(), "{counter}");
        for name in [Name::From, Name::To, Name::CallId] {
            assert_eq!(cancel.raw(name), request.raw(name), "{counter}");
        }
        assert_eq!(cancel.raw(Name::Via), there.raw(Name::Via), "{counter}");
    }
}

#[test]
fn a_response_goes_on_by_a_sloppy_via_below_ours() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let below = "SIP/2.0/UDP 3f2a1b4c5d6e:5060;;received=192.0.2.7;rport=5070;branch=a/b=";
    let ours = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1";
    let data = wire_response(&format!("{ours}, {below}"));
    let Some(Event::Response { mut response, .. }) = host.datagram(channel, REMOTE, &data) else {
        panic!("no response");
    };
    assert_eq!(host.transport.stats().tolerated, 0);
    response.remove_first_value(Name::Via).unwrap();
    let sent = host.send(response, SendOptions::new());
    assert_eq!(sent.remote().addr, addr("192.0.2.7:5070"));
    assert_eq!(header(sent.bytes(), "Via"), below);
}
