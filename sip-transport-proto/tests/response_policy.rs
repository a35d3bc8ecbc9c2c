//! Responses that cannot go back the way of their request: how far they go is the application's
//! word, not the peer's.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{Host, Received, addr, ip, ok, tcp, to, wire_request, wire_response};
use sip_transport_proto::error::{AttemptCause, NextError, SendCause, SendFailure};
use sip_transport_proto::resolve::Zone;
use sip_transport_proto::sip_core::{Message, Request};
use sip_transport_proto::{
    ChannelConfig, Config, Event, Outgoing, Protocol, ResponsePolicy, SendOptions, Submitted,
};

const SOURCE: &str = "192.0.2.9:33333";
const REFUSED: AttemptCause = AttemptCause::Connect(ErrorKind::ConnectionRefused);
const SENT_BY: ResponsePolicy = ResponsePolicy::new().sent_by(true);
const NO_CONNECT: ResponsePolicy = ResponsePolicy::new().connect(false);
const MADDR: ResponsePolicy = ResponsePolicy::new().maddr(true);

fn zone() -> Zone {
    "_sip._udp.host.example SRV 1 1 5080 a.host.example
     _sip._udp.host.example SRV 2 1 5090 b.host.example
     _sip._tcp.host.example SRV 1 1 5080 a.host.example
     _sips._tcp.host.example SRV 1 1 5081 a.host.example
     a.host.example A 198.51.100.7
     b.host.example A 198.51.100.8
     host.example A 198.51.100.9
     plain.example A 198.51.100.10
     group.example A 224.0.1.75
     group.example A 255.255.255.255"
        .parse()
        .unwrap()
}

/// Where a policy is said.
#[derive(Clone, Copy, Debug)]
enum Said {
    Nowhere,
    ForAll,
    ForTheChannel,
    ForTheResponse,
}

const EVERYWHERE: [Said; 3] = [Said::ForAll, Said::ForTheChannel, Said::ForTheResponse];

/// A host that takes requests over a protocol, and how to send a response.
fn host(protocol: Protocol, said: Said, policy: ResponsePolicy) -> (Host, SendOptions) {
    let mut config = Config::default();
    let mut channel = ChannelConfig::new(protocol, addr("192.0.2.1:5060"));
    let mut options = SendOptions::new();
    match said {
        Said::Nowhere => {}
        Said::ForAll => _ = config.responses(policy),
        Said::ForTheChannel => channel = channel.responses(policy),
        Said::ForTheResponse => options = options.responses(policy),
    }
    let mut host = Host::with(config);
    host.channel(channel);
    (host, options)
}

/// A request over a connection that is gone since.
fn gone(host: &mut Host, via: &str) -> Request {
    let channel = host.transport.router().channels().next().unwrap().0;
    let id = host.accept(channel, "192.0.2.1:5060", SOURCE);
    host.feed(id, &wire_request(via, ""));
    let received = Received::from(host.events.pop_front().unwrap());
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    received.request
}

fn forwarded(via: &str) -> Message {
    Message::parse(wire_response(via)).unwrap()
}

// RFC 3261 §18.2.2, RFC 3263 §5; conformance: 127
#[test]
fn after_the_source_the_servers_of_the_sent_by_are_tried_where_that_is_allowed() {
    for said in EVERYWHERE {
        let (mut host, options) = host(Protocol::Tcp, said, SENT_BY);
        let request = gone(&mut host, "SIP/2.0/TCP host.example;branch=z9hG4bK1");
        let send = host.waits(ok(&request), options);
        assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
        host.refuse();
        host.resolve_from(&zone());
        assert_eq!(host.connects[0].1, addr("198.51.100.7:5080"), "{said:?}");
        host.connected("192.0.2.1:40000");
        let sent = host.completed(send).unwrap();
        let [source] = sent.tried() else {
            panic!("{:?}", sent.tried());
        };
        assert_eq!(
            source.target.to_string(),
            "tcp:192.0.2.9:5060 (given; source of the request)"
        );
        assert_eq!(source.cause, REFUSED);
        assert_eq!(sent.targets_left(), 0);
    }
}

// bad-inputs: C14
#[test]
fn unless_that_is_allowed_the_source_is_all_there_is() {
    let (mut host, options) = host(Protocol::Tcp, Said::Nowhere, SENT_BY);
    let request = gone(&mut host, "SIP/2.0/TCP host.example;branch=z9hG4bK1");
    let send = host.waits(ok(&request), options.clone());
    host.refuse();
    let error = host.completed(send).unwrap_err();
    assert_eq!(*error.cause(), SendCause::AllTargetsFailed);
    let error = host.submit(
        forwarded("SIP/2.0/TCP host.example;branch=z9hG4bK1"),
        options,
    );
    assert_eq!(*error.unwrap_err().cause(), SendCause::NoResponseAddress);
    assert!(host.lookups.is_empty() && host.connects.is_empty());
}

// RFC 3261 §18.2.2; conformance: 136
#[test]
fn a_response_that_nobody_takes_comes_back_whole_and_can_be_sent_again() {
    let (mut host, options) = host(Protocol::Tcp, Said::ForAll, SENT_BY);
    let request = gone(&mut host, "SIP/2.0/TCP host.example;branch=z9hG4bK1");
    let send = host.waits(ok(&request), options.clone());
    host.refuse();
    host.resolve_from(&zone());
    host.refuse();
    let error = host.completed(send).unwrap_err();
    assert_eq!(error.send(), send);
    let tried: Vec<_> = error
        .tried()
        .iter()
        .map(|attempt| attempt.target.addr)
        .collect();
    assert_eq!(tried, [addr("192.0.2.9:5060"), addr("198.51.100.7:5080")]);
    let response = error.into_message();
    assert_eq!(response.flow(), ok(&request).flow());
    assert_eq!(response.to_bytes(), ok(&request).to_bytes());
    // Nothing of it stays, and nothing is in its way.
    assert_eq!(host.transport.router().load(), (0, 0));
    let send = host.waits(response, options);
    host.connected("192.0.2.1:40000");
    assert_eq!(
        host.completed(send).unwrap().remote().addr,
        addr("192.0.2.9:5060")
    );
}

// RFC 3261 §18.2.2, RFC 3263 §5; conformance: 132, 293, 319
#[test]
fn without_received_a_response_goes_by_its_sent_by() {
    for (via, lookups, remote) in [
        ("UDP 192.0.2.9", false, "udp:192.0.2.9:5060"),
        ("UDP 192.0.2.9:5070", false, "udp:192.0.2.9:5070"),
        ("UDP [2001:db8::9]", false, "udp:[2001:db8::9]:5060"),
        ("UDP host.example", true, "udp:198.51.100.7:5080"),
        ("UDP host.example:5070", true, "udp:198.51.100.9:5070"),
        ("UDP plain.example", true, "udp:198.51.100.10:5060"),
        ("TCP host.example", true, "tcp:198.51.100.7:5080"),
        ("TCP plain.example", true, "tcp:198.51.100.10:5060"),
    ] {
        let mut host = Host::new();
        host.udp("192.0.2.1:5060");
        host.udp("[2001:db8::1]:5060");
        host.tcp("192.0.2.1:5060");
        let response = forwarded(&format!("SIP/2.0/{via};branch=z9hG4bK1"));
        let submitted = host.submit(response, SendOptions::new().responses(SENT_BY));
        assert_eq!(!host.lookups.is_empty(), lookups, "{via}");
        let sent = match submitted.unwrap() {
            Submitted::Sent(sent) => sent,
            Submitted::Waiting(send) => {
                host.resolve_from(&zone());
                if via.starts_with("TCP") {
                    host.connected("192.0.2.1:40000");
                }
                host.completed(send).unwrap()
            }
        };
        assert_eq!(sent.remote().to_string(), remote, "{via}");
    }
}

// RFC 3263 §5; conformance: 320
#[test]
fn a_server_of_the_sent_by_has_to_prove_that_it_is_it() {
    let mut host = Host::new();
    host.channel(
        ChannelConfig::new(Protocol::Tls, addr("192.0.2.1:5061"))
            .tls(testkit::suite::server_at(ip("192.0.2.1"))),
    );
    let response = forwarded("SIP/2.0/TLS host.example;branch=z9hG4bK1");
    let options = SendOptions::new().responses(SENT_BY);
    let now = host.now;
    let query = host.transport.plan(now, Outgoing::new(response, options));
    host.drain();
    host.resolve_from(&zone());
    let (answered, result) = host.plans.pop().unwrap();
    assert_eq!(answered, query);
    let targets: Vec<_> = result.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        targets,
        [
            "tls:198.51.100.7:5081 for host.example (given; SRV _sips._tcp.host.example 1 1; \
          A a.host.example)"
        ]
    );
}

// RFC 3261 §18.2.2; conformance: 133
#[test]
fn where_the_source_does_not_listen_the_next_target_is_the_sent_by() {
    for said in EVERYWHERE {
        let (mut host, options) = host(Protocol::Udp, said, SENT_BY);
        // The one that the request comes in on is not the first to be chosen.
        host.local = Some(ip("192.0.2.1"));
        let config = ChannelConfig::new(Protocol::Udp, addr("0.0.0.0:5070")).responses(SENT_BY);
        let channel = host.channel(config);
        let data = wire_request("SIP/2.0/UDP host.example;branch=z9hG4bK1;rport", "");
        let event = host.datagram_to(channel, SOURCE, Some(ip("192.0.2.2")), &data);
        let received = Received::from(event.unwrap());
        let sent = host.send(ok(&received.request), options);
        assert_eq!(sent.remote().addr, addr(SOURCE));
        assert_eq!(sent.targets_left(), 1);
        let (now, refused) = (host.now, ErrorKind::ConnectionRefused);
        host.transport
            .handle_datagram_failed(now, Some(sent.id()), addr(SOURCE), refused);
        host.drain();
        let told = host.events.pop_front();
        let Some(Event::SendFailed { send, cause }) = told else {
            panic!("{told:?}");
        };
        assert_eq!((send, cause), (sent.id(), SendFailure::Io(refused)));
        let Ok(Submitted::Waiting(send)) = host.next(sent) else {
            panic!("it waits for the DNS");
        };
        host.resolve_from(&zone());
        let second = host.completed(send).unwrap();
        assert_eq!(second.remote().addr, addr("198.51.100.7:5080"));
        // RFC 3581 §4: still from where the request came to.
        assert_eq!(second.local().addr, addr("192.0.2.2:5070"));
        assert_eq!(second.targets_left(), 1);
        let Ok(Submitted::Sent(third)) = host.next(second) else {
            panic!("it is known");
        };
        assert_eq!(third.remote().addr, addr("198.51.100.8:5090"));
        let tried: Vec<_> = third.tried().iter().map(|attempt| &attempt.cause).collect();
        assert_eq!(tried, [&AttemptCause::Left; 2]);
        let none = host.transport.try_next(host.now, third).unwrap_err();
        assert!(matches!(none, NextError::NoTargetLeft(_)), "{none}");
        // The Via is as it was.
        for (_, transmit) in &host.datagrams {
            assert_eq!(transmit.bytes, host.datagrams[0].1.bytes);
        }
    }
}

#[test]
fn an_address_is_not_tried_twice() {
    let (mut host, options) = host(Protocol::Tcp, Said::ForAll, SENT_BY);
    let request = gone(&mut host, "SIP/2.0/TCP 192.0.2.9:5070;branch=z9hG4bK1");
    let send = host.waits(ok(&request), options);
    host.refuse();
    assert!(host.connects.is_empty());
    assert_eq!(host.completed(send).unwrap_err().tried().len(), 1);
}

// RFC 4475 §3.3.10; conformance: 115
#[test]
fn no_name_leads_a_response_to_everybody() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    for name in ["group.example", "group.example:5060"] {
        let response = forwarded(&format!("SIP/2.0/UDP {name};branch=z9hG4bK1"));
        let options = SendOptions::new().responses(SENT_BY);
        let error = match host.submit(response, options) {
            Ok(Submitted::Waiting(send)) => {
                host.resolve_from(&zone());
                host.completed(send).unwrap_err()
            }
            Ok(Submitted::Sent(sent)) => panic!("{sent:?}"),
            Err(error) => error,
        };
        assert_eq!(*error.cause(), SendCause::NoResponseAddress);
    }
    assert!(host.datagrams.is_empty());
}

// RFC 3261 §18.2.2; conformance: 128, 293
#[test]
fn where_that_is_allowed_maddr_wins_over_received_and_rport() {
    for said in EVERYWHERE {
        for (via, remote) in [
            ("host.example;maddr=198.51.100.20", "198.51.100.20:5060"),
            (
                "host.example:5070;rport;maddr=198.51.100.20",
                "198.51.100.20:5070",
            ),
            // Neither groups nor names.
            ("host.example;rport;maddr=224.0.1.75", SOURCE),
            ("host.example;rport;maddr=other.example", SOURCE),
        ] {
            let (mut host, options) = host(Protocol::Udp, said, MADDR);
            let channel = host.transport.router().channels().next().unwrap().0;
            let via = format!("SIP/2.0/UDP {via};branch=z9hG4bK1");
            let received = host.request(channel, SOURCE, &wire_request(&via, ""));
            let sent = host.send(ok(&received.request), options);
            assert_eq!(sent.remote().addr, addr(remote), "{via} {said:?}");
            assert!(host.lookups.is_empty());
        }
    }
    // On a stream it means nothing, and without leave neither.
    let (mut tcp, options) = host(Protocol::Tcp, Said::ForAll, MADDR);
    let request = gone(
        &mut tcp,
        "SIP/2.0/TCP 192.0.2.9;maddr=198.51.100.20;branch=z9hG4bK1",
    );
    tcp.waits(ok(&request), options);
    assert_eq!(tcp.connects[0].1, addr("192.0.2.9:5060"));
    let mut udp = Host::new();
    udp.udp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP host.example;received=192.0.2.9;maddr=198.51.100.20;branch=z9hG4bK1";
    let response = || forwarded(via);
    let sent = udp.send(response(), SendOptions::new());
    assert_eq!(sent.remote().addr, addr("192.0.2.9:5060"));
    let sent = udp.send(response(), SendOptions::new().responses(MADDR));
    assert_eq!(sent.remote().addr, addr("198.51.100.20:5060"));
}

#[test]
fn no_connection_is_opened_for_a_response_where_that_is_ruled_out() {
    for said in EVERYWHERE {
        let policy = NO_CONNECT.sent_by(true);
        let (mut host, options) = host(Protocol::Tcp, said, policy);
        let request = gone(&mut host, "SIP/2.0/TCP host.example;branch=z9hG4bK1");
        let error = host.submit(ok(&request), options).unwrap_err();
        assert_eq!(*error.cause(), SendCause::ConnectionClosed, "{said:?}");
        assert!(host.connects.is_empty() && host.lookups.is_empty());
    }
    // The narrower word counts.
    let (mut host, _) = host(Protocol::Tcp, Said::ForTheChannel, NO_CONNECT);
    let request = gone(&mut host, "SIP/2.0/TCP host.example;branch=z9hG4bK1");
    let options = SendOptions::new().responses(ResponsePolicy::new());
    host.waits(ok(&request), options);
    assert_eq!(host.connects.len(), 1);
}

#[test]
fn without_connecting_a_response_still_takes_what_is_there() {
    let mut config = Config::default();
    config.responses(NO_CONNECT);
    let mut host = Host::with(config);
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", SOURCE);
    let via = "SIP/2.0/TCP host.example;branch=z9hG4bK1;received=192.0.2.9;rport=33333";
    let sent = host.send(forwarded(via), SendOptions::new());
    assert_eq!(sent.local().connection, Some(id));
    // To an address that the application gives, too.
    let sent = host.send(forwarded(via), to(tcp(SOURCE)));
    assert_eq!(sent.local().connection, Some(id));
    let error = host.submit(forwarded(via), to(tcp("192.0.2.9:5060")));
    assert_eq!(*error.unwrap_err().cause(), SendCause::ConnectionClosed);
    // It is about responses, and about connections.
    host.waits(
        common::options("sip:192.0.2.10;transport=tcp"),
        SendOptions::new(),
    );
    host.udp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP host.example;branch=z9hG4bK1;received=192.0.2.9";
    host.send(forwarded(via), SendOptions::new());
}

// RFC 7118 §5; conformance: 135
#[test]
fn nobody_connects_to_a_websocket_client_whatever_is_allowed() {
    for protocol in ["WS", "WSS"] {
        let mut host = Host::new();
        host.channel(ChannelConfig::new(Protocol::Ws, addr("192.0.2.1:80")));
        let via = format!("SIP/2.0/{protocol} host.example;branch=z9hG4bK1;received=192.0.2.9");
        let options = SendOptions::new().responses(SENT_BY);
        let error = host.submit(forwarded(&via), options).unwrap_err();
        assert_eq!(*error.cause(), SendCause::ConnectionClosed);
        assert!(host.connects.is_empty() && host.lookups.is_empty());
    }
}
