use super::records::Server;
use crate::tokens::Tokens;

/// The servers in the order in which they are to be tried (RFC 2782, "Weight"): by priority, and
/// among the same by draws that favour weight. `servers` are in order of priority.
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

/// The place of the one drawn. Each server is drawn from as many numbers as its weight says; where
/// there are servers without weight, one more number stands for them all, so that they have a very
/// small chance, and each the same.
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
        let mut places = (0..servers.len())
            .filter(|place| servers.get(*place).is_some_and(|server| server.weight == 0));
        return places.nth(chosen as usize).unwrap_or(0);
    }
    let mut running = 0;
    let place = servers.iter().position(|server| {
        running += u64::from(server.weight);
        running >= number
    });
    place.unwrap_or(0)
}

/// A number below `end`. The sums of weights are so small that 64 bits have no bias to speak of.
fn below(end: u64, draws: &mut Tokens) -> u64 {
    u64::from_le_bytes(draws.array()) % end.max(1)
}
