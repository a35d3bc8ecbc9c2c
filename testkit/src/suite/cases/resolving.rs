//! Where a request goes whose URI names a domain (RFC 3263).

use sip_transport_proto::error::{AttemptCause, CloseReason};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::{Event, Protocol, SendOptions, SipEndpoint};

use crate::suite::{
    Endpoint, Family, Host, Setup, authority, next_request, request_to, server_with,
};

/// A zone with two servers for a service of `example.test`, in this order.
fn two_servers(service: &str, first: SipEndpoint, second: SipEndpoint) -> Setup {
    let (one, two) = (first.addr, second.addr);
    let zone = format!(
        "{service}.example.test SRV 1 0 {} one.example.test
         {service}.example.test SRV 2 0 {} two.example.test
         one.example.test A {}
         two.example.test A {}",
        one.port(),
        two.port(),
        one.ip(),
        two.ip()
    );
    Setup::new().zone(zone.parse().unwrap())
}

// RFC 3263 §4.3; conformance: 272, 273
pub async fn a_send_goes_on_to_the_next_server_of_its_domain<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let there = host.place();
    let setup = Setup::new();
    let local = there.any_port(Family::V4);
    let setup = match protocol.is_secure() {
        false => setup.channel(protocol, local),
        // The certificate names the domain, whatever the DNS says (RFC 5922 §4).
        true => {
            let certificate = authority().local(&["example.test"]);
            setup.secure_channel(protocol, local, server_with(certificate))
        }
    };
    let mut bob = host.start(&there, setup).await.unwrap();
    let second = bob.channel(protocol, Family::V4);
    let listener = host.listen(host.place().any_port(Family::V4)).unwrap();
    let first = SipEndpoint::new(protocol, listener.local_addr());
    drop(listener);
    let service = match protocol {
        Protocol::Tls => "_sips._tcp",
        Protocol::Ws => "_sip._ws",
        Protocol::Wss => "_sips._ws",
        _ => "_sip._tcp",
    };
    let setup = two_servers(service, first, second);
    let alice = host.start(&host.place(), setup).await.unwrap();
    let uri = format!("sip:bob@example.test;transport={protocol}");
    let message = request_to(Method::Options, &uri, b"");
    let sent = alice
        .send(message.into(), SendOptions::new())
        .await
        .unwrap();
    let remote = sent.remote();
    assert_eq!((remote.protocol, remote.addr), (protocol, second.addr));
    let [attempt] = sent.tried() else {
        panic!("{:?}", sent.tried());
    };
    assert_eq!(attempt.target.addr, first.addr);
    assert!(
        matches!(attempt.cause, AttemptCause::Connect(_)),
        "{attempt:?}"
    );
    next_request(&mut bob).await;
}

/// Addresses that lead nowhere (RFC 6666).
const DISCARD: &str = "100::1";

// RFC 8305 §5
// conformance: 332
pub async fn a_server_is_reached_by_the_family_that_answers<H: Host>(host: &H, protocol: Protocol) {
    if !host.has_ipv6() {
        return;
    }
    let there = host.place();
    let certificate = authority().local(&["refused.test", "silent.test"]);
    let local = there.any_port(Family::V4);
    let setup = match protocol.is_secure() {
        false => Setup::new().channel(protocol, local),
        true => Setup::new().secure_channel(protocol, local, server_with(certificate)),
    };
    let mut bob = host.start(&there, setup).await.unwrap();
    let bobs = bob.channel(protocol, Family::V4).addr;
    let zone = format!(
        "refused.test AAAA {}
         refused.test A {}
         silent.test AAAA {DISCARD}
         silent.test A {}",
        there.ip(Family::V6),
        bobs.ip(),
        bobs.ip()
    );
    let setup = Setup::new().zone(zone.parse().unwrap());
    let alice = host.start(&host.place(), setup).await.unwrap();
    for domain in ["refused.test", "silent.test"] {
        let uri = format!("sip:bob@{domain}:{};transport={protocol}", bobs.port());
        let message = request_to(Method::Options, &uri, b"");
        let sent = alice
            .send(message.into(), SendOptions::new())
            .await
            .unwrap();
        assert_eq!(sent.remote().addr, bobs);
        let [attempt] = sent.tried() else {
            panic!("{:?}", sent.tried());
        };
        assert!(attempt.target.addr.is_ipv6());
        let overtaken = AttemptCause::Closed(CloseReason::Overtaken);
        let refused = matches!(attempt.cause, AttemptCause::Connect(_));
        // A system without a way there says so at once.
        assert!(
            refused || (domain == "silent.test" && attempt.cause == overtaken),
            "{attempt:?}"
        );
        next_request(&mut bob).await;
        assert!(alice.close(sent.remote().connection.unwrap()));
        host.until(|| alice.connections().is_empty()).await;
    }
}

// RFC 3261 §18.4, RFC 3263 §4.3
pub async fn a_server_that_is_not_there_is_left_for_the_next<H: Host>(host: &H) {
    if !host.reports_unreachable() {
        return;
    }
    let mut bob = host.start_udp_and(Protocol::Tcp).await;
    let second = bob.channel(Protocol::Udp, Family::V4);
    let gone = host
        .bind_datagrams(host.place().any_port(Family::V4))
        .unwrap();
    let first = SipEndpoint::new(Protocol::Udp, gone.local_addr());
    drop(gone);
    let here = host.place();
    let setup = two_servers("_sip._udp", first, second);
    let setup = setup.udp_and(Protocol::Tcp, &here, Family::V4);
    let mut alice = host.start(&here, setup).await.unwrap();
    let message = || request_to(Method::Options, "sip:bob@example.test", b"");
    let sent = alice
        .send(message().into(), SendOptions::new())
        .await
        .unwrap();
    assert_eq!(sent.remote().addr, first.addr);
    let event = alice.event().await.unwrap();
    let Event::SendFailed { send, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(send, sent.id());
    // Others do not go there first any more.
    let sent = alice
        .send(message().into(), SendOptions::new())
        .await
        .unwrap();
    assert_eq!(sent.remote().addr, second.addr);
    next_request(&mut bob).await;
}
