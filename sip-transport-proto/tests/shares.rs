//! No address starves the others: who makes room where connections are as many as may be.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use common::{Host, addr, numbered};
use proptest::prelude::*;
use sip_transport_proto::error::{AcceptError, CloseReason};
use sip_transport_proto::parts::{Notice, Router, RouterOutput};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Config, ConnectionId, ConnectionState, Protocol,
};

/// A server and the connections that peers have to it.
struct Server {
    host: Host,
    channel: ChannelId,
    ports: u32,
}

impl Server {
    fn new(max_connections: usize) -> Self {
        let mut config = Config::default();
        config.max_connections(max_connections).unwrap();
        let mut host = Host::with(config);
        let channel = host.tcp("[::]:5060");
        Self {
            host,
            channel,
            ports: 0,
        }
    }

    /// A connection from there that brings a message.
    fn serve(&mut self, from: &str) -> Option<ConnectionId> {
        let id = self.connect(from)?;
        self.host.feed(id, &numbered(1));
        Some(id)
    }

    fn connect(&mut self, from: &str) -> Option<ConnectionId> {
        let (now, local) = (self.host.now, addr("[2001:db8::1]:5060"));
        let port = 1 + self.ports % 65_535;
        self.ports += 1;
        let remote = addr(&format!("{from}:{port}"));
        let accepted = self
            .host
            .transport
            .handle_accepted(now, self.channel, local, remote);
        self.host.drain();
        accepted.ok()
    }

    fn all_live(&self, ids: &[ConnectionId]) -> bool {
        ids.iter().all(|id| self.lives(*id))
    }

    fn lives(&self, id: ConnectionId) -> bool {
        let info = self.host.transport.router().connection(id);
        info.is_some_and(|info| info.state == ConnectionState::Open)
    }

    fn ping(&mut self, ids: &[ConnectionId]) {
        for id in ids {
            self.host.feed(*id, b"\r\n\r\n");
            assert_eq!(self.host.written(*id), b"\r\n");
        }
    }
}

/// `honest` peers with a connection each idle for 66 s and ping each 95 s, while an attacker with
/// so many addresses connects wherever it can and sends a message over each connection.
fn attack(max_connections: usize, attackers: usize, honest: usize, trusted: bool) {
    let mut server = Server::new(max_connections);
    let honest: Vec<_> = (0..honest)
        .map(|peer| server.serve(&format!("192.0.2.{peer}")).unwrap())
        .collect();
    if trusted {
        assert!(honest.iter().all(|id| server.host.transport.trust(*id)));
    }
    server.host.pass(Duration::from_secs(66));
    let mut newcomers = Vec::new();
    for round in 0..3 {
        // One address has 8,192 connections at most.
        for number in 0..(max_connections + 36).min(10_000) {
            let attacker = number % attackers;
            let _ = server.serve(&format!("198.51.100.{attacker}"));
        }
        for peer in 0..5 {
            let from = format!("203.0.113.{}", round * 5 + peer);
            let newcomer = server.serve(&from);
            newcomers.push(newcomer.expect("a newcomer is let in"));
        }
        assert!(server.all_live(&newcomers[round * 5..]), "a newcomer stays");
        server.host.pass(Duration::from_secs(29));
        server.ping(&honest);
        server.host.events.clear();
    }
    assert!(server.all_live(&honest));
    let (connections, _) = server.host.transport.router().load();
    assert!(connections <= max_connections);
}

// bad-inputs: C6
#[test]
fn an_attacker_at_one_address_harms_no_other() {
    attack(64, 1, 40, false);
    for max_connections in [256, 1_024, 65_536] {
        attack(max_connections, 1, 60, false);
    }
}

// bad-inputs: C6
#[test]
fn an_attacker_at_64_addresses_harms_no_other_that_has_a_share_or_is_trusted() {
    // Where there are more addresses than connections, trust decides.
    attack(64, 64, 40, true);
    for max_connections in [256, 1_024] {
        attack(max_connections, 64, 60, false);
    }
}

// bad-inputs: C6
#[test]
fn all_of_65_536_connections_may_be_an_attackers_and_others_are_let_in() {
    let mut config = Config::default();
    config.max_connections(65_536).unwrap();
    let mut router = Router::new(config, [1; 32]);
    let (local, now) = (addr("192.0.2.1:5060"), Host::new().now);
    let channel = ChannelConfig::new(Protocol::Tcp, local);
    let channel = router.add_channel(channel).unwrap();
    let accept = |router: &mut Router, from: &str, after: u64| {
        let now = now + Duration::from_secs(after);
        let id = router.accept(now, channel, local, addr(from)).ok()?.id();
        router.handle_notice(now, id, Notice::first_message());
        router.handle_notice(now, id, Notice::active());
        while let Some(output) = router.poll_output() {
            if let RouterOutput::Command {
                connection,
                command,
            } = output
                && let Some(reason) = command.close_reason()
            {
                router.handle_notice(now, connection, Notice::closed(reason));
            }
        }
        Some(id)
    };
    let honest: Vec<_> = (0..60)
        .map(|peer| accept(&mut router, &format!("198.51.100.{peer}:1"), 0).unwrap())
        .collect();
    for port in 1..=1_100 {
        for attacker in 0..64 {
            accept(&mut router, &format!("203.0.113.{attacker}:{port}"), 66);
        }
    }
    assert_eq!(router.load().0, 65_536);
    let newcomers: Vec<_> = (1..=5)
        .map(|peer| accept(&mut router, &format!("192.0.2.{peer}:1"), 67).unwrap())
        .collect();
    for id in honest.iter().chain(&newcomers) {
        assert!(router.connection(*id).is_some());
    }
}

// bad-inputs: C6
#[test]
fn while_there_is_room_a_crowd_from_one_address_is_let_in() {
    let mut server = Server::new(65_536);
    let crowd: Vec<_> = (0..8_000)
        .map(|_| server.connect("192.0.2.9").unwrap())
        .collect();
    server.host.pass(Duration::from_secs(10));
    for id in &crowd {
        server.host.feed(*id, &numbered(1));
    }
    assert!(server.all_live(&crowd));
    assert_eq!(server.host.transport.stats().connections_limited, 0);
}

// bad-inputs: C6
#[test]
fn of_silent_connections_who_has_most_makes_room() {
    let mut server = Server::new(64);
    let honest = server.connect("192.0.2.1").unwrap();
    let attacks: Vec<_> = (0..60)
        .map(|number| {
            let from = format!("198.51.100.{}", number % 3);
            server.connect(&from).unwrap()
        })
        .collect();
    let newcomer = server.connect("192.0.2.2").unwrap();
    assert!(server.all_live(&[honest, newcomer]));
    // A quarter of all connections may be silent, and of each attacker's the oldest are gone.
    for attacker in 0..3 {
        let own = attacks.iter().skip(attacker).step_by(3);
        let own: Vec<_> = own.map(|id| server.lives(*id)).collect();
        let left = own.iter().filter(|lives| **lives).count();
        assert!(own.is_sorted() && (4..=5).contains(&left), "{own:?}");
    }
}

/// What holds of each connection before a newcomer comes.
type Listed = BTreeMap<ConnectionId, (Option<IpAddr>, bool)>;

fn listed(router: &Router) -> Listed {
    let live = router.connections();
    let live = live.filter(|info| info.state != ConnectionState::Closing);
    live.map(|info| {
        let party = info.accepted && !info.trusted;
        let party = party.then(|| info.remote.addr.ip());
        (info.id, (party, info.silent))
    })
    .collect()
}

/// How many an address holds, and how many of them are silent; or 1 for what is nobody's.
fn share(all: &Listed, party: Option<IpAddr>) -> (usize, usize) {
    let Some(party) = party else {
        return (1, 1);
    };
    let of_it = || all.values().filter(|(of, _)| *of == Some(party));
    (
        of_it().count(),
        of_it().filter(|(_, silent)| *silent).count(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// In whatever order peers come, speak, are trusted and go.
    // bad-inputs: C6
    #[test]
    fn who_makes_room_holds_most_or_is_the_newcomers(
        steps in prop::collection::vec((0usize..8, any::<usize>(), 0u8..5), 1..200),
    ) {
        let mut config = Config::default();
        config.max_connections(10).unwrap();
        config.max_silent(6).unwrap();
        config.max_connections_per_ip(5).unwrap();
        let mut router = Router::new(config, [1; 32]);
        let local = addr("192.0.2.1:5060");
        let channel = router.add_channel(ChannelConfig::new(Protocol::Tcp, local)).unwrap();
        let mut now = Host::new().now;
        for (port, (step, which, peer)) in steps.into_iter().enumerate() {
            let before = listed(&router);
            let ids: Vec<_> = before.keys().copied().collect();
            let at = which.checked_rem(ids.len()).and_then(|at| ids.get(at)).copied();
            match (step, at) {
                (0..4, _) => {
                    let remote = addr(&format!("192.0.2.{peer}:{}", port + 1));
                    let newcomer = remote.ip();
                    let own = share(&before, Some(newcomer)).0;
                    let result = router.accept(now, channel, local, remote);
                    let after = listed(&router);
                    let gone: Vec<_> = before.keys().filter(|id| !after.contains_key(id)).collect();
                    prop_assert!(gone.len() <= 1);
                    let parties = || before.values().filter_map(|(party, _)| *party);
                    match result {
                        Ok(_) => {
                            let silent = before.values().filter(|(_, silent)| *silent).count();
                            let full = before.len() == 10 || silent == 6 || own == 5;
                            prop_assert_eq!(gone.len(), usize::from(full));
                        }
                        Err(AcceptError::PerAddress { limit }) => prop_assert_eq!(own, limit),
                        Err(AcceptError::Full { .. }) => {
                            prop_assert_eq!(before.len(), 10);
                            // Who holds more than the newcomer would makes room for it.
                            let most = if own > 0 { own + 1 } else { 0 };
                            prop_assert!(parties().all(|ip| share(&before, Some(ip)).0 <= most));
                        }
                        Err(other) => panic!("{other}"),
                    }
                    for id in gone {
                        let party = before[id].0;
                        let (total, silent) = share(&before, party);
                        let most = parties().all(|ip| share(&before, Some(ip)).0 <= total)
                            || parties().all(|ip| share(&before, Some(ip)).1 <= silent);
                        prop_assert!(party == Some(newcomer) || most);
                        prop_assert!(party.is_some() || parties().next().is_none(), "trusted");
                    }
                }
                (4, Some(id)) => router.handle_notice(now, id, Notice::first_message()),
                (5, Some(id)) => drop(router.trust(id)),
                (6, Some(id)) => router.handle_notice(now, id, Notice::closed(CloseReason::Peer)),
                _ => now += Duration::from_secs(u64::from(peer) * 20),
            }
            while let Some(output) = router.poll_output() {
                if let RouterOutput::Command { connection, command } = output
&& let Some(reason) = command.close_reason() {
                    router.handle_notice(now, connection, Notice::closed(reason));
                }
            }
        }
    }
}
