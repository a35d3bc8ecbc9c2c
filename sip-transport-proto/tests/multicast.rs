//! Groups: requests to them, requests that come over them, and the responses (RFC 3261 §18.1.1 and
//! §18.2.2).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::{
    Host, Received, addr, header, ip, ok, options, tcp, to, udp, wire_request, wire_response,
};
use sip_transport_proto::error::{ChannelError, SendCause};
use sip_transport_proto::sip_core::build::{PLACEHOLDER, ResponseBuilder};
use sip_transport_proto::sip_core::header::Contact;
use sip_transport_proto::sip_core::{Message, Request, StatusCode};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, Event, HintOutcome, Keep, Overruled, Protocol, SendOptions,
    Sent,
};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 1, 75);
const OTHER: Ipv4Addr = Ipv4Addr::new(239, 255, 0, 1);
const INTERFACE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn config() -> ChannelConfig {
    ChannelConfig::new(Protocol::Udp, addr("0.0.0.0:5070"))
}

/// A host whose first channel is on one address, and whose second has joined two groups.
fn member() -> (Host, ChannelId) {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let config = config().join(OTHER, INTERFACE).join(GROUP, INTERFACE);
    let channel = host.channel(config);
    (host, channel)
}

fn cause(host: &mut Host, uri: &str, options_: SendOptions) -> SendCause {
    host.submit(options(uri), options_)
        .unwrap_err()
        .cause()
        .clone()
}

fn via_params(sent: &Sent) -> String {
    let via = header(sent.bytes(), "Via");
    let (sent_by, params) = via.split_once(';').unwrap();
    assert_eq!(sent_by, "SIP/2.0/UDP 192.0.2.1:5070");
    let params = params
        .split(';')
        .filter(|param| !param.starts_with("branch"));
    params.collect::<Vec<_>>().join(";")
}

// conformance: 100, 101, 108, 194
#[test]
fn a_request_to_a_group_says_so_in_its_via_and_leaves_from_a_member() {
    for (uri, asked, ttl) in [
        ("sip:224.0.1.75", None, 1),
        ("sip:example.com;maddr=224.0.1.75", None, 1),
        ("sip:example.com;maddr=224.0.1.75;ttl=16", None, 16),
        ("sip:example.com;maddr=224.0.1.75;ttl=16", Some(3), 3),
        ("sip:224.0.1.75:5070", Some(0), 0),
    ] {
        let (mut host, channel) = member();
        let mut how = SendOptions::new();
        if let Some(ttl) = asked {
            how = how.multicast_ttl(ttl);
        }
        let sent = host.send(options(uri), how);
        let port = if uri.ends_with(":5070") { 5070 } else { 5060 };
        assert_eq!(sent.remote().addr, (GROUP, port).into());
        let expected = format!("rport;maddr=224.0.1.75;ttl={ttl}");
        assert_eq!(via_params(&sent), expected, "{uri}");
        let (socket, transmit) = host.datagrams.pop_front().unwrap();
        assert_eq!(socket, channel.socket(0));
        assert_eq!(
            (transmit.ttl, transmit.source),
            (Some(ttl), Some(INTERFACE.into()))
        );
    }
}

// conformance: 194
#[test]
fn a_ttl_means_nothing_where_there_is_no_group() {
    let (mut host, _) = member();
    host.local = Some(ip("192.0.2.1"));
    let sent = host.send(
        options("sip:example.com;maddr=192.0.2.9;ttl=16"),
        SendOptions::new().multicast_ttl(7),
    );
    assert!(!header(sent.bytes(), "Via").contains("ttl"));
    assert_eq!(host.datagrams.pop_front().unwrap().1.ttl, None);
}

// conformance: 100
#[test]
fn what_stands_in_the_via_already_gives_way() {
    let (mut host, _) = member();
    let mut request = options("sip:224.0.1.75");
    request
        .set(
            "Via",
            "SIP/2.0/UDP 0.0.0.0;maddr=239.1.1.1;x=1;TTL=9;branch=z9hG4bKa",
        )
        .unwrap();
    let sent = host.send(request, SendOptions::new());
    assert_eq!(via_params(&sent), "x=1;maddr=224.0.1.75;ttl=1");
}

// conformance: 108
#[test]
fn a_group_that_no_channel_has_joined_cannot_be_sent_to() {
    let mut host = Host::new();
    host.udp("0.0.0.0:5060");
    for (uri, how) in [
        ("sip:224.0.1.75", SendOptions::new()),
        ("sip:192.0.2.9", to(udp("224.0.1.75:5060"))),
    ] {
        assert_eq!(
            cause(&mut host, uri, how),
            SendCause::NoChannel {
                protocol: Protocol::Udp,
                remote: GROUP.into()
            }
        );
    }
    assert!(host.binds.is_empty());
}

#[test]
fn a_channel_hint_is_overruled_by_one_that_hears_the_group() {
    let (mut host, member) = member();
    let other = host.udp("0.0.0.0:5080");
    let sent = host.send(options("sip:224.0.1.75"), SendOptions::new().channel(other));
    assert_eq!(
        sent.hints().channel,
        HintOutcome::Overruled(Overruled::Unreachable)
    );
    assert_eq!(sent.local().channel, Some(member));
}

#[test]
fn no_stream_leads_to_a_group() {
    let (mut host, _) = member();
    host.tcp("0.0.0.0:5070");
    let refused = cause(&mut host, "sip:192.0.2.9", to(tcp("224.0.1.75:5060")));
    assert!(matches!(refused, SendCause::NoChannel { .. }), "{refused}");
    assert!(host.connects.is_empty());
}

// conformance: 102
#[test]
fn ipv6_groups_are_refused_unless_they_are_allowed() {
    let group = ip("ff02::1");
    let mut host = Host::new();
    host.udp("[2001:db8::1]:5060");
    assert_eq!(
        cause(&mut host, "sip:[ff02::1]", SendOptions::new()),
        SendCause::Ipv6Multicast(group)
    );
    let mut config = Config::default();
    config.ipv6_multicast(true);
    let mut host = Host::with(config);
    host.udp("[2001:db8::1]:5060");
    let sent = host.send(options("sip:[ff02::1]"), SendOptions::new());
    assert_eq!(sent.remote().addr.ip(), group);
    let via = header(sent.bytes(), "Via");
    assert!(
        via.contains(";maddr=[ff02::1]") && !via.contains("ttl"),
        "{via}"
    );
}

// conformance: 108; RFC 3261 §18.1.2
#[test]
fn responses_over_the_group_are_matched_by_their_via_as_all_are() {
    let (mut host, channel) = member();
    let sent = host.send(options("sip:224.0.1.75"), SendOptions::new());
    let via = header(sent.bytes(), "Via");
    let event = host.datagram_to(
        channel,
        "192.0.2.9:5060",
        Some(INTERFACE.into()),
        &wire_response(&via),
    );
    assert!(matches!(event, Some(Event::Response { .. })));
    let stray = "SIP/2.0/UDP 192.0.2.77:5070;branch=z9hG4bK1;maddr=224.0.1.75;ttl=1";
    let event = host.datagram_to(
        channel,
        "192.0.2.9:5060",
        Some(INTERFACE.into()),
        &wire_response(stray),
    );
    assert!(event.is_none());
    assert_eq!(host.transport.stats().stray_responses, 1);
}

/// Answers a request with that top Via, which came to the second channel.
fn answer(host: &mut Host, channel: ChannelId, via: &str) -> (Sent, Option<u8>) {
    let bytes = wire_request(via, "");
    let local = Some(INTERFACE.into());
    let event = host.datagram_to(channel, "192.0.2.9:40000", local, &bytes);
    let received = Received::from(event.unwrap());
    let sent = host.send(ok(&received.request), SendOptions::new());
    let (_, transmit) = host.datagrams.pop_front().unwrap();
    assert_eq!(transmit.source, local);
    (sent, transmit.ttl)
}

// conformance: 128, 129, 293
#[test]
fn a_response_goes_to_the_group_that_its_request_names() {
    for (via, expected, ttl) in [
        ("192.0.2.9;maddr=224.0.1.75", "224.0.1.75:5060", Some(1)),
        (
            "192.0.2.9:5080;maddr=224.0.1.75;ttl=16",
            "224.0.1.75:5080",
            Some(16),
        ),
        (
            "host.example:5080;maddr=239.255.0.1;rport",
            "239.255.0.1:5080",
            Some(1),
        ),
        // Groups that were not joined, and what is no group, count for nothing.
        ("192.0.2.9;maddr=224.0.1.76;ttl=16", "192.0.2.9:5060", None),
        ("192.0.2.9;maddr=192.0.2.66", "192.0.2.9:5060", None),
        ("192.0.2.9;maddr=victim.example", "192.0.2.9:5060", None),
        ("192.0.2.9;maddr=224.0.1.76;rport", "192.0.2.9:40000", None),
        ("192.0.2.9;maddr=[ff02::1];rport", "192.0.2.9:40000", None),
    ] {
        let (mut host, channel) = member();
        let via = format!("SIP/2.0/UDP {via};branch=z9hG4bK1");
        let (sent, sent_ttl) = answer(&mut host, channel, &via);
        assert_eq!(sent.remote().addr, addr(expected), "{via}");
        assert_eq!(sent_ttl, ttl, "{via}");
        // The Via is an echo.
        let echo = header(sent.bytes(), "Via");
        assert!(
            echo.starts_with(
                via.split(";branch")
                    .next()
                    .unwrap()
                    .split(";rport")
                    .next()
                    .unwrap()
            )
        );
    }
}

// RFC 1122 §3.2.1.3: no datagram comes from a group or from everybody.
#[test]
fn what_came_to_a_group_is_not_answered_from_the_group() {
    for to_all in [IpAddr::from(GROUP), Ipv4Addr::BROADCAST.into()] {
        let (mut host, channel) = member();
        host.local = Some(INTERFACE.into());
        let via = "SIP/2.0/UDP 192.0.2.9:5080;branch=z9hG4bK1";
        let bytes = wire_request(via, "");
        let event = host.datagram_to(channel, "192.0.2.9:5080", Some(to_all), &bytes);
        let request = Received::from(event.unwrap()).request;
        let contact = Contact::new(PLACEHOLDER);
        let builder = ResponseBuilder::new(&request, StatusCode::OK).contact(contact);
        let response = builder.random_tag(|bytes| bytes.fill(9)).build().unwrap();
        let sent = host.send(response, SendOptions::new());
        let (socket, transmit) = host.datagrams.pop_front().unwrap();
        assert_eq!(socket, channel.socket(0));
        assert_eq!(transmit.source, None, "{to_all}");
        assert_eq!(sent.local().addr, addr("192.0.2.1:5070"));
        let contact = header(sent.bytes(), "Contact");
        assert!(contact.contains("192.0.2.1:5070"), "{contact}");
    }
}

#[test]
fn no_reply_of_the_socket_itself_leaves_from_a_group() {
    let stun = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
    let malformed = wire_request("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "CSeq: x\r\n");
    for data in [&stun[..], &malformed] {
        for (came_to, source) in [
            (IpAddr::from(INTERFACE), Some(INTERFACE.into())),
            (GROUP.into(), None),
        ] {
            let (mut host, channel) = member();
            host.datagram_to(channel, "192.0.2.9:5060", Some(came_to), data);
            let (_, reply) = host.datagrams.pop_front().unwrap();
            assert_eq!(reply.source, source);
        }
    }
}

// conformance: 128
#[test]
fn the_flow_of_a_request_over_a_group_survives_its_text_form() {
    let (mut host, channel) = member();
    let via = "SIP/2.0/UDP 192.0.2.9:5080;branch=z9hG4bK1;maddr=239.255.0.1;ttl=255";
    let event = host.datagram(channel, "192.0.2.9:40000", &wire_request(via, ""));
    let request = Received::from(event.unwrap()).request;
    let router = host.transport.router();
    let token = router.flow_token(&request.flow().unwrap());
    let flow = router.flow_from_token(&token).unwrap();
    let mut response = ok(&request);
    response.set_flow(flow);
    let sent = host.send(response, SendOptions::new());
    assert_eq!(sent.remote().addr, (OTHER, 5080).into());
    assert_eq!(host.datagrams.pop_front().unwrap().1.ttl, Some(255));
}

// conformance: 128, 129
#[test]
fn a_response_without_a_flow_goes_to_a_joined_group_too() {
    for (maddr, expected, ttl) in [
        ("224.0.1.75", "224.0.1.75:5080", Some(4)),
        ("224.0.1.76", "192.0.2.9:40000", None),
    ] {
        let (mut host, _) = member();
        host.local = Some(ip("192.0.2.1"));
        let via = format!(
            "SIP/2.0/UDP host.example:5080;branch=z9hG4bK1;maddr={maddr};ttl=4;rport=40000;received=192.0.2.9"
        );
        let request = Message::parse(wire_request(&via, "")).unwrap();
        let request = Request::try_from(request).unwrap();
        let builder = ResponseBuilder::new(&request, StatusCode::OK);
        let response = builder.random_tag(|bytes| bytes.fill(9)).build().unwrap();
        let sent = host.send(response, SendOptions::new());
        assert_eq!(sent.remote().addr, addr(expected));
        assert_eq!(host.datagrams.pop_front().unwrap().1.ttl, ttl);
    }
}

#[test]
fn the_port_of_the_via_is_the_one_that_the_group_is_heard_on() {
    let mut host = Host::new();
    let advertised = "nat.example:7000".parse().unwrap();
    host.channel(config().join(GROUP, INTERFACE).advertised(advertised));
    let sent = host.send(options("sip:224.0.1.75"), SendOptions::new());
    assert_eq!(via_params(&sent), "rport;maddr=224.0.1.75;ttl=1");
}

#[test]
fn without_an_interface_the_system_is_asked_for_the_address() {
    let mut host = Host::new();
    host.local = Some(ip("192.0.2.1"));
    host.channel(config().join(GROUP, Ipv4Addr::UNSPECIFIED));
    let sent = host.send(options("sip:224.0.1.75"), SendOptions::new());
    assert_eq!(via_params(&sent), "rport;maddr=224.0.1.75;ttl=1");
    assert_eq!(host.datagrams.pop_front().unwrap().1.source, None);
}

// conformance: 116
#[test]
fn a_cancel_goes_to_the_group_with_the_ttl_of_its_invite() {
    let (mut host, channel) = member();
    let sent = host.send(
        common::invite("sip:224.0.1.75"),
        SendOptions::new().multicast_ttl(9),
    );
    let derived = sent.cancel().unwrap();
    let cancel = host.send(derived.request, derived.options);
    let via = |sent: &Sent| {
        sent.message()
            .unwrap()
            .top_via()
            .unwrap()
            .params()
            .iter()
            .count()
    };
    assert_eq!(via(&sent), via(&cancel));
    let datagrams: Vec<_> = host.datagrams.drain(..).collect();
    for (socket, transmit) in datagrams {
        assert_eq!(socket, channel.socket(0));
        assert_eq!(
            (transmit.destination, transmit.ttl),
            ((GROUP, 5060).into(), Some(9))
        );
    }
}

// Nobody answers a keep-alive for a group.
#[test]
fn a_flow_to_a_group_is_not_kept() {
    let mut host = Host::new();
    host.channel(config().join(GROUP, INTERFACE).keep(Keep::new()));
    host.send(options("sip:224.0.1.75"), SendOptions::new());
    assert_eq!(host.transport.router().kept_flows(), 0);
}

#[test]
fn only_udp_on_all_addresses_can_join_a_group() {
    let at = |protocol, local| ChannelConfig::new(protocol, addr(local));
    for (config, works) in [
        (at(Protocol::Udp, "0.0.0.0:5060"), true),
        (at(Protocol::Udp, "[::]:5060").dual_stack(true), true),
        (at(Protocol::Udp, "[::]:5060"), false),
        (at(Protocol::Udp, "192.0.2.1:5060"), false),
        (at(Protocol::Tcp, "0.0.0.0:5060"), false),
    ] {
        let mut host = Host::new();
        let added = host
            .transport
            .add_channel(config.clone().join(GROUP, INTERFACE));
        match works {
            true => assert!(added.is_ok(), "{config:?}"),
            false => assert_eq!(added, Err(ChannelError::CannotJoin(GROUP)), "{config:?}"),
        }
    }
    let unicast = Ipv4Addr::new(192, 0, 2, 9);
    let mut host = Host::new();
    assert_eq!(
        host.transport
            .add_channel(config().join(unicast, INTERFACE)),
        Err(ChannelError::CannotJoin(unicast))
    );
}
