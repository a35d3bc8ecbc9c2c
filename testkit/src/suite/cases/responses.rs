//! Where responses go (RFC 3261 §18.2.2, RFC 3581 §4).

use std::future::poll_fn;
use std::net::SocketAddr;

use sip_transport_proto::error::CloseReason;
use sip_transport_proto::{Protocol, SendOptions};

use crate::suite::{
    Endpoint, Family, Host, Setup, TcpPeer, UdpPeer, join, next_closed, next_request, reply, text,
    via,
};

async fn start<H: Host>(host: &H) -> H::Endpoint {
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4);
    host.start(&here, setup).await.unwrap()
}

// conformance: 125
pub async fn a_response_goes_back_over_the_connection_of_its_request<H: Host>(host: &H) {
    let mut alice = start(host).await;
    let there = host.place();
    let to = alice.channel(Protocol::Tcp, Family::V4).addr;
    let mut peers = Vec::new();
    for number in 1..=3 {
        let peer = TcpPeer::new(host.connect(&there, to).await.unwrap());
        // The Via names a place where nobody is.
        let nowhere = SocketAddr::new(there.v4, 9);
        peer.write(text("OPTIONS", &via("TCP", nowhere, ""), number))
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
    let mut alice = start(host).await;
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

// conformance: 126
pub async fn a_response_whose_connection_is_gone_opens_another<H: Host>(host: &H) {
    let mut alice = start(host).await;
    let there = host.place();
    let to = alice.channel(Protocol::Tcp, Family::V4).addr;
    let listener = host.listen(there.any_port(Family::V4)).unwrap();
    let peer = TcpPeer::new(host.connect(&there, to).await.unwrap());
    peer.write(text("OPTIONS", &via("TCP", listener.local_addr(), ""), 1))
        .await;
    let (_, _, request) = next_request(&mut alice).await;
    drop(peer);
    let (_, reason) = next_closed(&mut alice).await;
    assert!(matches!(reason, CloseReason::Peer | CloseReason::Io(_)));

    let (sent, accepted) = join(
        alice.send(reply(&request, 200), SendOptions::new()),
        poll_fn(|cx| listener.poll_accept(cx)),
    )
    .await;
    assert_eq!(sent.unwrap().remote().addr, listener.local_addr());
    let mut peer = TcpPeer::new(accepted.unwrap().0);
    assert!(peer.read_head().await.starts_with("SIP/2.0 200 OK\r\n"));
}
