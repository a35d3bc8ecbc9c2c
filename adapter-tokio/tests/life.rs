//! How a transport lives with the runtimes that it runs on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use adapter_tokio::sip_transport_proto::sip_core::Method;
use adapter_tokio::sip_transport_proto::{Event, Protocol, SendOptions, SipEndpoint};
use adapter_tokio::{Incoming, SipTransport, TokioRuntime};
use testkit::suite::{reply, request};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Answers every request until the transport ends; how many there were.
async fn answer(transport: SipTransport, mut incoming: Incoming) -> usize {
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

#[test]
fn each_worker_runs_on_a_runtime_and_thread_of_its_own() {
    const REQUESTS: usize = 60;
    let runtimes = [one_thread(), one_thread()];
    let handles = runtimes
        .each_ref()
        .map(|runtime| TokioRuntime::new(runtime.handle().clone()));
    let (server, incoming) = runtimes[0]
        .block_on(
            SipTransport::builder()
                .udp(loopback())
                .tcp(loopback())
                .worker_runtimes(handles)
                .bind(),
        )
        .unwrap();
    let channels = server.local_endpoints();
    let workers: Vec<_> = runtimes
        .into_iter()
        .zip(incoming.into_workers())
        .map(|(runtime, incoming)| {
            let server = server.clone();
            thread::spawn(move || runtime.block_on(answer(server, incoming)))
        })
        .collect();

    one_thread().block_on(async {
        // Sixteen clients, so that both workers have some of them.
        for n in 0..16 {
            let (client, mut incoming) = SipTransport::builder().bind().await.unwrap();
            for _ in 0..REQUESTS / 15 {
                let to = channels[n % 2];
                let sent = client.send_request(request(Method::Options, to)).await;
                assert_eq!(sent.unwrap().remote().addr, to.addr);
                loop {
                    let event = timeout(PATIENCE, incoming.recv()).await.unwrap();
                    if let Event::Response { .. } = event.unwrap() {
                        break;
                    }
                }
            }
        }
        timeout(PATIENCE, server.shutdown()).await.unwrap();
    });
    let counts: Vec<_> = workers.into_iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 16 * (REQUESTS / 15));
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

#[test]
fn a_blocking_send_ends_when_its_runtime_does() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (sender, _incoming) = runtime.block_on(SipTransport::builder().bind()).unwrap();
    // TEST-NET-1 (RFC 5737): nobody answers, or there is no way there.
    let to = SipEndpoint::new(Protocol::Tcp, ([192, 0, 2, 1], 5060).into());
    let (begun, begins) = mpsc::channel();
    let (ended, ends) = mpsc::channel();
    thread::spawn(move || {
        begun.send(()).unwrap();
        let message = request(Method::Options, to);
        let result = sender.blocking_send_request(message, SendOptions::new());
        ended.send(result.is_err()).unwrap();
    });
    begins.recv_timeout(PATIENCE).unwrap();
    runtime.shutdown_background();
    assert!(ends.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn binding_outside_a_runtime_is_an_error() {
    let bind = SipTransport::builder().udp(loopback()).bind();
    let mut bind = std::pin::pin!(bind);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let bound = bind.as_mut().poll(&mut cx);
    assert!(matches!(bound, std::task::Poll::Ready(Err(_))));
}
