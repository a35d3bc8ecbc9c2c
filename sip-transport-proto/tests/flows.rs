//! Connections that serve both ways: `alias` over TLS (RFC 5923), and what a flow is otherwise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]
#![cfg(feature = "tls")]

#[path = "../../testkit/src/certificates.rs"]
#[allow(dead_code, unreachable_pub)]
mod certificates;
mod common;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use certificates::Certificates;
use common::{Host, addr, header, ip, options, tcp, to, wire_request};
use sip_transport_proto::sim::{HostId, NameAnswer, World};
use sip_transport_proto::tls::TlsConfig;
use sip_transport_proto::{
    ChannelConfig, Config, ConnectionId, Event, Keep, Outgoing, Protocol, SendOptions, Sent,
    Submitted,
};

static MADE: LazyLock<Certificates> = LazyLock::new(|| Certificates::new().at(1_800_000_000));

const ALICE: &str = "192.0.2.1";
const BOB: &str = "192.0.2.2";

/// Two hosts with TLS and a network between them.
struct Pair {
    world: World,
    alice: HostId,
    bob: HostId,
}

impl Pair {
    fn new(alice: (TlsConfig, bool), bob: (TlsConfig, bool)) -> Self {
        let mut world = World::new(3, Instant::now());
        let mut host = |at, (tls, alias): (TlsConfig, bool)| {
            let host = world.add_host(at, &[ip(at)], Config::default());
            let local = (ip(at), 5061).into();
            let config = ChannelConfig::new(Protocol::Tls, local);
            let config = config.tls(tls).alias(alias);
            world.add_channel(host, config).unwrap();
            host
        };
        let (alice, bob) = (host(ALICE, alice), host(BOB, bob));
        let network = world.network_mut();
        for (name, at) in [
            ("alice.example", ALICE),
            ("other.example", ALICE),
            ("bob.example", BOB),
        ] {
            network.set_name(name, NameAnswer::Addresses(vec![ip(at)]));
        }
        Self { world, alice, bob }
    }

    /// Both with a certificate that the other asks for.
    fn mutual(alias: bool) -> Self {
        let alice = MADE.mutual(&["alice.example"]);
        let bob = MADE.mutual(&["bob.example"]);
        Self::new((alice, alias), (bob, alias))
    }

    /// Sends a request and lets it arrive, or fail: what was sent, and what happened.
    fn send(&mut self, from: HostId, uri: &str) -> (Option<Sent>, Vec<(HostId, Event)>) {
        let outgoing = Outgoing::new(options(uri), SendOptions::new());
        let mut sent = match self.world.send(from, outgoing).unwrap() {
            Submitted::Sent(sent) => Some(sent),
            Submitted::Waiting(_) => None,
        };
        let mut events = Vec::new();
        while let Some((host, event)) = self.world.next_event(Duration::from_secs(1)) {
            match event {
                Event::SendCompleted { result, .. } => sent = result.ok().map(|sent| *sent),
                event => events.push((host, event)),
            }
        }
        (sent, events)
    }

    /// Alice calls Bob; the connection as Bob has it.
    fn alice_calls(&mut self) -> ConnectionId {
        let (sent, events) = self.send(self.alice, "sips:bob.example");
        assert!(sent.is_some(), "{events:?}");
        let connection = events.iter().find_map(|(_, event)| match event {
            Event::Request { remote, .. } => remote.connection,
            _ => None,
        });
        connection.expect("a request")
    }

    /// Which connection Bob's request to this URI takes; `None` if it fails.
    fn bob_calls(&mut self, uri: &str) -> Option<ConnectionId> {
        let (sent, _) = self.send(self.bob, uri);
        sent.and_then(|sent| sent.local().connection)
    }

    fn aliases(&self) -> u64 {
        self.world.machine(self.bob).stats().aliases
    }
}

// RFC 5923 §8.1, §8.2; conformance: 384, 385, 388, 389
#[test]
fn a_verified_peer_gets_requests_over_its_own_connection() {
    let mut pair = Pair::mutual(true);
    let connection = pair.alice_calls();
    assert_eq!(pair.aliases(), 1);
    // For the domain that its certificate names, at the port of its Via.
    assert_eq!(pair.bob_calls("sips:alice.example"), Some(connection));
    assert_eq!(pair.bob_calls("sips:alice.example:5061"), Some(connection));
    // More requests do not make it more of one.
    assert_eq!(pair.alice_calls(), connection);
    assert_eq!(pair.aliases(), 1);
}

// RFC 5923 §8.1; conformance: 384
#[test]
fn the_parameter_is_in_requests_over_tls_alone() {
    let mut pair = Pair::mutual(true);
    let (sent, _) = pair.send(pair.alice, "sips:bob.example");
    let via = header(sent.unwrap().bytes(), "Via");
    assert!(
        via.starts_with("SIP/2.0/TLS 192.0.2.1:5061;") && via.ends_with(";alias"),
        "{via}"
    );
    let mut pair = Pair::mutual(false);
    let (sent, _) = pair.send(pair.alice, "sips:bob.example");
    assert!(!header(sent.unwrap().bytes(), "Via").contains("alias"));
    let mut host = Host::new();
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        host.channel(ChannelConfig::new(protocol, addr("192.0.2.1:5060")).alias(true));
    }
    let sent = host.send(options("sip:192.0.2.9"), SendOptions::new());
    assert!(!header(sent.bytes(), "Via").contains("alias"));
    host.waits(options("sip:192.0.2.9;transport=tcp"), SendOptions::new());
    let id = host.connected("192.0.2.1:40000");
    assert!(!header(&host.written(id), "Via").contains("alias"));
}

// RFC 5923 §9.3; conformance: 389, 393; bad-inputs: C15
#[test]
fn another_domain_on_the_same_address_gets_another_connection() {
    let mut pair = Pair::mutual(true);
    let connection = pair.alice_calls();
    let (sent, events) = pair.send(pair.bob, "sips:other.example");
    // There it fails: Alice cannot prove to be that.
    assert!(sent.is_none());
    assert!(events.iter().any(|(host, event)| *host == pair.bob
        && matches!(event, Event::ConnectionClosed { connection: tried, .. } if *tried != connection)));
    assert_eq!(pair.bob_calls("sips:alice.example"), Some(connection));
    // Another port is another target.
    assert_eq!(pair.bob_calls("sips:alice.example:5062"), None);
}

// RFC 5923 §8.2, §9.2; conformance: 387, 386; bad-inputs: C15
#[test]
fn no_certificate_or_no_wish_is_no_alias() {
    let optional = MADE
        .server_builder(&["bob.example"])
        .client_certificate_optional(MADE.roots());
    let optional = optional.build().unwrap().and(MADE.client());
    let alice = MADE.mutual(&["alice.example"]);
    let both = || MADE.both(&["alice.example"]);
    for (alice, bob, expected) in [
        ((alice.clone(), true), (optional.clone(), true), true),
        ((both(), true), (optional.clone(), true), false),
        ((both(), true), (MADE.both(&["bob.example"]), true), false),
        ((alice.clone(), true), (optional.clone(), false), false),
        ((alice, false), (optional, true), false),
    ] {
        let mut pair = Pair::new(alice, bob);
        let connection = pair.alice_calls();
        assert_eq!(pair.aliases(), u64::from(expected));
        let taken = pair.bob_calls("sips:alice.example");
        assert_eq!(taken == Some(connection), expected, "{taken:?}");
    }
}

// RFC 5923 §8.1; conformance: 385, 386
#[test]
fn who_sent_alias_is_still_called_on_its_listening_port() {
    let bob = MADE.mutual(&["bob.example"]);
    let mut pair = Pair::new((MADE.mutual(&["alice.example"]), true), (bob, false));
    let connection = pair.alice_calls();
    let other = pair.bob_calls("sips:alice.example");
    assert!(other.is_some_and(|other| other != connection));
    // And calls over that one no less than over its own.
    assert!(pair.send(pair.alice, "sips:bob.example").0.is_some());
}

// RFC 5923 §8; conformance: 390
#[test]
fn a_dead_alias_gives_way_to_a_new_connection() {
    let mut pair = Pair::mutual(true);
    let connection = pair.alice_calls();
    let (alice, bob) = (pair.alice, pair.bob);
    assert!(pair.world.close(bob, connection));
    let second = pair
        .bob_calls("sips:alice.example")
        .expect("a new connection");
    assert_ne!(second, connection);
    // A later connection of the peer's takes the alias over.
    for host in [alice, bob] {
        let open: Vec<_> = pair.world.machine(host).router().connections().collect();
        for info in open {
            pair.world.close(host, info.id);
        }
    }
    while pair.world.next_event(Duration::from_secs(3)).is_some() {}
    let third = pair.alice_calls();
    assert_eq!(pair.bob_calls("sips:alice.example"), Some(third));
    assert_eq!(pair.aliases(), 2);
}

// RFC 5923 §9.3; conformance: 383, 394; bad-inputs: C15
#[test]
fn alias_over_tcp_is_ignored() {
    let mut host = Host::new();
    let config = ChannelConfig::new(Protocol::Tcp, addr("192.0.2.1:5060"));
    let channel = host.channel(config.alias(true));
    let id = host.accept(channel, "192.0.2.1:5060", "192.0.2.9:33333");
    let via = "SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK1;alias";
    host.feed(id, &wire_request(via, ""));
    host.waits(options("sip:x.example"), to(tcp("192.0.2.9:5060")));
    assert_eq!(host.connects.len(), 1);
    assert_eq!(host.transport.stats().aliases, 0);
}

// RFC 5626 §4.3, §6, §7; conformance: 356, 360
#[test]
fn a_flow_is_used_again_and_a_hint_names_the_very_one() {
    let mut host = Host::new();
    let channel = host.tcp("192.0.2.1:5060");
    let ids =
        [1, 2].map(|port| host.accept(channel, "192.0.2.1:5060", &format!("192.0.2.9:{port}")));
    let listed: Vec<_> = host
        .transport
        .router()
        .connections()
        .map(|c| c.id)
        .collect();
    assert_eq!(listed, ids);
    for id in ids {
        // The contact's address is no help: it is behind a NAT.
        let over = SendOptions::new().connection(id).keep(Keep::new());
        let sent = host.send(options("sip:10.0.0.1;ob"), over);
        assert_eq!(sent.local().connection, Some(id));
    }
    assert!(host.connects.is_empty());
}

// RFC 5626 §5.2, §5.3; conformance: 358, 360
#[test]
fn a_request_takes_the_flow_that_a_token_names_until_it_is_gone() {
    let mut host = Host::new();
    let (udp, tcp) = (host.udp("0.0.0.0:5060"), host.tcp("192.0.2.1:5060"));
    let arrived = ip("192.0.2.77");
    let via = "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1";
    let data = wire_request(via, "");
    let datagram = host.datagram_to(udp, "192.0.2.9:1024", Some(arrived), &data);
    let id = host.accept(tcp, "192.0.2.1:5060", "192.0.2.9:33333");
    host.feed(id, &data);
    let stream = host.events.pop_front();
    let [datagram, stream] = [datagram, stream].map(|event| {
        let flow = common::Received::from(event.unwrap()).request.flow();
        let router = host.transport.router();
        let token = router.flow_token(&flow.unwrap());
        // Another letter is another flow, and nobody's.
        let other = if token.starts_with('a') { "b" } else { "a" };
        let forged = token.replacen(|_: char| true, other, 1);
        assert!(router.flow_from_token(&forged).is_none());
        router.flow_from_token(&token).unwrap()
    });
    let over = |host: &mut Host, flow| {
        let options = host.transport.router().flow_options(flow)?;
        Some(host.send(common::options("sip:10.0.0.1;ob"), options))
    };
    let sent = over(&mut host, &datagram).unwrap();
    assert_eq!(
        (sent.remote().addr, sent.local().addr.ip()),
        (addr("192.0.2.9:1024"), arrived)
    );
    let sent = over(&mut host, &stream).unwrap();
    assert_eq!(sent.local().connection, Some(id));
    let now = host.now;
    host.transport.close(now, id);
    host.transport.remove_channel(now, udp).unwrap();
    host.drain();
    assert!(over(&mut host, &stream).is_none() && over(&mut host, &datagram).is_none());
    assert!(host.connects.is_empty());
}

// RFC 5923 §8; conformance: 391
#[test]
fn a_connection_outlives_the_transactions_on_it() {
    let mut pair = Pair::mutual(true);
    let connection = pair.alice_calls();
    let later = pair.world.network().now() + Duration::from_secs(3_000);
    while pair.world.next_event_by(later).is_some() {}
    assert_eq!(pair.bob_calls("sips:alice.example"), Some(connection));
}

// RFC 5626 §4.4.1: inside TLS, pings travel encrypted.
// conformance: 343
#[test]
fn keep_alives_pass_inside_tls() {
    let mut pair = Pair::mutual(false);
    let keep = Keep::new().required();
    let outgoing = Outgoing::new(options("sips:bob.example"), SendOptions::new().keep(keep));
    pair.world.send(pair.alice, outgoing).unwrap();
    let end = pair.world.network().now() + Duration::from_secs(1_200);
    while let Some((_, event)) = pair.world.next_event_by(end) {
        assert!(!matches!(event, Event::FlowDead { .. }), "{event:?}");
    }
    let stats = pair.world.machine(pair.alice).stats();
    assert!(
        stats.pings_out >= 10 && stats.pongs_in + 1 >= stats.pings_out,
        "{stats:?}"
    );
}
