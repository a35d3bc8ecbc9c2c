//! Every setting of a time is refused, or can be waited for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

mod common;

use std::time::Duration;

use common::{Host, addr, numbered, options, tcp, udp};
use proptest::prelude::*;
use sip_transport_proto::resolve::{Answer, ResolveConfig, Zone};
use sip_transport_proto::{
    ChannelConfig, Config, ConfigError, Keep, Protocol, SendOptions, SipEndpoint,
};

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
const NANO: Duration = Duration::from_nanos(1);

type Setter = fn(&mut Config, Duration) -> Result<(), ConfigError>;

macro_rules! setters {
    ($($name:ident)+; $($resolve:ident)+) => {
        &[
            $((stringify!($name), |config, value| config.$name(value).map(drop)),)+
            $((stringify!($resolve), |config, value| {
                let mut resolve = ResolveConfig::default();
                resolve.$resolve(value)?;
                config.resolve(resolve);
                Ok(())
            }),)+
        ]
    };
}

const SETTERS: &[(&str, Setter)] = setters! {
    connect_timeout attempt_delay handshake_timeout first_message_timeout message_timeout
    idle_timeout write_stall_timeout sent_by_memory stream_keep_interval datagram_keep_interval
    pong_timeout stun_rto size_rule_timeout size_rule_memory;
    lookup_timeout plan_timeout other_family_wait later_wait min_ttl max_ttl negative_ttl grey_time
};

#[test]
fn ten_years_are_the_most() {
    for (name, set) in SETTERS {
        let mut config = Config::default();
        assert_eq!(set(&mut config, TEN_YEARS), Ok(()), "{name}");
        for value in [TEN_YEARS + NANO, Duration::MAX] {
            let error = set(&mut config, value).unwrap_err();
            assert_eq!(error.setting, *name);
            assert!(error.to_string().ends_with("10 years at most"), "{error}");
        }
    }
    assert!(Keep::new().interval(TEN_YEARS).is_ok());
    let error = Keep::new().interval(TEN_YEARS + NANO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "interval must be 1 s or more, 10 years at most"
    );
}

/// Everything that waits, waits; and the next deadlines pass.
fn use_all(config: Config, keep: Keep) {
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    let listener = host.tcp("192.0.2.1:5060");
    host.tcp("[2001:db8::1]:5060");
    let websocket = host.channel(ChannelConfig::new(Protocol::Ws, addr("192.0.2.1:5062")));
    let kept = || SendOptions::new().keep(keep);

    // A UDP flow; a request that is too large for UDP, and no connection for it.
    let server = "192.0.2.9:5060";
    host.send(options("sip:192.0.2.9"), kept().to(udp(server)));
    let mut large = options("sip:192.0.2.9");
    large.set_body(vec![b'x'; 2_000]).unwrap();
    host.waits(large, SendOptions::new());
    host.refuse();

    // Servers of both families, known bit by bit, and names that are not there.
    let zone: Zone = "
        _sip._tcp.c.example SRV 0 0 5060 a.example
        _sip._tcp.c.example SRV 1 0 5060 b.example
        a.example AAAA 2001:db8::7
        a.example A 192.0.2.7"
        .parse()
        .unwrap();
    host.waits(options("sip:c.example;transport=tcp"), kept());
    host.look_up(|kind, name| match zone.answer(kind, name) {
        // A resolver of the application may say anything.
        Answer::Found { records, .. } => Answer::Found {
            records,
            ttl: Duration::MAX,
        },
        _ => Answer::NotFound { ttl: None },
    });
    host.refuse();

    // Connections of ours, which are kept, to peers that say nothing.
    let remote = SipEndpoint::new(Protocol::Ws, addr(server));
    let ours = [tcp(server), remote].map(|remote| {
        host.waits(options("sip:192.0.2.9"), kept().to(remote));
        host.connected("192.0.2.1:40000")
    });

    // Accepted ones: half a message, a whole one, half a handshake.
    let request = numbered(1);
    let id = host.accept(listener, "192.0.2.1:5060", "192.0.2.77:1");
    host.feed(id, &request[..40]);
    let id = host.accept(listener, "192.0.2.1:5060", "192.0.2.77:2");
    host.feed(id, &request);
    let (now, local) = (host.now, addr("192.0.2.1:5062"));
    let accepted = host
        .transport
        .handle_accepted(now, websocket, local, addr("192.0.2.77:3"));
    host.feed(accepted.unwrap(), b"GET ");

    for _ in 0..64 {
        for id in ours {
            host.written(id);
        }
        let Some((at, _)) = host.deadline else { break };
        host.now = host.now.max(at);
        host.transport.handle_timeout(host.now);
        host.drain();
    }
}

fn any_duration() -> impl Strategy<Value = Duration> {
    let near = (any::<bool>(), 0_u64..1 << 40).prop_map(|(more, by)| {
        let by = Duration::from_nanos(by);
        if more { TEN_YEARS + by } else { TEN_YEARS - by }
    });
    prop_oneof![
        any::<Duration>(),
        near,
        // Of each magnitude.
        (0_u32..64, 0..1_000_000_000_u32)
            .prop_map(|(bits, nanos)| { Duration::new(u64::MAX.wrapping_shr(bits), nanos) }),
        Just(Duration::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_time_is_refused_or_can_be_waited_for(value in any_duration()) {
        for (_, set) in SETTERS {
            let mut config = Config::default();
            if set(&mut config, value).is_ok() {
                use_all(config, Keep::new().required());
            }
        }
        if let Ok(keep) = Keep::new().interval(value) {
            use_all(Config::default(), keep);
        }
    }
}

#[test]
fn the_longest_times_can_be_waited_for_together() {
    let mut config = Config::default();
    for (_, set) in SETTERS {
        set(&mut config, TEN_YEARS).unwrap();
    }
    let mut resolve = ResolveConfig::default();
    resolve.lookup_timeout(TEN_YEARS).unwrap();
    resolve.plan_timeout(TEN_YEARS).unwrap();
    resolve.other_family_wait(TEN_YEARS).unwrap();
    resolve.later_wait(TEN_YEARS).unwrap();
    resolve.min_ttl(TEN_YEARS).unwrap();
    resolve.grey_time(TEN_YEARS).unwrap();
    config.resolve(resolve);
    use_all(config, Keep::new().interval(TEN_YEARS).unwrap());
}
