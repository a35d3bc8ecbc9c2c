//! Placeholders become the address used (RFC 3261 §8.1.1, §18.1.1).

use std::io::ErrorKind;
use std::net::SocketAddr;

use sip_transport_proto::sip_core::{Message, Method, Name, Request};
use sip_transport_proto::{Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, UdpPeer, channel, join, next_request, next_response,
    reply, request, text, via,
};

/// The sent-by, From and Contact of a message.
fn names(bytes: &[u8]) -> (String, String, String) {
    let message = Message::parse(bytes.to_vec()).unwrap();
    let text = |name| String::from_utf8(message.raw(name).unwrap_or_default().to_vec()).unwrap();
    let sent_by = message.top_via().unwrap().sent_by().to_string();
    (sent_by, text(Name::From), text(Name::Contact))
}

fn host_of(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(addr) => addr.ip().to_string(),
        SocketAddr::V6(addr) => format!("[{}]", addr.ip()),
    }
}

/// UDP and another protocol on all addresses of both families, all on one port.
async fn everywhere<H: Host>(host: &H, stream: Protocol) -> (H::Endpoint, u16) {
    let mut wanted = vec![(stream, Family::V4)];
    if host.has_ipv6() {
        wanted.extend([(Protocol::Udp, Family::V6), (stream, Family::V6)]);
    }
    'port: loop {
        let setup = Setup::new().channel(Protocol::Udp, SocketAddr::new(Family::V4.any(), 0));
        let alice = host.start(&host.place(), setup).await.unwrap();
        let port = alice.channel(Protocol::Udp, Family::V4).addr.port();
        for (protocol, family) in &wanted {
            let local = SocketAddr::new(family.any(), port);
            match alice.add_channel(channel(*protocol, local)).await {
                Ok(_) => {}
                // Someone else has that port.
                Err(error) if error.kind() == ErrorKind::AddrInUse => continue 'port,
                Err(error) => panic!("{error}"),
            }
        }
        return (alice, port);
    }
}

// conformance: 78, 82, 103, 281, 405, 406
pub async fn placeholders_become_the_address_used_towards_each_peer<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (alice, port) = everywhere(host, protocol).await;
    for family in [Family::V4, Family::V6] {
        if family == Family::V6 && !host.has_ipv6() {
            continue;
        }
        let there = host.place();
        let mut udp = UdpPeer::new(host.bind_datagrams(there.any_port(family)).unwrap());
        let to = SipEndpoint::new(Protocol::Udp, udp.addr());
        let sent = alice
            .send(request(Method::Invite, to).into(), SendOptions::new())
            .await
            .unwrap();
        let (bytes, source) = udp.recv().await;
        assert_eq!(bytes, *sent.bytes());
        assert_eq!((sent.local().addr, source.port()), (source, port));
        let (sent_by, from, contact) = names(&bytes);
        assert_eq!(sent_by, source.to_string());
        assert!(
            from.starts_with(&format!("<sip:{}>", host_of(source))),
            "{from}"
        );
        assert_eq!(contact, format!("<sip:{source}>"));
        let filled = sent.filled();
        assert_eq!((filled.via, filled.from, filled.contacts), (true, true, 1));
        assert_eq!(filled.with.as_deref(), Some(sent_by.as_str()));

        let listener = host.listen(there.any_port(family)).unwrap();
        let to = SipEndpoint::new(protocol, listener.local_addr());
        let (sent, mut peer) = join(
            alice.send(request(Method::Invite, to).into(), SendOptions::new()),
            StreamPeer::accept(protocol, listener.as_ref()),
        )
        .await;
        let head = peer.read_head().await;
        assert_eq!(head.as_bytes(), *sent.unwrap().bytes());
        let start = format!("\r\nVia: SIP/2.0/{} ", protocol.via_token());
        assert!(head.contains(&start), "{head}");
        // The listening port, not the connection's own.
        let name = SocketAddr::new(peer.remote().ip(), port);
        let (sent_by, from, contact) = names(head.as_bytes());
        assert_eq!(sent_by, name.to_string());
        assert!(
            from.starts_with(&format!("<sip:{}>", host_of(name))),
            "{from}"
        );
        // RFC 7118 §5.2: ws is the value for both.
        let transport = match protocol {
            Protocol::Wss => Protocol::Ws,
            other => other,
        };
        assert_eq!(contact, format!("<sip:{name};transport={transport}>"));
    }
}

// conformance: 82
pub async fn a_reply_names_the_address_that_its_request_came_to<H: Host>(host: &H) {
    let (mut alice, port) = everywhere(host, Protocol::Tcp).await;
    for family in [Family::V4, Family::V6] {
        if family == Family::V6 && !host.has_ipv6() {
            continue;
        }
        let there = host.place();
        let mut peer = UdpPeer::new(host.bind_datagrams(there.any_port(family)).unwrap());
        // Where alice is: what she sends from.
        let to = SipEndpoint::new(Protocol::Udp, peer.addr());
        let probe = request(Method::Options, to);
        alice.send(probe.into(), SendOptions::new()).await.unwrap();
        let (_, alices) = peer.recv().await;
        assert_eq!(alices.port(), port);

        peer.send(
            alices,
            text("INVITE", &via("UDP", peer.addr(), ";rport"), 1),
        )
        .await;
        let (local, _, request) = next_request(&mut alice).await;
        assert_eq!(local.addr, alices);
        let mut response = reply(&request, 200);
        let placeholder = format!("<sip:{}>", host_of(SocketAddr::new(family.any(), 0)));
        response.set(Name::Contact, placeholder).unwrap();
        alice.send(response, SendOptions::new()).await.unwrap();
        let (bytes, source) = peer.recv().await;
        assert_eq!(source, alices);
        let (_, _, contact) = names(&bytes);
        assert_eq!(contact, format!("<sip:{alices}>"));
    }
}

pub async fn from_gets_the_host_only_and_the_rest_stays<H: Host>(host: &H) {
    let (here, there) = (host.place(), host.place());
    let alice = host
        .start(&here, Setup::new().both(&here, Family::V4))
        .await
        .unwrap();
    let mut peer = UdpPeer::new(host.bind_datagrams(there.any_port(Family::V4)).unwrap());
    let to = SipEndpoint::new(Protocol::Udp, peer.addr());
    let request = request(Method::Options, to);
    let before = request.to_bytes();
    let sent = alice
        .send(request.into(), SendOptions::new())
        .await
        .unwrap();
    let (bytes, _) = peer.recv().await;
    assert_eq!(bytes, *sent.bytes());
    let lines = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.split("\r\n").map(str::to_owned).collect()
    };
    let local = alice.channel(Protocol::Udp, Family::V4).addr;
    for (before, after) in lines(&before).iter().zip(lines(&bytes)) {
        if before.starts_with("Via:") {
            let start = format!("Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK");
            assert!(after.starts_with(&start), "{after}");
        } else if before.starts_with("From:") {
            assert_eq!(after, before.replace("0.0.0.0", &local.ip().to_string()));
        } else {
            assert_eq!(*before, after);
        }
    }
}

// conformance: 110, 429
pub async fn what_is_advertised_changes_while_running<H: Host>(host: &H) {
    let (here, there) = (host.place(), host.place());
    let mut alice = host
        .start(&here, Setup::new().both(&here, Family::V4))
        .await
        .unwrap();
    let channel = alice.channel(Protocol::Udp, Family::V4);
    let mut peer = UdpPeer::new(host.bind_datagrams(there.any_port(Family::V4)).unwrap());
    let to = SipEndpoint::new(Protocol::Udp, peer.addr());
    let mapped = SocketAddr::from(([203, 0, 113, 5], 40_000));
    let mut responses = Vec::new();
    for name in [Some(mapped), None] {
        alice.advertise(channel.channel.unwrap(), name.map(Into::into));
        let message = request(Method::Invite, to);
        alice
            .send(message.into(), SendOptions::new())
            .await
            .unwrap();
        let (bytes, source) = peer.recv().await;
        assert_eq!(source, channel.addr);
        let (sent_by, _, contact) = names(&bytes);
        let name = name.unwrap_or(channel.addr);
        assert_eq!(sent_by, name.to_string());
        assert_eq!(contact, format!("<sip:{name}>"));
        let request = Request::try_from(Message::parse(bytes).unwrap()).unwrap();
        responses.push(reply(&request, 200).to_bytes());
    }
    // The response to the first comes after the change.
    for response in responses {
        peer.send(channel.addr, response).await;
        next_response(&mut alice).await;
    }
}
