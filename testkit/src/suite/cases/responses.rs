//! Where responses go (RFC 3261 §18.2.2, RFC 3581 §4).
//!
//! Those that show that a response reaches its client say by which way: "reaches by …".

use std::net::SocketAddr;

use sip_transport_proto::error::SendCause;
use sip_transport_proto::{
    HintOutcome, Overruled, Protocol, ResponsePolicy, SendOptions, SipEndpoint,
};

use crate::suite::{
    Endpoint, Family, Host, Place, Setup, StreamPeer, UdpPeer, authority, join, next_closed,
    next_request, reply, server_with, text, via,
};

// reaches by the same flow; conformance: 125
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
    let [mut sender, mut named] = [(); 2].map(|()| client(host, &there, Family::V4));

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

/// A UDP socket of a client.
fn client<H: Host>(host: &H, there: &Place, family: Family) -> UdpPeer {
    UdpPeer::new(host.bind_datagrams(there.any_port(family)).unwrap())
}

// reaches by rport through a NAT; conformance: 119, 121, 130, 134
pub async fn a_response_over_udp_reaches_a_client_behind_a_nat<H: Host>(host: &H) {
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    let mut client = client(host, &host.place(), Family::V4);
    // Where the client sees itself, which means nothing outside; and what it has made up.
    let inside = SocketAddr::from(([10, 0, 0, 7], 5_060));
    let via = via("UDP", inside, ";rport;received=203.0.113.66");
    client.send(to, text("OPTIONS", &via, 1)).await;
    let (_, remote, request) = next_request(&mut alice).await;
    assert_eq!(remote.addr, client.addr());
    alice
        .send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    let (bytes, source) = client.recv().await;
    // A NAT lets in only what comes from where it has sent to.
    assert_eq!(source, to);
    let (ip, port) = (client.addr().ip(), client.addr().port());
    let stamped = String::from_utf8(bytes).unwrap();
    assert!(stamped.contains(&format!(";received={ip}")), "{stamped}");
    assert!(stamped.contains(&format!(";rport={port}")), "{stamped}");
    assert!(!stamped.contains("203.0.113.66"), "{stamped}");
}

// reaches by IPv6; conformance: 120, 130, 131
pub async fn a_response_over_udp_reaches_an_ipv6_client<H: Host>(host: &H) {
    if !host.has_ipv6() {
        return;
    }
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V6);
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(Protocol::Udp, Family::V6).addr;
    let there = host.place();
    let [mut client, mut named] = [(); 2].map(|()| client(host, &there, Family::V6));
    for (number, rport) in [(1, ";rport"), (2, "")] {
        let via = via("UDP", named.addr(), rport);
        client.send(to, text("OPTIONS", &via, number)).await;
        let (_, _, request) = next_request(&mut alice).await;
        alice
            .send(reply(&request, 200), SendOptions::new())
            .await
            .unwrap();
        let (bytes, source) = match rport {
            "" => named.recv().await,
            _ => client.recv().await,
        };
        assert_eq!(source, to);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(&format!("CSeq: {number} OPTIONS")), "{text}");
        // RFC 3261 §18.2.1: an address alone, without brackets.
        let ip = client.addr().ip();
        if rport == ";rport" {
            assert!(text.contains(&format!(";received={ip}")), "{text}");
        }
    }
}

// reaches by IPv6, over the same flow and over another; conformance: 125, 126
pub async fn a_response_reaches_an_ipv6_client<H: Host>(host: &H, protocol: Protocol) {
    if !host.has_ipv6() {
        return;
    }
    let (here, there) = (host.place(), host.place());
    let setup = Setup::new().udp_and(protocol, &here, Family::V6);
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(protocol, Family::V6);
    let listener = host.listen(there.any_port(Family::V6)).unwrap();
    let mut peer = StreamPeer::connect(host, &there, to).await;
    let via = via(protocol.via_token(), listener.local_addr(), "");
    peer.write(text("OPTIONS", &via, 1)).await;
    let (_, _, request) = next_request(&mut alice).await;
    alice
        .send(reply(&request, 180), SendOptions::new())
        .await
        .unwrap();
    assert!(peer.read_head().await.starts_with("SIP/2.0 180 "));
    if protocol.is_websocket() {
        return;
    }
    drop(peer);
    next_closed(&mut alice).await;
    let send = alice.send(reply(&request, 200), SendOptions::new());
    let (sent, mut peer) = join(send, StreamPeer::accept(protocol, listener.as_ref())).await;
    assert_eq!(sent.unwrap().remote().addr, listener.local_addr());
    assert!(peer.read_head().await.starts_with("SIP/2.0 200 OK\r\n"));
}

// reaches by another channel that is hinted at, and though a hint is overruled; conformance: 134
pub async fn a_response_over_udp_reaches_its_client_whatever_is_hinted<H: Host>(host: &H) {
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4).both(&here, Family::V4);
    let mut alice = host.start(&here, setup).await.unwrap();
    let channels = alice.channels();
    let (first, tcp, second) = (channels[0], channels[1], channels[2]);
    let mut client = client(host, &host.place(), Family::V4);
    let via = via("UDP", client.addr(), ";rport");
    client.send(first.addr, text("OPTIONS", &via, 1)).await;
    let (_, _, request) = next_request(&mut alice).await;
    let mut answer = async |channel: SipEndpoint| {
        let options = SendOptions::new().channel(channel.channel.unwrap());
        let sent = alice.send(reply(&request, 200), options).await.unwrap();
        let (_, source) = client.recv().await;
        assert_eq!(source, sent.local().addr);
        (source, sent.hints().channel)
    };
    assert_eq!(answer(second).await, (second.addr, HintOutcome::Honoured));
    let overruled = HintOutcome::Overruled(Overruled::Protocol);
    assert_eq!(answer(tcp).await, (first.addr, overruled));
    alice.remove_channel(second.channel.unwrap()).await;
    let mut answer = async |channel: SipEndpoint| {
        let options = SendOptions::new().channel(channel.channel.unwrap());
        let sent = alice.send(reply(&request, 200), options).await.unwrap();
        (client.recv().await.1, sent.hints().channel)
    };
    let overruled = HintOutcome::Overruled(Overruled::UnknownChannel);
    assert_eq!(answer(second).await, (first.addr, overruled));
}

// reaches by another channel that is hinted at, and though a hint is overruled
pub async fn a_response_reaches_its_client_whatever_is_hinted<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (here, there) = (host.place(), host.place());
    let setup = Setup::new()
        .udp_and(protocol, &here, Family::V4)
        .channel(protocol, here.any_port(Family::V4));
    let mut alice = host.start(&here, setup).await.unwrap();
    let channels = alice.channels();
    let (udp, first, second) = (channels[0], channels[1], channels[2]);
    let listener = host.listen(there.any_port(Family::V4)).unwrap();
    let mut peer = StreamPeer::connect(host, &there, first).await;
    let via = via(protocol.via_token(), listener.local_addr(), "");
    peer.write(text("OPTIONS", &via, 1)).await;
    let (local, _, request) = next_request(&mut alice).await;
    let hint = |channel: SipEndpoint| SendOptions::new().channel(channel.channel.unwrap());
    // What cannot be followed leaves the response where its request came from.
    let no_connection = ResponsePolicy::new().connect(false);
    let mut overruled = vec![
        (hint(udp), Overruled::Protocol),
        (
            hint(second).responses(no_connection),
            Overruled::NoConnection,
        ),
    ];
    if protocol.is_websocket() {
        overruled.push((hint(second), Overruled::NoConnection));
    }
    for (options, reason) in overruled {
        let sent = alice.send(reply(&request, 180), options).await.unwrap();
        assert_eq!(sent.hints().channel, HintOutcome::Overruled(reason));
        assert_eq!(sent.local().connection, local.connection);
        assert!(peer.read_head().await.starts_with("SIP/2.0 180 "));
    }
    if protocol.is_websocket() {
        return;
    }
    let send = alice.send(reply(&request, 200), hint(second));
    let (sent, mut peer) = join(send, StreamPeer::accept(protocol, listener.as_ref())).await;
    let sent = sent.unwrap();
    assert_eq!(sent.hints().channel, HintOutcome::Honoured);
    assert_eq!(sent.local().channel, second.channel);
    assert!(peer.read_head().await.starts_with("SIP/2.0 200 OK\r\n"));
}

// RFC 3261 §18.2.2, RFC 3263 §5; conformance: 133
pub async fn a_response_goes_to_the_sent_by_where_that_is_allowed_and_its_source_is_not_there<
    H: Host,
>(
    host: &H,
    protocol: Protocol,
) {
    let (here, there, elsewhere) = (host.place(), host.place(), host.place());
    // Where all machines have one address, its source is where the name leads.
    if protocol.is_websocket() || there.v4 == elsewhere.v4 {
        return;
    }
    let listener = host.listen(there.any_port(Family::V4)).unwrap();
    let named = listener.local_addr();
    let zone = format!("client.test A {}", named.ip());
    let setup = Setup::new()
        .udp_and(protocol, &here, Family::V4)
        .zone(zone.parse().unwrap());
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(protocol, Family::V4);
    let mut peer = StreamPeer::connect(host, &elsewhere, to).await;
    let (token, port) = (protocol.via_token(), named.port());
    let via = format!("SIP/2.0/{token} client.test:{port};branch=z9hG4bKhand");
    peer.write(text("OPTIONS", &via, 1)).await;
    let (_, _, request) = next_request(&mut alice).await;
    drop(peer);
    next_closed(&mut alice).await;
    let options = SendOptions::new().responses(ResponsePolicy::new().sent_by(true));
    let send = alice.send(reply(&request, 200), options);
    let certificate = authority().local(&["client.test"]);
    let tls = server_with(certificate);
    let accept = StreamPeer::accept_with(protocol, listener.as_ref(), &tls);
    let (sent, mut peer) = join(send, accept).await;
    let sent = sent.unwrap();
    assert_eq!((sent.remote().addr, sent.tried().len()), (named, 1));
    assert!(peer.read_head().await.starts_with("SIP/2.0 200 OK\r\n"));
}
