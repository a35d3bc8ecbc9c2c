//! How a transport lives with the runtimes that it runs on.

use std::future::{Future as _, IntoFuture as _, poll_fn};
use std::net::{SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;

use adapter_core::runtime::CurrentRuntime;
use adapter_core::{Incoming, SipTransport};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::{Event, Protocol, SipEndpoint};

use crate::suite::{AdapterHost, OnSystem, SystemHost, join, reply, request, request_to};

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Answers every request until the transport ends; how many there were.
async fn answer<R: CurrentRuntime>(transport: SipTransport<R>, mut incoming: Incoming) -> usize {
    let mut count = 0;
    while let Some(event) = incoming.recv().await {
        if let Event::Request { request, .. } = event {
            count += 1;
            let response = reply(&request, 200).try_into().unwrap();
            transport.send_response(response).await.unwrap();
        }
    }
    count
}

pub async fn each_worker_runs_on_a_runtime_and_thread_of_its_own<S: OnSystem>(
    host: &SystemHost<S>,
) {
    const CLIENTS: usize = 16;
    const EACH: usize = 4;
    let threads = [S::thread(), S::thread()];
    let builder = SipTransport::builder().udp(loopback()).tcp(loopback());
    let builder = builder.worker_runtimes(threads.each_ref().map(S::runtime_of));
    let (server, incoming) = builder.bind().await.unwrap();
    let channels = server.local_endpoints();
    let mut workers = threads
        .into_iter()
        .zip(incoming.into_workers())
        .map(|(thread, incoming)| {
            let server = server.clone();
            host.outside(move || S::block_on(&thread, answer(server, incoming)))
        });
    let workers = join(workers.next().unwrap(), workers.next().unwrap());

    let clients = async {
        // So many that both workers have some of them.
        for n in 0..CLIENTS {
            let (client, mut incoming) =
                SipTransport::<S::Runtime>::builder().bind().await.unwrap();
            for _ in 0..EACH {
                let to = channels[n % 2];
                let sent = client.send_request(request(Method::Options, to)).await;
                assert_eq!(sent.unwrap().remote().addr, to.addr);
                while !matches!(incoming.recv().await.unwrap(), Event::Response { .. }) {}
            }
        }
        server.shutdown().await;
    };
    let ((a, b), ()) = join(workers, clients).await;
    assert_eq!(a + b, CLIENTS * EACH);
    assert!(a > 0 && b > 0, "{a} {b}");
}

pub async fn a_blocking_send_ends_when_its_runtime_does<S: OnSystem>(host: &SystemHost<S>) {
    let thread = S::thread();
    let builder = SipTransport::builder().worker_runtimes([S::runtime_of(&thread)]);
    let (sender, _incoming) = builder.bind().await.unwrap();
    let ended = host.outside(move || {
        let (begun, begins) = mpsc::channel();
        let sending = thread::spawn(move || {
            begun.send(()).unwrap();
            // TEST-NET-1 (RFC 5737): nobody answers, or there is no way there.
            let to = SipEndpoint::new(Protocol::Tcp, ([192, 0, 2, 1], 5060).into());
            let message = request(Method::Options, to);
            sender.send_request(message).blocking()
        });
        begins.recv().unwrap();
        drop(thread);
        sending.join().unwrap()
    });
    ended.await.unwrap_err();
}

pub async fn sends_that_wait_for_names_end_when_their_runtime_does<S: OnSystem>(
    host: &SystemHost<S>,
) {
    let silent = UdpSocket::bind(loopback()).unwrap();
    let thread = S::thread();
    let builder = SipTransport::builder().worker_runtimes([S::runtime_of(&thread)]);
    let builder = builder.name_servers([silent.local_addr().unwrap()]);
    let (sender, _incoming) = builder.bind().await.unwrap();
    let uris = (0..400).map(|i| format!("sip:n{i}.dead.test:5070;transport=udp"));
    let mut sends: Vec<_> = uris
        .map(|uri| {
            let request = request_to(Method::Options, &uri, b"");
            Box::pin(sender.send_request(request).into_future())
        })
        .collect();
    poll_fn(|cx| {
        sends.retain_mut(|send| send.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert!(!sends.is_empty());
    host.outside(move || drop(thread)).await;
    for send in sends {
        send.await.unwrap_err();
    }
}

pub async fn binding_outside_a_runtime_is_an_error_unless_it_is_anywhere<S: OnSystem>(
    host: &SystemHost<S>,
) {
    let fails = || {
        let bind = SipTransport::<S::Runtime>::builder().udp(loopback()).bind();
        let poll = pin!(bind).poll(&mut Context::from_waker(Waker::noop()));
        matches!(poll, Poll::Ready(Err(_)))
    };
    assert_eq!(host.outside(fails).await, !S::IS_ANYWHERE);
}
