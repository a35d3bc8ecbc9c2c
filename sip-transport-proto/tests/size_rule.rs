//! Requests too large for UDP go over TCP, and over UDP after all where TCP cannot be had.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use common::{Host, addr, header, tcp, to, udp};
use proptest::prelude::*;
use sip_transport_proto::error::{AttemptCause, CloseReason, SendCause};
use sip_transport_proto::resolve::Zone;
use sip_transport_proto::sip_core::build::RequestBuilder;
use sip_transport_proto::sip_core::{Method, Request, Response};
use sip_transport_proto::{
    ChannelConfig, Config, ConnectionId, Deadline, Keep, Protocol, SendOptions, Sent, SizeOutcome,
    SizeRule, Submitted,
};
use testkit::suite::authority;

const REFUSED: AttemptCause = AttemptCause::Connect(ErrorKind::ConnectionRefused);
const SERVER: &str = "sip:bob@192.0.2.9";

/// A host whose channels have ports of their own.
fn with(config: Config) -> Host {
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5062");
    host
}

fn host() -> Host {
    with(Config::default())
}

fn request(method: Method<'_>, uri: &str, body: usize) -> Request {
    RequestBuilder::new(method, uri)
        .body("text/plain", &vec![b'x'; body])
        .build(|random| random.fill(7))
        .unwrap()
}

/// A request that makes a datagram of exactly so many bytes.
fn sized(length: usize, uri: &str) -> Request {
    let body = length - 400;
    let options = SendOptions::new().size_rule(SizeRule::PreferUdp);
    let probe = host().send(request(Method::Message, uri, body), options);
    request(Method::Message, uri, body + length - probe.bytes().len())
}

fn large() -> Request {
    sized(1_400, SERVER)
}

fn protocol(sent: &Sent) -> Protocol {
    sent.remote().protocol
}

/// Sends what goes at once, over UDP.
fn by_udp(host: &mut Host, request: Request, options: SendOptions) -> Sent {
    let sent = host.send(request, options);
    assert_eq!(protocol(&sent), Protocol::Udp);
    assert!(host.connects.is_empty());
    sent
}

/// Whether a request is tried over TCP.
fn tries_tcp(config: Config, length: usize) -> bool {
    let mut host = with(config);
    match host.submit(sized(length, SERVER), SendOptions::new()) {
        Ok(Submitted::Waiting(_)) => host.connects.len() == 1 && host.datagrams.is_empty(),
        Ok(Submitted::Sent(sent)) => {
            assert_eq!(sent.bytes().len(), length);
            assert_eq!(sent.size_rule(), SizeOutcome::Unaffected);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

// RFC 3261 §18.1.1; conformance: 93, 302
#[test]
fn over_1300_bytes_a_request_goes_over_tcp() {
    assert!(!tries_tcp(Config::default(), 1_300));
    assert!(tries_tcp(Config::default(), 1_301));
}

// RFC 3261 §18.1.1; conformance: 92
#[test]
fn with_a_known_path_mtu_the_limit_is_200_bytes_below_it() {
    for (mtu, limit) in [(1_500, 1_300), (1_492, 1_292), (9_000, 8_800)] {
        let mut config = Config::default();
        config.size_rule(SizeRule::PathMtu(mtu));
        assert!(!tries_tcp(config.clone(), limit), "{mtu}");
        assert!(tries_tcp(config, limit + 1), "{mtu}");
    }
    // A path that carries next to nothing.
    let options = SendOptions::new().size_rule(SizeRule::PathMtu(68));
    host().waits(sized(500, SERVER), options);
}

proptest! {
    // RFC 3261 §18.1.1; conformance: 92, 93, 95
    #[test]
    fn a_request_goes_over_udp_just_if_its_last_byte_fits(
        body in 0_usize..2_500,
        mtu in prop::option::of(68_u16..3_000),
    ) {
        let (rule, limit) = match mtu {
            Some(mtu) => (SizeRule::PathMtu(mtu), usize::from(mtu).saturating_sub(200)),
            None => (SizeRule::Rfc, 1_300),
        };
        let send = |rule| {
            let options = SendOptions::new().size_rule(rule);
            host().submit(request(Method::Message, SERVER, body), options)
        };
        let Ok(Submitted::Sent(probe)) = send(SizeRule::PreferUdp) else {
            panic!("it goes over UDP");
        };
        let over_udp = matches!(send(rule), Ok(Submitted::Sent(_)));
        prop_assert_eq!(over_udp, probe.bytes().len() <= limit);
    }
}

// RFC 3261 §18.1.1; conformance: 94
#[test]
fn the_via_names_the_transport_and_the_port_that_it_goes_over() {
    let mut host = host();
    let send = host.waits(large(), SendOptions::new());
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
    let id = host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.size_rule(), SizeOutcome::Tcp);
    let via = header(sent.bytes(), "Via");
    assert!(via.starts_with("SIP/2.0/TCP 192.0.2.1:5062;"), "{via}");
    assert_eq!(host.written(id), *sent.bytes());
    assert_eq!(
        sent.target().unwrap().to_string(),
        "tcp:192.0.2.9:5060 (too large for UDP; numeric)"
    );
    assert_eq!(host.transport.stats().size_rule_tcp, 1);
    // It is there for the next one.
    let sent = host.send(large(), SendOptions::new());
    assert_eq!(sent.local().connection, Some(id));
}

// conformance: 95
#[test]
fn what_counts_is_the_size_once_addresses_are_filled_in() {
    const LONG: &str = "a-rather-long-name-for-a-host-of-a-test.example.com:5060";
    let build = || sized(1_295, SERVER);
    by_udp(&mut host(), build(), SendOptions::new());
    let mut named = Host::new();
    named.channel(
        ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060")).advertised(LONG.parse().unwrap()),
    );
    named.waits(build(), SendOptions::new());
    assert!(build().to_bytes().len() < 1_300);
    let mut config = Config::default();
    config.header_hook(|message, _, _| message.set("Subject", "added").unwrap());
    with(config).waits(build(), SendOptions::new());
}

// RFC 3261 §18.1.1; conformance: 98
#[test]
fn without_a_connection_the_request_goes_over_udp_after_all() {
    let failures: [fn(&mut Host) -> AttemptCause; 3] = [
        |host| {
            host.refuse();
            REFUSED
        },
        |host| {
            let (id, ..) = host.connects.pop_front().unwrap();
            host.transport.handle_error(id, ErrorKind::HostUnreachable);
            host.drain();
            AttemptCause::Connect(ErrorKind::HostUnreachable)
        },
        |host| {
            host.pass(Duration::from_millis(1_999));
            assert!(host.datagrams.is_empty());
            assert_eq!(host.deadline.unwrap().1, Deadline::SizeRule);
            host.pass(Duration::from_millis(1));
            AttemptCause::Deadline(Deadline::SizeRule)
        },
    ];
    for fail in failures {
        let mut host = host();
        let send = host.waits(large(), SendOptions::new());
        let cause = fail(&mut host);
        let sent = host.completed(send).unwrap();
        assert_eq!(sent.size_rule(), SizeOutcome::TcpFailed(cause));
        assert_eq!(sent.remote(), {
            let mut remote = udp("192.0.2.9:5060");
            remote.channel = sent.local().channel;
            remote
        });
        let via = header(sent.bytes(), "Via");
        assert!(via.starts_with("SIP/2.0/UDP 192.0.2.1:5060;"), "{via}");
        assert_eq!(host.datagrams[0].1.bytes, *sent.bytes());
        // Both are one target.
        assert_eq!((sent.tried().len(), sent.targets_left()), (0, 0));
        let target = sent.target().unwrap().to_string();
        assert_eq!(target, "udp:192.0.2.9:5060 (default; numeric)");
        assert_eq!(host.transport.stats().size_rule_udp, 1);
        assert_eq!(host.transport.router().queued_bytes(), 0);
    }
}

#[test]
fn who_asked_for_tcp_waits_on_where_the_size_does_not() {
    let mut host = host();
    let wants = host.waits(
        common::options("sip:192.0.2.9;transport=tcp"),
        SendOptions::new(),
    );
    host.pass(Duration::from_secs(1));
    let first = host.waits(large(), SendOptions::new());
    host.pass(Duration::from_secs(1));
    let second = host.waits(large(), SendOptions::new());
    assert_eq!(host.connects.len(), 1, "they wait for one connection");
    host.pass(Duration::from_secs(1));
    assert_eq!(protocol(&host.completed(first).unwrap()), Protocol::Udp);
    host.pass(Duration::from_millis(500));
    host.connected("192.0.2.1:40000");
    for send in [wants, second] {
        assert_eq!(protocol(&host.completed(send).unwrap()), Protocol::Tcp);
    }
    // And so it is known that TCP works.
    let sent = host.send(large(), SendOptions::new());
    assert_eq!(sent.size_rule(), SizeOutcome::Tcp);
}

#[test]
fn a_target_without_tcp_is_remembered_for_ten_minutes() {
    let mut host = host();
    let first = host.waits(large(), SendOptions::new());
    host.refuse();
    host.completed(first).unwrap();
    host.pass(Duration::from_millis(599_999));
    let sent = by_udp(&mut host, large(), SendOptions::new());
    assert_eq!(sent.size_rule(), SizeOutcome::TcpFailedRecently);
    // It is no matter of what is small, and of another target.
    let small = by_udp(&mut host, sized(1_300, SERVER), SendOptions::new());
    assert_eq!(small.size_rule(), SizeOutcome::Unaffected);
    host.waits(sized(1_400, "sip:192.0.2.9:5070"), SendOptions::new());
    host.refuse();
    host.pass(Duration::from_millis(1));
    host.waits(large(), SendOptions::new());
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
}

#[test]
fn an_open_connection_ends_the_memory_and_other_targets_push_it_out() {
    let mut config = Config::default();
    config.size_rule_targets(1).unwrap();
    let mut host = with(config);
    let fail = |host: &mut Host, uri| {
        host.waits(sized(1_400, uri), SendOptions::new());
        host.refuse();
    };
    fail(&mut host, SERVER);
    host.waits(
        common::options("sip:192.0.2.9;transport=tcp"),
        SendOptions::new(),
    );
    let id = host.connected("192.0.2.1:40000");
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    fail(&mut host, SERVER);
    fail(&mut host, "sip:192.0.2.10");
    assert_eq!(host.transport.stats().size_rule_forgotten, 1);
    host.waits(large(), SendOptions::new());
}

// conformance: 99
#[test]
fn what_was_not_for_udp_never_falls_back_to_it() {
    let mut config = Config::default();
    config.tls(authority().client());
    let mut host = with(config);
    for uri in [
        "sip:192.0.2.9;transport=tcp",
        "sips:192.0.2.9",
        "sip:192.0.2.9;transport=tls",
    ] {
        let send = host.waits(sized(1_400, SERVER), SendOptions::new());
        host.refuse();
        host.completed(send).unwrap();
        host.datagrams.clear();
        let request = request(Method::Message, uri, 1_400);
        let send = host.waits(request, SendOptions::new());
        host.refuse();
        let error = host.completed(send).unwrap_err();
        assert_eq!(error.tried()[0].cause, REFUSED, "{uri}");
        assert!(host.datagrams.is_empty(), "{uri}");
        host.pass(Duration::from_secs(600));
    }
    let zone: Zone = "
        example.com NAPTR 10 10 s SIP+D2T _sip._tcp.example.com
        _sip._tcp.example.com SRV 1 1 5060 a.example.com
        a.example.com A 192.0.2.7"
        .parse()
        .unwrap();
    let request = request(Method::Message, "sip:example.com", 1_400);
    let send = host.waits(request, SendOptions::new());
    host.resolve_from(&zone);
    host.refuse();
    let error = host.completed(send).unwrap_err();
    assert_eq!(error.tried()[0].cause, REFUSED);
    assert!(host.datagrams.is_empty());
}

#[test]
fn where_the_application_chose_udp_the_size_is_its_matter() {
    let mut host = host();
    let channel = host.transport.router().channels().next().unwrap().0;
    let cases = [
        to(udp("192.0.2.9:5060")),
        SendOptions::new().channel(channel),
        SendOptions::new().size_rule(SizeRule::PreferUdp),
    ];
    for options in cases {
        let sent = by_udp(&mut host, large(), options);
        assert_eq!(sent.size_rule(), SizeOutcome::Unaffected);
    }
    // A wish in the URI is the peer's.
    host.waits(
        sized(1_400, "sip:192.0.2.9;transport=udp"),
        SendOptions::new(),
    );
    let mut config = Config::default();
    config.size_rule(SizeRule::PreferUdp);
    let mut prefers = with(config);
    by_udp(&mut prefers, large(), SendOptions::new());
    prefers.waits(large(), SendOptions::new().size_rule(SizeRule::Rfc));
}

#[test]
fn ack_cancel_and_multicast_stay_on_udp() {
    let mut host = host();
    for method in [Method::Ack, Method::Cancel] {
        let request = request(method, SERVER, 1_400);
        let sent = by_udp(&mut host, request, SendOptions::new());
        assert_eq!(sent.size_rule(), SizeOutcome::Unaffected);
    }
    let everywhere = ChannelConfig::new(Protocol::Udp, addr("0.0.0.0:5070"));
    let mut member = Host::new();
    member.channel(everywhere.join([224, 0, 1, 75].into(), [192, 0, 2, 1].into()));
    let large_one = request(Method::Message, "sip:224.0.1.75", 1_400);
    by_udp(&mut member, large_one, SendOptions::new());
    // Nor does a target without TCP change what is told of them.
    host.waits(large(), SendOptions::new());
    host.refuse();
    let ack = request(Method::Ack, SERVER, 1_400);
    let sent = by_udp(&mut host, ack, SendOptions::new());
    assert_eq!(sent.size_rule(), SizeOutcome::Unaffected);
}

// RFC 3261 §9.1, §17.1.1.3; conformance: 116
#[test]
fn what_belongs_to_a_request_follows_it_whatever_its_size() {
    let uri = format!("{SERVER};transport=udp");
    let invite = || {
        let mut invite = request(Method::Invite, &uri, 0);
        // CANCEL and ACK have it too.
        let route = format!("<sip:192.0.2.9;lr;x={}>", "y".repeat(1_400));
        invite.set("Route", route.as_str()).unwrap();
        invite
    };
    let ok = |sent: &Sent| {
        let request = Request::new(sent.message().unwrap()).unwrap();
        let response: Response = common::ok(&request);
        response
    };
    for over_tcp in [false, true] {
        let mut host = host();
        let send = host.waits(invite(), SendOptions::new());
        let wanted = if over_tcp {
            host.connected("192.0.2.1:40000");
            Protocol::Tcp
        } else {
            host.refuse();
            Protocol::Udp
        };
        let sent = host.completed(send).unwrap();
        assert_eq!(protocol(&sent), wanted);
        for derived in [sent.cancel().unwrap(), sent.ack(&ok(&sent)).unwrap()] {
            let follow_up = host.send(derived.request, derived.options);
            assert!(follow_up.bytes().len() > 1_300);
            assert_eq!(protocol(&follow_up), wanted);
            assert_eq!(follow_up.local().connection, sent.local().connection);
            let vias = [&sent, &follow_up].map(|sent| sent.message().unwrap());
            let [one, other] = vias.each_ref().map(|message| message.top_via().unwrap());
            assert_eq!(one.transport(), other.transport());
            assert_eq!(
                (one.sent_by(), one.branch()),
                (other.sent_by(), other.branch())
            );
        }
    }
}

const TWO_SERVERS: &str = "
    _sip._udp.example.com SRV 1 1 5060 a.example.com
    _sip._udp.example.com SRV 2 1 5070 b.example.com
    a.example.com A 192.0.2.7
    b.example.com A 192.0.2.8";

/// A request of that many bytes to the first of two servers, whose TCP is awaited.
fn to_the_first_of_two(host: &mut Host, length: usize) -> sip_transport_proto::SendId {
    let request = request(Method::Message, "sip:example.com", length);
    let send = host.waits(request, SendOptions::new());
    host.resolve_from(&TWO_SERVERS.parse().unwrap());
    assert_eq!(host.connects[0].1, addr("192.0.2.7:5060"));
    send
}

#[test]
fn the_next_target_is_the_next_server_whichever_way_the_first_was_tried() {
    for over_tcp in [false, true] {
        let mut host = host();
        let send = to_the_first_of_two(&mut host, 1_400);
        if over_tcp {
            host.connected("192.0.2.1:40000");
        } else {
            host.refuse();
        }
        let sent = host.completed(send).unwrap();
        assert_eq!((sent.tried().len(), sent.targets_left()), (0, 1));
        let next = host.next(sent).unwrap();
        let Submitted::Waiting(send) = next else {
            panic!("{next:?}");
        };
        assert_eq!(host.connects[0].1, addr("192.0.2.8:5070"));
        host.refuse();
        let sent = host.completed(send).unwrap();
        assert_eq!(sent.size_rule(), SizeOutcome::TcpFailed(REFUSED));
        let [attempt] = sent.tried() else {
            panic!("{:?}", sent.tried());
        };
        assert_eq!(attempt.target.addr, addr("192.0.2.7:5060"));
        assert_eq!(attempt.cause, AttemptCause::Left);
        // The server that was left comes last for others.
        let small = host.send(
            request(Method::Message, "sip:example.com", 10),
            SendOptions::new(),
        );
        assert_eq!(small.remote().addr, addr("192.0.2.8:5070"));
    }
}

#[test]
fn what_no_datagram_holds_goes_on_to_the_next_server() {
    let mut host = host();
    let send = to_the_first_of_two(&mut host, 65_507);
    host.refuse();
    assert_eq!(host.connects[0].1, addr("192.0.2.8:5070"));
    host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.tried()[0].cause, REFUSED);
    let send = to_the_first_of_two_again(&mut host);
    host.refuse();
    host.refuse();
    let error = host.completed(send).unwrap_err();
    assert_eq!(*error.cause(), SendCause::AllTargetsFailed);
    assert_eq!(error.tried().len(), 2);
    assert!(host.datagrams.is_empty());
}

/// As before, on a host that knows where the servers are and has no connection to them.
fn to_the_first_of_two_again(host: &mut Host) -> sip_transport_proto::SendId {
    let open: Vec<ConnectionId> = host
        .transport
        .router()
        .connections()
        .map(|c| c.id)
        .collect();
    for id in open {
        host.transport.handle_error(id, ErrorKind::ConnectionReset);
    }
    host.drain();
    let request = request(Method::Message, "sip:example.com", 65_507);
    host.waits(request, SendOptions::new())
}

#[test]
fn without_any_channel_for_tcp_there_is_udp() {
    let mut config = Config::default();
    config.create_client_channels(false);
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    let sent = by_udp(&mut host, large(), SendOptions::new());
    let none = SendCause::NoChannel {
        protocol: Protocol::Tcp,
        remote: common::ip("192.0.2.9"),
    };
    let failed = AttemptCause::Send(Box::new(none));
    assert_eq!(sent.size_rule(), SizeOutcome::TcpFailed(failed));
    // That says nothing of the target.
    host.tcp("192.0.2.1:5062");
    host.waits(large(), SendOptions::new());
}

#[test]
fn a_connection_that_dies_under_it_is_opened_once_more() {
    let mut host = host();
    host.waits(
        common::options("sip:192.0.2.9;transport=tcp"),
        SendOptions::new(),
    );
    let id = host.connected("192.0.2.1:40000");
    host.written(id);
    // Its end is known to its machine, and not yet to the router.
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    let send = host.waits(large(), SendOptions::new());
    host.connected("192.0.2.1:40001");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.size_rule(), SizeOutcome::Tcp);
    assert_eq!(
        host.close_reason(id),
        Some(CloseReason::Io(ErrorKind::ConnectionReset))
    );
}

#[test]
fn a_udp_flow_is_kept_for_what_goes_over_udp_only() {
    let mut host = host();
    let kept = || SendOptions::new().keep(Keep::new());
    let send = host.waits(large(), kept());
    assert_eq!(host.transport.router().kept_flows(), 0);
    host.connected("192.0.2.1:40000");
    host.completed(send).unwrap();
    // One that was kept before stays.
    by_udp(&mut host, sized(500, SERVER), kept());
    host.send(large(), kept());
    assert_eq!(host.transport.router().kept_flows(), 1);
}

#[test]
fn a_hinted_tcp_channel_needs_no_rule() {
    let mut host = host();
    host.local = Some(common::ip("192.0.2.1"));
    let channel = host.tcp("192.0.2.1:5064");
    let send = host.waits(large(), SendOptions::new().channel(channel));
    host.refuse();
    assert!(host.completed(send).is_err());
    let send = host.waits(large(), to(tcp("192.0.2.9:5060")));
    host.refuse();
    assert!(host.completed(send).is_err());
    assert!(host.datagrams.is_empty());
}
