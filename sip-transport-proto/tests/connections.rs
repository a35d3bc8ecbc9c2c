//! Connections: reuse, order, failure, life and end.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use common::{Host, Received, addr, hints, ip, numbered, ok, options, tcp, to};
use sip_transport_proto::error::{AttemptCause, ChannelError, CloseReason, SendCause, SendFailure};
use sip_transport_proto::parts::{Connection, ConnectionEvent, Routed, Router, RouterOutput};
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{
    ChannelConfig, Config, ConnectionId, Event, Outgoing, Protocol, SendOptions,
};

fn host() -> Host {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    host
}

/// An open connection to 192.0.2.9:5060.
fn opened(host: &mut Host) -> ConnectionId {
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let id = host.connected("192.0.2.1:40000");
    host.written(id);
    host.take_events();
    id
}

fn over(host: &mut Host, destination: &str) -> Option<ConnectionId> {
    host.send(options("sip:x.example"), to(tcp(destination)))
        .local()
        .connection
}

// conformance: 91
#[test]
fn an_open_connection_to_the_target_is_used_again() {
    let mut host = host();
    let id = opened(&mut host);
    assert_eq!(over(&mut host, "192.0.2.9:5060"), Some(id));
    assert!(host.connects.is_empty());
    // Another port is another target.
    host.waits(
        options("sip:192.0.2.9:5070;transport=tcp"),
        SendOptions::new(),
    );
    assert_eq!(host.connects.len(), 1);
}

// RFC 5626 §4.2.1
#[test]
fn a_send_that_asks_for_a_new_connection_gets_one_and_later_sends_take_the_newest() {
    let mut host = host();
    let first = opened(&mut host);
    let destination = "sip:192.0.2.9;transport=tcp";
    let another = SendOptions::new().new_connection();
    let send = host.waits(options(destination), another.clone());
    assert_eq!(host.connects.len(), 1, "one that is there does not count");
    let second = host.connected("192.0.2.1:40001");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.local().connection, Some(second));
    assert_ne!(first, second);
    assert_eq!(over(&mut host, "192.0.2.9:5060"), Some(second));
    // A hint counts more.
    let sent = host.send(options(destination), another.connection(first));
    assert_eq!(sent.local().connection, Some(first));
    assert!(host.connects.is_empty());
}

#[test]
fn a_new_connection_that_fails_ends_the_send_rather_than_falling_back_on_another() {
    let mut host = host();
    opened(&mut host);
    let another = SendOptions::new().new_connection();
    let send = host.waits(options("sip:192.0.2.9;transport=tcp"), another);
    host.refuse();
    let tried = host.completed(send).unwrap_err().tried().to_vec();
    assert!(
        matches!(tried[..], [ref attempt] if attempt.cause == AttemptCause::Connect(ErrorKind::ConnectionRefused)),
        "{tried:?}"
    );
}

// conformance: 89
#[test]
fn an_accepted_connection_is_found_by_its_source_address() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    assert_eq!(over(&mut host, "192.0.2.9:33333"), Some(id));
}

// RFC 5923; conformance: 394; bad-inputs: C15
#[test]
fn an_accepted_connection_is_not_the_way_to_the_peers_listener() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    let data = String::from_utf8(numbered(1))
        .unwrap()
        .replace(";branch", ";alias;branch");
    host.feed(id, data.as_bytes());
    host.waits(
        options("sip:192.0.2.9:5060;transport=tcp"),
        SendOptions::new(),
    );
    assert_eq!(host.connects[0].1, addr("192.0.2.9:5060"));
}

// conformance: 89
#[test]
fn a_mapped_ipv4_address_is_the_ipv4_address() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Tcp, addr("[::]:5060")).dual_stack(true);
    let channel = host.channel(config);
    let id = host.accept(
        channel,
        "[::ffff:192.0.2.1]:5060",
        "[::ffff:192.0.2.9]:33333",
    );
    assert_eq!(over(&mut host, "192.0.2.9:33333"), Some(id));
    assert_eq!(over(&mut host, "[::ffff:192.0.2.9]:33333"), Some(id));
}

// conformance: 184
#[test]
fn sends_queued_while_connecting_go_out_in_order() {
    let mut host = host();
    let destination = "sip:192.0.2.9;transport=tcp";
    let sends: Vec<_> = (0..20)
        .map(|_| host.waits(options(destination), SendOptions::new()))
        .collect();
    assert_eq!(host.connects.len(), 1, "they share one connection");
    let id = host.connected("192.0.2.1:40000");
    let sent: Vec<_> = sends
        .into_iter()
        .map(|send| host.completed(send).unwrap())
        .collect();
    let later = host.send(options(destination), SendOptions::new());
    let all: Vec<_> = sent
        .iter()
        .chain([&later])
        .flat_map(|s| s.bytes().to_vec())
        .collect();
    assert_eq!(host.written(id), all);
}

#[test]
fn a_send_waits_behind_one_that_is_being_rendered() {
    let mut router = Router::new(Config::default(), [1; 32]);
    let config = ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:5060"));
    router.add_channel(config).unwrap();
    let now = host().now;
    let route = |router: &mut Router| {
        let request = options("sip:192.0.2.9;transport=tcp");
        let outgoing = Outgoing::new(request, SendOptions::new());
        match router.send(now, outgoing).unwrap() {
            Routed::Ready(route, outgoing) => (route, outgoing),
            Routed::Waiting(send) => panic!("{send}"),
        }
    };
    // What its owner does until there is a message to be rendered.
    let next_ready = |router: &mut Router, machine: &mut Connection| {
        loop {
            match machine.poll_event(now)? {
                ConnectionEvent::Ready(dispatch, outgoing) => return Some((dispatch, outgoing)),
                ConnectionEvent::Notice(notice) => router.handle_notice(now, machine.id(), notice),
                _ => {}
            }
            while let Some(output) = router.poll_output() {
                if let RouterOutput::Command { command, .. } = output {
                    machine.handle_command(now, command);
                }
            }
        }
    };
    let (first, message) = route(&mut router);
    let mut machine = router.take_machine().unwrap();
    assert!(matches!(
        machine.push(first, message),
        Ok(Routed::Waiting(_))
    ));
    machine.handle_connected(now, addr("192.0.2.1:40000"));
    let (first, message) = next_ready(&mut router, &mut machine).unwrap();
    // While the owner renders it, outside of all locks, another one comes.
    let (second, other) = route(&mut router);
    assert!(matches!(
        machine.push(second, other),
        Ok(Routed::Waiting(_))
    ));
    let first = first.render(now, &message).unwrap();
    machine.queue(now, first.bytes(), first.id()).unwrap();
    let (second, other) = next_ready(&mut router, &mut machine).unwrap();
    let second = second.render(now, &other).unwrap();
    machine.queue(now, second.bytes(), second.id()).unwrap();
    assert!(next_ready(&mut router, &mut machine).is_none());
    assert_eq!(
        machine.transmit(),
        [&first.bytes()[..], second.bytes()].concat()
    );
    let (third, message) = route(&mut router);
    assert!(matches!(
        machine.push(third, message),
        Ok(Routed::Ready(..))
    ));
}

// conformance: 184
#[test]
fn short_writes_lose_and_repeat_nothing() {
    let mut host = host();
    let id = opened(&mut host);
    let mut expected = Vec::new();
    let mut written = Vec::new();
    for size in [1, 7, 100, 3, 250, 999] {
        let sent = host.send(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
        expected.extend_from_slice(sent.bytes());
        let bytes = host.transport.transmit(id);
        let n = size.min(bytes.len());
        written.extend_from_slice(&bytes[..n]);
        let now = host.now;
        host.transport.handle_written(now, id, n);
        host.drain();
        assert_eq!(
            host.transport.router().queued_bytes(),
            expected.len() - written.len()
        );
    }
    written.extend(host.written(id));
    assert_eq!(written, expected);
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

// RFC 3261 §18.4; conformance: 154
#[test]
fn a_failed_connect_is_reported_to_every_send_that_waited() {
    let mut host = host();
    let mut request = options("sip:192.0.2.9;transport=tcp");
    request.set("Subject", "mine").unwrap();
    let given = request.to_bytes();
    let sends = [0; 3].map(|_| host.waits(request.clone(), SendOptions::new()));
    let id = host.refuse();
    for send in sends {
        let error = host.completed(send).unwrap_err();
        assert_eq!(*error.cause(), SendCause::AllTargetsFailed);
        let refused = AttemptCause::Connect(ErrorKind::ConnectionRefused);
        assert_eq!(error.tried()[0].cause, refused);
        assert_eq!(error.into_message().to_bytes(), given);
    }
    let reason = CloseReason::ConnectFailed(ErrorKind::ConnectionRefused);
    assert_eq!(host.close_reason(id), Some(reason));
    assert!(
        host.events.is_empty(),
        "no SendFailed for what was not sent"
    );
    assert_eq!(host.closes, [id]);
    assert_eq!(host.transport.router().load(), (0, 0));
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

// conformance: 359
#[test]
fn a_connection_is_opened_and_closed_once_each() {
    let mut host = host();
    let send = host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let id = host.connected("192.0.2.1:40000");
    host.completed(send).unwrap();
    let now = host.now;
    host.transport
        .handle_connected(now, id, addr("192.0.2.1:40000"));
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.transport.handle_eof(id);
    host.drain();
    let mut opened = 0;
    let mut closed = 0;
    for event in host.take_events() {
        match event {
            Event::ConnectionOpened {
                accepted, local, ..
            } => {
                assert!(!accepted);
                assert_eq!(local.addr, addr("192.0.2.1:40000"));
                opened += 1;
            }
            Event::ConnectionClosed { reason, .. } => {
                assert_eq!(reason, CloseReason::Io(ErrorKind::ConnectionReset));
                closed += 1;
            }
            Event::SendFailed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((opened, closed, host.closes.len()), (1, 1, 1));
}

#[test]
fn what_was_not_written_wholly_when_a_connection_breaks_is_reported_once() {
    let mut host = host();
    let id = opened(&mut host);
    let destination = "sip:192.0.2.9;transport=tcp";
    let sent = [0; 3].map(|_| host.send(options(destination), SendOptions::new()));
    // The first is written, of the second a part.
    let now = host.now;
    host.transport
        .handle_written(now, id, sent[0].bytes().len() + 10);
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    let lost: Vec<_> = host
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::SendFailed { send, cause } => {
                let reset = CloseReason::Io(ErrorKind::ConnectionReset);
                assert_eq!(cause, SendFailure::Closed(reset));
                Some(send)
            }
            _ => None,
        })
        .collect();
    assert_eq!(lost, [sent[1].id(), sent[2].id()]);
    assert_eq!(host.transport.router().queued_bytes(), 0);
}

#[test]
fn after_a_close_the_next_send_opens_a_new_connection_with_a_new_id() {
    let mut host = host();
    let first = opened(&mut host);
    host.eof(first);
    assert_eq!(host.close_reason(first), Some(CloseReason::Peer));
    let second = opened(&mut host);
    assert_ne!(first, second);
}

// bad-inputs: C8
#[test]
fn ids_of_connections_are_never_used_twice() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let mut seen = std::collections::BTreeSet::new();
    for port in 0..200 {
        let id = host.accept(
            channel,
            "192.0.2.1:5060",
            &format!("192.0.2.9:{}", 1_000 + port % 2),
        );
        assert!(seen.insert(id));
        host.eof(id);
        host.take_events();
    }
    let old = *seen.first().unwrap();
    // A hint with an old id never finds a newer connection of the same peer.
    host.accept(channel, "192.0.2.1:5060", "192.0.2.9:1000");
    let wish = SendOptions::new().to(tcp("192.0.2.9:1000")).connection(old);
    let sent = host.send(options("sip:x.example"), wish);
    assert_ne!(sent.local().connection, Some(old));
}

#[test]
fn an_application_can_close_a_connection_and_what_is_queued_still_goes() {
    let mut host = host();
    let id = opened(&mut host);
    let sent = host.send(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let now = host.now;
    assert!(host.transport.close(now, id));
    host.drain();
    assert!(host.close_reason(id).is_none());
    assert_eq!(host.transport.recv_capacity(id), 0);
    assert_eq!(host.written(id), *sent.bytes());
    assert_eq!(host.close_reason(id), Some(CloseReason::Application));
    assert!(!host.transport.close(now, id));
}

// conformance: 392
#[test]
fn a_closing_connection_takes_no_more_messages() {
    let mut host = host();
    let id = opened(&mut host);
    host.send(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let now = host.now;
    host.transport.close(now, id);
    host.drain();
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    assert_eq!(host.connects.len(), 1);
}

#[test]
fn closing_a_connection_that_is_being_opened_fails_what_waits_for_it() {
    let mut host = host();
    let send = host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let (id, ..) = host.connects[0];
    let now = host.now;
    assert!(host.transport.close(now, id));
    host.drain();
    let error = host.completed(send).unwrap_err();
    let cause = AttemptCause::Closed(CloseReason::Application);
    assert_eq!(error.tried()[0].cause, cause);
    assert_eq!(host.closes, [id]);
}

#[test]
fn removing_a_channel_closes_its_connections_and_ends_their_sends() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let other = host.tcp("192.0.2.1:5070");
    let mine = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    let theirs = host.accept(other, "192.0.2.1:5070", "192.0.2.9:33334");
    let send = host.waits(
        options("sip:192.0.2.8;transport=tcp"),
        SendOptions::new().channel(channel),
    );
    let now = host.now;
    host.transport.remove_channel(now, channel).unwrap();
    host.drain();
    assert_eq!(host.close_reason(mine), Some(CloseReason::ChannelRemoved));
    assert_eq!(host.close_reason(theirs), None);
    let error = host.completed(send).unwrap_err();
    let cause = AttemptCause::Closed(CloseReason::ChannelRemoved);
    assert_eq!(error.tried()[0].cause, cause);
    let error = host.transport.remove_channel(now, channel).unwrap_err();
    assert_eq!(error, ChannelError::Unknown(channel));
    let (local, remote) = (addr("192.0.2.1:5060"), addr("192.0.2.9:1"));
    assert!(
        host.transport
            .handle_accepted(now, channel, local, remote)
            .is_err()
    );
    // An id is never used twice.
    assert_ne!(host.tcp("192.0.2.1:5060"), channel);
}

#[test]
fn removing_a_datagram_channel_ends_its_receiving() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let now = host.now;
    host.transport.remove_channel(now, channel).unwrap();
    host.drain();
    let data = common::wire_request("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "");
    assert!(host.datagram(channel, "192.0.2.9:5060", &data).is_none());
}

#[test]
fn nothing_is_accepted_where_nothing_listens() {
    let mut host = Host::new();
    let datagrams = host.udp("192.0.2.1:5060");
    let config = ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:5060")).listener(false);
    let client = host.channel(config);
    let now = host.now;
    for channel in [datagrams, client] {
        let (local, remote) = (addr("192.0.2.1:5060"), addr("192.0.2.9:1"));
        assert!(
            host.transport
                .handle_accepted(now, channel, local, remote)
                .is_err()
        );
    }
}

#[test]
fn after_shutdown_connections_close_when_they_are_written_and_none_is_accepted() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    let sent = host.send(ok(&received.request), SendOptions::new());
    let now = host.now;
    host.transport.shutdown(now);
    host.drain();
    assert_eq!(host.written(id), *sent.bytes());
    assert_eq!(host.close_reason(id), Some(CloseReason::Shutdown));
    let (local, remote) = (addr("192.0.2.1:5060"), addr("192.0.2.9:1"));
    assert!(
        host.transport
            .handle_accepted(now, channel, local, remote)
            .is_err()
    );
    assert_eq!(host.transport.router().load(), (0, 0));
    host.pass(Duration::from_secs(10));
    assert_eq!(host.deadline, None);
}

#[test]
fn a_connection_opens_from_the_address_that_its_channel_is_bound_to() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    host.tcp("[::]:5060");
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    host.waits(
        options("sip:[2001:db8::9];transport=tcp"),
        SendOptions::new(),
    );
    let from: Vec<_> = host.connects.iter().map(|(_, _, local)| *local).collect();
    assert_eq!(from, [Some(ip("192.0.2.1")), None]);
}

#[test]
fn a_stateless_proxy_sends_back_by_the_hints_of_what_came() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    let response = common::wire_response("SIP/2.0/TCP 192.0.2.99:5060;branch=z9hG4bK1");
    let message = Message::parse(response).unwrap();
    let sent = host.send(message, hints(received.local.hints()));
    assert_eq!(sent.local().connection, Some(id));
}

// bad-inputs: C7
#[test]
fn peers_that_connect_send_and_go_leave_nothing_behind() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    for port in 1_000..2_000 {
        let id = host.accept(channel, "192.0.2.1:5060", &format!("192.0.2.9:{port}"));
        host.feed(id, &numbered(port));
        let received = Received::from(host.events.pop_front().unwrap());
        host.eof(id);
        // The response has no connection any more: one attempt back, which is refused.
        let send = host.waits(ok(&received.request), SendOptions::new());
        host.refuse();
        host.completed(send).unwrap_err();
        host.take_events();
    }
    assert_eq!(host.transport.router().load(), (0, 0));
    assert_eq!(host.transport.router().queued_bytes(), 0);
    assert_eq!(host.deadline, None);
}

// RFC 3261 §18.4; conformance: 433
#[test]
fn a_message_that_was_sent_again_is_reported_lost_once() {
    let mut host = host();
    let id = opened(&mut host);
    let send = |host: &mut Host| host.send(options("sip:x.example"), to(tcp("192.0.2.9:5060")));
    let (first, second) = (send(&mut host), send(&mut host));
    for sent in [&first, &second, &first] {
        let now = host.now;
        host.transport.resend(now, sent).unwrap();
    }
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    let lost = |event: &Event| match event {
        Event::SendFailed { send, .. } => Some(*send),
        _ => None,
    };
    let lost: Vec<_> = host.events.iter().filter_map(lost).collect();
    assert_eq!(lost, [first.id(), second.id()]);
}

// conformance: 433
#[test]
fn a_datagram_of_which_several_complain_is_reported_lost_once() {
    let mut host = Host::new();
    let channel = host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), SendOptions::new());
    host.transport.resend(host.now, &sent).unwrap();
    host.drain();
    for (_, transmit) in std::mem::take(&mut host.datagrams) {
        let (now, to) = (host.now, transmit.destination);
        let kind = ErrorKind::HostUnreachable;
        host.transport
            .handle_datagram_failed(now, transmit.send, to, kind);
    }
    host.transport.remove_channel(host.now, channel).unwrap();
    host.drain();
    assert_eq!(host.events.len(), 1, "{:?}", host.events);
    assert_eq!(host.transport.stats().send_failures_reported, 1);
}

// RFC 3261 §17.2.4, RFC 6026 §8.8; conformance: 136
#[test]
fn a_response_that_reaches_nobody_comes_back_with_what_was_tried_and_can_be_sent_again() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &numbered(1));
    let request = Received::from(host.events.pop_front().unwrap()).request;
    host.eof(id);
    host.take_events();
    let response = ok(&request);
    let given = response.to_bytes();
    for _ in 0..2 {
        // RFC 3261 §18.2.2: the connection is gone, and its backup refuses.
        let send = host.waits(response.clone(), SendOptions::new());
        host.refuse();
        let error = host.completed(send).unwrap_err();
        let [attempt] = error.tried() else {
            panic!("{error}");
        };
        assert_eq!(attempt.target.addr, addr("192.0.2.9:5060"));
        let refused = AttemptCause::Connect(ErrorKind::ConnectionRefused);
        assert_eq!(attempt.cause, refused);
        assert_eq!(error.into_message().to_bytes(), given);
        host.take_events();
    }
}

#[test]
fn a_datagram_that_the_system_refuses_is_reported_and_counted() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), SendOptions::new());
    let (_, transmit) = host.datagrams.pop_front().unwrap();
    let (now, to) = (host.now, transmit.destination);
    let refused = ErrorKind::ConnectionRefused;
    host.transport
        .handle_datagram_failed(now, transmit.send, to, refused);
    host.transport
        .handle_datagram_failed(now, None, to, refused);
    host.drain();
    match host.events.pop_front() {
        Some(Event::SendFailed { send, cause }) => {
            assert_eq!(send, sent.id());
            assert_eq!(cause, SendFailure::Io(ErrorKind::ConnectionRefused));
        }
        other => panic!("{other:?}"),
    }
    assert!(host.events.is_empty());
    assert_eq!(host.transport.stats().send_failures_reported, 1);
}
