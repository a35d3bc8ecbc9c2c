//! What peers can make a transport hold, and in what order it comes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use sip_transport_proto::error::{CloseReason, SendCause};
use sip_transport_proto::sip_core::{Method, Name};
use sip_transport_proto::{
    ConnectionId, ConnectionState, Event, Protocol, SendOptions, SipEndpoint,
};

use super::{number, serve};
use crate::suite::{
    Endpoint, Family, Host, Place, Setup, StreamPeer, UdpPeer, body_of_length, join, next_request,
    reply, request, request_to, text, via,
};

async fn bare<H: Host>(host: &H, from: &Place, to: SipEndpoint) -> StreamPeer {
    StreamPeer::new(host.connect(from, to.addr).await.unwrap())
}

// bad-inputs: C6, R8
pub async fn an_address_at_its_limit_replaces_its_own_silent_connections_unless_it_is_exempt<
    H: Host,
>(
    host: &H,
    protocol: Protocol,
) {
    const ALLOWED: usize = 4;
    for exempt in [false, true] {
        let here = host.place();
        let setup = Setup::new().udp_and(protocol, &here, Family::V4);
        let setup = setup.set(|config| {
            if exempt {
                config.per_ip_exempt(["0.0.0.0/0".parse().unwrap()]);
            }
            config.max_connections_per_ip(ALLOWED).map(drop)
        });
        let mut alice = host.start(&here, setup).await.unwrap();
        let to = alice.channel(protocol, Family::V4);
        let there = host.place();
        let mut known = StreamPeer::connect(host, &there, to).await;
        let via = via(protocol.via_token(), known.local(), "");
        known.write(text("OPTIONS", &via, 1)).await;
        next_request(&mut alice).await;
        let mut silent = Vec::new();
        for count in 2..=ALLOWED as u64 {
            silent.push(bare(host, &there, to).await);
            host.until(|| alice.stats().accepted == count).await;
        }
        let _another = bare(host, &there, to).await;
        host.until(|| alice.stats().accepted == 1 + ALLOWED as u64)
            .await;
        if exempt {
            assert_eq!(alice.stats().connections_limited, 0);
        } else {
            let (read, _) = silent[0].read_to_end().await;
            assert_eq!(read, b"");
            assert_eq!(alice.stats().connections_limited, 1);
            host.until(|| alice.connections().len() == ALLOWED).await;
        }
        known.write(text("OPTIONS", &via, 2)).await;
        next_request(&mut alice).await;
    }
}

// bad-inputs: C6
pub async fn who_holds_most_makes_room_and_the_trusted_last<H: Host>(host: &H, protocol: Protocol) {
    const ROOM: usize = 4;
    let here = host.place();
    let setup = Setup::new().udp_and(protocol, &here, Family::V4);
    let setup = setup.set(|config| {
        config.max_connections_per_ip(ROOM)?;
        config.max_connections(ROOM).map(drop)
    });
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(protocol, Family::V4);
    let (many, few) = (host.place(), host.place());
    let mut served = Vec::new();
    for place in [&many, &many, &many, &few] {
        served.push(exchange(host, &mut alice, place, to).await);
    }
    // The peer that is trusted counts no longer, and so the others of its address.
    let (_peer, trusted) = served.remove(0);
    assert!(alice.trust(trusted));
    assert_eq!(alice.stats().trusted, 1);
    let (_other, gone) = served.remove(0);
    served.push(exchange(host, &mut alice, &host.place(), to).await);
    host.until(|| alice.connections().iter().all(|info| info.id != gone))
        .await;
    let listed = alice.connections();
    let lives = |id| listed.iter().any(|info| info.id == id);
    assert!(lives(trusted) && served.iter().all(|(_, id)| lives(*id)));
    assert!(!alice.trust(gone));
}

/// A request over a new connection, which stays, and the connection that it came over.
async fn exchange<H: Host>(
    host: &H,
    alice: &mut H::Endpoint,
    from: &Place,
    to: SipEndpoint,
) -> (StreamPeer, ConnectionId) {
    let mut peer = StreamPeer::connect(host, from, to).await;
    let via = via(to.protocol.via_token(), peer.local(), "");
    peer.write(text("OPTIONS", &via, 1)).await;
    let (local, ..) = next_request(alice).await;
    (peer, local.connection.unwrap())
}

// bad-inputs: C6
pub async fn the_application_decides_who_may_connect<H: Host>(host: &H, protocol: Protocol) {
    let open = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&open);
    let here = host.place();
    let setup = Setup::new().udp_and(protocol, &here, Family::V4);
    let setup = setup.set(move |config| {
        config.accept_filter(move |local, _| local.protocol == protocol && asked.load(Relaxed));
        Ok(())
    });
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(protocol, Family::V4);
    let mut refused = bare(host, &host.place(), to).await;
    let (read, _) = refused.read_to_end().await;
    assert_eq!(read, b"");
    let stats = alice.stats();
    assert_eq!((stats.accepts_filtered, stats.accepted), (1, 0));
    assert!(alice.connections().is_empty());
    open.store(true, Relaxed);
    // The first event is about the one that was let in.
    let _served = serve(host, &mut alice, to).await;
    assert_eq!(alice.stats().accepts_filtered, 1);
}

// bad-inputs: C9
pub async fn the_peer_behind_for_longest_makes_room_for_bytes<H: Host>(host: &H) {
    const TOTAL: usize = 1 << 20;
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4);
    let setup = setup.set(|config| {
        config.send_queue(2 * TOTAL)?;
        config.total_send_queue(TOTAL).map(drop)
    });
    let mut alice = host.start(&here, setup).await.unwrap();
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let uri = format!("sip:deaf@{};transport=tcp", listener.local_addr());
    let message = || request_to(Method::Message, &uri, &body_of_length(50_000));
    let (first, mut deaf) = join(
        alice.send(message().into(), SendOptions::new()),
        StreamPeer::accept(Protocol::Tcp, listener.as_ref()),
    )
    .await;
    let connection = first.unwrap().remote().connection.unwrap();
    let full = loop {
        match alice.send(message().into(), SendOptions::new()).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(full.cause(), &SendCause::QueueFull { limit: TOTAL });
    let listed = alice.connections();
    let info = listed.iter().find(|info| info.id == connection).unwrap();
    assert_eq!(info.state, ConnectionState::Open);
    assert_eq!(info.queued, alice.queued_bytes());

    // It stays full until it is clear who is behind. Nobody waits for that.
    while alice.stats().behind_evicted == 0 {
        if let Err(error) = alice.send(message().into(), SendOptions::new()).await {
            assert_eq!(error.cause(), full.cause());
        }
        host.sleep(Duration::from_millis(5)).await;
    }
    let other = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(Protocol::Tcp, other.local_addr());
    let send = alice.send(request(Method::Options, to).into(), SendOptions::new());
    let (sent, mut carol) = join(send, StreamPeer::accept(Protocol::Tcp, other.as_ref())).await;
    sent.unwrap();
    carol.read_head().await;
    let closed = async {
        loop {
            if let Some(Event::ConnectionClosed {
                connection, reason, ..
            }) = alice.event().await
            {
                return (connection, reason);
            }
        }
    };
    let ((closed, reason), _) = join(closed, deaf.read_to_end()).await;
    assert_eq!((closed, reason), (connection, CloseReason::Limit));
    assert_eq!(alice.stats().behind_evicted, 1);
}

// bad-inputs: C11
pub async fn what_is_queued_stays_as_it_was_sent<H: Host>(host: &H, protocol: Protocol) {
    let alice = host.start_udp_and(protocol).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(protocol, listener.local_addr());
    let mut message = request(Method::Options, to);
    let send = alice.send(message.clone().into(), SendOptions::new());
    let (first, mut peer) = join(send, StreamPeer::accept(protocol, listener.as_ref())).await;
    let mut all = vec![first.unwrap().bytes().to_vec()];
    // The same message each time, with other headers, while the former ones wait.
    for cseq in 2..50 {
        message.set(Name::CSeq, format!("{cseq} OPTIONS")).unwrap();
        let sent = alice.send(message.clone().into(), SendOptions::new());
        all.push(sent.await.unwrap().bytes().to_vec());
    }
    drop(message);
    for (sent, cseq) in all.iter().zip(1..) {
        let came = peer.read_head().await;
        assert_eq!(came.as_bytes(), sent);
        let line = format!("CSeq: {cseq} OPTIONS\r\n");
        assert!(cseq == 1 || came.contains(&line), "{came}");
    }
}

/// Three calls from each peer, all cancelled at once: what is said of each, in order.
const CALLS: u32 = 3;

fn cancelled_calls(via: &str) -> Vec<String> {
    (1..=CALLS)
        .flat_map(|number| ["INVITE", "CANCEL"].map(|method| text(method, via, number)))
        .collect()
}

/// Answers each CANCEL by 200, and then its INVITE by 487.
async fn answer_cancels(alice: &mut impl Endpoint, peers: usize) {
    let mut calls = BTreeMap::new();
    for _ in 0..2 * CALLS as usize * peers {
        let (_, remote, request) = next_request(alice).await;
        let key = (remote.addr, number(&request));
        if request.method() == Method::Invite {
            let news = calls.insert(key, request);
            assert!(news.is_none(), "each call begins once");
            continue;
        }
        // RFC 3261 §9.2: it comes behind what it cancels.
        let call = calls.get(&key).expect("its INVITE came");
        for response in [reply(&request, 200), reply(call, 487)] {
            alice.send(response, SendOptions::new()).await.unwrap();
        }
    }
}

fn expected_answers() -> impl Iterator<Item = (&'static str, String)> {
    (1..=CALLS).flat_map(|number| {
        let cancel = ("SIP/2.0 200 ", format!("CSeq: {number} CANCEL\r\n"));
        [
            cancel,
            ("SIP/2.0 487 ", format!("CSeq: {number} INVITE\r\n")),
        ]
    })
}

// bad-inputs: C16
pub async fn a_cancel_and_its_answers_keep_their_order_over_streams<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = StreamPeer::connect(host, &host.place(), to).await;
        let via = via(protocol.via_token(), peer.local(), "");
        let all: Vec<u8> = cancelled_calls(&via)
            .iter()
            .flat_map(|text| peer.seal(text))
            .collect();
        peer.write_wire(all).await;
        peers.push(peer);
    }
    answer_cancels(&mut alice, peers.len()).await;
    for peer in &mut peers {
        for (status, cseq) in expected_answers() {
            let head = peer.read_head().await;
            assert!(head.starts_with(status) && head.contains(&cseq), "{head}");
        }
    }
}

// bad-inputs: C16
pub async fn a_cancel_and_its_answers_keep_their_order_over_udp<H: Host>(host: &H) {
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4);
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    let mut peers = Vec::new();
    for _ in 0..3 {
        let local = host.place().any_port(Family::V4);
        let peer = UdpPeer::new(host.bind_datagrams(local).unwrap());
        for text in cancelled_calls(&via("UDP", peer.addr(), "")) {
            peer.send(to, text).await;
        }
        peers.push(peer);
    }
    answer_cancels(&mut alice, peers.len()).await;
    for peer in &mut peers {
        for (status, cseq) in expected_answers() {
            let (bytes, _) = peer.recv().await;
            let head = String::from_utf8_lossy(&bytes);
            assert!(head.starts_with(status) && head.contains(&cseq), "{head}");
        }
    }
}
