//! What peers get for what they send.

use sip_transport_proto::error::{CloseReason, SendFailure};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::{Event, Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Endpoint, Family, Host, StreamPeer, UdpPeer, next_closed, next_malformed, next_request, reply,
    request, text, via,
};

async fn stream_peer<H: Host>(host: &H, alice: &H::Endpoint, protocol: Protocol) -> StreamPeer {
    let to = alice.channel(protocol, Family::V4);
    StreamPeer::connect(host, &host.place(), to).await
}

fn udp_peer<H: Host>(host: &H) -> UdpPeer {
    UdpPeer::new(
        host.bind_datagrams(host.place().any_port(Family::V4))
            .unwrap(),
    )
}

/// A request that lacks what it must have.
fn malformed(method: &str, via: &str) -> String {
    // Long enough for the reply: no larger answer goes to a UDP source.
    let padding = "x".repeat(300);
    text(method, via, 1).replace("Call-ID: by-hand", &format!("Subject: {padding}"))
}

/// Good requests get an answer each: what came before them has had its own.
async fn answer_next<E: Endpoint>(alice: &mut E) {
    let (_, _, request) = next_request(alice).await;
    alice
        .send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
}

pub async fn a_malformed_request_gets_one_400_over_udp<H: Host>(host: &H) {
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let mut peer = udp_peer(host);
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    let via = via("UDP", peer.addr(), ";rport");
    peer.send(to, malformed("OPTIONS", &via)).await;
    next_malformed(&mut alice).await;
    peer.send(to, text("OPTIONS", &via, 2)).await;
    answer_next(&mut alice).await;
    let (first, _) = peer.recv().await;
    let (second, _) = peer.recv().await;
    assert!(first.starts_with(b"SIP/2.0 400 "));
    assert!(second.starts_with(b"SIP/2.0 200 "));
}

pub async fn a_message_that_cannot_be_read_gets_one_400<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let mut peer = stream_peer(host, &alice, protocol).await;
    let via = via(protocol.via_token(), peer.local(), "");
    peer.write(text("OPTIONS", &via, 1)).await;
    // RFC 3261 §18.3, §20.14: without a length nobody knows where the next message begins.
    let bad = text("OPTIONS", &via, 2).replace("Content-Length: 0", "Content-Length: none");
    peer.write(bad).await;
    // Good messages before a bad one are delivered.
    next_request(&mut alice).await;
    next_malformed(&mut alice).await;
    if protocol.is_websocket() {
        // RFC 7118 §5: the next message begins with the next frame.
        peer.write(text("OPTIONS", &via, 3)).await;
        answer_next(&mut alice).await;
        assert!(peer.read_head().await.starts_with("SIP/2.0 400 "));
        assert!(peer.read_head().await.starts_with("SIP/2.0 200 "));
        return;
    }
    let (_, reason) = next_closed(&mut alice).await;
    assert!(matches!(reason, CloseReason::Framing(_)), "{reason}");
    let (bytes, _) = peer.read_to_end().await;
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("SIP/2.0 400 ").count(), 1, "{text}");
}

// conformance: 157
pub async fn a_malformed_ack_or_response_gets_no_reply<H: Host>(host: &H) {
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let mut peer = udp_peer(host);
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    let via = via("UDP", peer.addr(), ";rport");
    // RFC 3261 §17.1.1.3: an ACK has no response.
    peer.send(to, malformed("ACK", &via)).await;
    next_malformed(&mut alice).await;
    let request_line = "OPTIONS sip:alice@example.com SIP/2.0";
    let response = malformed("OPTIONS", &via).replace(request_line, "SIP/2.0 200 OK");
    peer.send(to, response).await;
    next_malformed(&mut alice).await;
    peer.send(to, text("OPTIONS", &via, 2)).await;
    answer_next(&mut alice).await;
    let (first, _) = peer.recv().await;
    assert!(first.starts_with(b"SIP/2.0 200 "));
}

// conformance: 151, 342, 355
pub async fn a_ping_gets_one_pong<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let mut peer = stream_peer(host, &alice, protocol).await;
    let via = via(protocol.via_token(), peer.local(), "");
    peer.write(text("OPTIONS", &via, 1)).await;
    answer_next(&mut alice).await;
    peer.read_head().await;
    // RFC 5626 §4.4.1: CRLF CRLF, in pieces or not.
    peer.write("\r\n\r\n").await;
    assert_eq!(peer.read_until(b"\r\n").await, b"\r\n");
    let again = peer.seal("\r\n\r\n");
    let (first, second) = again.split_at(again.len() / 2);
    peer.write_wire(first).await;
    peer.write_wire(second).await;
    assert_eq!(peer.read_until(b"\r\n").await, b"\r\n");
    peer.write(text("OPTIONS", &via, 2)).await;
    answer_next(&mut alice).await;
    let head = peer.read_head().await;
    assert!(head.starts_with("SIP/2.0 200 "), "{head:?}");
    assert_eq!(alice.stats().pongs_out, 2);
}

// conformance: 109, 111
pub async fn a_response_to_nobody_is_dropped<H: Host>(host: &H) {
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let peer = udp_peer(host);
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    // RFC 3261 §18.1.2: the top Via is not ours.
    let via = via("UDP", "198.51.100.9:5060".parse().unwrap(), "");
    let request_line = "OPTIONS sip:alice@example.com SIP/2.0";
    let stray = text("OPTIONS", &via, 1).replace(request_line, "SIP/2.0 200 OK");
    peer.send(to, stray).await;
    peer.send(to, text("OPTIONS", &via, 2)).await;
    next_request(&mut alice).await;
    assert_eq!(alice.stats().stray_responses, 1);
}

// conformance: 152
pub async fn an_unreachable_port_is_told_of_once<H: Host>(host: &H) {
    if !host.reports_unreachable() {
        return;
    }
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let (gone, there) = (udp_peer(host).addr(), udp_peer(host));
    let to = SipEndpoint::new(Protocol::Udp, gone);
    let sent = alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    let event = alice.event().await.unwrap();
    let Event::SendFailed { send, cause } = event else {
        panic!("{event:?}");
    };
    assert_eq!(send, sent.id());
    assert!(matches!(cause, SendFailure::Io(_)), "{cause}");
    // Nothing more comes of it.
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    there
        .send(to, text("OPTIONS", &via("UDP", there.addr(), ""), 1))
        .await;
    next_request(&mut alice).await;
}
