//! A connection over TLS is for those messages only that would open one under the same configuration:
//! the send's, else the channel's, else the transport's.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![cfg(feature = "tls")]

mod common;

use std::io::ErrorKind;

use common::{Host, addr, ip, options};
use sip_transport_proto::resolve::Zone;
use sip_transport_proto::tls::TlsConfig;
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Event, HintOutcome, Protocol, SendOptions,
    SipEndpoint,
};
use testkit::suite::authority;

const SERVER: &str = "192.0.2.9:5061";
const REFUSED: ErrorKind = ErrorKind::ConnectionRefused;
const OVER_TLS: [Protocol; 2] = [Protocol::Tls, Protocol::Wss];

fn strict() -> TlsConfig {
    authority().client()
}

fn loose() -> TlsConfig {
    let client = authority().client_builder();
    client.dangerous_without_verification().build().unwrap()
}

/// A transport that is routed from 192.0.2.1.
fn host() -> Host {
    routed(&Config::default())
}

fn routed(config: &Config) -> Host {
    let mut host = Host::with(config.clone());
    host.local = Some(ip("192.0.2.1"));
    host
}

/// A channel that only connects.
fn channel(host: &mut Host, local: &str, protocol: Protocol, tls: Option<TlsConfig>) -> ChannelId {
    let config = ChannelConfig::new(protocol, addr(local)).listener(false);
    host.channel(match tls {
        Some(tls) => config.tls(tls),
        None => config,
    })
}

/// Sends to the server: the connection that is opened for it, unless it waits for one that there is.
fn send(host: &mut Host, protocol: Protocol, how: SendOptions) -> Option<ConnectionId> {
    let to = SipEndpoint::new(protocol, addr(SERVER));
    host.waits(options("sips:bob@bob.example"), how.to(to));
    let (id, remote, _) = host.connects.pop_front()?;
    assert_eq!(remote, addr(SERVER));
    Some(id)
}

/// Whether a connection has to be opened for a send.
fn opens(host: &mut Host, protocol: Protocol, how: SendOptions) -> bool {
    send(host, protocol, how).is_some()
}

#[test]
fn what_was_opened_on_a_hinted_channel_is_not_for_those_whose_own_channel_verifies() {
    for protocol in OVER_TLS {
        let mut host = host();
        channel(&mut host, "192.0.2.1:5061", protocol, Some(strict()));
        let loose = channel(&mut host, "192.0.2.2:5061", protocol, Some(loose()));
        let hinted = || SendOptions::new().channel(loose);
        assert!(opens(&mut host, protocol, hinted()));
        assert!(opens(&mut host, protocol, SendOptions::new()));
        // Each has its own from now on.
        assert!(!opens(&mut host, protocol, hinted()));
        assert!(!opens(&mut host, protocol, SendOptions::new()));
        let mut channels: Vec<_> = host
            .transport
            .connections()
            .map(|c| c.remote.channel)
            .collect();
        channels.sort();
        channels.dedup();
        assert_eq!(channels.len(), 2);
    }
}

#[test]
fn channels_under_one_configuration_share_connections() {
    for protocol in OVER_TLS {
        let mut host = host();
        let tls = strict();
        channel(&mut host, "192.0.2.1:5061", protocol, Some(tls.clone()));
        let other = channel(&mut host, "192.0.2.2:5061", protocol, Some(tls.clone()));
        let hinted = SendOptions::new().channel(other);
        assert!(opens(&mut host, protocol, hinted));
        assert!(!opens(&mut host, protocol, SendOptions::new()));
        // Whoever brings the same is no stranger either, and whoever brings another is.
        assert!(!opens(&mut host, protocol, SendOptions::new().tls(tls)));
        assert!(opens(&mut host, protocol, SendOptions::new().tls(strict())));
    }
}

#[test]
fn the_transports_configuration_counts_where_a_channel_has_none() {
    for protocol in OVER_TLS {
        let (tls, mut config) = (strict(), Config::default());
        config.tls(tls.clone());
        let mut host = routed(&config);
        // None is there, so one is made.
        assert!(opens(&mut host, protocol, SendOptions::new()));
        let server = channel(&mut host, "192.0.2.1:5061", protocol, None);
        let loose = channel(&mut host, "192.0.2.2:5061", protocol, Some(loose()));
        assert!(!opens(&mut host, protocol, SendOptions::new()));
        assert!(!opens(&mut host, protocol, SendOptions::new().tls(tls)));
        assert!(opens(
            &mut host,
            protocol,
            SendOptions::new().channel(server)
        ));
        assert!(opens(
            &mut host,
            protocol,
            SendOptions::new().channel(loose)
        ));
        assert!(!opens(&mut host, protocol, SendOptions::new()));
    }
}

#[test]
fn a_connection_hint_wins_whatever_the_configuration() {
    let mut host = host();
    channel(&mut host, "192.0.2.1:5061", Protocol::Tls, Some(strict()));
    let loose = channel(&mut host, "192.0.2.2:5061", Protocol::Tls, Some(loose()));
    let hinted = SendOptions::new().channel(loose);
    let id = send(&mut host, Protocol::Tls, hinted).unwrap();
    let hinted = SendOptions::new().connection(id);
    assert!(!opens(&mut host, Protocol::Tls, hinted.clone()));
    // Also where the message brings its own.
    assert!(!opens(&mut host, Protocol::Tls, hinted.tls(strict())));
}

#[test]
fn the_local_address_is_asked_for_where_it_decides_on_the_configuration() {
    let mut host = host();
    host.local = None;
    channel(&mut host, "192.0.2.2:5061", Protocol::Tls, Some(loose()));
    let loose = host.transport.router().channels().next().unwrap().0;
    channel(&mut host, "192.0.2.1:5061", Protocol::Tls, Some(strict()));
    assert!(opens(
        &mut host,
        Protocol::Tls,
        SendOptions::new().channel(loose)
    ));
    let to = SipEndpoint::new(Protocol::Tls, addr(SERVER));
    host.waits(options("sips:bob@bob.example"), SendOptions::new().to(to));
    assert!(host.connects.is_empty());
    let (query, remote) = host.local_queries.pop_front().unwrap();
    assert_eq!(remote, addr(SERVER));
    let now = host.now;
    let local = Ok(ip("192.0.2.1"));
    host.transport.handle_local_address(now, query, local);
    host.drain();
    let (_, remote, local) = host.connects.pop_front().unwrap();
    assert_eq!((remote, local), (addr(SERVER), Some(ip("192.0.2.1"))));
}

#[test]
fn connections_that_race_are_each_under_the_configuration_of_their_channel() {
    let zone: Zone = "
        bob.example AAAA 2001:db8::9
        bob.example A 192.0.2.9"
        .parse()
        .unwrap();
    let request = || options("sips:bob@bob.example:5061");
    let mut host = host();
    channel(&mut host, "192.0.2.1:5061", Protocol::Tls, Some(strict()));
    channel(
        &mut host,
        "[2001:db8::1]:5061",
        Protocol::Tls,
        Some(strict()),
    );
    let loose = channel(&mut host, "192.0.2.2:5061", Protocol::Tls, Some(loose()));
    // Somebody has a connection that does not verify to one of the addresses.
    assert!(opens(
        &mut host,
        Protocol::Tls,
        SendOptions::new().channel(loose)
    ));
    host.waits(request(), SendOptions::new());
    host.resolve_from(&zone);
    let (six, remote, _) = host.connects.pop_front().unwrap();
    assert_eq!(remote, addr("[2001:db8::9]:5061"));
    host.transport.handle_error(six, REFUSED);
    host.drain();
    // The other address gets a connection of its own, and what waits goes over that.
    let (four, remote, local) = host.connects.pop_front().unwrap();
    assert_eq!((remote, local), (addr(SERVER), Some(ip("192.0.2.1"))));
    host.waits(request(), SendOptions::new());
    assert!(host.connects.is_empty());
    host.transport.handle_error(four, REFUSED);
    host.drain();
    // The first has tried both then, and the second goes on to the other.
    let ended = |event: &&Event| matches!(event, Event::SendCompleted { .. });
    assert_eq!(host.events.iter().filter(ended).count(), 1);
    let (_, remote, _) = host.connects.pop_front().unwrap();
    assert_eq!(remote, addr("[2001:db8::9]:5061"));
}

#[test]
fn a_channel_hint_and_its_report_stay_as_they_were() {
    let mut host = host();
    channel(&mut host, "192.0.2.1:5060", Protocol::Tcp, None);
    let other = channel(&mut host, "192.0.2.2:5060", Protocol::Tcp, None);
    let to = SipEndpoint::new(Protocol::Tcp, addr("192.0.2.9:5060"));
    let request = || options("sip:bob@bob.example");
    let hinted = SendOptions::new().to(to).channel(other);
    let send = host.waits(request(), hinted);
    let (id, ..) = host.connects.pop_front().unwrap();
    let now = host.now;
    host.transport
        .handle_connected(now, id, addr("192.0.2.2:40000"));
    host.drain();
    let sent = host.completed(send).unwrap();
    assert_eq!(sent.hints().channel, HintOutcome::Honoured);
    // Without TLS nothing is proved, and one connection does for all.
    let sent = host.send(request(), SendOptions::new().to(to));
    assert_eq!(sent.remote().connection, Some(id));
}
