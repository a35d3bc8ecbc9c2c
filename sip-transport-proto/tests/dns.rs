//! A send without a destination goes where RFC 3263 says, to the next server where one fails, and
//! tells of it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use common::{Host, addr, header, invite, ip, options, to, udp, wire_response};
use sip_transport_proto::error::{AttemptCause, NextError, SendCause, SendFailure};
use sip_transport_proto::resolve::{
    Answer, DomainName, LookupKind, PlanError, ResolveConfig, Zone,
};
use sip_transport_proto::sim::{self, Link, World};
use sip_transport_proto::{
    ChannelConfig, Config, Event, Outgoing, Protocol, SendOptions, Sent, SipEndpoint, Submitted,
    Transport,
};
use testkit::suite::authority;

const ZONE: &str = "
    example.com NAPTR 10 10 s SIP+D2U _sip._udp.example.com
    example.com NAPTR 20 10 s SIP+D2T _sip._tcp.example.com
    _sip._udp.example.com SRV 1 1 5060 a.example.com
    _sip._udp.example.com SRV 2 1 5070 b.example.com
    _sip._tcp.example.com SRV 1 1 5060 a.example.com
    _sip._tcp.example.com SRV 2 1 5070 b.example.com
    a.example.com A 192.0.2.7
    b.example.com A 192.0.2.8
";
const A: &str = "192.0.2.7:5060";
const B: &str = "192.0.2.8:5070";

fn zone() -> Zone {
    ZONE.parse().unwrap()
}

fn host() -> Host {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    host
}

/// Sends by the zone, which may be known already.
fn send(host: &mut Host, uri: &str) -> Sent {
    match host.submit(options(uri), SendOptions::new()).unwrap() {
        Submitted::Sent(sent) => sent,
        Submitted::Waiting(send) => {
            host.resolve_from(&zone());
            host.completed(send).unwrap()
        }
    }
}

fn next(host: &mut Host, sent: Sent) -> Sent {
    match host.next(sent).unwrap() {
        Submitted::Sent(sent) => sent,
        Submitted::Waiting(send) => panic!("{send}"),
    }
}

// conformance: 299
#[test]
fn a_send_tells_its_target_and_why_it_was_one() {
    let mut host = host();
    let sent = send(&mut host, "sip:bob@example.com");
    // What the DNS says changes nothing in the message (RFC 3263 §4).
    let uri = sent.message().unwrap().request_uri().unwrap().to_owned();
    assert_eq!(uri, b"sip:bob@example.com");
    assert_eq!(sent.remote().addr, addr(A));
    assert_eq!(
        sent.target().unwrap().to_string(),
        "udp:192.0.2.7:5060 (NAPTR 10 10 SIP+D2U; SRV _sip._udp.example.com 1 1; A a.example.com)"
    );
    assert_eq!((sent.targets_left(), sent.tried().len()), (1, 0));
    assert_eq!(host.datagrams.len(), 1);
    let given = host.send(options("sip:bob@example.com"), to(udp("192.0.2.9:5060")));
    let target = given.target().unwrap().to_string();
    assert_eq!(target, "udp:192.0.2.9:5060 (given; given)");
}

// RFC 3263 §4.3; conformance: 318
#[test]
fn no_response_moves_a_send_to_the_next_server_by_itself() {
    let mut host = host();
    let channel = host.transport.router().channels().next().unwrap().0;
    let sent = send(&mut host, "sip:bob@example.com");
    host.datagrams.clear();
    for status in ["404 Not Found", "500 Server Error", "503 Unavailable"] {
        let response = String::from_utf8(wire_response(&header(sent.bytes(), "Via"))).unwrap();
        let response = response.replace("200 OK", status).into_bytes();
        let event = host.datagram(channel, A, &response).unwrap();
        assert!(matches!(event, Event::Response { .. }), "{event:?}");
    }
    host.pass(Duration::from_secs(64));
    assert!(host.datagrams.is_empty() && host.connects.is_empty());
    assert!(host.events.is_empty());
}

// RFC 3263 §4.3; conformance: 317
#[test]
fn a_server_that_the_application_leaves_is_tried_last_for_a_while() {
    let mut host = host();
    let first = send(&mut host, "sip:bob@example.com");
    let branch = |sent: &Sent| header(sent.bytes(), "Via");
    let first_branch = branch(&first);
    let second = next(&mut host, first);
    assert_eq!(second.remote().addr, addr(B));
    assert_ne!(branch(&second), first_branch);
    let [left] = second.tried() else {
        panic!("{:?}", second.tried());
    };
    assert_eq!(left.target.addr, addr(A));
    assert_eq!(left.cause, AttemptCause::Left);
    let now = host.now;
    let error = host.transport.try_next(now, second).unwrap_err();
    assert!(matches!(error, NextError::NoTargetLeft(_)), "{error}");
    // Both failed recently: the order is as it was.
    assert_eq!(
        send(&mut host, "sip:bob@example.com").remote().addr,
        addr(A)
    );

    host.pass(Duration::from_secs(32));
    let first = send(&mut host, "sip:bob@example.com");
    next(&mut host, first);
    let other = send(&mut host, "sip:bob@example.com");
    assert_eq!(other.remote().addr, addr(B));
    assert_eq!(
        other.targets_left(),
        1,
        "it is tried last, and never left out"
    );
    host.pass(Duration::from_secs(32));
    assert_eq!(
        send(&mut host, "sip:bob@example.com").remote().addr,
        addr(A)
    );
}

// RFC 3261 §18.4
#[test]
fn a_server_that_nobody_answers_for_is_told_of_once_and_tried_last() {
    let mut host = host();
    let sent = send(&mut host, "sip:bob@example.com");
    let (now, remote) = (host.now, sent.remote().addr);
    let refused = ErrorKind::ConnectionRefused;
    host.transport
        .handle_datagram_failed(now, Some(sent.id()), remote, refused);
    host.drain();
    let Some(Event::SendFailed { send: id, cause }) = host.events.pop_front() else {
        panic!("it is told of");
    };
    assert_eq!((id, cause), (sent.id(), SendFailure::Io(refused)));
    assert!(host.events.is_empty());
    assert_eq!(
        send(&mut host, "sip:bob@example.com").remote().addr,
        addr(B)
    );
    assert_eq!(next(&mut host, sent).remote().addr, addr(B));
}

// conformance: 155
#[test]
fn what_is_wrong_with_the_message_is_no_fault_of_the_server() {
    let mut host = host();
    let sent = send(&mut host, "sip:bob@example.com");
    let now = host.now;
    for cause in [
        SendFailure::Io(ErrorKind::InvalidInput),
        SendFailure::TooLarge,
    ] {
        let remote = sent.remote().addr;
        host.transport
            .handle_datagram_failed(now, Some(sent.id()), remote, cause);
        host.drain();
    }
    assert_eq!(
        send(&mut host, "sip:bob@example.com").remote().addr,
        addr(A)
    );
}

// conformance: 317
#[test]
fn a_refused_connection_moves_the_send_on_and_an_open_one_clears_the_server() {
    const URI: &str = "sip:bob@example.com;transport=tcp";
    let mut host = host();
    let waiting = host.waits(invite(URI), SendOptions::new());
    host.resolve_from(&zone());
    host.refuse();
    assert_eq!(host.connects[0].1, addr(B));
    // The one that failed comes last for others too.
    let other = host.waits(invite(URI), SendOptions::new());
    host.refuse();
    assert_eq!(host.connects[0].1, addr(A));
    host.connected("192.0.2.1:40000");
    let error = host.completed(waiting).unwrap_err();
    assert_eq!(*error.cause(), SendCause::AllTargetsFailed);
    assert_eq!(error.tried().len(), 2);
    let sent = host.completed(other).unwrap();
    let [attempt] = sent.tried() else {
        panic!("{:?}", sent.tried());
    };
    assert_eq!(attempt.target.addr, addr(B));
    let refused = AttemptCause::Connect(ErrorKind::ConnectionRefused);
    assert_eq!(attempt.cause, refused);
    // A works again and B does not.
    let sent = host.send(invite(URI), SendOptions::new());
    assert_eq!(sent.remote().addr, addr(A));
    assert!(!sent.target().unwrap().reason.grey);
    assert_eq!(host.transport.router().load(), (1, 0));
}

#[test]
fn a_hinted_channel_decides_on_the_protocol() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let tcp = host.tcp("192.0.2.1:5060");
    let hint = || SendOptions::new().channel(tcp);
    host.waits(options("sip:bob@example.com"), hint());
    let asked: Vec<_> = host
        .lookups
        .iter()
        .map(|(_, _, name)| name.as_str())
        .collect();
    assert!(asked.contains(&"_sip._tcp.example.com"), "{asked:?}");
    assert!(!asked.contains(&"_sip._udp.example.com"), "{asked:?}");
    host.resolve_from(&zone());
    assert_eq!(host.connects[0].1, addr(A));
}

// conformance: 277
#[test]
fn sips_is_never_downgraded() {
    let mut config = Config::default();
    config.tls(authority().client());
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    let send = host.waits(options("sips:bob@example.com"), SendOptions::new());
    host.resolve_from(&zone());
    let error = host.completed(send).unwrap_err();
    assert!(matches!(error.cause(), SendCause::Resolve(_)), "{error}");
    assert!(host.datagrams.is_empty() && host.connects.is_empty());
    let error = host.submit(
        options("sips:bob@example.com;transport=udp"),
        SendOptions::new(),
    );
    let error = error.unwrap_err();
    assert_eq!(*error.cause(), SendCause::Insecure(Protocol::Udp));

    let zone: Zone = "example.org A 192.0.2.7".parse().unwrap();
    host.waits(options("sips:bob@EXAMPLE.org."), SendOptions::new());
    host.resolve_from(&zone);
    let (id, remote, _) = host.connects.pop_front().unwrap();
    assert_eq!(remote, addr("192.0.2.7:5061"));
    let info = host.transport.router().connection(id).unwrap();
    assert_eq!(info.remote.protocol, Protocol::Tls);
}

#[test]
fn a_plan_shows_the_targets_and_sends_nothing() {
    let mut host = host();
    let outgoing = |uri| Outgoing::new(options(uri), SendOptions::new());
    let now = host.now;
    let query = host.transport.plan(now, outgoing("sip:bob@example.com"));
    host.drain();
    assert!(host.plans.is_empty());
    host.resolve_from(&zone());
    let (answered, result) = host.plans.pop().unwrap();
    assert_eq!(answered, query);
    let targets: Vec<_> = result.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        targets,
        [
            "udp:192.0.2.7:5060 (NAPTR 10 10 SIP+D2U; SRV _sip._udp.example.com 1 1; A a.example.com)",
            "udp:192.0.2.8:5070 (NAPTR 10 10 SIP+D2U; SRV _sip._udp.example.com 2 1; A b.example.com)",
        ]
    );
    assert!(host.datagrams.is_empty() && host.events.is_empty());
    // What is known is told at once.
    host.transport
        .plan(now, outgoing("sip:192.0.2.9;transport=tcp"));
    host.transport.plan(now, outgoing("sip:nobody.invalid"));
    host.drain();
    let (_, nobody) = host.plans.pop().unwrap();
    assert!(
        matches!(nobody, Err(SendCause::Resolve(PlanError::NoSuchName(_)))),
        "{nobody:?}"
    );
    let (_, numeric) = host.plans.pop().unwrap();
    let numeric = numeric.unwrap()[0].to_string();
    assert_eq!(numeric, "tcp:192.0.2.9:5060 (given; numeric)");
    assert!(host.lookups.is_empty());
    assert_eq!(host.transport.router().load(), (0, 0));
}

// bad-inputs: D2
#[test]
fn a_lookup_that_never_ends_delays_no_other_send_and_is_bounded() {
    let mut host = host();
    let lost = host.waits(options("sip:silent.example"), SendOptions::new());
    let unanswered = host.lookups.len();
    let sent = host.submit(options("sip:bob@example.com"), SendOptions::new());
    let Ok(Submitted::Waiting(other)) = sent else {
        panic!("it waits for a lookup of its own");
    };
    host.lookups.drain(..unanswered);
    host.resolve_from(&zone());
    assert_eq!(host.completed(other).unwrap().remote().addr, addr(A));
    host.pass(Duration::from_secs(6));
    let error = host.completed(lost).unwrap_err();
    assert!(error.to_string().contains("silent.example"), "{error}");
    assert!(host.events.is_empty());
    assert_eq!(host.transport.router().load(), (0, 0));
    assert_eq!(host.deadline, None);
}

// bad-inputs: D2, D6
#[test]
fn a_name_that_never_answers_delays_none_of_a_hundred_other_sends() {
    let mut world = World::<Transport>::new(1, host().now);
    let trip = Duration::from_millis(10);
    let link = Link::default().with_latency(trip);
    world.network_mut().set_default_link(link);
    // All are asked at once.
    let mut resolve = ResolveConfig::default();
    resolve.max_asked_lookups(512).unwrap();
    let mut config = Config::default();
    config.resolve(resolve);
    let alice = world.add_host("alice", &[ip("192.0.2.1")], config);
    let bob = world.add_host("bob", &[ip("192.0.2.2")], Config::default());
    let channel = ChannelConfig::new(Protocol::Udp, addr("192.0.2.2:5060"));
    world.add_channel(bob, channel).unwrap();
    let names = world.network_mut();
    names.set_name("silent.example", sim::NameAnswer::Never);
    for n in 0..100 {
        let here = sim::NameAnswer::Addresses(vec![ip("192.0.2.2")]);
        names.set_name(&format!("n{n}.example"), here);
    }
    let mut send = |uri: String| {
        let outgoing = Outgoing::new(options(&uri), SendOptions::new());
        match world.send(alice, outgoing).unwrap() {
            Submitted::Waiting(send) => send,
            Submitted::Sent(sent) => panic!("{sent:?}"),
        }
    };
    let silent = send("sip:silent.example".to_owned());
    for n in 0..100 {
        send(format!("sip:n{n}.example:5060"));
    }
    let begun = world.network().now();
    let (mut sent, mut came, mut failed) = (0, 0, None);
    while let Some((_, event)) = world.next_event(Duration::from_secs(10)) {
        let took = world.network().now() - begun;
        match event {
            Event::SendCompleted {
                send,
                result: Err(error),
            } => {
                assert_eq!(send, silent);
                assert!(error.to_string().contains("silent.example"), "{error}");
                failed = Some(took);
            }
            Event::SendCompleted { .. } => {
                assert!(took <= 2 * trip, "{took:?}");
                sent += 1;
            }
            Event::Request { .. } => {
                assert!(took <= 3 * trip, "{took:?}");
                came += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((sent, came), (100, 100));
    assert_eq!(failed, Some(Duration::from_secs(2)));
    assert_eq!(world.machine(alice).router().load(), (0, 0));
}

// bad-inputs: D2
#[test]
fn sends_and_plans_that_wait_for_lookups_are_limited() {
    let mut config = Config::default();
    config.max_waiting_sends(2).unwrap();
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    let now = host.now;
    let first = host.waits(options("sip:example.com"), SendOptions::new());
    let outgoing = || Outgoing::new(options("sip:example.org"), SendOptions::new());
    host.transport.plan(now, outgoing());
    host.transport.plan(now, outgoing());
    host.drain();
    let full = SendCause::TooManyWaiting { limit: 2 };
    let (_, result) = host.plans.pop().unwrap();
    assert_eq!(result.unwrap_err(), full);
    let error = host.submit(options("sip:example.net"), SendOptions::new());
    assert_eq!(*error.unwrap_err().cause(), full);
    // What needs no lookup goes out.
    host.send(options("sip:192.0.2.9"), SendOptions::new());
    host.resolve_from(&zone());
    assert!(host.completed(first).is_ok());
    assert_eq!(host.plans.len(), 1);
    assert_eq!(host.transport.router().load(), (0, 0));
}

#[test]
fn shutdown_ends_what_waits_for_lookups_and_late_answers_change_nothing() {
    let mut host = host();
    let waiting = host.waits(options("sip:example.com"), SendOptions::new());
    let outgoing = Outgoing::new(options("sip:example.com"), SendOptions::new());
    let now = host.now;
    host.transport.plan(now, outgoing);
    host.transport.shutdown(now);
    host.drain();
    let error = host.completed(waiting).unwrap_err();
    assert_eq!(*error.cause(), SendCause::ShuttingDown);
    let (_, result) = host.plans.pop().unwrap();
    assert_eq!(result.unwrap_err(), SendCause::ShuttingDown);
    host.resolve_from(&zone());
    assert!(host.events.is_empty() && host.plans.is_empty() && host.datagrams.is_empty());
}

#[test]
fn the_order_and_the_time_of_lookups_can_be_set() {
    let mut config = Config::default();
    let mut resolve = ResolveConfig::default();
    resolve.protocols(&[Protocol::Tcp, Protocol::Udp]);
    resolve.lookup_timeout(Duration::from_secs(1)).unwrap();
    config.resolve(resolve);
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    host.waits(options("sip:example.org"), SendOptions::new());
    host.look_up(|kind, _| match kind {
        LookupKind::A => zone().answer(kind, &DomainName::new("a.example.com").unwrap()),
        _ => Answer::NotFound { ttl: None },
    });
    assert_eq!(host.connects[0].1, addr(A));
    let late = host.waits(options("sip:silent.example"), SendOptions::new());
    host.pass(Duration::from_secs(1));
    assert!(host.completed(late).is_err());
}

// RFC 3263 §4.4; conformance: 170
#[test]
fn the_same_bytes_to_draw_by_find_the_same_server_in_any_transport() {
    let servers: String = (1..=20)
        .map(|n| format!("_sip._udp.example.com SRV 0 5 5060 s{n}.b\ns{n}.b A 192.0.2.{n}\n"))
        .collect();
    let zone: Zone = servers.parse().unwrap();
    let drawn = |seed| {
        let mut host = Host::seeded(Config::default(), seed);
        host.udp("192.0.2.99:5060");
        let mut servers = Vec::new();
        for bytes in 0..10 {
            let options = SendOptions::new().draw_by([bytes; 32]);
            let uri = "sip:bob@example.com;transport=udp";
            let sent = match host.submit(common::options(uri), options).unwrap() {
                Submitted::Sent(sent) => sent,
                Submitted::Waiting(send) => {
                    host.resolve_from(&zone);
                    host.completed(send).unwrap()
                }
            };
            servers.push(sent.remote().addr);
        }
        servers
    };
    let first = drawn(1);
    assert_eq!(first, drawn(2));
    assert!(first.iter().any(|server| *server != first[0]));
}

#[test]
fn a_given_destination_needs_no_lookup() {
    let mut host = host();
    let destination = SipEndpoint::new(Protocol::Udp, addr(B));
    let sent = host.send(options("sip:nobody.invalid"), to(destination));
    assert_eq!(sent.remote().addr, addr(B));
    assert!(host.lookups.is_empty());
}
