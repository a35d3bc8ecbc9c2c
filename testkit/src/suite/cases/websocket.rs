//! SIP over WebSocket (RFC 6455, RFC 7118).

use sip_transport_proto::error::{AttemptCause, CloseReason, HandshakeError, WebSocketError};
use sip_transport_proto::sip_core::message::ParseErrorKind;
use sip_transport_proto::sip_core::{Method, Name};
use sip_transport_proto::websocket::{MessageKind, Refusal, WebSocketConfig};
use sip_transport_proto::{ChannelConfig, HintOutcome, Protocol, SendOptions};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, channel, frame, join, next_closed, next_malformed,
    next_request, next_response, reply, request, request_to, text, via,
};

/// Accepts upgrades as that says.
async fn server<H: Host>(host: &H, protocol: Protocol, config: WebSocketConfig) -> H::Endpoint {
    let here = host.place();
    let mut setup = Setup::new();
    let channel = channel(protocol, here.any_port(Family::V4));
    setup.channels.push(channel.websocket(config));
    host.start(&here, setup).await.unwrap()
}

/// A transport, a peer with a connection to it, and the peer's Via.
async fn with_peer<H: Host>(host: &H, protocol: Protocol) -> (H::Endpoint, StreamPeer, String) {
    let alice = host.start_udp_and(protocol).await;
    let to = alice.channel(protocol, Family::V4);
    let peer = StreamPeer::connect(host, &host.place(), to).await;
    let via = via(protocol.via_token(), peer.local(), "");
    (alice, peer, via)
}

pub(super) const UPGRADE: &str = "GET /sip HTTP/1.1\r\n\
     Host: bob.example\r\n\
     Upgrade: websocket\r\n\
     Connection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Protocol: sip\r\n\r\n";

// bad-inputs: W6
// conformance: 397, 398
pub async fn a_refused_upgrade_is_answered_and_closed<H: Host>(host: &H, protocol: Protocol) {
    let mut config = WebSocketConfig::default();
    config.serve("/sip").unwrap();
    let mut bob = server(host, protocol, config).await;
    let to = bob.channel(protocol, Family::V4);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let host_line = "Host: bob.example\r\n";
    let long = format!("{host_line}X: {}\r\n", "x".repeat(9_000));
    let too_large = HandshakeError::HeadTooLarge { limit: 8 << 10 };
    for (old, new, status, problem) in [
        ("GET", "POST", 405, HandshakeError::Method),
        ("/sip", "/other", 404, HandshakeError::Path),
        (": 13", ": 8", 426, HandshakeError::WebSocketVersion),
        (key, "", 400, HandshakeError::Key),
        (": sip", ": chat", 400, HandshakeError::Subprotocol),
        ("Upgrade: websocket\r\n", "", 400, HandshakeError::Upgrade),
        (host_line, &long, 431, too_large),
    ] {
        let mut peer = StreamPeer::connect_below_websocket(host, &host.place(), to).await;
        let upgrade = UPGRADE.replacen(old, new, 1);
        let written = peer.try_write_below_websocket(upgrade).await;
        let ((_, reason), (answer, reset)) = join(next_closed(&mut bob), peer.read_to_end()).await;
        assert_eq!(reason, CloseReason::WebSocket(problem.into()));
        if problem == too_large && (written.is_err() || reset) {
            // It was closed before all of that came: then the answer may be lost on the way.
            continue;
        }
        let answer = String::from_utf8(answer).unwrap();
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{answer:?} for {problem}");
        // RFC 6455 §4.4
        let told = answer.contains("\r\nSec-WebSocket-Version: 13\r\n");
        assert_eq!(told, status == 426);
    }
    assert_eq!(bob.stats().requests_in, 0);

    // What stands behind a good head is read as frames.
    let mut peer = StreamPeer::connect_below_websocket(host, &host.place(), to).await;
    let mut all = UPGRADE.as_bytes().to_vec();
    let via = via(protocol.via_token(), peer.local(), "");
    all.extend(frame(1, true, text("OPTIONS", &via, 1).as_bytes()));
    peer.write_below_websocket(all).await;
    next_request(&mut bob).await;
    assert!(peer.read_head().await.starts_with("HTTP/1.1 101 "));
}

// conformance: 419, 420, 421
pub async fn an_upgrade_that_the_server_refuses_fails_the_sends_that_wait<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut config = WebSocketConfig::default();
    config.check(|_| Err(Refusal::new(401)?.header("WWW-Authenticate", "Basic realm=\"sip\"")?));
    let mut bob = server(host, protocol, config).await;
    let to = bob.channel(protocol, Family::V4);
    let mut alice = host.start(&host.place(), Setup::new()).await.unwrap();
    let send = || alice.send(request(Method::Options, to).into(), SendOptions::new());
    let (first, second) = join(send(), send()).await;
    let refused = WebSocketError::Refused { status: 401 };
    for sent in [first, second] {
        let error = sent.unwrap_err();
        let [attempt] = error.tried() else {
            panic!("{error}");
        };
        assert_eq!(attempt.cause, AttemptCause::WebSocket(refused));
    }
    let (_, reason) = next_closed(&mut alice).await;
    assert_eq!(reason, CloseReason::WebSocket(refused));
    let (_, reason) = next_closed(&mut bob).await;
    let ours = HandshakeError::Application { status: 401 };
    assert_eq!(reason, CloseReason::WebSocket(ours.into()));
}

/// A good request is answered, and before it come so many 400s.
async fn answered_after(
    refused: usize,
    alice: &mut impl Endpoint,
    peer: &mut StreamPeer,
    via: &str,
) {
    peer.write(text("OPTIONS", via, 99)).await;
    let (_, _, request) = next_request(alice).await;
    alice
        .send(reply(&request, 200), SendOptions::new())
        .await
        .unwrap();
    for _ in 0..refused {
        let head = peer.read_head().await;
        assert!(head.starts_with("SIP/2.0 400 "), "{head}");
    }
    let head = peer.read_head().await;
    assert!(head.starts_with("SIP/2.0 200 "), "{head}");
}

// bad-inputs: W8
// conformance: 402
pub async fn two_messages_in_one_frame_get_one_400<H: Host>(host: &H, protocol: Protocol) {
    let (mut alice, mut peer, via) = with_peer(host, protocol).await;
    let two = text("OPTIONS", &via, 1) + &text("OPTIONS", &via, 2);
    peer.write(two).await;
    let error = next_malformed(&mut alice).await;
    let surplus = matches!(error.kind(), ParseErrorKind::Surplus(_));
    assert!(surplus, "{error}");
    answered_after(1, &mut alice, &mut peer, &via).await;
}

// bad-inputs: W8
// conformance: 402, 412, 415
pub async fn a_message_in_many_fragments_comes_whole<H: Host>(host: &H, protocol: Protocol) {
    let (mut alice, mut peer, via) = with_peer(host, protocol).await;
    let message = text("OPTIONS", &via, 7);
    let (first, rest) = message.as_bytes().split_at(1);
    peer.write_below_websocket(frame(1, false, first)).await;
    for fragment in rest.chunks(5) {
        peer.write_below_websocket(frame(0, false, fragment)).await;
    }
    // RFC 6455 §5.4: what controls the connection may come in between.
    peer.write_below_websocket(frame(9, true, b"ping")).await;
    peer.write_below_websocket(frame(0, true, b"")).await;
    let (_, _, request) = next_request(&mut alice).await;
    assert_eq!(request.raw(Name::CSeq), Some(&b"7 OPTIONS"[..]));
    answered_after(0, &mut alice, &mut peer, &via).await;
}

// bad-inputs: W8
// conformance: 403
pub async fn the_length_of_a_message_may_be_missing_and_must_not_be_wrong<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (mut alice, mut peer, via) = with_peer(host, protocol).await;
    let with = |length: &str| {
        let message = text("MESSAGE", &via, 1) + "hello";
        message.replace("Content-Length: 0\r\n", length)
    };
    for right in ["", "Content-Length: 5\r\n"] {
        peer.write(with(right)).await;
        let (_, _, request) = next_request(&mut alice).await;
        assert_eq!(request.body(), b"hello");
    }
    for wrong in ["Content-Length: 4\r\n", "Content-Length: 6\r\n"] {
        peer.write(with(wrong)).await;
        next_malformed(&mut alice).await;
    }
    answered_after(2, &mut alice, &mut peer, &via).await;
}

// conformance: 400, 401
pub async fn a_response_comes_back_in_the_kind_of_its_request_but_binary_if_not_utf8<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (mut alice, mut peer, via) = with_peer(host, protocol).await;
    let message = text("OPTIONS", &via, 1);
    for (opcode, subject, expected) in [
        (1, &b"caf\xc3\xa9"[..], MessageKind::Text),
        (2, b"caf\xc3\xa9", MessageKind::Binary),
        (1, b"caf\xe9", MessageKind::Binary),
    ] {
        let frame = frame(opcode, true, message.as_bytes());
        peer.write_below_websocket(frame).await;
        let (_, _, request) = next_request(&mut alice).await;
        let mut response = reply(&request, 200);
        response.set(Name::Subject, subject).unwrap();
        alice.send(response, SendOptions::new()).await.unwrap();
        peer.read_head().await;
        assert_eq!(peer.kind(), Some(expected));
    }
}

// conformance: 399
pub async fn a_message_that_is_no_sip_is_told_of_and_never_delivered<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (mut alice, mut peer, via) = with_peer(host, protocol).await;
    for (opcode, junk) in [
        (2, &b"\x80\0\xff\xfe"[..]),
        (1, b"{\"hello\":1}"),
        (2, b"x\r\n\r\n"),
    ] {
        peer.write_below_websocket(frame(opcode, true, junk)).await;
        next_malformed(&mut alice).await;
    }
    answered_after(0, &mut alice, &mut peer, &via).await;
}

// conformance: 406, 408, 409
pub async fn a_call_of_a_browser_goes_both_ways_without_a_lookup<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let here = host.place();
    let mut setup = Setup::new();
    let nameless = ChannelConfig::new(protocol, here.any_port(Family::V4)).listener(false);
    setup.channels.push(nameless.anonymous(true));
    let mut alice = host.start(&here, setup).await.unwrap();
    let mut bob = host.start_udp_and(protocol).await;
    let to = bob.channel(protocol, Family::V4);
    alice
        .send(request(Method::Invite, to).into(), SendOptions::new())
        .await
        .unwrap();

    let (local, _, invite) = next_request(&mut bob).await;
    let name = invite.top_via().unwrap().sent_by().to_string();
    assert!(name.ends_with(".invalid"), "{name}");
    let row = invite.raw(Name::Contact).unwrap();
    let contact = String::from_utf8(row.to_vec()).unwrap();
    assert_eq!(contact, format!("<sip:{name};transport=ws>"));
    // RFC 7118 §5.3: with `received` and without.
    let ringing = reply(&invite, 180);
    let mut plain = ringing.clone();
    plain.remove_via_param("received").unwrap();
    for response in [ringing, plain] {
        bob.send(response, SendOptions::new()).await.unwrap();
        next_response(&mut alice).await;
    }

    // RFC 7118 §5: nobody can look that name up; the flow is the way.
    let uri = contact.trim_matches(['<', '>']);
    let message = request_to(Method::Bye, uri, b"");
    let options = SendOptions::new().connection(local.connection.unwrap());
    let sent = bob.send(message.into(), options).await.unwrap();
    assert_eq!(sent.hints().connection, HintOutcome::Honoured);
    assert_eq!(sent.remote().connection, local.connection);
    let (_, _, bye) = next_request(&mut alice).await;
    alice
        .send(reply(&bye, 200), SendOptions::new())
        .await
        .unwrap();
    next_response(&mut bob).await;
    assert_eq!(bob.connections().len(), 1);
}
