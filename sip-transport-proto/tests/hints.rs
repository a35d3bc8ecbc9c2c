//! Hints of the application: followed, or overruled with the reason that `Sent` reports.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;

use common::{
    Host, Received, addr, hints, invite, ip, numbered, ok, options, tcp, to, udp, wire_request,
};
use sip_transport_proto::error::SendCause;
use sip_transport_proto::{
    ChannelId, Config, ConnectionId, HintOutcome, Hints, Overruled, SendOptions,
};

fn channel(channel: ChannelId) -> SendOptions {
    SendOptions::new().channel(channel)
}

fn connection(connection: ConnectionId) -> SendOptions {
    SendOptions::new().connection(connection)
}

/// A channel that the host had and has no more.
fn removed_channel(host: &mut Host) -> ChannelId {
    let id = host.udp("203.0.113.77:5060");
    let now = host.now;
    host.transport.remove_channel(now, id).unwrap();
    host.drain();
    id
}

/// A connection that a peer has opened to the host's TCP channel on 192.0.2.1.
fn accepted(host: &mut Host) -> (ChannelId, ConnectionId) {
    let tcp = host.tcp("192.0.2.1:5060");
    let id = host.accept(tcp, "192.0.2.1:5060", "192.0.2.9:33333");
    (tcp, id)
}

#[test]
fn without_hints_none_is_reported() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let report = host
        .send(options("sip:192.0.2.9"), SendOptions::new())
        .hints();
    let outcomes = [report.channel, report.connection, report.local];
    assert_eq!(outcomes, [HintOutcome::NotGiven; 3]);
}

#[test]
fn the_hinted_channel_is_taken_before_the_one_that_fits_best() {
    let mut host = Host::new();
    host.local = Some(ip("192.0.2.1"));
    host.udp("192.0.2.1:5060");
    let wished = host.udp("198.51.100.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), channel(wished));
    assert_eq!(sent.local().channel, Some(wished));
    assert_eq!(sent.hints().channel, HintOutcome::Honoured);
}

#[test]
fn a_removed_channel_is_overruled() {
    let mut host = Host::new();
    let gone = removed_channel(&mut host);
    let here = host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), channel(gone));
    assert_eq!(sent.local().channel, Some(here));
    let reason = HintOutcome::Overruled(Overruled::UnknownChannel);
    assert_eq!(sent.hints().channel, reason);
}

#[test]
fn ids_of_another_transport_mean_nothing() {
    let mut other = Host::seeded(Config::default(), 2);
    let (their_channel, their_connection) = accepted(&mut other);
    let mut host = Host::new();
    let (_, mine) = accepted(&mut host);
    host.udp("192.0.2.1:5060");
    let wishes = channel(their_channel).connection(their_connection);
    let sent = host.send(options("sip:192.0.2.9"), wishes);
    let reason = HintOutcome::Overruled(Overruled::OtherTransport);
    assert_eq!(
        (sent.hints().channel, sent.hints().connection),
        (reason, reason)
    );
    assert_ne!(sent.local().connection, Some(mine));
}

#[test]
fn a_channel_of_another_protocol_than_asked_for_is_overruled() {
    let mut host = Host::new();
    let udp_channel = host.udp("192.0.2.1:5060");
    let tcp_channel = host.tcp("192.0.2.1:5060");
    let reason = HintOutcome::Overruled(Overruled::Protocol);
    let sent = host.send(options("sip:192.0.2.9;transport=udp"), channel(tcp_channel));
    assert_eq!(
        (sent.local().channel, sent.hints().channel),
        (Some(udp_channel), reason)
    );
    let send = host.waits(options("sip:192.0.2.9;transport=tcp"), channel(udp_channel));
    host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(
        (sent.local().channel, sent.hints().channel),
        (Some(tcp_channel), reason)
    );
}

#[test]
fn a_hinted_channel_gives_a_uri_without_transport_its_protocol() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let tcp_channel = host.tcp("192.0.2.1:5060");
    let send = host.waits(options("sip:192.0.2.9"), channel(tcp_channel));
    host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().to_string(), "tcp:192.0.2.9:5060");
    assert_eq!(sent.hints().channel, HintOutcome::Honoured);
}

#[test]
fn a_channel_of_the_other_family_is_overruled() {
    let mut host = Host::new();
    let v4 = host.udp("192.0.2.1:5060");
    let v6 = host.udp("[2001:db8::1]:5060");
    let sent = host.send(options("sip:192.0.2.9"), channel(v6));
    let reason = HintOutcome::Overruled(Overruled::Unreachable);
    assert_eq!(
        (sent.local().channel, sent.hints().channel),
        (Some(v4), reason)
    );
}

#[test]
fn a_loopback_channel_is_overruled_for_a_destination_outside() {
    let mut host = Host::new();
    let loopback = host.udp("127.0.0.1:5060");
    let outside = host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9"), channel(loopback));
    let reason = HintOutcome::Overruled(Overruled::Unreachable);
    assert_eq!(
        (sent.local().channel, sent.hints().channel),
        (Some(outside), reason)
    );
}

#[test]
fn an_insecure_channel_is_overruled_for_sips() {
    let mut host = Host::new();
    let tcp_channel = host.tcp("192.0.2.1:5060");
    let error = host
        .submit(options("sips:192.0.2.9"), channel(tcp_channel))
        .unwrap_err();
    assert_eq!(error.cause(), &SendCause::NoTlsConfig, "{error}");
    assert!(host.connects.is_empty());
}

#[test]
fn a_live_hinted_connection_is_taken_whatever_the_destination() {
    let mut host = Host::new();
    let (_, id) = accepted(&mut host);
    host.udp("192.0.2.1:5060");
    for uri in [
        "sip:198.51.100.77",
        "sip:198.51.100.77;transport=tcp",
        "sip:x.invalid",
        "tel:+1",
    ] {
        let sent = host.send(options(uri), connection(id));
        assert_eq!(sent.local().connection, Some(id), "{uri}");
        assert_eq!(sent.hints().connection, HintOutcome::Honoured);
        assert_eq!(sent.remote().addr, addr("192.0.2.9:33333"));
        assert_eq!(host.written(id), *sent.bytes());
    }
    assert!(host.lookups.is_empty() && host.datagrams.is_empty() && host.connects.is_empty());
}

#[test]
fn a_connection_named_in_the_destination_counts_as_a_hint() {
    let mut host = Host::new();
    let (tcp_channel, id) = accepted(&mut host);
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    let sent = host.send(options("sip:192.0.2.9"), to(received.remote));
    assert_eq!(sent.local().connection, Some(id));
    assert_eq!(sent.local().channel, Some(tcp_channel));
}

#[test]
fn a_closed_connection_is_overruled_and_the_message_goes_where_it_says() {
    let mut host = Host::new();
    let (_, id) = accepted(&mut host);
    let udp_channel = host.udp("192.0.2.1:5060");
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    let sent = host.send(options("sip:192.0.2.9"), connection(id));
    assert_eq!(
        sent.hints().connection,
        HintOutcome::Overruled(Overruled::Closed)
    );
    assert_eq!(sent.local().channel, Some(udp_channel));
}

#[test]
fn a_connection_is_overruled_where_datagrams_are_asked_for() {
    let mut host = Host::new();
    let (_, id) = accepted(&mut host);
    host.udp("192.0.2.1:5060");
    let sent = host.send(options("sip:192.0.2.9;transport=udp"), connection(id));
    assert_eq!(
        sent.hints().connection,
        HintOutcome::Overruled(Overruled::Protocol)
    );
    assert_eq!(sent.remote().to_string(), "udp:192.0.2.9:5060");
}

#[test]
fn an_insecure_connection_is_overruled_for_sips() {
    let mut host = Host::new();
    let (_, id) = accepted(&mut host);
    let error = host
        .submit(options("sips:192.0.2.9"), connection(id))
        .unwrap_err();
    assert_eq!(error.cause(), &SendCause::NoTlsConfig, "{error}");
    assert!(host.transport.transmit(id).is_empty());
}

#[test]
fn a_connection_hint_wins_over_a_channel_hint_that_disagrees() {
    let mut host = Host::new();
    let (tcp_channel, id) = accepted(&mut host);
    let udp_channel = host.udp("192.0.2.1:5060");
    let sent = host.send(
        options("sip:192.0.2.9"),
        connection(id).channel(udp_channel),
    );
    assert_eq!(sent.local().connection, Some(id));
    let reason = HintOutcome::Overruled(Overruled::ConnectionWins);
    assert_eq!(sent.hints().channel, reason);
    let sent = host.send(
        options("sip:192.0.2.9"),
        connection(id).channel(tcp_channel),
    );
    assert_eq!(sent.hints().channel, HintOutcome::Honoured);
}

#[test]
fn a_hinted_connection_that_fails_to_open_leaves_the_message_its_own_way() {
    let mut host = Host::new();
    host.tcp("192.0.2.1:5060");
    host.udp("192.0.2.1:5060");
    host.waits(options("sip:192.0.2.8;transport=tcp"), SendOptions::new());
    let (opening, ..) = host.connects[0];
    let send = host.waits(options("sip:192.0.2.9"), connection(opening));
    host.refuse();
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().to_string(), "udp:192.0.2.9:5060");
    assert_eq!(
        sent.hints().connection,
        HintOutcome::Overruled(Overruled::Closed)
    );
}

#[test]
fn a_local_address_is_the_source_on_a_wildcard_socket() {
    let mut host = Host::new();
    host.udp("0.0.0.0:5060");
    let wish = Hints {
        local: Some(ip("192.0.2.2")),
        ..Hints::default()
    };
    let sent = host.send(options("sip:192.0.2.9"), hints(wish));
    assert_eq!(sent.hints().local, HintOutcome::Honoured);
    assert_eq!(sent.local().addr, addr("192.0.2.2:5060"));
    assert_eq!(host.datagrams[0].1.source, Some(ip("192.0.2.2")));
    assert!(common::header(sent.bytes(), "Via").starts_with("SIP/2.0/UDP 192.0.2.2:5060"));
    assert!(host.local_queries.is_empty());
}

#[test]
fn a_local_address_is_overruled_by_the_one_that_a_socket_is_bound_to() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    let wish = |text| Hints {
        local: Some(ip(text)),
        ..Hints::default()
    };
    let sent = host.send(options("sip:192.0.2.9"), hints(wish("192.0.2.2")));
    assert_eq!(sent.hints().local, HintOutcome::Overruled(Overruled::Bound));
    assert_eq!(sent.local().addr, addr("192.0.2.1:5060"));
    let sent = host.send(options("sip:192.0.2.9"), hints(wish("192.0.2.1")));
    assert_eq!(sent.hints().local, HintOutcome::Honoured);
}

#[test]
fn a_local_address_that_cannot_be_a_source_is_overruled_by_the_one_that_the_system_uses() {
    for wish in ["2001:db8::1", "0.0.0.0", "::"] {
        let mut host = Host::new();
        host.local = Some(ip("192.0.2.3"));
        let wildcard = host.udp("0.0.0.0:5070");
        let own = host.udp("192.0.2.3:5060");
        let wishes = Hints {
            local: Some(ip(wish)),
            ..Hints::default()
        };
        let sent = host.send(options("sip:192.0.2.9"), hints(wishes));
        assert_eq!(sent.local().channel, Some(own), "{wish}");
        let wishes = Hints {
            channel: Some(wildcard),
            ..wishes
        };
        let sent = host.send(options("sip:192.0.2.9"), hints(wishes));
        assert_eq!(sent.local().addr, addr("192.0.2.3:5070"), "{wish}");
        assert_eq!(sent.filled().with.as_deref(), Some("192.0.2.3:5070"));
        // The channel is bound to it, after all.
        let expected = match wish {
            "0.0.0.0" => HintOutcome::Honoured,
            _ => HintOutcome::Overruled(Overruled::Bound),
        };
        assert_eq!(sent.hints().local, expected, "{wish}");
    }
}

#[test]
fn a_local_address_is_where_a_new_connection_is_opened_from() {
    let mut host = Host::new();
    host.tcp("0.0.0.0:5060");
    let wish = Hints {
        local: Some(ip("192.0.2.2")),
        ..Hints::default()
    };
    let first = host.waits(options("sip:192.0.2.9;transport=tcp"), hints(wish));
    let second = host.waits(options("sip:192.0.2.9;transport=tcp"), hints(wish));
    assert_eq!(host.connects[0].2, Some(ip("192.0.2.2")));
    host.connected("192.0.2.2:40000");
    for send in [first, second] {
        assert_eq!(
            host.completed(send).unwrap().hints().local,
            HintOutcome::Honoured
        );
    }
    let other = Hints {
        local: Some(ip("192.0.2.3")),
        ..Hints::default()
    };
    let sent = host.send(options("sip:192.0.2.9;transport=tcp"), hints(other));
    assert_eq!(sent.hints().local, HintOutcome::Overruled(Overruled::Bound));
}

// RFC 3261 §18.2.2; conformance: 125
#[test]
fn a_channel_hint_that_cannot_be_followed_leaves_a_response_on_its_connection() {
    let mut host = Host::new();
    let (_, id) = accepted(&mut host);
    let udp_channel = host.udp("192.0.2.1:5060");
    let gone = removed_channel(&mut host);
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    for (hint, reason) in [
        (udp_channel, Overruled::Protocol),
        (gone, Overruled::UnknownChannel),
    ] {
        let sent = host.send(ok(&received.request), channel(hint));
        assert_eq!(sent.local().connection, Some(id));
        assert_eq!(sent.hints().channel, HintOutcome::Overruled(reason));
    }
}

#[test]
fn a_channel_hint_that_leads_to_nobody_leaves_a_response_on_its_connection() {
    let mut host = Host::new();
    let (_, id) = accepted(&mut host);
    let other = host.tcp("192.0.2.1:5070");
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    let send = host.waits(ok(&received.request), channel(other));
    host.refuse();
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.local().connection, Some(id));
    assert_eq!(
        sent.hints().channel,
        HintOutcome::Overruled(Overruled::Unreachable)
    );
    assert_eq!(sent.tried().len(), 1);
}

#[test]
fn the_hints_of_a_received_request_send_the_way_it_came() {
    let mut host = Host::new();
    host.local = Some(ip("192.0.2.3"));
    let first = host.udp("0.0.0.0:5060");
    let second = host.udp("0.0.0.0:5070");
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1";
    let event = host.datagram_to(
        second,
        "192.0.2.9:5060",
        Some(ip("192.0.2.2")),
        &wire_request(via, ""),
    );
    let received = Received::from(event.unwrap());
    let sent = host.send(options("sip:192.0.2.9"), hints(received.local.hints()));
    assert_eq!(sent.local().channel, Some(second));
    assert_ne!(sent.local().channel, Some(first));
    assert_eq!(sent.local().addr, addr("192.0.2.2:5070"));
}

#[test]
fn a_destination_given_wins_over_the_messages_own() {
    let mut host = Host::new();
    host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    let send = host.waits(
        invite("sip:example.com;transport=udp"),
        to(tcp("192.0.2.9:5080")),
    );
    host.connected("192.0.2.1:40000");
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.remote().to_string(), "tcp:192.0.2.9:5080");
    let sent = host.send(invite("sip:example.com"), to(udp("192.0.2.9:5081")));
    assert_eq!(sent.remote().to_string(), "udp:192.0.2.9:5081");
    assert!(host.lookups.is_empty());
}

// RFC 3261 §18.2.2; conformance: 125
#[test]
fn a_channel_hint_that_no_connection_is_left_for_leaves_a_response_on_its_connection() {
    let mut config = Config::default();
    config.max_connections(1).unwrap();
    let mut host = Host::with(config);
    let (_, id) = accepted(&mut host);
    let other = host.tcp("192.0.2.1:5070");
    host.feed(id, &numbered(1));
    let received = Received::from(host.events.pop_front().unwrap());
    let sent = host.send(ok(&received.request), channel(other));
    assert_eq!(sent.local().connection, Some(id));
    assert_eq!(
        sent.hints().channel,
        HintOutcome::Overruled(Overruled::Unreachable)
    );
    assert_eq!(sent.tried().len(), 1);
}
