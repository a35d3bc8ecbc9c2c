//! Who the other end is (RFC 5922, RFC 5923 §9), and what may not go to anybody else.

use std::sync::Arc;

use sip_transport_proto::error::{AttemptCause, CloseReason, SendCause, SendError};
use sip_transport_proto::sip_core::{Message, Method, Name, Request};
use sip_transport_proto::tls::{
    CertificateProblem, Identity, ServerCertificates, TlsConfig, TlsError, TlsName,
};
use sip_transport_proto::{
    ConnectionId, Event, HintOutcome, Overruled, Protocol, SendOptions, Sent, SipEndpoint,
};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, authority, join, next_closed, next_request,
    next_response, reply, request, request_to, server_at, server_with, stranger, text, via,
};

async fn server<H: Host>(host: &H, protocol: Protocol, tls: TlsConfig) -> H::Endpoint {
    let here = host.place();
    let setup = Setup::new().secure_channel(protocol, here.any_port(Family::V4), tls);
    host.start(&here, setup).await.unwrap()
}

async fn client<H: Host>(host: &H) -> H::Endpoint {
    host.start(&host.place(), Setup::new()).await.unwrap()
}

/// A request to a domain whose server is at that address.
async fn send(alice: &impl Endpoint, domain: &str, to: SipEndpoint) -> Result<Sent, SendError> {
    let message = request_to(Method::Options, &format!("sips:bob@{domain}"), b"");
    let to = SipEndpoint::new(to.protocol, to.addr);
    alice.send(message.into(), SendOptions::new().to(to)).await
}

async fn connection(alice: &impl Endpoint, domain: &str, to: SipEndpoint) -> ConnectionId {
    let sent = send(alice, domain, to).await.unwrap();
    sent.remote().connection.unwrap()
}

/// Whom the peer of a connection has proved to be.
fn identity(endpoint: &impl Endpoint, connection: ConnectionId) -> Option<Arc<Identity>> {
    let all = endpoint.connections();
    let info = all.into_iter().find(|info| info.id == connection);
    info.unwrap().identity
}

fn name(name: &str) -> TlsName {
    TlsName::new(name).unwrap()
}

// bad-inputs: C1
// conformance: 270, 357, 389, 393
pub async fn another_name_at_the_same_address_opens_another_connection<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let certificates = ["bob.example", "carol.example"].map(|name| authority().local(&[name]));
    let certificates = ServerCertificates::new(certificates).unwrap();
    let mut bob = server(host, protocol, server_with(certificates)).await;
    let to = bob.channel(protocol, Family::V4);
    let alice = client(host).await;
    let bobs = connection(&alice, "bob.example", to).await;
    let carols = connection(&alice, "carol.example", to).await;
    assert_ne!(bobs, carols);
    assert_eq!(connection(&alice, "BOB.example.", to).await, bobs);
    assert_eq!(connection(&alice, "carol.example", to).await, carols);
    for (connection, own, other) in [
        (bobs, "bob.example", "carol.example"),
        (carols, "carol.example", "bob.example"),
    ] {
        let identity = identity(&alice, connection).unwrap();
        assert!(identity.covers(&name(own)) && !identity.covers(&name(other)));
    }
    for _ in 0..4 {
        next_request(&mut bob).await;
    }
}

// conformance: 357, 389
pub async fn a_certificate_for_both_names_shares_the_connection<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let both = authority().local(&["bob.example", "carol.example"]);
    let bob = server(host, protocol, server_with(both)).await;
    let to = bob.channel(protocol, Family::V4);
    let mut alice = client(host).await;
    let first = connection(&alice, "bob.example", to).await;
    assert_eq!(connection(&alice, "carol.example", to).await, first);
    // Nobody proved to be that.
    send(&alice, "dave.example", to).await.unwrap_err();
    next_closed(&mut alice).await;
    let [left] = &alice.connections()[..] else {
        panic!("one connection");
    };
    assert_eq!(left.id, first);
}

// bad-inputs: C2, R15
// conformance: 276, 424
pub async fn what_needs_tls_never_leaves_on_a_plain_connection<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let plain = match protocol {
        Protocol::Wss => Protocol::Ws,
        _ => Protocol::Tcp,
    };
    let mut alice = host.start_udp_and(plain).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let addr = listener.local_addr();
    let to = SipEndpoint::new(plain, addr);
    let (sent, mut peer) = join(
        alice.send(request(Method::Options, to).into(), SendOptions::new()),
        StreamPeer::accept(plain, listener.as_ref()),
    )
    .await;
    let there = sent.unwrap().remote().connection.unwrap();
    peer.read_head().await;

    // The same address, and TLS from the first byte; what fails there does not go another way.
    let secret = |addr| {
        let uri = format!("sips:bob@{addr};transport={plain}");
        Message::from(request_to(Method::Options, &uri, b""))
    };
    let refuse = async {
        let mut peer = StreamPeer::accept_plain(listener.as_ref()).await;
        assert_eq!(peer.read_until(&[22]).await, [22]);
    };
    let (failed, ()) = join(alice.send(secret(addr), SendOptions::new()), refuse).await;
    let error = failed.unwrap_err();
    let [attempt] = error.tried() else {
        panic!("{error}");
    };
    assert_eq!(
        (attempt.target.protocol, attempt.target.addr),
        (protocol, addr)
    );
    next_closed(&mut alice).await;

    // Not even when asked to.
    let options = SendOptions::new().to(to);
    let error = alice.send(secret(addr), options).await.unwrap_err();
    assert_eq!(error.cause(), &SendCause::Insecure(plain));
    let mut bob = host.start_udp_and(protocol).await;
    let message = secret(bob.channel(protocol, Family::V4).addr);
    let options = SendOptions::new().connection(there);
    let sent = alice.send(message, options).await.unwrap();
    let insecure = HintOutcome::Overruled(Overruled::Insecure);
    assert_eq!(sent.hints().connection, insecure);
    assert_eq!(sent.remote().protocol, protocol);
    next_request(&mut bob).await;

    assert!(alice.close(there));
    assert_eq!(peer.read_to_end().await.0, b"");
}

// RFC 5630 §5.1.1; conformance: 81, 277, 278, 299
pub async fn a_sips_route_protects_a_sip_request<H: Host>(host: &H, protocol: Protocol) {
    let alice = client(host).await;
    let mut bob = host.start_udp_and(protocol).await;
    let transport = match protocol {
        Protocol::Wss => ";transport=ws",
        _ => "",
    };
    let route = format!(
        "<sips:{}{transport};lr>",
        bob.channel(protocol, Family::V4).addr
    );
    let mut message = request_to(Method::Invite, "sip:bob@nowhere.example", b"");
    message.prepend(Name::Route, &route).unwrap();
    let sent = alice.send(message.into(), SendOptions::new());
    assert_eq!(sent.await.unwrap().remote().protocol, protocol);
    let (local, _, request) = next_request(&mut bob).await;
    assert_eq!(local.protocol, protocol);
    assert_eq!(request.request_uri(), Some(&b"sip:bob@nowhere.example"[..]));
    assert_eq!(request.raw(Name::Route), Some(route.as_bytes()));
    // RFC 3261 §8.1.1.8
    let contact = request.raw(Name::Contact).unwrap();
    assert!(contact.starts_with(b"<sips:"), "{}", contact.escape_ascii());
}

// RFC 5630 §5.1.1; conformance: 217, 280
pub async fn a_contact_says_no_transport_tls_where_that_is_left_out<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let setup = Setup::new().set(|config| {
        config.contact_transport_tls(false);
        Ok(())
    });
    let alice = host.start(&host.place(), setup).await.unwrap();
    let mut bob = host.start_udp_and(protocol).await;
    let message = request(Method::Invite, bob.channel(protocol, Family::V4));
    let sent = alice.send(message.into(), SendOptions::new());
    sent.await.unwrap();
    let (_, _, request) = next_request(&mut bob).await;
    let contact = String::from_utf8_lossy(request.raw(Name::Contact).unwrap());
    assert!(contact.starts_with("<sip:"), "{contact}");
    let transport = contact.split_once(";transport=").map(|(_, value)| value);
    let expected = (protocol == Protocol::Wss).then_some("ws>");
    assert_eq!(transport, expected, "{contact}");
}

// bad-inputs: C12
// conformance: 258, 266, 272
pub async fn a_bad_certificate_fails_the_sends_that_wait_and_nothing_else<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let carol = host.start_udp_and(protocol).await;
    let carols = carol.channel(protocol, Family::V4);
    let mut alice = client(host).await;
    let options = || request(Method::Options, carols).into();
    let sent = alice.send(options(), SendOptions::new()).await.unwrap();
    let good = sent.remote().connection;

    let names = &["bob.example"];
    let new_year = |year| rcgen::date_time_ymd(year, 1, 1);
    let expired = authority().leaf_with(names, |params| params.not_after = new_year(2024));
    let early = authority().leaf_with(names, |params| params.not_before = new_year(2026));
    let clients = authority().leaf_with(names, |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let carols = authority().leaf(&["carol.example"]);
    for (leaf, problem) in [
        (stranger().leaf(names), CertificateProblem::BadSignature),
        (expired, CertificateProblem::Expired),
        (early, CertificateProblem::NotYetValid),
        (clients, CertificateProblem::WrongPurpose),
        (carols, CertificateProblem::NameMismatch),
    ] {
        let tls = server_with(leaf.local(authority().provider()));
        let mut bob = server(host, protocol, tls).await;
        let to = bob.channel(protocol, Family::V4);
        let before = alice.stats().closed;
        let send = || send(&alice, "bob.example", to);
        let ((first, second), third) = join(join(send(), send()), send()).await;
        let expected = TlsError::Certificate(problem);
        for sent in [first, second, third] {
            let error = sent.unwrap_err();
            let [attempt] = error.tried() else {
                panic!("{error}");
            };
            assert_eq!(attempt.cause, AttemptCause::Tls(expected));
        }
        // One, unless it failed before all three were there.
        host.until(|| alice.connections().len() == 1).await;
        for _ in before..alice.stats().closed {
            let (_, reason) = next_closed(&mut alice).await;
            assert_eq!(reason, CloseReason::Tls(expected));
        }
        let (_, reason) = next_closed(&mut bob).await;
        let told = matches!(reason, CloseReason::Tls(TlsError::Alert(_)));
        assert!(told, "{reason}");
    }
    // Only carol's was ever open, and it is still.
    let stats = alice.stats();
    assert_eq!((stats.connected, stats.connect_failed), (1, stats.closed));
    let sent = alice.send(options(), SendOptions::new()).await.unwrap();
    assert_eq!(sent.remote().connection, good);
}

/// Asks clients for a certificate.
async fn asking_server<H: Host>(host: &H, protocol: Protocol, required: bool) -> H::Endpoint {
    let here = host.place();
    let local = here.any_port(Family::V4);
    let server = authority().server_builder(&[&local.ip().to_string()]);
    let server = match required {
        true => server.client_certificate_required(authority().roots()),
        false => server.client_certificate_optional(authority().roots()),
    };
    let setup = Setup::new().secure_channel(protocol, local, server.build().unwrap());
    host.start(&here, setup).await.unwrap()
}

/// The next connection that opens: which, and whom the peer has proved to be.
async fn next_identity(endpoint: &mut impl Endpoint) -> (ConnectionId, Option<Arc<Identity>>) {
    match endpoint.event().await.unwrap() {
        Event::ConnectionOpened {
            local, identity, ..
        } => (local.connection.unwrap(), identity),
        other => panic!("{other:?}"),
    }
}

// conformance: 257
pub async fn a_client_is_known_by_its_certificate<H: Host>(host: &H, protocol: Protocol) {
    let mut bob = asking_server(host, protocol, true).await;
    let to = bob.channel(protocol, Family::V4);
    let own = authority().local(&["alice.example"]);
    let tls = authority().client_builder().certificate(own);
    let setup = Setup::new().set(|config| {
        config.tls(tls.build().unwrap());
        Ok(())
    });
    let mut alice = host.start(&host.place(), setup).await.unwrap();
    alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    let (connection, alices) = next_identity(&mut bob).await;
    assert_eq!(alices.as_ref().unwrap().names(), [name("alice.example")]);
    assert_eq!(identity(&bob, connection), alices);
    let (connection, bobs) = next_identity(&mut alice).await;
    assert!(bobs.as_ref().unwrap().covers(&to.addr.ip().into()));
    assert_eq!(identity(&alice, connection), bobs);
    next_request(&mut bob).await;
}

// conformance: 274
pub async fn a_client_without_a_required_certificate_is_refused<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let mut bob = asking_server(host, protocol, true).await;
    let to = bob.channel(protocol, Family::V4);
    let mut alice = client(host).await;
    // RFC 8446 §4.4.2: the server hears of it last, so that over TLS alone this may look sent.
    let sent = alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await;
    assert!(sent.is_err() || protocol == Protocol::Tls);
    let (_, reason) = next_closed(&mut bob).await;
    assert_eq!(reason, CloseReason::Tls(TlsError::NoCertificate));
    let reason = loop {
        match alice.event().await.unwrap() {
            Event::ConnectionClosed { reason, .. } => break reason,
            Event::ConnectionOpened { .. } | Event::SendFailed { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    let told = matches!(
        reason,
        CloseReason::Tls(TlsError::Alert(_)) | CloseReason::Io(_)
    );
    assert!(told, "{reason}");
    assert_eq!(bob.stats().requests_in, 0);

    // Where it is optional, nobody is known.
    let mut bob = asking_server(host, protocol, false).await;
    let to = bob.channel(protocol, Family::V4);
    alice
        .send(request(Method::Options, to).into(), SendOptions::new())
        .await
        .unwrap();
    assert_eq!(next_identity(&mut bob).await.1, None);
    next_request(&mut bob).await;
}

pub async fn a_send_with_its_own_tls_configuration_shares_connections_with_its_like_only<
    H: Host,
>(
    host: &H,
    protocol: Protocol,
) {
    let mut bob = server(host, protocol, authority().mutual(&["bob.example"])).await;
    let to = bob.channel(protocol, Family::V4);
    let to = SipEndpoint::new(to.protocol, to.addr);
    // Without one of its own a transport can connect to nobody.
    let mut alice = host
        .start(
            &host.place(),
            Setup::new().set(|config| {
                config.tls(TlsConfig::new());
                Ok(())
            }),
        )
        .await
        .unwrap();
    let known = || {
        let builder = authority().client_builder();
        let certificate = authority().local(&["alice.example"]);
        builder.certificate(certificate).build().unwrap()
    };
    let message = || Message::from(request_to(Method::Options, "sips:bob@bob.example", b""));
    let error = alice.send(message(), SendOptions::new().to(to)).await;
    assert_eq!(*error.unwrap_err().cause(), SendCause::NoTlsConfig);
    let (one, other) = (known(), known());
    let mut connections = Vec::new();
    for tls in [&one, &one, &other, &one, &other] {
        let options = SendOptions::new().to(to).tls(tls.clone());
        let sent = alice.send(message(), options).await.unwrap();
        connections.push(sent.remote().connection.unwrap());
        let (_, remote, _) = next_request(&mut bob).await;
        let alices = identity(&bob, remote.connection.unwrap()).unwrap();
        assert!(alices.covers(&name("alice.example")));
    }
    let [a, b] = [connections[0], connections[2]];
    assert_ne!(a, b);
    assert_eq!(connections, [a, a, b, a, b]);
    // Who trusts another authority does not send on what is open to the same place.
    let options = SendOptions::new().to(to).tls(stranger().client());
    let error = alice.send(message(), options).await.unwrap_err();
    let [attempt] = error.tried() else {
        panic!("{error}");
    };
    assert!(matches!(attempt.cause, AttemptCause::Tls(_)), "{attempt:?}");
    next_closed(&mut alice).await;
    assert_eq!(alice.connections().len(), 2);
}

pub async fn what_a_channel_without_verification_has_opened_carries_nothing_of_another<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    // Whose certificate nobody knows.
    let stranger = stranger();
    let mut bob = server(host, protocol, stranger.server(&["bob.example"])).await;
    let to = bob.channel(protocol, Family::V4);
    let here = host.place();
    let server = authority().server(&["alice.example"]);
    let loose = authority()
        .client_builder()
        .dangerous_without_verification();
    let strict = server.clone().and(authority().client());
    let loose = server.and(loose.build().unwrap());
    let setup = Setup::new()
        .secure_channel(protocol, here.any_port(Family::V4), strict)
        .secure_channel(protocol, here.any_port(Family::V4), loose);
    let mut alice = host.start(&here, setup).await.unwrap();
    let hint = alice.channels()[1].channel.unwrap();
    let send = async |how: SendOptions| {
        let message = request_to(Method::Options, "sips:bob@bob.example", b"");
        let to = SipEndpoint::new(to.protocol, to.addr);
        alice.send(message.into(), how.to(to)).await
    };
    let first = send(SendOptions::new().channel(hint)).await.unwrap();
    next_request(&mut bob).await;
    let error = send(SendOptions::new()).await.unwrap_err();
    let [attempt] = error.tried() else {
        panic!("{error}");
    };
    assert!(matches!(attempt.cause, AttemptCause::Tls(_)), "{attempt:?}");
    // Who names the channel or the connection has it still.
    let connection = first.remote().connection;
    let by_connection = SendOptions::new().connection(connection.unwrap());
    for how in [SendOptions::new().channel(hint), by_connection] {
        let sent = send(how).await.unwrap();
        assert_eq!(sent.remote().connection, connection);
        next_request(&mut bob).await;
    }
    next_closed(&mut alice).await;
}

pub async fn certificates_are_replaced_while_connections_stay<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let make = || authority().local(&["bob.example"]);
    let certificates = ServerCertificates::from(make());
    let bob = server(host, protocol, server_with(certificates.clone())).await;
    let to = bob.channel(protocol, Family::V4);
    let alice = client(host).await;
    let first = connection(&alice, "bob.example", to).await;
    certificates.replace([make()]).unwrap();
    assert_eq!(connection(&alice, "bob.example", to).await, first);
    let carol = client(host).await;
    let second = connection(&carol, "bob.example", to).await;
    let shown = |identity: Option<Arc<Identity>>| {
        let identity = identity.unwrap();
        identity.certificates().next().unwrap().to_vec()
    };
    let (old, new) = (identity(&alice, first), identity(&carol, second));
    assert_ne!(shown(old), shown(new));
    assert_eq!(bob.connections().len(), 2);
}

pub async fn a_client_resumes_its_session<H: Host>(host: &H, protocol: Protocol) {
    let mut alice = client(host).await;
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let to = SipEndpoint::new(protocol, listener.local_addr());
    let tls = server_at(to.addr.ip());
    for resumed in [false, true] {
        let (sent, mut peer) = join(
            alice.send(request(Method::Options, to).into(), SendOptions::new()),
            StreamPeer::accept_with(protocol, listener.as_ref(), &tls),
        )
        .await;
        assert_eq!(peer.tls().is_resumed(), resumed);
        let connection = sent.unwrap().remote().connection.unwrap();
        // It is still known who that is.
        let identity = identity(&alice, connection).unwrap();
        assert!(identity.covers(&to.addr.ip().into()));
        let head = peer.read_head().await;
        let request = Request::try_from(Message::parse(head.into_bytes()).unwrap()).unwrap();
        peer.write(reply(&request, 200).to_bytes()).await;
        next_response(&mut alice).await;
        assert!(alice.close(connection));
        join(next_closed(&mut alice), peer.read_to_end()).await;
    }
}

pub async fn a_server_lets_clients_resume_their_sessions<H: Host>(host: &H, protocol: Protocol) {
    let mut bob = host.start_udp_and(protocol).await;
    let to = bob.channel(protocol, Family::V4);
    let tls = authority().client();
    for resumed in [false, true] {
        let mut peer = StreamPeer::connect_with(host, &host.place(), to, &tls).await;
        assert_eq!(peer.tls().is_resumed(), resumed);
        let via = via(protocol.via_token(), peer.local(), "");
        peer.write(text("OPTIONS", &via, 1)).await;
        let (_, _, request) = next_request(&mut bob).await;
        bob.send(reply(&request, 200), SendOptions::new())
            .await
            .unwrap();
        peer.read_head().await;
    }
}
