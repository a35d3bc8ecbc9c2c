//! TLS and WebSocket are begun and not ended, and ended as they ought to be.

use std::time::Duration;

use sip_transport_proto::error::{AttemptCause, CloseReason};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::tls::TlsError;
use sip_transport_proto::{Deadline, Event, Protocol, SendOptions, SipEndpoint};

use super::serve;
use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, join, next_closed, next_opened, reply, request,
    text, via,
};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a client begins with, and not all of it.
fn beginning(protocol: Protocol) -> &'static [u8] {
    match protocol.is_secure() {
        // A record of 512 bytes, and in it a ClientHello.
        true => &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        false => b"GET / HTTP/1.1\r\nHost: al",
    }
}

async fn impatient<H: Host>(host: &H, protocol: Protocol) -> H::Endpoint {
    let here = host.place();
    let setup = Setup::new().udp_and(protocol, &here, Family::V4);
    let setup = setup.set(|config| config.handshake_timeout(PATIENCE).map(drop));
    host.start(&here, setup).await.unwrap()
}

async fn bare<H: Host>(host: &H, to: SipEndpoint) -> StreamPeer {
    StreamPeer::new(host.connect(&host.place(), to.addr).await.unwrap())
}

// bad-inputs: C4
pub async fn a_peer_that_leaves_during_the_handshake_ends_that_connection_only<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    let stays = serve(host, &mut alice, to).await;
    for begun in [&b""[..], beginning(protocol)] {
        let peer = bare(host, to).await;
        peer.write_wire(begun).await;
        drop(peer);
        let (_, reason) = next_closed(&mut alice).await;
        let gone = matches!(
            reason,
            CloseReason::Peer | CloseReason::Tls(TlsError::Truncated) | CloseReason::Io(_)
        );
        assert!(gone, "{reason}");
    }
    let [left] = &alice.connections()[..] else {
        panic!("one connection");
    };
    assert_eq!(left.remote.addr, stays.local());
    serve(host, &mut alice, to).await;
}

// bad-inputs: C4
pub async fn a_removed_channel_ends_its_handshakes<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    let mut peer = bare(host, to).await;
    peer.write_wire(beginning(protocol)).await;
    host.until(|| alice.stats().accepted == 1).await;
    alice.remove_channel(to.channel.unwrap()).await;
    let ((_, reason), _) = join(next_closed(&mut alice), peer.read_to_end()).await;
    assert_eq!(reason, CloseReason::ChannelRemoved);
    assert!(alice.connections().is_empty());
}

// bad-inputs: C5, R8, W6
pub async fn a_silent_client_is_closed_at_the_deadline_while_others_are_served<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = impatient(host, protocol).await;
    let to = alice.channel(protocol, Family::V4);
    let mut silent = bare(host, to).await;
    host.until(|| alice.stats().accepted == 1).await;
    let _served = serve(host, &mut alice, to).await;
    let ((_, reason), _) = join(next_closed(&mut alice), silent.read_to_end()).await;
    assert_eq!(reason, CloseReason::Deadline(Deadline::Handshake));
    assert_eq!(alice.connections().len(), 1);
}

pub async fn a_server_that_does_not_answer_fails_the_sends_that_wait<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = impatient(host, protocol).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(protocol, listener.local_addr());
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let sends = join(send(), send());
    let ((first, second), _peer) = join(sends, StreamPeer::accept_plain(listener.as_ref())).await;
    let late = Deadline::Handshake;
    for sent in [first, second] {
        let error = sent.unwrap_err();
        let [attempt] = error.tried() else {
            panic!("{error}");
        };
        assert_eq!(attempt.cause, AttemptCause::Deadline(late));
    }
    let (_, reason) = next_closed(&mut alice).await;
    assert_eq!(reason, CloseReason::Deadline(late));
    assert_eq!((alice.connections().len(), alice.queued_bytes()), (0, 0));
}

// bad-inputs: C5, C6
pub async fn a_crowd_of_stalled_handshakes_is_bounded_and_ends_at_the_deadline<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (count, room) = (host.crowd(), host.crowd() / 2);
    let here = host.place();
    let setup = Setup::new().udp_and(protocol, &here, Family::V4);
    let setup = setup.set(|config| {
        config.handshake_timeout(PATIENCE)?;
        config.max_silent(room)?;
        config.max_connections_per_ip(count).map(drop)
    });
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(protocol, Family::V4);
    let places: Vec<_> = (0..20).map(|_| host.place()).collect();
    let mut crowd = Vec::new();
    for place in places.iter().cycle().take(count) {
        let peer = StreamPeer::new(host.connect(place, to.addr).await.unwrap());
        peer.write_wire(beginning(protocol)).await;
        crowd.push(peer);
    }
    host.until(|| alice.stats().accepted == count as u64).await;
    host.until(|| alice.connections().len() <= room).await;
    assert_eq!(alice.queued_bytes(), 0);

    let newcomer = async {
        let mut peer = StreamPeer::connect(host, &here, to).await;
        let via = via(protocol.via_token(), peer.local(), "");
        peer.write(text("OPTIONS", &via, 1)).await;
        peer.read_head().await;
        peer
    };
    let events = async {
        let (mut limited, mut late) = (0, 0);
        while limited + late < count {
            match alice.event().await.unwrap() {
                Event::Request { request, .. } => {
                    let sent = alice.send(reply(&request, 200), SendOptions::new());
                    sent.await.unwrap();
                }
                Event::ConnectionOpened { .. } => {}
                Event::ConnectionClosed { reason, .. } => match reason {
                    CloseReason::Limit => limited += 1,
                    CloseReason::Deadline(Deadline::Handshake) => late += 1,
                    other => panic!("{other}"),
                },
                other => panic!("{other:?}"),
            }
        }
        limited
    };
    let (served, limited) = join(newcomer, events).await;
    // Of those that are too many the oldest make room, unless their time is over before.
    assert!(limited <= count - room + 1, "{limited}");
    let [left] = &alice.connections()[..] else {
        panic!("one connection");
    };
    assert_eq!(left.remote.addr, served.local());
}

// conformance: 286, 418
pub async fn both_sides_take_leave<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    // RFC 6455 §7.4.1: we are going away; the peer is done, and hears that said back.
    for (ours, status) in [(true, 1001), (false, 1000)] {
        let mut peer = StreamPeer::connect(host, &host.place(), to).await;
        let (local, _, _) = next_opened(&mut alice).await;
        let expected = match ours {
            true => {
                assert!(alice.close(local.connection.unwrap()));
                CloseReason::Application
            }
            false => {
                peer.close().await;
                CloseReason::Peer
            }
        };
        let ((_, reason), (rest, reset)) = join(next_closed(&mut alice), peer.read_to_end()).await;
        assert_eq!((reason, rest, reset), (expected, Vec::new(), false));
        if protocol.is_websocket() {
            assert_eq!(peer.close_status(), Some(status));
        }
        if protocol.is_secure() {
            assert!(peer.tls().peer_closed());
        }
    }
}
