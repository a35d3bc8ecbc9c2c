//! What only the runtime in memory can show of adapter-core: lookups that never end, sockets that
//! run out, a runtime that goes away.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::{IntoFuture as _, poll_fn};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use adapter_core::Incoming;
use adapter_core::runtime::Runtime as _;
use adapter_core::sip_transport_proto::error::{
    AttemptCause, ChannelFailure, CloseReason, LocalFault, NextError, SendCause, SendFailure,
};
use adapter_core::sip_transport_proto::sim::{Link, NameAnswer};
use adapter_core::sip_transport_proto::sip_core::build::RequestBuilder;
use adapter_core::sip_transport_proto::sip_core::{Method, Request};
use adapter_core::sip_transport_proto::{
    ChannelConfig, Config, Deadline, Event, Protocol, Sent, SizeOutcome, SizeRule,
};
use testkit::memory::{Call, Fault, MemoryRuntime, Simulation};

type SipTransport = adapter_core::SipTransport<MemoryRuntime>;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn options(uri: &str) -> Request {
    RequestBuilder::new(Method::Options, uri)
        .build(|random| random.fill(1))
        .unwrap()
}

async fn start(runtime: &MemoryRuntime, address: &str) -> (SipTransport, Incoming) {
    SipTransport::builder()
        .udp(address.parse().unwrap())
        .tcp(address.parse().unwrap())
        .worker_runtimes([runtime.clone()])
        .bind()
        .await
        .unwrap()
}

// conformance: 155
#[cfg(target_os = "linux")]
#[test]
fn a_datagram_too_long_for_its_way_is_told_of_and_tcp_takes_it() {
    let simulation = Simulation::new(1);
    simulation.set_longest_datagram(1_000);
    let alice = simulation.add_host("alice", &[ip("192.0.2.1")]);
    let bob = simulation.add_host("bob", &[ip("192.0.2.2")]);
    alice.block_on(async {
        let (alice, mut incoming) = start(&alice, "192.0.2.1:5060").await;
        let (_bob, mut at_bob) = start(&bob, "192.0.2.2:5060").await;
        let mut request = options("sip:192.0.2.2");
        request.set_body(vec![b'x'; 900]).unwrap();
        let sent = alice.send_request(request.clone()).await.unwrap();
        let Some(Event::SendFailed { send, cause }) = incoming.recv().await else {
            panic!("it is told of");
        };
        assert_eq!((send, cause), (sent.id(), SendFailure::TooLarge));
        let rule = SizeRule::PathMtu(1_028);
        let sent = alice.send_request(request).size_rule(rule).await.unwrap();
        assert_eq!(sent.size_rule(), SizeOutcome::Tcp);
        while !matches!(at_bob.recv().await.unwrap(), Event::Request { .. }) {}
    });
}

#[test]
fn a_large_request_waits_two_seconds_for_tcp_while_others_wait_on() {
    let simulation = Simulation::new(1);
    let host = simulation.add_host("alice", &[ip("192.0.2.1")]);
    host.block_on(async {
        // Nobody has the other address: what is sent there is lost.
        let (alice, _incoming) = start(&host, "192.0.2.1:5060").await;
        let tcp = options("sip:192.0.2.2;transport=tcp");
        let wants = alice.send_request(tcp).into_future();
        let began = host.now();
        let mut large = options("sip:192.0.2.2");
        large.set_body(vec![b'x'; 1_400]).unwrap();
        let sent = alice.send_request(large).await.unwrap();
        assert_eq!(host.now() - began, Duration::from_secs(2));
        let late = AttemptCause::Deadline(Deadline::SizeRule);
        assert_eq!(sent.size_rule(), SizeOutcome::TcpFailed(late));
        let error = wants.await.unwrap_err();
        let late = AttemptCause::Deadline(Deadline::Connect);
        assert_eq!(error.tried()[0].cause, late);
        assert_eq!(host.now() - began, Duration::from_secs(10));
    });
}

#[test]
fn a_lookup_that_never_ends_fails_its_sends_and_does_not_outlive_the_transport() {
    let simulation = Simulation::new(1);
    simulation.network(|network| network.set_name("slow.example", NameAnswer::Never));
    let host = simulation.add_host("alice", &[ip("192.0.2.1")]);
    host.block_on(async {
        let (transport, _incoming) = start(&host, "192.0.2.1:5060").await;
        let started = host.now();
        let error = transport
            .send_request(options("sip:slow.example"))
            .await
            .unwrap_err();
        assert!(matches!(error.cause(), SendCause::Resolve(_)), "{error}");
        assert!(host.now() - started <= Duration::from_secs(6));

        let waiting = transport
            .send_request(options("sip:slow.example"))
            .into_future();
        transport.shutdown().await;
        assert_eq!(transport.tasks(), 0);
        assert!(host.now() - started <= Duration::from_secs(6), "it waited");
        let error = waiting.await.unwrap_err();
        assert_eq!(error.cause(), &SendCause::ShuttingDown);
    });
}

#[test]
fn a_name_with_two_addresses_is_tried_at_both() {
    let simulation = Simulation::new(2);
    let ips = vec![ip("192.0.2.7"), ip("192.0.2.2")];
    simulation.network(|network| network.set_name("bob.example", NameAnswer::Addresses(ips)));
    let [alice, bob, _nobody] = [
        ("alice", "192.0.2.1"),
        ("bob", "192.0.2.2"),
        ("nobody", "192.0.2.7"),
    ]
    .map(|(name, address)| simulation.add_host(name, &[ip(address)]));
    alice.block_on(async {
        let (transport, _incoming) = start(&alice, "192.0.2.1:5060").await;
        let (_bob, mut bobs) = start(&bob, "192.0.2.2:5060").await;
        let sent = transport
            .send_request(options("sip:bob.example:5060;transport=tcp"))
            .await
            .unwrap();
        assert_eq!(sent.remote().addr.ip(), ip("192.0.2.2"));
        loop {
            if let Event::Request { request, .. } = bobs.recv().await.unwrap() {
                assert_eq!(
                    request.raw("Call-ID"),
                    sent.message().unwrap().raw("Call-ID")
                );
                return;
            }
        }
    });
}

#[test]
fn a_message_goes_to_its_next_target_and_then_there_is_none() {
    let simulation = Simulation::new(6);
    let ips = [ip("192.0.2.2"), ip("192.0.2.3")];
    simulation
        .network(|network| network.set_name("two.example", NameAnswer::Addresses(ips.to_vec())));
    let alice = simulation.add_host("alice", &[ip("192.0.2.1")]);
    let others = ips.map(|address| simulation.add_host("other", &[address]));
    alice.block_on(async {
        let (transport, _incoming) = start(&alice, "192.0.2.1:5060").await;
        let (_bob, mut bobs) = start(&others[0], "192.0.2.2:5060").await;
        let (_carol, mut carols) = start(&others[1], "192.0.2.3:5060").await;
        let branch = |sent: &Sent| {
            let message = sent.message().unwrap();
            message.top_via().unwrap().branch().unwrap().to_owned()
        };
        let request = options("sip:two.example:5060;transport=udp");
        let first = transport.send_request(request).await.unwrap();
        assert_eq!(first.remote().addr.ip(), ips[0]);
        assert!(matches!(bobs.recv().await, Some(Event::Request { .. })));
        let first_branch = branch(&first);
        let second = transport.try_next(first).unwrap().await.unwrap();
        assert_eq!(second.remote().addr.ip(), ips[1]);
        assert_ne!(branch(&second), first_branch);
        assert!(matches!(carols.recv().await, Some(Event::Request { .. })));
        let none = transport.try_next(second).unwrap_err();
        assert!(matches!(none, NextError::NoTargetLeft(_)), "{none}");
    });
}

#[test]
fn a_message_whose_connection_closes_while_it_is_rendered_goes_over_another() {
    let simulation = Simulation::new(7);
    let [alice, bob] = [("alice", "192.0.2.1"), ("bob", "192.0.2.2")]
        .map(|(name, address)| simulation.add_host(name, &[ip(address)]));
    // The hook runs where the message is rendered.
    type Action = Box<dyn FnOnce() + Send>;
    let close: Arc<Mutex<Option<Action>>> = Arc::default();
    let in_hook = Arc::clone(&close);
    let mut config = Config::default();
    config.header_hook(move |_, _, _| {
        let close = in_hook.lock().unwrap().take();
        close.into_iter().for_each(|close| close());
    });
    alice.block_on(async {
        let (transport, _incoming) = SipTransport::builder()
            .config(config)
            .worker_runtimes([alice.clone()])
            .bind()
            .await
            .unwrap();
        let (_bob, mut bobs) = start(&bob, "192.0.2.2:5060").await;
        let request = || options("sip:192.0.2.2;transport=tcp");
        let first = transport.send_request(request()).await.unwrap();
        let connection = first.remote().connection.unwrap();
        alice.sleep(Duration::from_millis(1)).await;
        let closer = transport.clone();
        *close.lock().unwrap() = Some(Box::new(move || assert!(closer.close(connection))));
        let second = transport.send_request(request()).await.unwrap();
        assert!(close.lock().unwrap().is_none());
        assert_ne!(second.remote().connection, Some(connection));
        for _ in 0..2 {
            while !matches!(bobs.recv().await.unwrap(), Event::Request { .. }) {}
        }
    });
}

#[test]
fn too_many_open_files_fail_a_connect_with_the_cause_and_only_pause_accepting() {
    let simulation = Simulation::new(3);
    let [alice, bob] = [("alice", "192.0.2.1"), ("bob", "192.0.2.2")]
        .map(|(name, address)| simulation.add_host(name, &[ip(address)]));
    let limit = |runtime: &MemoryRuntime, limit| {
        simulation.network(|network| network.set_socket_limit(runtime.host(), limit));
    };
    alice.block_on(async {
        let (transport, _incoming) = start(&alice, "192.0.2.1:5060").await;
        let (_bob, mut bobs) = start(&bob, "192.0.2.2:5060").await;
        let request = || options("sip:192.0.2.2;transport=tcp");

        limit(&alice, 2);
        let error = transport.send_request(request()).await.unwrap_err();
        let cause = &error.tried().first().unwrap().cause;
        assert!(matches!(cause, AttemptCause::Connect(_)), "{error}");
        limit(&alice, usize::MAX);

        limit(&bob, 2);
        transport.send_request(request()).await.unwrap();
        alice.sleep(Duration::from_secs(10)).await;
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(bobs.poll_recv(&mut cx), Poll::Pending));
        limit(&bob, usize::MAX);
        let freed = alice.now();
        while !matches!(bobs.recv().await.unwrap(), Event::Request { .. }) {}
        assert!(alice.now() - freed <= Duration::from_secs(1));
    });
}

#[test]
fn sends_end_when_their_runtime_goes_away() {
    let simulation = Simulation::new(4);
    simulation.network(|network| network.set_name("slow.example", NameAnswer::Never));
    simulation.set_default_link(Link::default().with_latency(Duration::from_millis(5)));
    let host = simulation.add_host("alice", &[ip("192.0.2.1")]);
    let (transport, mut incoming, mut sends) = host.block_on(async {
        let (transport, incoming) = start(&host, "192.0.2.1:5060").await;
        // Nobody is there, so the one waits for a connection and the other for a lookup.
        let sends = ["sip:192.0.2.9;transport=tcp", "sip:slow.example"]
            .map(|uri| transport.send_request(options(uri)).into_future());
        host.sleep(Duration::from_millis(1)).await;
        (transport, incoming, sends)
    });
    drop(simulation);
    let mut cx = Context::from_waker(Waker::noop());
    for send in &mut sends {
        let ended = std::pin::Pin::new(send).poll(&mut cx);
        assert!(matches!(ended, Poll::Ready(Err(_))), "{ended:?}");
    }
    assert_eq!((transport.tasks(), transport.queued_bytes()), (0, 0));
    while let Poll::Ready(Some(_)) = incoming.poll_recv(&mut cx) {}
    assert!(matches!(incoming.poll_recv(&mut cx), Poll::Ready(None)));
    let error = transport.send_request(options("sip:192.0.2.9;transport=tcp"));
    let ended = std::pin::pin!(error.into_future()).poll(&mut cx);
    assert!(matches!(ended, Poll::Ready(Err(_))), "{ended:?}");
}

#[test]
fn a_datagram_that_cannot_be_sent_is_told_of_once() {
    let simulation = Simulation::new(5);
    let [alice, _bob] = [("alice", "192.0.2.1"), ("bob", "192.0.2.2")]
        .map(|(name, address)| simulation.add_host(name, &[ip(address)]));
    alice.block_on(async {
        let (transport, mut incoming) = start(&alice, "192.0.2.1:5060").await;
        let sent = transport
            .send_request(options("sip:192.0.2.2;transport=udp"))
            .await
            .unwrap();
        assert_eq!(sent.remote().protocol, Protocol::Udp);
        let event = incoming.recv().await.unwrap();
        assert!(
            matches!(event, Event::SendFailed { send, .. } if send == sent.id()),
            "{event:?}"
        );
        alice.sleep(Duration::from_secs(60)).await;
        let none = poll_fn(|cx| Poll::Ready(incoming.poll_recv(cx).is_pending()));
        assert!(none.await, "told of twice");
    });
}

/// Errors of Linux.
const ENOMEM: Fault = Fault::Error(12);
const EACCES: Fault = Fault::Error(13);
const ENFILE: Fault = Fault::Error(23);
const EMFILE: Fault = Fault::Error(24);
const EADDRNOTAVAIL: Fault = Fault::Error(99);
const ENOBUFS: Fault = Fault::Error(105);
const ECONNREFUSED: Fault = Fault::Error(111);

#[cfg(target_os = "linux")]
#[test]
fn a_fault_of_this_machine_is_named_and_blames_no_target() {
    let simulation = Simulation::new(8);
    let ips = ["192.0.2.2", "192.0.2.3"].map(ip);
    simulation
        .network(|network| network.set_name("two.example", NameAnswer::Addresses(ips.to_vec())));
    let alice = simulation.add_host("alice", &[ip("192.0.2.1")]);
    let others = ips.map(|address| simulation.add_host("other", &[address]));
    alice.block_on(async {
        let (transport, _incoming) = start(&alice, "192.0.2.1:5060").await;
        let (_bob, _bobs) = start(&others[0], "192.0.2.2:5060").await;
        let (_carol, _carols) = start(&others[1], "192.0.2.3:5060").await;
        let request = || options("sip:two.example:5060;transport=tcp");
        for (fault, local) in [
            (EMFILE, LocalFault::ProcessFiles),
            (ENFILE, LocalFault::SystemFiles),
            (EADDRNOTAVAIL, LocalFault::NoAddress),
            (ENOBUFS, LocalFault::NoMemory),
            (ENOMEM, LocalFault::NoMemory),
            (EACCES, LocalFault::NotPermitted),
        ] {
            alice.set_fault(Call::Connect, Some(fault));
            let error = transport.send_request(request()).await.unwrap_err();
            assert_eq!(error.tried().len(), 2, "{error}");
            for attempt in error.tried() {
                assert_eq!(attempt.cause, AttemptCause::LocalFault(local));
                assert!(!attempt.target.reason.grey, "{error}");
            }
        }
        alice.set_fault(Call::Connect, None);
        let sent = transport.send_request(request()).await.unwrap();
        assert!(!sent.target().unwrap().reason.grey);
        assert_eq!(sent.remote().addr.ip(), ips[0]);

        // What a peer has done is another matter.
        transport.close(sent.remote().connection.unwrap());
        alice.sleep(Duration::from_secs(5)).await;
        alice.set_fault(Call::Connect, Some(ECONNREFUSED));
        transport.send_request(request()).await.unwrap_err();
        alice.set_fault(Call::Connect, None);
        let sent = transport.send_request(request()).await.unwrap();
        assert!(sent.target().unwrap().reason.grey);
    });
}

#[test]
fn a_socket_that_cannot_receive_for_long_is_left_in_peace_and_works_again() {
    let simulation = Simulation::new(9);
    let [alice, bob] = [("alice", "192.0.2.1"), ("bob", "192.0.2.2")]
        .map(|(name, address)| simulation.add_host(name, &[ip(address)]));
    alice.block_on(async {
        let (transport, _incoming) = start(&alice, "192.0.2.1:5060").await;
        let (_bob, mut bobs) = start(&bob, "192.0.2.2:5060").await;
        bob.set_fault(Call::Receive, Some(ENOMEM));
        let began = bob.calls(Call::Receive);
        let request = options("sip:192.0.2.2;transport=udp");
        transport.send_request(request).await.unwrap();
        alice.sleep(Duration::from_secs(60)).await;
        // 10, 20, 40 ms and so on, then each second.
        let calls = bob.calls(Call::Receive) - began;
        assert!((60..=70).contains(&calls), "{calls}");
        // What it has to send goes out meanwhile.
        bob.set_fault(Call::Receive, None);
        let freed = alice.now();
        assert!(matches!(bobs.recv().await, Some(Event::Request { .. })));
        assert!(alice.now() - freed <= Duration::from_secs(1));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_that_cannot_be_bound_for_want_of_files_is_a_fault_of_this_machine() {
    let simulation = Simulation::new(8);
    let alice = simulation.add_host("alice", &[ip("192.0.2.1")]);
    let bob = simulation.add_host("bob", &[ip("192.0.2.2")]);
    alice.block_on(async {
        // Without a channel for UDP it binds a socket once it has something to send.
        let builder = SipTransport::builder().worker_runtimes([alice.clone()]);
        let (transport, _incoming) = builder.bind().await.unwrap();
        let (_bob, mut bobs) = start(&bob, "192.0.2.2:5060").await;
        for (fault, cause) in [
            (EMFILE, AttemptCause::LocalFault(LocalFault::ProcessFiles)),
            (ENFILE, AttemptCause::LocalFault(LocalFault::SystemFiles)),
            (
                ECONNREFUSED,
                AttemptCause::NoRoute(ErrorKind::ConnectionRefused),
            ),
        ] {
            alice.set_fault(Call::BindDatagrams, Some(fault));
            let sent = transport.send_request(options("sip:192.0.2.2")).await;
            assert_eq!(sent.unwrap_err().tried()[0].cause, cause);
        }
        alice.set_fault(Call::BindDatagrams, None);
        let sent = transport.send_request(options("sip:192.0.2.2")).await;
        assert!(!sent.unwrap().target().unwrap().reason.grey);
        assert!(matches!(bobs.recv().await, Some(Event::Request { .. })));
    });
}

#[test]
fn a_channel_whose_task_ends_unasked_is_told_of_and_off_the_list() {
    for (call, protocol) in [
        (Call::Receive, Protocol::Udp),
        (Call::Accept, Protocol::Tcp),
    ] {
        let simulation = Simulation::new(10);
        let [alice, bob] = [("alice", "192.0.2.1"), ("bob", "192.0.2.2")]
            .map(|(name, address)| simulation.add_host(name, &[ip(address)]));
        alice.block_on(async {
            let (transport, mut incoming) = start(&alice, "192.0.2.1:5060").await;
            let (bobs_transport, mut bobs) = start(&bob, "192.0.2.2:5060").await;
            let request = format!("sip:192.0.2.2;transport={protocol}");
            transport.send_request(options(&request)).await.unwrap();
            while !matches!(bobs.recv().await.unwrap(), Event::Request { .. }) {}

            bob.set_fault(call, Some(Fault::Panic));
            let failed = loop {
                if let Event::ChannelClosed { local, cause, .. } = bobs.recv().await.unwrap() {
                    assert_eq!(cause, ChannelFailure::Panicked);
                    break local;
                }
            };
            bob.set_fault(call, None);
            assert_eq!(failed.protocol, protocol);
            let left = bobs_transport.local_endpoints();
            assert!(!left.contains(&failed), "{left:?}");
            assert_eq!(left.len(), 1);
            if protocol == Protocol::Tcp {
                let Some(Event::ConnectionClosed { reason, .. }) = bobs.recv().await else {
                    panic!("its connection closes");
                };
                let cause = ChannelFailure::Panicked;
                assert_eq!(reason, CloseReason::ChannelFailed(cause));
                // The other end has heard of it.
                while !matches!(incoming.recv().await, Some(Event::ConnectionClosed { .. })) {}
            }
            // The address is free, so that it can be added again, and serves.
            let channel = ChannelConfig::new(protocol, failed.addr);
            bobs_transport.add_channel(channel).await.unwrap();
            transport.send_request(options(&request)).await.unwrap();
            while !matches!(bobs.recv().await.unwrap(), Event::Request { .. }) {}
            bobs_transport.shutdown().await;
            assert_eq!(bobs_transport.tasks(), 0);
        });
    }
}

#[test]
fn a_channel_that_is_removed_or_shut_down_is_not_told_of_as_failed() {
    let simulation = Simulation::new(11);
    let host = simulation.add_host("alice", &[ip("192.0.2.1")]);
    host.block_on(async {
        let (transport, mut incoming) = start(&host, "192.0.2.1:5060").await;
        let first = transport.local_endpoints()[0].channel.unwrap();
        transport.remove_channel(first).await.unwrap();
        host.sleep(Duration::from_secs(1)).await;
        transport.shutdown().await;
        assert!(incoming.recv().await.is_none());
    });
}
