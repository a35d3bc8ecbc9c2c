//! Peers that take a port for another.

use sip_transport_proto::error::{CloseReason, HandshakeError, WebSocketError};
use sip_transport_proto::tls::{Tls, TlsError, TlsName};
use sip_transport_proto::{Event, Protocol};

use super::serve;
use crate::suite::{Endpoint, Family, Host, Setup, StreamPeer, authority, join, text, via};

async fn reason_of_close(endpoint: &mut impl Endpoint) -> CloseReason {
    loop {
        match endpoint.event().await.unwrap() {
            Event::ConnectionClosed { reason, .. } => return reason,
            Event::ConnectionOpened { .. } | Event::Malformed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

// bad-inputs: W9
pub async fn who_speaks_another_protocol_is_closed_and_others_are_served<H: Host>(host: &H) {
    let here = host.place();
    let streams = [Protocol::Tcp, Protocol::Tls, Protocol::Ws, Protocol::Wss];
    let setup = streams.into_iter().fold(Setup::new(), |setup, protocol| {
        setup.channel(protocol, here.any_port(Family::V4))
    });
    let mut alice = host.start(&here, setup).await.unwrap();

    let name = TlsName::new("alice.example").unwrap();
    let mut tls = Tls::client(&authority().client(), Protocol::Tls, &name).unwrap();
    let mut hello = Vec::new();
    tls.flush(&mut hello);
    let via = via("TCP", here.any_port(Family::V4), "");
    let sip = text("OPTIONS", &via, 1).into_bytes();
    let http = b"GET / HTTP/1.1\r\nHost: alice.example\r\n\r\n".to_vec();

    let refused = |problem| CloseReason::WebSocket(WebSocketError::Handshake(problem));
    let not_http = refused(HandshakeError::NotHttp);
    let not_this_http = refused(HandshakeError::HttpVersion);
    let not_tls = CloseReason::Tls(TlsError::NotTls);
    for (protocol, bytes, expected) in [
        (Protocol::Tcp, &hello, None),
        (Protocol::Tcp, &http, None),
        (Protocol::Tls, &sip, Some(not_tls)),
        (Protocol::Tls, &http, Some(not_tls)),
        (Protocol::Ws, &hello, Some(not_http)),
        (Protocol::Ws, &sip, Some(not_this_http)),
        (Protocol::Wss, &sip, Some(not_tls)),
        (Protocol::Wss, &http, Some(not_tls)),
    ] {
        let to = alice.channel(protocol, Family::V4);
        let stream = host.connect(&host.place(), to.addr).await.unwrap();
        let mut peer = StreamPeer::new(stream);
        peer.write_wire(bytes).await;
        let (reason, _) = join(reason_of_close(&mut alice), peer.read_to_end()).await;
        match expected {
            Some(expected) => assert_eq!(reason, expected, "{protocol}"),
            None => assert!(matches!(reason, CloseReason::Framing(_)), "{reason}"),
        }
    }
    assert!(alice.connections().is_empty());
    for protocol in streams {
        let to = alice.channel(protocol, Family::V4);
        serve(host, &mut alice, to).await;
    }
}
