//! What one source of datagrams can take from the others, and what it cannot.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{Host, addr, wire_request};
use proptest::prelude::*;
use sip_transport_proto::parts::Router;
use sip_transport_proto::{ChannelConfig, Config, Event, Protocol, Stats, Transmit};

const BINDING: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
const VIA: &str = "SIP/2.0/UDP host.example;branch=z9hG4bK1;rport";
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A request that lacks nothing but a right CSeq.
fn bad() -> Vec<u8> {
    let good = wire_request(VIA, "Subject: a long enough one\r\n");
    let text = String::from_utf8(good).unwrap();
    text.replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE").into()
}

/// An address in a network (/24) of its own.
fn source(number: usize) -> String {
    format!("10.{}.{}.9:5060", number / 256, number % 256)
}

fn answers(host: &mut Host) -> Vec<Transmit> {
    host.datagrams.drain(..).map(|(_, answer)| answer).collect()
}

/// The settings and counters of one kind of answer.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Stun,
    Malformed,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Stun, Self::Malformed];

    fn host(self, per_second: u32, seed: u8) -> Host {
        let mut config = Config::default();
        match self {
            Self::Stun => config.stun_answers_per_second(per_second).unwrap(),
            Self::Malformed => config.malformed_replies_per_second(per_second).unwrap(),
        };
        Host::seeded(config, seed)
    }

    fn request(self) -> Vec<u8> {
        match self {
            Self::Stun => BINDING.to_vec(),
            Self::Malformed => bad(),
        }
    }

    fn counts(self, stats: Stats) -> (u64, u64) {
        match self {
            Self::Stun => (stats.stun_answers, stats.stun_answers_suppressed),
            Self::Malformed => (stats.malformed_replies, stats.malformed_replies_suppressed),
        }
    }
}

// RFC 3261 §26.3.2.4, RFC 5626 §4.4.2
#[test]
fn a_source_that_sends_22_000_requests_a_second_costs_others_no_answer() {
    floods(Kind::Stun, 22, 5_000);
}

#[test]
fn a_source_that_sends_2_000_malformed_requests_a_second_costs_others_no_reply() {
    floods(Kind::Malformed, 2, 100);
}

/// So many requests in each of 4,000 milliseconds, under the rate that is default.
fn floods(kind: Kind, each: u32, per_second: u32) {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let request = kind.request();
    let (mut flooder, mut others) = (0_u32, 0);
    for at in 0..4_000 {
        for _ in 0..each {
            host.datagram(channel, "203.0.113.66:5060", &request);
        }
        flooder += u32::try_from(answers(&mut host).len()).unwrap();
        if at % 100 == 0 {
            host.datagram(channel, &source(at / 100), &request);
            others += answers(&mut host).len();
        }
        host.now += MILLISECOND;
    }
    assert_eq!(others, 40);
    // A sixteenth at once, and again in each second.
    assert_eq!(flooder, per_second.div_ceil(16) * 5 - 1);
    let (answered, left_out) = (u64::from(flooder) + 40, u64::from(4_000 * each - flooder));
    assert_eq!(kind.counts(host.transport.stats()), (answered, left_out));
}

#[test]
fn the_addresses_of_one_network_are_one_source() {
    for kind in Kind::ALL {
        for (addresses, expected) in [
            (["192.0.2.1:1", "192.0.2.255:2"], 10),
            (["192.0.2.1:1", "192.0.3.1:1"], 20),
            (["[2001:db8:0:1::1]:1", "[2001:db8:0:ff::2]:2"], 10),
            (["[2001:db8:0:1::1]:1", "[2001:db8:0:100::1]:1"], 20),
            (["192.0.2.1:1", "[::ffff:192.0.2.7]:1"], 10),
        ] {
            let mut host = kind.host(160, 1);
            let local = addr("[::]:5060");
            let channel = host.channel(ChannelConfig::new(Protocol::Udp, local).dual_stack(true));
            for _ in 0..50 {
                for address in addresses {
                    host.datagram(channel, address, &kind.request());
                }
            }
            assert_eq!(answers(&mut host).len(), expected, "{kind:?} {addresses:?}");
        }
    }
}

#[test]
fn an_exempt_network_has_the_total_to_itself() {
    for kind in Kind::ALL {
        let mut config = Config::default();
        config.stun_answers_per_second(160).unwrap();
        config.malformed_replies_per_second(160).unwrap();
        config.per_ip_exempt(["192.0.2.0/25".parse().unwrap()]);
        let mut host = Host::with(config);
        let channel = host.udp("198.51.100.1:5060");
        for (from, expected) in [("192.0.2.200:1", 10), ("192.0.2.9:1", 150)] {
            for _ in 0..1_000 {
                host.datagram(channel, from, &kind.request());
            }
            assert_eq!(answers(&mut host).len(), expected, "{kind:?}");
        }
    }
}

#[test]
fn who_floods_starves_hardly_anybody_by_the_chance_of_the_hash() {
    // Of 1,024 buckets a source has two: it shares both with one in 1,024 · 1,023 / 2.
    const SOURCES: usize = 1_000;
    let kind = Kind::Stun;
    let refused = |flooders: usize, seed| {
        let mut host = kind.host(16_000, seed);
        let channel = host.udp("192.0.2.1:5060");
        let flood = |host: &mut Host| {
            // A sixteenth for each, and some more.
            for number in 0..flooders {
                for _ in 0..1_010 {
                    host.datagram(channel, &source(20_000 + number), BINDING);
                }
            }
        };
        flood(&mut host);
        answers(&mut host);
        for number in 0..SOURCES {
            host.datagram(channel, &source(number), BINDING);
        }
        SOURCES - answers(&mut host).len()
    };
    let one: usize = (0..8).map(|seed| refused(1, seed)).sum();
    let twelve: usize = (0..2).map(|seed| refused(12, seed)).sum();
    println!("starved: {one} of 8,000 by one source, {twelve} of 2,000 by twelve");
    // Expected: 8,000 · 2 / (1,024 · 1,023) = 0.015, and 2,000 · (24 · 23) / (1,024 · 1,023) = 1.05.
    assert!(one <= 1, "{one}");
    assert!(twelve <= 8, "{twelve}");
}

#[test]
fn sockets_on_different_threads_keep_to_one_total() {
    let mut config = Config::default();
    config.stun_answers_per_second(1_000).unwrap();
    let mut router = Router::new(config, [1; 32]);
    let local = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060")).sockets(4);
    let channel = router.add_channel(local).unwrap();
    let now = Host::new().now;
    let sockets = [0, 1, 2, 3].map(|at| router.datagram_socket(channel.socket(at)).unwrap());
    let answered: usize = std::thread::scope(|scope| {
        let threads = sockets.map(|mut socket| {
            scope.spawn(move || {
                for number in 0..4_000 {
                    let from = addr(&source(number % 200));
                    assert!(socket.handle_datagram(now, from, None, BINDING).is_none());
                }
                std::iter::from_fn(|| socket.poll_transmit()).count()
            })
        });
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!(answered, 1_000);
    let stats = router.stats();
    assert_eq!(
        (stats.stun_answers, stats.stun_answers_suppressed),
        (1_000, 15_000)
    );
}

/// Whether in no span of time there was more than a rate and its burst allow.
fn keeps_to(times: &[Instant], per_second: f64, burst: f64) -> bool {
    times.iter().enumerate().all(|(from, first)| {
        times.iter().enumerate().skip(from).all(|(to, last)| {
            let span = last.duration_since(*first).as_secs_f64();
            (to - from + 1) as f64 <= burst + span * per_second + 1e-6
        })
    })
}

/// Who is answered when, of these steps: so many milliseconds later, that source asks.
fn run(kind: Kind, per_second: u32, steps: &[(u64, usize)]) -> Vec<(Instant, usize)> {
    let mut host = kind.host(per_second, 1);
    let channel = host.udp("192.0.2.1:5060");
    let request = kind.request();
    let mut answered = Vec::new();
    for (later, number) in steps {
        host.now += MILLISECOND * u32::try_from(*later).unwrap();
        host.datagram(channel, &source(*number), &request);
        for answer in answers(&mut host) {
            assert_eq!(answer.destination, addr(&source(*number)));
            answered.push((host.now, *number));
        }
    }
    answered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn never_more_than_the_total_nor_one_source_more_than_its_share(
        malformed in any::<bool>(),
        per_second in 1_u32..100,
        steps in prop::collection::vec((0_u64..60, 0_usize..24), 1..300),
    ) {
        let kind = if malformed { Kind::Malformed } else { Kind::Stun };
        let answered = run(kind, per_second, &steps);
        let times: Vec<_> = answered.iter().map(|(at, _)| *at).collect();
        let total = f64::from(per_second);
        prop_assert!(keeps_to(&times, total, total));
        let share = f64::from(per_second.div_ceil(16));
        let mut by_source = BTreeMap::<_, Vec<_>>::new();
        for (at, number) in answered {
            by_source.entry(number).or_default().push(at);
        }
        for times in by_source.values() {
            prop_assert!(keeps_to(times, share, share));
        }
    }

    #[test]
    fn below_the_total_a_source_gets_what_it_would_get_alone(
        steps in prop::collection::vec((0_u64..60, 0_usize..8), 1..160),
    ) {
        // No more than the burst of all, so that nothing but its share limits a source.
        let all = run(Kind::Stun, 160, &steps);
        for wanted in 0..8 {
            let mut waited = 0;
            let mut alone = Vec::new();
            for (later, number) in &steps {
                waited += later;
                if *number == wanted {
                    alone.push((std::mem::take(&mut waited), wanted));
                }
            }
            let alone = run(Kind::Stun, 160, &alone).len();
            prop_assert_eq!(all.iter().filter(|(_, number)| *number == wanted).count(), alone);
        }
    }
}

// A rate for messages.

fn limited(per_second: u32, burst: u32) -> ChannelConfig {
    let channel = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060"));
    channel.messages_per_source(per_second, burst)
}

fn is_limit(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::SourceLimited { .. }))
}

// RFC 3261 §26.3.2.4
#[test]
fn what_a_source_sends_over_its_rate_is_dropped_unread_and_told_of_once() {
    let mut host = Host::new();
    let channel = host.channel(limited(10, 20));
    let good = wire_request(VIA, "");
    let (mut requests, mut limits) = (0, Vec::new());
    for at in 0..3_000_u32 {
        match host.datagram(channel, "203.0.113.66:5060", &good) {
            Some(Event::Request { .. }) => requests += 1,
            Some(Event::SourceLimited { local, remote }) => limits.push((at, local, remote)),
            None => {}
            other => panic!("{other:?}"),
        }
        host.now += MILLISECOND;
    }
    // 20 at once and 10 in each of three seconds.
    assert_eq!(requests, 49);
    let [(at, local, remote)] = limits[..] else {
        panic!("{limits:?}");
    };
    assert_eq!(
        (at, local.channel, remote.addr),
        (20, Some(channel), addr("203.0.113.66:5060"))
    );
    let stats = host.transport.stats();
    assert_eq!((stats.requests_in, stats.datagrams_limited), (49, 2_951));
    // Others are read, and so is it once it has been quiet.
    assert!(host.datagram(channel, "198.51.100.9:5060", &good).is_some());
    host.now += SECOND;
    assert!(matches!(
        host.datagram(channel, "203.0.113.66:5060", &good),
        Some(Event::Request { .. })
    ));
}

#[test]
fn a_source_is_told_of_again_after_a_minute_in_which_it_was_not_held_back() {
    let mut host = Host::new();
    let channel = host.channel(limited(1, 1));
    let told = |host: &mut Host, pause: Duration| {
        host.now += pause;
        let mut events = Vec::new();
        for _ in 0..5 {
            events.extend(host.datagram(channel, "203.0.113.66:5060", &bad()));
        }
        events.iter().filter(|event| is_limit(Some(event))).count()
    };
    assert_eq!(told(&mut host, SECOND), 1);
    // Without a pause of a minute it is the same flood.
    for _ in 0..10 {
        assert_eq!(told(&mut host, 59 * SECOND), 0);
    }
    assert_eq!(told(&mut host, 61 * SECOND), 1);
}

#[test]
fn however_many_sources_are_held_back_the_events_are_bounded() {
    let mut host = Host::new();
    let channel = host.channel(limited(1, 1));
    let mut told = 0;
    for number in 0..10_000 {
        for _ in 0..3 {
            told += usize::from(is_limit(
                host.datagram(channel, &source(number), &bad()).as_ref(),
            ));
        }
    }
    assert!((900..=1_024).contains(&told), "{told}");
}

#[test]
fn keep_alives_exempt_networks_and_other_channels_have_no_such_rate() {
    let mut config = Config::default();
    config.per_ip_exempt(["198.51.100.0/24".parse().unwrap()]);
    let mut host = Host::with(config);
    let channel = host.channel(limited(0, 0));
    let open = host.udp("192.0.2.1:5070");
    let good = wire_request(VIA, "");
    for _ in 0..100 {
        for keepalive in [b"\r\n\r\n", BINDING, b"\0\0\0\0"] {
            assert!(
                host.datagram(channel, "203.0.113.66:5060", keepalive)
                    .is_none()
            );
        }
    }
    assert_eq!(host.transport.stats().datagrams_limited, 0);
    for _ in 0..100 {
        host.request(channel, "198.51.100.9:5060", &good);
        host.request(open, "203.0.113.66:5060", &good);
    }
    // Zero counts as one.
    host.request(channel, "203.0.113.66:5060", &good);
    assert!(is_limit(
        host.datagram(channel, "203.0.113.66:5060", &good).as_ref()
    ));
    assert_eq!(host.transport.stats().datagrams_limited, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_source_is_read_at_its_rate_whoever_sends_beside_it(
        per_second in 1_u32..50,
        burst in 1_u32..50,
        steps in prop::collection::vec((0_u64..100, 0_usize..8), 1..200),
    ) {
        let good = wire_request(VIA, "");
        let run = |only: Option<usize>| {
            let mut host = Host::new();
            let channel = host.channel(limited(per_second, burst));
            let mut read = BTreeMap::<_, Vec<_>>::new();
            for (later, number) in &steps {
                host.now += MILLISECOND * u32::try_from(*later).unwrap();
                if only.is_some_and(|only| only != *number) {
                    continue;
                }
                if let Some(Event::Request { .. }) = host.datagram(channel, &source(*number), &good) {
                    read.entry(*number).or_default().push(host.now);
                }
            }
            read
        };
        for (number, times) in run(None) {
            prop_assert!(keeps_to(&times, f64::from(per_second), f64::from(burst)));
            let alone = run(Some(number));
            prop_assert_eq!(alone[&number].len(), times.len());
        }
    }
}
