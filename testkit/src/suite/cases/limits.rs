//! What peers can make a transport hold, and in what order it comes out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use sip_transport_proto::error::{CloseReason, SendCause};
use sip_transport_proto::sip_core::{Method, Name};
use sip_transport_proto::{
    ChannelConfig, ConnectionId, ConnectionState, Event, Protocol, SendOptions, SipEndpoint,
};

use super::{number, serve};
use crate::suite::{
    Endpoint, Family, Host, Place, Setup, StreamPeer, UdpPeer, body_of_length, join, next_closed,
    next_request, reply, request, request_to, text, via,
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

// bad-inputs: C14; RFC 3261 §26.3.2.4
pub async fn a_source_over_its_rate_is_told_of_once<H: Host>(host: &H) {
    const SENT: u32 = 20;
    let here = host.place();
    let mut setup = Setup::new();
    let channel = ChannelConfig::new(Protocol::Udp, here.any_port(Family::V4));
    setup.channels.push(channel.messages_per_source(1, 2));
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    let local = host.place().any_port(Family::V4);
    let peer = UdpPeer::new(host.bind_datagrams(local).unwrap());
    let via = via("UDP", peer.addr(), ";rport");
    for number in 0..SENT {
        peer.send(to, text("OPTIONS", &via, number)).await;
    }
    let taken = |alice: &H::Endpoint| alice.stats().requests_in;
    host.until(|| taken(&alice) + alice.stats().datagrams_limited == SENT.into())
        .await;
    let mut told = Vec::new();
    for _ in 0..taken(&alice) + 1 {
        match alice.event().await {
            Some(Event::Request { .. }) => {}
            Some(Event::SourceLimited { remote, .. }) => told.push(remote.addr),
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(told, [peer.addr()]);
}

/// A STUN binding request (RFC 8489 §5).
const BINDING: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";

// RFC 3261 §26.3.2.4, RFC 5626 §4.4.2
pub async fn one_source_that_floods_leaves_others_their_answers<H: Host>(host: &H) {
    const OTHERS: u8 = 40;
    const EACH: u64 = 50;
    if !cfg!(target_os = "linux") {
        println!("skipped, as one address is all of loopback here");
        return;
    }
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4);
    // A sixteenth for each source: ten a second.
    let setup = setup.set(|config| {
        config.stun_answers_per_second(160)?;
        config.malformed_replies_per_second(160).map(drop)
    });
    let alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    // Each in a network of its own.
    let peer = |network: u8| {
        let local = SocketAddr::from(([127, 77, network, 1], 0));
        UdpPeer::new(host.bind_datagrams(local).unwrap())
    };
    let bad = |peer: &UdpPeer| {
        let good = text("OPTIONS", &via("UDP", peer.addr(), ";rport"), 1);
        let padding = format!("Subject: {}", "x".repeat(300));
        good.replace("Call-ID: by-hand", &padding)
    };
    let flooder = peer(0);
    let mut others = Vec::new();
    for network in 1..=OTHERS {
        for _ in 0..EACH {
            flooder.send(to, BINDING).await;
            flooder.send(to, bad(&flooder)).await;
        }
        let other = peer(network);
        other.send(to, BINDING).await;
        other.send(to, bad(&other)).await;
        others.push(other);
        let sent = u64::from(network) * (EACH + 1);
        host.until(|| alice.stats().keepalives_in == sent && alice.stats().malformed == sent)
            .await;
    }
    for other in &mut others {
        let (first, _) = other.recv().await;
        let (second, _) = other.recv().await;
        assert!(first.starts_with(b"\x01\x01"), "{first:?}");
        assert!(
            second.starts_with(b"SIP/2.0 400 Bad Request\r\n"),
            "{second:?}"
        );
    }
    let stats = alice.stats();
    let most = u64::from(OTHERS) * EACH / 2;
    assert!(stats.stun_answers_suppressed > most, "{stats:?}");
    assert!(stats.malformed_replies_suppressed > most, "{stats:?}");
}

// A crowd of unfinished messages.
pub async fn a_stranger_who_fills_the_room_for_receiving_makes_room_for_others<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    const TOTAL: usize = 64 << 10;
    let here = host.place();
    let setup = Setup::new().udp_and(protocol, &here, Family::V4);
    let setup = setup.set(|config| config.total_receive_buffer(TOTAL).map(drop));
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(protocol, Family::V4);
    let mut strangers = Vec::new();
    let place = host.place();
    while alice.stats().receiving_evicted == 0 {
        let mut peer = StreamPeer::connect(host, &place, to).await;
        let before = alice.stats();
        let via = via(protocol.via_token(), peer.local(), "");
        let head = text("MESSAGE", &via, 1).replace("Content-Length: 0", "Content-Length: 20000");
        let wire = peer.seal(head + &"x".repeat(20_000));
        peer.write_wire(&wire[..9_000]).await;
        host.until(|| {
            let now = alice.stats();
            now.received_bytes >= before.received_bytes + 8_900
                || now.receiving_evicted > before.receiving_evicted
        })
        .await;
        strangers.push(peer);
        assert!(strangers.len() < 10, "it is full before");
    }
    let (_, reason) = next_closed(&mut alice).await;
    assert_eq!(reason, CloseReason::Limit);
    let stats = alice.stats();
    assert!(stats.received_bytes <= TOTAL as u64, "{stats:?}");
    // Who comes with a whole message is served.
    serve(host, &mut alice, to).await;
}
