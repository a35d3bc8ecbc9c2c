//! Groups (RFC 3261 §18.1.1, §18.2.2).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sip_transport_proto::sip_core::{Message, Method};
use sip_transport_proto::{ChannelConfig, Event, Protocol, SendOptions, SipEndpoint};

use crate::suite::{Endpoint, Family, Host, Setup, next_request, reply, request};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 75);

/// A member of the group; `None` where the system lets nobody join.
async fn member<H: Host>(host: &H) -> Option<H::Endpoint> {
    let here = host.place();
    let IpAddr::V4(interface) = here.v4 else {
        panic!("{here:?}");
    };
    let everywhere = SocketAddr::new(Family::V4.any(), 0);
    let channel = ChannelConfig::new(Protocol::Udp, everywhere).join(GROUP, interface);
    let mut setup = Setup::new();
    setup.channels.push(channel);
    match host.start(&here, setup).await {
        Ok(member) => Some(member),
        Err(error) => {
            println!("skipped, as no group can be joined here: {error}");
            None
        }
    }
}

// conformance: 100, 101, 108, 128, 129
pub async fn a_request_to_a_group_is_answered_over_the_group<H: Host>(host: &H) {
    let (Some(mut alice), Some(mut bob)) = (member(host).await, member(host).await) else {
        return;
    };
    let port = |endpoint: &H::Endpoint| endpoint.channel(Protocol::Udp, Family::V4).addr.port();
    let to = SipEndpoint::new(Protocol::Udp, (GROUP, port(&bob)).into());
    let message = request(Method::Options, to);
    let options = SendOptions::new().multicast_ttl(0);
    let sent = alice.send(message.into(), options).await.unwrap();
    let group = |message: &Message| {
        let via = message.top_via().unwrap();
        (via.maddr().and_then(|host| host.ip()), via.ttl())
    };
    let expected = (Some(GROUP.into()), Some(0));
    assert_eq!(group(&sent.message().unwrap()), expected);

    let (local, _, request) = next_request(&mut bob).await;
    assert!(!local.addr.ip().is_multicast());
    assert_eq!(group(&request), expected);
    let answer = bob
        .send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    assert_eq!(answer.remote().addr, (GROUP, port(&alice)).into());
    // A member hears itself too, where both are on one port.
    let response = loop {
        match alice.event().await.unwrap() {
            Event::Request { .. } => {}
            Event::Response { response, .. } => break response,
            other => panic!("unexpected: {other:?}"),
        }
    };
    assert_eq!(group(&response), expected);
}
