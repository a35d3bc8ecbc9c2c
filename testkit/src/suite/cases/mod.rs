//! The cases, each a function whose name states the rule that it shows.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

pub mod adapters;
pub mod callbacks;
pub mod capturing;
pub mod channels;
pub mod connections;
pub mod datagrams;
pub mod examples;
pub mod exchange;
pub mod handshakes;
pub mod hints;
pub mod keeping;
pub mod life;
pub mod limits;
pub mod multicast;
pub mod name_servers;
pub mod named;
pub mod proxying;
pub mod receiving;
pub mod resolving;
pub mod responses;
pub mod runtime;
pub mod security;
pub mod size;
pub mod sloppy;
pub mod strangers;
pub mod substitution;
pub mod threads;
pub mod watching;
pub mod websocket;

use sip_transport_proto::sip_core::Name;
use sip_transport_proto::sip_core::message::Request;
use sip_transport_proto::{SendOptions, SipEndpoint};

use super::{Endpoint, Host, StreamPeer, join, next_request, reply, text, via};

/// The number in a request's CSeq.
fn number(request: &Request) -> u32 {
    let cseq = String::from_utf8_lossy(request.raw(Name::CSeq).unwrap()).into_owned();
    cseq.split(' ').next().unwrap().parse().unwrap()
}

/// A newcomer, and a request of its that is answered.
async fn serve<H: Host>(host: &H, endpoint: &mut H::Endpoint, to: SipEndpoint) -> StreamPeer {
    let newcomer = async {
        let mut peer = StreamPeer::connect(host, &host.place(), to).await;
        let via = via(to.protocol.via_token(), peer.local(), "");
        peer.write(text("OPTIONS", &via, 1)).await;
        let head = peer.read_head().await;
        assert!(head.starts_with("SIP/2.0 200 "), "{head}");
        peer
    };
    let answer = async {
        let (_, _, request) = next_request(endpoint).await;
        let sent = endpoint.send(reply(&request, 200), SendOptions::new());
        sent.await.unwrap();
    };
    join(newcomer, answer).await.0
}
