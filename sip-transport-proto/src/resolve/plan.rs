use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use super::dns::{Dns, LookupKey};
use super::procedure::{Procedure, Seen, Stop};
use super::records::Known;
use super::{Capabilities, DomainName, LookupKind, Question, ResolveConfig, Target};
use crate::resolve::ids::PlanId;
use crate::tokens::Tokens;

/// One question on its way, with what its lookups came to.
#[derive(Debug)]
pub(super) struct Plan {
    question: Question,
    capabilities: Capabilities,
    seed: [u8; 32],
    deadline: Instant,
    /// No more lookups, and no more waiting.
    closed: bool,
    asked: BTreeMap<LookupKey, State>,
}

#[derive(Debug)]
enum State {
    /// The answer is waited for, at most until then if there is less time than the lookup has.
    Waits(Option<Instant>),
    Known(Known),
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

    /// Goes as far as what is known leads.
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
                    Some(State::Known(known)) => return Some(known.clone()),
                    Some(State::Waits(_)) => return None,
                    None if closed => return Some(Known::Failed(io::ErrorKind::TimedOut)),
                    None if asked.len() >= config.max_lookups => {
                        dns.stats.over_plan_limit += 1;
                        return Some(Known::Nothing);
                    }
                    None => {}
                }
                let known = dns.ask(now, config, id, &key);
                let state = known.clone().map_or(State::Waits(None), State::Known);
                asked.insert(key, state);
                known
            },
            seen: Seen::default(),
        };
        procedure.run()
    }

    /// Takes in what a lookup came to. What the plan gave up waiting for stays given up, or its
    /// targets would change.
    pub(super) fn learn(&mut self, key: &LookupKey, known: &Known) {
        if let Some(state @ State::Waits(_)) = self.asked.get_mut(key) {
            *state = State::Known(known.clone());
        }
    }

    /// All that was asked for it.
    pub(super) fn lookups(&self) -> impl Iterator<Item = &LookupKey> {
        self.asked.keys()
    }

    /// When it is to be looked at next.
    pub(super) fn wake(&self) -> Instant {
        let waits = self.asked.values().filter_map(|state| match state {
            State::Waits(until) => *until,
            State::Known(_) => None,
        });
        waits.fold(self.deadline, Instant::min)
    }

    /// Waits only so long for what is not needed for a first target.
    pub(super) fn hurry(&mut self, now: Instant, ready: bool, config: &ResolveConfig) {
        let later = ready.then(|| now + config.later_wait);
        let other_family = now + config.other_family_wait;
        let sooner = |(key, state): (&LookupKey, &State)| {
            let State::Waits(already) = state else {
                return None;
            };
            let family = self.has_other_family(key).then_some(other_family);
            let until = [*already, later, family].into_iter().flatten().min()?;
            Some((key.clone(), State::Waits(Some(until))))
        };
        let hurried: Vec<_> = self.asked.iter().filter_map(sooner).collect();
        self.asked.extend(hurried);
    }

    /// Whether addresses of the same host in the other family are known (RFC 8305 §3).
    fn has_other_family(&self, (kind, name): &LookupKey) -> bool {
        let other = match kind {
            LookupKind::A => LookupKind::Aaaa,
            LookupKind::Aaaa => LookupKind::A,
            LookupKind::Naptr | LookupKind::Srv => return false,
        };
        let other = self.asked.get(&(other, name.clone()));
        matches!(other, Some(State::Known(Known::Addresses(_))))
    }

    /// Gives up the waits whose time is over, and at its deadline all of them.
    pub(super) fn time_out(&mut self, now: Instant) {
        self.closed = self.deadline <= now;
        for state in self.asked.values_mut() {
            if let State::Waits(until) = state
                && (self.closed || until.is_some_and(|until| until <= now))
            {
                *state = State::Known(Known::Failed(io::ErrorKind::TimedOut));
            }
        }
    }
}
