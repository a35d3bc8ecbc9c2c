//! What holds for every plan, whatever the zone says and in whatever order it answers.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod zone;

use std::time::Duration;

use proptest::prelude::*;
use sip_transport_proto::resolve::{Family, ResolveConfig, Target};
use sip_transport_proto::{Protocol, Tokens};
use zone::{World, capabilities, lines};

const HOSTS: [&str; 5] = ["a.example", "b.example", "C.example.", "d.invalid", "."];
const SERVICES: [&str; 7] = [
    "_sip._udp.a.example",
    "_sip._tcp.a.example",
    "_sips._tcp.a.example",
    "_sip._ws.a.example",
    "_sips._ws.a.example",
    "_sip._tcp.b.example",
    "_x.b.example",
];

fn host() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&HOSTS[..])
}

fn service() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&SERVICES[..])
}

fn line() -> impl Strategy<Value = String> {
    let naptr_service = prop::sample::select(&[
        "SIP+D2U", "sip+d2t", "SIPS+D2T", "SIP+D2W", "SIPS+D2W", "SIP+D2S",
    ]);
    let flag = prop::sample::select(&["s", "s", "s", "S", "a"]);
    let naptr = (0..3_u16, 0..3_u16, flag, naptr_service, service()).prop_map(
        |(order, preference, flag, kind, srv)| {
            format!("a.example NAPTR {order} {preference} {flag} {kind} {srv}")
        },
    );
    let srv = (service(), 0..3_u16, 0..4_u16, 0..3_u16, host()).prop_map(
        |(name, priority, weight, port, host)| {
            format!("{name} SRV {priority} {weight} {port} {host}")
        },
    );
    let a = (host(), 0..4_u8).prop_map(|(name, n)| format!("{name} A 192.0.2.{n}"));
    let aaaa = (host(), 0..4_u8).prop_map(|(name, n)| format!("{name} AAAA 2001:db8::{n}"));
    let kind = prop::sample::select(&["A", "AAAA", "SRV", "NAPTR"]);
    let outcome = prop::sample::select(&["fails", "never"]);
    let any_name = prop_oneof![host(), service()];
    let broken =
        (any_name, kind, outcome).prop_map(|(name, kind, how)| format!("{name} {kind} {how}"));
    prop_oneof![4 => naptr, 8 => srv, 4 => a, 4 => aaaa, 1 => broken]
}

fn zone_text() -> impl Strategy<Value = String> {
    prop::collection::vec(line(), 0..24).prop_map(|lines| lines.join("\n"))
}

fn uri() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(&["sip", "sips"]);
    let host = prop::sample::select(&["a.example", "B.example", "192.0.2.1", "localhost"]);
    let port = prop::sample::select(&["", "", "", ":5060"]);
    let transport = prop::sample::select(&[
        "",
        "",
        "",
        ";transport=tcp",
        ";transport=tls",
        ";transport=ws",
    ]);
    (scheme, host, port, transport)
        .prop_map(|(scheme, host, port, transport)| format!("{scheme}:{host}{port}{transport}"))
}

fn can() -> impl Strategy<Value = String> {
    let word = prop::sample::select(&["udp", "udp4", "tcp", "tcp6", "tls", "tls4", "ws", "wss"]);
    prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn answers_in_any_order_give_the_same_targets(
        zone in zone_text(), uri in uri(), can in can(), seed: [u8; 32],
    ) {
        let mut random = Tokens::new(seed);
        let mut any = |open: usize| {
            let mut byte = [0];
            random.fill(&mut byte);
            usize::from(byte[0]) % open
        };
        let (in_order, took) =
            World::new(ResolveConfig::default(), &zone).plan(&uri, &can, |_| 0);
        let (in_any_order, took_then) =
            World::new(ResolveConfig::default(), &zone).plan(&uri, &can, &mut any);
        prop_assert_eq!(&in_any_order, &in_order);
        prop_assert_eq!(took_then, took);
    }

    #[test]
    fn every_target_is_one_that_was_asked_for_and_can_be_sent_to(
        zone in zone_text(), uri in uri(), can in can(),
    ) {
        let (result, _) = World::new(ResolveConfig::default(), &zone).plan(&uri, &can, |_| 0);
        let targets = result.unwrap_or_default();
        let secure = uri.starts_with("sips");
        for (i, target) in targets.iter().enumerate() {
            let protocol = target.protocol;
            prop_assert!(capabilities(&can).has(protocol, Family::of(target.addr.ip())));
            prop_assert!(!secure || protocol.is_secure(), "{}", target);
            prop_assert_ne!(target.addr.port(), 0);
            prop_assert!(!target.addr.ip().is_unspecified());
            let wanted = uri.split_once("transport=").and_then(|(_, t)| Protocol::from_token(t));
            if let Some(wanted) = wanted {
                prop_assert!(protocol == wanted || (secure && protocol.is_secure()));
            }
            // The name to be proven is the URI's, never one out of DNS.
            let host = uri.split([':', ';']).nth(1).unwrap().to_ascii_lowercase();
            let proven = target.tls_name.as_ref().map(ToString::to_string);
            prop_assert_eq!(proven, protocol.is_secure().then_some(host));
            let again = |t: &&Target| (target.protocol, target.addr) == (t.protocol, t.addr);
            prop_assert_eq!(targets[..i].iter().find(again), None);
            prop_assert!(!target.races || (protocol.is_stream() && i > 0 && targets[i - 1].protocol == protocol));
        }
    }

    #[test]
    fn a_plan_ends_in_time_and_within_its_lookups(
        zone in zone_text(), uri in uri(), max in 1..12_usize,
    ) {
        let mut config = ResolveConfig::default();
        config.max_lookups(max).unwrap();
        let mut world = World::new(config, &zone);
        let (result, took) = world.plan(&uri, "all", |open| open - 1);
        prop_assert!(took <= Duration::from_secs(6));
        prop_assert!(world.asked.len() <= max);
        prop_assert!(world.resolver.plans() == 0 && world.result_is_none());
        let mut asked = world.asked.clone();
        asked.sort();
        asked.dedup();
        prop_assert_eq!(asked.len(), world.asked.len(), "asked twice");
        prop_assert!(asked.iter().all(|a| !a.ends_with(".invalid") && !a.ends_with(' ')));
        prop_assert!(result.is_err() || !result.unwrap().is_empty());
    }

    #[test]
    fn a_second_plan_finds_what_the_first_found(zone in zone_text(), uri in uri()) {
        // Failures are not remembered, and may end otherwise.
        prop_assume!(!zone.contains("never") && !zone.contains("fails"));
        let mut world = World::new(ResolveConfig::default(), &zone);
        let (first, _) = world.plan(&uri, "all", |_| 0);
        let asked = world.asked.len();
        world.tokens = Tokens::new(zone::SEED);
        let (second, took) = world.plan(&uri, "all", |_| 0);
        prop_assert_eq!(lines(&second), lines(&first));
        prop_assert_eq!((world.asked.len(), took), (asked, Duration::ZERO));
    }
}
