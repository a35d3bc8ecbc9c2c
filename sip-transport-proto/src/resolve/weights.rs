//! The order of SRV records by priority and weight (RFC 2782).

use super::records::Server;
use crate::tokens::Tokens;

/// The servers in the order in which to try them (RFC 2782, "Weight"): by priority, and within a
/// priority by weighted random draws. `servers` are in order of priority.
pub(super) fn order(servers: &[Server], draws: &mut Tokens) -> Vec<Server> {
    let mut ordered = Vec::with_capacity(servers.len());
    for same in servers.chunk_by(|a, b| a.priority == b.priority) {
        let mut left = same.to_vec();
        while !left.is_empty() {
            let drawn = left.remove(draw(&left, draws));
            ordered.push(drawn);
        }
    }
    ordered
}

/// Draws a server and returns its index. Each server is drawn by as many numbers as its weight; one
/// more number stands for all servers of weight 0 together, so that each of them has the same, very
/// small chance.
fn draw(servers: &[Server], draws: &mut Tokens) -> usize {
    if servers.len() <= 1 {
        return 0;
    }
    let sum: u64 = servers.iter().map(|server| u64::from(server.weight)).sum();
    let idle = servers.iter().filter(|server| server.weight == 0).count() as u64;
    let number = if idle > 0 {
        below(sum + 1, draws)
    } else {
        below(sum, draws) + 1
    };
    if number == 0 {
        let chosen = below(idle, draws);
        let mut indexes = (0..servers.len())
            .filter(|index| servers.get(*index).is_some_and(|server| server.weight == 0));
        return indexes.nth(chosen as usize).unwrap_or(0);
    }
    let mut running = 0;
    let index = servers.iter().position(|server| {
        running += u64::from(server.weight);
        running >= number
    });
    index.unwrap_or(0)
}

/// A random number below `end`. The sums of weights are so small that 64 bits have no noticeable
/// bias.
fn below(end: u64, draws: &mut Tokens) -> u64 {
    u64::from_le_bytes(draws.array()) % end.max(1)
}
