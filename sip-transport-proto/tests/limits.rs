//! Limits: connections in all, of one address, without a message; bytes queued.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{Host, addr, numbered, options};
use proptest::prelude::*;
use sip_transport_proto::error::{AcceptError, CloseReason, SendCause};
use sip_transport_proto::{ChannelId, Config, ConnectionId, Event, SendOptions};

fn limited(set: impl FnOnce(&mut Config)) -> (Host, ChannelId) {
    let mut config = Config::default();
    set(&mut config);
    let mut host = Host::with(config);
    let channel = host.tcp("[::]:5060");
    (host, channel)
}

fn accept(host: &mut Host, channel: ChannelId, remote: &str) -> Result<ConnectionId, AcceptError> {
    let (now, local) = (host.now, addr("[2001:db8::1]:5060"));
    let result = host
        .transport
        .handle_accepted(now, channel, local, addr(remote));
    host.drain();
    result
}

// bad-inputs: C6
#[test]
fn one_ipv4_address_has_so_many_connections_without_a_message() {
    let (mut host, channel) = limited(|config| {
        config.max_unproven_per_ip(2).unwrap();
    });
    let first = accept(&mut host, channel, "192.0.2.9:1").unwrap();
    accept(&mut host, channel, "192.0.2.9:2").unwrap();
    let error = accept(&mut host, channel, "192.0.2.9:3").unwrap_err();
    assert_eq!(error, AcceptError::PerAddress { limit: 2 });
    // Mapped into IPv6 it is the same address.
    assert!(accept(&mut host, channel, "[::ffff:192.0.2.9]:3").is_err());
    accept(&mut host, channel, "192.0.2.10:1").unwrap();
    // A valid message makes room, and so does a close.
    host.feed(first, &numbered(1));
    let third = accept(&mut host, channel, "192.0.2.9:3").unwrap();
    assert!(accept(&mut host, channel, "192.0.2.9:4").is_err());
    host.eof(third);
    accept(&mut host, channel, "192.0.2.9:4").unwrap();
    assert_eq!(host.transport.stats().connections_limited, 3);
}

// bad-inputs: C6
#[test]
fn an_ipv6_64_counts_as_one_address() {
    let (mut host, channel) = limited(|config| {
        config.max_unproven_per_ip(2).unwrap();
    });
    accept(&mut host, channel, "[2001:db8::1]:1").unwrap();
    accept(&mut host, channel, "[2001:db8::ffff:2]:1").unwrap();
    assert!(accept(&mut host, channel, "[2001:db8::3]:1").is_err());
    accept(&mut host, channel, "[2001:db8:0:1::3]:1").unwrap();
}

// bad-inputs: C6
#[test]
fn the_oldest_connection_without_a_message_makes_room() {
    let (mut host, channel) = limited(|config| {
        config.max_connections(3).unwrap();
    });
    let proven = accept(&mut host, channel, "192.0.2.1:1").unwrap();
    host.feed(proven, &numbered(1));
    let oldest = accept(&mut host, channel, "192.0.2.2:1").unwrap();
    let younger = accept(&mut host, channel, "192.0.2.3:1").unwrap();
    accept(&mut host, channel, "192.0.2.4:1").unwrap();
    assert_eq!(host.close_reason(oldest), Some(CloseReason::Limit));
    accept(&mut host, channel, "192.0.2.5:1").unwrap();
    assert_eq!(host.close_reason(younger), Some(CloseReason::Limit));
    assert_eq!(host.close_reason(proven), None);
    assert_eq!(host.transport.router().load(), (3, 0));
}

#[test]
fn with_every_connection_in_use_a_newcomer_is_refused() {
    let (mut host, channel) = limited(|config| {
        config.max_connections(2).unwrap();
    });
    for remote in ["192.0.2.1:1", "192.0.2.2:1"] {
        let id = accept(&mut host, channel, remote).unwrap();
        host.feed(id, &numbered(1));
    }
    let error = accept(&mut host, channel, "192.0.2.3:1").unwrap_err();
    assert_eq!(error, AcceptError::Full { limit: 2 });
    let error = host.submit(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let error = error.unwrap_err();
    assert_eq!(*error.cause(), SendCause::TooManyConnections { limit: 2 });
}

#[test]
fn a_connection_of_ours_takes_the_place_of_one_without_a_message() {
    let (mut host, channel) = limited(|config| {
        config.max_connections(1).unwrap();
    });
    let id = accept(&mut host, channel, "[2001:db8::9]:1").unwrap();
    host.waits(
        options("sip:[2001:db8::8];transport=tcp"),
        SendOptions::new(),
    );
    assert_eq!(host.close_reason(id), Some(CloseReason::Limit));
    assert_eq!(host.connects.len(), 1);
}

#[test]
fn so_many_connections_may_be_without_a_message_in_all() {
    let (mut host, channel) = limited(|config| {
        config.max_unproven(2).unwrap();
    });
    let first = accept(&mut host, channel, "192.0.2.1:1").unwrap();
    let second = accept(&mut host, channel, "192.0.2.2:1").unwrap();
    accept(&mut host, channel, "192.0.2.3:1").unwrap();
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
    // Those that have sent one do not count.
    host.feed(second, &numbered(1));
    accept(&mut host, channel, "192.0.2.4:1").unwrap();
    assert_eq!(host.close_reason(second), None);
    assert_eq!(host.transport.router().load(), (3, 0));
}

#[test]
fn a_lingering_connection_makes_room_at_once() {
    let (mut host, channel) = limited(|config| {
        config.max_connections(1).unwrap();
    });
    let id = accept(&mut host, channel, "192.0.2.1:1").unwrap();
    host.feed(id, b"\r\n\r\n");
    host.eof(id);
    assert!(!host.transport.transmit(id).is_empty(), "it lingers");
    accept(&mut host, channel, "192.0.2.2:1").unwrap();
    assert_eq!(host.transport.router().load(), (1, 0));
    // Why it was closed stays the reason.
    assert_eq!(host.close_reason(id), Some(CloseReason::Peer));
}

#[test]
fn a_malformed_message_proves_nothing() {
    let (mut host, channel) = limited(|config| {
        config.max_unproven_per_ip(1).unwrap();
    });
    let id = accept(&mut host, channel, "192.0.2.9:1").unwrap();
    let text = String::from_utf8(numbered(1)).unwrap();
    host.feed(
        id,
        text.replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE").as_bytes(),
    );
    host.feed(id, b"\r\n\r\n");
    assert!(accept(&mut host, channel, "192.0.2.9:2").is_err());
}

/// Sends to 192.0.2.9 until one is refused; gives how many bytes were taken and why it ended.
fn fill(host: &mut Host) -> (usize, SendCause) {
    for _ in 0..10_000 {
        let result = host.submit(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
        if let Err(error) = result {
            return (
                host.transport.router().queued_bytes(),
                error.cause().clone(),
            );
        }
    }
    panic!("no limit");
}

fn v4_limited(set: impl FnOnce(&mut Config)) -> Host {
    let mut config = Config::default();
    set(&mut config);
    let mut host = Host::with(config);
    host.tcp("192.0.2.1:5060");
    host
}

// bad-inputs: C9
#[test]
fn a_peer_that_does_not_read_fills_its_own_queue_only() {
    let mut host = v4_limited(|config| {
        config.send_queue(10_000).unwrap();
    });
    let first = host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let id = host.connected("192.0.2.1:40000");
    host.completed(first).unwrap();
    let (queued, cause) = fill(&mut host);
    assert_eq!(cause, SendCause::QueueFull { limit: 10_000 });
    assert!(queued <= 10_000 && queued > 9_000, "{queued}");
    assert_eq!(queued, host.transport.transmit(id).len());
    assert_eq!(host.transport.stats().send_queue_full, 1);
    // Another one is not touched by it, and the first has room again once it reads.
    host.waits(options("sip:192.0.2.8;transport=tcp"), SendOptions::new());
    host.written(id);
    host.send(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
}

#[test]
fn what_waits_for_a_connection_to_open_is_limited_too() {
    let mut host = v4_limited(|config| {
        config.send_queue(10_000).unwrap();
    });
    let (queued, cause) = fill(&mut host);
    assert_eq!(cause, SendCause::QueueFull { limit: 10_000 });
    assert!(queued <= 10_000 && queued > 9_000, "{queued}");
    // Refused or waiting, each ends once.
    let waiting = host.transport.router().load();
    assert_eq!(waiting, (1, 0));
    host.refuse();
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

#[test]
fn an_accepted_connection_without_a_message_has_a_queue_of_its_own_size() {
    let mut config = Config::default();
    config.unproven_send_queue(2_000).unwrap();
    let mut host = Host::with(config);
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:5060");
    let (queued, cause) = fill(&mut host);
    assert_eq!(cause, SendCause::QueueFull { limit: 2_000 });
    assert!(queued <= 2_000);
    host.feed(id, &numbered(1));
    host.send(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
}

#[test]
fn all_queues_together_have_a_limit() {
    let mut host = v4_limited(|config| {
        config.total_send_queue(5_000).unwrap();
    });
    host.waits(options("sip:192.0.2.8;transport=tcp"), SendOptions::new());
    let other = host.connected("192.0.2.1:40000");
    let (queued, cause) = fill(&mut host);
    assert_eq!(cause, SendCause::QueueFull { limit: 5_000 });
    assert!(queued <= 5_000 && queued > 4_000, "{queued}");
    // What one of them writes, another may queue.
    host.written(other);
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
}

#[test]
fn a_connection_that_makes_room_gives_its_bytes_back() {
    let mut config = Config::default();
    config.max_connections(1).unwrap();
    let mut host = Host::with(config);
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:5060");
    let sent = host.send(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    assert!(host.transport.router().queued_bytes() > 0);
    host.waits(options("sip:192.0.2.8;transport=tcp"), SendOptions::new());
    let lost =
        |event: &Event| matches!(event, Event::SendFailed { send, .. } if *send == sent.id());
    assert!(host.events.iter().any(lost));
    assert_eq!(host.close_reason(id), Some(CloseReason::Limit));
    host.refuse();
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever peers do, the counts stay within the limits and end at nothing.
    #[test]
    fn limits_hold_in_any_order_of_things(
        steps in prop::collection::vec((0usize..5, 0usize..12, 0u8..4), 1..120),
    ) {
        let (mut host, channel) = limited(|config| {
            config.max_connections(8).unwrap();
            config.max_unproven(5).unwrap();
            config.max_unproven_per_ip(3).unwrap();
        });
        let mut ids = Vec::new();
        for (port, (step, which, peer)) in steps.into_iter().enumerate() {
            let chosen = ids.get(which).copied();
            match (step, chosen) {
                (0 | 1, _) => {
                    let remote = format!("192.0.2.{peer}:{}", port + 1);
                    ids.extend(accept(&mut host, channel, &remote).ok());
                }
                (2, Some(id)) => host.feed(id, &numbered(port)),
                (3, Some(id)) => host.eof(id),
                (4, Some(id)) => {
                    host.transport.handle_error(id, ErrorKind::ConnectionReset);
                    host.drain();
                }
                _ => {}
            }
            let (connections, _) = host.transport.router().load();
            prop_assert!(connections <= 8);
        }
        for id in ids {
            host.eof(id);
        }
        prop_assert_eq!(host.transport.router().load(), (0, 0));
        // All room is free again.
        for peer in 0..5 {
            let remote = format!("198.51.100.{peer}:1");
            prop_assert!(accept(&mut host, channel, &remote).is_ok());
        }
    }
}
