//! One plan: a question with the answers to its lookups so far.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::dns::{Dns, LookupKey};
use super::procedure::{Observations, Procedure, Stop};
use super::records::CheckedAnswer;
use super::{Capabilities, DomainName, LookupKind, Question, ResolveConfig, Target};
use crate::resolve::ids::PlanId;
use crate::tokens::Tokens;

/// A question being resolved, with the state of its lookups.
#[derive(Debug)]
pub(super) struct Plan {
    question: Question,
    capabilities: Capabilities,
    seed: [u8; 32],
    deadline: Instant,
    /// True after the deadline: no more lookups, and no more waiting.
    closed: bool,
    asked: BTreeMap<LookupKey, LookupState>,
}

#[derive(Debug)]
enum LookupState {
    /// The answer is awaited, at most until then if that is earlier than the lookup's own time
    /// limit.
    Pending(Option<Instant>),
    Answered(CheckedAnswer),
}

impl Plan {
    pub(super) fn new(
        question: Question,
        capabilities: Capabilities,
        seed: [u8; 32],
        deadline: Instant,
    ) -> Self {
        Self {
            question,
            capabilities,
            seed,
            deadline,
            closed: false,
            asked: BTreeMap::new(),
        }
    }

    /// Runs the procedure with the answers so far.
    pub(super) fn run(
        &mut self,
        now: Instant,
        id: PlanId,
        dns: &mut Dns,
        config: &ResolveConfig,
    ) -> Result<Vec<Target>, Stop> {
        let (asked, closed) = (&mut self.asked, self.closed);
        let procedure = Procedure {
            question: &self.question,
            config,
            capabilities: self.capabilities,
            draws: Tokens::new(self.seed),
            ask: |kind, name: &DomainName| {
                let key = (kind, name.clone());
                match asked.get(&key) {
                    Some(LookupState::Answered(known)) => return Some(known.clone()),
                    Some(LookupState::Pending(_)) => return None,
                    None if closed => return Some(CheckedAnswer::Failed(io::ErrorKind::TimedOut)),
                    None if asked.len() >= config.max_lookups => {
                        dns.stats.over_plan_limit += 1;
                        return Some(CheckedAnswer::Nothing);
                    }
                    None => {}
                }
                let known = dns.ask(now, config, id, &key);
                let state = known
                    .clone()
                    .map_or(LookupState::Pending(None), LookupState::Answered);
                asked.insert(key, state);
                known
            },
            seen: Observations::default(),
        };
        procedure.run()
    }

    /// Records the answer to a lookup. A wait that the plan has given up stays given up, as
    /// otherwise its targets would change.
    pub(super) fn learn(&mut self, key: &LookupKey, known: &CheckedAnswer) {
        if let Some(state @ LookupState::Pending(_)) = self.asked.get_mut(key) {
            *state = LookupState::Answered(known.clone());
        }
    }

    /// All lookups of the plan.
    pub(super) fn lookups(&self) -> impl Iterator<Item = &LookupKey> {
        self.asked.keys()
    }

    /// The time of the plan's next timeout.
    pub(super) fn wake(&self) -> Instant {
        let waits = self.asked.values().filter_map(|state| match state {
            LookupState::Pending(until) => *until,
            LookupState::Answered(_) => None,
        });
        waits.fold(self.deadline, Instant::min)
    }

    /// Limits the wait for answers that are not needed for the first target.
    pub(super) fn hurry(&mut self, now: Instant, ready: bool, config: &ResolveConfig) {
        let later = ready.then(|| now + config.later_wait);
        let other_family = now + config.other_family_wait;
        let sooner = |(key, state): (&LookupKey, &LookupState)| {
            let LookupState::Pending(already) = state else {
                return None;
            };
            let family = self.has_other_family(key).then_some(other_family);
            let until = [*already, later, family].into_iter().flatten().min()?;
            Some((key.clone(), LookupState::Pending(Some(until))))
        };
        let hurried: Vec<_> = self.asked.iter().filter_map(sooner).collect();
        self.asked.extend(hurried);
    }

    /// Returns true if addresses of the same host in the other family are known (RFC 8305 §3).
    fn has_other_family(&self, (kind, name): &LookupKey) -> bool {
        let other = match kind {
            LookupKind::A => LookupKind::Aaaa,
            LookupKind::Aaaa => LookupKind::A,
            LookupKind::Naptr | LookupKind::Srv => return false,
        };
        let other = self.asked.get(&(other, name.clone()));
        matches!(
            other,
            Some(LookupState::Answered(CheckedAnswer::Addresses(_)))
        )
    }

    /// Gives up the waits whose time is over, and at the deadline all of them.
    pub(super) fn time_out(&mut self, now: Instant) {
        self.closed = self.deadline <= now;
        for state in self.asked.values_mut() {
            if let LookupState::Pending(until) = state
                && (self.closed || until.is_some_and(|until| until <= now))
            {
                *state = LookupState::Answered(CheckedAnswer::Failed(io::ErrorKind::TimedOut));
            }
        }
    }
}
