//! An attacker that takes all connections it can get and speaks over each, while honest peers idle
//! and newcomers come.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::calls::ping;
use crate::link::{Connector, Link};

/// What besieges a server, and whom it serves.
#[derive(Clone, Copy, Debug)]
pub struct Siege {
    /// How many honest peers have a connection each, from an address each.
    pub honest: u8,
    /// How long they idle before the attack.
    pub idle: Duration,
    /// How many connections the attacker tries from each of its addresses.
    pub connections: usize,
    /// How many addresses it has: first one, then these.
    pub addresses: u8,
    /// How many peers come from new addresses during each attack.
    pub newcomers: u8,
}

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Connections of the attacker that were answered over.
    pub answered: usize,
    /// Newcomers that were answered.
    pub newcomers: usize,
}

/// Loopback addresses by who comes from them.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Side {
    Honest = 1,
    Attacker,
    Newcomer,
}

/// Lets honest peers idle and then an attacker come, from one address and from all of its own, and
/// newcomers behind it.
///
/// # Errors
/// A newcomer was not served, or an honest peer does not get a pong any more.
pub fn run(connector: &Connector, siege: Siege) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let mut honest = Vec::new();
    for peer in 1..=siege.honest {
        honest.push(served(connector, Side::Honest, peer)?);
    }
    thread::sleep(siege.idle);
    // They stay connected until the end.
    let (mut attack, mut newcomers) = (Vec::new(), Vec::new());
    for addresses in [1, siege.addresses] {
        for address in (1..=addresses)
            .cycle()
            .take(siege.connections * usize::from(addresses))
        {
            // Whether the server takes it is the attacker's affair.
            attack.extend(served(connector, Side::Attacker, address));
        }
        for _ in 0..siege.newcomers {
            outcome.newcomers += 1;
            let number = u8::try_from(outcome.newcomers)?;
            let newcomer = served(connector, Side::Newcomer, number);
            newcomers.push(newcomer.map_err(|error| format!("newcomer {number}: {error}"))?);
        }
    }
    outcome.answered = attack.len();
    for (peer, link) in honest.iter_mut().enumerate() {
        let pong = link.keep_alive();
        pong.map_err(|error| format!("honest peer {}: {error}", peer + 1))?;
    }
    Ok(outcome)
}

/// An exchange over a new connection, which stays.
fn served(connector: &Connector, side: Side, number: u8) -> Result<Link, Failure> {
    let connector = Connector {
        from: Some(IpAddr::V4(Ipv4Addr::new(127, 0, side as u8, number))),
        ..connector.clone()
    };
    let mut link = connector.connect()?;
    ping(&mut link, connector.to, &format!("{side:?}-{number}"))?;
    Ok(link)
}
