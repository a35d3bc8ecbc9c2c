//! Deadlines: of connecting, of messages, of idling, of peers that do not read; and their pause.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use common::{Host, addr, numbered, options, wire_request};
use sip_transport_proto::error::{AttemptCause, CloseReason};
use sip_transport_proto::parts::{Connection, ConnectionEvent, Notice, Router};
use sip_transport_proto::{
    ChannelConfig, Config, ConnectionId, Deadline, Event, Protocol, SendOptions,
};

const SECOND: Duration = Duration::from_secs(1);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn accepted() -> (Host, ConnectionId) {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    (host, id)
}

/// An accepted connection that has brought a valid message.
fn proven() -> (Host, ConnectionId) {
    let (mut host, id) = accepted();
    host.feed(id, &numbered(1));
    host.take_events();
    (host, id)
}

fn closed_by(host: &mut Host, id: ConnectionId) -> Option<Deadline> {
    match host.close_reason(id) {
        Some(CloseReason::Deadline(deadline)) => Some(deadline),
        Some(other) => panic!("{other}"),
        None => None,
    }
}

// conformance: 185
#[test]
fn connecting_takes_ten_seconds_at_most_for_each_target() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let send = host.waits(options("sip:example.com;transport=tcp"), SendOptions::new());
    host.resolve(&["192.0.2.7", "192.0.2.8"]);
    let (first, ..) = host.connects.pop_front().unwrap();
    host.pass(seconds(10) - Duration::from_nanos(1));
    assert!(host.connects.is_empty());
    host.pass(Duration::from_nanos(1));
    assert_eq!(closed_by(&mut host, first), Some(Deadline::Connect));
    assert_eq!(host.connects[0].1, addr("192.0.2.8:5060"));
    host.pass(seconds(10));
    let error = host.completed(send).unwrap_err();
    let late = AttemptCause::Deadline(Deadline::Connect);
    assert!(error.tried().iter().all(|attempt| attempt.cause == late));
    assert_eq!(error.tried().len(), 2);
    // Late word of success opens nothing.
    let now = host.now;
    host.transport
        .handle_connected(now, first, addr("192.0.2.1:40000"));
    host.drain();
    assert_eq!(host.transport.router().load(), (0, 0));
    assert_eq!(host.deadline, None);
}

// bad-inputs: C6, R8
#[test]
fn an_accepted_connection_must_bring_a_valid_message_within_twenty_seconds() {
    let (mut host, id) = accepted();
    host.pass(seconds(20) - Duration::from_nanos(1));
    assert_eq!(closed_by(&mut host, id), None);
    host.pass(Duration::from_nanos(1));
    assert_eq!(closed_by(&mut host, id), Some(Deadline::FirstMessage));
    assert_eq!(host.transport.stats().deadlines, 1);
}

// bad-inputs: F12
#[test]
fn neither_pings_nor_malformed_messages_count_as_the_first_one() {
    let (mut host, id) = accepted();
    let bad = String::from_utf8(numbered(1))
        .unwrap()
        .replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE");
    for _ in 0..19 {
        host.pass(SECOND);
        host.feed(id, b"\r\n\r\n");
        host.feed(id, bad.as_bytes());
        host.written(id);
    }
    host.pass(SECOND);
    assert_eq!(closed_by(&mut host, id), Some(Deadline::FirstMessage));
}

#[test]
fn a_valid_message_ends_the_wait_for_the_first_one() {
    let (mut host, id) = accepted();
    host.pass(seconds(19));
    host.feed(id, &numbered(1));
    host.pass(seconds(100));
    assert_eq!(closed_by(&mut host, id), None);
}

#[test]
fn a_connection_opened_by_us_need_not_bring_a_message() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let id = host.connected("192.0.2.1:40000");
    host.written(id);
    host.pass(seconds(60));
    assert_eq!(closed_by(&mut host, id), None);
}

// conformance: 147
#[test]
fn a_message_takes_twenty_seconds_at_most_however_it_trickles() {
    let (mut host, id) = proven();
    let message = numbered(2);
    // A byte every tenth of a second never gets there.
    for byte in message.iter().take(199) {
        host.feed(id, &[*byte]);
        host.pass(Duration::from_millis(100));
    }
    assert_eq!(closed_by(&mut host, id), None);
    host.pass(Duration::from_millis(100));
    assert_eq!(closed_by(&mut host, id), Some(Deadline::Message));
}

#[test]
fn each_message_has_its_own_time() {
    let (mut host, id) = proven();
    for number in 0..5 {
        let message = numbered(number);
        let (first, rest) = message.split_at(50);
        host.feed(id, first);
        host.pass(seconds(19));
        // The end of one and the beginning of the next in one read.
        host.feed(id, &[rest, &message[..10]].concat());
        host.pass(seconds(19));
        host.feed(id, &message[10..]);
    }
    assert_eq!(closed_by(&mut host, id), None);
    assert_eq!(host.transport.stats().requests_in, 11);
}

#[test]
fn half_a_keep_alive_is_no_message_to_wait_for() {
    let (mut host, id) = proven();
    host.feed(id, b"\r");
    host.pass(seconds(60));
    assert_eq!(closed_by(&mut host, id), None);
    host.feed(id, b"\n\r\n");
    assert_eq!(host.written(id), b"\r\n");
}

// RFC 3261 §18; conformance: 90, 391
#[test]
fn an_idle_connection_is_closed_after_longer_than_a_registration() {
    let (mut host, id) = proven();
    host.pass(seconds(3_900) - Duration::from_nanos(1));
    assert_eq!(closed_by(&mut host, id), None);
    host.pass(Duration::from_nanos(1));
    assert_eq!(closed_by(&mut host, id), Some(Deadline::Idle));
}

#[test]
fn messages_and_keep_alives_either_way_keep_a_connection() {
    let (mut host, id) = proven();
    for _ in 0..3 {
        host.pass(seconds(3_000));
        host.feed(id, &numbered(2));
        host.pass(seconds(3_000));
        host.feed(id, b"\r\n");
        host.pass(seconds(3_000));
        let wish = SendOptions::new().connection(id);
        host.send(options("sip:192.0.2.9"), wish);
        host.written(id);
    }
    assert_eq!(closed_by(&mut host, id), None);
}

#[test]
fn bytes_of_a_message_that_is_never_complete_are_no_activity() {
    let mut config = Config::default();
    config.message_timeout(seconds(5_000)).unwrap();
    let mut host = Host::with(config);
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    host.pass(seconds(2_000));
    host.feed(id, &numbered(2)[..50]);
    host.pass(seconds(1_900));
    assert_eq!(closed_by(&mut host, id), Some(Deadline::Idle));
}

// bad-inputs: C9
#[test]
fn a_peer_that_reads_nothing_for_twenty_seconds_is_closed() {
    let (mut host, id) = proven();
    let wish = SendOptions::new().connection(id);
    let sent = host.send(options("sip:192.0.2.9"), wish.clone());
    host.pass(seconds(19));
    // More to write is no progress.
    let second = host.send(options("sip:192.0.2.9"), wish);
    host.pass(SECOND);
    let lost: Vec<_> = host
        .events
        .iter()
        .filter_map(|event| match event {
            Event::SendFailed { send, .. } => Some(*send),
            _ => None,
        })
        .collect();
    assert_eq!(lost, [sent.id(), second.id()]);
    assert_eq!(closed_by(&mut host, id), Some(Deadline::Write));
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

#[test]
fn a_slow_reader_is_none_that_does_not_read() {
    let (mut host, id) = proven();
    host.send(options("sip:192.0.2.9"), SendOptions::new().connection(id));
    while !host.transport.transmit(id).is_empty() {
        host.pass(seconds(19));
        let now = host.now;
        host.transport.handle_written(now, id, 100);
        host.drain();
    }
    host.pass(seconds(60));
    assert_eq!(closed_by(&mut host, id), None);
}

#[test]
fn the_last_bytes_have_two_seconds() {
    let (mut host, id) = proven();
    host.send(options("sip:192.0.2.9"), SendOptions::new().connection(id));
    let now = host.now;
    host.transport.close(now, id);
    host.drain();
    host.pass(seconds(2) - Duration::from_nanos(1));
    assert!(host.close_reason(id).is_none());
    host.pass(Duration::from_nanos(1));
    // Why it was closed stays the reason.
    assert_eq!(host.close_reason(id), Some(CloseReason::Application));
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

#[test]
fn being_told_the_time_early_and_often_changes_nothing() {
    let (mut host, id) = accepted();
    for _ in 0..199 {
        host.now += Duration::from_millis(100);
        let now = host.now;
        host.transport.handle_timeout(now);
        host.drain();
    }
    assert_eq!(closed_by(&mut host, id), None);
    host.pass(Duration::from_millis(100));
    assert_eq!(closed_by(&mut host, id), Some(Deadline::FirstMessage));
}

#[test]
fn a_late_clock_fires_every_deadline_that_has_passed() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let ids: Vec<_> = (1..=5)
        .map(|port| host.accept(channel, "192.0.2.1:5060", &format!("192.0.2.9:{port}")))
        .collect();
    host.now += seconds(1_000);
    let now = host.now;
    host.transport.handle_timeout(now);
    host.drain();
    for id in ids {
        assert_eq!(closed_by(&mut host, id), Some(Deadline::FirstMessage));
    }
}

/// A connection's machine by itself, as an adapter has it.
fn machine() -> (Instant, Router, Connection) {
    let mut router = Router::new(Config::default(), [1; 32]);
    let config = ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:5060"));
    let channel = router.add_channel(config).unwrap();
    let now = Instant::now();
    let (local, remote) = (addr("192.0.2.1:5060"), addr("192.0.2.9:33333"));
    let mut machine = router.accept(now, channel, local, remote).unwrap();
    while machine.poll_event(now).is_some() {}
    (now, router, machine)
}

#[test]
fn while_we_do_not_read_the_peer_is_not_late() {
    let (start, _router, mut machine) = machine();
    machine.pause(start + seconds(5));
    assert_eq!(machine.poll_timeout(), None);
    machine.handle_timeout(start + seconds(1_000));
    assert!(!machine.is_closed());
    machine.resume(start + seconds(1_000));
    // Fifteen of its twenty seconds are left.
    let at = start + seconds(1_015);
    assert_eq!(machine.poll_timeout(), Some((at, Deadline::FirstMessage)));
    machine.handle_timeout(at);
    assert!(machine.is_closed());
}

#[test]
fn a_message_has_as_long_after_a_pause_as_was_left_before() {
    let (start, _router, mut machine) = machine();
    let data = numbered(1);
    assert_eq!(
        machine.handle_data(start, &[&data, &data[..20]].concat()),
        data.len() + 20
    );
    while machine.poll_event(start).is_some() {}
    machine.pause(start + seconds(19));
    machine.pause(start + seconds(50));
    machine.resume(start + seconds(100));
    machine.resume(start + seconds(150));
    let at = start + seconds(101);
    assert_eq!(machine.poll_timeout(), Some((at, Deadline::Message)));
}

#[test]
fn a_paused_connection_goes_on_writing_and_must_be_read() {
    let (start, _router, mut machine) = machine();
    machine.handle_data(start, b"\r\n\r\n");
    while machine.poll_event(start).is_some() {}
    machine.pause(start);
    assert_eq!(machine.transmit(), b"\r\n");
    let behind = start + SECOND;
    assert_eq!(machine.poll_timeout(), Some((behind, Deadline::Behind)));
    machine.handle_timeout(behind);
    let event = machine.poll_control(behind);
    let since_start = Notice::behind(Some(start));
    assert!(matches!(event, Some(ConnectionEvent::Notice(notice)) if notice == since_start));
    let stalled = start + seconds(20);
    assert_eq!(machine.poll_timeout(), Some((stalled, Deadline::Write)));
    machine.handle_written(behind, 2);
    let event = machine.poll_control(behind);
    let no_longer = Notice::behind(None);
    assert!(matches!(event, Some(ConnectionEvent::Notice(notice)) if notice == no_longer));
    assert_eq!(machine.poll_timeout(), None);
}

#[test]
fn control_events_pass_messages_by() {
    let (start, _router, mut machine) = machine();
    machine.handle_data(start, &[numbered(1), numbered(2)].concat());
    assert!(machine.poll_control(start).is_none(), "a message is none");
    machine.handle_error(ErrorKind::ConnectionReset);
    assert!(matches!(
        machine.poll_control(start),
        Some(ConnectionEvent::Closed)
    ));
}

#[test]
fn a_full_buffer_takes_no_more_until_it_is_read() {
    let (start, _router, mut machine) = machine();
    let data = wire_request("SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1", "").repeat(1_000);
    let capacity = machine.recv_capacity();
    assert_eq!(machine.handle_data(start, &data), capacity);
    assert_eq!(machine.recv_capacity(), 0);
    assert_eq!(machine.handle_data(start, &data), 0);
    let mut messages = 0;
    while let Some(event) = machine.poll_event(start) {
        messages += usize::from(matches!(
            event,
            ConnectionEvent::Event(Event::Request { .. })
        ));
    }
    assert_eq!(messages, capacity / (data.len() / 1_000));
    assert!(machine.recv_capacity() > 0);
}
