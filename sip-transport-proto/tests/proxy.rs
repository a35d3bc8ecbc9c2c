//! What a load balancer says about a connection that it passes on: the PROXY protocol, versions 1
//! and 2.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
#[path = "common/peer.rs"]
mod peer;
mod tls_common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{Host, Received, addr, numbered, ok, options, tcp};
use peer::Peer;
use proptest::prelude::*;
use sip_transport_proto::error::{AcceptError, CloseReason, ProxyError};
use sip_transport_proto::parts::Carrier;
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Deadline, Event, Protocol, ProxyProtocol,
    SendOptions, SipEndpoint,
};

const BALANCER: &str = "192.0.2.200:50000";
const STRANGER: &str = "198.51.100.9:50000";
const CLIENT: &str = "203.0.113.5:40000";
const US: &str = "192.0.2.1:5061";

fn trust() -> ProxyProtocol {
    ProxyProtocol::trust([
        "192.0.2.192/26".parse().unwrap(),
        "2001:db8::/64".parse().unwrap(),
    ])
}

fn listener(protocol: Protocol, proxy: ProxyProtocol) -> ChannelConfig {
    let config = ChannelConfig::new(protocol, addr(US)).proxy_protocol(proxy);
    if protocol.is_secure() {
        config.tls(peer::tls())
    } else {
        config
    }
}

/// A host that accepts over TCP from trusted load balancers.
fn host() -> (Host, ChannelId) {
    with(Config::default(), trust())
}

fn with(config: Config, proxy: ProxyProtocol) -> (Host, ChannelId) {
    let mut host = Host::with(config);
    let channel = host.channel(listener(Protocol::Tcp, proxy));
    (host, channel)
}

fn accept(host: &mut Host, channel: ChannelId, from: &str) -> Result<ConnectionId, AcceptError> {
    let (now, remote) = (host.now, addr(from));
    let id = host
        .transport
        .handle_accepted(now, channel, addr(US), remote);
    host.drain();
    id
}

fn v1(source: &str) -> Vec<u8> {
    let source = addr(source);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let to = if source.is_ipv4() {
        "192.0.2.1"
    } else {
        "2001:db8::1"
    };
    format!(
        "PROXY {family} {} {to} {} 5060\r\n",
        source.ip(),
        source.port()
    )
    .into_bytes()
}

/// A header of version 2 with these bytes for command and family.
fn v2_raw(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

fn v2(source: &str, more: &[u8]) -> Vec<u8> {
    let (family, mut rest) = match addr(source) {
        SocketAddr::V4(v4) => (0x11, [v4.ip().octets(), [192, 0, 2, 1]].concat()),
        SocketAddr::V6(v6) => (0x21, [v6.ip().octets(), [1; 16]].concat()),
    };
    rest.extend(addr(source).port().to_be_bytes());
    rest.extend(5060_u16.to_be_bytes());
    rest.extend(more);
    v2_raw(0x21, family, &rest)
}

fn remotes(events: &[Event]) -> Vec<(&'static str, SocketAddr)> {
    let ends = events.iter().map(|event| match event {
        Event::ConnectionOpened { remote, .. } => ("opened", remote.addr),
        Event::Request { remote, .. } => ("request", remote.addr),
        Event::ConnectionClosed { remote, .. } => ("closed", remote.addr),
        other => panic!("{other:?}"),
    });
    ends.collect()
}

#[test]
fn what_has_come_of_a_header_counts_as_received() {
    let (mut host, channel) = host();
    for header in [v1(CLIENT), v2_raw(0x21, 0x11, &[0; 12])] {
        let id = accept(&mut host, channel, BALANCER).unwrap();
        let (first, rest) = header.split_at(20);
        host.feed(id, first);
        assert_eq!(host.transport.stats().received_bytes, 20);
        host.feed(id, rest);
        assert_eq!(host.transport.stats().received_bytes, 0);
    }
}

// bad-inputs: C17
#[test]
fn the_source_that_the_header_names_is_the_peer_everywhere() {
    for (header, client) in [
        (v1(CLIENT), CLIENT),
        (v1("[2001:db8:1::5]:40000"), "[2001:db8:1::5]:40000"),
        (v2(CLIENT, b""), CLIENT),
        (
            v2("[2001:db8:1::5]:40000", b"\x04\0\x01x"),
            "[2001:db8:1::5]:40000",
        ),
        // IPv4 mapped into IPv6 is IPv4.
        (v2("[::ffff:203.0.113.5]:40000", b""), CLIENT),
    ] {
        let (mut host, channel) = host();
        let id = accept(&mut host, channel, BALANCER).unwrap();
        assert!(host.take_events().is_empty());
        host.feed(id, &header);
        host.feed(id, &numbered(1));
        let mut events = host.take_events();
        let client = addr(client);
        assert_eq!(remotes(&events), [("opened", client), ("request", client)]);
        let received = Received::from(events.pop().unwrap());
        assert!(
            received
                .via()
                .contains(&format!(";received={}", client.ip()))
        );
        let info = host.transport.router().connection(id).unwrap();
        assert_eq!(info.remote.addr, client);

        // A response goes back over it, and a request to that address too.
        let sent = host.send(ok(&received.request), SendOptions::new());
        assert_eq!(
            (sent.carrier(), sent.remote().addr),
            (Carrier::Connection(id), client)
        );
        let to = SipEndpoint::new(Protocol::Tcp, client);
        let sent = host.send(options("sip:192.0.2.9"), common::to(to));
        assert_eq!(sent.carrier(), Carrier::Connection(id));
        host.written(id);
        host.eof(id);
        assert_eq!(host.close_reason(id), Some(CloseReason::Peer));
        assert_eq!(host.transport.router().load(), (0, 0));
    }
}

// bad-inputs: C17
#[test]
fn a_header_that_names_nobody_leaves_the_load_balancer_the_peer() {
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
        b"PROXY UNKNOWN a b c d e f g h i\r\n".to_vec(),
        v2_raw(0x20, 0x00, b""),
        v2_raw(0x20, 0x11, &[9; 12]),
        v2_raw(0x20, 0xff, b"whatever"),
        v2_raw(0x21, 0x00, b""),
        v2_raw(0x21, 0x00, b"more"),
        v2_raw(0x21, 0x12, &[9; 12]),
        v2_raw(0x21, 0x31, &[9; 216]),
    ] {
        let (mut host, channel) = host();
        let id = accept(&mut host, channel, BALANCER).unwrap();
        host.feed(id, &[header.clone(), numbered(1)].concat());
        let balancer = addr(BALANCER);
        assert_eq!(
            remotes(&host.take_events()),
            [("opened", balancer), ("request", balancer)],
            "{}",
            header.escape_ascii()
        );
    }
}

// bad-inputs: C17
#[test]
fn what_is_no_header_closes_the_connection() {
    let malformed = |version| ProxyError::Malformed { version };
    let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
    for (bytes, error) in [
        (numbered(1), ProxyError::NoHeader),
        (b"\r\n\r\nOPTIONS".to_vec(), ProxyError::NoHeader),
        (b"PROXX".to_vec(), ProxyError::NoHeader),
        (b"\x16\x03\x01".to_vec(), ProxyError::NoHeader),
        (long, ProxyError::TooLong { limit: 107 }),
        (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n".to_vec(), malformed(1)),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n".to_vec(), malformed(1)),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(), malformed(1)),
        (
            b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n".to_vec(),
            malformed(1),
        ),
        (b"PROXY UNKNOWNX\r\n".to_vec(), malformed(1)),
        (b"PROXY \xff\r\n".to_vec(), malformed(1)),
        (v2_raw(0x11, 0x11, &[9; 12]), malformed(2)),
        (v2_raw(0x22, 0x11, &[9; 12]), malformed(2)),
        (v2_raw(0x21, 0x41, &[9; 12]), malformed(2)),
        (v2_raw(0x21, 0x13, &[9; 12]), malformed(2)),
        // Shorter than its addresses.
        (v2_raw(0x21, 0x11, &[9; 11]), malformed(2)),
        (v2_raw(0x21, 0x21, &[9; 35]), malformed(2)),
        (v2_raw(0x21, 0x31, &[9; 215]), malformed(2)),
        // Its length is enough to know.
        (
            v2_raw(0x21, 0x11, &[9; 521])[..16].to_vec(),
            ProxyError::TooLong { limit: 536 },
        ),
    ] {
        let (mut host, channel) = host();
        let id = accept(&mut host, channel, BALANCER).unwrap();
        host.feed(id, &bytes);
        let reason = host.close_reason(id);
        assert_eq!(
            reason,
            Some(CloseReason::Proxy(error)),
            "{}",
            bytes.escape_ascii()
        );
        assert!(host.take_events().is_empty());
        assert_eq!(host.transport.stats().bad_proxy_headers, 1);
        assert_eq!(host.transport.router().load(), (0, 0));
    }
}

// bad-inputs: C17
#[test]
fn the_longest_headers_pass() {
    let text = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert!(text.len() < 107);
    let unknown = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(unknown.len(), 107);
    let binary = v2(CLIENT, &[0; 508]);
    assert_eq!(binary.len(), 536);
    for header in [text.into(), unknown.into_bytes(), binary] {
        let (mut host, channel) = host();
        let id = accept(&mut host, channel, BALANCER).unwrap();
        host.feed(id, &header);
        assert_eq!(host.take_events().len(), 1);
    }
    assert!(trust().max_header(51).is_err());
    let (mut host, channel) = with(Config::default(), trust().max_header(52).unwrap());
    for (header, fits) in [
        (v2("[2001:db8:1::5]:1", b""), true),
        (v2("[::5]:1", b"x"), false),
    ] {
        let id = accept(&mut host, channel, BALANCER).unwrap();
        host.feed(id, &header);
        assert_eq!(host.close_reason(id).is_none(), fits);
        host.take_events();
    }
}

// bad-inputs: C17
#[test]
fn from_elsewhere_no_header_is_believed() {
    let (mut host, channel) = host();
    let id = accept(&mut host, channel, STRANGER).unwrap();
    assert_eq!(remotes(&host.take_events()), [("opened", addr(STRANGER))]);
    host.feed(id, &numbered(1));
    assert_eq!(remotes(&host.take_events()), [("request", addr(STRANGER))]);
    // It is no SIP.
    host.feed(id, &[v1(CLIENT), numbered(2)].concat());
    let [Event::Malformed { remote, .. }] = &host.take_events()[..] else {
        panic!("one malformed message");
    };
    assert_eq!(remote.addr, addr(STRANGER));

    let (mut host, channel) = with(Config::default(), trust().refuse_others(true));
    assert_eq!(
        accept(&mut host, channel, STRANGER),
        Err(AcceptError::Untrusted)
    );
    assert_eq!(host.transport.stats().accepts_filtered, 1);
    assert!(accept(&mut host, channel, BALANCER).is_ok());
    assert!(accept(&mut host, channel, "[2001:db8::9]:1").is_ok());
    assert!(accept(&mut host, channel, "[::ffff:192.0.2.193]:1").is_ok());
}

// bad-inputs: C17
#[test]
fn a_silent_load_balancer_meets_the_deadline_of_the_handshake() {
    for sent in [
        &b""[..],
        b"PROXY TC",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01",
    ] {
        let (mut host, channel) = host();
        let id = accept(&mut host, channel, BALANCER).unwrap();
        host.feed(id, sent);
        host.pass(Duration::from_secs(9));
        assert_eq!(host.close_reason(id), None);
        host.pass(Duration::from_secs(1));
        let late = CloseReason::Deadline(Deadline::Handshake);
        assert_eq!(host.close_reason(id), Some(late));
    }
    let (mut host, channel) = host();
    let id = accept(&mut host, channel, BALANCER).unwrap();
    host.feed(id, b"PROXY TC");
    host.eof(id);
    assert_eq!(host.close_reason(id), Some(CloseReason::Peer));
}

fn limits() -> Config {
    let mut config = Config::default();
    config.max_connections_per_ip(2).unwrap();
    config
}

// bad-inputs: C17
#[test]
fn connections_count_for_who_was_announced_and_not_for_the_load_balancer() {
    let (mut host, channel) = with(limits(), trust());
    // More than one address may have, and nobody knows yet whose they are.
    let all: Vec<_> = (0..6)
        .map(|_| accept(&mut host, channel, BALANCER).unwrap())
        .collect();
    for (id, client) in [
        (all[0], "203.0.113.5:1"),
        (all[1], "203.0.113.5:2"),
        (all[3], "203.0.113.6:1"),
    ] {
        host.feed(id, &v1(client));
    }
    assert_eq!(host.transport.router().load(), (6, 0));
    // Its address is full, and makes room itself; those of others do not.
    host.feed(all[2], &v1("203.0.113.5:3"));
    assert_eq!(host.close_reason(all[0]), Some(CloseReason::Limit));
    assert_eq!(host.transport.router().load(), (5, 0));
    // One that connects without a load balancer counts along.
    let direct = accept(&mut host, channel, "203.0.113.5:4").unwrap();
    assert_eq!(host.close_reason(all[1]), Some(CloseReason::Limit));
    // With both of them in use there is no place for another.
    host.feed(all[2], &numbered(1));
    host.feed(direct, &numbered(2));
    host.feed(all[4], &v1("203.0.113.5:5"));
    assert_eq!(host.close_reason(all[4]), Some(CloseReason::Limit));
    assert_eq!(
        accept(&mut host, channel, "203.0.113.5:6"),
        Err(AcceptError::PerAddress { limit: 2 })
    );
    host.eof(direct);
    host.feed(all[5], &v1("203.0.113.5:6"));
    assert_eq!(host.close_reason(all[5]), None);
    assert_eq!(host.close_reason(all[3]), None);
    // The load balancer's own count for itself.
    let own: Vec<_> = (0..3)
        .map(|_| {
            let id = accept(&mut host, channel, BALANCER).unwrap();
            host.feed(id, b"PROXY UNKNOWN\r\n");
            id
        })
        .collect();
    let closed: Vec<_> = own.iter().map(|id| host.close_reason(*id)).collect();
    assert_eq!(closed, [Some(CloseReason::Limit), None, None]);
    let ids: Vec<_> = host
        .transport
        .router()
        .connections()
        .map(|c| c.id)
        .collect();
    for id in ids {
        host.eof(id);
    }
    host.take_events();
    assert_eq!(host.transport.router().load(), (0, 0));
    // Nothing is left counted.
    for peer in [5, 6] {
        let remote = |port: u16| format!("203.0.113.{peer}:{port}");
        let all = [1, 2].map(|port| accept(&mut host, channel, &remote(port)).unwrap());
        assert_eq!(all.map(|id| host.close_reason(id)), [None, None]);
    }
}

// bad-inputs: C17
#[test]
fn the_filter_of_the_application_sees_the_announced_peer_too() {
    let mut config = Config::default();
    config.accept_filter(|_, remote| remote.addr.ip() != addr(CLIENT).ip());
    let (mut host, channel) = with(config, trust());
    let id = accept(&mut host, channel, BALANCER).unwrap();
    host.feed(id, &[v1(CLIENT), numbered(1)].concat());
    assert_eq!(remotes(&host.take_events()), [("closed", addr(CLIENT))]);
    assert_eq!(host.transport.stats().accepts_filtered, 1);
    let id = accept(&mut host, channel, BALANCER).unwrap();
    host.feed(id, &v1("203.0.113.6:1"));
    assert_eq!(
        remotes(&host.take_events()),
        [("opened", addr("203.0.113.6:1"))]
    );
}

// bad-inputs: C17
#[test]
fn nothing_is_said_to_a_peer_that_the_filter_refuses() {
    for protocol in [Protocol::Tls, Protocol::Ws, Protocol::Wss] {
        let mut config = Config::default();
        config.accept_filter(|_, remote| remote.addr.ip() != addr(CLIENT).ip());
        let mut host = Host::with(config);
        let channel = host.channel(listener(protocol, trust()));
        let id = accept(&mut host, channel, BALANCER).unwrap();
        let opening = Peer::client(protocol).take();
        host.feed(id, &[v1(CLIENT), opening].concat());
        assert_eq!(host.written(id), b"", "{protocol}");
        assert_eq!(host.close_reason(id), Some(CloseReason::Application));
        assert_eq!(host.transport.router().load(), (0, 0));
    }
}

#[test]
fn what_stands_behind_the_header_is_read_though_the_peer_has_ended() {
    let (mut host, channel) = host();
    let id = accept(&mut host, channel, BALANCER).unwrap();
    let bytes = [v1(CLIENT), numbered(1)].concat();
    let taken = host.transport.handle_data(host.now, id, &bytes);
    assert_eq!(taken, bytes.len());
    host.eof(id);
    let client = addr(CLIENT);
    assert_eq!(
        remotes(&host.take_events()),
        [("opened", client), ("request", client), ("closed", client)]
    );
}

#[test]
fn the_filter_of_the_application_is_asked_of_whom_a_load_balancer_passes_on_and_not_of_itself() {
    let mut config = Config::default();
    config.accept_filter(|_, remote| remote.addr.ip() == addr(CLIENT).ip());
    let (mut host, channel) = with(config, trust());
    let id = accept(&mut host, channel, BALANCER).unwrap();
    host.feed(id, &v1(CLIENT));
    assert_eq!(remotes(&host.take_events()), [("opened", addr(CLIENT))]);
    // One that speaks for itself is asked about too.
    let id = accept(&mut host, channel, BALANCER).unwrap();
    host.feed(id, b"PROXY UNKNOWN\r\n");
    assert_eq!(remotes(&host.take_events()), [("closed", addr(BALANCER))]);
    // Others are asked about at once.
    accept(&mut host, channel, "203.0.113.6:1").unwrap_err();
    assert_eq!(host.transport.stats().accepts_filtered, 2);
}

#[test]
fn channels_without_the_setting_read_no_header() {
    let mut host = Host::new();
    let channel = host.tcp(US);
    let id = accept(&mut host, channel, BALANCER).unwrap();
    assert_eq!(remotes(&host.take_events()), [("opened", addr(BALANCER))]);
    host.feed(id, &[v1(CLIENT), numbered(1)].concat());
    assert!(matches!(host.take_events()[..], [Event::Malformed { .. }]));
    // Nor does a connection that we open.
    let (mut host, _) = self::host();
    host.waits(
        options("sip:192.0.2.200"),
        common::to(tcp("192.0.2.200:5060")),
    );
    let id = host.connected("192.0.2.1:40000");
    assert!(host.written(id).starts_with(b"OPTIONS"));
}

/// What a host tells when a peer behind a load balancer connects, agrees on the layers and sends a
/// request, with the bytes cut as said.
fn told(protocol: Protocol, header: &[u8], cuts: &[usize]) -> Vec<(&'static str, SocketAddr)> {
    let mut host = Host::new();
    let channel = host.channel(listener(protocol, trust()));
    let id = accept(&mut host, channel, BALANCER).unwrap();
    let mut peer = Peer::client(protocol);
    let mut cuts = cuts.iter().copied().cycle();
    let mut wire = header.to_vec();
    let mut asked = false;
    for _ in 0..20 {
        wire.extend(peer.take());
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let cut = cuts.next().unwrap_or(usize::MAX).clamp(1, rest.len());
            host.feed(id, &rest[..cut]);
            rest = &rest[cut..];
        }
        wire.clear();
        peer.receive(&host.written(id));
        if peer.is_open() && !asked {
            asked = true;
            peer.send(&numbered(1));
        }
    }
    assert_eq!(peer.error, None);
    remotes(&host.take_events())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // bad-inputs: C17
    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut(
        protocol in prop::sample::select(vec![Protocol::Tcp, Protocol::Tls, Protocol::Ws, Protocol::Wss]),
        binary: bool,
        cuts in prop::collection::vec(1_usize..200, 1..8),
    ) {
        let header = if binary { v2(CLIENT, b"\x04\0\x02xy") } else { v1(CLIENT) };
        let client = addr(CLIENT);
        let expected = [("opened", client), ("request", client)];
        prop_assert_eq!(told(protocol, &header, &cuts), expected);
    }

    // bad-inputs: C17
    #[test]
    fn whatever_comes_first_ends_in_an_opened_or_a_closed_connection_however_it_is_cut(
        start in prop::sample::select(vec![v1(CLIENT), v2(CLIENT, b"abc"), b"PROXY UNKNOWN x\r\n".to_vec()]),
        at in 0_usize..60,
        byte: u8,
        cut in 1_usize..40,
    ) {
        let mut bytes = start;
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.extend(numbered(1));
        let run = |cut: usize| {
            let (mut host, channel) = host();
            let id = accept(&mut host, channel, BALANCER).unwrap();
            for piece in bytes.chunks(cut) {
                host.feed(id, piece);
            }
            format!("{:?}", host.take_events())
        };
        prop_assert_eq!(run(cut), run(usize::MAX));
    }
}

// bad-inputs: C17
#[test]
fn a_header_cut_at_any_byte_is_the_same() {
    for header in [v1(CLIENT), v2(CLIENT, b"abc")] {
        for cut in 1..header.len() {
            let told = told(Protocol::Tcp, &header, &[cut, usize::MAX]);
            assert_eq!(told, [("opened", addr(CLIENT)), ("request", addr(CLIENT))]);
        }
    }
}

// bad-inputs: C17
#[test]
fn a_handshake_behind_a_header_completes_however_the_two_are_cut() {
    let header = v1(CLIENT);
    let opening = header.len() + Peer::client(Protocol::Tls).take().len();
    for cut in 1..=opening {
        let told = told(Protocol::Tls, &header, &[cut, usize::MAX]);
        assert_eq!(told, [("opened", addr(CLIENT)), ("request", addr(CLIENT))]);
    }
}
