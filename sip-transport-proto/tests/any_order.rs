//! Whatever is called in whatever order: nothing panics, every send ends once, nothing is left.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use common::{Host, addr, invite, ip, numbered, ok, options, tcp, to, udp};
use proptest::prelude::*;
use sip_transport_proto::error::NextError;
use sip_transport_proto::resolve::{Answer, Record};
use sip_transport_proto::sip_core::Request;
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, Event, Hints, Protocol, ResponsePolicy,
    SendOptions, Sent, Submitted, Substitution,
};
use testkit::ledger::Ledger;

struct Run {
    host: Host,
    channels: Vec<ChannelId>,
    connections: Vec<ConnectionId>,
    requests: Vec<Request>,
    sent: Vec<Sent>,
    ledger: Ledger<()>,
}

const DESTINATIONS: [&str; 8] = [
    "sip:192.0.2.9",
    "sip:192.0.2.9;transport=tcp",
    "sip:[2001:db8::9];transport=tcp",
    "sip:example.com;transport=tcp",
    "sip:example.com",
    "sips:192.0.2.9",
    "tel:+1",
    "sip:x.invalid",
];

fn one_of<T>(all: &[T], pick: usize) -> Option<&T> {
    all.get(pick % all.len().max(1))
}

impl Run {
    fn new() -> Self {
        let mut config = Config::default();
        config.max_connections(4).unwrap();
        config.max_connections_per_ip(2).unwrap();
        config.send_queue(3_000).unwrap();
        config.total_send_queue(5_000).unwrap();
        config.max_waiting_sends(3).unwrap();
        Self {
            host: Host::with(config),
            channels: Vec::new(),
            connections: Vec::new(),
            requests: Vec::new(),
            sent: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    /// Takes account of what the transport says.
    fn look(&mut self) {
        self.host.drain();
        for event in self.host.take_events() {
            self.ledger.event((), &event);
            match event {
                Event::Request { request, .. } => self.requests.push(request),
                Event::SendCompleted { result, .. } => {
                    self.sent.extend(result.ok().map(|sent| *sent));
                }
                _ => {}
            }
        }
        let known: Vec<_> = self.host.connects.iter().map(|(id, ..)| *id).collect();
        for id in known {
            if !self.connections.contains(&id) {
                self.connections.push(id);
            }
        }
        let (connections, waiting) = self.host.transport.router().load();
        assert!(connections <= 4 && waiting <= 3);
        assert!(self.host.transport.router().queued_bytes() <= 5_000);
    }

    fn step(&mut self, what: u8, which: u8, how: u8) {
        let pick = usize::from(which);
        let connection = one_of(&self.connections, pick).copied();
        let channel = one_of(&self.channels, pick).copied();
        match what {
            0..=3 => self.change_channels(what, channel, pick, how),
            4..=8 => self.send(connection, channel, pick, how),
            9..=16 => {
                if let Some(id) = connection {
                    self.touch_connection(what, id, pick, how);
                }
            }
            17 => self.host.pass(Duration::from_secs(u64::from(how))),
            18 => self.host.transport.handle_timeout(self.host.now),
            19..=21 => self.answer(what, how),
            _ => self.interfere(what, channel, pick, how),
        }
        self.look();
    }

    /// Channels come and go, and peers connect to them.
    fn change_channels(&mut self, what: u8, channel: Option<ChannelId>, pick: usize, how: u8) {
        let (now, transport) = (self.host.now, &mut self.host.transport);
        match (what, channel) {
            (0, _) => {
                let local = [
                    "192.0.2.1:5060",
                    "0.0.0.0:5070",
                    "[::]:5060",
                    "127.0.0.1:5060",
                ];
                let protocol = [Protocol::Udp, Protocol::Tcp][usize::from(how % 2)];
                let config = ChannelConfig::new(protocol, addr(local[pick % 4]));
                self.channels.extend(transport.add_channel(config).ok());
            }
            (1, Some(channel)) if how < 60 => drop(transport.remove_channel(now, channel)),
            (2 | 3, Some(channel)) => {
                let remote = addr(&format!("192.0.2.{}:{}", how % 3, 1 + u16::from(how)));
                let accepted =
                    transport.handle_accepted(now, channel, addr("192.0.2.1:5060"), remote);
                self.connections.extend(accepted.ok());
            }
            _ => {}
        }
    }

    /// Sends a message, and again to its next target until there is none or it waits.
    fn send(
        &mut self,
        connection: Option<ConnectionId>,
        channel: Option<ChannelId>,
        pick: usize,
        how: u8,
    ) {
        let mut options = SendOptions::new();
        if how & 1 > 0 {
            options = options.hints(Hints {
                channel: channel.filter(|_| how & 2 > 0),
                connection: connection.filter(|_| how & 4 > 0),
                local: Some(ip("192.0.2.1")).filter(|_| how & 8 > 0),
            });
        }
        if how & 16 > 0 {
            options = options.substitution(Substitution::Original);
        }
        let mut message = match self.requests.pop() {
            Some(request) if how & 32 > 0 => ok(&request).into_message(),
            _ => invite(DESTINATIONS[pick % 8]).into_message(),
        };
        if how & 64 > 0 {
            // Too large for UDP.
            message.set_body(vec![b'x'; 1_300]).unwrap();
        }
        if how & 128 > 0 {
            options = options.responses(ResponsePolicy::new().sent_by(true));
        }
        let mut submitted = self.host.submit(message, options);
        self.ledger.submitted((), &submitted);
        while let Ok(Submitted::Sent(sent)) = submitted {
            let now = self.host.now;
            submitted = match self.host.transport.try_next(now, sent) {
                Ok(outgoing) => self.host.transport.send(now, outgoing),
                Err(NextError::NoTargetLeft(sent)) => return self.sent.push(*sent),
                Err(error) => panic!("new: {error}"),
            };
            self.ledger.submitted((), &submitted);
            self.host.drain();
        }
    }

    /// Something happens to a connection, or the application closes it.
    fn touch_connection(&mut self, what: u8, id: ConnectionId, pick: usize, how: u8) {
        let (now, transport) = (self.host.now, &mut self.host.transport);
        match what {
            9 => transport.handle_connected(now, id, addr("192.0.2.1:40000")),
            10 => transport.handle_error(id, ErrorKind::ConnectionReset),
            11 => transport.handle_eof(id),
            12..=14 => {
                let message = numbered(pick);
                let data = match how % 5 {
                    0 => &message[..],
                    1 => &message[..message.len() / 2],
                    2 => &message[message.len() / 2..],
                    3 => b"\r\n\r\n",
                    _ => b"no SIP\r\n\r\n",
                };
                transport.handle_data(now, id, data);
            }
            15 => transport.handle_written(now, id, usize::from(how) * 8),
            _ => drop(transport.close(now, id)),
        }
    }

    /// Something that the transport asked for is there, or will not be.
    fn answer(&mut self, what: u8, how: u8) {
        let (now, transport, is_there) = (self.host.now, &mut self.host.transport, how < 200);
        match what {
            19 => {
                let Some((id, ..)) = self.host.lookups.pop_front() else {
                    return;
                };
                // Addresses that were not asked for are ignored.
                let ips = ["192.0.2.9", "192.0.2.10", "2001:db8::9"].map(ip);
                let records = ips.map(Record::Address).to_vec();
                let ttl = Duration::from_secs(u64::from(how));
                let answer = match is_there {
                    true => Answer::Found { records, ttl },
                    false => Answer::Failed(ErrorKind::NotConnected),
                };
                transport.handle_lookup(now, id, answer.clone());
                // Twice is once.
                transport.handle_lookup(now, id, answer);
            }
            20 => {
                if let Some((query, _)) = self.host.local_queries.pop_front() {
                    let answer = is_there.then(|| ip("192.0.2.1"));
                    let answer = answer.ok_or(ErrorKind::NotFound);
                    transport.handle_local_address(now, query, answer);
                }
            }
            _ => {
                if let Some((channel, local)) = self.host.binds.pop_front() {
                    let local = std::net::SocketAddr::new(local.ip(), 40_000 + u16::from(how));
                    let answer = is_there.then_some(local).ok_or(ErrorKind::AddrInUse);
                    transport.handle_bound(now, channel, answer);
                }
            }
        }
    }

    /// Datagrams arrive and are lost, one is sent again, and the transport is told to end.
    fn interfere(&mut self, what: u8, channel: Option<ChannelId>, pick: usize, how: u8) {
        let (now, transport) = (self.host.now, &mut self.host.transport);
        match (what, channel) {
            (22, Some(channel)) => {
                let data = numbered(pick);
                let remote = addr("192.0.2.9:5060");
                transport.handle_datagram(now, channel.socket(0), remote, None, &data);
            }
            (23, _) if how < 10 => transport.shutdown(now),
            (24, _) => {
                if let Some(sent) = one_of(&self.sent, pick)
                    && transport.resend(now, sent).is_ok()
                {
                    self.ledger.resent((), sent.id());
                }
            }
            // Of one datagram several routers may complain.
            (25, _) => {
                let all = self.host.datagrams.make_contiguous();
                if let Some((_, transmit)) = one_of(all, pick) {
                    let (send, to) = (transmit.send, transmit.destination);
                    transport.handle_datagram_failed(now, send, to, ErrorKind::HostUnreachable);
                }
            }
            _ => {}
        }
    }

    /// The end of everything.
    fn finish(mut self) {
        self.host.pass(Duration::from_secs(7));
        let now = self.host.now;
        self.host.transport.shutdown(now);
        self.look();
        self.host.pass(Duration::from_secs(2));
        self.look();
        self.ledger.check_ended();
        self.ledger.check_closed(());
        assert_eq!(self.host.transport.router().load(), (0, 0));
        assert_eq!(self.host.transport.router().queued_bytes(), 0);
        assert_eq!(self.host.deadline, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    // conformance: 433
    #[test]
    fn every_send_ends_once_whatever_happens(
        steps in prop::collection::vec((0u8..26, any::<u8>(), any::<u8>()), 1..150),
    ) {
        let mut run = Run::new();
        run.step(0, 0, 0);
        run.step(0, 0, 1);
        for (what, which, how) in steps {
            run.step(what, which, how);
        }
        run.finish();
    }
}

#[test]
fn after_the_end_calls_change_nothing() {
    let mut host = Host::new();
    let datagrams = host.udp("192.0.2.1:5060");
    host.tcp("192.0.2.1:5060");
    host.waits(options("sip:192.0.2.9"), to(tcp("192.0.2.9:5060")));
    let id = host.connected("192.0.2.1:40000");
    let now = host.now;
    host.transport.shutdown(now);
    host.drain();
    host.written(id);
    host.take_events();
    host.transport.shutdown(now);
    host.transport
        .handle_connected(now, id, addr("192.0.2.1:40000"));
    host.transport.handle_written(now, id, 100);
    host.transport.handle_error(id, ErrorKind::ConnectionReset);
    host.drain();
    assert!(host.events.is_empty());
    assert!(
        host.submit(options("sip:192.0.2.9"), to(udp("192.0.2.9:5060")))
            .is_err()
    );
    // What still comes is still told.
    let data = common::wire_request("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "");
    assert!(host.datagram(datagrams, "192.0.2.9:5060", &data).is_some());
}
