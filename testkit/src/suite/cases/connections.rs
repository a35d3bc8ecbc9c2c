//! Connections open, are used again, and close.

use std::future::poll_fn;
use std::io::ErrorKind;

use sip_transport_proto::error::{AttemptCause, CloseReason, SendCause};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::{Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Endpoint, Family, Host, Setup, TcpPeer, join, next_closed, next_opened, next_request, request,
};

async fn start<H: Host>(host: &H) -> H::Endpoint {
    let here = host.place();
    let setup = Setup::new().both(&here, Family::V4);
    host.start(&here, setup).await.unwrap()
}

pub async fn a_connection_is_used_again_until_it_closes<H: Host>(host: &H) {
    let mut alice = start(host).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(Protocol::Tcp, listener.local_addr());
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let accept = || poll_fn(|cx| listener.poll_accept(cx));

    let (sent, accepted) = join(send(), accept()).await;
    let first = sent.unwrap().remote().connection;
    let mut peer = TcpPeer::new(accepted.unwrap().0);
    peer.read_head().await;
    for _ in 0..3 {
        assert_eq!(send().await.unwrap().remote().connection, first);
        peer.read_head().await;
    }
    assert_eq!(alice.connections(), [first.unwrap()]);
    drop(peer);
    let (closed, reason) = next_closed(&mut alice).await;
    assert_eq!((Some(closed), reason), (first, CloseReason::Peer));
    assert_eq!(alice.connections(), []);

    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let (sent, accepted) = join(send(), accept()).await;
    assert_ne!(sent.unwrap().remote().connection, first);
    TcpPeer::new(accepted.unwrap().0).read_head().await;
}

// conformance: 154
pub async fn a_refused_connection_is_reported_with_the_message_back<H: Host>(host: &H) {
    let mut alice = start(host).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(Protocol::Tcp, listener.local_addr());
    drop(listener);
    let message = request(Method::Options, to);
    let bytes = message.to_bytes();
    let error = alice
        .send(message.into(), SendOptions::new())
        .await
        .unwrap_err();
    assert_eq!(error.cause(), &SendCause::AllTargetsFailed);
    let [attempt] = error.tried() else {
        panic!("{error}");
    };
    assert_eq!((attempt.protocol, attempt.addr), (to.protocol, to.addr));
    let refused = ErrorKind::ConnectionRefused;
    assert_eq!(attempt.cause, AttemptCause::Connect(refused));
    assert_eq!(error.into_message().to_bytes(), bytes);
    let (_, reason) = next_closed(&mut alice).await;
    assert_eq!(reason, CloseReason::ConnectFailed(refused));
    assert_eq!(alice.connections(), []);
}

pub async fn closing_a_connection_tells_both_sides_why<H: Host>(host: &H) {
    let (mut alice, mut bob) = (start(host).await, start(host).await);
    let to = bob.channel(Protocol::Tcp, Family::V4);
    let sent = alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    let (local, _, _) = next_request(&mut bob).await;
    let connection = sent.remote().connection.unwrap();
    assert!(alice.close(connection));
    let closed = next_closed(&mut alice).await;
    assert_eq!(closed, (connection, CloseReason::Application));
    let closed = next_closed(&mut bob).await;
    assert_eq!(closed, (local.connection.unwrap(), CloseReason::Peer));
    assert!(!alice.close(connection));
}

pub async fn a_send_that_waits_for_a_connection_ends_once<H: Host>(host: &H) {
    let mut alice = start(host).await;
    let mut bob = start(host).await;
    let to = bob.channel(Protocol::Tcp, Family::V4);
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let ((first, second), (third, fourth)) = join(join(send(), send()), join(send(), send())).await;
    for sent in [first, second, third, fourth] {
        let sent = sent.unwrap();
        let (_, _, request) = next_request(&mut bob).await;
        assert_eq!(
            request.raw("Call-ID"),
            sent.message().unwrap().raw("Call-ID")
        );
    }
    let (_, _, accepted) = next_opened(&mut alice).await;
    assert!(!accepted);
    assert_eq!(alice.connections().len(), 1);
}
