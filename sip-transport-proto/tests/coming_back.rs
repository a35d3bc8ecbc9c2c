//! Responses that come back: where they are taken in, and how a stateless proxy sends them on.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{Host, header, options, tcp, to, udp, wire_response};
use sip_transport_proto::sip_core::{Message, Name, Response};
use sip_transport_proto::{Event, SendOptions};

fn response(event: Option<Event>) -> Response {
    match event {
        Some(Event::Response { response, .. }) => response,
        other => panic!("no response: {other:?}"),
    }
}

// RFC 3261 §18.1.1; conformance: 106
#[test]
fn a_response_is_taken_on_the_connection_of_its_request_and_on_a_new_one() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let send = host.waits(options("sip:192.0.2.9"), to(tcp("192.0.2.9:5060")));
    let own = host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    host.take_events();
    let via = header(sent.bytes(), "Via");
    assert!(via.starts_with("SIP/2.0/TCP 192.0.2.1:5060;"), "{via}");
    // The server, or another of its addresses, connects to the port that the Via names.
    let new = host.accept(channel, "192.0.2.1:5060", "192.0.2.10:33333");
    for connection in [own, new] {
        host.feed(connection, &wire_response(&via));
        let branch = response(host.events.pop_front());
        let branch = branch.top_via().unwrap().branch().unwrap().to_owned();
        assert!(via.contains(&branch));
    }
}

// RFC 3261 §18.1.1; conformance: 107
#[test]
fn a_response_in_a_datagram_is_taken_on_the_port_that_the_via_names() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5070");
    let mut request = options("sip:192.0.2.9");
    request.set(Name::Via, "SIP/2.0/UDP 0.0.0.0").unwrap();
    let sent = host.send(request, to(udp("192.0.2.9:5060")));
    let via = header(sent.bytes(), "Via");
    assert!(
        via.starts_with("SIP/2.0/UDP 192.0.2.1:5070;branch="),
        "{via}"
    );
    assert_eq!(host.datagrams[0].0, channel.socket(0));
    // From whatever port the server sends.
    for remote in ["192.0.2.9:5060", "192.0.2.9:33333"] {
        response(host.datagram(channel, remote, &wire_response(&via)));
    }
}

// RFC 3261 §16.11; conformance: 114
#[test]
fn a_stateless_proxy_takes_its_via_off_and_the_rest_goes_by_the_next_as_it_came() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let next = "SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bK2;received=192.0.2.8;x";
    let vias = format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1, {next}");
    let came = [&wire_response(&vias)[..], b"behind the body"].concat();
    let mut response = response(host.datagram(channel, "192.0.2.9:5060", &came));
    response.remove_first_value(Name::Via).unwrap();
    let sent = host.send(response, SendOptions::new());
    assert_eq!(sent.remote().to_string(), "udp:192.0.2.8:5070");
    assert_eq!(*sent.bytes(), wire_response(next));
    // One whose top Via is another's is not even heard of.
    let stray = wire_response("SIP/2.0/UDP 192.0.2.77;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.8");
    assert!(host.datagram(channel, "192.0.2.9:5060", &stray).is_none());
    assert!(Message::parse(stray).is_ok());
    assert_eq!(host.datagrams.len(), 1);
}
