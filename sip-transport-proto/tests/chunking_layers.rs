//! However the bytes of TLS, WebSocket and both are cut, both ends say and hear the same.
//!
//! `SEEDS=1000` runs so many, a third for each protocol; else there are fewer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs
)]
#![cfg(all(feature = "tls", feature = "ws"))]

mod common;
#[path = "common/peer.rs"]
mod peer;
mod tls_common;

use common::{Host, addr, numbered, ok, wire_request_with_body};
use peer::Peer;
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::sip_core::build::RequestBuilder;
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Event, Outgoing, Protocol, SendOptions, Tokens,
};

const SECURE: [Protocol; 3] = [Protocol::Tls, Protocol::Ws, Protocol::Wss];
const FEWER: u64 = 240;

/// For each protocol.
fn seeds() -> u64 {
    let seeds = std::env::var("SEEDS").map_or(FEWER, |seeds| seeds.parse().unwrap());
    seeds.div_ceil(SECURE.len() as u64)
}

/// How long the pieces are in which bytes are written and read.
enum Cut {
    Whole,
    Byte,
    Random { dice: Box<Tokens>, most: u64 },
}

impl Cut {
    fn random(seed: u64) -> Self {
        let mut bytes = [0xc5; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        // Few bytes at a time, a frame's worth, many.
        let most = [40, 400, 4_000][usize::try_from(seed % 3).unwrap()];
        Self::Random {
            dice: Box::new(Tokens::new(bytes)),
            most,
        }
    }

    /// How many of `len` bytes go now: none only if there are none, or later ones go first.
    fn next(&mut self, len: usize) -> usize {
        match self {
            Self::Whole => len,
            Self::Byte => len.min(1),
            Self::Random { dice, most } => {
                let mut bytes = [0; 8];
                dice.fill(&mut bytes);
                let drawn = u64::from_be_bytes(bytes) % (*most + 1);
                len.min(usize::try_from(drawn).unwrap())
            }
        }
    }
}

/// What bytes go to and come from.
trait End {
    /// What it has to write, of which so much is written as `cut` says.
    fn write(&mut self, cut: &mut Cut, wire: &mut Vec<u8>);
    /// Reads, and says how much.
    fn read(&mut self, data: &[u8]) -> usize;
    fn has_more(&self) -> bool;
    fn has_closed(&self) -> bool;
    fn eof(&mut self);
}

/// A transport with one connection.
struct Side {
    host: Host,
    channel: ChannelId,
    id: Option<ConnectionId>,
    heard: Vec<String>,
    /// Whether it answers each request at once.
    answers: bool,
}

impl Side {
    fn new(protocol: Protocol, ip: &str, seed: u8) -> Self {
        let mut config = Config::default();
        config.tls(peer::tls());
        let mut host = Host::seeded(config, seed);
        host.local = Some(common::ip(ip));
        let local = addr(&format!("{ip}:5061"));
        let channel = host.channel(ChannelConfig::new(protocol, local).tls(peer::tls()));
        Self {
            host,
            channel,
            id: None,
            heard: Vec::new(),
            answers: true,
        }
    }

    fn accept(&mut self) {
        let (now, channel) = (self.host.now, self.channel);
        let (local, remote) = (addr("192.0.2.1:5061"), addr("192.0.2.9:33333"));
        let transport = &mut self.host.transport;
        let id = transport.handle_accepted(now, channel, local, remote);
        self.id = Some(id.unwrap());
        self.hear();
    }

    fn connected(&mut self) {
        self.id = Some(self.host.connected("192.0.2.9:33333"));
        self.hear();
    }

    fn id(&self) -> ConnectionId {
        self.id.unwrap()
    }

    /// Takes down what happened, and answers.
    fn hear(&mut self) {
        self.host.drain();
        for event in self.host.take_events() {
            self.heard.push(match event {
                Event::Request { request, .. } => {
                    if self.answers {
                        let response = ok(&request);
                        self.host.submit(response, SendOptions::new()).unwrap();
                    }
                    String::from_utf8_lossy(&request.to_bytes()).into_owned()
                }
                Event::Response { response, .. } => {
                    String::from_utf8_lossy(&response.to_bytes()).into_owned()
                }
                // Of what cannot be framed an event holds what was read.
                Event::Malformed { error, .. } => format!("malformed {error}"),
                Event::ConnectionOpened { identity, .. } => {
                    let names = identity.map(|identity| format!("{:?}", identity.names()));
                    format!("opened {names:?}")
                }
                Event::ConnectionClosed { reason, .. } => format!("closed {reason}"),
                Event::SendCompleted { send, result } => {
                    format!("{send} completed {:?}", result.map(|_| ()))
                }
                other => format!("{other:?}"),
            });
        }
    }

    fn call(&mut self, uri: &str, number: usize, body: &[u8], options: SendOptions) {
        let call_id = format!("call-{number}");
        let builder = RequestBuilder::new(Method::Message, uri).call_id(&call_id);
        let builder = builder.body("application/octet-stream", body);
        let request = builder.build(|bytes| bytes.fill(number as u8)).unwrap();
        let now = self.host.now;
        let outgoing = Outgoing::new(request, options);
        self.host.transport.send(now, outgoing).unwrap();
        self.hear();
    }
}

impl End for Side {
    fn write(&mut self, cut: &mut Cut, wire: &mut Vec<u8>) {
        let (now, id) = (self.host.now, self.id());
        let bytes = self.host.transport.transmit(id);
        let n = cut.next(bytes.len());
        wire.extend_from_slice(&bytes[..n]);
        self.host.transport.handle_written(now, id, n);
        self.hear();
    }

    fn read(&mut self, data: &[u8]) -> usize {
        let (now, id) = (self.host.now, self.id());
        let n = data.len().min(self.host.transport.recv_capacity(id));
        let taken = self.host.transport.handle_data(now, id, &data[..n]);
        assert_eq!(taken, n, "it takes what it has room for");
        self.hear();
        n
    }

    fn has_more(&self) -> bool {
        !self.host.transport.transmit(self.id()).is_empty()
    }

    fn has_closed(&self) -> bool {
        self.host.closes.contains(&self.id())
    }

    fn eof(&mut self) {
        let id = self.id();
        self.host.transport.handle_eof(id);
        self.hear();
    }
}

/// A raw peer; it holds what it has to write.
struct Raw {
    peer: Peer,
    out: Vec<u8>,
    closed: bool,
}

impl End for Raw {
    fn write(&mut self, cut: &mut Cut, wire: &mut Vec<u8>) {
        self.out.extend(self.peer.take());
        let n = cut.next(self.out.len());
        wire.extend(self.out.drain(..n));
    }

    fn read(&mut self, data: &[u8]) -> usize {
        self.peer.receive(data);
        self.out.extend(self.peer.take());
        data.len()
    }

    fn has_more(&self) -> bool {
        !self.out.is_empty()
    }

    fn has_closed(&self) -> bool {
        self.closed
    }

    fn eof(&mut self) {
        self.closed = true;
    }
}

/// Carries bytes both ways until there are none, and the end of one side to the other.
fn carry(cut: &mut Cut, a: &mut (dyn End + 'static), b: &mut (dyn End + 'static)) {
    let mut wires = [Vec::new(), Vec::new()];
    let mut told = [false; 2];
    let mut idle = 0;
    // A cut may let nothing through for a while.
    while idle < 50 {
        idle += 1;
        for (way, wire) in wires.iter_mut().enumerate() {
            let (from, to) = match way {
                0 => (&mut *a, &mut *b),
                _ => (&mut *b, &mut *a),
            };
            let before = wire.len();
            from.write(cut, wire);
            let piece = cut.next(wire.len());
            if piece > 0 && to.has_closed() {
                wire.clear();
            } else if piece > 0 {
                let read = to.read(&wire[..piece]);
                wire.drain(..read);
                // A transport that has said its last word reads no more.
                if read == 0 {
                    wire.clear();
                }
            }
            if wire.len() != before || piece > 0 || from.has_more() {
                idle = 0;
            }
            if wire.is_empty() && !from.has_more() && from.has_closed() && !told[way] {
                told[way] = true;
                idle = 0;
                if !to.has_closed() {
                    to.eof();
                }
            }
        }
    }
}

/// Two transports: requests and responses both ways, some of them long, then a close by either.
fn conversation(protocol: Protocol, cut: &mut Cut, bob_closes: bool) -> [Vec<String>; 4] {
    let mut bob = Side::new(protocol, peer::US, 1);
    let mut alice = Side::new(protocol, peer::THEM, 2);
    let transport = match protocol {
        Protocol::Tls => "tls",
        Protocol::Ws => "ws",
        _ => "wss",
    };
    let uri = format!("sip:{}:5061;transport={transport}", peer::US);
    let text = b"\r\n\r\nOPTIONS sip:a SIP/2.0\r\n\r\n".repeat(20);
    alice.call(&uri, 1, b"", SendOptions::new());
    alice.call(&uri, 2, &text, SendOptions::new());
    alice.call(&uri, 3, b"\xff\x00\xfe", SendOptions::new());
    alice.connected();
    bob.accept();
    carry(cut, &mut alice, &mut bob);
    assert!(
        alice
            .heard
            .iter()
            .any(|line| line.starts_with("SIP/2.0 200")),
        "{:?} {:?}",
        alice.heard,
        bob.heard
    );

    let here = SendOptions::new().connection(bob.id());
    bob.call("sip:a@x.invalid", 4, &text, here.clone());
    alice.call(&uri, 5, &[b'y'; 17_000], SendOptions::new());
    bob.call("sip:b@x.invalid", 6, b"\xff", here);
    alice.call(&uri, 7, b"z", SendOptions::new());
    carry(cut, &mut alice, &mut bob);

    let closer = if bob_closes { &mut bob } else { &mut alice };
    let (now, id) = (closer.host.now, closer.id());
    assert!(closer.host.transport.close(now, id));
    closer.hear();
    carry(cut, &mut alice, &mut bob);
    for side in [&alice, &bob] {
        assert!(side.has_closed(), "{:?}", side.heard);
        assert_eq!(side.host.transport.router().queued_bytes(), 0);
    }
    let stats = [&alice, &bob].map(|side| vec![format!("{:?}", side.host.transport.stats())]);
    let [a, b] = stats;
    [alice.heard, bob.heard, a, b]
}

/// How a raw peer ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Close,
    /// What breaks the framing.
    Nonsense,
    /// The end of the stream inside a message.
    Cut,
}

const ENDINGS: [Ending; 3] = [Ending::Close, Ending::Nonsense, Ending::Cut];

/// A raw peer, client or server, that sends keep-alives, what is malformed, and fragments.
fn harangue(
    protocol: Protocol,
    cut: &mut Cut,
    ending: Ending,
    peer_connects: bool,
) -> [Vec<String>; 3] {
    let mut side = Side::new(protocol, peer::US, 1);
    // In one read with the end there is nobody left to answer.
    side.answers = false;
    let peer = if peer_connects {
        side.accept();
        Peer::client(protocol)
    } else {
        let uri = format!("sip:{};transport={}", peer::THEM, protocol.via_token());
        side.call(&uri, 1, b"", SendOptions::new());
        side.connected();
        Peer::server(protocol)
    };
    let mut raw = Raw {
        peer,
        out: Vec::new(),
        closed: false,
    };
    carry(cut, &mut raw, &mut side);
    assert!(raw.peer.is_open(), "{:?} {:?}", raw.peer.error, side.heard);

    let via = "SIP/2.0/TCP host.example;branch=z9hG4bK1;rport";
    let bad = String::from_utf8(numbered(3)).unwrap();
    let bad = bad.replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE").into_bytes();
    let body = wire_request_with_body(via, "", "a body\r\n\r\nwith empty lines\r\n\r\n");
    let messages = [
        &b"\r\n\r\n"[..],
        &numbered(1),
        &body,
        b"\r\n",
        &bad,
        &numbered(2),
        b"\r\n\r\n",
        &numbered(4),
    ];
    for message in messages {
        raw.peer.send(message);
        if protocol.is_websocket() {
            raw.peer.frame(true, 9, b"ping");
            raw.peer.frame(true, 10, b"");
            let (one, two) = message.split_at(message.len() / 2);
            raw.peer.frame(false, 1, one);
            raw.peer.frame(true, 9, b"between");
            raw.peer.frame(false, 0, b"");
            raw.peer.frame(true, 0, two);
        }
    }
    if protocol.is_websocket() {
        raw.peer.send(&[numbered(5), numbered(6)].concat());
    } else {
        raw.peer.raw(&[numbered(5), numbered(6)].concat());
    }
    let half = &numbered(7)[..100];
    match ending {
        Ending::Close => raw.peer.close(),
        Ending::Nonsense if protocol.is_websocket() => raw.peer.frame(true, 3, b"?"),
        Ending::Nonsense => raw
            .peer
            .raw(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: x\r\n\r\n"),
        Ending::Cut if protocol.is_websocket() => raw.peer.frame(false, 2, half),
        Ending::Cut => raw.peer.raw(half),
    }
    carry(cut, &mut raw, &mut side);
    raw.closed = true;
    carry(cut, &mut raw, &mut side);
    assert!(side.has_closed(), "{ending:?} {:?}", side.heard);
    assert_eq!(side.host.transport.router().queued_bytes(), 0);
    let stats = format!("{:?}", side.host.transport.stats());
    let said = [
        String::from_utf8_lossy(&raw.peer.plain).into_owned(),
        format!("{:?}", raw.peer.items),
    ];
    [side.heard, vec![stats], said.to_vec()]
}

// bad-inputs: F11, W2; conformance: 148
#[test]
fn a_conversation_is_the_same_however_it_is_cut() {
    for protocol in SECURE {
        for bob_closes in [true, false] {
            let whole = conversation(protocol, &mut Cut::Whole, bob_closes);
            // Four requests answered one way, two the other; an end on both.
            assert_eq!(whole[1].len(), 1 + 5 + 2 + 1, "{:#?}", whole[1]);
            let bytes = conversation(protocol, &mut Cut::Byte, bob_closes);
            assert_eq!(bytes, whole, "{protocol}, byte by byte");
            for seed in (u64::from(bob_closes)..seeds()).step_by(2) {
                let cut = conversation(protocol, &mut Cut::random(seed), bob_closes);
                assert_eq!(cut, whole, "{protocol}, seed {seed}");
            }
        }
    }
}

// bad-inputs: F11, F14, W2, W8; conformance: 148
#[test]
fn keep_alives_fragments_and_faults_are_the_same_however_they_are_cut() {
    for protocol in SECURE {
        for (number, ending) in (0..).zip(ENDINGS) {
            for connects in [true, false] {
                let whole = harangue(protocol, &mut Cut::Whole, ending, connects);
                assert!(whole[0].len() > 7, "{protocol} {ending:?} {whole:#?}");
                let bytes = harangue(protocol, &mut Cut::Byte, ending, connects);
                assert_eq!(bytes, whole, "{protocol} {ending:?}, byte by byte");
                let first = number * 2 + u64::from(connects);
                for seed in (first..seeds()).step_by(6) {
                    let cut = harangue(protocol, &mut Cut::random(seed), ending, connects);
                    assert_eq!(cut, whole, "{protocol} {ending:?}, seed {seed}");
                }
            }
        }
    }
}

// bad-inputs: W9
#[test]
fn what_is_of_another_protocol_fails_the_same_however_it_is_cut() {
    let hello = Peer::client(Protocol::Tls).take();
    let sip = numbered(1);
    let http = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    for protocol in SECURE {
        for data in [&hello, &sip, &http] {
            let fails = |cut: &mut Cut| {
                let mut side = Side::new(protocol, peer::US, 1);
                side.accept();
                let mut raw = Raw {
                    peer: Peer::client(Protocol::Tcp),
                    out: data.clone(),
                    closed: false,
                };
                carry(cut, &mut raw, &mut side);
                raw.closed = true;
                carry(cut, &mut raw, &mut side);
                assert!(side.has_closed());
                side.heard
            };
            let whole = fails(&mut Cut::Whole);
            assert_eq!(whole.len(), 1, "{protocol} {whole:?}");
            assert_eq!(fails(&mut Cut::Byte), whole, "{protocol}");
            for seed in 0..30 {
                assert_eq!(
                    fails(&mut Cut::random(seed)),
                    whole,
                    "{protocol}, seed {seed}"
                );
            }
        }
    }
}
