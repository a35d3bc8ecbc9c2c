//! The deadlines of a connection.

use core::time::Duration;
use std::time::Instant;

use crate::config::Config;
use crate::deadline::Deadline;

/// The deadlines of one connection. Those that wait for messages stop while reading is paused.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    pub(crate) connect: Option<Instant>,
    pub(crate) handshake: Option<Instant>,
    pub(crate) first_message: Option<Instant>,
    pub(crate) message: Option<Instant>,
    pub(crate) idle: Option<Instant>,
    pub(crate) write: Option<Instant>,
    pub(crate) linger: Option<Instant>,
    pub(crate) ping: Option<Instant>,
    pub(crate) pong: Option<Instant>,
    pub(crate) behind: Option<Instant>,
    /// The time at which some of the sends that wait for the connection to open have waited long
    /// enough.
    pub(crate) size_rule: Option<Instant>,
    paused: Option<Instant>,
}

impl Deadlines {
    pub(crate) fn active(&mut self, now: Instant, config: &Config) {
        self.idle = Some(now + config.idle_timeout);
    }

    /// Starts the wait for a pong. While reading is paused, no pong can be late.
    pub(crate) fn expect_pong(&mut self, now: Instant, config: &Config) {
        let from = self.paused.unwrap_or(now);
        self.pong.get_or_insert(from + config.pong_timeout);
    }

    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused.get_or_insert(now);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Resumes reading: each deadline keeps the time that it had left.
    pub(crate) fn resume(&mut self, now: Instant) {
        let Some(since) = self.paused.take() else {
            return;
        };
        let paused = now.saturating_duration_since(since);
        for at in [
            &mut self.first_message,
            &mut self.message,
            &mut self.idle,
            &mut self.pong,
        ] {
            *at = at.map(|at| later(at, paused));
        }
    }

    pub(crate) fn next(&self) -> Option<(Instant, Deadline)> {
        let always = [
            (self.connect, Deadline::Connect),
            (self.handshake, Deadline::Handshake),
            (self.write, Deadline::Write),
            (self.linger, Deadline::Linger),
            (self.ping, Deadline::Ping),
            (self.behind, Deadline::Behind),
            (self.size_rule, Deadline::SizeRule),
        ];
        let reading = [
            (self.first_message, Deadline::FirstMessage),
            (self.message, Deadline::Message),
            (self.idle, Deadline::Idle),
            (self.pong, Deadline::Pong),
        ];
        let reading = reading.into_iter().filter(|_| self.paused.is_none());
        always
            .into_iter()
            .chain(reading)
            .filter_map(|(at, why)| Some((at?, why)))
            .min()
    }
}

fn later(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).unwrap_or(at)
}
