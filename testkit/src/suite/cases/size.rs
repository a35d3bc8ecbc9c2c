//! Requests that are too large for UDP (RFC 3261 §18.1.1).

use std::io::ErrorKind;

use sip_transport_proto::error::AttemptCause;
use sip_transport_proto::sip_core::{Method, Request};
use sip_transport_proto::{ChannelConfig, Protocol, SendOptions, SipEndpoint, SizeOutcome};

use crate::suite::{
    Endpoint, Family, Host, Setup, body_of_length, next_request, next_response, reply, request_to,
};

/// A server with UDP only, so far, and a request that is too large for it.
async fn server<H: Host>(host: &H) -> (H::Endpoint, SipEndpoint, Request) {
    let there = host.place();
    let setup = Setup::new().channel(Protocol::Udp, there.any_port(Family::V4));
    let bob = host.start(&there, setup).await.unwrap();
    let to = bob.channel(Protocol::Udp, Family::V4);
    let uri = format!("sip:bob@{}", to.addr);
    let request = request_to(Method::Message, &uri, &body_of_length(1_400));
    (bob, to, request)
}

// conformance: 93, 94
pub async fn a_large_request_goes_over_tcp_to_the_same_port<H: Host>(host: &H) {
    let (mut bob, to, request) = server(host).await;
    bob.add_channel(ChannelConfig::new(Protocol::Tcp, to.addr))
        .await
        .unwrap();
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let port = alice.channel(Protocol::Tcp, Family::V4).addr.port();
    let sent = alice
        .send(request.into(), SendOptions::new())
        .await
        .unwrap();
    assert_eq!(sent.size_rule(), SizeOutcome::Tcp);
    let (local, _, request) = next_request(&mut bob).await;
    assert_eq!((local.protocol, local.addr), (Protocol::Tcp, to.addr));
    let via = request.top_via().unwrap();
    assert_eq!((via.transport(), via.sent_by().port()), ("TCP", Some(port)));
    bob.send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    let (local, _, _) = next_response(&mut alice).await;
    assert_eq!(local, sent.local());
}

// conformance: 98
pub async fn a_large_request_goes_over_udp_where_nobody_takes_tcp<H: Host>(host: &H) {
    let (mut bob, to, request) = server(host).await;
    let mut alice = host.start_udp_and(Protocol::Tcp).await;
    let refused = AttemptCause::Connect(ErrorKind::ConnectionRefused);
    // The second time nobody tries.
    let outcomes = [
        SizeOutcome::TcpFailed(refused),
        SizeOutcome::TcpFailedRecently,
    ];
    for outcome in outcomes {
        let message = request.clone().into();
        let sent = alice.send(message, SendOptions::new()).await.unwrap();
        assert_eq!(sent.size_rule(), outcome);
        let (local, _, request) = next_request(&mut bob).await;
        assert_eq!((local.protocol, local.addr), (Protocol::Udp, to.addr));
        assert_eq!(request.top_via().unwrap().transport(), "UDP");
        bob.send(reply(&request, 200), SendOptions::new())
            .await
            .unwrap();
        next_response(&mut alice).await;
    }
    assert_eq!(alice.stats().size_rule_udp, 2);
}
