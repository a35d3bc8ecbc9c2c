//! What comes after a send: the same bytes again, the next target, its CANCEL and ACK; flow tokens
//! and the header hook.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{Host, addr, header, invite, numbered, ok, options, tcp, to, udp, wire_request};
use sip_transport_proto::error::{NextError, SendCause};
use sip_transport_proto::resolve::Zone;
use sip_transport_proto::sip_core::{Message, Method, Name, Request, Response};
use sip_transport_proto::{
    Config, Event, SendOptions, Sent, Submitted, Transport, stateless_branch,
};

/// A request sent to the first of three addresses.
fn first_of_three(host: &mut Host) -> Sent {
    let send = host.waits(invite("sip:example.com;transport=udp"), SendOptions::new());
    host.resolve(&["192.0.2.7", "192.0.2.8", "192.0.2.9"]);
    host.completed(send).unwrap()
}

#[test]
fn a_message_is_sent_again_byte_for_byte() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), SendOptions::new());
    let now = host.now;
    host.transport.resend(now, &sent).unwrap();
    host.drain();
    assert_eq!(host.datagrams[0], host.datagrams[1]);
}

#[test]
fn over_a_flow_that_is_gone_nothing_is_sent_again() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    let datagram = host.send(options("sip:192.0.2.9"), SendOptions::new());
    let send = host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let id = host.connected("192.0.2.1:40000");
    let stream = host.completed(send).unwrap();
    let now = host.now;
    host.written(id);
    host.transport.resend(now, &stream).unwrap();
    assert_eq!(host.written(id), *stream.bytes());
    host.transport.remove_channel(now, channel).unwrap();
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    let error = host.transport.resend(now, &datagram).unwrap_err();
    assert_eq!(error, SendCause::ChannelRemoved);
    let error = host.transport.resend(now, &stream).unwrap_err();
    assert_eq!(error, SendCause::ConnectionClosed);
}

#[test]
fn what_is_sent_again_after_it_was_reported_lost_may_be_reported_lost_again() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), SendOptions::new());
    let fails = |host: &mut Host| {
        let (now, send, remote) = (host.now, Some(sent.id()), addr("192.0.2.9:5060"));
        let cause = ErrorKind::ConnectionRefused;
        host.transport
            .handle_datagram_failed(now, send, remote, cause);
        host.drain();
        match host.events.pop_front() {
            Some(Event::SendFailed { send, .. }) => send == sent.id(),
            other => other.is_some(),
        }
    };
    // Sent again before the word came: one word for both.
    host.transport.resend(host.now, &sent).unwrap();
    assert!(fails(&mut host));
    assert!(!fails(&mut host));
    for _ in 0..3 {
        host.transport.resend(host.now, &sent).unwrap();
        assert!(fails(&mut host));
        assert!(!fails(&mut host));
    }
    assert_eq!(host.transport.stats().send_failures_reported, 4);
}

// RFC 3261 §8.1.2; conformance: 86
#[test]
fn the_next_target_gets_the_message_with_a_branch_of_its_own() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let mut sent = first_of_three(&mut host);
    let mut branches = Vec::new();
    for (left, remote) in [
        (2, "192.0.2.7:5060"),
        (1, "192.0.2.8:5060"),
        (0, "192.0.2.9:5060"),
    ] {
        assert_eq!(sent.targets_left(), left);
        assert_eq!(sent.remote().addr, addr(remote));
        let message = sent.message().unwrap();
        branches.push(message.top_via().unwrap().branch().unwrap().to_owned());
        if left == 0 {
            break;
        }
        sent = match host.next(sent).unwrap() {
            Submitted::Sent(sent) => sent,
            Submitted::Waiting(send) => panic!("{send}"),
        };
    }
    branches.dedup();
    assert_eq!(branches.len(), 3);
    let now = host.now;
    let error = host.transport.try_next(now, sent).unwrap_err();
    assert!(matches!(error, NextError::NoTargetLeft(_)), "{error}");
}

// conformance: 86, 183
#[test]
fn the_next_target_is_named_the_socket_that_it_is_reached_from() {
    let zone: Zone = "
        example.com NAPTR 10 10 s SIP+D2U _sip._udp.example.com
        example.com NAPTR 10 20 s SIP+D2T _sip._tcp.example.com
        _sip._udp.example.com SRV 1 1 5060 a.example.com
        _sip._tcp.example.com SRV 1 1 5060 b.example.com
        a.example.com A 192.0.2.7
        b.example.com AAAA 2001:db8::8"
        .parse()
        .unwrap();
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.tcp("[2001:db8::1]:5070");
    let send = host.waits(invite("sip:example.com"), SendOptions::new());
    host.resolve_from(&zone);
    let first = host.completed(send).unwrap();
    let names = |sent: &Sent| {
        let via = header(sent.bytes(), "Via");
        let sent_by = via.split(';').next().unwrap().to_owned();
        (sent_by, header(sent.bytes(), "Contact"))
    };
    let (via, contact) = names(&first);
    assert_eq!(via, "SIP/2.0/UDP 192.0.2.1:5060");
    assert_eq!(contact, "<sip:192.0.2.1:5060>");
    let Ok(Submitted::Waiting(send)) = host.next(first) else {
        panic!("it waits for its connection");
    };
    host.connected("[2001:db8::1]:40000");
    let (via, contact) = names(&host.completed(send).unwrap());
    assert_eq!(via, "SIP/2.0/TCP [2001:db8::1]:5070");
    assert_eq!(contact, "<sip:[2001:db8::1]:5070;transport=tcp>");
}

#[test]
fn a_given_branch_is_replaced_for_the_next_target_only() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let mut request = invite("sip:example.com");
    request
        .set("Via", "SIP/2.0/UDP 0.0.0.0;branch=z9hG4bKmine;rport")
        .unwrap();
    let send = host.waits(request, SendOptions::new());
    host.resolve(&["192.0.2.7", "192.0.2.8"]);
    let first = host.completed(send).unwrap();
    let via = header(first.bytes(), "Via");
    assert_eq!(via, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKmine;rport");
    let Ok(Submitted::Sent(second)) = host.next(first) else {
        panic!("it is sent at once");
    };
    let message = second.message().unwrap();
    let via = message.top_via().unwrap();
    let branch = via.branch().unwrap();
    assert!(branch.starts_with("z9hG4bK") && branch != "z9hG4bKmine");
    assert_eq!(via.rport(), Some(None));
}

/// The two have one Via each, with the same sent-by, transport, branch and parameters.
fn same_via(one: &Sent, other: &Sent) {
    let (one, other) = (one.message().unwrap(), other.message().unwrap());
    assert_eq!(one.raw_all("Via").count(), 1);
    assert!(one.top_via().unwrap().equivalent(&other.top_via().unwrap()));
}

// RFC 3261 §9.1; conformance: 79, 116, 298
#[test]
fn a_cancel_has_the_via_and_goes_the_way_of_its_request() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    for destination in [udp("192.0.2.9:5070"), tcp("192.0.2.9:5070")] {
        let mut request = invite("sip:bob@example.com");
        request.prepend("Route", "<sip:one.example;lr>").unwrap();
        let sent = match host.submit(request, to(destination)).unwrap() {
            Submitted::Sent(sent) => sent,
            Submitted::Waiting(send) => {
                host.connected("192.0.2.1:40000");
                host.completed(send).unwrap()
            }
        };
        let derived = sent.cancel().unwrap();
        let cancel = host.send(derived.request, derived.options);
        assert_eq!(cancel.remote(), sent.remote());
        assert_eq!(cancel.local(), sent.local());
        for name in ["From", "To", "Call-ID", "Route"] {
            assert_eq!(
                header(cancel.bytes(), name),
                header(sent.bytes(), name),
                "{name}"
            );
        }
        assert_eq!(header(cancel.bytes(), "CSeq"), "1 CANCEL");
        same_via(&cancel, &sent);
        let message = cancel.message().unwrap();
        assert_eq!(message.request_uri(), Some(&b"sip:bob@example.com"[..]));
        assert_eq!(message.method(), Some(Method::Cancel));
        assert_eq!(message.raw(Name::Contact), None);
    }
    assert!(host.lookups.is_empty() && host.connects.is_empty());
}

// RFC 3261 §17.1.1.3
#[test]
fn an_ack_has_the_to_of_the_response() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let sent = host.send(invite("sip:bob@192.0.2.9"), SendOptions::new());
    let message = sent.message().unwrap();
    let value = |name| String::from_utf8_lossy(message.raw(name).unwrap()).into_owned();
    let response = format!(
        "SIP/2.0 486 Busy Here\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=far\r\nCall-ID: {}\r\n\
         CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
        value("Via"),
        value("From"),
        value("To"),
        value("Call-ID"),
    );
    let event = host.datagram(channel, "192.0.2.9:5060", response.as_bytes());
    assert!(event.is_some());
    let response = Response::try_from(Message::parse(response).unwrap()).unwrap();
    let derived = sent.ack(&response).unwrap();
    let ack = host.send(derived.request, derived.options);
    assert_eq!(
        header(ack.bytes(), "To"),
        format!("{};tag=far", value("To"))
    );
    assert_eq!(header(ack.bytes(), "CSeq"), "1 ACK");
    same_via(&ack, &sent);
    assert_eq!(ack.remote().addr, addr("192.0.2.9:5060"));
}

#[test]
fn of_a_response_there_is_no_cancel() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let received = host.request(channel, "192.0.2.9:5060", &wire_request(via, ""));
    let sent = host.send(ok(&received.request), SendOptions::new());
    assert!(sent.cancel().is_err());
}

// RFC 5626 §5.2; conformance: 171
#[test]
fn a_flow_token_brings_a_response_back_over_its_flow() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let received = common::Received::from(host.events.pop_front().unwrap());
    let token = host
        .transport
        .router()
        .flow_token(&received.request.flow().unwrap());
    let flow = host.transport.router().flow_from_token(&token).unwrap();
    assert_eq!(Some(flow), received.request.flow());
    // What a stateless proxy does with a response that came back with it.
    let via = "SIP/2.0/TCP 203.0.113.66;branch=z9hG4bK1";
    let mut response = Message::parse(common::wire_response(via)).unwrap();
    response.set_flow(flow);
    let sent = host.send(response, SendOptions::new());
    assert_eq!(sent.local().connection, Some(id));
}

#[test]
fn a_flow_token_is_short_and_shows_nothing_of_its_flow() {
    let mut host = Host::new();
    let mut flows = Vec::new();
    for (local, peer) in [
        ("192.0.2.1:5060", "192.0.2.9"),
        (
            "[2001:db8::1]:5060",
            "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]",
        ),
    ] {
        let (udp, tcp) = (host.udp(local), host.tcp(local));
        for port in [1024, 1025] {
            let from = format!("{peer}:{port}");
            let via = format!("SIP/2.0/UDP {peer}:65535;branch=z9hG4bK1");
            flows.push(
                host.request(udp, &from, &wire_request(&via, ""))
                    .request
                    .flow(),
            );
            let id = host.accept(tcp, local, &from);
            host.feed(id, &numbered(1));
            let received = common::Received::from(host.events.pop_back().unwrap());
            flows.push(received.request.flow());
        }
    }
    let router = host.transport.router();
    let mut tokens = Vec::new();
    for flow in flows.into_iter().flatten() {
        let token = router.flow_token(&flow);
        assert!(token.len() <= 72, "{token}");
        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        );
        assert_eq!(router.flow_from_token(&token), Some(flow));
        assert_eq!(router.flow_token(&flow), token, "a flow has one token");
        tokens.push(token);
    }
    assert_eq!(tokens.len(), 8);
    // Flows that are alike but for a port have tokens that are alike by chance only.
    for [a, b] in [[0, 2], [1, 3], [4, 6], [5, 7]] {
        let letters = tokens[a].bytes().zip(tokens[b].bytes());
        let same = letters.filter(|(a, b)| a == b).count();
        assert!(same < 10, "{} {}", tokens[a], tokens[b]);
    }
}

#[test]
fn a_flow_tells_the_end_of_its_peer() {
    let mut host = Host::new();
    let (udp, tcp) = (host.udp("192.0.2.1:5060"), host.tcp("192.0.2.1:5060"));
    let via = "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1";
    let datagram = host.request(udp, "192.0.2.9:1024", &wire_request(via, ""));
    let id = host.accept(tcp, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let stream = common::Received::from(host.events.pop_front().unwrap());
    for received in [datagram, stream] {
        let flow = received.request.flow().unwrap();
        let router = host.transport.router();
        assert_eq!(router.flow_endpoint(&flow), Some(received.remote));
        let other = Host::seeded(Config::default(), 2);
        assert_eq!(other.transport.router().flow_endpoint(&flow), None);
    }
}

// RFC 3261 §16.11
// conformance: 166-167
#[test]
fn a_stateless_proxy_has_one_branch_for_what_belongs_together() {
    let request = |method: &str, uri: &str, via: &str, to: &str| {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>{to}\r\n\
             Call-ID: 7\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        Request::try_from(Message::parse(text).unwrap()).unwrap()
    };
    let branch = |request: &Request| stateless_branch(request).unwrap().as_str().to_owned();
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let invite = branch(&request("INVITE", "sip:b@example.com", via, ""));
    assert!(invite.starts_with("z9hG4bK"));
    for (method, to) in [("INVITE", ""), ("CANCEL", ""), ("ACK", ";tag=2")] {
        assert_eq!(
            branch(&request(method, "sip:b@example.com", via, to)),
            invite
        );
    }
    for other in [
        "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2",
        "SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK1",
    ] {
        assert_ne!(
            branch(&request("INVITE", "sip:b@example.com", other, "")),
            invite
        );
    }
    // A client of RFC 2543 has no branch of its own.
    let old = |uri: &str| branch(&request("INVITE", uri, "SIP/2.0/UDP 192.0.2.9", ""));
    assert_eq!(old("sip:b@example.com"), old("sip:b@example.com"));
    assert_ne!(old("sip:b@example.com"), old("sip:c@example.com"));
}

#[test]
fn the_application_gets_randomness_of_its_own() {
    let tags = |seed: u8| {
        let mut transport = Transport::new(Config::default(), [seed; 32]);
        [transport.tokens(), transport.tokens()].map(|mut tokens| tokens.tag())
    };
    let [one, two] = tags(1);
    assert_ne!(one, two);
    assert_eq!(tags(1), [one, two], "a function of the seed");
    assert_ne!(tags(2), [one, two]);
}

// conformance: 358
#[test]
fn a_flow_token_cannot_be_made_up() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let received = host.request(channel, "192.0.2.9:5060", &wire_request(via, ""));
    let router = host.transport.router();
    let token = router.flow_token(&received.request.flow().unwrap());
    for at in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(router.flow_from_token(&forged), None, "{at}");
    }
    // Nor spelled another way, which a parser of numbers would read the same.
    for at in 0..token.len() {
        for other in 0x20..0x7f {
            let mut spelled = token.clone().into_bytes();
            spelled[at] = other;
            let spelled = String::from_utf8(spelled).unwrap();
            let same = spelled == token;
            assert_eq!(
                router.flow_from_token(&spelled).is_some(),
                same,
                "{spelled}"
            );
        }
    }
    assert_eq!(router.flow_from_token(&token.to_uppercase()), None);
    for bad in [
        "",
        "00",
        &token[2..],
        &format!("{token}00"),
        "é",
        &token.replace('0', "+"),
    ] {
        if bad != token {
            assert_eq!(router.flow_from_token(bad), None);
        }
    }
    let other = Host::seeded(Config::default(), 2);
    assert_eq!(other.transport.router().flow_from_token(&token), None);
}

#[test]
fn the_header_hook_has_the_last_word_before_placeholders_are_filled_in() {
    let mut config = Config::default();
    config.header_hook(|message, local, remote| {
        message.set("X-Way", format!("{local}>{remote}")).unwrap();
        message.set("Contact", "<sip:hook@0.0.0.0>").unwrap();
    });
    let mut host = Host::with(config);
    host.udp("192.0.2.1:5060");
    let request = options("sip:192.0.2.9");
    let given = request.to_bytes();
    let sent = host.send(request.clone(), SendOptions::new());
    assert_eq!(
        header(sent.bytes(), "X-Way"),
        "udp:192.0.2.1:5060>udp:192.0.2.9:5060"
    );
    assert_eq!(header(sent.bytes(), "Contact"), "<sip:hook@192.0.2.1:5060>");
    assert_eq!(request.to_bytes(), given);
    let error = host.submit(options("sip:192.0.2.9;transport=sctp"), SendOptions::new());
    let message = error.unwrap_err().into_message();
    assert_eq!(message.raw("X-Way"), None, "it comes back as it was given");
}
