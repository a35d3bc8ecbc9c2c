//! The end of a transport.

use sip_transport_proto::error::{CloseReason, SendCause};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::{Event, Protocol, SendOptions, SipEndpoint};

use crate::suite::{Endpoint, Family, Host, StreamPeer, join, request};

pub async fn shutdown_writes_what_is_queued_and_ends_later_sends<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut alice = host.start_udp_and(protocol).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(protocol, listener.local_addr());
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let accept = StreamPeer::accept(protocol, listener.as_ref());
    let (sent, mut peer) = join(send(), accept).await;
    let mut all = sent.unwrap().bytes().to_vec();
    for _ in 0..100 {
        all.extend_from_slice(send().await.unwrap().bytes());
    }
    let ((), (read, reset)) = join(alice.shutdown(), peer.read_to_end()).await;
    assert_eq!((read.len(), reset), (all.len(), false));
    assert_eq!(read, all);
    let error = alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap_err();
    assert_eq!(error.cause(), &SendCause::ShuttingDown);
    let mut closed = 0;
    while let Some(event) = alice.event().await {
        if let Event::ConnectionClosed { reason, .. } = event {
            assert_eq!(reason, CloseReason::Shutdown);
            closed += 1;
        }
    }
    assert_eq!(closed, 1);
    assert!(alice.connections().is_empty());
}
