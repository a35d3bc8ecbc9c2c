//! Deadlines and limits where TLS and WebSocket stand between the socket and messages.
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

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use common::{Host, addr, numbered, options};
use peer::{Peer, frame};
use sip_transport_proto::error::{AttemptCause, CloseReason, SendCause, SendFailure};
use sip_transport_proto::parts::{Call, Connection, ConnectionEvent, Router};
use sip_transport_proto::sip_core::Method;
use sip_transport_proto::sip_core::build::RequestBuilder;
use sip_transport_proto::tls::TlsError;
use sip_transport_proto::websocket::WebSocketEvent;
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Deadline, Event, Protocol, SendId, SendOptions,
    Submitted,
};

const LAYERED: [Protocol; 3] = [Protocol::Tls, Protocol::Ws, Protocol::Wss];
const SOCKETS: [Protocol; 2] = [Protocol::Ws, Protocol::Wss];
const NANO: Duration = Duration::from_nanos(1);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A transport and one raw peer.
struct Talk {
    host: Host,
    channel: ChannelId,
    id: ConnectionId,
    peer: Peer,
    protocol: Protocol,
}

impl Talk {
    fn host(protocol: Protocol, mut config: Config) -> (Host, ChannelId) {
        config.tls(peer::tls());
        let mut host = Host::with(config);
        host.local = Some(common::ip(peer::US));
        let channel = ChannelConfig::new(protocol, addr("192.0.2.1:5061")).tls(peer::tls());
        let channel = host.channel(channel);
        (host, channel)
    }

    /// Accepted, and no byte has come.
    fn accepted_with(protocol: Protocol, config: Config) -> Self {
        let (mut host, channel) = Self::host(protocol, config);
        let (local, remote) = (addr("192.0.2.1:5061"), addr("192.0.2.9:33333"));
        let accepted = host
            .transport
            .handle_accepted(host.now, channel, local, remote);
        let id = accepted.unwrap();
        host.drain();
        Self {
            host,
            channel,
            id,
            peer: Peer::client(protocol),
            protocol,
        }
    }

    fn accepted(protocol: Protocol) -> Self {
        Self::accepted_with(protocol, Config::default())
    }

    /// Connected for two sends, and no byte has come.
    fn connected(protocol: Protocol) -> (Self, [SendId; 2]) {
        let (mut host, channel) = Self::host(protocol, Config::default());
        let uri = format!("sip:192.0.2.9:5061;transport={}", protocol.via_token());
        let sends = [0; 2].map(|_| host.waits(options(&uri), SendOptions::new()));
        let id = host.connected("192.0.2.1:40000");
        let talk = Self {
            host,
            channel,
            id,
            peer: Peer::server(protocol),
            protocol,
        };
        (talk, sends)
    }

    /// Accepted and open, and a valid message has come.
    fn proven_with(protocol: Protocol, config: Config) -> Self {
        let mut talk = Self::accepted_with(protocol, config);
        talk.settle();
        talk.peer.send(&numbered(1));
        talk.settle();
        assert_eq!(talk.host.transport.stats().requests_in, 1);
        talk.host.take_events();
        talk.peer.items.clear();
        talk
    }

    fn proven(protocol: Protocol) -> Self {
        Self::proven_with(protocol, Config::default())
    }

    /// What the peer has to write goes to the transport, and nothing comes back.
    fn hear(&mut self) {
        let bytes = self.peer.take();
        self.host.feed(self.id, &bytes);
    }

    /// Bytes go both ways until there are none.
    fn settle(&mut self) {
        loop {
            let (up, down) = (self.peer.take(), self.host.written(self.id));
            if up.is_empty() && down.is_empty() {
                return;
            }
            self.host.feed(self.id, &up);
            self.peer.receive(&down);
        }
    }

    fn send(&mut self, body: usize) -> Result<Submitted, SendCause> {
        let body = vec![b'x'; body];
        let builder = RequestBuilder::new(Method::Message, "sip:a@x.invalid");
        let builder = builder.body("text/plain", &body);
        let request = builder.build(|bytes| bytes.fill(7)).unwrap();
        let wish = SendOptions::new().connection(self.id);
        let result = self.host.submit(request, wish);
        result.map_err(|error| error.cause().clone())
    }

    fn queued(&self) -> usize {
        self.host.transport.router().queued_bytes()
    }

    fn close_reason(&mut self) -> Option<CloseReason> {
        self.host.close_reason(self.id)
    }

    fn closed_by(&mut self) -> Option<Deadline> {
        match self.close_reason() {
            Some(CloseReason::Deadline(deadline)) => Some(deadline),
            Some(other) => panic!("{other}"),
            None => None,
        }
    }

    /// The sends that were lost behind the caller's back.
    fn lost(&self) -> Vec<SendId> {
        let events = self.host.events.iter();
        events
            .filter_map(|event| match event {
                Event::SendFailed { send, .. } => Some(*send),
                _ => None,
            })
            .collect()
    }

    /// The connection is gone with all that it held.
    fn nothing_is_left(&self) {
        assert_eq!(self.host.closes, [self.id]);
        assert_eq!(self.queued(), 0);
        assert_eq!(self.host.transport.router().load(), (0, 0));
        assert_eq!(self.host.deadline, None);
        assert!(self.host.transport.transmit(self.id).is_empty());
        assert_eq!(self.host.transport.recv_capacity(self.id), 0);
        assert!(!self.host.events.iter().any(|event| matches!(
            event,
            Event::ConnectionOpened { .. } | Event::ConnectionClosed { .. }
        )));
    }
}

/// Everything that a peer says in its handshake, flight by flight, cut before each byte that
/// matters: at the start, inside, and short of the end of each flight.
fn stages(protocol: Protocol, accepted: bool) -> Vec<Talk> {
    let begin = || match accepted {
        true => Talk::accepted(protocol),
        false => Talk::connected(protocol).0,
    };
    let mut stages = vec![begin()];
    for flight in 1.. {
        for part in [1, 2, 3] {
            let mut talk = begin();
            for _ in 1..flight {
                let down = talk.host.written(talk.id);
                talk.peer.receive(&down);
                talk.hear();
            }
            let down = talk.host.written(talk.id);
            talk.peer.receive(&down);
            let up = talk.peer.take();
            if up.is_empty() {
                return stages;
            }
            let len = [1, up.len() / 2, up.len() - 1][part - 1];
            talk.host.feed(talk.id, &up[..len]);
            if talk.host.events.is_empty() {
                stages.push(talk);
            }
        }
    }
    stages
}

#[test]
fn it_is_known_when_the_socket_was_connected_and_when_messages_could_pass() {
    for protocol in LAYERED {
        let (mut talk, _) = Talk::connected(protocol);
        let connected = talk.host.now;
        let times = |talk: &Talk| {
            let info = talk.host.transport.connections().next().unwrap();
            (info.connected, info.opened)
        };
        assert_eq!(times(&talk), (Some(connected), None));
        talk.host.pass(seconds(3));
        talk.settle();
        assert_eq!(times(&talk), (Some(connected), Some(talk.host.now)));
        talk.host.pass(seconds(1));
        assert_eq!(
            times(&talk),
            (Some(connected), Some(connected + seconds(3)))
        );
    }
}

// bad-inputs: C5, R8, W6; conformance: 147, 185
#[test]
fn a_handshake_takes_ten_seconds_at_most_wherever_it_stalls() {
    for protocol in LAYERED {
        for accepted in [true, false] {
            let stages = stages(protocol, accepted);
            let least = if protocol == Protocol::Wss { 7 } else { 4 };
            assert!(stages.len() >= least, "{protocol}: {}", stages.len());
            for mut talk in stages {
                talk.host.written(talk.id);
                talk.host.pass(seconds(10) - NANO);
                assert!(talk.host.events.is_empty(), "{:?}", talk.host.events);
                talk.host.pass(NANO);
                assert_eq!(talk.closed_by(), Some(Deadline::Handshake));
                talk.host.take_events();
                talk.nothing_is_left();
            }
        }
    }
}

// bad-inputs: C5, W6
#[test]
fn a_handshake_that_trickles_is_late_too() {
    for protocol in LAYERED {
        let mut talk = Talk::accepted(protocol);
        let hello = talk.peer.take();
        for byte in hello.iter().cycle().take(10) {
            talk.host.pass(seconds(1) - NANO);
            talk.host.feed(talk.id, &[*byte]);
        }
        talk.host.pass(10 * NANO);
        assert_eq!(talk.closed_by(), Some(Deadline::Handshake));
        talk.nothing_is_left();
    }
}

// bad-inputs: C4; conformance: 286
#[test]
fn a_peer_that_goes_in_its_handshake_leaves_one_event_and_nothing_else() {
    for protocol in LAYERED {
        for accepted in [true, false] {
            for (at, mut talk) in stages(protocol, accepted).into_iter().enumerate() {
                let (id, now) = (talk.id, talk.host.now);
                let reset = at % 2 == 0;
                let removed = at % 3 == 2;
                if removed {
                    talk.host
                        .transport
                        .remove_channel(now, talk.channel)
                        .unwrap();
                    talk.host.drain();
                    talk.host.written(id);
                    talk.host.pass(seconds(2));
                } else if reset {
                    talk.host
                        .transport
                        .handle_error(id, ErrorKind::ConnectionReset);
                    talk.host.drain();
                } else {
                    talk.host.eof(id);
                    talk.host.written(id);
                }
                let reason = talk.close_reason();
                match (removed, reset, protocol, reason) {
                    (true, _, _, Some(CloseReason::ChannelRemoved | CloseReason::Application)) => {}
                    (false, true, _, Some(CloseReason::Io(ErrorKind::ConnectionReset))) => {}
                    (false, false, _, Some(CloseReason::Tls(TlsError::Truncated))) => {}
                    (false, false, Protocol::Ws, Some(CloseReason::Peer)) => {}
                    _ => panic!("{protocol} {at}: {reason:?}"),
                }
                let failed = talk.host.take_events();
                assert_eq!(failed.len(), if accepted { 0 } else { 2 }, "{failed:?}");
                talk.nothing_is_left();
            }
        }
    }
}

#[test]
fn sends_that_wait_for_a_handshake_fail_with_it_and_know_why() {
    for protocol in LAYERED {
        let (mut talk, sends) = Talk::connected(protocol);
        assert!(talk.queued() > 0, "they are counted while they wait");
        talk.host.pass(seconds(10));
        assert_eq!(talk.closed_by(), Some(Deadline::Handshake));
        for send in sends {
            let error = talk.host.completed(send).unwrap_err();
            let late = AttemptCause::Deadline(Deadline::Handshake);
            assert_eq!(error.tried().last().unwrap().cause, late);
        }
        talk.nothing_is_left();
    }
}

#[test]
fn sends_that_wait_for_a_handshake_go_out_in_order_behind_it() {
    for protocol in LAYERED {
        let (mut talk, sends) = Talk::connected(protocol);
        talk.settle();
        for send in sends {
            talk.host.completed(send).unwrap();
        }
        assert_eq!(talk.queued(), 0);
        let messages = talk.peer.items.iter();
        let messages = messages.filter(|item| matches!(item, WebSocketEvent::Message { .. }));
        let framed = messages.count();
        let plain = talk.peer.plain.windows(8).filter(|at| *at == b"OPTIONS ");
        assert_eq!(framed + plain.count(), 2);
    }
}

// bad-inputs: C6, R8
#[test]
fn the_time_for_the_first_message_counts_from_the_accept() {
    for protocol in LAYERED {
        let mut talk = Talk::accepted(protocol);
        talk.host.pass(seconds(9));
        talk.settle();
        assert!(talk.peer.is_open());
        assert_eq!(talk.host.events.len(), 1, "it is open");
        talk.host.take_events();
        for _ in 0..10 {
            talk.host.pass(seconds(1));
            // Neither pings nor CRLFs are messages.
            talk.peer.send(b"\r\n\r\n");
            if protocol.is_websocket() {
                talk.peer.frame(true, 9, b"");
            }
            talk.settle();
        }
        talk.host.pass(seconds(1) - NANO);
        assert_eq!(talk.closed_by(), None);
        talk.host.pass(NANO);
        assert_eq!(talk.closed_by(), Some(Deadline::FirstMessage));
        talk.nothing_is_left();
    }
}

/// What begins a message, or what may hold one, and is never complete.
fn beginnings(protocol: Protocol) -> Vec<(&'static str, Vec<u8>)> {
    let mut talk = Talk::proven(protocol);
    let mut beginnings = Vec::new();
    if protocol.is_secure() {
        // The counters of another connection do: no record of these is ever whole.
        talk.peer.send(&numbered(2));
        let record = talk.peer.take();
        for len in [1, 4, 5, 6, record.len() - 1] {
            beginnings.push(("a record", record[..len].to_vec()));
        }
    }
    beginnings
}

// bad-inputs: W3, C5; conformance: 147
#[test]
fn what_begins_and_does_not_end_ends_at_the_deadline_of_a_message() {
    for protocol in LAYERED {
        for (what, bytes) in beginnings(protocol) {
            let mut talk = Talk::proven(protocol);
            talk.host.feed(talk.id, &bytes);
            late(talk, what);
        }
        type Begin = fn(&mut Peer);
        let half: &[(&str, Begin)] = &[
            ("half a message", |peer| peer.raw(&numbered(2)[..100])),
            ("half a header", |peer| {
                peer.raw(&frame(true, true, 2, &numbered(2))[..1]);
            }),
            ("half a frame", |peer| {
                peer.raw(&frame(true, true, 2, &numbered(2))[..100]);
            }),
            ("half a ping", |peer| {
                peer.raw(&frame(true, true, 9, b"ping")[..5]);
            }),
            ("a fragment", |peer| {
                peer.frame(false, 1, &numbered(2)[..100]);
            }),
            ("an empty fragment", |peer| peer.frame(false, 1, b"")),
        ];
        let half = match protocol {
            Protocol::Tls => &half[..1],
            _ => &half[1..],
        };
        for (what, begin) in half {
            let mut talk = Talk::proven(protocol);
            begin(&mut talk.peer);
            talk.hear();
            late(talk, what);
        }
    }
}

fn late(mut talk: Talk, what: &str) {
    // Nor does it help to send keep-alives in between, where they may stand.
    for _ in 0..19 {
        talk.host.pass(seconds(1));
        if what.ends_with("fragment") {
            talk.peer.frame(true, 9, b"");
            talk.settle();
        }
    }
    talk.host.pass(seconds(1) - NANO);
    assert_eq!(talk.closed_by(), None, "{} {what}", talk.protocol);
    talk.host.pass(NANO);
    let late = Some(Deadline::Message);
    assert_eq!(talk.closed_by(), late, "{} {what}", talk.protocol);
    talk.nothing_is_left();
}

#[test]
fn what_is_whole_again_is_waited_for_no_longer() {
    for protocol in LAYERED {
        let mut talk = Talk::proven(protocol);
        for number in 0..5 {
            talk.peer.send(&numbered(number));
            let bytes = talk.peer.take();
            let (first, rest) = bytes.split_at(bytes.len() - 1);
            talk.host.feed(talk.id, first);
            talk.host.pass(seconds(19));
            talk.host.feed(talk.id, rest);
            talk.host.pass(seconds(30));
        }
        talk.peer.send(b"\r\n\r\n");
        let ping = talk.peer.take();
        talk.host.feed(talk.id, &ping[..ping.len() - 1]);
        talk.host.pass(seconds(19));
        talk.host.feed(talk.id, &ping[ping.len() - 1..]);
        talk.settle();
        talk.host.pass(seconds(30));
        assert_eq!(talk.closed_by(), None);
        assert_eq!(talk.host.transport.stats().requests_in, 6);
    }
}

// bad-inputs: C9
#[test]
fn a_peer_that_reads_nothing_is_closed_and_what_it_missed_is_told() {
    for protocol in LAYERED {
        let mut talk = Talk::proven(protocol);
        let sent: Vec<_> = (0..3)
            .map(|_| match talk.send(1_000).unwrap() {
                Submitted::Sent(sent) => sent.id(),
                Submitted::Waiting(send) => panic!("{send} waits"),
            })
            .collect();
        let bytes = talk.host.transport.transmit(talk.id).len();
        assert_eq!(talk.queued(), bytes, "sealed bytes are counted");
        // The first is written, of the second a part.
        let now = talk.host.now;
        talk.host.transport.handle_written(now, talk.id, bytes / 2);
        talk.host.drain();
        assert_eq!(talk.queued(), bytes - bytes / 2);
        talk.host.pass(seconds(20) - NANO);
        assert_eq!(talk.lost(), []);
        talk.host.pass(NANO);
        assert_eq!(talk.lost(), sent[1..]);
        let stalled = CloseReason::Deadline(Deadline::Write);
        assert!(talk.host.events.iter().any(|event| matches!(
            event,
            Event::SendFailed { cause: SendFailure::Closed(reason), .. } if *reason == stalled
        )));
        assert_eq!(talk.close_reason(), Some(stalled));
        talk.nothing_is_left();
    }
}

// bad-inputs: C5, C9
#[test]
fn a_peer_that_reads_nothing_of_a_handshake_is_closed() {
    for protocol in LAYERED {
        let mut talk = Talk::accepted(protocol);
        talk.hear();
        talk.host.take_events();
        assert!(!talk.host.transport.transmit(talk.id).is_empty());
        talk.host.pass(seconds(21));
        // Of WebSocket the server has agreed with its answer.
        let late = match protocol {
            Protocol::Ws => Deadline::FirstMessage,
            _ => Deadline::Handshake,
        };
        assert_eq!(talk.closed_by(), Some(late));
        talk.host.take_events();
        talk.nothing_is_left();
    }
}

// bad-inputs: C9
#[test]
fn the_limit_of_a_queue_is_one_of_sealed_bytes() {
    for protocol in LAYERED {
        for total in [true, false] {
            let mut config = Config::default();
            if total {
                config.total_send_queue(20_000).unwrap();
            } else {
                config.send_queue(20_000).unwrap();
            }
            let mut talk = Talk::proven_with(protocol, config);
            let mut sent = 0;
            let cause = loop {
                match talk.send(300) {
                    Ok(_) => sent += 1,
                    Err(cause) => break cause,
                }
                let waits = talk.host.transport.transmit(talk.id).len();
                assert!(waits <= 20_000, "{waits}");
                assert_eq!(talk.queued(), waits);
            };
            assert_eq!(cause, SendCause::QueueFull { limit: 20_000 });
            assert!(sent > 20, "{sent}");
            // Room comes back with what is written.
            talk.settle();
            assert_eq!(talk.queued(), 0);
            talk.send(300).unwrap();
        }
    }
}

// bad-inputs: C9; conformance: RFC 6455 §5.5.3
#[test]
fn a_peer_that_pings_and_never_reads_gets_a_bounded_queue() {
    for protocol in SOCKETS {
        for proven in [true, false] {
            let mut talk = match proven {
                true => Talk::proven(protocol),
                false => Talk::accepted(protocol),
            };
            talk.settle();
            let mut most = 0;
            for round in 0..500_u32 {
                for _ in 0..50 {
                    talk.peer.frame(true, 9, &[b'x'; 120]);
                }
                talk.peer.frame(true, 9, &round.to_be_bytes());
                talk.hear();
                most = most.max(talk.host.transport.transmit(talk.id).len());
                assert_eq!(talk.queued(), talk.host.transport.transmit(talk.id).len());
            }
            assert!(most < 32_000, "{most}");
            // Messages still find room.
            if proven {
                talk.send(300).unwrap();
            }
            // When it reads again there is a pong for it.
            talk.settle();
            let last = |item: &&WebSocketEvent| matches!(item, WebSocketEvent::Pong);
            assert!(talk.peer.items.iter().rfind(last).is_some());
            assert!(talk.peer.error.is_none());
            assert_eq!(talk.queued(), 0);
        }
    }
}

// bad-inputs: C9, F12
#[test]
fn crlf_pings_over_tls_and_websocket_answer_within_the_limit_of_the_queue() {
    for protocol in LAYERED {
        let mut talk = Talk::accepted(protocol);
        talk.settle();
        for _ in 0..200 {
            for _ in 0..50 {
                talk.peer.send(b"\r\n\r\n");
            }
            talk.hear();
        }
        let waits = talk.host.transport.transmit(talk.id).len();
        assert!(waits <= 64 << 10, "{waits}");
        assert_eq!(talk.queued(), waits);
        talk.settle();
        assert_eq!(talk.queued(), 0);
        assert!(talk.peer.error.is_none());
    }
}

// RFC 6455 §7.1.1
#[test]
fn a_peer_that_does_not_answer_the_close_has_two_seconds() {
    for protocol in LAYERED {
        let mut talk = Talk::proven(protocol);
        let now = talk.host.now;
        talk.host.transport.close(now, talk.id);
        talk.host.drain();
        // All of it is written: only the answer is missing, and what comes else does not count.
        assert!(!talk.host.written(talk.id).is_empty());
        talk.peer.send(&numbered(2));
        if protocol.is_websocket() {
            talk.peer.frame(true, 9, b"");
        }
        talk.hear();
        assert!(talk.host.written(talk.id).is_empty());
        talk.host.pass(seconds(2) - NANO);
        assert_eq!(talk.close_reason(), None);
        talk.host.pass(NANO);
        assert_eq!(talk.close_reason(), Some(CloseReason::Application));
        assert!(talk.host.take_events().is_empty());
        talk.nothing_is_left();
    }
}

// RFC 6455 §7.1.1, RFC 8446 §6.1
#[test]
fn a_close_is_over_when_the_peer_has_answered_it() {
    for protocol in LAYERED {
        let mut talk = Talk::proven(protocol);
        let now = talk.host.now;
        let sent = talk.send(100).unwrap();
        talk.host.transport.close(now, talk.id);
        talk.host.drain();
        assert!(matches!(sent, Submitted::Sent(_)));
        talk.settle();
        assert!(talk.peer.has_ended(), "{:?}", talk.peer.error);
        if protocol == Protocol::Tls {
            // The answer of TLS is not needed, only that the peer has read all.
            assert_eq!(talk.close_reason(), None);
            talk.host.eof(talk.id);
        }
        assert_eq!(talk.close_reason(), Some(CloseReason::Application));
        assert_eq!(talk.lost(), [], "what was queued was written first");
        talk.nothing_is_left();
        let data = talk.peer.plain.len() + talk.peer.items.len();
        assert!(data > 0, "{:?}", talk.peer.items);
    }
}

#[test]
fn nonsense_behind_our_close_changes_nothing() {
    for protocol in LAYERED {
        for answers in [true, false] {
            let mut talk = Talk::proven(protocol);
            let now = talk.host.now;
            talk.host.transport.close(now, talk.id);
            talk.host.drain();
            let close = talk.host.written(talk.id);
            if answers {
                talk.peer.receive(&close);
                talk.hear();
            }
            talk.host.feed(talk.id, b"\x17\x03\x03\x00\x02??");
            talk.host.feed(talk.id, b"?");
            talk.host.written(talk.id);
            talk.host.pass(seconds(2));
            assert_eq!(talk.close_reason(), Some(CloseReason::Application));
            talk.nothing_is_left();
        }
    }
}

#[test]
fn the_last_bytes_have_two_seconds_and_what_is_lost_is_told() {
    for protocol in LAYERED {
        let mut talk = Talk::proven(protocol);
        let Submitted::Sent(sent) = talk.send(100).unwrap() else {
            panic!("it waits");
        };
        let now = talk.host.now;
        talk.host.transport.close(now, talk.id);
        talk.host.drain();
        assert!(talk.queued() > 0);
        talk.host.pass(seconds(2));
        assert_eq!(talk.lost(), [sent.id()]);
        assert_eq!(talk.close_reason(), Some(CloseReason::Application));
        talk.nothing_is_left();
    }
}

/// A connection's machine by itself, open and proven, with its peer.
fn machine(protocol: Protocol) -> (Instant, Router, Connection, Peer) {
    let mut router = Router::new(Config::default(), [1; 32]);
    let config = ChannelConfig::new(protocol, addr("192.0.2.1:5061")).tls(peer::tls());
    let channel = router.add_channel(config).unwrap();
    let now = Instant::now();
    let (local, remote) = (addr("192.0.2.1:5061"), addr("192.0.2.9:33333"));
    let machine = router.accept(now, channel, local, remote).unwrap();
    (now, router, machine, Peer::client(protocol))
}

fn answer(now: Instant, machine: &mut Connection, call: Call) {
    if let Some(answer) = call.run() {
        machine.handle_command(now, answer);
    }
}

fn shake(now: Instant, machine: &mut Connection, peer: &mut Peer) -> usize {
    let mut requests = 0;
    loop {
        let up = peer.take();
        assert_eq!(machine.handle_data(now, &up), up.len());
        while let Some(event) = machine.poll_event(now) {
            match event {
                ConnectionEvent::Event(Event::Request { .. }) => requests += 1,
                ConnectionEvent::Call(call) => answer(now, machine, call),
                _ => {}
            }
        }
        let down = machine.transmit().to_vec();
        machine.handle_written(now, down.len());
        peer.receive(&down);
        if up.is_empty() && down.is_empty() {
            return requests;
        }
    }
}

// The application may be behind because it waits for a send to go out, on this very connection.
#[test]
fn a_handshake_goes_on_while_the_application_is_behind() {
    for protocol in LAYERED {
        let (start, _router, mut machine, mut peer) = machine(protocol);
        machine.pause(start);
        let late = start + seconds(10);
        assert_eq!(machine.poll_timeout(), Some((late, Deadline::Handshake)));
        let mut opened = 0;
        while !peer.is_open() {
            let up = peer.take();
            assert_eq!(machine.handle_data(start, &up), up.len());
            while let Some(event) = machine.poll_control(start) {
                match event {
                    ConnectionEvent::Event(Event::ConnectionOpened { .. }) => opened += 1,
                    ConnectionEvent::Call(call) => answer(start, &mut machine, call),
                    _ => {}
                }
            }
            let down = machine.transmit().to_vec();
            machine.handle_written(start, down.len());
            assert!(up.len() + down.len() > 0, "it stands still");
            peer.receive(&down);
        }
        // What a client of TLS says last.
        let up = peer.take();
        machine.handle_data(start, &up);
        while let Some(event) = machine.poll_control(start) {
            opened += usize::from(matches!(
                event,
                ConnectionEvent::Event(Event::ConnectionOpened { .. })
            ));
        }
        let tickets = machine.transmit().to_vec();
        machine.handle_written(start, tickets.len());
        peer.receive(&tickets);
        assert_eq!(opened, 1, "{protocol}");
        // And no further than that.
        assert_eq!(machine.recv_capacity(), 0);
        assert_eq!(machine.poll_timeout().map(|(_, why)| why), None);
        machine.resume(start + seconds(5));
        let late = start + seconds(25);
        assert_eq!(machine.poll_timeout(), Some((late, Deadline::FirstMessage)));
        peer_says(&mut peer, 1);
        assert_eq!(shake(start, &mut machine, &mut peer), 1);
    }
}

#[test]
fn a_peer_answers_a_close_while_the_application_is_behind() {
    for protocol in LAYERED {
        let (start, _router, mut machine, mut peer) = machine(protocol);
        shake(start, &mut machine, &mut peer);
        machine.pause(start);
        machine.close(start, CloseReason::Application);
        let down = machine.transmit().to_vec();
        machine.handle_written(start, down.len());
        peer.receive(&down);
        assert!(!machine.is_closed());
        machine.handle_data(start, &peer.take());
        while machine.poll_control(start).is_some() {}
        let down = machine.transmit().to_vec();
        machine.handle_written(start, down.len());
        if protocol == Protocol::Tls {
            machine.handle_eof();
        }
        assert!(machine.is_closed());
    }
}

#[test]
fn inside_a_record_or_fragment_a_pause_stops_the_time() {
    for protocol in LAYERED {
        let (start, _router, mut machine, mut peer) = machine(protocol);
        peer_says(&mut peer, 1);
        shake(start, &mut machine, &mut peer);
        peer_says(&mut peer, 1);
        assert_eq!(shake(start, &mut machine, &mut peer), 1);
        peer_says(&mut peer, 2);
        let bytes = peer.take();
        machine.handle_data(start, &bytes[..bytes.len() - 1]);
        while machine.poll_event(start).is_some() {}
        let late = start + seconds(20);
        assert_eq!(machine.poll_timeout(), Some((late, Deadline::Message)));
        machine.pause(start + seconds(19));
        assert_eq!(machine.poll_timeout(), None);
        machine.resume(start + seconds(100));
        let late = start + seconds(101);
        assert_eq!(machine.poll_timeout(), Some((late, Deadline::Message)));
        machine.handle_timeout(late);
        assert!(machine.is_closed());
    }
}

/// A message, once that is possible.
fn peer_says(peer: &mut Peer, number: usize) {
    if peer.is_open() {
        peer.send(&numbered(number));
    }
}
