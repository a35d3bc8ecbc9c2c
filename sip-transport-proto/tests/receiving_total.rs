//! How much all connections together may have received of messages that are not complete.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Host, numbered};
use proptest::prelude::*;
use sip_transport_proto::error::CloseReason;
use sip_transport_proto::{ChannelId, Config, ConnectionId, Event};

const TOTAL: usize = 64 << 10;

fn host(set: impl FnOnce(&mut Config)) -> (Host, ChannelId) {
    let mut config = Config::default();
    config.total_receive_buffer(TOTAL).unwrap();
    set(&mut config);
    let mut host = Host::with(config);
    let channel = host.tcp("192.0.2.1:5060");
    (host, channel)
}

/// A message of that many bytes.
fn long(len: usize) -> Vec<u8> {
    let empty = common::wire_request("SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1", "");
    let body = "x".repeat(len - empty.len() - 5);
    let message =
        common::wire_request_with_body("SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1", "", &body);
    assert!(message.len().abs_diff(len) < 8);
    message
}

fn closed(host: &mut Host) -> Vec<(ConnectionId, CloseReason)> {
    let closed = host
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ConnectionClosed {
                connection, reason, ..
            } => Some((connection, reason)),
            _ => None,
        });
    closed.collect()
}

fn requests(host: &mut Host) -> usize {
    let is_request = |event: &Event| matches!(event, Event::Request { .. });
    host.take_events().iter().filter(|e| is_request(e)).count()
}

#[test]
fn the_address_that_holds_most_loses_the_connection_that_has_been_receiving_for_longest() {
    let (mut host, channel) = host(|_| ());
    let message = long(10_000);
    let honest = host.accept(channel, "192.0.2.1:5060", "198.51.100.1:1");
    host.feed(honest, &message[..9_000]);
    host.pass(Duration::from_secs(1));
    let mut strangers = Vec::new();
    for port in 1..=6 {
        let id = host.accept(channel, "192.0.2.1:5060", &format!("203.0.113.9:{port}"));
        host.feed(id, &message[..9_000]);
        host.pass(Duration::from_millis(10));
        strangers.push(id);
    }
    assert_eq!(host.transport.stats().received_bytes, 63_000);
    assert_eq!(closed(&mut host), []);
    // The honest one is older, and others of its kind come.
    let newcomer = host.accept(channel, "192.0.2.1:5060", "198.51.100.2:1");
    host.feed(newcomer, &message[..9_000]);
    assert_eq!(closed(&mut host), [(strangers[0], CloseReason::Limit)]);
    let stats = host.transport.stats();
    assert_eq!((stats.receiving_evicted, stats.connections_limited), (1, 1));
    for id in [honest, newcomer] {
        host.feed(id, &message[9_000..]);
        assert_eq!(requests(&mut host), 1);
    }
    // One more of the stranger's pushes out its own.
    for port in 7..=9 {
        let id = host.accept(channel, "192.0.2.1:5060", &format!("203.0.113.9:{port}"));
        host.feed(id, &message[..9_000]);
    }
    let gone: BTreeSet<_> = closed(&mut host).into_iter().map(|(id, _)| id).collect();
    assert_eq!(gone, BTreeSet::from([strangers[1]]));
    assert!(host.transport.stats().received_bytes <= TOTAL as u64);
}

#[test]
fn the_addresses_of_one_ipv6_network_count_together_and_exempt_ones_each_by_its_connection() {
    let exempt = "2001:db8:1::/48".parse().unwrap();
    let (mut host, channel) = {
        let (mut host, _) = host(|config| {
            config.per_ip_exempt([exempt]);
        });
        let channel = host.tcp("[2001:db8::1]:5060");
        (host, channel)
    };
    let message = long(20_000);
    let begin = |host: &mut Host, remote: &str, len: usize| {
        let id = host.accept(channel, "[2001:db8::1]:5060", remote);
        host.feed(id, &message[..len]);
        host.pass(Duration::from_millis(10));
        id
    };
    // Behind an exempt address are many: together they hold more than anybody.
    for port in 1..=3 {
        begin(&mut host, &format!("[2001:db8:1::1]:{port}"), 15_000);
    }
    let first = begin(&mut host, "[2001:db8:2::1]:1", 8_000);
    begin(&mut host, "[2001:db8:2::2]:1", 8_000);
    assert_eq!(closed(&mut host), []);
    begin(&mut host, "[2001:db8:3::1]:1", 10_000);
    assert_eq!(closed(&mut host), [(first, CloseReason::Limit)]);
}

#[test]
fn one_that_holds_more_than_all_may_closes_itself_and_others_go_on() {
    let (mut host, channel) = host(|config| {
        config.total_receive_buffer(10_000).unwrap();
    });
    let message = long(20_000);
    let other = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:2");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.8:1");
    host.feed(id, &message[..15_000]);
    assert_eq!(host.close_reason(id), Some(CloseReason::Limit));
    assert_eq!(host.transport.stats().received_bytes, 0);
    host.feed(other, &numbered(1));
    assert_eq!(requests(&mut host), 1);
}

#[test]
fn what_comes_in_one_piece_counts_for_nothing() {
    let (mut host, channel) = host(|config| {
        config.total_receive_buffer(1).unwrap();
    });
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:1");
    for _ in 0..5 {
        host.feed(id, &long(60_000));
    }
    assert_eq!(requests(&mut host), 5);
    assert_eq!(host.transport.stats().receiving_evicted, 0);
}

/// What happens to one of the connections.
#[derive(Clone, Debug)]
enum Step {
    Feed(usize, usize),
    Close(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..12_usize, 1..20_000_usize).prop_map(|(at, len)| Step::Feed(at, len)),
        1 => (0..12_usize).prop_map(Step::Close),
        1 => (0..5_000_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn never_more_is_held_than_may_be_and_nothing_in_the_end(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let (mut host, channel) = host(|_| ());
        let message = long(30_000);
        // Twelve connections of four addresses; one that is gone is followed by another.
        let mut peers: Vec<Option<(ConnectionId, usize)>> = vec![None; 12];
        for step in steps {
            match step {
                Step::Feed(at, len) => {
                    let remote = format!("192.0.2.{}:{}", 10 + at % 4, at + 1);
                    let (id, fed) = peers[at].unwrap_or_else(|| {
                        (host.accept(channel, "192.0.2.1:5060", &remote), 0)
                    });
                    let end = (fed + len).min(message.len());
                    host.feed(id, &message[fed..end]);
                    peers[at] = Some((id, end % message.len()));
                }
                Step::Close(at) => {
                    if let Some((id, _)) = peers[at].take() {
                        host.transport.close(host.now, id);
                        host.drain();
                    }
                }
                Step::Pass(ms) => host.pass(Duration::from_millis(ms)),
            }
            for (gone, _) in closed(&mut host) {
                for peer in &mut peers {
                    *peer = peer.filter(|(id, _)| *id != gone);
                }
            }
            let held: usize = peers.iter().flatten().map(|(_, fed)| fed).sum();
            let stats = host.transport.stats();
            prop_assert_eq!(stats.received_bytes, held as u64);
            prop_assert!(held <= TOTAL);
        }
        for (id, _) in peers.into_iter().flatten() {
            host.transport.close(host.now, id);
        }
        host.drain();
        prop_assert_eq!(host.transport.stats().received_bytes, 0);
    }
}
