//! The machine that finds where URIs lead: what it asks for, waits for, remembers and gives up.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod zone;

use std::io;
use std::time::Duration;

use sip_transport_proto::resolve::{
    Answer, LookupKind, PlanError, Progress, Record, ResolveConfig, ResolveOutput, SrvRecord,
    Target,
};
use zone::{World, Zone, lines, text};

const SECOND: Duration = Duration::from_secs(1);

fn world(zone: &str) -> World {
    World::new(ResolveConfig::default(), zone)
}

fn limited(set: impl FnOnce(&mut ResolveConfig), zone: &str) -> World {
    let mut config = ResolveConfig::default();
    set(&mut config);
    World::new(config, zone)
}

fn first(_: usize) -> usize {
    0
}

/// What is asked for before anything is answered.
fn asked(uri: &str, can: &str) -> Vec<String> {
    let mut world = world("");
    world.start(uri, can);
    world.asked
}

// conformance: 324
#[test]
fn every_server_of_an_answer_has_its_addresses_looked_up() {
    let mut world = world(
        "_sip._udp.a.example SRV 1 1 5060 x.example
        _sip._udp.a.example SRV 1 1 5060 y.example
        _sip._udp.a.example SRV 9 1 5060 z.example
        x.example A 192.0.2.1
        y.example A 192.0.2.2
        z.example A 192.0.2.3",
    );
    let (result, _) = world.plan("sip:a.example;transport=udp", "udp4", first);
    assert_eq!(result.unwrap().len(), 3);
    for server in ["x", "y", "z"] {
        let lookup = format!("A {server}.example");
        assert!(world.asked.contains(&lookup), "{:?}", world.asked);
    }
}

// conformance: 303, 310, 327, 328
#[test]
fn naptr_srv_and_addresses_are_asked_for_together() {
    assert_eq!(
        asked("sip:A.example", "all"),
        [
            "NAPTR a.example",
            "SRV _sip._udp.a.example",
            "SRV _sip._tcp.a.example",
            "SRV _sips._tcp.a.example",
            "AAAA a.example",
            "A a.example"
        ]
    );
    assert_eq!(
        asked("sips:a.example", "all"),
        [
            "NAPTR a.example",
            "SRV _sips._tcp.a.example",
            "AAAA a.example",
            "A a.example"
        ]
    );
}

// conformance: 314
#[test]
fn with_a_port_only_addresses_are_asked_for_even_if_it_is_the_default() {
    let both = ["AAAA a.example", "A a.example"];
    assert_eq!(asked("sip:a.example:5060", "all"), both);
    assert_eq!(asked("sips:a.example:5061;transport=tcp", "all"), both);
    assert_eq!(asked("sip:a.example:5060", "udp4 tcp"), ["A a.example"]);
}

// conformance: 315, 327
#[test]
fn with_a_transport_only_its_service_is_asked_for() {
    let service = |uri| asked(uri, "all").swap_remove(0);
    let expected = [
        ("sip:a.example;transport=udp", "SRV _sip._udp.a.example"),
        ("sip:a.example;transport=tcp", "SRV _sip._tcp.a.example"),
        ("sip:a.example;transport=tls", "SRV _sips._tcp.a.example"),
        ("sips:a.example;transport=tcp", "SRV _sips._tcp.a.example"),
        ("sip:a.example;transport=ws", "SRV _sip._ws.a.example"),
        ("sips:a.example;transport=ws", "SRV _sips._ws.a.example"),
    ];
    for (uri, lookup) in expected {
        assert_eq!(service(uri), lookup);
        assert_eq!(asked(uri, "all").len(), 3, "{uri}");
    }
}

#[test]
fn nothing_is_asked_for_an_address_or_a_name_that_is_known_to_be_here_or_nowhere() {
    for uri in [
        "sip:192.0.2.1",
        "sips:[2001:db8::1]:5070",
        "sip:localhost",
        "sip:a.localhost:5070",
        "sip:df7jal23ls0d.invalid",
        "sip:df7jal23ls0d.INVALID.;transport=ws",
    ] {
        assert!(asked(uri, "all").is_empty(), "{uri}");
    }
}

#[test]
fn each_target_says_which_rules_and_records_gave_it() {
    let zone = "
        a.example NAPTR 50 60 s SIPS+D2T _sips._tcp.b.example
        _sips._tcp.b.example SRV 7 8 5062 c.example
        c.example A 192.0.2.1
        d.example A 192.0.2.2
        _sip._udp.e.example SRV 1 2 5060 c.example";
    let reason = |uri: &str| {
        let (result, _) = world(zone).plan(uri, "udp4 tcp4 tls4", first);
        result.unwrap()[0].to_string()
    };
    assert_eq!(
        reason("sip:a.example"),
        "tls:192.0.2.1:5062 for a.example \
         (NAPTR 50 60 SIPS+D2T; SRV _sips._tcp.b.example 7 8; A c.example)"
    );
    assert_eq!(
        reason("sip:e.example"),
        "udp:192.0.2.1:5060 (no NAPTR; SRV _sip._udp.e.example 1 2; A c.example)"
    );
    assert_eq!(
        reason("sip:d.example;transport=tcp"),
        "tcp:192.0.2.2:5060 (given; A d.example)"
    );
    assert_eq!(
        reason("sip:d.example"),
        "udp:192.0.2.2:5060 (default; A d.example)"
    );
    assert_eq!(
        reason("sips:192.0.2.9"),
        "tls:192.0.2.9:5061 for 192.0.2.9 (default; numeric)"
    );
    assert_eq!(
        reason("sip:localhost"),
        "udp:127.0.0.1:5060 (default; localhost)"
    );
}

// conformance: 330, 331, 332
#[test]
fn only_connections_to_one_server_that_has_both_families_race() {
    let zone = "
        _sip._tcp.b.example SRV 0 0 5060 z.example
        z.example A 192.0.2.4 192.0.2.5
        _sip._tcp.a.example SRV 0 0 5060 x.example
        _sip._tcp.a.example SRV 1 0 5060 y.example
        _sip._udp.a.example SRV 0 0 5060 x.example
        x.example A 192.0.2.1 192.0.2.2
        x.example AAAA 2001:db8::1
        y.example AAAA 2001:db8::2
        y.example A 192.0.2.3";
    let races = |uri: &str| -> Vec<_> {
        let (result, _) = world(zone).plan(uri, "all", first);
        let targets = result.unwrap();
        targets.iter().map(|t| (text(t), t.races)).collect()
    };
    let expected = [
        ("tcp [2001:db8::1]:5060", false),
        ("tcp 192.0.2.1:5060", true),
        ("tcp 192.0.2.2:5060", true),
        ("tcp [2001:db8::2]:5060", false),
        ("tcp 192.0.2.3:5060", true),
    ];
    let expected = expected.map(|(target, races)| (target.to_owned(), races));
    assert_eq!(races("sip:a.example;transport=tcp"), expected);
    assert!(
        races("sip:a.example;transport=udp")
            .iter()
            .all(|(_, races)| !races)
    );
    assert!(
        races("sip:b.example;transport=tcp")
            .iter()
            .all(|(_, races)| !races)
    );
}

// conformance: 322
#[test]
fn srv_weights_are_the_shares_of_the_draws() {
    const DRAWS: u32 = 100_032;
    const FEWER: u32 = 10_000;
    // The shares by RFC 2782: from 1 to the sum, and from 0 where a record has no weight.
    let cases: [(&[u32], &[f64], u32); 5] = [
        (&[1, 3], &[0.25, 0.75], DRAWS),
        (&[10, 30, 60], &[0.10, 0.30, 0.60], DRAWS),
        (&[0, 100], &[1.0 / 101.0, 100.0 / 101.0], DRAWS),
        (&[0, 0], &[0.5, 0.5], FEWER),
        (&[0, 0, 2], &[1.0 / 6.0, 1.0 / 6.0, 2.0 / 3.0], FEWER),
    ];
    for (weights, shares, draws) in cases {
        // One plan draws for each of several priorities, which the ports tell apart.
        let priorities = 32 / u16::try_from(weights.len()).unwrap();
        let mut zone = String::new();
        for (i, weight) in weights.iter().enumerate() {
            zone += &format!("s{i}.example A 192.0.2.{i}\n");
            for priority in 0..priorities {
                let port = 5060 + priority;
                let rest = format!("SRV {priority} {weight} {port} s{i}.example");
                zone += &format!("_sip._udp.a.example {rest}\n");
            }
        }
        let mut world = world(&zone);
        let mut counts = vec![0_u32; weights.len()];
        for _ in 0..draws / u32::from(priorities) {
            let (result, _) = world.plan("sip:a.example;transport=udp", "udp4", first);
            let targets = result.unwrap();
            assert_eq!(targets.len(), weights.len() * usize::from(priorities));
            for drawn in targets.chunks(weights.len()) {
                assert!(drawn.iter().all(|t| t.addr.port() == drawn[0].addr.port()));
                let std::net::IpAddr::V4(ip) = drawn[0].addr.ip() else {
                    unreachable!("there are no others");
                };
                counts[usize::from(ip.octets()[3])] += 1;
            }
        }
        let tolerance = if draws == DRAWS { 0.01 } else { 0.02 };
        let drawn: u32 = counts.iter().sum();
        for (count, share) in counts.iter().zip(shares) {
            let got = f64::from(*count) / f64::from(drawn);
            assert!((got - share).abs() < tolerance, "{weights:?}: {counts:?}");
            // One point is all of a small share: it must not be none of it either.
            assert!(*count > 0, "{weights:?}: {counts:?}");
        }
    }
}

#[test]
fn the_same_tokens_draw_the_same_order() {
    let zone: String = (0..20)
        .map(|i| format!("_sip._udp.a.example SRV 0 5 5060 s{i}.b\ns{i}.b A 192.0.2.{i}\n"))
        .collect();
    let plan = || {
        lines(
            &world(&zone)
                .plan("sip:a.example;transport=udp", "udp4", first)
                .0,
        )
    };
    assert_eq!(plan(), plan());
}

// conformance: 337
#[test]
fn answers_are_remembered_for_their_ttl() {
    let mut world = world("a.example A 192.0.2.1");
    let plan = |world: &mut World| lines(&world.plan("sip:A.example:5060", "udp4", first).0);
    plan(&mut world);
    world.zone = Zone::new("a.example A 192.0.2.2");
    // The zone of the tests has a TTL of 300 s.
    world.pass(299 * SECOND);
    assert_eq!(plan(&mut world), "udp 192.0.2.1:5060");
    assert_eq!(world.asked.len(), 1);
    world.pass(SECOND);
    assert_eq!(plan(&mut world), "udp 192.0.2.2:5060");
    assert_eq!(world.asked.len(), 2);
}

/// How long an answer is remembered, to the second.
fn remembered(answer: &Answer) -> Duration {
    let mut world = world("");
    world.start("sip:a.example:5060", "udp4");
    let (begin, id) = (world.now, world.first_open());
    world.resolver.answer(begin, id, answer.clone());
    let mut known = |after: Duration| {
        world.now = begin + after;
        matches!(world.start("sip:a.example:5060", "udp4"), Progress::Done(_))
    };
    let seconds: Vec<_> = (0..100_000).map(|s| s * SECOND).collect();
    seconds[seconds.partition_point(|after| known(*after))]
}

// conformance: 337
#[test]
fn ttls_have_bounds() {
    let found = |ttl| Answer::Found {
        records: vec![Record::Address([192, 0, 2, 1].into())],
        ttl: SECOND * ttl,
    };
    let not_found = |ttl: Option<u32>| Answer::NotFound {
        ttl: ttl.map(|ttl| SECOND * ttl),
    };
    assert_eq!(remembered(&found(77)), 77 * SECOND);
    assert_eq!(remembered(&found(0)), SECOND);
    assert_eq!(remembered(&found(u32::MAX)), 86_400 * SECOND);
    assert_eq!(remembered(&not_found(None)), 60 * SECOND);
    assert_eq!(remembered(&not_found(Some(9_999))), 60 * SECOND);
    assert_eq!(remembered(&not_found(Some(7))), 7 * SECOND);
    let failed = Answer::Failed(io::ErrorKind::Other);
    assert_eq!(remembered(&failed), Duration::ZERO);
}

// bad-inputs: D5
#[test]
fn a_failed_lookup_is_not_the_next_plans_failure() {
    let mut world = world(
        "a.example NAPTR fails\n_sip._udp.a.example SRV fails\n_sip._tcp.a.example SRV never",
    );
    let (result, _) = world.plan("sip:a.example", "udp4 tcp4", first);
    assert!(matches!(result, Err(PlanError::Lookup { .. })));
    world.zone = Zone::new(
        "a.example NAPTR 1 1 s SIP+D2T _sip._tcp.a.example
        _sip._tcp.a.example SRV 0 0 5060 b.example
        b.example A 192.0.2.1",
    );
    let (result, _) = world.plan("sip:a.example", "udp4 tcp4", first);
    assert_eq!(lines(&result), "tcp 192.0.2.1:5060");
}

#[test]
fn plans_share_the_lookups_that_are_open() {
    let mut world = world("a.example A 192.0.2.1");
    let plans: Vec<_> = (0..100)
        .map(|_| match world.start("sip:a.example:5060", "udp4") {
            Progress::Waiting(plan) => plan,
            done => panic!("{done:?}"),
        })
        .collect();
    assert_eq!(world.asked, ["A a.example"]);
    world.answer_all(first);
    for plan in plans {
        let result = world.result(plan).expect("each plan ends");
        assert_eq!(lines(&result), "udp 192.0.2.1:5060");
    }
    assert_eq!(world.resolver.plans(), 0);
}

// conformance: 333
#[test]
fn the_slower_family_is_waited_for_a_moment_only() {
    for (missing, there) in [("A", "AAAA 2001:db8::1"), ("AAAA", "A 192.0.2.1")] {
        let zone = format!("a.example {missing} never\na.example {there}");
        let (result, took) = world(&zone).plan("sip:a.example:5060", "all", first);
        assert_eq!(result.unwrap().len(), 1);
        assert_eq!(took, Duration::from_millis(50), "{missing}");
    }
}

#[test]
fn what_comes_after_the_first_target_is_waited_for_half_a_second_only() {
    let zone = "
        _sip._udp.a.example SRV 0 0 5060 x.example
        _sip._udp.a.example SRV 1 0 5060 y.example
        x.example A 192.0.2.1
        y.example A never
        _sip._tcp.a.example SRV never";
    let (result, took) = world(zone).plan("sip:a.example", "udp4 tcp4", first);
    assert_eq!(lines(&result), "udp 192.0.2.1:5060");
    assert_eq!(took, Duration::from_millis(500));
}

// bad-inputs: D6
#[test]
fn names_that_never_answer_end_in_time_and_others_go_on() {
    let mut world = world(
        "a.example NAPTR never
        a.example A never
        a.example AAAA never
        _sip._udp.a.example SRV never
        b.example A 192.0.2.1",
    );
    let begin = world.now;
    let Progress::Waiting(stuck) = world.start("sip:a.example", "all") else {
        panic!("nothing is known yet");
    };
    let (result, took) = world.plan("sip:b.example:5060", "udp4", first);
    assert_eq!(lines(&result), "udp 192.0.2.1:5060");
    assert_eq!(took, Duration::ZERO);
    let result = loop {
        if let Some(result) = world.result(stuck) {
            break result;
        }
        world.jump();
    };
    assert_eq!(
        lines(&result),
        "error: DNS lookup of SRV _sip._udp.a.example: no name server answered in time"
    );
    assert_eq!(world.now - begin, 2 * SECOND);
    assert_eq!(world.resolver.open_lookups(), 0);
    assert_eq!(world.resolver.deadline(), None);
}

#[test]
fn a_plan_ends_after_six_seconds_however_its_lookups_follow_each_other() {
    let mut world = limited(
        |config| {
            config.lookup_timeout(4 * SECOND).unwrap();
        },
        "a.example NAPTR 1 1 s SIP+D2U _u.b.example\na.example NAPTR 2 1 s SIP+D2T _t.b.example
        _u.b.example SRV 0 0 5060 .
        _t.b.example SRV never",
    );
    let begin = world.now;
    let Progress::Waiting(plan) = world.start("sip:a.example", "all") else {
        panic!("nothing is known yet");
    };
    // The answers of the first round come late.
    world.pass(3 * SECOND);
    let result = loop {
        world.answer_all(first);
        if let Some(result) = world.result(plan) {
            break result;
        }
        world.jump();
    };
    assert_eq!(
        lines(&result),
        "error: DNS lookup of SRV _t.b.example: no name server answered in time"
    );
    assert_eq!(world.now - begin, 6 * SECOND);
}

// bad-inputs: D2
#[test]
fn answers_that_are_late_or_repeated_or_to_nothing_change_nothing() {
    let mut world = world("");
    let Progress::Waiting(plan) = world.start("sip:a.example:5060", "udp4") else {
        panic!("nothing is known yet");
    };
    let id = world.first_open();
    world.pass(2 * SECOND);
    assert!(matches!(
        world.result(plan),
        Some(Err(PlanError::Lookup {
            error: io::ErrorKind::TimedOut,
            ..
        }))
    ));
    let answer = Answer::Found {
        records: vec![Record::Address([192, 0, 2, 1].into())],
        ttl: SECOND,
    };
    for _ in 0..2 {
        world.resolver.answer(world.now, id, answer.clone());
        assert_eq!(world.resolver.poll_output(), None);
    }
    assert_eq!(world.resolver.stats().stray_answers, 2);
    assert_eq!(world.resolver.remembered(), 0);
}

// bad-inputs: D2
#[test]
fn an_answer_after_the_plan_was_given_up_is_remembered_and_reported_to_nobody() {
    let mut world = world("a.example A 192.0.2.1");
    let Progress::Waiting(plan) = world.start("sip:a.example:5060", "udp4") else {
        panic!("nothing is known yet");
    };
    world.resolver.cancel(plan);
    world.answer_all(first);
    assert!(world.result(plan).is_none());
    assert!(matches!(
        world.start("sip:a.example:5060", "udp4"),
        Progress::Done(Ok(_))
    ));
    world.resolver.cancel(plan);
}

/// Answers every lookup with what `answer` makes of it.
fn flood(config: ResolveConfig, uri: &str, answer: impl Fn(LookupKind, &str) -> Answer) -> World {
    let mut world = World::new(config, "");
    let Progress::Waiting(_) = world.start_only(uri, "all") else {
        panic!("nothing is known yet");
    };
    loop {
        match world.resolver.poll_output() {
            Some(ResolveOutput::Lookup { id, kind, name }) => {
                world.asked.push(format!("{kind} {name}"));
                let answer = answer(kind, name.as_str());
                world.resolver.answer(world.now, id, answer);
            }
            Some(ResolveOutput::Planned { plan, result }) => {
                world.finish(plan, result);
                return world;
            }
            _ => panic!("neither lookups nor a result"),
        }
    }
}

fn many_servers(_: LookupKind, name: &str) -> Answer {
    let ttl = 60 * SECOND;
    let mut records: Vec<_> = (0..1_000)
        .map(|i| {
            Record::Srv(SrvRecord {
                priority: i,
                weight: 0,
                port: 5060 + i,
                target: format!("s{i}.{name}"),
            })
        })
        .collect();
    records.extend((0..1_000_u32).map(|i| Record::Address((0x0A00_0000 + i).to_be_bytes().into())));
    Answer::Found { records, ttl }
}

// bad-inputs: D3
#[test]
fn a_thousand_records_are_cut_to_the_limits() {
    let mut world = flood(ResolveConfig::default(), "sip:a.example", many_servers);
    let targets = world.only_result().unwrap();
    assert_eq!(targets.len(), 64);
    assert_eq!(world.asked.len(), 32);
    assert!(world.resolver.stats().over_plan_limit > 0);
    let of_one_host = targets
        .iter()
        .filter(|t| t.to_string().ends_with("s0._sip._udp.a.example)"));
    assert_eq!(of_one_host.count(), 32);
}

#[test]
fn the_limits_are_settings() {
    let mut config = ResolveConfig::default();
    config.max_lookups(10).unwrap();
    config.max_records(3).unwrap();
    config.max_targets(5).unwrap();
    let mut world = flood(config, "sip:a.example", many_servers);
    assert_eq!(world.only_result().unwrap().len(), 5);
    assert_eq!(world.asked.len(), 10);
    let mut config = ResolveConfig::default();
    assert!(config.max_lookups(0).is_err());
    assert!(config.lookup_timeout(Duration::ZERO).is_err());
}

#[test]
fn memory_of_answers_is_bounded_in_number_and_bytes() {
    let mut by_number = limited(
        |config| {
            config.cache_names(100).unwrap();
        },
        "",
    );
    for i in 0..1_000 {
        let uri = format!("sip:a{i}.example:5060");
        assert!(by_number.plan(&uri, "udp4", first).0.is_err());
        assert!(by_number.resolver.remembered() <= 100);
    }
    // The newest are the ones that stay.
    assert!(matches!(
        by_number.start("sip:a999.example:5060", "udp4"),
        Progress::Done(_)
    ));
    assert!(matches!(
        by_number.start("sip:a0.example:5060", "udp4"),
        Progress::Waiting(_)
    ));
    assert_eq!(by_number.resolver.stats().forgotten, 900);

    let mut config = ResolveConfig::default();
    config.cache_bytes(10_000).unwrap();
    let by_bytes = flood(config, "sip:a.example", many_servers);
    assert!(by_bytes.resolver.remembered() <= 10);
}

#[test]
fn open_lookups_are_bounded_for_all_plans_together() {
    let mut world = limited(
        |config| {
            config.max_open_lookups(10).unwrap();
        },
        "",
    );
    for i in 0..20 {
        let progress = world.start(&format!("sip:a{i}.example:5060"), "udp4");
        let refused = matches!(
            progress,
            Progress::Done(Err(PlanError::Lookup {
                error: io::ErrorKind::ResourceBusy,
                ..
            }))
        );
        assert_eq!(refused, i >= 10, "{progress:?}");
    }
    assert_eq!(world.resolver.open_lookups(), 10);
    world.answer_all(first);
    let (result, _) = world.plan("sip:z.example:5060", "udp4", first);
    assert!(matches!(result, Err(PlanError::NoAddress(_))));
}

const TWO_SERVERS: &str = "
    _sips._tcp.a.example SRV 0 0 5061 x.example
    _sips._tcp.a.example SRV 1 0 5061 y.example
    _sips._tcp.b.example SRV 0 0 5061 x.example
    _sips._tcp.b.example SRV 1 0 5061 y.example
    x.example A 192.0.2.1
    y.example A 192.0.2.2";

fn addresses(targets: &[Target]) -> Vec<String> {
    targets.iter().map(|t| t.addr.ip().to_string()).collect()
}

// conformance: 339
#[test]
fn a_target_that_failed_is_tried_last_for_32_seconds() {
    let mut world = world(TWO_SERVERS);
    let plan = |world: &mut World, uri: &str| world.plan(uri, "tls4", first).0.unwrap();
    let targets = plan(&mut world, "sips:a.example");
    world.resolver.target_failed(world.now, &targets[0]);
    let after = plan(&mut world, "sips:a.example");
    assert_eq!(addresses(&after), ["192.0.2.2", "192.0.2.1"]);
    assert_eq!((after[0].reason.grey, after[1].reason.grey), (false, true));
    // The same server under another name is another target.
    let other = plan(&mut world, "sips:b.example");
    assert_eq!(addresses(&other), ["192.0.2.1", "192.0.2.2"]);
    // If all failed, the order is what it was.
    world.resolver.target_failed(world.now, &targets[1]);
    let both = plan(&mut world, "sips:a.example");
    assert_eq!(addresses(&both), ["192.0.2.1", "192.0.2.2"]);
    world.resolver.target_worked(&targets[1]);
    let one = plan(&mut world, "sips:a.example");
    assert_eq!(addresses(&one), ["192.0.2.2", "192.0.2.1"]);
    world.pass(32 * SECOND);
    let later = plan(&mut world, "sips:a.example");
    assert_eq!(addresses(&later), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn an_only_target_is_tried_although_it_failed() {
    let mut world = world("");
    let (result, _) = world.plan("sip:192.0.2.1", "udp4", first);
    let targets = result.unwrap();
    world.resolver.target_failed(world.now, &targets[0]);
    let (result, _) = world.plan("sip:192.0.2.1", "udp4", first);
    let again = result.unwrap();
    assert_eq!(
        again[0].to_string(),
        "udp:192.0.2.1:5060 (default; numeric; failed recently)"
    );
}

// bad-inputs: D4
#[test]
fn ties_and_no_weights_at_all_lose_no_record() {
    let zone = "
        a.example NAPTR 1 1 s SIP+D2T _t.a.example
        a.example NAPTR 1 1 s SIP+D2U _u.a.example
        a.example NAPTR 1 1 s SIP+D2U _u.a.example
        _t.a.example SRV 0 0 5060 x.example
        _t.a.example SRV 0 0 5061 x.example
        _t.a.example SRV 0 0 5062 x.example
        _u.a.example SRV 0 65535 5060 x.example
        _u.a.example SRV 0 65535 5061 x.example
        x.example A 192.0.2.1";
    let (result, _) = world(zone).plan("sip:a.example", "udp4 tcp4", first);
    let mut targets: Vec<_> = result.unwrap().iter().map(text).collect();
    assert!(targets[..3].iter().all(|t| t.starts_with("tcp")));
    targets.sort();
    assert_eq!(
        targets,
        [
            "tcp 192.0.2.1:5060",
            "tcp 192.0.2.1:5061",
            "tcp 192.0.2.1:5062",
            "udp 192.0.2.1:5060",
            "udp 192.0.2.1:5061"
        ]
    );
}
