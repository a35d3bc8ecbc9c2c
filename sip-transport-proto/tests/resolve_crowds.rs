//! Many lookups at once: how many are asked, whose turn it is, and who makes room.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod zone;

use std::io::ErrorKind;
use std::time::Duration;

use proptest::prelude::*;
use sip_transport_proto::resolve::{PlanError, PlanId, Progress, ResolveConfig};
use zone::{World, lines};

const LIVE: &str = "live.example.org A 192.0.2.1
                    slow.example.net A 192.0.2.2";
const LIMIT: Duration = Duration::from_secs(2);
const SHORTEST_TURN: Duration = Duration::from_millis(50);

fn world(set: impl FnOnce(&mut ResolveConfig)) -> World {
    let mut config = ResolveConfig::default();
    set(&mut config);
    World::new(config, LIVE)
}

/// Starts a plan of one lookup for a name that nobody answers.
fn dead(world: &mut World, name: &str) -> PlanId {
    match world.start(&format!("sip:{name}:5060"), "udp4") {
        Progress::Waiting(plan) => plan,
        done => panic!("{done:?}"),
    }
}

/// Asks for the name that is there, and how long that takes while nobody answers the others.
fn live(world: &mut World) -> Duration {
    let begin = world.now;
    let Progress::Waiting(plan) = world.start("sip:live.example.org", "all") else {
        panic!("nothing is known yet");
    };
    loop {
        while let Some(at) = world.position(|name| name.ends_with("example.org")) {
            world.answer_one(at);
        }
        if let Some(result) = world.result(plan) {
            assert_eq!(lines(&result), "udp 192.0.2.1:5060");
            return world.now - begin;
        }
        world.jump();
    }
}

/// Why a plan ended.
fn failure(world: &mut World, plan: PlanId) -> ErrorKind {
    match world.result(plan) {
        Some(Err(PlanError::Lookup { error, .. })) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_domain_has_as_many_lookups_asked_as_are_free_beside_them() {
    let mut world = world(|_| {});
    for i in 0..200 {
        dead(&mut world, &format!("n{i}.dead.example"));
    }
    assert_eq!(world.resolver.asked_lookups(), 32);
    for i in 0..200 {
        dead(&mut world, &format!("n{i}.b.dead.test"));
    }
    let of = |world: &World, domain: &str| {
        let asked = world.asked.iter();
        asked.filter(|lookup| lookup.ends_with(domain)).count()
    };
    assert_eq!(of(&world, "dead.example"), 32);
    assert_eq!(of(&world, "dead.test"), 16);
    assert_eq!(live(&mut world), Duration::ZERO);
}

// bad-inputs: D6
#[test]
fn a_thousand_sends_to_names_of_one_domain_that_nobody_answers_hold_up_no_other() {
    let mut world = world(|_| {});
    let begin = world.now;
    let plans: Vec<_> = (0..1_000)
        .map(|i| world.start(&format!("sip:n{i}.dead.example"), "all"))
        .collect();
    assert!(world.resolver.open_lookups() <= 512);
    assert!(world.resolver.asked_lookups() <= 64);
    assert_eq!(live(&mut world), Duration::ZERO);
    while world.resolver.plans() > 0 {
        world.jump();
        assert!(world.resolver.asked_lookups() <= 64);
    }
    assert!(world.now - begin <= LIMIT);
    for plan in plans {
        let Progress::Waiting(plan) = plan else {
            panic!("{plan:?}");
        };
        assert!(matches!(
            failure(&mut world, plan),
            ErrorKind::TimedOut | ErrorKind::ResourceBusy
        ));
    }
    assert_eq!(world.resolver.open_lookups(), 0);
    assert_eq!(world.resolver.asked_lookups(), 0);
    assert_eq!(world.resolver.deadline(), None);
    assert!(world.resolver.stats().over_open_limit > 0);
}

#[test]
fn among_dead_names_of_a_thousand_domains_a_name_waits_for_a_shortest_turn_at_most() {
    let milliseconds = Duration::from_millis;
    for (since, waits) in [(0, 50), (20, 30), (49, 1), (50, 4), (300, 4)] {
        let mut world = world(|_| {});
        for i in 0..1_000 {
            world.start(&format!("sip:sip.dead{i}.example"), "all");
        }
        assert_eq!(world.resolver.asked_lookups(), 64);
        for _ in 0..since {
            world.pass(milliseconds(1));
        }
        let waited = live(&mut world);
        assert!(waited <= milliseconds(waits), "{waited:?} after {since} ms");
    }
}

#[test]
fn among_a_thousand_dead_domains_a_lookup_is_asked_for_three_shortest_turns() {
    let mut world = world(|_| {});
    for i in 0..1_000 {
        dead(&mut world, &format!("sip.dead{i}.example"));
    }
    let plan = dead(&mut world, "slow.example.net");
    let slow = |name: &str| name == "slow.example.net";
    while world.position(slow).is_none() {
        world.jump();
    }
    for _ in 0..148 {
        world.pass(Duration::from_millis(1));
    }
    let at = world.position(slow).unwrap();
    world.answer_one(at);
    assert_eq!(lines(&world.result(plan).unwrap()), "udp 192.0.2.2:5060");
}

#[test]
fn sixteen_make_room_in_a_shortest_turn_and_a_quarter_never_does() {
    let mut world = world(|_| {});
    for i in 0..500 {
        dead(&mut world, &format!("sip.dead{i}.example"));
    }
    let first: Vec<_> = world.asked.clone();
    world.pass(SHORTEST_TURN - Duration::from_millis(1));
    for turn in 0..12 {
        assert_eq!(world.resolver.stats().paused, 16 * turn);
        assert_eq!(world.resolver.asked_lookups(), 64);
        world.pass(SHORTEST_TURN);
    }
    let held = |name: &String| world.position(|open| name.ends_with(open)).is_some();
    assert!(first[..16].iter().all(held));
    assert!(!first[16..].iter().any(held));
}

#[test]
fn a_lookup_that_makes_room_is_asked_once_more() {
    let mut world = world(|config| {
        config.max_asked_lookups(4).unwrap();
    });
    dead(&mut world, "a.a.example");
    let slow = dead(&mut world, "slow.example.net");
    dead(&mut world, "b.b.example.com");
    dead(&mut world, "c.example.org");
    // Nobody needs its place.
    world.pass(SHORTEST_TURN);
    assert_eq!(world.resolver.stats().paused, 0);
    dead(&mut world, "d.example.test");
    world.pass(Duration::ZERO);
    assert_eq!(world.resolver.stats().paused, 1);
    assert!(world.position(|name| name == "slow.example.net").is_none());
    let newcomer = world.position(|name| name == "d.example.test").unwrap();
    world.answer_one(newcomer);
    let again = world.position(|name| name == "slow.example.net").unwrap();
    world.answer_one(again);
    assert_eq!(lines(&world.result(slow).unwrap()), "udp 192.0.2.2:5060");
    let stats = world.resolver.stats();
    // It is no other for that.
    assert_eq!((stats.lookups, stats.waited, stats.paused), (5, 0, 1));
}

#[test]
fn a_lookup_that_waits_once_more_ends_in_its_time() {
    let mut world = world(|config| {
        config.max_asked_lookups(4).unwrap();
        config.crowded_timeout(2 * LIMIT).unwrap();
    });
    let begin = world.now;
    let plans: Vec<_> = (0..8)
        .map(|i| dead(&mut world, &format!("sip{i}.dead{i}")))
        .collect();
    while world.resolver.plans() > 0 {
        world.jump();
    }
    assert_eq!(world.now - begin, LIMIT);
    for plan in plans {
        assert_eq!(failure(&mut world, plan), ErrorKind::TimedOut);
    }
    // Once for each of those that could not be asked at first.
    assert_eq!(world.resolver.stats().paused, 4);
    assert_eq!(world.resolver.open_lookups(), 0);
    assert_eq!(world.resolver.deadline(), None);
}

#[test]
fn a_lookup_for_nobody_does_not_wait_once_more() {
    let mut world = world(|config| {
        config.max_asked_lookups(4).unwrap();
    });
    let plans: Vec<_> = (0..4)
        .map(|i| dead(&mut world, &format!("sip{i}.dead{i}")))
        .collect();
    world.resolver.cancel(plans[1]);
    world.pass(SHORTEST_TURN);
    assert_eq!(world.resolver.open_lookups(), 4);
    assert_eq!(live(&mut world), Duration::ZERO);
    assert_eq!(world.resolver.open_lookups(), 3);
}

#[test]
fn while_others_wait_a_lookup_is_asked_for_the_crowded_timeout_only() {
    let crowded = Duration::from_millis(300);
    let mut world = world(|config| {
        config.max_asked_lookups(1).unwrap();
        config.crowded_timeout(crowded).unwrap();
    });
    let first = dead(&mut world, "a.example");
    assert_eq!(world.resolver.deadline(), Some(world.now + LIMIT));
    let second = dead(&mut world, "b.example");
    assert_eq!(world.resolver.deadline(), Some(world.now + crowded));
    assert_eq!(world.asked, ["A a.example"]);
    world.jump();
    assert_eq!(failure(&mut world, first), ErrorKind::TimedOut);
    assert_eq!(world.asked, ["A a.example", "A b.example"]);
    // Nobody waits behind the second; its wait was part of its time.
    assert_eq!(world.resolver.deadline(), Some(world.now - crowded + LIMIT));
    world.jump();
    assert_eq!(failure(&mut world, second), ErrorKind::TimedOut);
    let stats = world.resolver.stats();
    assert_eq!((stats.timed_out, stats.cut_short, stats.waited), (2, 1, 1));
}

#[test]
fn a_lookup_that_has_no_turn_in_time_fails_unasked() {
    let mut world = world(|config| {
        config.max_asked_lookups(1).unwrap();
        config.crowded_timeout(4 * LIMIT).unwrap();
        config.lookup_timeout(LIMIT).unwrap();
    });
    let first = dead(&mut world, "a.example");
    world.pass(LIMIT / 2);
    let second = dead(&mut world, "b.example");
    let third = dead(&mut world, "c.example");
    world.pass(LIMIT / 2);
    assert_eq!(failure(&mut world, first), ErrorKind::TimedOut);
    // The newest is asked first.
    assert_eq!(world.asked, ["A a.example", "A c.example"]);
    world.pass(LIMIT / 2);
    for plan in [second, third] {
        assert_eq!(failure(&mut world, plan), ErrorKind::TimedOut);
    }
    assert_eq!(world.asked.len(), 2);
}

#[test]
fn where_there_are_too_many_lookups_the_oldest_of_the_domain_that_has_most_makes_room() {
    let mut world = world(|config| {
        config.max_open_lookups(10).unwrap();
        config.max_asked_lookups(2).unwrap();
        config.max_lookups(1).unwrap();
    });
    let few = [
        dead(&mut world, "a.few.example"),
        dead(&mut world, "b.few.example"),
    ];
    let crowd: Vec<_> = (0..8)
        .map(|i| dead(&mut world, &format!("n{i}.crowd.example")))
        .collect();
    assert_eq!(world.asked, ["A a.few.example", "A n0.crowd.example"]);
    dead(&mut world, "newcomer.example");
    assert_eq!(world.resolver.open_lookups(), 10);
    world.pass(Duration::ZERO);
    assert_eq!(failure(&mut world, crowd[1]), ErrorKind::ResourceBusy);
    // One more of the crowd takes the place of one of the crowd.
    dead(&mut world, "n8.crowd.example");
    world.pass(Duration::ZERO);
    assert_eq!(failure(&mut world, crowd[2]), ErrorKind::ResourceBusy);
    for plan in few.iter().chain(&crowd[3..]).chain(&crowd[..1]) {
        assert!(world.result(*plan).is_none());
    }
    assert_eq!(world.resolver.stats().over_open_limit, 2);
}

#[test]
fn what_no_plan_waits_for_is_not_asked() {
    let mut world = world(|config| {
        config.max_asked_lookups(2).unwrap();
    });
    let plans: Vec<_> = (0..10)
        .map(|i| dead(&mut world, &format!("n{i}.dead.example")))
        .collect();
    assert_eq!(world.asked, ["A n0.dead.example"]);
    for plan in plans {
        world.resolver.cancel(plan);
    }
    assert_eq!(world.resolver.open_lookups(), 1);
    world.answer_one(0);
    assert_eq!(world.asked.len(), 1);
    assert_eq!(world.resolver.open_lookups(), 0);
}

proptest! {
    /// Whatever is asked for, and whenever: the limits hold, and a name of a domain that has none
    /// asked is asked at once if there is room, else within a shortest turn, unless all places are
    /// kept.
    #[test]
    fn a_domain_that_asks_for_little_finds_a_turn(
        names in proptest::collection::vec((0..60_u8, 0..20_u8, 0..30_u64), 0..200),
        max_asked in 1..40_usize,
    ) {
        let mut world = world(|config| {
            config.max_asked_lookups(max_asked).unwrap();
            config.max_open_lookups(100).unwrap();
        });
        for (domain, host, wait) in names {
            world.start(&format!("sip:h{host}.d{domain}.example:5060"), "udp4");
            prop_assert!(world.resolver.asked_lookups() <= max_asked);
            prop_assert!(world.resolver.open_lookups() <= 100);
            world.pass(Duration::from_millis(wait));
        }
        let has_room = world.resolver.asked_lookups() < max_asked;
        if has_room || max_asked > 1 {
            let most = if has_room { Duration::ZERO } else { SHORTEST_TURN };
            prop_assert!(live(&mut world) <= most);
        }
        while world.resolver.deadline().is_some() {
            world.jump();
        }
        prop_assert_eq!(world.resolver.plans(), 0);
        prop_assert_eq!(world.resolver.asked_lookups(), 0);
        prop_assert_eq!(world.resolver.open_lookups(), 0);
    }
}
