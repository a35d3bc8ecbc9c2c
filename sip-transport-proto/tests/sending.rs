//! Which way a message takes: channel, address family, next target, and what an error says.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use common::{Host, addr, header, invite, ip, ok, options, tcp, to, udp, wire_request};
use sip_transport_proto::error::{AttemptCause, LocalFault, SendCause};
use sip_transport_proto::resolve::{Answer, DomainName, LookupKind, PlanError};
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{
    ChannelConfig, Config, ConfigError, Deadline, Event, Protocol, SendOptions, SipEndpoint,
};

fn channel_towards(
    host: &mut Host,
    destination: SipEndpoint,
) -> Option<sip_transport_proto::ChannelId> {
    host.send(options("sip:x@192.0.2.9"), to(destination))
        .local()
        .channel
}

/// A host with an answer to where the system routes from.
fn routed_from(local: &str) -> Host {
    let mut host = Host::new();
    host.local = Some(ip(local));
    host
}

#[test]
fn a_request_goes_where_its_uri_says() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:bob@192.0.2.9:5070"), SendOptions::new());
    assert_eq!(sent.remote().to_string(), "udp:192.0.2.9:5070");
    let (_, transmit) = host.datagrams.pop_front().unwrap();
    assert_eq!(transmit.destination, addr("192.0.2.9:5070"));
    assert_eq!(transmit.bytes, *sent.bytes());
    assert_eq!(transmit.send, Some(sent.id()));
}

// conformance: 104, 197
#[test]
fn without_a_port_the_protocols_default_one_is_taken() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    let sent = host.send(options("sip:bob@192.0.2.9"), SendOptions::new());
    assert_eq!(sent.remote().addr, addr("192.0.2.9:5060"));
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
}

// RFC 3261 §19.1.1: maddr takes the place of the host; conformance: 193
#[test]
fn a_uri_maddr_is_the_host_to_send_to() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let sent = host.send(
        options("sip:bob@example.com;maddr=192.0.2.7"),
        SendOptions::new(),
    );
    assert_eq!(sent.remote().addr, addr("192.0.2.7:5060"));
}

// RFC 3261 §8.1.2
#[test]
fn a_loose_route_goes_before_the_request_uri() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let mut request = options("sip:bob@192.0.2.9");
    request
        .prepend("Route", "<sip:192.0.2.50:5080;lr>, <sip:192.0.2.51;lr>")
        .unwrap();
    let sent = host.send(request, SendOptions::new());
    assert_eq!(sent.remote().addr, addr("192.0.2.50:5080"));
}

// bad-inputs: R13
#[test]
fn a_request_uri_without_a_host_is_an_error_that_gives_the_message_back() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let error = host
        .submit(options("tel:+1-201-555-0123"), SendOptions::new())
        .unwrap_err();
    assert_eq!(
        *error.cause(),
        SendCause::NoHost {
            scheme: "tel".into()
        }
    );
    assert_eq!(
        error.message().request_uri(),
        Some(&b"tel:+1-201-555-0123"[..])
    );
    // A destination given by the application helps.
    let sent = host.send(error.into_message(), to(udp("192.0.2.9:5060")));
    assert_eq!(sent.remote().addr, addr("192.0.2.9:5060"));
}

#[test]
fn a_transport_that_there_is_not_is_an_error() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let error = host.submit(options("sip:192.0.2.9;transport=sctp"), SendOptions::new());
    assert_eq!(
        *error.unwrap_err().cause(),
        SendCause::UnsupportedTransport("sctp".into())
    );
}

// RFC 3261 §26.2.2; conformance: 85, 277; bad-inputs: C2, R15
#[test]
fn sips_never_goes_out_unprotected() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    for uri in [
        "sips:192.0.2.9",
        "sips:192.0.2.9;transport=tcp",
        "sips:192.0.2.9;transport=udp",
    ] {
        let error = host.submit(options(uri), SendOptions::new()).unwrap_err();
        let udp = SendCause::Insecure(Protocol::Udp);
        let causes = [SendCause::NoTlsConfig, udp];
        assert!(causes.contains(error.cause()), "{uri}: {error}");
    }
    for destination in [udp("192.0.2.9:5060"), tcp("192.0.2.9:5060")] {
        let error = host
            .submit(options("sips:192.0.2.9"), to(destination))
            .unwrap_err();
        assert_eq!(*error.cause(), SendCause::Insecure(destination.protocol));
    }
    assert!(host.datagrams.is_empty() && host.connects.is_empty());
}

#[test]
fn the_channel_bound_to_the_address_that_the_system_routes_from_is_chosen() {
    let mut host = routed_from("192.0.2.1");
    host.udp("0.0.0.0:5060");
    host.udp("198.51.100.1:5060");
    let bound = host.udp("192.0.2.1:5070");
    assert_eq!(
        channel_towards(&mut host, udp("203.0.113.9:5060")),
        Some(bound)
    );
}

#[test]
fn without_a_channel_on_that_address_a_wildcard_one_is_chosen() {
    let mut host = routed_from("192.0.2.1");
    host.udp("198.51.100.1:5060");
    let wildcard = host.udp("0.0.0.0:5070");
    host.udp("0.0.0.0:5080");
    assert_eq!(
        channel_towards(&mut host, udp("203.0.113.9:5060")),
        Some(wildcard)
    );
}

#[test]
fn without_a_wildcard_the_first_added_channel_is_chosen() {
    let mut host = routed_from("192.0.2.1");
    let first = host.udp("198.51.100.1:5060");
    host.udp("198.51.100.2:5060");
    assert_eq!(
        channel_towards(&mut host, udp("203.0.113.9:5060")),
        Some(first)
    );
}

#[test]
fn a_channel_on_loopback_reaches_loopback_only() {
    let mut host = routed_from("192.0.2.1");
    let loopback = host.udp("127.0.0.1:5060");
    let outside = host.udp("198.51.100.1:5060");
    assert_eq!(
        channel_towards(&mut host, udp("203.0.113.9:5060")),
        Some(outside)
    );
    host.local = Some(ip("127.0.0.1"));
    assert_eq!(
        channel_towards(&mut host, udp("127.0.0.9:5060")),
        Some(loopback)
    );
}

#[test]
fn the_family_of_the_destination_chooses_the_channel() {
    let mut host = Host::new();
    let v4 = host.udp("192.0.2.1:5060");
    let v6 = host.udp("[2001:db8::1]:5060");
    assert_eq!(
        channel_towards(&mut host, udp("203.0.113.9:5060")),
        Some(v4)
    );
    assert_eq!(
        channel_towards(&mut host, udp("[2001:db8::9]:5060")),
        Some(v6)
    );
}

#[test]
fn a_mapped_ipv4_destination_is_an_ipv4_destination() {
    let mut host = Host::new();
    let v4 = host.udp("192.0.2.1:5060");
    host.udp("[2001:db8::1]:5060");
    let mapped = udp("[::ffff:203.0.113.9]:5060");
    assert_eq!(channel_towards(&mut host, mapped), Some(v4));
    let sent = host.send(options("sip:[::ffff:203.0.113.9]"), SendOptions::new());
    assert_eq!(sent.remote().addr, addr("203.0.113.9:5060"));
}

#[test]
fn a_request_without_a_channel_gets_one_that_only_sends_one_for_each_protocol_and_family() {
    let mut host = routed_from("192.0.2.1");
    host.waits(options("sip:192.0.2.9"), SendOptions::new());
    host.waits(options("sip:192.0.2.8"), SendOptions::new());
    host.waits(options("sip:[2001:db8::9]"), SendOptions::new());
    let binds: Vec<_> = host.binds.drain(..).collect();
    let locals: Vec<_> = binds.iter().map(|(_, local)| *local).collect();
    assert_eq!(locals, [addr("0.0.0.0:0"), addr("[::]:0")]);
    let now = host.now;
    host.transport
        .handle_bound(now, binds[0].0, Ok(addr("0.0.0.0:40000")));
    host.drain();
    let sent: Vec<_> = host
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::SendCompleted { result, .. } => Some(result.unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 2);
    for sent in sent {
        assert_eq!(sent.local().to_string(), "udp:192.0.2.1:40000");
        assert!(header(sent.bytes(), "Via").starts_with("SIP/2.0/UDP 192.0.2.1:40000;"));
    }
    // The next one finds it.
    assert_eq!(
        channel_towards(&mut host, udp("192.0.2.7:5060")),
        Some(binds[0].0)
    );
    assert!(host.binds.is_empty());
}

#[test]
fn a_channel_made_on_demand_gives_way_to_those_that_were_added() {
    let mut host = routed_from("192.0.2.1");
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let made = host.transport.router().channels().next().unwrap().0;
    let added = host.tcp("198.51.100.1:5060");
    host.waits(options("sip:192.0.2.8;transport=tcp"), SendOptions::new());
    let (id, ..) = host.connects.pop_back().unwrap();
    let now = host.now;
    host.transport
        .handle_connected(now, id, addr("198.51.100.1:40000"));
    host.drain();
    let chosen = host
        .take_events()
        .into_iter()
        .find_map(|event| match event {
            Event::ConnectionOpened { channel, .. } => Some(channel),
            _ => None,
        });
    assert_eq!(chosen, Some(added));
    assert_ne!(made, added);
}

#[test]
fn no_channel_is_made_where_that_is_switched_off() {
    let mut config = Config::default();
    config.create_client_channels(false);
    let mut host = Host::with(config);
    let error = host
        .submit(options("sip:192.0.2.9"), SendOptions::new())
        .unwrap_err();
    let cause = SendCause::NoChannel {
        protocol: Protocol::Udp,
        remote: ip("192.0.2.9"),
    };
    assert_eq!(*error.cause(), cause);
}

#[test]
fn no_channel_is_made_for_a_response() {
    let mut other = Host::seeded(Config::default(), 2);
    let channel = other.udp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let received = other.request(channel, "192.0.2.9:5060", &wire_request(via, ""));
    let mut host = Host::new();
    let error = host
        .submit(ok(&received.request), SendOptions::new())
        .unwrap_err();
    assert!(
        matches!(error.cause(), SendCause::NoChannel { .. }),
        "{error}"
    );
}

#[test]
fn a_socket_that_cannot_be_bound_fails_what_waits_for_it() {
    let mut host = Host::new();
    let send = host.waits(options("sip:192.0.2.9"), SendOptions::new());
    let (channel, _) = host.binds.pop_front().unwrap();
    let now = host.now;
    host.transport
        .handle_bound(now, channel, Err(ErrorKind::PermissionDenied));
    host.drain();
    let error = host.completed(send).unwrap_err();
    assert_eq!(
        error.tried()[0].cause,
        AttemptCause::NoRoute(ErrorKind::PermissionDenied)
    );
    assert_eq!(host.transport.router().load(), (0, 0));
}

#[test]
fn a_socket_that_cannot_be_bound_by_a_fault_of_this_machine_blames_no_route() {
    let mut host = Host::new();
    let send = host.waits(options("sip:192.0.2.9"), SendOptions::new());
    let (channel, _) = host.binds.pop_front().unwrap();
    let (now, fault) = (host.now, LocalFault::ProcessFiles);
    host.transport.handle_bind_fault(now, channel, fault);
    host.drain();
    let error = host.completed(send).unwrap_err();
    assert_eq!(error.tried()[0].cause, AttemptCause::LocalFault(fault));
    assert_eq!(
        error.tried()[0].cause.to_string(),
        "a fault of this machine: this process has too many open files"
    );
    assert_eq!(host.transport.router().load(), (0, 0));
}

#[test]
fn the_addresses_of_a_name_are_tried_one_after_the_other() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let send = host.waits(
        invite("sip:bob@example.com:5080;transport=tcp"),
        SendOptions::new(),
    );
    assert!(
        host.lookups
            .iter()
            .all(|(_, _, name)| name.as_str() == "example.com")
    );
    host.resolve(&["192.0.2.7", "192.0.2.8", "192.0.2.9"]);
    host.refuse();
    host.refuse();
    let id = host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().addr, addr("192.0.2.9:5080"));
    assert_eq!(sent.targets_left(), 0);
    assert_eq!(host.written(id), *sent.bytes());
}

// conformance: 79, 86
#[test]
fn every_attempt_starts_from_the_message_as_given_with_a_branch_of_its_own() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let mut branches = Vec::new();
    for _ in 0..3 {
        let request = options("sip:192.0.2.9;transport=tcp");
        let given = request.to_bytes();
        let send = host.waits(request, SendOptions::new());
        host.refuse();
        let error = host.completed(send).unwrap_err();
        assert_eq!(error.message().to_bytes(), given);
        let retried = host.waits(error.into_message(), SendOptions::new());
        let id = host.connected("192.0.2.1:40000");
        let sent = host.completed(retried).unwrap();
        branches.push(
            sent.message()
                .unwrap()
                .top_via()
                .unwrap()
                .branch()
                .unwrap()
                .to_owned(),
        );
        host.transport.handle_error(id, ErrorKind::ConnectionReset);
        host.drain();
        host.take_events();
    }
    branches.sort();
    branches.dedup();
    assert_eq!(branches.len(), 3);
    assert!(branches.iter().all(|branch| branch.starts_with("z9hG4bK")));
}

// conformance: 154
#[test]
fn with_no_address_left_the_error_lists_what_was_tried() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let send = host.waits(options("sip:example.com;transport=tcp"), SendOptions::new());
    host.resolve(&["192.0.2.7", "192.0.2.8"]);
    host.refuse();
    host.refuse();
    let error = host.completed(send).unwrap_err();
    assert_eq!(*error.cause(), SendCause::AllTargetsFailed);
    let tried: Vec<_> = error
        .tried()
        .iter()
        .map(|attempt| attempt.target.addr)
        .collect();
    assert_eq!(tried, [addr("192.0.2.7:5060"), addr("192.0.2.8:5060")]);
    let refused = AttemptCause::Connect(ErrorKind::ConnectionRefused);
    assert!(error.tried().iter().all(|attempt| attempt.cause == refused));
}

#[test]
fn sends_to_one_name_share_one_lookup() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let sends = [0; 3].map(|_| host.waits(options("sip:example.com"), SendOptions::new()));
    let asked: BTreeSet<_> = host
        .lookups
        .iter()
        .map(|(_, kind, name)| (kind, name))
        .collect();
    assert_eq!(asked.len(), host.lookups.len());
    host.resolve(&["192.0.2.9"]);
    for send in sends {
        assert_eq!(
            host.completed(send).unwrap().remote().addr,
            addr("192.0.2.9:5060")
        );
    }
}

#[test]
fn a_lookup_that_fails_or_finds_nothing_ends_the_send() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let name = DomainName::new("example.com").unwrap();
    let missing = PlanError::NoAddress(name.clone());
    let failed = PlanError::Lookup {
        kind: LookupKind::A,
        name,
        error: ErrorKind::ConnectionReset,
    };
    let records = Vec::new();
    let ttl = Duration::from_secs(60);
    for (answer, cause) in [
        (Answer::Failed(ErrorKind::ConnectionReset), failed),
        (Answer::Found { records, ttl }, missing.clone()),
        (Answer::NotFound { ttl: None }, missing),
    ] {
        let send = host.waits(options("sip:example.com:5060"), SendOptions::new());
        host.look_up(|kind, _| match kind {
            LookupKind::A => answer.clone(),
            _ => Answer::NotFound { ttl: None },
        });
        let error = host.completed(send).unwrap_err();
        assert_eq!(*error.cause(), SendCause::Resolve(cause));
        host.pass(Duration::from_secs(61));
    }
}

// bad-inputs: D2, D6
#[test]
fn a_lookup_without_an_answer_ends_the_send_and_a_late_answer_is_ignored() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let send = host.waits(options("sip:example.com"), SendOptions::new());
    assert_eq!(host.deadline.map(|(_, why)| why), Some(Deadline::Query));
    host.pass(Duration::from_millis(1_999));
    assert!(host.events.is_empty());
    host.pass(Duration::from_millis(1));
    let error = host.completed(send).unwrap_err();
    assert!(matches!(
        error.cause(),
        SendCause::Resolve(PlanError::Lookup {
            error: ErrorKind::TimedOut,
            ..
        })
    ));
    host.resolve(&["192.0.2.9"]);
    assert!(host.events.is_empty() && host.datagrams.is_empty());
}

// RFC 7118 §5; conformance: 409
#[test]
fn an_invalid_name_is_never_looked_up() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    for uri in [
        "sip:df7jal23ls0d.invalid",
        "sip:df7jal23ls0d.INVALID.",
        "sip:invalid",
    ] {
        let error = host.submit(options(uri), SendOptions::new());
        let error = error.expect_err(uri);
        assert!(
            matches!(error.cause(), SendCause::Resolve(PlanError::NoSuchName(_))),
            "{error}"
        );
    }
    assert!(host.lookups.is_empty());
}

#[test]
fn a_destination_without_a_route_moves_the_send_to_the_next_address() {
    let mut host = Host::new();
    host.udp("0.0.0.0:5060");
    let send = host.waits(options("sip:example.com"), SendOptions::new());
    host.resolve(&["192.0.2.7", "192.0.2.8"]);
    let now = host.now;
    let (first, remote) = host.local_queries.pop_front().unwrap();
    assert_eq!(remote, addr("192.0.2.7:5060"));
    host.transport
        .handle_local_address(now, first, Err(ErrorKind::NetworkUnreachable));
    host.drain();
    let (second, _) = host.local_queries.pop_front().unwrap();
    host.transport
        .handle_local_address(now, second, Ok(ip("192.0.2.1")));
    host.drain();
    assert_eq!(
        host.completed(send).unwrap().remote().addr,
        addr("192.0.2.8:5060")
    );
}

#[test]
fn a_question_for_the_local_address_that_nobody_answers_ends_the_send() {
    let mut host = Host::new();
    host.udp("0.0.0.0:5060");
    let send = host.waits(options("sip:192.0.2.9"), SendOptions::new());
    host.pass(Duration::from_secs(6));
    let error = host.completed(send).unwrap_err();
    assert_eq!(
        error.tried()[0].cause,
        AttemptCause::Deadline(Deadline::Query)
    );
}

#[test]
fn the_local_address_is_asked_for_once_in_two_seconds() {
    let mut host = routed_from("192.0.2.1");
    host.udp("0.0.0.0:5060");
    host.send(options("sip:192.0.2.9"), SendOptions::new());
    host.local = None;
    host.send(options("sip:192.0.2.9:5070"), SendOptions::new());
    host.pass(Duration::from_millis(2_001));
    host.waits(options("sip:192.0.2.9"), SendOptions::new());
    assert_eq!(host.local_queries.len(), 1);
}

#[test]
fn too_many_waiting_sends_are_refused_at_once() {
    let mut config = Config::default();
    config.max_waiting_sends(2).unwrap();
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    host.waits(options("sip:a.example"), SendOptions::new());
    host.waits(options("sip:a.example"), SendOptions::new());
    let error = host
        .submit(options("sip:a.example"), SendOptions::new())
        .unwrap_err();
    assert_eq!(*error.cause(), SendCause::TooManyWaiting { limit: 2 });
}

#[test]
fn after_shutdown_everything_that_waits_fails_and_nothing_more_is_sent() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    let lookup = host.waits(options("sip:example.com"), SendOptions::new());
    let connect = host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let now = host.now;
    host.transport.shutdown(now);
    host.drain();
    for send in [lookup, connect] {
        let error = host.completed(send).unwrap_err();
        assert_eq!(*error.cause(), SendCause::ShuttingDown);
    }
    let error = host
        .submit(options("sip:192.0.2.9"), SendOptions::new())
        .unwrap_err();
    assert_eq!(*error.cause(), SendCause::ShuttingDown);
    assert_eq!(host.transport.router().load(), (0, 0));
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

// bad-inputs: F16
#[test]
fn a_message_larger_than_a_datagram_can_be_is_refused() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let body = vec![b'x'; 65_507];
    let mut request = options("sip:192.0.2.9");
    request.set_body(body).unwrap();
    let error = host.submit(request, to(udp("192.0.2.9:5060"))).unwrap_err();
    assert!(
        matches!(error.cause(), SendCause::TooLarge { .. }),
        "{error}"
    );
    assert!(host.datagrams.is_empty());
}

// conformance: 143, 144
#[test]
fn a_message_without_content_length_gets_one_on_a_stream() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    let text = "OPTIONS sip:192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
                From: <sip:b@x.example>;tag=1\r\nTo: <sip:a@x.example>\r\nCall-ID: 1\r\n\
                CSeq: 1 OPTIONS\r\n\r\nbody";
    let send = host.waits(Message::parse(text).unwrap(), to(tcp("192.0.2.9:5060")));
    host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(header(sent.bytes(), "Content-Length"), "4");
    assert!(sent.bytes().ends_with(b"\r\n\r\nbody"));
}

// conformance: 90
#[test]
fn a_setting_that_cannot_be_is_refused() {
    let mut config = Config::default();
    let ConfigError {
        setting, expected, ..
    } = config.send_queue(0).unwrap_err();
    assert_eq!((setting, expected), ("send_queue", "more than zero"));
    // RFC 3261 §18
    assert!(config.idle_timeout(Duration::from_millis(31_999)).is_err());
    assert!(config.idle_timeout(Duration::from_secs(32)).is_ok());
    let unbound = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:0"));
    assert!(Host::new().transport.add_channel(unbound).is_err());
}

#[test]
fn an_address_carries_one_channel_of_a_protocol() {
    let mut host = Host::new();
    let first = host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    let again = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060"));
    let error = host.transport.add_channel(again).unwrap_err();
    assert_eq!(
        error,
        sip_transport_proto::error::ChannelError::Exists(first)
    );
}
