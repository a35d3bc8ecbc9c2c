//! What is counted, by channel and in all.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::time::Duration;

use common::{Host, addr, numbered, ok, options, tcp, to, udp, wire_request, wire_response};
use proptest::prelude::*;
use sip_transport_proto::{ChannelId, Config, Event, Keep, SendOptions, Stats};

const VIA: &str = "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1";

fn of(host: &Host, channel: ChannelId) -> Stats {
    let all = host.transport.router().channel_stats();
    let mut found = all.filter(|(endpoint, _)| endpoint.channel == Some(channel));
    found.next().unwrap().1
}

/// The counts of broken rules by reason, without their sum.
fn reasons(stats: &Stats) -> Vec<(&'static str, u64)> {
    let replies = |name: &str| name.starts_with("malformed_replies");
    let of = |name: &str| name.starts_with("malformed_") && !replies(name);
    stats.counters().filter(|(name, _)| of(name)).collect()
}

#[test]
fn every_field_comes_with_its_name_once() {
    let stats = Stats::default();
    let names: Vec<_> = stats.counters().chain(stats.gauges()).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    // All fields are numbers of eight bytes.
    assert_eq!(names.len() * 8, size_of::<Stats>());
    let debug = format!("{stats:?}");
    assert!(names.iter().all(|(name, _)| debug.contains(name)));
}

#[test]
fn a_message_is_counted_on_its_channel_by_kind_direction_and_bytes() {
    let mut host = Host::new();
    let channels = [host.udp("192.0.2.1:5060"), host.udp("192.0.2.1:5070")];
    let [here, there] = channels;
    let data = wire_request(VIA, "");
    let request = host.request(here, "192.0.2.9:5060", &data).request;
    let answer = host.send(ok(&request), SendOptions::new());
    let asked = host.send(options("sip:192.0.2.9"), SendOptions::new().channel(there));
    let response = wire_response(&common::header(asked.bytes(), "Via"));
    assert!(matches!(
        host.datagram(there, "192.0.2.9:5060", &response),
        Some(Event::Response { .. })
    ));

    let stats = of(&host, here);
    assert_eq!((stats.requests_in, stats.responses_in), (1, 0));
    assert_eq!((stats.requests_out, stats.responses_out), (0, 1));
    assert_eq!(stats.bytes_in, data.len() as u64);
    assert_eq!(stats.bytes_out, answer.bytes().len() as u64);
    let stats = of(&host, there);
    assert_eq!((stats.requests_in, stats.responses_in), (0, 1));
    assert_eq!((stats.requests_out, stats.responses_out), (1, 0));
    assert_eq!(stats.bytes_in, response.len() as u64);
    assert_eq!(stats.bytes_out, asked.bytes().len() as u64);
    let all = host.transport.stats();
    assert_eq!((all.messages_in, all.messages_out), (2, 2));
}

#[test]
fn a_broken_rule_is_counted_by_its_kind() {
    let good = String::from_utf8(wire_request(VIA, "")).unwrap();
    let cases = [
        ("malformed_incomplete", good.trim_end().to_owned()),
        (
            "malformed_incomplete",
            good.replace("Length: 0", "Length: 9"),
        ),
        (
            "malformed_start_line",
            good.replace("SIP/2.0\r\n", "SIP/9\r\n"),
        ),
        (
            "malformed_start_line",
            good.replacen("OPTIONS sip:a@192.0.2.1 ", "OPTIONS ", 1),
        ),
        (
            "malformed_request_uri",
            good.replacen("sip:a@192.0.2.1 ", "sip:@ ", 1),
        ),
        ("malformed_bytes", good.replacen("70\r\n", "70\n", 1)),
        ("malformed_bytes", good.replacen("70\r\n", "7\u{1}0\r\n", 1)),
        (
            "malformed_header_line",
            good.replacen("Max-Forwards:", "Max-Forwards", 1),
        ),
        (
            "malformed_too_large",
            good.replacen("70\r\n", &format!("70\r\nX: {}\r\n", "x".repeat(17_000)), 1),
        ),
        (
            "malformed_content_length",
            good.replacen("Length: 0", "Length: x", 1),
        ),
        ("malformed_missing", good.replacen("Call-ID: c1\r\n", "", 1)),
        (
            "malformed_repeated",
            good.replacen("Call-ID: c1\r\n", "Call-ID: c1\r\nCall-ID: c1\r\n", 1),
        ),
        ("malformed_value", good.replacen("CSeq: 1", "CSeq: one", 1)),
        (
            "malformed_value",
            good.replacen("1 OPTIONS\r\n", "1 INVITE\r\n", 1),
        ),
    ];
    for (name, data) in cases {
        let mut host = Host::new();
        let channel = host.udp("192.0.2.1:5060");
        let event = host.datagram(channel, "192.0.2.9:5060", data.as_bytes());
        assert!(matches!(event, Some(Event::Malformed { .. })), "{name}");
        let stats = of(&host, channel);
        let counted = reasons(&stats).into_iter().filter(|(_, count)| *count > 0);
        assert_eq!(counted.collect::<Vec<_>>(), [(name, 1)], "{data}");
        assert_eq!(stats.malformed, 1);
    }
}

#[test]
fn what_a_removed_channel_has_counted_stays_in_the_sum() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5070");
    let mut before = host.transport.stats();
    for round in 1..=3 {
        let channel = host.udp("192.0.2.1:5060");
        host.request(channel, "192.0.2.9:5060", &wire_request(VIA, ""));
        let now = host.now;
        host.transport.remove_channel(now, channel).unwrap();
        host.drain();
        let after = host.transport.stats();
        assert_eq!(after.requests_in, round);
        assert!(after.bytes_in > before.bytes_in);
        assert_eq!(host.transport.router().channel_stats().count(), 1);
        before = after;
    }
}

#[test]
fn the_connections_of_a_removed_channel_are_counted_to_their_end() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    host.send(options("sip:x.example"), to(tcp("192.0.2.9:33333")));
    let now = host.now;
    host.transport.remove_channel(now, channel).unwrap();
    host.drain();
    assert_eq!(host.transport.stats().closing, 1);
    assert!(host.transport.stats().queued_bytes > 0);
    host.written(id);
    let stats = host.transport.stats();
    assert_eq!((stats.closing, stats.closed, stats.queued_bytes), (0, 1, 0));
}

#[test]
fn a_connection_is_counted_in_the_state_that_it_is_in() {
    let states = |stats: Stats| {
        let Stats {
            connecting,
            handshaking,
            open,
            closing,
            ..
        } = stats;
        [connecting, handshaking, open, closing]
    };
    let sides = |stats: Stats| {
        [
            stats.connections_accepted,
            stats.connections_opened,
            stats.silent,
        ]
    };
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    assert_eq!(states(of(&host, channel)), [1, 0, 0, 0]);
    assert_eq!(sides(of(&host, channel)), [0, 1, 0]);
    let waiting = of(&host, channel).queued_bytes;
    assert!(waiting > 0);
    let ours = host.connected("192.0.2.1:40000");
    assert_eq!(states(of(&host, channel)), [0, 0, 1, 0]);
    let queued = host.transport.transmit(ours).len() as u64;
    assert_eq!(of(&host, channel).queued_bytes, queued);

    let theirs = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    assert_eq!(states(of(&host, channel)), [0, 0, 2, 0]);
    assert_eq!(sides(of(&host, channel)), [1, 1, 1]);
    host.feed(theirs, &numbered(1));
    assert_eq!(sides(of(&host, channel)), [1, 1, 0]);

    let now = host.now;
    host.transport.close(now, ours);
    host.drain();
    assert_eq!(states(of(&host, channel)), [0, 0, 1, 1]);
    host.written(ours);
    host.eof(theirs);
    assert_eq!(states(of(&host, channel)), [0; 4]);
    assert_eq!(sides(of(&host, channel)), [0; 3]);
    assert_eq!(of(&host, channel).queued_bytes, 0);
}

#[test]
fn sends_that_wait_and_flows_that_are_kept_are_counted() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    host.waits(options("sip:example.com"), SendOptions::new());
    assert_eq!(host.transport.stats().sends_waiting, 1);
    host.resolve(&[]);
    assert_eq!(host.transport.stats().sends_waiting, 0);
    let mut peer = udp("192.0.2.9:5060");
    peer.channel = Some(channel);
    let keep = Keep::new();
    let now = host.now;
    host.transport.keep(now, &peer, keep).unwrap();
    host.drain();
    assert_eq!(host.transport.stats().kept_flows, 1);
    host.pass(Duration::from_secs(30));
    assert_eq!(of(&host, channel).pings_out, 1);
    host.transport.stop_keeping(host.now, &peer);
    assert_eq!(host.transport.stats().kept_flows, 0);
}

#[test]
fn stun_answers_over_the_rate_are_counted_as_left_out() {
    let mut config = Config::default();
    config.stun_answers_per_second(3).unwrap();
    let mut host = Host::with(config);
    let channel = host.udp("192.0.2.1:5060");
    let mut binding = [0; 20];
    binding[1] = 1;
    binding[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
    for network in 0..5 {
        let remote = format!("198.51.{network}.9:5060");
        host.datagram(channel, &remote, &binding);
    }
    let stats = of(&host, channel);
    assert_eq!((stats.stun_answers, stats.stun_answers_suppressed), (3, 2));
}

#[derive(Clone, Debug)]
enum Step {
    Datagram(usize, u8),
    Send(usize),
    Accept(u16),
    Feed(u8),
    Write,
    Leave,
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..3, any::<u8>()).prop_map(|(channel, cut)| Step::Datagram(channel, cut)),
        (0_usize..3).prop_map(Step::Send),
        (1_u16..9).prop_map(Step::Accept),
        any::<u8>().prop_map(Step::Feed),
        Just(Step::Write),
        Just(Step::Leave),
        (0_usize..4).prop_map(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Counts only grow, the sum is that of its parts, nothing is left when all is over.
    #[test]
    fn the_books_balance(steps in prop::collection::vec(step(), 1..40)) {
        let mut host = Host::new();
        let mut channels = vec![
            host.udp("192.0.2.1:5060"),
            host.udp("192.0.2.1:5070"),
            host.udp("192.0.2.2:5060"),
        ];
        let listener = host.tcp("192.0.2.1:5060");
        let mut connections = Vec::new();
        let mut removed = false;
        let mut before = host.transport.stats();
        for step in steps {
            let now = host.now;
            match step {
                Step::Datagram(at, cut) => {
                    let mut data = wire_request(VIA, "");
                    let keep = data.len() - usize::from(cut).min(data.len() - 1) / 2;
                    data.truncate(keep);
                    if let Some(&channel) = channels.get(at) {
                        host.datagram(channel, "192.0.2.9:5060", &data);
                    }
                }
                Step::Send(at) => {
                    if let Some(&channel) = channels.get(at) {
                        let options_for = SendOptions::new().channel(channel);
                        drop(host.submit(options("sip:192.0.2.9"), options_for));
                    }
                }
                Step::Accept(port) => {
                    let remote = addr(&format!("192.0.2.9:{port}"));
                    let local = addr("192.0.2.1:5060");
                    let accepted = host.transport.handle_accepted(now, listener, local, remote);
                    connections.extend(accepted);
                    host.drain();
                }
                Step::Feed(cut) => {
                    if let Some(&id) = connections.last() {
                        let data = numbered(1);
                        host.feed(id, &data[usize::from(cut).min(data.len()) / 8..]);
                    }
                }
                Step::Write => {
                    if let Some(&id) = connections.last() {
                        host.written(id);
                    }
                }
                Step::Leave => {
                    if let Some(id) = connections.pop() {
                        host.eof(id);
                    }
                }
                Step::Remove(at) => {
                    let id = match channels.len() {
                        n if at < n => channels.remove(at),
                        _ if at == 3 => listener,
                        _ => continue,
                    };
                    removed |= host.transport.remove_channel(now, id).is_ok();
                    host.drain();
                }
            }
            let after = host.transport.stats();
            for ((name, old), (_, new)) in before.counters().zip(after.counters()) {
                prop_assert!(old <= new, "{name}");
            }
            let by_reason: u64 = reasons(&after).iter().map(|(_, count)| count).sum();
            prop_assert_eq!(after.malformed, by_reason);
            if !removed {
                let mut sum = Stats::default();
                host.transport.router().channel_stats().for_each(|(_, stats)| sum += stats);
                prop_assert_eq!(sum, after);
            }
            before = after;
        }
        let now = host.now;
        host.transport.shutdown(now);
        host.drain();
        host.pass(Duration::from_secs(5));
        for (name, value) in host.transport.stats().gauges() {
            prop_assert_eq!(value, 0, "{}", name);
        }
    }
}
