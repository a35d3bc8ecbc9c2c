//! What is shown of messages, and what is counted.

use std::sync::{Arc, Mutex};

use sip_transport_proto::sip_core::{Method, Response};
use sip_transport_proto::{Direction, Protocol, SendOptions, Sent, SipEndpoint, Stats};

use crate::suite::{
    Endpoint, Family, Host, Setup, StreamPeer, UdpPeer, next_malformed, next_request,
    next_response, reply, request, text, via,
};

/// What a tap has shown.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    direction: Direction,
    local: SipEndpoint,
    remote: SipEndpoint,
    bytes: Vec<u8>,
    broken: bool,
}

impl Seen {
    fn came(local: SipEndpoint, remote: SipEndpoint, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            direction: Direction::In,
            local,
            remote,
            bytes: bytes.into(),
            broken: false,
        }
    }

    fn went(sent: &Sent) -> Self {
        Self {
            direction: Direction::Out,
            local: sent.local(),
            remote: sent.remote(),
            bytes: sent.bytes().to_vec(),
            broken: false,
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    fn setup(&self, setup: Setup) -> Setup {
        let log = Arc::clone(&self.0);
        setup.set(|config| {
            config.tap(move |seen| {
                log.lock().unwrap().push(Seen {
                    direction: seen.direction,
                    local: seen.local,
                    remote: seen.remote,
                    bytes: seen.bytes.to_vec(),
                    broken: seen.error.is_some(),
                });
            });
            Ok(())
        })
    }

    /// All that was shown, once so many were.
    async fn take<H: Host>(&self, host: &H, count: usize) -> Vec<Seen> {
        host.until(|| self.0.lock().unwrap().len() >= count).await;
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

async fn start<H: Host>(host: &H, protocol: Protocol, log: &Log) -> H::Endpoint {
    let place = host.place();
    let setup = match protocol {
        Protocol::Udp => Setup::new().both(&place, Family::V4),
        stream => Setup::new().udp_and(stream, &place, Family::V4),
    };
    host.start(&place, log.setup(setup)).await.unwrap()
}

pub async fn each_message_is_shown_once_with_its_bytes_and_end_points<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let (hers, his) = (Log::default(), Log::default());
    let mut alice = start(host, protocol, &hers).await;
    let mut bob = start(host, protocol, &his).await;
    let to = bob.channel(protocol, Family::V4);
    let (mut of_alice, mut of_bob) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let sent = alice
            .send(request(Method::Options, to).into(), SendOptions::new())
            .await
            .unwrap();
        of_alice.push(Seen::went(&sent));
        let (local, remote, request) = next_request(&mut bob).await;
        of_bob.push(Seen::came(local, remote, sent.bytes().to_vec()));
        let answer = bob
            .send(reply(&request, 200), SendOptions::new())
            .await
            .unwrap();
        of_bob.push(Seen::went(&answer));
        let (local, remote, _): (_, _, Response) = next_response(&mut alice).await;
        of_alice.push(Seen::came(local, remote, answer.bytes().to_vec()));
    }
    assert_eq!(hers.take(host, of_alice.len()).await, of_alice);
    assert_eq!(his.take(host, of_bob.len()).await, of_bob);
    for (side, seen) in [(&alice, &of_alice), (&bob, &of_bob)] {
        agree(side, protocol, seen);
    }
}

/// What is counted on the channel, and in all, is what was shown.
fn agree<E: Endpoint>(endpoint: &E, protocol: Protocol, seen: &[Seen]) {
    let bytes = |direction| {
        let those = seen.iter().filter(|seen| seen.direction == direction);
        those.map(|seen| seen.bytes.len() as u64).sum::<u64>()
    };
    let channel = endpoint.channel(protocol, Family::V4).channel;
    let of_channel = endpoint.channel_stats().into_iter();
    let mut of_channel = of_channel.filter(|(at, _)| at.channel == channel);
    let (_, of_channel): (_, Stats) = of_channel.next().unwrap();
    for stats in [of_channel, endpoint.stats()] {
        assert_eq!(stats.messages_in + stats.messages_out, seen.len() as u64);
        assert_eq!(stats.bytes_in, bytes(Direction::In));
        assert_eq!(stats.bytes_out, bytes(Direction::Out));
        assert_eq!(stats.open, u64::from(protocol.is_stream()));
    }
}

/// A peer that speaks for itself, over any protocol.
#[allow(clippy::large_enum_variant)]
enum Peer {
    Datagrams(UdpPeer, SipEndpoint),
    Stream(StreamPeer),
}

impl Peer {
    async fn new<H: Host>(host: &H, to: SipEndpoint) -> Self {
        let place = host.place();
        if to.protocol.is_stream() {
            return Self::Stream(StreamPeer::connect(host, &place, to).await);
        }
        let socket = host.bind_datagrams(place.any_port(Family::V4)).unwrap();
        Self::Datagrams(UdpPeer::new(socket), to)
    }

    fn via(&self, protocol: Protocol) -> String {
        let addr = match self {
            Self::Datagrams(peer, _) => peer.addr(),
            Self::Stream(peer) => peer.local(),
        };
        via(protocol.via_token(), addr, ";rport")
    }

    async fn write(&mut self, data: &str) {
        match self {
            Self::Datagrams(peer, to) => peer.send(to.addr, data).await,
            Self::Stream(peer) => peer.write(data).await,
        }
    }

    /// A message without a body.
    async fn read(&mut self) -> Vec<u8> {
        match self {
            Self::Datagrams(peer, _) => peer.recv().await.0,
            Self::Stream(peer) => peer.read_head().await.into_bytes(),
        }
    }
}

pub async fn what_is_broken_or_not_ours_is_shown_and_so_is_the_reply_to_it<H: Host>(
    host: &H,
    protocol: Protocol,
) {
    let log = Log::default();
    let mut alice = start(host, protocol, &log).await;
    let to = alice.channel(protocol, Family::V4);
    let mut peer = Peer::new(host, to).await;
    let via = peer.via(protocol);
    // No message.
    peer.write("\r\n\r\n").await;
    let stray =
        text("OPTIONS", &via, 1).replace("OPTIONS sip:alice@example.com SIP/2.0", "SIP/2.0 200 OK");
    peer.write(&stray).await;
    // Long enough for the reply: no larger answer goes to a UDP source.
    let subject = format!("Subject: {}", "x".repeat(300));
    let broken = text("OPTIONS", &via, 2).replace("Call-ID: by-hand", &subject);
    peer.write(&broken).await;
    next_malformed(&mut alice).await;
    if let Peer::Stream(peer) = &mut peer {
        // The pong.
        peer.read_until(b"\r\n").await;
    }
    let answer = peer.read().await;
    assert!(answer.starts_with(b"SIP/2.0 400 "));
    let good = text("OPTIONS", &via, 3);
    peer.write(&good).await;
    let (local, remote, _) = next_request(&mut alice).await;
    let came = |text: &str| Seen::came(local, remote, text);
    let expected = [
        came(&stray),
        Seen {
            broken: true,
            ..came(&broken)
        },
        Seen {
            direction: Direction::Out,
            ..Seen::came(local, remote, answer)
        },
        came(&good),
    ];
    assert_eq!(log.take(host, expected.len()).await, expected);
}
