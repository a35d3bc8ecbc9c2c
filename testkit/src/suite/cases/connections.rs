//! Connections open, are used again, and close.

use std::io::ErrorKind;

use sip_transport_proto::error::{AttemptCause, CloseReason, SendCause};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::tls::TlsError;
use sip_transport_proto::{Event, Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Endpoint, Family, Host, StreamPeer, join, next_closed, next_opened, next_request, request,
    text, via,
};

/// What is heard of a peer that goes without a word.
fn gone(protocol: Protocol) -> CloseReason {
    match protocol.is_secure() {
        // RFC 8446 §6.1: it ought to have said so.
        true => CloseReason::Tls(TlsError::Truncated),
        false => CloseReason::Peer,
    }
}

// conformance: 91, 392
pub async fn a_connection_is_used_again_until_it_closes<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(protocol, listener.local_addr());
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let accept = || StreamPeer::accept(protocol, listener.as_ref());

    let (sent, mut peer) = join(send(), accept()).await;
    let first = sent.unwrap().remote().connection;
    peer.read_head().await;
    for _ in 0..3 {
        assert_eq!(send().await.unwrap().remote().connection, first);
        peer.read_head().await;
    }
    let [info] = &alice.connections()[..] else {
        panic!("one connection");
    };
    assert_eq!(Some(info.id), first);
    drop(peer);
    let (closed, reason) = next_closed(&mut alice).await;
    assert_eq!(Some(closed), first);
    assert_eq!(reason, gone(protocol));
    assert!(alice.connections().is_empty());

    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let (sent, mut peer) = join(send(), accept()).await;
    let second = sent.unwrap().remote().connection;
    assert_ne!(second, first);
    peer.read_head().await;

    // RFC 5923 §8.3: nor is one used whose peer has taken leave.
    peer.close().await;
    if protocol == Protocol::Tcp {
        drop(peer);
    }
    let (_, reason) = next_closed(&mut alice).await;
    assert_eq!(reason, CloseReason::Peer);
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let (sent, mut peer) = join(send(), accept()).await;
    assert!(![first, second].contains(&sent.unwrap().remote().connection));
    peer.read_head().await;
}

// conformance: 154
pub async fn a_refused_connection_is_reported_with_the_message_back<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = host.start_udp_and(protocol).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(protocol, listener.local_addr());
    drop(listener);
    let message = request(Method::Options, to);
    let bytes = message.to_bytes();
    let error = alice
        .send(message.into(), SendOptions::new())
        .await
        .unwrap_err();
    assert_eq!(error.cause(), &SendCause::AllTargetsFailed);
    let [attempt] = error.tried() else {
        panic!("{error}");
    };
    assert_eq!(
        (attempt.target.protocol, attempt.target.addr),
        (to.protocol, to.addr)
    );
    let refused = ErrorKind::ConnectionRefused;
    assert_eq!(attempt.cause, AttemptCause::Connect(refused));
    assert_eq!(error.into_message().to_bytes(), bytes);
    let (_, reason) = next_closed(&mut alice).await;
    assert_eq!(reason, CloseReason::ConnectFailed(refused));
    assert!(alice.connections().is_empty());
}

// conformance: 359
pub async fn closing_a_connection_tells_both_sides_why<H: Host>(host: &H, protocol: Protocol) {
    let (mut alice, mut bob) = (
        host.start_udp_and(protocol).await,
        host.start_udp_and(protocol).await,
    );
    let to = bob.channel(protocol, Family::V4);
    let sent = alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    let (local, _, _) = next_request(&mut bob).await;
    let connection = sent.remote().connection.unwrap();
    assert!(alice.close(connection));
    let closed = next_closed(&mut alice).await;
    assert_eq!(closed, (connection, CloseReason::Application));
    let closed = next_closed(&mut bob).await;
    assert_eq!(closed, (local.connection.unwrap(), CloseReason::Peer));
    assert!(!alice.close(connection));
}

pub async fn a_send_that_waits_for_a_connection_ends_once<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let mut bob = host.start_udp_and(protocol).await;
    let to = bob.channel(protocol, Family::V4);
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let ((first, second), (third, fourth)) = join(join(send(), send()), join(send(), send())).await;
    for sent in [first, second, third, fourth] {
        let sent = sent.unwrap();
        let (_, _, request) = next_request(&mut bob).await;
        assert_eq!(
            request.raw("Call-ID"),
            sent.message().unwrap().raw("Call-ID")
        );
    }
    let (_, _, accepted) = next_opened(&mut alice).await;
    assert!(!accepted);
    assert_eq!(alice.connections().len(), 1);
}

// bad-inputs: C7
pub async fn peers_that_send_and_leave_at_once_are_heard<H: Host>(host: &H, protocol: Protocol) {
    const COUNT: u32 = 20;
    let mut alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    for number in 1..=COUNT {
        let mut peer = StreamPeer::connect(host, &host.place(), to).await;
        let via = via(protocol.via_token(), peer.local(), "");
        peer.write(text("INVITE", &via, number)).await;
        drop(peer);
    }
    let (mut requests, mut opened, mut closed) = (0, 0, 0);
    while closed < COUNT {
        match alice.event().await.unwrap() {
            Event::Request { .. } => requests += 1,
            Event::ConnectionOpened { .. } => opened += 1,
            Event::ConnectionClosed { .. } => closed += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((requests, opened), (COUNT, COUNT));
    assert!(alice.connections().is_empty());
}
