//! Messages cross, whole and in order.

use sip_transport_proto::error::SendCause;
use sip_transport_proto::sip_core::{Method, Name, StatusCode};
use sip_transport_proto::{Protocol, SendOptions};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, body_of_length, next_request, next_response, reply,
    request, request_to, text, via,
};

/// The largest UDP payload over IPv4.
const LARGEST: usize = 65_507;

async fn exchange<H: Host>(host: &H, protocol: Protocol, family: Family) {
    if family == Family::V6 && !host.has_ipv6() {
        return;
    }
    let (here, there) = (host.place(), host.place());
    let setup = |place| match protocol {
        Protocol::Udp => Setup::new().both(place, family),
        stream => Setup::new().udp_and(stream, place, family),
    };
    let start = |place| host.start(place, setup(place));
    let mut alice = start(&here).await.unwrap();
    let mut bob = start(&there).await.unwrap();
    let to = bob.channel(protocol, family);

    let sent = alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    assert_eq!(
        (sent.remote().protocol, sent.remote().addr),
        (protocol, to.addr)
    );

    let (local, remote, request) = next_request(&mut bob).await;
    assert_eq!((local.protocol, local.addr), (protocol, to.addr));
    assert_eq!(
        (remote.protocol, remote.addr),
        (protocol, sent.local().addr)
    );
    assert_eq!(local.channel, to.channel);
    assert_eq!(local.connection.is_some(), protocol.is_stream());
    let via = request.top_via().unwrap();
    // RFC 3581 §4: the builders ask for rport.
    assert_eq!(via.rport(), Some(Some(remote.addr.port())));
    assert_eq!(via.received(), Some(remote.addr.ip()));

    let answered = bob
        .send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    assert_eq!(answered.remote().addr, remote.addr);
    let (local, remote, response) = next_response(&mut alice).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(local.addr, sent.local().addr);
    assert_eq!(remote.addr, to.addr);
    assert_eq!(response.raw(Name::CallId), request.raw(Name::CallId));
    assert_eq!(response.to_bytes(), *answered.bytes());
}

// conformance: 88, 289, 291, 292
pub async fn a_request_and_its_response_cross_over_udp_and_ipv4<H: Host>(host: &H) {
    exchange(host, Protocol::Udp, Family::V4).await;
}

// conformance: 289, 291, 292
pub async fn a_request_and_its_response_cross_over_udp_and_ipv6<H: Host>(host: &H) {
    exchange(host, Protocol::Udp, Family::V6).await;
}

// conformance: 88, 291, 292
pub async fn a_request_and_its_response_cross_over_ipv4<H: Host>(host: &H, protocol: Protocol) {
    exchange(host, protocol, Family::V4).await;
}

// conformance: 291, 292
pub async fn a_request_and_its_response_cross_over_ipv6<H: Host>(host: &H, protocol: Protocol) {
    exchange(host, protocol, Family::V6).await;
}

/// A transport, and a peer with a connection to it.
async fn with_peer<H: Host>(host: &H, protocol: Protocol) -> (H::Endpoint, StreamPeer) {
    let alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    let peer = StreamPeer::connect(host, &host.place(), to).await;
    (alice, peer)
}

pub async fn pipelined_requests_come_in_order<H: Host>(host: &H, protocol: Protocol) {
    let (mut alice, mut peer) = with_peer(host, protocol).await;
    let via = via(protocol.via_token(), peer.local(), "");
    let all: Vec<u8> = (1..=50)
        .flat_map(|number| peer.seal(text("OPTIONS", &via, number)))
        .collect();
    peer.write_wire(&all).await;
    for number in 1..=50 {
        let (_, _, request) = next_request(&mut alice).await;
        assert_eq!(
            request.raw(Name::CSeq),
            Some(format!("{number} OPTIONS").as_bytes())
        );
        alice
            .send(reply(&request, 200), SendOptions::new())
            .await
            .unwrap();
    }
    for number in 1..=50 {
        let head = peer.read_head().await;
        assert!(
            head.contains(&format!("CSeq: {number} OPTIONS\r\n")),
            "{head}"
        );
    }
}

pub async fn a_message_cut_anywhere_comes_whole<H: Host>(host: &H, protocol: Protocol) {
    let (mut alice, mut peer) = with_peer(host, protocol).await;
    let text = text("OPTIONS", &via(protocol.via_token(), peer.local(), ""), 1);
    for cut in (1..text.len()).step_by(7) {
        let wire = peer.seal(&text);
        let (first, second) = wire.split_at(cut);
        peer.write_wire(first).await;
        peer.write_wire(second).await;
        let (_, _, request) = next_request(&mut alice).await;
        alice
            .send(reply(&request, 200), SendOptions::new())
            .await
            .unwrap();
        peer.read_head().await;
    }
}

// conformance: 97
pub async fn the_largest_datagram_arrives_whole<H: Host>(host: &H) {
    let (here, there) = (host.place(), host.place());
    let start = |place| host.start(place, Setup::new().both(place, Family::V4));
    let alice = start(&here).await.unwrap();
    let mut bob = start(&there).await.unwrap();
    let to = bob.channel(Protocol::Udp, Family::V4);
    let uri = format!("sip:bob@{};transport=udp", to.addr);
    let build = |length| request_to(Method::Message, &uri, &body_of_length(length));
    let options = || SendOptions::new().to(to);

    let probe = alice.send(build(60_000).into(), options()).await.unwrap();
    next_request(&mut bob).await;
    let length = 60_000 + LARGEST - probe.bytes().len();
    let sent = alice.send(build(length).into(), options()).await.unwrap();
    assert_eq!(sent.bytes().len(), LARGEST);
    let (local, _, request) = next_request(&mut bob).await;
    assert_eq!(local.protocol, Protocol::Udp);
    assert_eq!(request.body(), body_of_length(length));
}

// conformance: 182
pub async fn a_message_larger_than_a_datagram_is_refused_and_given_back<H: Host>(host: &H) {
    let (here, there) = (host.place(), host.place());
    let start = |place| host.start(place, Setup::new().both(place, Family::V4));
    let (alice, bob) = (start(&here).await.unwrap(), start(&there).await.unwrap());
    let to = bob.channel(Protocol::Udp, Family::V4);
    let uri = format!("sip:bob@{};transport=udp", to.addr);
    let request = request_to(Method::Message, &uri, &body_of_length(LARGEST));
    let bytes = request.to_bytes();
    let error = alice
        .send(request.into(), SendOptions::new().to(to))
        .await
        .unwrap_err();
    assert!(
        matches!(error.cause(), SendCause::TooLarge { .. }),
        "{error}"
    );
    assert_eq!(error.into_message().to_bytes(), bytes);
}
