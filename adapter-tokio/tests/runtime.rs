//! The runtime traits on tokio, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use adapter_core::{
    CurrentRuntime as _, Datagrams, RecvBatch, Runtime, SendBatch, SendFailure, SocketOptions,
};
use adapter_tokio::TokioRuntime;

fn runtime() -> TokioRuntime {
    TokioRuntime::current().unwrap()
}

fn bind(local: &str) -> Box<dyn Datagrams> {
    runtime()
        .bind_datagrams(local.parse().unwrap(), &SocketOptions::default())
        .unwrap()
}

fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

fn push(batch: &mut SendBatch, destination: SocketAddr, id: u64, data: &[u8]) {
    batch
        .push(destination, None, id, |buffer| {
            buffer.extend_from_slice(data)
        })
        .unwrap();
}

fn send(socket: &dyn Datagrams, destination: SocketAddr, data: &[u8]) {
    let mut batch = SendBatch::new(100_000);
    push(&mut batch, destination, 0, data);
    socket.try_send(&mut batch).unwrap();
    assert!(batch.failures().is_empty(), "{:?}", batch.failures());
}

/// What a datagram was: payload, remote address, local address.
type Seen = (Vec<u8>, SocketAddr, IpAddr);

/// Receives at least `count` datagrams, and the failures reported meanwhile.
async fn receive(socket: &dyn Datagrams, count: usize) -> (Vec<Seen>, Vec<SendFailure>) {
    let mut batch = RecvBatch::new();
    let (mut seen, mut failures) = (Vec::new(), Vec::new());
    while seen.len() < count {
        poll_fn(|cx| socket.poll_recv(cx, &mut batch))
            .await
            .unwrap();
        seen.extend(batch.iter().map(|d| (d.data.to_vec(), d.remote, d.local)));
        failures.append(batch.failures());
    }
    (seen, failures)
}

async fn batches_arrive_whole_and_in_order(local: &str) {
    let (sender, receiver) = (bind(local), bind(local));
    let sent: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; usize::from(i) * 10]).collect();
    let mut batch = SendBatch::new(1 << 20);
    for data in &sent {
        push(&mut batch, receiver.local_addr(), 0, data);
    }
    sender.try_send(&mut batch).unwrap();
    assert!(batch.is_empty() && batch.failures().is_empty());

    let (seen, failures) = receive(&*receiver, sent.len()).await;
    assert!(failures.is_empty());
    let local = receiver.local_addr().ip();
    for (seen, sent) in seen.iter().zip(&sent) {
        assert_eq!(seen, &(sent.clone(), sender.local_addr(), local));
    }
    assert_eq!(seen.len(), sent.len());
}

#[tokio::test]
async fn batches_arrive_whole_and_in_order_over_ipv4() {
    batches_arrive_whole_and_in_order("127.0.0.1:0").await;
}

#[tokio::test]
async fn batches_arrive_whole_and_in_order_over_ipv6() {
    if has_ipv6() {
        batches_arrive_whole_and_in_order("[::1]:0").await;
    }
}

#[tokio::test]
async fn the_longest_datagrams_are_received_whole() {
    for (local, longest) in [("127.0.0.1:0", 65_507), ("[::1]:0", 65_527)] {
        if local.starts_with('[') && !has_ipv6() {
            continue;
        }
        let (sender, receiver) = (bind(local), bind(local));
        for fill in 0..3 {
            send(&*sender, receiver.local_addr(), &vec![fill; longest]);
        }
        let (seen, _) = receive(&*receiver, 3).await;
        for (fill, (data, ..)) in (0..).zip(seen) {
            assert_eq!(data, vec![fill; longest]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_between_threads() {
    const ROUNDS: u64 = 20_000;
    // More than go into one batch, so that full ones and others take turns.
    const WINDOW: u64 = 40;
    let (client, server) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let to = server.local_addr();
    let echo = tokio::spawn(async move {
        let (mut incoming, mut outgoing) = (RecvBatch::new(), SendBatch::new(1 << 20));
        loop {
            poll_fn(|cx| server.poll_recv(cx, &mut incoming))
                .await
                .unwrap();
            for datagram in incoming.iter() {
                push(&mut outgoing, datagram.remote, 0, datagram.data);
            }
            server.try_send(&mut outgoing).unwrap();
        }
    });
    let rounds = async {
        let (mut incoming, mut outgoing) = (RecvBatch::new(), SendBatch::new(1 << 20));
        let (mut sent, mut answered) = (0, 0);
        while answered < ROUNDS {
            while sent < ROUNDS && sent - answered < WINDOW {
                push(&mut outgoing, to, sent, b"ping");
                sent += 1;
            }
            client.try_send(&mut outgoing).unwrap();
            poll_fn(|cx| client.poll_recv(cx, &mut incoming))
                .await
                .unwrap();
            answered += incoming.len() as u64;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), rounds)
        .await
        .expect("a wake-up is lost");
    echo.abort();
}

// RFC 3261 §18.2.2: what came to one of several addresses is answered from that address.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_wildcard_socket_tells_the_address_asked_and_answers_from_it() {
    let (server, client) = (bind("0.0.0.0:0"), bind("127.0.0.1:0"));
    let port = server.local_addr().port();
    let asked: [IpAddr; 2] = ["127.0.0.2".parse().unwrap(), "127.0.0.3".parse().unwrap()];
    for ip in asked {
        send(&*client, (ip, port).into(), b"request");
    }
    let (requests, _) = receive(&*server, 2).await;
    assert_eq!(requests.iter().map(|r| r.2).collect::<Vec<_>>(), asked);

    let mut batch = SendBatch::new(1000);
    for (_, remote, local) in requests {
        batch
            .push(remote, Some(local), 0, |buffer| buffer.push(b'r'))
            .unwrap();
    }
    // Without a source, after a send with one: the system's choice again.
    push(&mut batch, client.local_addr(), 0, b"r");
    server.try_send(&mut batch).unwrap();
    assert!(batch.failures().is_empty());
    let (responses, _) = receive(&*client, 3).await;
    let sources = responses.iter().map(|r| r.1);
    let system: IpAddr = "127.0.0.1".parse().unwrap();
    assert!(sources.eq([asked[0], asked[1], system].map(|ip| (ip, port).into())));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_ipv6_wildcard_socket_tells_the_address_asked() {
    if !has_ipv6() {
        return;
    }
    let (server, client) = (bind("[::]:0"), bind("[::1]:0"));
    let to: SocketAddr = ("::1".parse::<IpAddr>().unwrap(), server.local_addr().port()).into();
    send(&*client, to, b"request");
    let (requests, _) = receive(&*server, 1).await;
    assert_eq!(
        requests,
        [(b"request".to_vec(), client.local_addr(), to.ip())]
    );
    let mut batch = SendBatch::new(1000);
    batch
        .push(client.local_addr(), Some(to.ip()), 0, |buffer| {
            buffer.push(b'r')
        })
        .unwrap();
    server.try_send(&mut batch).unwrap();
    assert_eq!(receive(&*client, 1).await.0[0].1, to);
}

// conformance: 122
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dual_stack_socket_shows_ipv4_as_ipv4() {
    if !has_ipv6() {
        return;
    }
    let mut options = SocketOptions::default();
    options.dual_stack = true;
    let server = runtime()
        .bind_datagrams("[::]:0".parse().unwrap(), &options)
        .unwrap();
    let client = bind("127.0.0.1:0");
    let to: SocketAddr = (
        "127.0.0.2".parse::<IpAddr>().unwrap(),
        server.local_addr().port(),
    )
        .into();
    send(&*client, to, b"request");
    let (requests, _) = receive(&*server, 1).await;
    assert_eq!(
        requests,
        [(b"request".to_vec(), client.local_addr(), to.ip())]
    );
    let mut batch = SendBatch::new(1000);
    batch
        .push(client.local_addr(), Some(to.ip()), 0, |buffer| {
            buffer.push(b'r')
        })
        .unwrap();
    server.try_send(&mut batch).unwrap();
    assert_eq!(receive(&*client, 1).await.0[0].1, to);

    let gone = closed_port();
    send(&*server, gone, b"nobody");
    assert_eq!(failures(&*server).await[0].destination, gone);
}

#[tokio::test]
async fn both_families_share_a_port() {
    if !has_ipv6() {
        return;
    }
    let v4 = bind("0.0.0.0:0");
    let port = v4.local_addr().port();
    let v6 = bind(&format!("[::]:{port}"));
    let (client_v4, client_v6) = (bind("127.0.0.1:0"), bind("[::1]:0"));
    send(
        &*client_v4,
        ("127.0.0.1".parse::<IpAddr>().unwrap(), port).into(),
        b"four",
    );
    send(
        &*client_v6,
        ("::1".parse::<IpAddr>().unwrap(), port).into(),
        b"six",
    );
    assert_eq!(receive(&*v4, 1).await.0[0].0, b"four");
    assert_eq!(receive(&*v6, 1).await.0[0].0, b"six");
}

/// A local address that nobody is bound to.
fn closed_port() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.9:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Waits for failure reports.
async fn failures(socket: &dyn Datagrams) -> Vec<SendFailure> {
    let mut batch = RecvBatch::new();
    poll_fn(|cx| socket.poll_recv(cx, &mut batch))
        .await
        .unwrap();
    std::mem::take(batch.failures())
}

// conformance: 152
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unreachable_port_is_reported_with_its_destination() {
    for local in ["127.0.0.1:0", "0.0.0.0:0"] {
        let socket = bind(local);
        // Twice, so that being woken once is not all there is.
        for _ in 0..2 {
            let gone = closed_port();
            send(&*socket, gone, b"nobody");
            let reports = failures(&*socket).await;
            assert_eq!(reports.len(), 1, "{reports:?}");
            assert_eq!((reports[0].id, reports[0].destination), (None, gone));
            assert_eq!(reports[0].error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}

// conformance: 152
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unreachable_ipv6_port_is_reported_with_its_destination() {
    if !has_ipv6() {
        return;
    }
    let socket = bind("[::]:0");
    let gone = std::net::UdpSocket::bind("[::1]:0")
        .unwrap()
        .local_addr()
        .unwrap();
    send(&*socket, gone, b"nobody");
    assert_eq!(failures(&*socket).await[0].destination, gone);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unreachable_port_harms_no_other_peer() {
    let (socket, peer) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let mut gone = Vec::new();
    let mut batch = SendBatch::new(1 << 20);
    for id in 0..100 {
        gone.push(closed_port());
        push(&mut batch, gone[gone.len() - 1], 1000 + id, b"nobody");
        push(&mut batch, peer.local_addr(), id, &id.to_be_bytes());
    }
    socket.try_send(&mut batch).unwrap();
    let (seen, _) = receive(&*peer, 100).await;
    assert!(
        seen.iter()
            .map(|s| s.0.as_slice())
            .eq((0..100u64).map(u64::to_be_bytes).collect::<Vec<_>>().iter())
    );
    send(&*peer, socket.local_addr(), b"answer");
    let (seen, mut reports) = receive(&*socket, 1).await;
    assert_eq!(seen[0].0, b"answer");
    reports.append(batch.failures());
    assert!(!reports.is_empty());
    assert!(
        reports
            .iter()
            .all(|r| r.id.is_none() && gone.contains(&r.destination)),
        "{reports:?}"
    );
}

// conformance: 155
#[tokio::test]
async fn a_datagram_that_cannot_go_is_reported_and_the_others_go() {
    let (socket, peer) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let mut batch = SendBatch::new(1 << 20);
    push(&mut batch, peer.local_addr(), 1, b"first");
    push(&mut batch, peer.local_addr(), 2, &[0; 65_508]);
    push(&mut batch, peer.local_addr(), 3, b"second");
    push(
        &mut batch,
        "[::1]:5060".parse().unwrap(),
        4,
        b"wrong family",
    );
    push(&mut batch, peer.local_addr(), 5, b"third");
    socket.try_send(&mut batch).unwrap();
    assert!(batch.is_empty());
    let ids: Vec<_> = batch.failures().iter().map(|f| f.id).collect();
    assert_eq!(ids, [Some(2), Some(4)]);
    let (seen, _) = receive(&*peer, 3).await;
    let data: Vec<_> = seen.iter().map(|s| s.0.as_slice()).collect();
    assert_eq!(data, [&b"first"[..], b"second", b"third"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn waiting_for_room_to_send_ends() {
    let (socket, gone) = (bind("127.0.0.1:0"), closed_port());
    // Also after an ICMP error.
    send(&*socket, gone, b"nobody");
    failures(&*socket).await;
    for _ in 0..2 {
        poll_fn(|cx| socket.poll_send_ready(cx)).await.unwrap();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn sockets_with_reuse_port_share_an_address() {
    let mut options = SocketOptions::default();
    options.reuse_port = true;
    let first = runtime()
        .bind_datagrams("127.0.0.1:0".parse().unwrap(), &options)
        .unwrap();
    let second = runtime()
        .bind_datagrams(first.local_addr(), &options)
        .unwrap();
    assert_eq!(first.local_addr(), second.local_addr());
    assert!(
        runtime()
            .bind_datagrams(first.local_addr(), &SocketOptions::default())
            .is_err()
    );
    // 64 peers: each reaches one of the two, and both are reached.
    let clients: Vec<_> = (0..64).map(|_| bind("127.0.0.1:0")).collect();
    for client in &clients {
        send(&**client, first.local_addr(), b"request");
    }
    let (mut from_first, mut from_second) = (RecvBatch::new(), RecvBatch::new());
    let (mut a, mut b) = (0, 0);
    while a + b < clients.len() {
        poll_fn(|cx| {
            let ready = first
                .poll_recv(cx, &mut from_first)
                .map(|r| r.map(|()| a += from_first.len()));
            match second.poll_recv(cx, &mut from_second) {
                Poll::Ready(result) => Poll::Ready(result.map(|()| b += from_second.len())),
                Poll::Pending => ready,
            }
        })
        .await
        .unwrap();
    }
    assert!(a > 0 && b > 0, "{a} {b}");
}

#[tokio::test]
async fn a_stream_carries_bytes_both_ways_and_ends() {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        if local.starts_with('[') && !has_ipv6() {
            continue;
        }
        let listener = runtime()
            .listen(local.parse().unwrap(), &SocketOptions::default())
            .unwrap();
        let source: SocketAddr = local.parse().unwrap();
        let client = runtime()
            .connect(listener.local_addr(), Some(source))
            .await
            .unwrap();
        let (server, remote) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        assert_eq!(
            (server.remote_addr(), remote),
            (client.local_addr(), client.local_addr())
        );
        assert_eq!(server.local_addr(), client.remote_addr());

        let mut buffer = [0; 16];
        for (from, to) in [(&client, &server), (&server, &client)] {
            assert_eq!(
                poll_fn(|cx| from.poll_write(cx, b"bytes")).await.unwrap(),
                5
            );
            assert_eq!(
                poll_fn(|cx| to.poll_read(cx, &mut buffer)).await.unwrap(),
                5
            );
            let kind = to.try_read(&mut buffer).unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::WouldBlock);
        }
        client.shutdown().unwrap();
        assert_eq!(
            poll_fn(|cx| server.poll_read(cx, &mut buffer))
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            poll_fn(|cx| server.poll_write(cx, b"late")).await.unwrap(),
            4
        );
        assert_eq!(
            poll_fn(|cx| client.poll_read(cx, &mut buffer))
                .await
                .unwrap(),
            4
        );
    }
}

#[tokio::test]
async fn a_full_stream_would_block_until_it_is_read() {
    let listener = runtime()
        .listen("127.0.0.1:0".parse().unwrap(), &SocketOptions::default())
        .unwrap();
    let client = runtime()
        .connect(listener.local_addr(), None)
        .await
        .unwrap();
    let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    let mut written = 0;
    poll_fn(|cx| client.poll_write_ready(cx)).await.unwrap();
    loop {
        match client.try_write(&[0; 65_536]) {
            Ok(count) => written += count,
            Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    let (mut read, mut buffer) = (0, [0; 65_536]);
    while read < written {
        read += poll_fn(|cx| server.poll_read(cx, &mut buffer))
            .await
            .unwrap();
    }
    assert!(poll_fn(|cx| client.poll_write(cx, b"more")).await.unwrap() > 0);
}

// conformance: 154
#[tokio::test]
async fn a_refused_connection_is_an_error() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = runtime().connect(gone, None).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn timers_follow_the_clock_of_the_runtime() {
    let runtime = runtime();
    let start = runtime.now();
    let mut timer = runtime.timer(start + Duration::from_secs(3600));
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(runtime.now() >= start + Duration::from_secs(3600));
    timer.reset(start + Duration::from_secs(7200));
    poll_fn(|cx| timer.poll(cx)).await;
    assert!(runtime.now() >= start + Duration::from_secs(7200));
}

#[tokio::test]
async fn sockets_open_from_threads_outside_the_runtime() {
    let outside = runtime();
    let (socket, listener) = std::thread::spawn(move || {
        let options = SocketOptions::default();
        let local = "127.0.0.1:0".parse().unwrap();
        let socket = outside.bind_datagrams(local, &options).unwrap();
        drop(outside.timer(outside.now()));
        (socket, outside.listen(local, &options).unwrap())
    })
    .join()
    .unwrap();
    send(&*socket, socket.local_addr(), b"self");
    assert_eq!(receive(&*socket, 1).await.0[0].0, b"self");
    runtime()
        .connect(listener.local_addr(), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn lookup_answers_for_numbers_and_localhost_and_fails_for_invalid() {
    let runtime = runtime();
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    assert_eq!(runtime.lookup("192.0.2.1".into()).await.unwrap(), [ip]);
    let local = runtime.lookup("localhost".into()).await.unwrap();
    assert!(
        !local.is_empty() && local.iter().all(IpAddr::is_loopback),
        "{local:?}"
    );
    runtime
        .lookup("a name with spaces".into())
        .await
        .unwrap_err();
}

#[tokio::test]
async fn the_local_address_is_the_one_the_system_sends_from() {
    let remote = "127.0.0.7:0".parse().unwrap();
    let local: IpAddr = "127.0.0.1".parse().unwrap();
    assert_eq!(runtime().local_address(remote).unwrap(), local);
}

#[tokio::test]
async fn seeds_differ() {
    let mut seeds = [[0; 32]; 2];
    for seed in &mut seeds {
        runtime().fill_random(seed).unwrap();
    }
    assert!(seeds[0] != seeds[1] && seeds[0] != [0; 32]);
}
