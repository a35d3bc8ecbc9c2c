//! The datagram sockets of a runtime, over the system's network.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use adapter_core::runtime::{
    DatagramFailure, Datagrams, RecvBatch, Runtime as _, SendBatch, SocketOptions,
};

use crate::suite::wait::first;
use crate::suite::{AdapterHost, Family};

/// Where a socket tells which address was asked for, and hears of ICMP errors.
const LINUX: bool = cfg!(target_os = "linux");

fn bind<H: AdapterHost>(host: &H, local: &str) -> Box<dyn Datagrams> {
    host.bind_datagrams(local.parse().unwrap()).unwrap()
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
async fn receive(socket: &dyn Datagrams, count: usize) -> (Vec<Seen>, Vec<DatagramFailure>) {
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

async fn batches_arrive_whole_and_in_order<H: AdapterHost>(host: &H, local: &str) {
    let (sender, receiver) = (bind(host, local), bind(host, local));
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

pub async fn batches_arrive_whole_and_in_order_over_ipv4<H: AdapterHost>(host: &H) {
    batches_arrive_whole_and_in_order(host, "127.0.0.1:0").await;
}

pub async fn batches_arrive_whole_and_in_order_over_ipv6<H: AdapterHost>(host: &H) {
    if host.has_ipv6() {
        batches_arrive_whole_and_in_order(host, "[::1]:0").await;
    }
}

pub async fn the_longest_datagrams_are_received_whole<H: AdapterHost>(host: &H) {
    for (local, longest) in [("127.0.0.1:0", 65_507), ("[::1]:0", 65_527)] {
        if local.starts_with('[') && !host.has_ipv6() {
            continue;
        }
        let (sender, receiver) = (bind(host, local), bind(host, local));
        for fill in 0..3 {
            send(&*sender, receiver.local_addr(), &vec![fill; longest]);
        }
        let (seen, _) = receive(&*receiver, 3).await;
        for (fill, (data, ..)) in (0..).zip(seen) {
            assert_eq!(data, vec![fill; longest]);
        }
    }
}

pub async fn no_wake_up_is_lost_between_threads<H: AdapterHost>(host: &H) {
    const ROUNDS: u64 = 20_000;
    // More than go into one batch, so that full ones and others take turns.
    const WINDOW: u64 = 40;
    let (client, server) = (bind(host, "127.0.0.1:0"), bind(host, "127.0.0.1:0"));
    let to = server.local_addr();
    host.runtime().spawn(Box::pin(async move {
        let (mut incoming, mut outgoing) = (RecvBatch::new(), SendBatch::new(1 << 20));
        let mut echoed = 0;
        while echoed < ROUNDS {
            poll_fn(|cx| server.poll_recv(cx, &mut incoming))
                .await
                .unwrap();
            for datagram in incoming.iter() {
                push(&mut outgoing, datagram.remote, 0, datagram.data);
                echoed += 1;
            }
            server.try_send(&mut outgoing).unwrap();
        }
    }));
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
}

// RFC 3261 §18.2.2: what came to one of several addresses is answered from that address.
pub async fn a_wildcard_socket_tells_the_address_asked_and_answers_from_it<H: AdapterHost>(
    host: &H,
) {
    if !LINUX {
        return;
    }
    let (server, client) = (bind(host, "0.0.0.0:0"), bind(host, "127.0.0.1:0"));
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

pub async fn an_ipv6_wildcard_socket_tells_the_address_asked<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    if !host.has_ipv6() {
        return;
    }
    let (server, client) = (bind(host, "[::]:0"), bind(host, "[::1]:0"));
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
pub async fn a_dual_stack_socket_shows_ipv4_as_ipv4<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    if !host.has_ipv6() {
        return;
    }
    let mut options = SocketOptions::default();
    options.dual_stack = true;
    let server = host
        .runtime()
        .bind_datagrams("[::]:0".parse().unwrap(), &options)
        .unwrap();
    let client = bind(host, "127.0.0.1:0");
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

    let gone = closed_port(host);
    send(&*server, gone, b"nobody");
    assert_eq!(failures(&*server).await[0].destination, gone);
}

pub async fn both_families_share_a_port<H: AdapterHost>(host: &H) {
    if !host.has_ipv6() {
        return;
    }
    // The port that the one got may be another's of the other family.
    let (v4, v6) = (0..16)
        .find_map(|_| {
            let v4 = bind(host, "0.0.0.0:0");
            let port = v4.local_addr().port();
            let v6 = host.bind_datagrams(format!("[::]:{port}").parse().unwrap());
            Some((v4, v6.ok()?))
        })
        .unwrap();
    let port = v4.local_addr().port();
    let (client_v4, client_v6) = (bind(host, "127.0.0.1:0"), bind(host, "[::1]:0"));
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
fn closed_port<H: AdapterHost>(host: &H) -> SocketAddr {
    std::net::UdpSocket::bind(host.place().any_port(Family::V4))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Waits for failure reports.
async fn failures(socket: &dyn Datagrams) -> Vec<DatagramFailure> {
    let mut batch = RecvBatch::new();
    poll_fn(|cx| socket.poll_recv(cx, &mut batch))
        .await
        .unwrap();
    std::mem::take(batch.failures())
}

// conformance: 152
pub async fn an_unreachable_port_is_reported_with_its_destination<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    for local in ["127.0.0.1:0", "0.0.0.0:0"] {
        let socket = bind(host, local);
        // Twice, so that being woken once is not all there is.
        for _ in 0..2 {
            let gone = closed_port(host);
            send(&*socket, gone, b"nobody");
            let reports = failures(&*socket).await;
            assert_eq!(reports.len(), 1, "{reports:?}");
            assert_eq!((reports[0].id, reports[0].destination), (None, gone));
            assert_eq!(reports[0].error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}

// conformance: 152
pub async fn an_unreachable_ipv6_port_is_reported_with_its_destination<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    if !host.has_ipv6() {
        return;
    }
    let socket = bind(host, "[::]:0");
    let gone = std::net::UdpSocket::bind("[::1]:0")
        .unwrap()
        .local_addr()
        .unwrap();
    send(&*socket, gone, b"nobody");
    assert_eq!(failures(&*socket).await[0].destination, gone);
}

pub async fn an_unreachable_port_harms_no_other_peer<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    let (socket, peer) = (bind(host, "127.0.0.1:0"), bind(host, "127.0.0.1:0"));
    let mut gone = Vec::new();
    let mut batch = SendBatch::new(1 << 20);
    for id in 0..100 {
        gone.push(closed_port(host));
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
pub async fn a_datagram_that_cannot_go_is_reported_and_the_others_go<H: AdapterHost>(host: &H) {
    let (socket, peer) = (bind(host, "127.0.0.1:0"), bind(host, "127.0.0.1:0"));
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

pub async fn waiting_for_room_to_send_ends<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    let (socket, gone) = (bind(host, "127.0.0.1:0"), closed_port(host));
    // Also after an ICMP error.
    send(&*socket, gone, b"nobody");
    failures(&*socket).await;
    for _ in 0..2 {
        poll_fn(|cx| socket.poll_send_ready(cx)).await.unwrap();
    }
}

/// epoll tells of an ICMP error until it has been read, and of both directions.
pub async fn an_unreachable_port_wakes_who_waits_once<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    let socket = bind(host, "127.0.0.1:0");
    for _ in 0..3 {
        send(&*socket, closed_port(host), b"nobody");
        failures(&*socket).await;
    }
    let (mut polls, mut batch) = (0, RecvBatch::new());
    let mut room = false;
    let wait = poll_fn(|cx| {
        polls += 1;
        room = room || socket.poll_send_ready(cx).is_ready();
        socket.poll_recv(cx, &mut batch).map(Result::unwrap)
    });
    let quiet = host.sleep(Duration::from_millis(50));
    first(wait, quiet).await;
    assert!(batch.is_empty() && batch.failures().is_empty());
    // A busy machine wakes a task now and then for nothing; an event that stays does it thousands
    // of times.
    assert!(polls < 200, "{polls} times");
}

pub async fn sockets_with_reuse_port_share_an_address<H: AdapterHost>(host: &H) {
    if !LINUX {
        return;
    }
    let mut options = SocketOptions::default();
    options.reuse_port = true;
    let first = host
        .runtime()
        .bind_datagrams("127.0.0.1:0".parse().unwrap(), &options)
        .unwrap();
    let second = host
        .runtime()
        .bind_datagrams(first.local_addr(), &options)
        .unwrap();
    assert_eq!(first.local_addr(), second.local_addr());
    assert!(
        host.runtime()
            .bind_datagrams(first.local_addr(), &SocketOptions::default())
            .is_err()
    );
    // 64 peers: each reaches one of the two, and both are reached.
    let clients: Vec<_> = (0..64).map(|_| bind(host, "127.0.0.1:0")).collect();
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

pub async fn datagrams_are_had_on_a_socket_that_a_thread_outside_the_runtime_bound<
    H: AdapterHost,
>(
    host: &H,
) {
    let runtime = host.runtime();
    let local = "127.0.0.1:0".parse().unwrap();
    let bind = move || runtime.bind_datagrams(local, &SocketOptions::default());
    let socket = host.outside(bind).await.unwrap();
    send(&*socket, socket.local_addr(), b"self");
    assert_eq!(receive(&*socket, 1).await.0[0].0, b"self");
}
