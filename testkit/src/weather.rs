//! The weather of a run: what goes wrong on the network, drawn from its seed.

use std::time::Duration;

use sip_transport_proto::sim::Link;

use crate::dice::Dice;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Nothing breaks connections.
    pub streams_hold: bool,
    /// No datagram is lost or duplicated.
    pub datagrams_hold: bool,
}

impl Weather {
    /// Returns true if both streams and datagrams suffer.
    pub fn is_rough(self) -> bool {
        !self.streams_hold && !self.datagrams_hold
    }

    /// A link in such weather: slow, reordering, and often with small reads and writes.
    pub fn link(self, dice: &mut Dice) -> Link {
        let mut link = Link::default()
            .with_latency(Duration::from_millis(1) + dice.millis(40))
            .with_jitter(dice.millis(30));
        if !self.datagrams_hold {
            // On streams a lost packet only arrives later.
            link = link
                .with_loss(dice.percent(20))
                .with_duplication(dice.percent(15))
                .with_mtu(1_400);
        }
        if !self.streams_hold {
            link = link.with_reset(dice.percent(8));
        }
        link = link
            .with_reordering(dice.percent(30))
            .with_would_block(dice.percent(25));
        if dice.one_in(2) {
            // Seldom byte by byte: it costs time.
            let most = if dice.one_in(10) { 7 } else { 400 };
            link = link.with_write_sizes(1..=most).with_window(600);
        }
        if dice.one_in(2) {
            let most = if dice.one_in(10) { 7 } else { 300 };
            link = link.with_read_sizes(1..=most);
        }
        link
    }
}
