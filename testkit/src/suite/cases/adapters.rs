//! What only the adapters have: application queues, futures, tasks, workers.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::future::{IntoFuture as _, poll_fn};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use adapter_core::runtime::{BoxFuture, Listener, Resolve, Runtime as _, Stream};
use adapter_core::{BindError, BlockingSendError, Builder, Incoming, SipTransport};
use sip_transport_proto::error::{ChannelError, CloseReason, NextError, SendCause, SendFailure};
use sip_transport_proto::resolve::{Answer, DomainName, LookupKind};
use sip_transport_proto::sip_core::{Method, Name, Request, Response};
use sip_transport_proto::{
    ChannelConfig, Config, Deadline, Event, Protocol, SendOptions, SipEndpoint,
};

use super::{number, serve};
use crate::suite::{
    Adapter, AdapterHost, Endpoint, Family, Setup, StreamPeer, UdpPeer, body_of_length, join,
    next_closed, next_request, next_response, reply, request, request_to, text, via,
};

/// What only a builder can set.
async fn build<H: AdapterHost>(
    host: &H,
    set: impl FnOnce(Builder<H::Runtime>) -> Builder<H::Runtime>,
) -> Adapter<H::Runtime> {
    let here = host.place();
    let local = here.any_port(Family::V4);
    let builder = SipTransport::builder().udp(local).tcp(local);
    let (transport, incoming) = set(builder).bind().await.unwrap();
    Adapter {
        transport,
        incoming,
    }
}

async fn tcp_peer<H: AdapterHost>(host: &H, alice: &Adapter<H::Runtime>) -> StreamPeer {
    let to = alice.channel(Protocol::Tcp, Family::V4);
    StreamPeer::connect(host, &host.place(), to).await
}

fn udp_peer<H: AdapterHost>(host: &H) -> UdpPeer {
    let local = host.place().any_port(Family::V4);
    UdpPeer::new(host.bind_datagrams(local).unwrap())
}

pub async fn an_unread_queue_makes_streams_wait_and_loses_nothing<H: AdapterHost>(host: &H) {
    const COUNT: u32 = 400;
    const ROOM: u64 = 4;
    let mut alice = build(host, |builder| builder.application_queue(4, 1 << 20)).await;
    let mut peers = [tcp_peer(host, &alice).await, tcp_peer(host, &alice).await];
    for peer in &mut peers {
        let via = via("TCP", peer.local(), "");
        let all: String = (1..=COUNT).map(|n| text("OPTIONS", &via, n)).collect();
        peer.write(all).await;
    }
    host.until(|| alice.stats().requests_in >= ROOM).await;
    // What is not read is not parsed either. Tasks that asked at the same moment go a little over.
    assert!(alice.stats().requests_in <= 2 * ROOM);
    let mut next = BTreeMap::new();
    for _ in 0..2 * COUNT {
        let (_, remote, request) = next_request(&mut alice).await;
        let expected = next.entry(remote.addr).or_insert(1);
        assert_eq!(number(&request), *expected);
        *expected += 1;
        alice
            .send(reply(&request, 200), SendOptions::new())
            .await
            .unwrap();
    }
    for peer in &mut peers {
        for n in 1..=COUNT {
            let head = peer.read_head().await;
            assert!(head.contains(&format!("CSeq: {n} OPTIONS\r\n")), "{head}");
        }
    }
    assert_eq!(alice.stats().application_queue_full, 0);
}

// bad-inputs: C13
pub async fn an_unread_queue_drops_datagrams_and_counts_them<H: AdapterHost>(host: &H) {
    const COUNT: u64 = 50;
    let mut alice = build(host, |builder| builder.application_queue(4, 1 << 20)).await;
    let to = alice.channel(Protocol::Udp, Family::V4).addr;
    let peer = udp_peer(host);
    let via = via("UDP", peer.addr(), "");
    for n in 1..=COUNT {
        peer.send(to, text("OPTIONS", &via, u32::try_from(n).unwrap()))
            .await;
    }
    host.until(|| alice.stats().application_queue_full == COUNT - 4)
        .await;
    let stats = alice.stats();
    assert_eq!(stats.application_queue, 4);
    assert!(stats.application_queue_bytes > 4 * 200);
    for expected in 1..=4 {
        let (_, _, request) = next_request(&mut alice).await;
        assert_eq!(number(&request), expected);
    }
    // With room again, the next ones come.
    let received = async {
        loop {
            let (_, _, request) = next_request(&mut alice).await;
            if number(&request) == 99 {
                return;
            }
        }
    };
    join(received, peer.send(to, text("OPTIONS", &via, 99))).await;
    assert_eq!(alice.stats().application_queue_full, COUNT - 4);
}

// bad-inputs: C6
pub async fn the_accept_filter_holds_no_lock<H: AdapterHost>(host: &H) {
    let slot: Arc<Mutex<Option<SipTransport<H::Runtime>>>> = Arc::default();
    let of_filter = Arc::clone(&slot);
    let mut config = Config::default();
    config.accept_filter(move |_, _| {
        let transport = of_filter.lock().unwrap().clone();
        transport.is_some_and(|transport| transport.connections().is_empty())
    });
    let mut alice = build(host, |builder| builder.config(config)).await;
    *slot.lock().unwrap() = Some(alice.transport.clone());
    let to = alice.channel(Protocol::Tcp, Family::V4);
    let _first = serve(host, &mut alice, to).await;
    let mut second = tcp_peer(host, &alice).await;
    assert_eq!(second.read_to_end().await.0, b"");
    assert_eq!(alice.stats().accepts_filtered, 1);
    // The transport holds the filter, and that held the transport.
    slot.lock().unwrap().take();
}

// bad-inputs: C7
pub async fn while_events_are_not_read_few_connections_are_accepted<H: AdapterHost>(host: &H) {
    const COUNT: usize = 200;
    let mut alice = build(host, |builder| builder.application_queue(4, 1 << 20)).await;
    let to = alice.channel(Protocol::Tcp, Family::V4);
    let (there, transport) = (host.place(), alice.transport.clone());
    let peers = async {
        for _ in 0..COUNT {
            drop(host.connect(&there, to.addr).await.unwrap());
        }
    };
    let reader = async {
        // Two events each, of which four wait; those accepted in one turn go a little over.
        host.until(|| transport.stats().closed >= 2).await;
        host.sleep(Duration::from_millis(20)).await;
        let accepted = transport.stats().accepted;
        assert!(accepted < 40, "{accepted}");
        for _ in 0..COUNT {
            next_closed(&mut alice).await;
        }
    };
    join(peers, reader).await;
    assert_eq!(transport.stats().accepted, COUNT as u64);
}

/// Answers requests, and for each of its first requests sends one of its own, all awaited in the
/// loop; until it has so many responses.
async fn play<R: adapter_core::runtime::CurrentRuntime>(
    player: &mut Adapter<R>,
    other: SipEndpoint,
    rounds: usize,
) {
    let (mut requests, mut responses, mut sent) = (0, 0, 1);
    let first = request(Method::Options, other);
    player.send(first.into(), SendOptions::new()).await.unwrap();
    while responses < rounds || requests < rounds {
        match player.event().await.unwrap() {
            Event::Request { request, .. } => {
                requests += 1;
                let message = reply(&request, 200);
                player.send(message, SendOptions::new()).await.unwrap();
                // Two for one, so that both queues are full before long.
                for _ in 0..2 {
                    if sent < rounds {
                        sent += 1;
                        let uri = format!("sip:x@{};transport=tcp", other.addr);
                        let message = request_to(Method::Message, &uri, &body_of_length(2_000));
                        player
                            .send(message.into(), SendOptions::new())
                            .await
                            .unwrap();
                    }
                }
            }
            Event::Response { .. } => responses += 1,
            _ => {}
        }
    }
}

pub async fn sending_within_the_receive_loop_never_deadlocks<H: AdapterHost>(host: &H) {
    let mut alice = build(host, |builder| builder.application_queue(1, 1)).await;
    let mut bob = build(host, |builder| builder.application_queue(1, 1)).await;
    let (alices, bobs) = (
        alice.channel(Protocol::Tcp, Family::V4),
        bob.channel(Protocol::Tcp, Family::V4),
    );
    join(play(&mut alice, bobs, 150), play(&mut bob, alices, 150)).await;
}

// bad-inputs: C9
pub async fn a_peer_that_never_reads_fills_its_queue_only<H: AdapterHost>(
    host: &H,
    protocol: Protocol,
) {
    const LIMIT: usize = 256 * 1024;
    let setup = Setup::new().set(|config| config.send_queue(LIMIT).map(drop));
    let mut alice = host.start(&host.place(), setup).await.unwrap();
    let mut bob = build(host, |builder| builder).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let uri = format!("sip:deaf@{};transport={protocol}", listener.local_addr());
    let message = || request_to(Method::Message, &uri, &body_of_length(50_000));
    let (first, _deaf) = join(
        alice.send(message().into(), SendOptions::new()),
        StreamPeer::accept(protocol, listener.as_ref()),
    )
    .await;
    first.unwrap();
    let error = loop {
        match alice.send(message().into(), SendOptions::new()).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.cause(), &SendCause::QueueFull { limit: LIMIT });
    assert!(error.message().is_request());
    assert!(alice.transport.queued_bytes() <= LIMIT);
    // Others are not held up.
    let to = bob.channel(Protocol::Tcp, Family::V4);
    let sent = alice.send(request(Method::Options, to).into(), SendOptions::new());
    sent.await.unwrap();
    let (_, _, request) = next_request(&mut bob).await;
    bob.send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    next_response(&mut alice).await;
}

// bad-inputs: C9
pub async fn a_peer_that_never_reads_is_closed_in_time<H: AdapterHost>(
    host: &H,
    protocol: Protocol,
) {
    let stall = Duration::from_millis(100);
    let setup = Setup::new().set(|config| {
        config.write_stall_timeout(stall)?;
        config.handshake_timeout(Duration::from_secs(1)).map(drop)
    });
    let mut alice = host.start(&host.place(), setup).await.unwrap();
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let uri = format!("sip:deaf@{};transport={protocol}", listener.local_addr());
    let message = || request_to(Method::Message, &uri, &body_of_length(50_000));
    let (first, _deaf) = join(
        alice.send(message().into(), SendOptions::new()),
        StreamPeer::accept(protocol, listener.as_ref()),
    )
    .await;
    let connection = first.unwrap().remote().connection;
    let (mut sent, mut lost, mut reason) = (Vec::new(), Vec::new(), None);
    while reason.is_none() {
        // The system's own buffers fill first.
        if let Ok(one) = alice.send(message().into(), SendOptions::new()).await
            && one.remote().connection == connection
        {
            sent.push(one.id());
        }
        host.sleep(Duration::from_millis(1)).await;
        while let Some(event) = waiting_event(&mut alice.incoming).await {
            match event {
                Event::SendFailed { send, .. } => lost.push(send),
                // A send after that opens another, where nobody answers.
                Event::ConnectionClosed { reason: why, .. } => {
                    reason.get_or_insert(why);
                }
                _ => {}
            }
        }
    }
    assert_eq!(reason, Some(CloseReason::Deadline(Deadline::Write)));
    // Those that were not written, each once, are the last that were sent.
    assert!(!lost.is_empty());
    assert_eq!(lost, sent[sent.len() - lost.len()..]);
}

/// The next event, if it is there.
async fn waiting_event(incoming: &mut Incoming) -> Option<Event> {
    poll_fn(|cx| match incoming.poll_recv(cx) {
        Poll::Ready(event) => Poll::Ready(event),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

// conformance: 433
pub async fn every_send_ends_while_connections_come_and_go<H: AdapterHost>(host: &H) {
    const TASKS: usize = 8;
    const EACH: usize = 40;
    let alice = build(host, |builder| builder.workers(2)).await;
    let listeners = [(); 2].map(|()| host.listen(host.place().any_port(Family::V4)).unwrap());
    let to = listeners
        .each_ref()
        .map(|listener| SipEndpoint::new(Protocol::Tcp, listener.local_addr()));
    let ended = Arc::new(AtomicUsize::new(0));
    for task in 0..TASKS {
        let (transport, ended) = (alice.transport.clone(), Arc::clone(&ended));
        host.runtime().spawn(Box::pin(async move {
            for n in 0..EACH {
                let message = request(Method::Options, to[(task + n) % 2]);
                // Sent, or failed because the connection closed again.
                drop(transport.send_request(message).await);
                ended.fetch_add(1, Ordering::Relaxed);
                if n % 5 == task % 5 {
                    for info in transport.connections() {
                        // Another task may have been first.
                        let _known = transport.close(info.id);
                    }
                }
            }
        }));
    }
    // The peers close what they accept, some at once and some after a message.
    let mut accepted = 0;
    let mut open = Vec::new();
    while ended.load(Ordering::Relaxed) < TASKS * EACH {
        for listener in &listeners {
            while let Some((stream, _)) = next_ready(listener.as_ref()).await {
                accepted += 1;
                if accepted % 3 > 0 {
                    open.push(StreamPeer::new(stream));
                }
            }
        }
        if open.len() > 4 {
            open.clear();
        }
        host.sleep(Duration::from_millis(1)).await;
    }
    alice.transport.shutdown().await;
    assert_eq!(
        (alice.transport.tasks(), alice.transport.queued_bytes()),
        (0, 0)
    );
    let mut alice = alice;
    let (mut opened, mut closed) = (BTreeSet::new(), BTreeSet::new());
    while let Some(event) = alice.event().await {
        match event {
            Event::ConnectionOpened { local, .. } => {
                assert!(opened.insert(local.connection.unwrap()), "opened twice");
            }
            Event::ConnectionClosed { connection, .. } => {
                assert!(closed.insert(connection), "closed twice");
            }
            _ => {}
        }
    }
    assert!(opened.is_subset(&closed));
}

/// What a listener has at once.
async fn next_ready(listener: &dyn Listener) -> Option<(Box<dyn Stream>, SocketAddr)> {
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

pub async fn a_resent_message_is_the_same_to_the_byte<H: AdapterHost>(host: &H) {
    let alice = build(host, |builder| builder).await;
    let mut udp = udp_peer(host);
    let to = SipEndpoint::new(Protocol::Udp, udp.addr());
    let sent = alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    let mut peer = tcp_peer(host, &alice).await;
    peer.write(text("OPTIONS", &via("TCP", peer.local(), ""), 1))
        .await;
    let mut alice = alice;
    let (_, _, request) = next_request(&mut alice).await;
    let replied = alice.send(reply(&request, 200), SendOptions::new());
    let replied = replied.await.unwrap();
    for _ in 0..3 {
        alice.transport.resend(&sent).unwrap();
        alice.transport.resend(&replied).unwrap();
    }
    for _ in 0..4 {
        assert_eq!(udp.recv().await.0, *sent.bytes());
        assert_eq!(peer.read_head().await.as_bytes(), *replied.bytes());
    }
    // RFC 3261 §17.2: a retransmission goes nowhere else when its connection is gone.
    drop(peer);
    next_closed(&mut alice).await;
    let gone = alice.transport.resend(&replied);
    assert_eq!(gone, Err(SendCause::ConnectionClosed));
}

// conformance: 433
pub async fn every_datagram_that_cannot_go_is_told_of_once<H: AdapterHost>(host: &H) {
    const COUNT: usize = 1_500;
    let mut alice = build(host, |builder| builder).await;
    // Nothing can be sent to port 0.
    let to = SipEndpoint::new(Protocol::Udp, SocketAddr::new(host.place().v4, 0));
    // How often each may be told of: what is sent again once that was told may be told of again.
    let mut sends = BTreeMap::new();
    for number in 0..COUNT {
        let message = request(Method::Options, to).into();
        let sent = alice.send(message, SendOptions::new().to(to)).await;
        let sent = sent.unwrap();
        let again = number % 10 == 0;
        if again {
            alice.transport.resend(&sent).unwrap();
        }
        sends.insert(sent.id(), 1 + usize::from(again));
    }
    let mut told = BTreeMap::new();
    while told.len() < COUNT {
        let event = alice.event().await.unwrap();
        let Event::SendFailed { send, .. } = event else {
            panic!("{event:?}");
        };
        let count = told.entry(send).or_insert(0);
        *count += 1;
        assert!(*count <= sends[&send], "{send}");
    }
    // Nothing more comes of it.
    let peer = udp_peer(host);
    let here = alice.channel(Protocol::Udp, Family::V4).addr;
    let good = text("OPTIONS", &via("UDP", peer.addr(), ""), 1);
    peer.send(here, good).await;
    next_request(&mut alice).await;
    let reported = alice.stats().send_failures_reported;
    assert!((COUNT..=COUNT + COUNT / 10).contains(&(reported as usize)));
}

// conformance: 433
pub async fn a_removed_channel_sends_or_tells_of_what_was_queued<H: AdapterHost>(host: &H) {
    const COUNT: usize = 200;
    let mut alice = build(host, |builder| builder).await;
    let mut bob = build(host, |builder| builder).await;
    let to = bob.channel(Protocol::Udp, Family::V4);
    let channel = alice.channel(Protocol::Udp, Family::V4).channel.unwrap();
    let mut sends = BTreeMap::new();
    for _ in 0..COUNT {
        let message = request(Method::Options, to);
        let call_id = message.raw(Name::CallId).unwrap().to_vec();
        let sent = alice.send(message.into(), SendOptions::new()).await;
        sends.insert(sent.unwrap().id(), call_id);
    }
    alice.remove_channel(channel).await;
    alice.shutdown().await;
    let mut lost = BTreeSet::new();
    while let Some(event) = alice.event().await {
        if let Event::SendFailed { send, cause } = event {
            assert_eq!(cause, SendFailure::ChannelRemoved);
            lost.insert(sends[&send].clone());
        }
    }
    let mut arrived = BTreeSet::new();
    while arrived.len() + lost.len() < COUNT {
        let (_, _, request) = next_request(&mut bob).await;
        arrived.insert(request.raw(Name::CallId).unwrap().to_vec());
    }
    assert!(arrived.is_disjoint(&lost));
    assert_eq!(alice.stats().send_failures_reported, lost.len() as u64);
}

pub async fn shutdown_ends_incoming_and_every_task<H: AdapterHost>(host: &H) {
    let mut alice = build(host, |builder| builder).await;
    let mut bob = build(host, |builder| builder).await;
    let to = bob.channel(Protocol::Tcp, Family::V4);
    alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    next_request(&mut bob).await;
    alice.transport.shutdown().await;
    assert_eq!(alice.transport.tasks(), 0);
    assert_eq!(alice.transport.queued_bytes(), 0);
    while alice.incoming.recv().await.is_some() {}
    // Its addresses are free, though it still lives.
    for channel in alice.channels() {
        let free = ChannelConfig::new(channel.protocol, channel.addr);
        bob.add_channel(free).await.unwrap();
    }
    // Twice does no harm.
    alice.transport.shutdown().await;
}

pub async fn dropping_all_handles_leaves_no_task<H: AdapterHost>(host: &H) {
    let before = host.tasks();
    let alice = build(host, |builder| builder).await;
    let mut bob = build(host, |builder| builder.workers(1)).await;
    let to = bob.channel(Protocol::Tcp, Family::V4);
    alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    next_request(&mut bob).await;
    let other = alice.transport.clone();
    drop(alice);
    assert!(host.tasks() > before);
    drop(other);
    drop(bob);
    host.until(|| host.tasks() == before).await;
}

pub async fn dropping_incoming_discards_and_counts<H: AdapterHost>(host: &H) {
    let Adapter {
        transport: alice,
        incoming,
    } = build(host, |builder| builder.application_queue(4, 1 << 20)).await;
    drop(incoming);
    let mut bob = build(host, |builder| builder).await;
    let alices = alice.local_endpoints();
    for n in 0..20 {
        let to = alices[n % 2];
        bob.send(request(Method::Options, to).into(), SendOptions::new())
            .await
            .unwrap();
    }
    host.until(|| alice.stats().application_queue_full == 20)
        .await;
    // It still sends.
    let to = bob.channel(Protocol::Udp, Family::V4);
    alice
        .send_request(request(Method::Options, to))
        .await
        .unwrap();
    next_request(&mut bob).await;
}

pub async fn incoming_alone_keeps_the_transport_alive<H: AdapterHost>(host: &H) {
    let alice = build(host, |builder| builder).await;
    let to = alice.channel(Protocol::Tcp, Family::V4);
    let mut incoming = alice.incoming;
    drop(alice.transport);
    let bob = build(host, |builder| builder).await;
    bob.send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    while !matches!(incoming.recv().await.unwrap(), Event::Request { .. }) {}
}

pub async fn a_dropped_send_still_goes_out<H: AdapterHost>(host: &H) {
    let alice = build(host, |builder| builder).await;
    let mut bob = build(host, |builder| builder).await;
    let to = bob.channel(Protocol::Tcp, Family::V4);
    // It waits for a connection when it is dropped.
    let sending = alice.transport.send_request(request(Method::Options, to));
    drop(sending.into_future());
    next_request(&mut bob).await;
}

pub async fn a_send_is_named_before_it_goes_out<H: AdapterHost>(host: &H) {
    let alice = build(host, |builder| builder).await;
    let mut bob = build(host, |builder| builder).await;
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let to = bob.channel(protocol, Family::V4);
        let mut bare = request(Method::Options, to);
        bare.set(Name::Via, "SIP/2.0/UDP 0.0.0.0;rport").unwrap();
        for message in [bare, request(Method::Options, to)] {
            let send = alice.transport.send_request(message);
            let (id, branch) = (send.id(), send.branch().unwrap().to_owned());
            let sent = send.options(SendOptions::new()).await.unwrap();
            assert_eq!(sent.id(), id);
            let (_, _, request) = next_request(&mut bob).await;
            assert_eq!(request.top_via().unwrap().branch(), Some(&*branch));
            let response = reply(&request, 200).try_into().unwrap();
            let send = bob.transport.send_response(response);
            let id = send.id();
            assert_eq!((send.branch(), send.message().is_request()), (None, false));
            assert_eq!(send.await.unwrap().id(), id);
        }
    }
}

pub async fn the_end_of_a_started_send_is_one_event_and_of_others_none<H: AdapterHost>(host: &H) {
    let mut alice = build(host, |builder| builder).await;
    let mut bob = build(host, |builder| builder).await;
    let closed = {
        let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
        listener.local_addr()
    };
    let [udp, tcp] = [Protocol::Udp, Protocol::Tcp].map(|p| bob.channel(p, Family::V4));
    let mut started = BTreeMap::new();
    for _ in 0..3 {
        // One that is queued at once, one that waits for a connection, one that fails, one that is
        // refused before it waits for anything.
        for (to, arrives) in [
            (udp, true),
            (tcp, true),
            (SipEndpoint::new(Protocol::Tcp, closed), false),
        ] {
            let send = alice.transport.send_request(request(Method::Options, to));
            let id = send.id();
            assert_eq!(send.start(), id);
            started.insert(id, arrives);
            let send = alice.transport.send_request(request(Method::Options, to));
            assert_eq!(send.await.is_ok(), arrives);
        }
        let nowhere = request_to(Method::Options, "tel:+1", b"");
        started.insert(alice.transport.send_request(nowhere).start(), false);
    }
    while !started.is_empty() {
        if let Event::SendCompleted { send, result } = alice.event().await.unwrap() {
            assert_eq!(Some(result.is_ok()), started.remove(&send), "{send}");
            let named = result.map_or_else(|error| error.send(), |sent| sent.id());
            assert_eq!(named, send);
        }
    }
    for _ in 0..12 {
        next_request(&mut bob).await;
    }
    alice.shutdown().await;
    // Also what is started too late.
    let late = alice.transport.send_request(request(Method::Options, udp));
    let late = late.start();
    let mut ended = Vec::new();
    while let Some(event) = alice.event().await {
        if let Event::SendCompleted { send, result } = event {
            ended.push((send, result.is_ok()));
        }
    }
    assert_eq!(ended, [(late, false)]);
}

pub async fn the_next_target_is_a_send_like_any_other<H: AdapterHost>(host: &H) {
    let here = host.place();
    let zone = format!(
        "_sip._udp.two.example SRV 1 1 1 a.two.example
         _sip._udp.two.example SRV 2 1 2 a.two.example
         _sip._udp.two.example SRV 3 1 3 a.two.example
         _sip._udp.two.example SRV 4 1 4 a.two.example
         a.two.example A {}",
        here.v4
    );
    let setup = Setup::new().both(&here, Family::V4);
    let setup = setup.both(&here, Family::V4).zone(zone.parse().unwrap());
    let mut alice = host.start(&here, setup).await.unwrap();
    let other = alice.channels()[2].channel.unwrap();
    let uri = "sip:bob@two.example;transport=udp";
    let message = request_to(Method::Options, uri, b"");
    let first = alice.transport.send_request(message).await.unwrap();
    let second = alice.transport.try_next(first).unwrap();
    let (id, branch) = (second.id(), second.branch().unwrap().to_owned());
    let second = second.channel(other).await.unwrap();
    assert_eq!((second.id(), second.local().channel), (id, Some(other)));
    let message = second.message().unwrap();
    assert_eq!(message.top_via().unwrap().branch(), Some(&*branch));
    let transport = alice.transport.clone();
    let third = host.outside(move || transport.try_next(second).unwrap().blocking());
    let third = third.await.unwrap();
    let fourth = alice.transport.try_next(third).unwrap().start();
    let last = loop {
        if let Event::SendCompleted { send, result } = alice.event().await.unwrap() {
            assert_eq!(send, fourth);
            break *result.unwrap();
        }
    };
    assert_eq!((last.remote().addr.port(), last.tried().len()), (4, 3));
    let none = alice.transport.try_next(last).unwrap_err();
    assert!(matches!(none, NextError::NoTargetLeft(_)), "{none}");
}

pub async fn blocking_sends_work_from_a_thread_and_fail_inside_a_runtime<H: AdapterHost>(host: &H) {
    let alice = build(host, |builder| builder).await;
    let mut bob = build(host, |builder| builder).await;
    let to = bob.channel(Protocol::Tcp, Family::V4);
    let message = request(Method::Options, to);
    let send = alice.transport.send_request(message);
    assert!(matches!(
        send.blocking(),
        Err(BlockingSendError::InsideRuntime)
    ));

    let transport = alice.transport.clone();
    let message = request(Method::Options, to);
    let sent = host
        .outside(move || transport.send_request(message).blocking())
        .await
        .unwrap();
    assert_eq!(sent.remote().addr, to.addr);
    let (_, _, request) = next_request(&mut bob).await;
    let transport = bob.transport.clone();
    let response = Response::try_from(reply(&request, 200)).unwrap();
    host.outside(move || transport.send_response(response).blocking())
        .await
        .unwrap();
    let mut alice = alice;
    next_response(&mut alice).await;
}

/// The next request at any of the workers, and at which.
async fn next_at_any(workers: &mut [Incoming]) -> (usize, (Protocol, SocketAddr), Request) {
    poll_fn(|cx| {
        for (at, worker) in workers.iter_mut().enumerate() {
            while let Poll::Ready(event) = worker.poll_recv(cx) {
                if let Some(Event::Request {
                    remote, request, ..
                }) = event
                {
                    return Poll::Ready((at, (remote.protocol, remote.addr), request));
                }
            }
        }
        Poll::Pending
    })
    .await
}

pub async fn workers_share_the_load_and_keep_each_peers_order<H: AdapterHost>(host: &H) {
    const PEERS: usize = 32;
    const EACH: u32 = 10;
    let alice = build(host, |builder| builder.workers(3)).await;
    let [udp, tcp] = [Protocol::Udp, Protocol::Tcp].map(|p| alice.channel(p, Family::V4).addr);
    let (mut streams, mut sockets) = (Vec::new(), Vec::new());
    for _ in 0..PEERS {
        streams.push(tcp_peer(host, &alice).await);
        sockets.push(udp_peer(host));
    }
    assert_eq!(alice.channel(Protocol::Tcp, Family::V4).addr, tcp);
    for n in 1..=EACH {
        for peer in &mut streams {
            peer.write(text("OPTIONS", &via("TCP", peer.local(), ""), n))
                .await;
        }
        for peer in &sockets {
            let request = text("OPTIONS", &via("UDP", peer.addr(), ";rport"), n);
            peer.send(udp, request).await;
        }
    }
    let mut workers = alice.incoming.into_workers();
    assert_eq!(workers.len(), 3);
    let mut seen: BTreeMap<(Protocol, SocketAddr), (usize, u32)> = BTreeMap::new();
    for _ in 0..2 * PEERS * EACH as usize {
        let (at, peer, request) = next_at_any(&mut workers).await;
        let (worker, last) = seen.entry(peer).or_insert((at, 0));
        assert_eq!((*worker, *last + 1), (at, number(&request)), "{peer:?}");
        *last += 1;
        let response = Response::try_from(reply(&request, 200));
        alice
            .transport
            .send_response(response.unwrap())
            .await
            .unwrap();
    }
    for worker in 0..3 {
        let peers = seen.values().filter(|(at, _)| *at == worker).count();
        assert!(peers > 0, "worker {worker} has nothing to do");
    }
    for peer in &mut sockets {
        for _ in 0..EACH {
            assert_eq!(peer.recv().await.1, udp);
        }
    }
}

pub async fn a_failed_bind_leaves_nothing_open<H: AdapterHost>(host: &H) {
    let before = host.tasks();
    let taken = udp_peer(host);
    let free = udp_peer(host).addr();
    let setup = Setup::new()
        .channel(Protocol::Udp, free)
        .channel(Protocol::Udp, taken.addr());
    let failed = host.start(&host.place(), setup).await;
    assert!(failed.is_err());
    host.until(|| host.tasks() == before).await;
    let setup = Setup::new().channel(Protocol::Udp, free);
    host.start(&host.place(), setup).await.unwrap();
}

/// A channel that only connects has no socket of its own; each connection names its own port.
pub async fn a_channel_without_a_listener_only_connects<H: AdapterHost>(host: &H) {
    let mut bob = build(host, |builder| builder).await;
    let here = host.place();
    let silent = ChannelConfig::new(Protocol::Tcp, here.any_port(Family::V4)).listener(false);
    let (transport, incoming) = SipTransport::<H::Runtime>::builder()
        .channel(silent)
        .bind()
        .await
        .unwrap();
    let alice = Adapter {
        transport,
        incoming,
    };
    let [channel] = alice.transport.local_endpoints()[..] else {
        panic!("one channel");
    };
    assert_eq!(channel.addr.port(), 0);
    let to = bob.channel(Protocol::Tcp, Family::V4);
    let to = SipEndpoint::new(Protocol::Tcp, to.addr);
    let options = SendOptions::new().channel(channel.channel.unwrap());
    let sent = alice
        .send(request(Method::Options, to).into(), options)
        .await
        .unwrap();
    assert_eq!(sent.local().channel, channel.channel);
    let (_, remote, request) = next_request(&mut bob).await;
    assert_eq!(remote.addr, sent.local().addr);
    let port = request.top_via().unwrap().sent_by().port();
    assert_eq!(port, Some(sent.local().addr.port()));
}

pub async fn what_is_not_bound_says_why<H: AdapterHost>(host: &H) {
    let alice = build(host, |builder| builder).await.transport;
    let there = host.place().any_port(Family::V4);
    let taken = ChannelConfig::new(Protocol::Udp, there).sockets(1);
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
    let not_here = ChannelConfig::new(Protocol::Tcp, elsewhere);
    let Err(BindError::Io {
        protocol,
        addr,
        source,
        ..
    }) = alice.add_channel(not_here).await
    else {
        panic!("the address is of no interface");
    };
    assert_eq!((protocol, addr), (Protocol::Tcp, elsewhere));
    assert_eq!(source.kind(), ErrorKind::AddrNotAvailable);
    // A cause can be had as such, not only in words.
    let error = BindError::Runtime(ErrorKind::NotFound.into());
    assert!(
        error
            .source()
            .is_some_and(|cause| cause.is::<std::io::Error>())
    );

    let group = taken.join(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
    let no_group = alice.add_channel(group).await;
    assert!(matches!(
        no_group,
        Err(BindError::Channel(_) | BindError::Io { .. })
    ));

    let id = alice.local_endpoints()[0].channel.unwrap();
    alice.remove_channel(id).await.unwrap();
    let again = alice.remove_channel(id).await;
    assert_eq!(again, Err(ChannelError::Unknown(id)));
}

pub async fn a_plan_is_told_without_sending<H: AdapterHost>(host: &H) {
    let here = host.place();
    let zone =
        "_sip._udp.example.test SRV 1 0 5070 one.example.test\none.example.test A 192.0.2.77";
    let setup = Setup::new()
        .udp_and(Protocol::Tcp, &here, Family::V4)
        .zone(zone.parse().unwrap());
    let alice = host.start(&here, setup).await.unwrap();
    let plan = async |uri| {
        let message = request_to(Method::Options, uri, b"");
        alice.transport.send_request(message).plan().await
    };
    let targets = plan("sip:bob@example.test").await.unwrap();
    let [target] = &targets[..] else {
        panic!("{targets:?}");
    };
    assert_eq!(
        target.to_string(),
        "udp:192.0.2.77:5070 (no NAPTR; SRV _sip._udp.example.test 1 0; A one.example.test)"
    );
    let nobody = plan("sip:nobody.test").await;
    assert!(matches!(nobody, Err(SendCause::Resolve(_))), "{nobody:?}");
    assert_eq!(alice.stats().messages_out, 0);
    alice.shutdown().await;
    let late = plan("sip:bob@example.test").await;
    assert_eq!(late.unwrap_err(), SendCause::ShuttingDown);
}

/// Never answers.
#[derive(Debug)]
struct Silent;

impl Resolve for Silent {
    fn lookup(&self, _: LookupKind, _: DomainName) -> BoxFuture<Answer> {
        Box::pin(std::future::pending())
    }
}

// bad-inputs: D2
pub async fn a_resolver_that_never_answers_ends_the_send_and_leaves_no_task<H: AdapterHost>(
    host: &H,
) {
    let (transport, _incoming) = SipTransport::<H::Runtime>::builder()
        .worker_runtimes([host.runtime()])
        .resolver(Silent)
        .bind()
        .await
        .unwrap();
    let tasks = transport.tasks();
    let message = request_to(Method::Options, "sip:bob@example.test", b"");
    let error = transport.send_request(message).await.unwrap_err();
    assert!(matches!(error.cause(), SendCause::Resolve(_)), "{error}");
    host.until(|| transport.tasks() == tasks).await;
    transport.shutdown().await;
    assert_eq!(transport.tasks(), 0);
}
