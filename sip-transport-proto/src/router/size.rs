//! Requests that are too large for UDP (RFC 3261 §18.1.1).

use std::time::Instant;

use tracing::warn;

use super::Router;
use crate::deadline::Deadline;
use crate::endpoint::is_one_host;
use crate::error::AttemptCause;
use crate::observe::trace::CONNECTION;
use crate::outgoing::size_rule::{SizeLimit, max_datagram, must_avoid_udp};
use crate::outgoing::{Outgoing, SizeState};
use crate::protocol::Protocol;
use crate::resolve::Target;

impl Router {
    /// The size limit of a datagram to this target; none on a hinted channel.
    pub(super) fn sizing(
        &self,
        now: Instant,
        target: &Target,
        outgoing: &Outgoing,
        hinted: bool,
    ) -> SizeLimit {
        if let SizeState::Failed(cause) = &outgoing.size {
            return SizeLimit::Failed(cause.clone());
        }
        let rule = outgoing.options.size_rule;
        let limit = rule.unwrap_or(self.context.config.size_rule).limit();
        let chosen = hinted || outgoing.options.to.is_some() || !is_one_host(target.addr.ip());
        match limit.filter(|_| !chosen) {
            None => SizeLimit::Free,
            Some(limit) => {
                let failed_recently = self.without_tcp.get(now, &target.addr).is_some();
                if failed_recently && must_avoid_udp(&outgoing.message) {
                    SizeLimit::TcpFailedRecently(limit)
                } else {
                    SizeLimit::Limit(limit)
                }
            }
        }
    }

    /// Switches the current target to TCP, as the request is too large for UDP. Returns false if
    /// there is no such target.
    pub(super) fn avoid_udp(&self, now: Instant, outgoing: &mut Outgoing, len: usize) -> bool {
        let target = outgoing.targets.as_mut().and_then(|all| all.front_mut());
        let Some(target) = target.filter(|target| target.protocol == Protocol::Udp) else {
            return false;
        };
        target.avoid_udp();
        let until = now + self.context.config.size_rule_timeout;
        outgoing.size = SizeState::Tcp { len, until };
        true
    }

    /// Falls back to UDP if TCP was tried only because of the size. Returns false if it was not, or
    /// if the request does not fit into a datagram.
    pub(super) fn fall_back(
        &mut self,
        now: Instant,
        outgoing: &mut Outgoing,
        cause: &AttemptCause,
        targets_fault: bool,
    ) -> bool {
        let SizeState::Tcp { len, .. } = outgoing.size else {
            return false;
        };
        let target = outgoing.targets.as_mut().and_then(|all| all.front_mut());
        let Some(target) = target.filter(|target| len <= max_datagram(target.addr.ip())) else {
            return false;
        };
        if !target.back_to_udp() {
            return false;
        }
        outgoing.size = SizeState::Failed(Box::new(cause.clone()));
        let waited = *cause == AttemptCause::Deadline(Deadline::SizeRule);
        if waited && !self.without_tcp.has(&target.addr) {
            warn!(
                target: CONNECTION,
                addr = %target.addr,
                len,
                waited = ?self.context.config.size_rule_timeout,
                "a request too large for UDP timed out waiting for TCP (Config::size_rule)"
            );
        }
        if targets_fault || waited {
            let until = now + self.context.config.size_rule_memory;
            let forgotten = self.without_tcp.insert(target.addr, (), until, 0);
            self.context.counters.size_rule_forgotten.add(forgotten);
        }
        true
    }
}
