//! Where responses go (RFC 3261 §18.2.2, RFC 3581 §4).

use std::net::SocketAddr;

use sip_transport_proto::error::SendCause;
use sip_transport_proto::{Protocol, SendOptions};

use crate::suite::{
    Endpoint, Family, Host, StreamPeer, UdpPeer, join, next_closed, next_request, reply, text, via,
};

// conformance: 125
pub async fn a_response_goes_back_over_the_connection_of_its_request<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = host.start_udp_and(protocol).await;
    let there = host.place();
    let to = alice.channel(protocol, Family::V4);
    let mut peers = Vec::new();
    for number in 1..=3 {
        let mut peer = StreamPeer::connect(host, &there, to).await;
        // The Via names a place where nobody is.
        let nowhere = SocketAddr::new(there.v4, 9);
        peer.write(text(
            "OPTIONS",
            &via(protocol.via_token(), nowhere, ""),
            number,
        ))
        .await;
        let (_, remote, request) = next_request(&mut alice).await;
        assert_eq!(remote.addr, peer.local());
        peers.push((peer, request, number));
    }
    for (peer, request, number) in peers.iter_mut().rev() {
        let sent = alice
            .send(reply(request, 200), SendOptions::new())
            .await
            .unwrap();
        assert_eq!(sent.remote().addr, peer.local());
        let head = peer.read_head().await;
        assert!(
            head.contains(&format!("CSeq: {number} OPTIONS\r\n")),
            "{head}"
        );
    }
    assert_eq!(alice.connections().len(), 3);
}

// conformance: 130, 131
pub async fn a_response_over_udp_goes_where_via_and_source_say<H: Host>(host: &H) {
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let there = host.place();
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    let bind = || UdpPeer::new(host.bind_datagrams(there.any_port(Family::V4)).unwrap());
    let (mut sender, mut named) = (bind(), bind());

    // RFC 3581 §4: with rport, back to the source.
    sender
        .send(to, text("OPTIONS", &via("UDP", named.addr(), ";rport"), 1))
        .await;
    let (_, _, request) = next_request(&mut alice).await;
    alice
        .send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    let (bytes, _) = sender.recv().await;
    let port = sender.addr().port();
    assert!(String::from_utf8_lossy(&bytes).contains(&format!(";rport={port}")));

    // RFC 3261 §18.2.2: without it, to the source's address and the port that the Via names.
    sender
        .send(to, text("OPTIONS", &via("UDP", named.addr(), ""), 2))
        .await;
    let (_, _, request) = next_request(&mut alice).await;
    alice
        .send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    let (bytes, source) = named.recv().await;
    assert!(String::from_utf8_lossy(&bytes).contains("CSeq: 2 OPTIONS"));
    assert_eq!(source, to);
}

// conformance: 126, 135
pub async fn a_response_whose_connection_is_gone_opens_another_where_that_is_possible<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = host.start_udp_and(protocol).await;
    let there = host.place();
    let to = alice.channel(protocol, Family::V4);
    let listener = host.listen(there.any_port(Family::V4)).unwrap();
    let mut peer = StreamPeer::connect(host, &there, to).await;
    let via = via(protocol.via_token(), listener.local_addr(), "");
    peer.write(text("OPTIONS", &via, 1)).await;
    let (_, _, request) = next_request(&mut alice).await;
    drop(peer);
    next_closed(&mut alice).await;

    let send = alice.send(reply(&request, 200), SendOptions::new());
    if protocol.is_websocket() {
        // RFC 7118 §5: nobody listens where a WebSocket client is.
        let error = send.await.unwrap_err();
        assert_eq!(error.cause(), &SendCause::ConnectionClosed);
        return;
    }
    let (sent, mut peer) = join(send, StreamPeer::accept(protocol, listener.as_ref())).await;
    assert_eq!(sent.unwrap().remote().addr, listener.local_addr());
    assert!(peer.read_head().await.starts_with("SIP/2.0 200 OK\r\n"));
}

// bad-inputs: C8
pub async fn a_response_never_goes_to_a_newcomer<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let there = host.place();
    let to = alice.channel(protocol, Family::V4);
    // The Via names a place where nobody is.
    let via = via(protocol.via_token(), SocketAddr::new(there.v4, 9), "");
    let mut asked = Vec::new();
    let mut peers = Vec::new();
    for number in 1..=2 {
        let mut peer = StreamPeer::connect(host, &there, to).await;
        peer.write(text("OPTIONS", &via, number)).await;
        let (local, _, request) = next_request(&mut alice).await;
        if number == 1 {
            drop(peer);
            next_closed(&mut alice).await;
        } else {
            peers.push(peer);
        }
        asked.push((local.connection.unwrap(), request));
    }
    let [(first, gone), (second, here)] = &asked[..] else {
        panic!("two requests");
    };
    assert_ne!(first, second);
    alice
        .send(reply(gone, 200), SendOptions::new())
        .await
        .unwrap_err();
    alice
        .send(reply(here, 200), SendOptions::new())
        .await
        .unwrap();
    let head = peers[0].read_head().await;
    assert!(head.contains("CSeq: 2 OPTIONS\r\n"), "{head}");
}
