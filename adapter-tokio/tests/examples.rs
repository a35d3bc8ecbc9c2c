//! The examples that are there to be copied do what they say.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

#[path = "../examples/answer.rs"]
mod answer;
#[path = "../examples/call.rs"]
mod call;
#[path = "../examples/proxy.rs"]
mod proxy;
#[path = "../examples/tls.rs"]
mod tls;

use adapter_tokio::sip_core::build::{PLACEHOLDER, RequestBuilder};
use adapter_tokio::sip_core::header::{Contact, To};
use adapter_tokio::sip_core::{Method, StatusCode};
use adapter_tokio::{Event, Incoming, SipTransport};
use testkit::certificates::Certificates;

async fn server() -> (SipTransport, Incoming, String) {
    let local = "127.0.0.1:0".parse().unwrap();
    let builder = SipTransport::builder().udp(local);
    let (transport, incoming) = builder.bind().await.unwrap();
    let at = transport.local_endpoints()[0].addr.to_string();
    (transport, incoming, at)
}

#[tokio::test]
async fn a_call_is_answered_and_ended() {
    let (server, requests, at) = server().await;
    tokio::spawn(answer::serve(server.clone(), requests));
    let (caller, mut events) = SipTransport::builder().bind().await.unwrap();
    let uri = format!("sip:bob@{at}");
    call::call(&caller, &mut events, &uri).await.unwrap();
}

#[tokio::test]
async fn a_call_reaches_who_is_registered_and_stays_on_the_proxy() {
    let (proxy, events, at) = server().await;
    tokio::spawn(proxy::serve(proxy.clone(), events));
    let (bob, mut requests, _) = server().await;
    let (caller, mut events) = SipTransport::builder().bind().await.unwrap();
    let uri = format!("sip:bob@{at}");

    // Nobody is there yet.
    let refused = call::call(&caller, &mut events, &uri).await;
    assert!(refused.is_err());

    let mut tokens = bob.tokens();
    let registrar = format!("sip:{at}");
    let register = RequestBuilder::new(Method::Register, &registrar)
        .to(To::new(uri.as_str().try_into().unwrap()))
        .contact(Some(Contact::new(PLACEHOLDER)))
        .build(|bytes| tokens.fill(bytes))
        .unwrap();
    bob.send_request(register).await.unwrap();
    let Some(Event::Response { response, .. }) = requests.recv().await else {
        panic!("an answer to the REGISTER");
    };
    assert_eq!(response.status(), StatusCode::OK);
    tokio::spawn(answer::serve(bob.clone(), requests));

    call::call(&caller, &mut events, &uri).await.unwrap();
    // INVITE, ACK and BYE: all that bob had came by the proxy.
    assert_eq!(bob.stats().requests_in, 3);
}

#[tokio::test]
async fn a_certificate_is_replaced_while_tls_serves() {
    let made = Certificates::new();
    let leaf = made.leaf(&["sip.example.com"]);
    let roots = made.authority_pem();
    let (certificate, key) = (leaf.certificate_pem.as_bytes(), leaf.key_pem.as_bytes());
    tls::run(certificate, key, roots.as_bytes(), "sip.example.com")
        .await
        .unwrap();
}
