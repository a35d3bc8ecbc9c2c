//! What a load balancer says, by the PROXY protocol.

use std::net::SocketAddr;

use sip_transport_proto::{Protocol, ProxyProtocol, SendOptions};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, channel, join, next_opened, next_request, reply,
    text, via,
};

// bad-inputs: C17
pub async fn whom_a_trusted_load_balancer_names_is_the_peer<H: Host>(host: &H) {
    let (here, there) = (host.place(), host.place());
    let trust = ProxyProtocol::trust([there.v4.into()]);
    let listener = channel(Protocol::Tcp, here.any_port(Family::V4)).proxy_protocol(trust);
    let mut setup = Setup::new();
    setup.channels.push(listener);
    let mut alice = host.start(&here, setup).await.unwrap();
    let to = alice.channel(Protocol::Tcp, Family::V4);

    let client = SocketAddr::from(([203, 0, 113, 5], 40_000));
    let call = async {
        let mut peer = StreamPeer::connect(host, &there, to).await;
        let local = peer.local();
        peer.write(b"PROXY TCP4 203.0.113.5 192.0.2.1 40000 50")
            .await;
        let mut rest = b"60\r\n".to_vec();
        rest.extend_from_slice(text("OPTIONS", &via("TCP", local, ";rport"), 1).as_ref());
        peer.write(rest).await;
        peer.read_head().await
    };
    let answer = async {
        let (_, opened, _) = next_opened(&mut alice).await;
        let (_, remote, request) = next_request(&mut alice).await;
        assert_eq!((opened.addr, remote.addr), (client, client));
        let known: Vec<_> = alice.connections().iter().map(|c| c.remote.addr).collect();
        assert_eq!(known, [client]);
        let sent = alice.send(reply(&request, 200), SendOptions::new());
        assert_eq!(sent.await.unwrap().remote().addr, client);
    };
    let (head, ()) = join(call, answer).await;
    assert!(head.starts_with("SIP/2.0 200 "), "{head}");
    let via = head.lines().find(|line| line.starts_with("Via:")).unwrap();
    assert!(via.contains(";received=203.0.113.5"), "{via}");
    assert!(via.contains(";rport=40000"), "{via}");
}
