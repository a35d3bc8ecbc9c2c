//! The simulated network does what its links and calls say, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sip_transport_proto::resolve::{self, DomainName, LookupKind, Record};
use sip_transport_proto::sim::{Crash, HostId, Link, NameAnswer, Network, Ready, SocketHandle};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const MILLI: Duration = Duration::from_millis(1);

/// Two hosts, a and b, on a link of 10 ms.
fn network(link: Link) -> (Network, HostId, HostId) {
    let mut network = Network::new(1, Instant::now());
    network.set_default_link(link.with_latency(10 * MILLI));
    let a = network.add_host("a", &[ip("192.0.2.1"), ip("2001:db8::1")]);
    let b = network.add_host("b", &[ip("192.0.2.2")]);
    (network, a, b)
}

/// Lets so much time pass and gives what became possible.
fn pass(network: &mut Network, time: Duration) -> Vec<Ready> {
    network.advance(network.now() + time);
    core::iter::from_fn(|| network.poll_ready()).collect()
}

/// How many of 100 datagrams of 2,000 bytes arrive.
fn arrive(link: Link) -> usize {
    let (mut network, a, b) = network(link);
    let from = network.bind(a, addr("192.0.2.1:5060")).unwrap();
    let to = network.bind(b, addr("0.0.0.0:5060")).unwrap();
    for _ in 0..100 {
        network
            .send_datagram(from, None, addr("192.0.2.2:5060"), &[7; 2_000])
            .unwrap();
    }
    pass(&mut network, 100 * MILLI);
    core::iter::from_fn(|| network.recv_datagram(to)).count()
}

/// An open stream: its two ends.
fn stream(network: &mut Network, a: HostId, b: HostId) -> (SocketHandle, SocketHandle) {
    let listener = network.listen(b, addr("0.0.0.0:5060")).unwrap();
    let near = network.connect(a, None, addr("192.0.2.2:5060")).unwrap();
    let ready = pass(network, 20 * MILLI);
    assert_eq!(ready, [Ready::Accept(listener), Ready::Connected(near)]);
    let (far, remote) = network.accept(listener).unwrap();
    assert_eq!(Some(remote), network.local_addr(near));
    (near, far)
}

fn read(network: &mut Network, stream: SocketHandle) -> Result<Vec<u8>, ErrorKind> {
    let mut buffer = [0; 1_000];
    network
        .read(stream, &mut buffer)
        .map(|n| buffer[..n].to_vec())
}

#[test]
fn a_datagram_takes_the_latency_and_says_where_it_came_from() {
    let (mut network, a, b) = network(Link::default());
    let from = network.bind(a, addr("0.0.0.0:5060")).unwrap();
    let to = network.bind(b, addr("0.0.0.0:5060")).unwrap();
    network
        .send_datagram(from, None, addr("192.0.2.2:5060"), b"x")
        .unwrap();
    assert!(pass(&mut network, 9 * MILLI).is_empty());
    assert_eq!(pass(&mut network, MILLI), [Ready::Datagram(to)]);
    let datagram = network.recv_datagram(to).unwrap();
    assert_eq!(datagram.remote, addr("192.0.2.1:5060"));
    assert_eq!(datagram.local, ip("192.0.2.2"));
    assert_eq!(network.next_event_at(), None);
}

#[test]
fn loss_duplication_and_fragments_count() {
    assert_eq!(arrive(Link::default()), 100);
    assert_eq!(arrive(Link::default().with_loss(1.0)), 0);
    assert_eq!(arrive(Link::default().with_duplication(1.0)), 200);
    assert_eq!(arrive(Link::default().with_mtu(1_400)), 100);
    assert_eq!(
        arrive(Link::default().with_mtu(1_400).with_fragments(false)),
        0
    );
    let half = arrive(Link::default().with_loss(0.5));
    assert!((25..75).contains(&half), "{half}");
    let pieces = arrive(Link::default().with_loss(0.5).with_mtu(500));
    assert!(pieces < half / 2, "{pieces} of {half}");
}

#[test]
fn what_cannot_be_sent_is_an_error() {
    let (mut network, a, _) = network(Link::default());
    let from = network.bind(a, addr("192.0.2.1:5060")).unwrap();
    let mut send = |to: &str, len| network.send_datagram(from, None, addr(to), &vec![0; len]);
    assert_eq!(send("192.0.2.2:5060", 65_508), Err(ErrorKind::InvalidInput));
    assert_eq!(send("192.0.2.2:0", 1), Err(ErrorKind::InvalidInput));
    assert_eq!(
        send("[2001:db8::2]:5060", 1),
        Err(ErrorKind::AddrNotAvailable)
    );
    assert_eq!(
        send("192.0.2.77:5060", 1),
        Ok(()),
        "nobody there is no error"
    );
}

#[test]
fn a_datagram_to_nobody_comes_back_as_unreachable() {
    let (mut network, a, _) = network(Link::default());
    let socket = network.bind(a, addr("192.0.2.1:0")).unwrap();
    let destination = addr("192.0.2.2:9");
    network
        .send_datagram(socket, None, destination, b"x")
        .unwrap();
    let back = Ready::Unreachable {
        socket,
        destination,
    };
    assert_eq!(pass(&mut network, 20 * MILLI), [back]);
}

#[test]
fn addresses_are_taken_once_and_only_by_their_host() {
    let (mut network, a, b) = network(Link::default());
    let socket = network.bind(a, addr("192.0.2.1:5060")).unwrap();
    let again = network.bind(a, addr("192.0.2.1:5060"));
    assert_eq!(again, Err(ErrorKind::AddrInUse));
    assert_eq!(
        network.bind(b, addr("192.0.2.1:5060")),
        Err(ErrorKind::AddrNotAvailable)
    );
    network.listen(a, addr("192.0.2.1:5060")).unwrap();
    network.close(socket);
    network.bind(a, addr("192.0.2.1:5060")).unwrap();
    network.set_socket_limit(a, 2);
    assert_eq!(
        network.bind(a, addr("192.0.2.1:0")),
        Err(ErrorKind::QuotaExceeded)
    );
}

#[test]
fn a_connection_to_nobody_is_refused_and_to_nowhere_never_ends() {
    let (mut network, a, _) = network(Link::default());
    let refused = network.connect(a, None, addr("192.0.2.2:9")).unwrap();
    let lost = network.connect(a, None, addr("192.0.2.77:9")).unwrap();
    let failed = Ready::ConnectFailed(refused, ErrorKind::ConnectionRefused);
    assert_eq!(pass(&mut network, 1_000 * MILLI), [failed]);
    assert_eq!(
        network.is_connected(refused),
        Err(ErrorKind::ConnectionRefused)
    );
    assert_eq!(network.is_connected(lost), Ok(false));
}

#[test]
fn a_stream_keeps_order_under_loss_and_jitter() {
    let link = Link::default()
        .with_loss(0.3)
        .with_jitter(50 * MILLI)
        .with_write_sizes(1..=7);
    let (mut network, a, b) = network(link.clone());
    network.set_link(a, b, Link::default());
    let (near, far) = stream_now(&mut network, a, b);
    network.set_link(a, b, link);
    let data: Vec<u8> = (0..=255).collect();
    let mut rest = &data[..];
    while !rest.is_empty() {
        let n = network.write(near, rest).unwrap();
        assert!((1..=7).contains(&n));
        rest = &rest[n..];
    }
    pass(&mut network, Duration::from_secs(60));
    assert_eq!(read(&mut network, far).unwrap(), data);
}

/// As [`stream`], on a link that takes no time.
fn stream_now(network: &mut Network, a: HostId, b: HostId) -> (SocketHandle, SocketHandle) {
    let listener = network.listen(b, addr("0.0.0.0:5060")).unwrap();
    let near = network.connect(a, None, addr("192.0.2.2:5060")).unwrap();
    pass(network, MILLI);
    assert_eq!(network.is_connected(near), Ok(true));
    (near, network.accept(listener).unwrap().0)
}

#[test]
fn a_full_window_blocks_until_the_far_end_reads() {
    let (mut network, a, b) = network(Link::default().with_window(10));
    let (near, far) = stream(&mut network, a, b);
    assert_eq!(network.write(near, &[1; 30]), Ok(10));
    assert_eq!(network.write(near, &[1; 30]), Err(ErrorKind::WouldBlock));
    assert_eq!(pass(&mut network, 10 * MILLI), [Ready::Readable(far)]);
    assert_eq!(network.write(near, &[1; 30]), Err(ErrorKind::WouldBlock));
    assert_eq!(read(&mut network, far).unwrap(), [1; 10]);
    assert_eq!(pass(&mut network, 10 * MILLI), [Ready::Writable(near)]);
    assert_eq!(network.write(near, &[1; 30]), Ok(10));
}

#[test]
fn an_end_comes_behind_what_was_written() {
    let (mut network, a, b) = network(Link::default());
    let (near, far) = stream(&mut network, a, b);
    network.write(near, b"last").unwrap();
    network.close(near);
    pass(&mut network, 10 * MILLI);
    assert_eq!(read(&mut network, far).unwrap(), b"last");
    assert_eq!(read(&mut network, far).unwrap(), b"");
    // Nobody reads this any more.
    network.write(far, b"x").unwrap();
    pass(&mut network, 20 * MILLI);
    assert_eq!(network.write(far, b"x"), Err(ErrorKind::ConnectionReset));
    network.close(far);
    assert_eq!(network.open_sockets(a), 0);
}

#[test]
fn a_reset_comes_behind_what_was_written_before_it_arrived() {
    let (mut network, a, b) = network(Link::default());
    let (near, far) = stream(&mut network, a, b);
    network.write(near, b"whole").unwrap();
    pass(&mut network, 10 * MILLI);
    network.reset(near);
    assert_eq!(network.write(near, b"x"), Err(ErrorKind::ConnectionReset));
    pass(&mut network, 10 * MILLI);
    assert_eq!(read(&mut network, far).unwrap(), b"whole");
    assert_eq!(read(&mut network, far), Err(ErrorKind::ConnectionReset));
}

#[test]
fn closing_with_bytes_unread_breaks_the_stream() {
    let (mut network, a, b) = network(Link::default());
    let (near, far) = stream(&mut network, a, b);
    network.write(near, b"unread").unwrap();
    pass(&mut network, 10 * MILLI);
    network.close(far);
    pass(&mut network, 10 * MILLI);
    assert_eq!(read(&mut network, near), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_cut_loses_datagrams_and_holds_streams_up() {
    let (mut network, a, b) = network(Link::default());
    let (near, far) = stream(&mut network, a, b);
    let from = network.bind(a, addr("192.0.2.1:5060")).unwrap();
    let to = network.bind(b, addr("0.0.0.0:5060")).unwrap();
    network.cut(a, b);
    network.write(near, b"late").unwrap();
    network
        .send_datagram(from, None, addr("192.0.2.2:5060"), b"x")
        .unwrap();
    assert!(pass(&mut network, Duration::from_secs(5)).is_empty());
    network.heal(a, b);
    assert_eq!(
        pass(&mut network, Duration::from_secs(1)),
        [Ready::Readable(far)]
    );
    assert_eq!(read(&mut network, far).unwrap(), b"late");
    assert_eq!(network.recv_datagram(to), None);
}

fn name(text: &str) -> DomainName {
    DomainName::new(text).unwrap()
}

#[test]
fn names_and_routes_answer_as_they_were_set() {
    let (mut network, a, _) = network(Link::default());
    network.set_name("b.example", NameAnswer::Addresses(vec![ip("192.0.2.2")]));
    network.set_name("never.example", NameAnswer::Never);
    let known = network.lookup(a, LookupKind::A, &name("B.example"));
    let unknown = network.lookup(a, LookupKind::A, &name("c.example"));
    network.lookup(a, LookupKind::A, &name("never.example"));
    let answers = pass(&mut network, Duration::from_secs(60));
    let [
        Ready::LookedUp {
            lookup: first,
            answer: resolve::Answer::Found { records, .. },
        },
        Ready::LookedUp {
            lookup: second,
            answer: resolve::Answer::NotFound { .. },
        },
    ] = &answers[..]
    else {
        panic!("{answers:?}");
    };
    assert_eq!([*first, *second], [known, unknown]);
    assert_eq!(*records, [Record::Address(ip("192.0.2.2"))]);
    assert_eq!(
        network.local_address(a, ip("192.0.2.2")),
        Ok(ip("192.0.2.1"))
    );
    assert_eq!(
        network.local_address(a, ip("2001:db8::9")),
        Ok(ip("2001:db8::1"))
    );
    assert_eq!(
        network.local_address(a, ip("127.0.0.1")),
        Ok(ip("127.0.0.1"))
    );
    network.set_route(a, ip("192.0.2.9"), Err(ErrorKind::HostUnreachable));
    assert_eq!(
        network.local_address(a, ip("192.0.2.9")),
        Err(ErrorKind::HostUnreachable)
    );
}

#[test]
fn a_program_that_dies_is_heard_of() {
    let (mut network, a, b) = network(Link::default());
    let from = network.bind(a, addr("192.0.2.1:5060")).unwrap();
    network.bind(b, addr("0.0.0.0:5060")).unwrap();
    let (near, _) = stream(&mut network, a, b);
    network.crash(b, Crash::Program);
    assert_eq!(network.open_sockets(b), 0);
    pass(&mut network, 10 * MILLI);
    assert_eq!(read(&mut network, near), Err(ErrorKind::ConnectionReset));

    let to = addr("192.0.2.2:5060");
    network.send_datagram(from, None, to, b"x").unwrap();
    let refused = network.connect(a, None, to).unwrap();
    let heard = pass(&mut network, 20 * MILLI);
    let unreachable = Ready::Unreachable {
        socket: from,
        destination: to,
    };
    let kind = ErrorKind::ConnectionRefused;
    let failed = Ready::ConnectFailed(refused, kind);
    assert!(heard.contains(&unreachable), "{heard:?}");
    assert!(heard.contains(&failed), "{heard:?}");
}

#[test]
fn a_host_without_power_is_silent_until_it_is_back() {
    let (mut network, a, b) = network(Link::default());
    let from = network.bind(a, addr("192.0.2.1:5060")).unwrap();
    let (near, _) = stream(&mut network, a, b);
    network.crash(b, Crash::Power);
    let to = addr("192.0.2.2:5060");
    network.send_datagram(from, None, to, b"x").unwrap();
    network.write(near, b"x").unwrap();
    let late = network.connect(a, None, to).unwrap();
    assert!(pass(&mut network, Duration::from_secs(60)).is_empty());

    network.restart(b);
    let listener = network.listen(b, to).unwrap();
    let heard = pass(&mut network, Duration::from_secs(1));
    assert!(heard.contains(&Ready::Accept(listener)), "{heard:?}");
    assert!(heard.contains(&Ready::Connected(late)), "{heard:?}");
    // It knows nothing of the connection from before.
    assert_eq!(read(&mut network, near), Err(ErrorKind::ConnectionReset));
    network.close(near);
    network.close(late);
    network.close(listener);
    pass(&mut network, Duration::from_secs(1));
    assert_eq!(network.next_event_at(), None, "something is left over");
}

#[test]
fn lookups_are_lost_where_the_name_server_cannot_be_reached() {
    let (mut network, a, b) = network(Link::default());
    network.set_name_server(b);
    let zone = "b.example A 192.0.2.2".parse().unwrap();
    network.set_zone(zone);
    network.lookup(a, LookupKind::A, &name("b.example"));
    assert!(pass(&mut network, 19 * MILLI).is_empty());
    assert_eq!(pass(&mut network, MILLI).len(), 1);
    let lost = |network: &mut Network| {
        network.lookup(a, LookupKind::A, &name("b.example"));
        pass(network, Duration::from_secs(60)).is_empty()
    };
    network.cut(a, b);
    assert!(lost(&mut network));
    network.heal(a, b);
    network.crash(b, Crash::Power);
    assert!(lost(&mut network));
    network.restart(b);
    network.set_link(a, b, Link::default().with_loss(1.0));
    assert!(lost(&mut network));
    network.set_link(a, b, Link::default());
    assert!(!lost(&mut network));
}
