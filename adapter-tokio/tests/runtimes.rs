//! Runtimes that come to their end before the transport does.
#![allow(clippy::unwrap_used)]

use adapter_tokio::TokioRuntime;
use adapter_tokio::adapter_core::SipTransport;
use adapter_tokio::adapter_core::sip_transport_proto::error::ChannelFailure;
use adapter_tokio::adapter_core::sip_transport_proto::{Event, Protocol};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_channel_with_a_socket_on_a_runtime_that_is_shut_down_is_told_of_and_off_the_list() {
    let (first, second) = (runtime(), runtime());
    let both = [&first, &second].map(|runtime| TokioRuntime::new(runtime.handle().clone()));
    let builder = SipTransport::builder().udp("127.0.0.1:0".parse().unwrap());
    let bound = first.block_on(builder.worker_runtimes(both).bind());
    let (transport, incoming) = bound.unwrap();
    let mut events = incoming.into_workers().into_iter().next().unwrap();
    drop(second);
    let Some(Event::ChannelClosed { local, cause, .. }) = first.block_on(events.recv()) else {
        panic!("it is told of");
    };
    assert_eq!(local.protocol, Protocol::Udp);
    assert_eq!(cause, ChannelFailure::Dropped);
    assert_eq!(cause.to_string(), "its runtime dropped its task");
    assert!(transport.local_endpoints().is_empty());
    first.block_on(transport.shutdown());
}
