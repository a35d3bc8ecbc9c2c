//! Limits: connections in all, of one address, without a message; bytes queued.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::io::ErrorKind;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Host, addr, ip, numbered, options};
use proptest::prelude::*;
use sip_transport_proto::error::{AcceptError, CloseReason, SendCause};
use sip_transport_proto::parts::{Notice, Router, RouterOutput};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, ConnectionInfo, ConnectionState, Event,
    Outgoing, Protocol, SendOptions, Submitted,
};

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
fn an_address_at_its_limit_replaces_its_own_oldest_silent_connection() {
    let (mut host, channel) = limited(|config| {
        config.max_connections_per_ip(3).unwrap();
    });
    let other = accept(&mut host, channel, "192.0.2.10:1").unwrap();
    let heard = accept(&mut host, channel, "192.0.2.9:1").unwrap();
    host.feed(heard, &numbered(1));
    let oldest = accept(&mut host, channel, "192.0.2.9:2").unwrap();
    let younger = accept(&mut host, channel, "192.0.2.9:3").unwrap();
    accept(&mut host, channel, "192.0.2.9:4").unwrap();
    assert_eq!(host.close_reason(oldest), Some(CloseReason::Limit));
    // Mapped into IPv6 it is the same address.
    let mapped = accept(&mut host, channel, "[::ffff:192.0.2.9]:5").unwrap();
    assert_eq!(host.close_reason(younger), Some(CloseReason::Limit));
    // What closes leaves room.
    host.eof(mapped);
    accept(&mut host, channel, "192.0.2.9:6").unwrap();
    for id in [other, heard] {
        assert_eq!(host.close_reason(id), None);
    }
    assert_eq!(host.transport.stats().connections_limited, 2);
}

// bad-inputs: C6
#[test]
fn an_address_at_its_limit_with_all_in_use_gets_no_more_and_one_that_idles_is_replaced() {
    let (mut host, channel) = limited(|config| {
        config.max_connections_per_ip(2).unwrap();
    });
    let all = [1, 2].map(|port| {
        let id = accept(&mut host, channel, &format!("192.0.2.9:{port}")).unwrap();
        host.feed(id, &numbered(port));
        host.pass(Duration::from_secs(1));
        id
    });
    let error = accept(&mut host, channel, "192.0.2.9:3").unwrap_err();
    assert_eq!(error, AcceptError::PerAddress { limit: 2 });
    let text = error.to_string();
    assert!(text.contains("max_connections_per_ip"), "{text}");
    accept(&mut host, channel, "192.0.2.10:1").unwrap();
    host.pass(Duration::from_secs(100));
    accept(&mut host, channel, "192.0.2.9:3").unwrap();
    assert_eq!(host.close_reason(all[0]), Some(CloseReason::Limit));
    assert_eq!(host.close_reason(all[1]), None);
    let stats = host.transport.stats();
    assert_eq!((stats.idle_evicted, stats.connections_limited), (1, 2));
}

// bad-inputs: C6
#[test]
fn an_ipv6_64_counts_as_one_address() {
    let (mut host, channel) = limited(|config| {
        config.max_connections_per_ip(2).unwrap();
    });
    let first = accept(&mut host, channel, "[2001:db8::1]:1").unwrap();
    accept(&mut host, channel, "[2001:db8::ffff:2]:1").unwrap();
    accept(&mut host, channel, "[2001:db8:0:1::3]:1").unwrap();
    assert_eq!(host.close_reason(first), None);
    accept(&mut host, channel, "[2001:db8::3]:1").unwrap();
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
}

#[test]
fn one_address_may_have_an_eighth_of_all_connections() {
    let (mut host, channel) = limited(|config| {
        config.max_connections(16).unwrap();
    });
    let first = accept(&mut host, channel, "192.0.2.1:1").unwrap();
    accept(&mut host, channel, "192.0.2.1:2").unwrap();
    assert_eq!(host.close_reason(first), None);
    accept(&mut host, channel, "192.0.2.1:3").unwrap();
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
}

// bad-inputs: C6
#[test]
fn the_oldest_connection_without_a_message_makes_room() {
    let (mut host, channel) = limited(|config| {
        config.max_connections(3).unwrap();
        config.max_silent(3).unwrap();
    });
    let heard = accept(&mut host, channel, "192.0.2.1:1").unwrap();
    host.feed(heard, &numbered(1));
    let oldest = accept(&mut host, channel, "192.0.2.2:1").unwrap();
    let younger = accept(&mut host, channel, "192.0.2.3:1").unwrap();
    accept(&mut host, channel, "192.0.2.4:1").unwrap();
    assert_eq!(host.close_reason(oldest), Some(CloseReason::Limit));
    accept(&mut host, channel, "192.0.2.5:1").unwrap();
    assert_eq!(host.close_reason(younger), Some(CloseReason::Limit));
    assert_eq!(host.close_reason(heard), None);
    assert_eq!(host.transport.router().load(), (3, 0));
}

// bad-inputs: C6
#[test]
fn connections_from_exempt_networks_count_as_from_an_address_each() {
    let (mut host, channel) = limited(|config| {
        config.max_connections_per_ip(2).unwrap();
        config.max_silent(5).unwrap();
        let networks = ["192.0.2.0/28", "2001:db8:5::/48"];
        config.per_ip_exempt(networks.map(|network| network.parse().unwrap()));
    });
    let first = accept(&mut host, channel, "192.0.2.15:1").unwrap();
    for remote in ["[::ffff:192.0.2.15]:3", "[2001:db8:5::1]:1"] {
        accept(&mut host, channel, remote).unwrap();
    }
    // An address that has two makes room before they do.
    let two = [1, 2].map(|port| accept(&mut host, channel, &format!("192.0.2.16:{port}")).unwrap());
    accept(&mut host, channel, "192.0.2.15:4").unwrap();
    assert_eq!(host.close_reason(two[0]), Some(CloseReason::Limit));
    // Among those that have one, the oldest does.
    accept(&mut host, channel, "192.0.2.15:5").unwrap();
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
    assert_eq!(host.close_reason(two[1]), None);
}

// bad-inputs: C6
#[test]
fn the_application_decides_before_anything_counts() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let (mut host, channel) = limited(|config| {
        config.max_connections_per_ip(1).unwrap();
        config.accept_filter(move |local, remote| {
            log.lock().unwrap().push((local, remote));
            remote.addr.port() != 666
        });
    });
    for _ in 0..3 {
        let error = accept(&mut host, channel, "192.0.2.9:666").unwrap_err();
        assert_eq!(error, AcceptError::Filtered);
    }
    accept(&mut host, channel, "192.0.2.9:1").unwrap();
    let stats = host.transport.stats();
    assert_eq!((stats.accepts_filtered, stats.accepted), (3, 1));
    assert_eq!(stats.connections_limited, 0);
    assert_eq!(host.closes, [], "nothing was opened");
    let asked = asked.lock().unwrap();
    let (local, remote) = &asked[0];
    assert_eq!(local.to_string(), "tcp:[2001:db8::1]:5060");
    assert_eq!(remote.to_string(), "tcp:192.0.2.9:666");
    assert_eq!((local.channel, asked.len()), (Some(channel), 4));
}

/// Three connections that have brought a message, in order of their age.
fn three_in_use(set: impl FnOnce(&mut Config)) -> (Host, ChannelId, [ConnectionId; 3]) {
    let (mut host, channel) = limited(|config| {
        config.max_connections(3).unwrap();
        set(config);
    });
    let all = [1, 2, 3].map(|peer| {
        let id = accept(&mut host, channel, &format!("192.0.2.{peer}:1")).unwrap();
        host.feed(id, &numbered(peer));
        host.pass(Duration::from_secs(1));
        id
    });
    (host, channel, all)
}

// bad-inputs: C6; conformance: 147
#[test]
fn with_none_silent_the_longest_idle_connection_makes_room() {
    let (mut host, channel, [first, second, third]) = three_in_use(|_| {});
    host.pass(Duration::from_secs(100));
    // A message of theirs or of ours is activity; a keep-alive, which anybody can send, is none.
    host.feed(first, &numbered(9));
    host.feed(third, b"\r\n\r\n");
    host.written(third);
    host.pass(Duration::from_secs(1));
    let wish = SendOptions::new().connection(second);
    host.send(options("sip:192.0.2.2;transport=tcp"), wish);
    host.written(second);
    let newcomer = accept(&mut host, channel, "192.0.2.4:1").unwrap();
    assert_eq!(host.close_reason(third), Some(CloseReason::Limit));
    let stats = host.transport.stats();
    assert_eq!((stats.idle_evicted, stats.connections_limited), (1, 1));
    // Those who bring nothing take the place of one another, and of nobody else.
    host.pass(Duration::from_secs(100));
    accept(&mut host, channel, "192.0.2.5:1").unwrap_or_else(|error| panic!("{error}"));
    for id in [first, second] {
        assert_eq!(host.close_reason(id), None);
    }
    assert!(host.close_reason(newcomer).is_some());
    assert_eq!(host.transport.router().load(), (3, 0));
}

// RFC 3261 §18: a connection outlives the transactions that use it; bad-inputs: C6
#[test]
fn what_transactions_may_still_use_makes_no_room_for_another_of_its_address() {
    let (mut host, channel, all) = three_in_use(|config| {
        config.max_connections_per_ip(3).unwrap();
    });
    host.pass(Duration::from_secs(30));
    let error = accept(&mut host, channel, "192.0.2.3:2").unwrap_err();
    assert_eq!(error, AcceptError::Full { limit: 3 });
    let text = error.to_string();
    assert!(text.contains("max_connections"), "{text}");
    for id in all {
        assert_eq!(host.close_reason(id), None);
    }
    // An address that has none yet is let in all the same: else those that are there could keep it
    // out.
    accept(&mut host, channel, "192.0.2.4:1").unwrap();
    let closed = all.map(|id| host.close_reason(id));
    assert_eq!(closed, [Some(CloseReason::Limit), None, None]);
}

#[test]
fn a_connection_of_ours_takes_the_place_of_the_longest_idle() {
    let (mut host, _, [first, ..]) = three_in_use(|_| {});
    host.pass(Duration::from_secs(100));
    host.waits(
        options("sip:[2001:db8::8];transport=tcp"),
        SendOptions::new(),
    );
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
    assert_eq!(host.connects.len(), 1);
}

proptest! {
    /// What is known of activity is as exact as 1/128 of the idle timeout.
    #[test]
    fn the_time_of_the_last_activity_is_known(pauses in prop::collection::vec(0u64..60_000, 1..40)) {
        let (mut host, channel) = limited(|_| {});
        let id = accept(&mut host, channel, "192.0.2.9:1").unwrap();
        let grain = Duration::from_secs(3_900) / 128;
        for (number, pause) in pauses.into_iter().enumerate() {
            host.feed(id, &numbered(number));
            let carried = host.now;
            host.pass(Duration::from_millis(pause));
            let info = host.transport.router().connection(id).unwrap();
            prop_assert!(info.active <= carried && info.active + grain >= carried);
        }
    }
}

#[test]
fn connections_are_listed_with_what_is_known_of_them() {
    let mut host = v4_limited(|_| {});
    let channel = host.transport.router().channels().next().unwrap().0;
    let begun = host.now;
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let list = |host: &Host| -> Vec<_> { host.transport.connections().collect() };
    let [info] = &list(&host)[..] else {
        panic!("one connection");
    };
    assert_eq!(info.state, ConnectionState::Opening);
    assert!((info.silent, info.accepted, info.since) == (false, false, begun));
    assert!(info.queued > 0, "the message waits");
    assert_eq!((info.connected, info.opened), (None, None));
    let ours = host.connected("192.0.2.1:40000");
    host.pass(Duration::from_secs(1));
    let theirs = host.accept(channel, "192.0.2.1:5060", "192.0.2.8:33333");
    let [first, second] = &list(&host)[..] else {
        panic!("two connections");
    };
    assert_eq!((first.id, first.state), (ours, ConnectionState::Open));
    assert_eq!(first.queued, host.transport.transmit(ours).len());
    assert_eq!((second.id, second.accepted), (theirs, true));
    assert_eq!(second.since, begun + Duration::from_secs(1));
    assert_eq!((second.silent, second.queued), (true, 0));
    // What is queued is still written.
    assert!(host.transport.close(host.now, ours));
    assert_eq!(list(&host)[0].state, ConnectionState::Closing);
    assert!(!host.transport.close(host.now, ours));
    host.written(ours);
    assert_eq!(list(&host).len(), 1);
}

#[test]
fn trusted_connections_in_use_make_room_for_nobody() {
    let (mut host, channel, all) = three_in_use(|_| {});
    for id in all {
        assert!(host.transport.trust(id));
        assert!(host.transport.router().connection(id).unwrap().trusted);
    }
    assert_eq!(host.transport.stats().trusted, 3);
    let error = accept(&mut host, channel, "192.0.2.4:1").unwrap_err();
    assert_eq!(error, AcceptError::Full { limit: 3 });
    let error = host.submit(
        options("sip:[2001:db8::8];transport=tcp"),
        SendOptions::new(),
    );
    let error = error.unwrap_err();
    assert_eq!(*error.cause(), SendCause::TooManyConnections { limit: 3 });
    assert_eq!(all.map(|id| host.close_reason(id)), [None; 3]);
    host.eof(all[0]);
    assert_eq!(host.transport.stats().trusted, 2);
    assert!(!host.transport.trust(all[0]), "there is none any more");
}

#[test]
fn trusted_connections_make_room_last_and_the_longest_idle_first() {
    let (mut host, channel, [first, second, third]) = three_in_use(|_| {});
    for id in [first, second] {
        assert!(host.transport.trust(id));
    }
    host.pass(Duration::from_secs(100));
    host.feed(third, &numbered(9));
    let fourth = accept(&mut host, channel, "192.0.2.4:1").unwrap();
    assert_eq!(host.close_reason(third), Some(CloseReason::Limit));
    host.feed(fourth, &numbered(10));
    assert!(host.transport.trust(fourth));
    // A keep-alive is activity of a trusted one.
    host.feed(first, b"\r\n\r\n");
    host.written(first);
    accept(&mut host, channel, "192.0.2.5:1").unwrap();
    let closed = [first, second, fourth].map(|id| host.close_reason(id));
    assert_eq!(closed, [None, Some(CloseReason::Limit), None]);
}

#[test]
fn trusted_connections_count_towards_no_address() {
    let (mut host, channel) = limited(|config| {
        config.max_connections_per_ip(2).unwrap();
        config.max_silent(2).unwrap();
    });
    let mut all = Vec::new();
    for port in 1..6 {
        let id = accept(&mut host, channel, &format!("192.0.2.9:{port}")).unwrap();
        assert!(host.transport.trust(id));
        all.push(id);
    }
    let silent =
        [6, 7].map(|port| accept(&mut host, channel, &format!("192.0.2.9:{port}")).unwrap());
    accept(&mut host, channel, "192.0.2.9:8").unwrap();
    assert_eq!(host.close_reason(silent[0]), Some(CloseReason::Limit));
    all.push(silent[1]);
    assert!(all.iter().all(|id| host.close_reason(*id).is_none()));
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
fn a_quarter_of_all_connections_may_be_silent() {
    let (mut host, channel) = limited(|config| {
        config.max_connections(8).unwrap();
    });
    let first = accept(&mut host, channel, "192.0.2.1:1").unwrap();
    accept(&mut host, channel, "192.0.2.2:1").unwrap();
    assert_eq!(host.close_reason(first), None);
    accept(&mut host, channel, "192.0.2.3:1").unwrap();
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
}

#[test]
fn so_many_connections_may_be_without_a_message_in_all() {
    let (mut host, channel) = limited(|config| {
        config.max_silent(2).unwrap();
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
fn after_a_malformed_message_a_connection_is_silent_still() {
    let (mut host, channel) = limited(|_| {});
    let id = accept(&mut host, channel, "192.0.2.9:1").unwrap();
    let text = String::from_utf8(numbered(1)).unwrap();
    host.feed(
        id,
        text.replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE").as_bytes(),
    );
    host.feed(id, b"\r\n\r\n");
    assert!(host.transport.router().connection(id).unwrap().silent);
    host.feed(id, &numbered(2));
    assert!(!host.transport.router().connection(id).unwrap().silent);
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
    config.silent_send_queue(2_000).unwrap();
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

/// Two peers that read nothing, and fill all the room for bytes; the second for as long as it
/// takes from `pause` on.
fn two_behind(pause: Duration) -> (Host, [ConnectionId; 2]) {
    let mut host = v4_limited(|config| {
        config.total_send_queue(5_000).unwrap();
    });
    let all = [9, 8].map(|peer| {
        let uri = format!("sip:192.0.2.{peer};transport=tcp");
        host.waits(options(&uri), SendOptions::new());
        let id = host.connected(&format!("192.0.2.1:4000{peer}"));
        host.pass(pause);
        id
    });
    let (_, cause) = fill(&mut host);
    assert_eq!(cause, SendCause::QueueFull { limit: 5_000 });
    (host, all)
}

fn send_to_another(host: &mut Host) -> Result<(), SendCause> {
    let result = host.submit(options("sip:192.0.2.7;transport=tcp"), SendOptions::new());
    result.map(drop).map_err(|error| error.cause().clone())
}

// bad-inputs: C9
#[test]
fn where_all_queues_are_full_the_peer_behind_for_longest_makes_room() {
    let (mut host, [first, second]) = two_behind(Duration::from_secs(2));
    // The send that finds no room fails, and so may the one that has it made.
    let _ = send_to_another(&mut host);
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
    assert_eq!(send_to_another(&mut host), Ok(()));
    assert_eq!(host.close_reason(second), None);
    let stats = host.transport.stats();
    assert_eq!((stats.behind_evicted, stats.connections_limited), (1, 1));
}

#[test]
fn the_send_that_has_a_connection_closed_does_not_go_over_it() {
    let (mut host, [first, second]) = two_behind(Duration::from_secs(2));
    host.written(second);
    let over_it = SendOptions::new().connection(first);
    let result = host.submit(options("sip:192.0.2.7;transport=tcp"), over_it);
    assert_eq!(host.close_reason(first), Some(CloseReason::Limit));
    // There would be room for it again; it waits for a connection to its own target.
    assert!(matches!(result, Ok(Submitted::Waiting(_))), "{result:?}");
}

// bad-inputs: C9
#[test]
fn a_peer_that_takes_a_byte_now_and_then_is_behind_all_the_same() {
    let mut host = v4_limited(|config| {
        config.total_send_queue(5_000).unwrap();
    });
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let trickles = host.connected("192.0.2.1:40000");
    for _ in 0..30 {
        host.pass(Duration::from_millis(500));
        host.transport.handle_written(host.now, trickles, 1);
        host.drain();
    }
    host.waits(options("sip:192.0.2.8;transport=tcp"), SendOptions::new());
    let stands = host.connected("192.0.2.1:40001");
    host.pass(Duration::from_secs(2));
    fill(&mut host);
    let _ = send_to_another(&mut host);
    assert_eq!(host.close_reason(trickles), Some(CloseReason::Limit));
    assert_eq!(host.close_reason(stands), None);
}

#[test]
fn a_peer_that_keeps_up_does_not_make_room_for_bytes() {
    // Nobody has been behind for a second yet.
    let (mut host, all) = two_behind(Duration::ZERO);
    for _ in 0..3 {
        let (_, cause) = fill(&mut host);
        assert_eq!(cause, SendCause::QueueFull { limit: 5_000 });
    }
    assert_eq!(host.transport.stats().behind_evicted, 0);
    // Who has caught up is behind no more.
    host.pass(Duration::from_secs(2));
    for id in all {
        host.written(id);
    }
    for _ in 0..2 {
        fill(&mut host);
    }
    assert_eq!(all.map(|id| host.close_reason(id)), [None, None]);
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
    // bad-inputs: C6
    #[test]
    fn limits_hold_in_any_order_of_things(
        steps in prop::collection::vec((0usize..7, any::<usize>(), 0u8..4), 1..120),
    ) {
        let (mut host, channel) = limited(small);
        let mut ids = Vec::new();
        for (port, (step, which, peer)) in steps.into_iter().enumerate() {
            let chosen = ids.get(which.checked_rem(ids.len()).unwrap_or(0)).copied();
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
                (5, _) => {
                    let uri = format!("sip:[2001:db8::{peer}]:{};transport=tcp", port + 1);
                    let _ = host.submit(options(&uri), SendOptions::new());
                    ids.extend(host.connects.pop_front().map(|(id, ..)| id));
                }
                _ => host.pass(Duration::from_secs(u64::from(peer) * 7)),
            }
            within_limits(host.transport.router())?;
        }
        for id in ids {
            host.transport.handle_error(id, ErrorKind::ConnectionReset);
            host.drain();
        }
        prop_assert_eq!(host.transport.router().load(), (0, 0));
        prop_assert_eq!(host.transport.router().queued_bytes(), 0);
        // All room is free again.
        for peer in 0..5 {
            let remote = format!("198.51.100.{peer}:1");
            prop_assert!(accept(&mut host, channel, &remote).is_ok());
        }
    }

    /// The same of the router alone, which hears of the ends of its connections late.
    // bad-inputs: C6
    #[test]
    fn limits_hold_however_late_connections_end(
        steps in prop::collection::vec((0usize..10, any::<usize>(), 0u8..4), 1..200),
    ) {
        let mut config = Config::default();
        small(&mut config);
        let mut router = Router::new(config, [1; 32]);
        let local = addr("[2001:db8::1]:5060");
        let channel = ChannelConfig::new(Protocol::Tcp, local);
        let channel = router.add_channel(channel).unwrap();
        let mut now = Host::new().now;
        let mut ids = Vec::new();
        for (port, (step, which, peer)) in steps.into_iter().enumerate() {
            let at = which.checked_rem(ids.len()).unwrap_or(0);
            match (step, ids.get(at).copied()) {
                (0..3, _) => {
                    let remote = addr(&format!("192.0.2.{peer}:{}", port + 1));
                    let accepted = router.accept(now, channel, local, remote);
                    ids.extend(accepted.ok().map(|machine| machine.id()));
                }
                (3, _) => {
                    let uri = format!("sip:[2001:db8::{peer}]:{};transport=tcp", port + 1);
                    let _ = router.send(now, Outgoing::new(options(&uri), SendOptions::new()));
                    ids.extend(router.take_machine().map(|machine| machine.id()));
                }
                (4, Some(id)) if peer > 2 => assert!(router.trust(id) || !lives(&router, id)),
                (4, Some(id)) => router.handle_notice(now, id, Notice::first_message()),
                (5, Some(id)) => drop(router.close(id)),
                (6, Some(id)) => router.handle_notice(now, id, Notice::active()),
                (7, Some(id)) => router.handle_notice(now, id, Notice::behind((peer > 1).then_some(now))),
                (8, Some(id)) => {
                    router.handle_notice(now, id, Notice::closed(CloseReason::Peer));
                    ids.swap_remove(at);
                }
                _ => now += Duration::from_secs(u64::from(peer) * 20),
            }
            while router.poll_output().is_some() {}
            within_limits(&router)?;
        }
        for id in ids {
            router.handle_notice(now, id, Notice::closed(CloseReason::Peer));
            // What comes late is about nothing.
            router.handle_notice(now, id, Notice::active());
            router.handle_notice(now, id, Notice::behind(Some(now)));
            router.handle_notice(now, id, Notice::first_message());
            assert!(!router.trust(id));
            router.handle_notice(now, id, Notice::closed(CloseReason::Peer));
        }
        prop_assert_eq!(router.load(), (0, 0));
        // Each address has all of its room.
        for peer in 0..4 {
            let remote = addr(&format!("192.0.2.{peer}:1"));
            let all: Vec<_> = (0..5)
                .map(|_| router.accept(now, channel, local, remote).unwrap().id())
                .collect();
            let kept = all.iter().filter(|id| lives(&router, **id)).count();
            prop_assert_eq!(kept, if peer == EXEMPT { 5 } else { 3 });
            all.into_iter().for_each(|id| router.handle_notice(now, id, Notice::closed(CloseReason::Peer)));
            while let Some(output) = router.poll_output() {
                if let RouterOutput::Command { connection, .. } = output {
                    router.handle_notice(now, connection, Notice::closed(CloseReason::Peer));
                }
            }
        }
    }
}

/// The last number of the address that may have as many connections as there may be.
const EXEMPT: u8 = 3;

fn small(config: &mut Config) {
    config.max_connections(8).unwrap();
    config.max_silent(5).unwrap();
    config.max_connections_per_ip(3).unwrap();
    config.per_ip_exempt(["192.0.2.3/32".parse().unwrap()]);
}

fn lives(router: &Router, id: ConnectionId) -> bool {
    let info = router.connection(id);
    info.is_some_and(|info| info.state != ConnectionState::Closing)
}

fn within_limits(router: &Router) -> Result<(), TestCaseError> {
    let live = |info: &ConnectionInfo| info.state != ConnectionState::Closing;
    let all: Vec<_> = router.connections().filter(live).collect();
    prop_assert!(all.len() <= 8, "{all:?}");
    let silent = all.iter().filter(|info| info.silent).count();
    prop_assert!(silent <= 5, "{all:?}");
    let trusted = all.iter().filter(|info| info.trusted).count();
    prop_assert_eq!(router.stats().trusted, trusted as u64);
    let mut of_each = BTreeMap::new();
    for info in all.iter().filter(|info| info.accepted && !info.trusted) {
        *of_each.entry(info.remote.addr.ip()).or_insert(0) += 1;
    }
    of_each.remove(&ip("192.0.2.3"));
    prop_assert!(of_each.values().all(|&count| count <= 3), "{of_each:?}");
    Ok(())
}
