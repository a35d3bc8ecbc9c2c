//! Hints are honoured, or overruled with the reason.

use sip_transport_proto::sip_core::Method;
use sip_transport_proto::{HintOutcome, Overruled, Protocol, SendOptions};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, next_closed, next_opened, next_request, request,
    request_to,
};

pub async fn a_connection_hint_wins_over_the_destination<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    let mut peer = StreamPeer::connect(host, &host.place(), to).await;
    let (local, _, accepted) = next_opened(&mut alice).await;
    assert!(accepted);
    let connection = local.connection.unwrap();
    // RFC 7118 §5, RFC 5626 §5.3: what the flow is for; the name cannot be looked up.
    let request = request_to(Method::Options, "sip:bob@nowhere.invalid", b"");
    let options = SendOptions::new().connection(connection);
    let sent = alice.send(request.into(), options).await.unwrap();
    assert_eq!(sent.hints().connection, HintOutcome::Honoured);
    assert_eq!(sent.remote().addr, peer.local());
    assert_eq!(peer.read_head().await.as_bytes(), *sent.bytes());
}

pub async fn a_closed_connection_hint_is_overruled<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = host.start_udp_and(protocol).await;
    let mut bob = host.start_udp_and(Protocol::Tcp).await;
    let to = alice.channel(protocol, Family::V4);
    let peer = StreamPeer::connect(host, &host.place(), to).await;
    let (local, _, _) = next_opened(&mut alice).await;
    drop(peer);
    next_closed(&mut alice).await;
    let options = SendOptions::new().connection(local.connection.unwrap());
    let to = bob.channel(Protocol::Udp, Family::V4);
    let sent = alice
        .send(request(Method::Options, to).into(), options)
        .await
        .unwrap();
    assert_eq!(
        sent.hints().connection,
        HintOutcome::Overruled(Overruled::Closed)
    );
    next_request(&mut bob).await;
}

pub async fn a_channel_hint_is_honoured_or_overruled_with_the_reason<H: Host>(host: &H) {
    let here = host.place();
    let mut setup = Setup::new().both(&here, Family::V4).both(&here, Family::V4);
    if host.has_ipv6() {
        setup = setup.both(&here, Family::V6);
    }
    let alice = host.start(&here, setup).await.unwrap();
    let mut bob = host.start_udp_and(Protocol::Tcp).await;
    let to = bob.channel(Protocol::Udp, Family::V4);
    let mut send = async |channel| {
        let options = SendOptions::new().channel(channel);
        let message = request(Method::Options, to).into();
        let sent = alice.send(message, options).await.unwrap();
        let (_, remote, _) = next_request(&mut bob).await;
        assert_eq!(remote.addr, sent.local().addr);
        (sent.hints().channel, sent.local().channel)
    };
    let channels = alice.channels();
    let (first, second) = (channels[0].channel.unwrap(), channels[2].channel.unwrap());
    for channel in [first, second] {
        assert_eq!(send(channel).await, (HintOutcome::Honoured, Some(channel)));
    }
    let tcp = channels[1].channel.unwrap();
    let overruled = |reason| (HintOutcome::Overruled(reason), Some(first));
    assert_eq!(send(tcp).await, overruled(Overruled::Protocol));
    if host.has_ipv6() {
        let v6 = alice.channel(Protocol::Udp, Family::V6).channel.unwrap();
        assert_eq!(send(v6).await, overruled(Overruled::Unreachable));
    }
    assert_eq!(
        send(to.channel.unwrap()).await,
        overruled(Overruled::OtherTransport)
    );
    alice.remove_channel(second).await;
    assert_eq!(send(second).await, overruled(Overruled::UnknownChannel));
}
