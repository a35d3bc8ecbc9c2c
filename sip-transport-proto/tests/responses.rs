//! Where responses go: the way of their request, or back to its source; nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{Host, Received, addr, ip, numbered, ok, wire_request, wire_response};
use sip_transport_proto::error::SendCause;
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{ChannelConfig, Config, Event, Protocol, SendOptions};

/// The response to a datagram request with this Via, from 192.0.2.9:33333.
fn answered(via: &str) -> String {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let received = host.request(channel, "192.0.2.9:33333", &wire_request(via, ""));
    let sent = host.send(ok(&received.request), SendOptions::new());
    assert_eq!(sent.remote().addr, host.datagrams[0].1.destination);
    sent.remote().to_string()
}

// RFC 3581 §4; conformance: 130
#[test]
fn with_rport_a_response_goes_to_the_source_port() {
    assert_eq!(
        answered("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport"),
        "udp:192.0.2.9:33333"
    );
    assert_eq!(
        answered("SIP/2.0/UDP host.example;RPORT;branch=z9hG4bK1"),
        "udp:192.0.2.9:33333"
    );
}

// RFC 3261 §18.2.2; conformance: 131, 432
#[test]
fn without_rport_a_response_goes_to_the_sent_by_port_or_the_default_one() {
    assert_eq!(
        answered("SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1"),
        "udp:192.0.2.9:5070"
    );
    assert_eq!(
        answered("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"),
        "udp:192.0.2.9:5060"
    );
}

// bad-inputs: C14
#[test]
fn nothing_that_a_client_writes_aims_a_response_at_another_host() {
    for via in [
        "SIP/2.0/UDP victim.example;branch=z9hG4bK1",
        "SIP/2.0/UDP 203.0.113.66;branch=z9hG4bK1",
        "SIP/2.0/UDP 203.0.113.66;branch=z9hG4bK1;received=203.0.113.66;rport=5060",
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;maddr=203.0.113.66",
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;maddr=224.0.1.75;ttl=255",
        "SIP/2.0/TCP 203.0.113.66;branch=z9hG4bK1;alias",
    ] {
        assert!(answered(via).starts_with("udp:192.0.2.9:"), "{via}");
    }
}

// RFC 3581 §4; conformance: 134
#[test]
fn a_response_leaves_from_the_socket_and_address_that_the_request_came_to() {
    let mut host = Host::new();
    host.local = Some(ip("192.0.2.3"));
    host.udp("192.0.2.3:5060");
    let wildcard = host.udp("0.0.0.0:5070");
    let data = wire_request("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "");
    let event = host.datagram_to(wildcard, "192.0.2.9:5060", Some(ip("192.0.2.2")), &data);
    let received = Received::from(event.unwrap());
    let sent = host.send(ok(&received.request), SendOptions::new());
    assert_eq!(sent.local().addr, addr("192.0.2.2:5070"));
    let (socket, transmit) = host.datagrams.pop_front().unwrap();
    assert_eq!(socket, wildcard.socket(0));
    assert_eq!(transmit.source, Some(ip("192.0.2.2")));
}

#[test]
fn a_response_leaves_from_the_very_socket_of_a_channel_with_several() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Udp, addr("192.0.2.1:5060")).sockets(3);
    let channel = host.channel(config);
    let data = wire_request("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "");
    let now = host.now;
    let remote = addr("192.0.2.9:5060");
    host.transport
        .handle_datagram(now, channel.socket(2), remote, None, &data);
    host.drain();
    let received = Received::from(host.events.pop_front().unwrap());
    host.send(ok(&received.request), SendOptions::new());
    assert_eq!(host.datagrams[0].0, channel.socket(2));
}

#[test]
fn a_response_to_a_link_local_peer_keeps_its_scope() {
    let mut host = Host::new();
    let channel = host.udp("[fe80::1]:5060");
    let data = wire_request("SIP/2.0/UDP [fe80::9];branch=z9hG4bK1;rport", "");
    let now = host.now;
    let remote = std::net::SocketAddrV6::new("fe80::9".parse().unwrap(), 5060, 0, 3);
    host.transport
        .handle_datagram(now, channel.socket(0), remote.into(), None, &data);
    host.drain();
    let received = Received::from(host.events.pop_front().unwrap());
    host.send(ok(&received.request), SendOptions::new());
    assert_eq!(host.datagrams[0].1.destination, remote.into());
}

// RFC 3261 §18.2.2; conformance: 125, 432
#[test]
fn a_response_goes_over_the_connection_of_its_request() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let first = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    let second = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33334");
    host.feed(first, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    let sent = host.send(ok(&received.request), SendOptions::new());
    assert_eq!(sent.local().connection, Some(first));
    assert_eq!(host.written(first), *sent.bytes());
    assert!(host.written(second).is_empty());
}

// RFC 3261 §18.2.2; conformance: 126
#[test]
fn with_its_connection_closed_a_response_opens_one_to_the_source_and_the_sent_by_port() {
    for (via, remote) in [
        (
            "SIP/2.0/TCP host.example:5070;branch=z9hG4bK1",
            "192.0.2.9:5070",
        ),
        ("SIP/2.0/TCP host.example;branch=z9hG4bK1", "192.0.2.9:5060"),
        (
            "SIP/2.0/TCP 203.0.113.66:5070;branch=z9hG4bK1",
            "192.0.2.9:5070",
        ),
        (
            "SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1;rport",
            "192.0.2.9:5060",
        ),
        (
            "SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK1;received=203.0.113.66;maddr=203.0.113.66",
            "192.0.2.9:5060",
        ),
    ] {
        let mut host = Host::new();
        let channel = host.tcp("192.0.2.1:5060");
        let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
        host.feed(id, &wire_request(via, ""));
        let received = Received::from(host.events.pop_front().unwrap());
        host.transport.handle_error(id, ErrorKind::ConnectionReset);
        host.drain();
        host.waits(ok(&received.request), SendOptions::new());
        assert_eq!(host.connects[0].1, addr(remote), "{via}");
    }
}

// RFC 3261 §18.2.2; conformance: 126
#[test]
fn a_response_keeps_the_protocol_of_its_request_where_the_channel_is_gone_too() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    let now = host.now;
    host.transport.remove_channel(now, channel).unwrap();
    host.drain();
    let error = host.submit(ok(&received.request), SendOptions::new());
    let cause = error.unwrap_err().cause().clone();
    let no_channel = SendCause::NoChannel {
        protocol: Protocol::Tcp,
        remote: ip("192.0.2.9"),
    };
    assert_eq!(cause, no_channel);
    assert!(host.datagrams.is_empty());
}

// bad-inputs: C8
#[test]
fn a_response_never_goes_to_a_newer_connection_of_somebody_else() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    // The same remote address, a new connection: it may be another host behind the same NAT.
    let newer = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    assert_ne!(newer, id);
    host.waits(ok(&received.request), SendOptions::new());
    assert!(host.written(newer).is_empty());
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
}

#[test]
fn a_flow_of_another_transport_is_no_connection_here() {
    let mut other = Host::seeded(Config::default(), 2);
    let channel = other.tcp("192.0.2.1:5060");
    let theirs = other.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    other.feed(theirs, &numbered(1));
    let received = Received::from(other.events.pop_front().unwrap());
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let mine = host.accept(channel, "192.0.2.1:5060", "198.51.100.5:33333");
    host.waits(ok(&received.request), SendOptions::new());
    assert!(host.written(mine).is_empty());
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
}

#[test]
fn a_response_finds_the_connection_dying_and_opens_another() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    // A ping that is not answered yet keeps the connection until its pong is written.
    host.feed(id, &numbered(1));
    host.feed(id, b"\r\n\r\n");
    let received = Received::from(host.events.pop_front().unwrap());
    host.feed(id, b"this is no SIP\r\n\r\n");
    assert!(!host.transport.transmit(id).is_empty(), "it lingers");
    host.waits(ok(&received.request), SendOptions::new());
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
}

#[test]
fn a_response_without_a_flow_takes_the_connection_that_its_via_names() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    let via = "SIP/2.0/TCP host.example:5070;branch=z9hG4bK1;received=192.0.2.9;rport=33333";
    let sent = host.send(
        Message::parse(wire_response(via)).unwrap(),
        SendOptions::new(),
    );
    assert_eq!(sent.local().connection, Some(id));
    let via = via.replace("33333", "33334");
    host.waits(
        Message::parse(wire_response(&via)).unwrap(),
        SendOptions::new(),
    );
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5070"));
}

// conformance: 132, 293
#[test]
fn a_datagram_response_without_a_flow_goes_where_its_via_says() {
    for (via, remote) in [
        (
            "SIP/2.0/UDP host.example:5070;branch=z9hG4bK1;received=192.0.2.9;rport=33333",
            "192.0.2.9:33333",
        ),
        (
            "SIP/2.0/UDP host.example:5070;branch=z9hG4bK1;received=192.0.2.9",
            "192.0.2.9:5070",
        ),
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "192.0.2.9:5060"),
        (
            "SIP/2.0/UDP [2001:db8::9]:5070;branch=z9hG4bK1",
            "[2001:db8::9]:5070",
        ),
    ] {
        let mut host = Host::new();
        host.udp("192.0.2.1:5060");
        host.udp("[2001:db8::1]:5060");
        let sent = host.send(
            Message::parse(wire_response(via)).unwrap(),
            SendOptions::new(),
        );
        assert_eq!(sent.remote().addr, addr(remote), "{via}");
    }
}

// conformance: 132
#[test]
fn a_response_whose_via_names_no_address_is_an_error() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP host.example;branch=z9hG4bK1";
    let error = host.submit(
        Message::parse(wire_response(via)).unwrap(),
        SendOptions::new(),
    );
    assert_eq!(*error.unwrap_err().cause(), SendCause::NoResponseAddress);
    assert!(host.lookups.is_empty());
}

// RFC 4475 §3.3.10; conformance: 115
#[test]
fn no_response_goes_to_everybody() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    for sent_by in [
        "255.255.255.255",
        "224.0.1.75",
        "0.0.0.0",
        "192.0.2.9;received=239.1.1.1",
    ] {
        let via = format!("SIP/2.0/UDP {sent_by};branch=z9hG4bK1");
        let error = host.submit(
            Message::parse(wire_response(&via)).unwrap(),
            SendOptions::new(),
        );
        let error = error.expect_err(sent_by);
        assert_eq!(*error.cause(), SendCause::NoResponseAddress, "{sent_by}");
    }
}

// conformance: 96
#[test]
fn a_large_response_stays_on_udp() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let received = host.request(channel, "192.0.2.9:5060", &wire_request(via, ""));
    let mut response = ok(&received.request);
    response.set_body(vec![b'x'; 3_000]).unwrap();
    let sent = host.send(response, SendOptions::new());
    assert_eq!(sent.remote().protocol, Protocol::Udp);
    assert!(host.datagrams[0].1.bytes.len() > 3_000);
}

// RFC 3261 §18.1.2; conformance: 109
#[test]
fn responses_whose_top_via_is_not_ours_are_dropped_and_counted() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    for sent_by in [
        "203.0.113.1",
        "192.0.2.1:5061",
        "other.example",
        "[2001:db8::1]",
    ] {
        let via = format!("SIP/2.0/UDP {sent_by};branch=z9hG4bK1");
        assert!(
            host.datagram(channel, "192.0.2.9:5060", &wire_response(&via))
                .is_none(),
            "{sent_by}"
        );
    }
    assert_eq!(host.transport.stats().stray_responses, 4);
    assert_eq!(host.transport.stats().responses_in, 0);
}

// RFC 3261 §18.1.2; conformance: 109
#[test]
fn responses_to_any_name_of_ours_are_taken() {
    let mut config = Config::default();
    config
        .own_name("PBX.example", None)
        .own_name("sbc.example", Some(5080));
    let mut host = Host::with(config);
    let advertised = ChannelConfig::new(Protocol::Udp, addr("10.0.0.1:5060"))
        .advertised("nat.example:7060".parse().unwrap());
    let channel = host.channel(advertised);
    host.udp("[2001:db8::1]:5060");
    for sent_by in [
        "10.0.0.1",
        "10.0.0.1:5060",
        "pbx.EXAMPLE",
        "pbx.example.:5060",
        "sbc.example:5080",
        "Nat.Example:7060",
        "[2001:DB8:0::1]",
    ] {
        let via = format!("SIP/2.0/UDP {sent_by};branch=z9hG4bK1");
        let event = host.datagram(channel, "192.0.2.9:5060", &wire_response(&via));
        assert!(matches!(event, Some(Event::Response { .. })), "{sent_by}");
    }
    for sent_by in ["sbc.example", "nat.example", "pbx.example:5080"] {
        let via = format!("SIP/2.0/UDP {sent_by};branch=z9hG4bK1");
        assert!(
            host.datagram(channel, "192.0.2.9:5060", &wire_response(&via))
                .is_none(),
            "{sent_by}"
        );
    }
}

#[test]
fn a_wildcard_channel_takes_responses_to_any_address_of_its_own_on_its_port() {
    let mut host = Host::new();
    let channel = host.udp("0.0.0.0:5060");
    let mut came = |local: &str, sent_by: &str| {
        let data = wire_response(&format!("SIP/2.0/UDP {sent_by};branch=z9hG4bK1"));
        host.datagram_to(channel, "192.0.2.9:5060", Some(ip(local)), &data)
            .is_some()
    };
    assert!(came("192.0.2.1", "192.0.2.1"));
    assert!(came("192.0.2.2", "192.0.2.2:5060"));
    assert!(!came("192.0.2.2", "192.0.2.1"));
    assert!(!came("192.0.2.2", "192.0.2.2:5070"));
}

// conformance: 110
#[test]
fn what_a_request_carried_counts_as_ours_for_ten_minutes() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let mut request = common::options("sip:192.0.2.9");
    request
        .set("Via", "SIP/2.0/UDP old.example;branch=z9hG4bK1")
        .unwrap();
    host.send(request, SendOptions::new());
    let response = wire_response("SIP/2.0/UDP OLD.example:5060;branch=z9hG4bK1");
    host.pass(std::time::Duration::from_secs(599));
    assert!(
        host.datagram(channel, "192.0.2.9:5060", &response)
            .is_some()
    );
    host.pass(std::time::Duration::from_secs(1));
    assert!(
        host.datagram(channel, "192.0.2.9:5060", &response)
            .is_none()
    );
}

// conformance: 110
#[test]
fn what_requests_carried_last_is_remembered() {
    let mut config = Config::default();
    config.max_remembered_sent_by(2).unwrap();
    let mut host = Host::with(config);
    let channel = host.udp("192.0.2.1:5060");
    for name in ["a", "b", "a", "c"] {
        let via = format!("SIP/2.0/UDP {name}.example;branch=z9hG4bK1");
        let mut request = common::options("sip:192.0.2.9");
        request.set("Via", via).unwrap();
        host.send(request, SendOptions::new());
    }
    let came = ["a", "b", "c"].map(|name| {
        let via = format!("SIP/2.0/UDP {name}.example;branch=z9hG4bK1");
        let response = wire_response(&via);
        host.datagram(channel, "192.0.2.9:5060", &response)
            .is_some()
    });
    assert_eq!(came, [true, false, true]);
    let stats = host.transport.stats();
    assert_eq!((stats.sent_by_forgotten, stats.stray_responses), (1, 1));
}

#[test]
fn the_name_of_a_removed_channel_counts_as_ours_for_ten_minutes() {
    let mut host = Host::new();
    let gone = host.udp("192.0.2.1:5060");
    let wildcard = host.tcp("0.0.0.0:5060");
    let id = host.accept(wildcard, "192.0.2.1:5060", "192.0.2.9:33333");
    let now = host.now;
    host.transport.remove_channel(now, gone).unwrap();
    host.drain();
    let response = wire_response("SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1");
    let other = host.udp("192.0.2.2:5070");
    host.feed(id, &response);
    assert!(matches!(
        host.events.pop_front(),
        Some(Event::Response { .. })
    ));
    let mut came = || host.datagram(other, "192.0.2.9:5060", &response).is_some();
    assert!(came());
    host.pass(std::time::Duration::from_secs(601));
    let mut came = || host.datagram(other, "192.0.2.9:5060", &response).is_some();
    assert!(!came());
}

#[test]
fn stray_responses_come_through_where_that_is_switched_on() {
    let mut config = Config::default();
    config.drop_stray_responses(false);
    let mut host = Host::with(config);
    let channel = host.udp("192.0.2.1:5060");
    let response = wire_response("SIP/2.0/UDP other.example;branch=z9hG4bK1");
    let event = host.datagram(channel, "192.0.2.9:5060", &response);
    assert!(matches!(event, Some(Event::Response { .. })));
}

#[test]
fn a_response_without_a_flow_finds_the_websocket_of_its_client() {
    let mut host = Host::new();
    let channel = host.channel(ChannelConfig::new(Protocol::Ws, addr("192.0.2.1:80")));
    let id = host.accept_websocket(channel, "192.0.2.1:80", "192.0.2.9:33333");
    let via = "SIP/2.0/WS x.invalid;branch=z9hG4bK1;received=192.0.2.9;rport=33333";
    let response = || Message::parse(wire_response(via)).unwrap();
    let sent = host.send(response(), SendOptions::new());
    assert_eq!(sent.local().connection, Some(id));
    // RFC 7118 §5: it is that one or none.
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    let error = host.submit(response(), SendOptions::new()).unwrap_err();
    assert_eq!(*error.cause(), SendCause::ConnectionClosed);
    assert!(host.connects.is_empty());
}
