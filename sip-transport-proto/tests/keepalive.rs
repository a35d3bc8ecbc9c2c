//! Keep-alives: pings and pongs, STUN both ways, what is agreed on by `keep` (RFC 5626, RFC 6223).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{Host, addr, header, ip, numbered, ok, options, udp, wire_request, wire_response};
use proptest::prelude::*;
use sip_transport_proto::error::{CloseReason, FlowFailure, SendCause};
use sip_transport_proto::parts::{Connection, ConnectionEvent, Router};
use sip_transport_proto::sim::World;
use sip_transport_proto::sip_core::build::RequestBuilder;
use sip_transport_proto::sip_core::{self, Message, Method, Request, Response};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Deadline, Event, Keep, KeepError, KeepKind,
    KeepStop, Outgoing, Protocol, SendOptions, SipEndpoint, SizeRule, Submitted,
};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn every(n: u64) -> Keep {
    Keep::new().interval(seconds(n)).unwrap()
}

fn kept(keep: Keep) -> SendOptions {
    SendOptions::new().keep(keep)
}

// Streams.

/// A connection of ours to 192.0.2.9:5060 that is kept.
fn stream(keep: Keep) -> (Host, ConnectionId) {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    host.waits(options("sip:192.0.2.9;transport=tcp"), kept(keep));
    let id = host.connected("192.0.2.1:40000");
    host.written(id);
    host.take_events();
    (host, id)
}

/// The next ping, and how long it took; what else is due meanwhile happens.
fn ping(host: &mut Host, id: ConnectionId) -> Duration {
    let began = host.now;
    loop {
        let (at, why) = host.deadline.expect("a ping is due");
        host.pass(at.saturating_duration_since(host.now));
        let written = host.written(id);
        if why == Deadline::Ping {
            assert_eq!(written, PING);
            return host.now - began;
        }
        assert_eq!((why, &written[..]), (Deadline::Pong, &b""[..]));
    }
}

fn dead_flows(host: &mut Host) -> Vec<FlowFailure> {
    let events = host.take_events();
    let failure = |event: &Event| match event {
        Event::FlowDead { cause, .. } => Some(*cause),
        _ => None,
    };
    let failures = events.iter().filter_map(failure).collect();
    host.events.extend(events);
    failures
}

// conformance: 353
#[test]
fn nothing_is_kept_that_nobody_asked_for() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    host.send(options("sip:192.0.2.9"), SendOptions::new());
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let id = host.connected("192.0.2.1:40000");
    host.written(id);
    host.datagram(
        channel,
        "192.0.2.9:5060",
        &wire_request("SIP/2.0/UDP 192.0.2.9", ""),
    );
    host.datagrams.clear();
    host.pass(seconds(3_800));
    assert!(host.datagrams.is_empty() && host.written(id).is_empty());
    assert_eq!(host.transport.stats().pings_out, 0);
}

// RFC 5626 §4.4.1; conformance: 345, 346
#[test]
fn a_ping_comes_after_80_to_100_percent_of_two_minutes_drawn_anew_each_time() {
    let (mut host, id) = stream(Keep::new());
    let mut periods = BTreeSet::new();
    let mut sum = Duration::ZERO;
    for _ in 0..200 {
        let period = ping(&mut host, id);
        host.feed(id, PONG);
        assert!(
            period >= seconds(96) && period <= seconds(120),
            "{period:?}"
        );
        periods.insert(period);
        sum += period;
    }
    assert_eq!(periods.len(), 200);
    let mean = sum / 200;
    assert!(mean > seconds(106) && mean < seconds(110), "{mean:?}");
    assert_eq!(host.transport.stats().pings_out, 200);
    assert_eq!(host.transport.stats().pongs_in, 200);
}

// conformance: 346
#[test]
fn two_transports_do_not_ping_in_step_and_one_seed_gives_one_schedule() {
    let first = |seed| {
        let mut host = Host::seeded(Config::default(), seed);
        host.tcp("192.0.2.1:5060");
        host.waits(options("sip:192.0.2.9;transport=tcp"), kept(Keep::new()));
        let id = host.connected("192.0.2.1:40000");
        host.written(id);
        ping(&mut host, id)
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

// RFC 5626 §4.4 (Flow-Timer), §4.4.1; conformance: 347, 346
#[test]
fn the_interval_can_be_said() {
    for n in [1, 120, 840] {
        let (mut host, id) = stream(every(n));
        for _ in 0..20 {
            let period = ping(&mut host, id);
            host.feed(id, PONG);
            assert!(
                period >= seconds(n) * 4 / 5 && period <= seconds(n),
                "{period:?}"
            );
        }
    }
    assert!(Keep::new().interval(SECOND - NANO).is_err());
}

// RFC 5626 §4.4.1; conformance: 344, 359
#[test]
fn without_the_pong_that_is_due_the_flow_is_dead_after_ten_seconds() {
    let (mut host, id) = stream(Keep::new().required());
    ping(&mut host, id);
    host.pass(seconds(10) - NANO);
    assert!(dead_flows(&mut host).is_empty());
    host.pass(NANO);
    assert_eq!(dead_flows(&mut host), [FlowFailure::NoPong]);
    assert!(matches!(
        host.events.front(),
        Some(Event::FlowDead { remote, .. }) if remote.connection == Some(id)
    ));
    let reason = CloseReason::Deadline(Deadline::Pong);
    assert_eq!(host.close_reason(id), Some(reason));
    host.pass(seconds(1_000));
    assert_eq!(dead_flows(&mut host).len(), 1);
    assert_eq!(host.transport.router().load(), (0, 0));
}

// conformance: 344
#[test]
fn a_pong_in_time_keeps_the_flow() {
    let (mut host, id) = stream(Keep::new().required());
    for _ in 0..5 {
        ping(&mut host, id);
        host.pass(seconds(10) - NANO);
        host.feed(id, PONG);
    }
    host.pass(seconds(20));
    assert!(dead_flows(&mut host).is_empty() && host.close_reason(id).is_none());
}

// conformance: 344
#[test]
fn a_message_is_no_pong() {
    let (mut host, id) = stream(Keep::new().required());
    ping(&mut host, id);
    host.feed(id, &numbered(1));
    host.pass(seconds(10));
    assert_eq!(dead_flows(&mut host), [FlowFailure::NoPong]);
}

// RFC 5626 §4.4; conformance: 348
#[test]
fn a_peer_that_promised_no_pong_may_stay_silent() {
    let (mut host, id) = stream(Keep::new());
    for _ in 0..10 {
        ping(&mut host, id);
    }
    assert!(dead_flows(&mut host).is_empty() && host.close_reason(id).is_none());
    let stats = host.transport.stats();
    assert_eq!((stats.pings_out, stats.pongs_missed), (10, 9));
}

// conformance: 348
#[test]
fn a_pong_to_nobody_is_ignored() {
    let (mut host, id) = stream(Keep::new().required());
    host.feed(id, PONG);
    assert!(host.written(id).is_empty());
    assert_eq!(host.transport.stats().pongs_in, 0);
    // And does not count for a ping to come.
    ping(&mut host, id);
    host.pass(seconds(10));
    assert_eq!(dead_flows(&mut host), [FlowFailure::NoPong]);
}

// RFC 5626 §4.4.1; conformance: 342
#[test]
fn no_pong_answers_a_pong() {
    let (mut host, id) = stream(Keep::new().required());
    for _ in 0..20 {
        ping(&mut host, id);
        host.feed(id, PONG);
        assert!(host.written(id).is_empty());
    }
    assert_eq!(host.transport.stats().pongs_out, 0);
}

// RFC 5626 §3.5.1; conformance: 342, 355
#[test]
fn both_ends_may_ping_at_once() {
    let (mut host, id) = stream(Keep::new().required());
    for _ in 0..5 {
        ping(&mut host, id);
        host.feed(id, b"\r\n\r\n\r\n");
        assert_eq!(host.written(id), PONG);
    }
    host.pass(seconds(20));
    assert!(dead_flows(&mut host).is_empty());
}

// conformance: 355
#[test]
fn a_fresh_connection_that_said_nothing_gets_its_pong() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, PING);
    assert_eq!(host.written(id), PONG);
}

proptest! {
    /// However pongs, pings and messages are cut.
    // conformance: 342
    #[test]
    fn cuts_of_pongs_and_pings_change_nothing(cuts in prop::collection::vec(1usize..9, 1..40)) {
        let (mut host, id) = stream(Keep::new().required());
        let mut written = Vec::new();
        for round in 0..3 {
            ping(&mut host, id);
            let data = [PONG, &numbered(round), PING, &numbered(9), PONG].concat();
            let mut rest = &data[..];
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                host.feed(id, piece);
                written.extend(host.written(id));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            // The last CRLF is half a ping unless a message is behind it.
            host.feed(id, &numbered(8));
        }
        prop_assert_eq!(written, PONG.repeat(3));
        let stats = host.transport.stats();
        prop_assert_eq!((stats.pongs_in, stats.pongs_out, stats.requests_in), (3, 3, 9));
        host.pass(seconds(20));
        prop_assert!(dead_flows(&mut host).is_empty());
    }
}

// conformance: 184, 343
#[test]
fn a_ping_stands_between_messages() {
    let (mut host, id) = stream(Keep::new());
    let over = || SendOptions::new().connection(id);
    host.send(options("sip:192.0.2.9"), over());
    host.pass(seconds(1));
    // The peer reads nothing: the message waits, half written.
    let half = host.transport.transmit(id).len() / 2;
    let now = host.now;
    let mut wire = host.transport.transmit(id)[..half].to_vec();
    host.transport.handle_written(now, id, half);
    host.drain();
    while host.deadline.unwrap().1 != Deadline::Ping {
        // One byte at a time is progress enough.
        let now = host.now;
        wire.push(host.transport.transmit(id)[0]);
        host.transport.handle_written(now, id, 1);
        host.drain();
        host.pass(seconds(19));
    }
    let (at, _) = host.deadline.unwrap();
    host.pass(at - host.now);
    host.send(options("sip:192.0.2.9"), over());
    wire.extend(host.written(id));
    let text = String::from_utf8(wire).unwrap();
    let (first, rest) = text.split_once("\r\n\r\n\r\n\r\n").expect("a ping");
    for message in [&format!("{first}\r\n\r\n"), rest] {
        assert!(
            Message::parse(message.as_bytes().to_vec()).is_ok(),
            "{message}"
        );
    }
}

// design.md §6: a ping or a pong is activity.
#[test]
fn a_connection_that_is_kept_never_idles_away() {
    let (mut host, id) = stream(Keep::new());
    let end = host.now + seconds(3_900 * 3);
    while host.now < end {
        ping(&mut host, id);
        host.feed(id, PONG);
    }
    assert!(host.close_reason(id).is_none());
    // The other side neither, though it only answers.
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    for _ in 0..4 {
        host.pass(seconds(3_800));
        host.feed(id, PING);
        host.written(id);
    }
    assert!(host.close_reason(id).is_none());
}

#[test]
fn keeping_begins_and_ends_by_command_too() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let Some(Event::Request { remote, .. }) = host.events.pop_front() else {
        panic!()
    };
    let now = host.now;
    host.transport.keep(now, &remote, every(30)).unwrap();
    host.drain();
    assert!(ping(&mut host, id) <= seconds(30));
    assert!(host.transport.stop_keeping(now, &remote));
    host.drain();
    host.pass(seconds(300));
    assert!(host.written(id).is_empty());
    host.transport.close(now, id);
    host.drain();
    let now = host.now;
    let gone = host.transport.keep(now, &remote, Keep::new());
    assert_eq!(gone, Err(KeepError::UnknownFlow));
    assert!(!host.transport.stop_keeping(now, &remote));
}

#[test]
fn a_channel_keeps_the_connections_that_it_opens_and_no_others() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:5060"));
    let channel = host.channel(config.keep(every(20)));
    let accepted = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(accepted, &numbered(1));
    host.waits(options("sip:192.0.2.8;transport=tcp"), SendOptions::new());
    let opened = host.connected("192.0.2.1:40000");
    host.written(opened);
    assert!(ping(&mut host, opened) <= seconds(20));
    assert!(host.written(accepted).is_empty());
}

// The machine by itself, as an adapter has it.
fn machine(keep: Keep) -> (Instant, Router, Connection) {
    let mut router = Router::new(Config::default(), [1; 32]);
    let config = ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:5060"));
    let channel = router.add_channel(config).unwrap();
    let now = Instant::now();
    let (local, remote) = (addr("192.0.2.1:5060"), addr("192.0.2.9:33333"));
    let mut machine = router.accept(now, channel, local, remote).unwrap();
    while machine.poll_event(now).is_some() {}
    let data = numbered(1);
    assert_eq!(machine.handle_data(now, &data), data.len());
    while machine.poll_event(now).is_some() {}
    machine.keep(now, Some(keep));
    (now, router, machine)
}

// design.md §5
#[test]
fn while_we_do_not_read_no_pong_is_late() {
    for sent_while_paused in [false, true] {
        let (_, _router, mut machine) = machine(Keep::new().required());
        let (at, why) = machine.poll_timeout().unwrap();
        assert_eq!(why, Deadline::Ping);
        if sent_while_paused {
            machine.pause(at - seconds(3));
        }
        machine.handle_timeout(at);
        assert_eq!(machine.transmit(), PING);
        machine.handle_written(at, 4);
        if !sent_while_paused {
            machine.pause(at + seconds(4));
        }
        machine.handle_timeout(at + seconds(60));
        machine.resume(at + seconds(60));
        let left = if sent_while_paused { 10 } else { 6 };
        let late = at + seconds(60 + left);
        assert_eq!(machine.poll_timeout(), Some((late, Deadline::Pong)));
        machine.handle_timeout(late);
        assert!(machine.is_closed());
        let mut told = std::iter::from_fn(|| machine.poll_control(late));
        assert!(told.any(|event| matches!(event, ConnectionEvent::Event(Event::FlowDead { .. }))));
    }
}

// conformance: 344
#[test]
fn pings_more_often_than_pongs_may_take_extend_no_deadline() {
    let (mut host, id) = stream(every(4).required());
    let mut silent = Duration::ZERO;
    while host.close_reason(id).is_none() {
        let (at, _) = host.deadline.unwrap();
        silent += at - host.now;
        host.pass(at - host.now);
        host.written(id);
    }
    assert!(silent <= seconds(4 + 10), "{silent:?}");
}

// RFC 8489 on the SIP port is for UDP; conformance: 350
#[test]
fn no_stun_goes_over_a_stream_and_no_frame_where_there_are_none() {
    for kind in [KeepKind::Stun, KeepKind::WebSocketPing] {
        let (mut host, id) = stream(Keep::new().kind(kind));
        ping(&mut host, id);
    }
}

// Agreed on by RFC 6223.

fn via_of(bytes: &[u8]) -> String {
    header(bytes, "Via")
}

fn answered(sent: &[u8], keep: &str) -> Vec<u8> {
    let via = via_of(sent);
    assert!(via.contains(";keep"), "{via}");
    wire_response(&via.replace(";keep", keep))
}

/// Over TCP, the response to the first request having this in the place of `;keep`.
fn negotiated(keep: Keep, response: &str) -> (Host, ConnectionId) {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    host.waits(
        options("sip:192.0.2.9;transport=tcp"),
        kept(keep.negotiated()),
    );
    let id = host.connected("192.0.2.1:40000");
    let sent = host.written(id);
    host.feed(id, &answered(&sent, response));
    host.take_events();
    (host, id)
}

// RFC 6223 §4.3, §5; conformance: 363, 365, 369, 347
#[test]
fn a_value_in_the_response_starts_keep_alives_at_its_interval() {
    for (value, least, most) in [("30", 24, 30), ("0", 96, 120), ("99999999999", 1, u64::MAX)] {
        let (mut host, id) = negotiated(Keep::new(), &format!(";keep={value}"));
        if most == u64::MAX {
            // Longer than anything else: the connection idles away.
            assert_eq!(host.deadline.unwrap().1, Deadline::Idle);
            continue;
        }
        for _ in 0..3 {
            let period = ping(&mut host, id);
            assert!(
                period >= seconds(least) && period <= seconds(most),
                "{period:?}"
            );
            host.feed(id, PONG);
        }
        // Who agrees answers.
        ping(&mut host, id);
        host.pass(seconds(10));
        assert_eq!(dead_flows(&mut host), [FlowFailure::NoPong]);
    }
    // At least as often as both sides want.
    let (mut host, id) = negotiated(every(20), ";keep=60");
    assert!(ping(&mut host, id) <= seconds(20));
}

// RFC 6223 §8.2; conformance: 371
#[test]
fn a_response_without_a_number_agrees_to_nothing() {
    for response in [
        "",
        ";keep",
        ";keep=x",
        ";keep=-1",
        ";keep=\"5\"",
        ";keep=5s",
    ] {
        let (mut host, id) = negotiated(Keep::new(), response);
        host.pass(seconds(600));
        assert!(host.written(id).is_empty(), "{response}");
    }
}

// conformance: 365
#[test]
fn a_response_that_is_not_ours_agrees_to_nothing() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    host.waits(
        options("sip:192.0.2.9;transport=tcp"),
        kept(Keep::new().negotiated()),
    );
    let id = host.connected("192.0.2.1:40000");
    host.written(id);
    host.feed(
        id,
        &wire_response("SIP/2.0/TCP other.example;branch=z9hG4bK1;keep=30"),
    );
    host.pass(seconds(600));
    assert!(host.written(id).is_empty());
}

// RFC 6223 §4.3; conformance: 364
#[test]
fn an_ack_offers_no_keep_alives() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let options = || kept(Keep::new().negotiated());
    let ack = RequestBuilder::new(Method::Ack, "sip:192.0.2.9").build(|b| b.fill(3));
    let sent = host.send(ack.unwrap(), options());
    assert!(!via_of(sent.bytes()).contains("keep"));
    // Nor one that is made from an INVITE that did; a CANCEL has the same Via.
    let invite = host.send(common::invite("sip:192.0.2.9"), options());
    let via = via_of(invite.bytes());
    assert!(via.ends_with(";keep"), "{via}");
    let response = wire_response(&via);
    let response = Response::new(Message::parse(response).unwrap()).unwrap();
    let ack = invite.ack(&response).unwrap();
    let sent = host.send(ack.request, ack.options);
    let via_of_ack = via_of(sent.bytes());
    let branch = &via[via.find(";branch=").unwrap()..][..31];
    assert!(
        via_of_ack.contains(branch) && !via_of_ack.contains("keep"),
        "{via_of_ack}"
    );
    let cancel = invite.cancel().unwrap();
    let sent = host.send(cancel.request, cancel.options);
    let via_of_cancel = via_of(sent.bytes());
    assert!(
        via_of_cancel.contains(branch) && via_of_cancel.contains(";keep"),
        "{via_of_cancel}"
    );
}

// conformance: 363
#[test]
fn the_parameter_has_no_value_and_is_there_once() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let keep = kept(Keep::new().negotiated());
    for name in [";keep", ""] {
        let via = format!("SIP/2.0/UDP 0.0.0.0;branch=z9hG4bK1{name}");
        let value = sip_core::header::Header::parse(via.as_bytes()).unwrap();
        let request = RequestBuilder::new(Method::Options, "sip:192.0.2.9").via(value);
        let sent = host.send(request.build(|b| b.fill(3)).unwrap(), keep.clone());
        let via = via_of(sent.bytes());
        assert_eq!(via, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;keep");
    }
}

fn response_to(config: ChannelConfig, via: &str) -> String {
    let mut host = Host::new();
    let channel = host.channel(config);
    let received = host.request(channel, "192.0.2.9:5060", &wire_request(via, ""));
    let sent = host.send(ok(&received.request), SendOptions::new());
    let via = via_of(sent.bytes());
    // RFC 6223 §4.4: the same in all responses to one request.
    let again = host.send(ok(&received.request), SendOptions::new());
    assert_eq!(via_of(again.bytes()), via);
    via
}

// RFC 6223 §4.4; conformance: 366, 367
#[test]
fn a_response_agrees_where_the_channel_does_and_the_peer_has_asked() {
    let channel = || ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060"));
    let via = |keep| format!("SIP/2.0/UDP 192.0.2.9{keep};branch=z9hG4bK1");
    for (asked, said) in [
        (";keep", ";keep=30"),
        (";Keep", ";Keep=30"),
        ("", ""),
        (";keep=5", ";keep=5"),
    ] {
        assert_eq!(
            response_to(channel().accept_keep(30), &via(asked)),
            via(said)
        );
    }
    assert_eq!(response_to(channel(), &via(";keep")), via(";keep"));
    let via =
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;keep, SIP/2.0/UDP 192.0.2.7;keep;branch=z9hG4bK2";
    assert_eq!(
        response_to(channel().accept_keep(0), via),
        via.replacen(";keep", ";keep=0", 1)
    );
}

// RFC 6223 §10; conformance: 368
#[test]
fn no_request_gets_a_value() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060"));
    let channel = host.channel(config.accept_keep(30).keep(Keep::new().negotiated()));
    let data = wire_request("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;keep", "");
    let received = host.request(channel, "192.0.2.9:5060", &data);
    // Sent on as it came: it has no Via of ours.
    let sent = host.send(received.request, common::to(udp("192.0.2.7:5060")));
    assert!(!via_of(sent.bytes()).contains("keep="));
}

// UDP.

fn stun_id(bytes: &[u8]) -> [u8; 12] {
    assert_eq!(bytes[..8], *b"\x00\x01\x00\x00\x21\x12\xa4\x42");
    bytes[8..].try_into().unwrap()
}

/// A success response as RFC 8489 §14.2 has it.
fn stun_answer(id: &[u8; 12], mapped: SocketAddr) -> Vec<u8> {
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    let mask = [&cookie[..], id].concat();
    let octets = match mapped {
        SocketAddr::V4(v4) => v4.ip().octets().to_vec(),
        SocketAddr::V6(v6) => v6.ip().octets().to_vec(),
    };
    let mut value = vec![0, if mapped.is_ipv4() { 1 } else { 2 }];
    value.extend((mapped.port() ^ 0x2112).to_be_bytes());
    value.extend(octets.iter().zip(&mask).map(|(a, b)| a ^ b));
    let len = value.len() as u8;
    let software = b"\x80\x22\x00\x03abc\x00";
    let head = [1, 1, 0, len + 4 + 8];
    [&head[..], &mask, software, &[0, 0x20, 0, len], &value].concat()
}

/// A UDP flow to 192.0.2.9:5060 that is kept.
fn flow(keep: Keep) -> (Host, ChannelId) {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    host.send(options("sip:192.0.2.9"), kept(keep));
    host.datagrams.clear();
    (host, channel)
}

/// The next datagram that goes out by itself, and how long it took.
fn next_datagram(host: &mut Host) -> (Duration, Vec<u8>) {
    let began = host.now;
    while host.datagrams.is_empty() {
        let (at, _) = host.deadline.expect("something is due");
        host.pass(at.saturating_duration_since(host.now));
    }
    let (_, transmit) = host.datagrams.pop_front().unwrap();
    assert_eq!(transmit.destination, addr("192.0.2.9:5060"));
    (host.now - began, transmit.bytes.to_vec())
}

// RFC 5626 §4.4.2; conformance: 341, 349, 346, 380
#[test]
fn a_binding_request_goes_out_after_80_to_100_percent_of_29_seconds() {
    let (mut host, channel) = flow(Keep::new());
    let mut ids = BTreeSet::new();
    let mut periods = BTreeSet::new();
    let mut since = host.now;
    for _ in 0..100 {
        let (_, request) = next_datagram(&mut host);
        let period = host.now - since;
        since = host.now;
        assert!(
            period >= seconds(29) * 4 / 5 && period <= seconds(29),
            "{period:?}"
        );
        periods.insert(period);
        let id = stun_id(&request);
        ids.insert(id);
        host.pass(SECOND / 10);
        let answer = stun_answer(&id, addr("203.0.113.5:1024"));
        host.datagram(channel, "192.0.2.9:5060", &answer);
    }
    assert_eq!((ids.len(), periods.len()), (100, 100));
    let stats = host.transport.stats();
    assert_eq!((stats.pings_out, stats.pongs_in), (100, 100));
    assert!(dead_flows(&mut host).is_empty());
}

// RFC 8489 §14.2; conformance: 374, 378
#[test]
fn the_mapped_address_is_reported_once() {
    for (local, remote, mapped) in [
        ("192.0.2.1:5060", "192.0.2.9:5060", "203.0.113.5:1024"),
        (
            "[2001:db8::1]:5060",
            "[2001:db8::9]:5060",
            "[2001:db8:ffff::7]:65535",
        ),
    ] {
        let mut host = Host::new();
        let channel = host.udp(local);
        host.send(
            options("sip:x.example"),
            common::to(udp(remote)).keep(Keep::new()),
        );
        host.datagrams.clear();
        for round in 0..3 {
            let (at, _) = host.deadline.unwrap();
            host.pass(at - host.now);
            let (_, transmit) = host.datagrams.pop_front().unwrap();
            let answer = stun_answer(&stun_id(&transmit.bytes), addr(mapped));
            match host.datagram(channel, remote, &answer) {
                Some(Event::MappedAddress {
                    remote: peer,
                    mapped: seen,
                }) if round == 0 => {
                    assert_eq!((peer.addr, peer.channel), (addr(remote), Some(channel)));
                    assert_eq!(seen, addr(mapped));
                }
                None if round > 0 => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

// RFC 5626 §4.4.2, §8; conformance: 352
#[test]
fn another_mapped_address_is_the_end_of_the_flow() {
    let (mut host, channel) = flow(Keep::new());
    for port in [1024, 1025] {
        let (_, request) = next_datagram(&mut host);
        let mapped = SocketAddr::new(ip("203.0.113.5"), port);
        let answer = stun_answer(&stun_id(&request), mapped);
        let event = host.datagram(channel, "192.0.2.9:5060", &answer);
        host.events.extend(event);
    }
    let (from, to) = (addr("203.0.113.5:1024"), addr("203.0.113.5:1025"));
    assert_eq!(
        dead_flows(&mut host),
        [FlowFailure::AddressChanged { from, to }]
    );
    assert_eq!(host.transport.router().kept_flows(), 0);
    assert_eq!(host.deadline, None);
}

// RFC 8489 §6.2.1; conformance: 351, 379
#[test]
fn seven_requests_and_39_5_seconds_without_an_answer_are_the_end_of_the_flow() {
    let (mut host, channel) = flow(Keep::new().required());
    let (_, first) = next_datagram(&mut host);
    let began = host.now;
    for at in [500, 1_500, 3_500, 7_500, 15_500, 31_500] {
        let (_, again) = next_datagram(&mut host);
        assert_eq!(host.now - began, Duration::from_millis(at));
        assert_eq!(again, first);
    }
    host.pass(Duration::from_millis(8_000) - NANO);
    assert!(dead_flows(&mut host).is_empty());
    host.pass(NANO);
    assert_eq!(dead_flows(&mut host), [FlowFailure::NoAnswer]);
    assert!(host.datagrams.is_empty());
    assert_eq!(host.deadline, None);
    // An answer that comes then is nobody's.
    host.take_events();
    let late = stun_answer(&stun_id(&first), addr("203.0.113.5:1024"));
    assert!(host.datagram(channel, "192.0.2.9:5060", &late).is_none());
    assert_eq!(host.transport.stats().pongs_in, 0);
}

// RFC 6223 §10; conformance: 370, 348
#[test]
fn a_peer_that_never_answered_and_promised_nothing_is_left_alone() {
    let (mut host, _) = flow(Keep::new());
    host.pass(seconds(3_600));
    assert!(dead_flows(&mut host).is_empty());
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::KeepStopped {
            cause: KeepStop::NoAnswer,
            ..
        })
    ));
    assert_eq!(host.datagrams.len(), 7);
    assert_eq!(host.transport.router().kept_flows(), 0);
    // Asked again, as by the next REGISTER, it begins anew.
    host.send(options("sip:192.0.2.9"), kept(Keep::new()));
    assert_eq!(host.transport.router().kept_flows(), 1);
}

// conformance: 351
#[test]
fn who_has_answered_once_is_expected_to_answer_again() {
    let (mut host, channel) = flow(Keep::new());
    let (_, request) = next_datagram(&mut host);
    let answer = stun_answer(&stun_id(&request), addr("203.0.113.5:1024"));
    host.datagram(channel, "192.0.2.9:5060", &answer);
    host.pass(seconds(29 + 40));
    assert_eq!(dead_flows(&mut host), [FlowFailure::NoAnswer]);
}

// RFC 5626 §4.4.2; conformance: 351
#[test]
fn an_error_is_the_end_of_the_flow() {
    let (mut host, channel) = flow(Keep::new());
    let (_, request) = next_datagram(&mut host);
    let id = stun_id(&request);
    let answer = [
        &b"\x01\x11\x00\x08\x21\x12\xa4\x42"[..],
        &id,
        b"\x00\x09\x00\x04\x00\x00\x05\x00",
    ];
    let event = host.datagram(channel, "192.0.2.9:5060", &answer.concat());
    assert!(matches!(
        event,
        Some(Event::FlowDead {
            cause: FlowFailure::Refused(500),
            ..
        })
    ));
}

// RFC 8489 §6.2.1; conformance: 379, 359
#[test]
fn a_refused_datagram_is_the_end_of_the_flow_and_another_failure_is_not() {
    let (mut host, _) = flow(Keep::new());
    let (at, _) = host.deadline.unwrap();
    host.pass(at - host.now);
    let (_, transmit) = host.datagrams.pop_front().unwrap();
    assert!(transmit.send.is_some());
    for (kind, dead) in [
        (ErrorKind::HostUnreachable, 0),
        (ErrorKind::ConnectionRefused, 1),
        (ErrorKind::ConnectionRefused, 1),
    ] {
        let (now, to) = (host.now, transmit.destination);
        host.transport
            .handle_datagram_failed(now, transmit.send, to, kind);
        host.drain();
        let failures = dead_flows(&mut host);
        assert_eq!(failures.len(), dead, "{failures:?}");
    }
    assert_eq!(host.transport.router().kept_flows(), 0);
}

// conformance: 380, 373
#[test]
fn only_the_answer_to_the_very_request_from_the_very_peer_counts() {
    let (mut host, channel) = flow(Keep::new());
    let (_, request) = next_datagram(&mut host);
    let id = stun_id(&request);
    let good = stun_answer(&id, addr("203.0.113.5:1024"));
    let mut other_id = id;
    other_id[11] ^= 1;
    let mut short = good.clone();
    short.truncate(good.len() - 4);
    let mut cookie = good.clone();
    cookie[4] ^= 1;
    for (remote, data) in [
        ("192.0.2.8:5060", good.clone()),
        ("192.0.2.9:5061", good.clone()),
        (
            "192.0.2.9:5060",
            stun_answer(&other_id, addr("203.0.113.5:1024")),
        ),
        ("192.0.2.9:5060", short),
        ("192.0.2.9:5060", cookie),
        ("192.0.2.9:5060", request),
    ] {
        assert!(host.datagram(channel, remote, &data).is_none());
    }
    assert_eq!(host.transport.stats().pongs_in, 0);
    assert!(host.datagram(channel, "192.0.2.9:5060", &good).is_some());
    // Twice is one too many.
    assert!(host.datagram(channel, "192.0.2.9:5060", &good).is_none());
    assert_eq!(host.transport.stats().pongs_in, 1);
}

// RFC 8489 §14.7; conformance: 381
#[test]
fn an_answer_with_a_wrong_fingerprint_is_none() {
    let (mut host, channel) = flow(Keep::new());
    let (_, request) = next_datagram(&mut host);
    let mut answer = stun_answer(&stun_id(&request), addr("203.0.113.5:1024"));
    answer.extend(b"\x80\x28\x00\x04\x00\x00\x00\x00");
    answer[3] += 8;
    assert!(host.datagram(channel, "192.0.2.9:5060", &answer).is_none());
    assert_eq!(host.transport.stats().pongs_in, 0);
}

// RFC 5626 §4.4.1 has CRLFs on streams only: one-way, and only where it is asked for.
// conformance: 341
#[test]
fn crlfs_go_out_on_udp_one_way_if_asked_for() {
    let (mut host, channel) = flow(Keep::new().kind(KeepKind::Crlf).required());
    for _ in 0..50 {
        let (period, data) = next_datagram(&mut host);
        assert!(period >= seconds(23) && period <= seconds(29), "{period:?}");
        assert_eq!(data, PING);
    }
    assert!(dead_flows(&mut host).is_empty());
    // And are swallowed on the other side.
    assert!(host.datagram(channel, "192.0.2.9:5060", PING).is_none());
    assert!(host.datagrams.is_empty());
}

// conformance: 365, 369
#[test]
fn on_udp_too_a_value_in_the_response_starts_keep_alives() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let keep = Keep::new().negotiated();
    let sent = host.send(options("sip:192.0.2.9"), kept(keep));
    host.datagrams.clear();
    assert_eq!(host.deadline, None);
    host.pass(seconds(100));
    assert!(host.datagrams.is_empty());
    let response = answered(sent.bytes(), ";keep=10");
    // From anybody else it says nothing.
    host.datagram(channel, "192.0.2.8:5060", &response);
    assert_eq!(host.deadline, None);
    host.datagram(channel, "192.0.2.9:5060", &response);
    let (period, request) = next_datagram(&mut host);
    assert!(period >= seconds(8) && period <= seconds(10), "{period:?}");
    // Who agrees answers.
    stun_id(&request);
    host.pass(seconds(40));
    assert_eq!(dead_flows(&mut host), [FlowFailure::NoAnswer]);
}

#[test]
fn udp_flows_are_bounded_and_the_first_asked_for_makes_room() {
    let mut config = Config::default();
    config.max_kept_flows(3).unwrap();
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    let ask = |host: &mut Host, peer: u8| {
        host.send(options(&format!("sip:192.0.2.{peer}")), kept(Keep::new()));
    };
    for peer in [10, 11, 12, 10] {
        ask(&mut host, peer);
    }
    assert!(host.events.is_empty());
    ask(&mut host, 13);
    let Some(Event::KeepStopped {
        remote,
        cause: KeepStop::Crowded,
    }) = host.events.pop_front()
    else {
        panic!("nobody makes room")
    };
    assert_eq!(remote.addr, addr("192.0.2.11:5060"));
    for peer in 20..200 {
        ask(&mut host, peer);
    }
    assert_eq!(host.transport.router().kept_flows(), 3);
}

// design.md §5: no state for whom we did not ask for.
#[test]
fn nothing_that_comes_in_makes_a_flow_kept() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060"));
    let channel = host.channel(config.keep(Keep::new()));
    for port in 1_000..1_100 {
        let remote = format!("192.0.2.9:{port}");
        host.datagram(
            channel,
            &remote,
            &wire_request("SIP/2.0/UDP 192.0.2.9;rport", ""),
        );
        host.datagram(
            channel,
            &remote,
            &[&b"\0\x01\0\0\x21\x12\xa4\x42"[..], &[7; 12]].concat(),
        );
        host.datagram(channel, &remote, PING);
    }
    assert_eq!(host.transport.router().kept_flows(), 0);
    // Nor a response of ours; a request does.
    let received = host.request(
        channel,
        "192.0.2.9:5060",
        &wire_request("SIP/2.0/UDP 192.0.2.9;rport", ""),
    );
    host.send(ok(&received.request), SendOptions::new());
    assert_eq!(host.transport.router().kept_flows(), 0);
    host.send(options("sip:192.0.2.9"), SendOptions::new());
    assert_eq!(host.transport.router().kept_flows(), 1);
}

#[test]
fn a_udp_flow_is_kept_by_command_until_it_is_told_to_stop() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), SendOptions::new());
    host.datagrams.clear();
    let now = host.now;
    host.transport.keep(now, &sent.remote(), every(10)).unwrap();
    host.drain();
    assert!(next_datagram(&mut host).0 <= seconds(10));
    assert!(host.transport.stop_keeping(now, &sent.remote()));
    assert!(!host.transport.stop_keeping(now, &sent.remote()));
    host.drain();
    assert_eq!(host.deadline, None);
    let nowhere = SipEndpoint::new(Protocol::Udp, addr("192.0.2.9:5060"));
    let unknown = host.transport.keep(now, &nowhere, Keep::new());
    assert_eq!(unknown, Err(KeepError::UnknownFlow));
    // Without its channel it is gone.
    host.transport
        .keep(now, &sent.remote(), Keep::new())
        .unwrap();
    host.transport.remove_channel(now, channel).unwrap();
    host.drain();
    assert_eq!(host.transport.router().kept_flows(), 0);
    assert_eq!(host.deadline, None);
}

#[test]
fn a_flow_of_a_wildcard_socket_is_kept_from_the_address_of_its_request() {
    let mut host = Host::new();
    let channel = host.udp("0.0.0.0:5060");
    let data = wire_request("SIP/2.0/UDP 192.0.2.9;rport", "");
    let arrived = Some(ip("192.0.2.77"));
    let event = host.datagram_to(channel, "192.0.2.9:5060", arrived, &data);
    let Some(Event::Request { local, .. }) = event else {
        panic!()
    };
    host.local = Some(ip("192.0.2.1"));
    host.send(
        options("sip:192.0.2.9"),
        common::hints(local.hints()).keep(Keep::new()),
    );
    host.datagrams.clear();
    let (at, _) = host.deadline.unwrap();
    host.pass(at - host.now);
    assert_eq!(host.datagrams[0].1.source, arrived);
}

#[test]
fn shutting_down_ends_all_keeping() {
    let (mut host, _) = flow(Keep::new());
    let now = host.now;
    host.transport.shutdown(now);
    host.drain();
    assert_eq!(
        (host.deadline, host.transport.router().kept_flows()),
        (None, 0)
    );
}

// Two transports.

fn world(
    config: impl Fn() -> Config,
    keep: Keep,
    transport: &str,
) -> (World, [sip_transport_proto::sim::HostId; 2]) {
    let mut world: World = World::new(7, Instant::now());
    let hosts = ["192.0.2.1", "192.0.2.2"].map(|at| {
        let host = world.add_host(at, &[ip(at)], config());
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Ws] {
            let port = if protocol == Protocol::Ws { 80 } else { 5060 };
            let local = SocketAddr::new(ip(at), port);
            world
                .add_channel(host, ChannelConfig::new(protocol, local))
                .unwrap();
        }
        host
    });
    for (from, to) in [(0, "192.0.2.2"), (1, "192.0.2.1")] {
        let request: Request = options(&format!("sip:{to};transport={transport}"));
        world
            .send(hosts[from], Outgoing::new(request, kept(keep)))
            .unwrap();
    }
    (world, hosts)
}

// RFC 5626 §8; conformance: 354, 374, 349
#[test]
fn two_transports_keep_a_udp_flow_from_both_ends() {
    let (mut world, hosts) = world(Config::default, Keep::new().required(), "udp");
    let mut mapped = Vec::new();
    let end = world.network().now() + seconds(3_600);
    while let Some((host, event)) = world.next_event_by(end) {
        match event {
            Event::MappedAddress {
                mapped: address, ..
            } => mapped.push((host, address)),
            Event::Request { .. } | Event::Response { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    mapped.sort();
    let expected = [
        (hosts[0], addr("192.0.2.1:5060")),
        (hosts[1], addr("192.0.2.2:5060")),
    ];
    assert_eq!(mapped, expected);
    for host in hosts {
        let stats = world.machine(host).stats();
        assert!(stats.pings_out >= 124, "{stats:?}");
        // At most the last one is under way.
        assert!(stats.pongs_in + 1 >= stats.pings_out && stats.pongs_missed == 0);
        assert!(stats.stun_answers >= 124);
    }
}

// conformance: 342, 355, 411
#[test]
fn two_transports_keep_a_stream_from_both_ends() {
    for transport in ["tcp", "ws"] {
        let (mut world, hosts) = world(Config::default, Keep::new().required(), transport);
        let end = world.network().now() + seconds(7_900);
        while let Some((_, event)) = world.next_event_by(end) {
            let fine = matches!(
                event,
                Event::Request { .. }
                    | Event::ConnectionOpened { .. }
                    | Event::SendCompleted { .. }
            );
            assert!(fine, "{event:?}");
        }
        for host in hosts {
            let stats = world.machine(host).stats();
            assert!(
                stats.pings_out >= 65 && stats.pongs_missed == 0,
                "{stats:?}"
            );
            assert!(stats.pongs_in + 1 >= stats.pings_out);
        }
    }
}

// design.md §6
#[test]
fn a_dead_peer_is_noticed_on_every_protocol() {
    for (transport, within) in [("udp", 29 + 40), ("tcp", 120 + 10), ("ws", 120 + 10)] {
        let (mut world, hosts) = world(Config::default, Keep::new().required(), transport);
        // Some keep-alives are answered.
        let cut = world.network().now() + seconds(600);
        while world.next_event_by(cut).is_some() {}
        world.network_mut().cut(hosts[0], hosts[1]);
        let mut dead = Vec::new();
        while let Some((host, event)) = world.next_event_by(cut + seconds(within)) {
            if matches!(event, Event::FlowDead { .. }) {
                dead.push(host);
            }
        }
        dead.sort();
        assert_eq!(dead, hosts, "{transport}");
    }
}

// A lossy network loses keep-alives, not flows.
// conformance: 379
#[test]
fn lost_stun_requests_are_sent_again() {
    let (mut world, hosts) = world(Config::default, Keep::new().required(), "udp");
    let link = sip_transport_proto::sim::Link::default().with_loss(0.1);
    world.network_mut().set_default_link(link);
    let end = world.network().now() + seconds(1_800);
    while let Some((_, event)) = world.next_event_by(end) {
        assert!(!matches!(event, Event::FlowDead { .. }), "{event:?}");
    }
    for host in hosts {
        assert!(world.machine(host).stats().pings_out >= 55);
    }
}

#[test]
fn sends_are_told_from_keep_alives() {
    // The ids of sends go on; a keep-alive takes one of its own.
    let (mut host, _) = flow(Keep::new());
    next_datagram(&mut host);
    let message = options("sip:192.0.2.9");
    let outgoing = Outgoing::new(message, SendOptions::new());
    let now = host.now;
    let Submitted::Sent(sent) = host.transport.send(now, outgoing).unwrap() else {
        panic!()
    };
    host.drain();
    host.datagrams.clear();
    let (_, _) = next_datagram(&mut host);
    let (now, to) = (host.now, sent.remote().addr);
    host.transport
        .handle_datagram_failed(now, Some(sent.id()), to, ErrorKind::ConnectionRefused);
    host.drain();
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::SendFailed { send, .. }) if send == sent.id()
    ));
}

#[test]
fn no_flow_is_kept_for_a_message_that_never_went_out() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let mut request = options("sip:192.0.2.9");
    request.set_body(vec![b'x'; 65_507]).unwrap();
    let how = kept(Keep::new().kind(KeepKind::Crlf)).size_rule(SizeRule::PreferUdp);
    let error = host.submit(request, how.clone()).unwrap_err();
    assert!(matches!(error.cause(), SendCause::TooLarge { .. }));
    assert_eq!(host.transport.router().kept_flows(), 0);
    assert_eq!(host.deadline, None);
    // Where others keep it, it stays.
    host.send(options("sip:192.0.2.9"), how.clone());
    let mut request = options("sip:192.0.2.9");
    request.set_body(vec![b'x'; 65_507]).unwrap();
    host.submit(request, how).unwrap_err();
    assert_eq!(host.transport.router().kept_flows(), 1);
}
