//! Flows that are kept alive.

use std::io::ErrorKind;
use std::time::Duration;

use sip_transport_proto::error::FlowFailure;
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::{Event, Keep, Protocol, SendOptions, SipEndpoint};

use crate::suite::{Endpoint, Family, Host, UdpPeer, next_request, request};

fn every_second() -> SendOptions {
    let keep = Keep::new().interval(Duration::from_secs(1)).unwrap();
    SendOptions::new().keep(keep.required())
}

/// RFC 5626 §4.4.1.
pub async fn a_kept_connection_is_pinged_and_each_ping_answered<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let alice = host.start_udp_and(protocol).await;
    let mut bob = host.start_udp_and(protocol).await;
    let to = bob.channel(protocol, Family::V4);
    let message = request(Method::Options, to);
    let sent = alice.send(message.into(), every_second()).await.unwrap();
    next_request(&mut bob).await;
    host.until(|| alice.stats().pongs_in >= 2).await;
    let [info] = &alice.connections()[..] else {
        panic!("one connection");
    };
    assert_eq!(Some(info.id), sent.remote().connection);
    assert_eq!(alice.stats().pongs_missed, 0);
}

/// RFC 5626 §4.4.2, RFC 8489 §14.2.
pub async fn a_kept_udp_flow_is_told_its_mapped_address<H: Host>(host: &H) {
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let mut bob = host.start_udp_and(Protocol::Tcp).await;
    let to = bob.channel(Protocol::Udp, Family::V4);
    let message = request(Method::Options, to);
    alice.send(message.into(), every_second()).await.unwrap();
    next_request(&mut bob).await;
    let event = alice.event().await.unwrap();
    let Event::MappedAddress { remote, mapped } = event else {
        panic!("{event:?}");
    };
    let here = alice.channel(Protocol::Udp, Family::V4);
    assert_eq!((remote.addr, mapped), (to.addr, here.addr));
    host.until(|| alice.stats().pongs_in >= 2).await;
}

/// RFC 8489 §6.2.1: an ICMP error ends it at once.
pub async fn a_kept_udp_flow_to_nobody_is_dead<H: Host>(host: &H) {
    if !host.reports_unreachable() {
        return;
    }
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let local = host.place().any_port(Family::V4);
    let gone = UdpPeer::new(host.bind_datagrams(local).unwrap()).addr();
    let to = SipEndpoint::new(Protocol::Udp, gone);
    let message = request(Method::Options, to);
    let sent = alice.send(message.into(), every_second()).await.unwrap();
    let event = alice.event().await.unwrap();
    assert!(
        matches!(event, Event::SendFailed { send, .. } if send == sent.id()),
        "{event:?}"
    );
    let event = alice.event().await.unwrap();
    let Event::FlowDead { remote, cause } = event else {
        panic!("{event:?}");
    };
    let refused = FlowFailure::Io(ErrorKind::ConnectionRefused);
    assert_eq!((remote.addr, cause), (gone, refused));
}
