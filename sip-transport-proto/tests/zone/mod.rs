//! DNS zones in text, and plans made from them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs,
    dead_code,
    unreachable_pub
)]

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use sip_transport_proto::resolve::{
    Answer, Capabilities, Family, LookupId, LookupKind, NaptrRecord, PlanError, PlanId, Progress,
    Question, Record, ResolveConfig, ResolveOutput, Resolver, SrvRecord, Target,
};
use sip_transport_proto::sip_core::uri::SipUri;
use sip_transport_proto::{Protocol, Tokens};

pub const SEED: [u8; 32] = [9; 32];

/// Records by type and lower-case name.
///
/// One record a line, the names with or without the last dot:
///
/// ```text
/// a.example NAPTR 50 50 s SIPS+D2T _sips._tcp.a.example     (a regular expression may stand last)
/// _sip._udp.a.example SRV 0 1 5060 s1.a.example
/// s1.a.example A 192.0.2.1 192.0.2.2
/// b.example AAAA fails
/// c.example A never
/// ```
#[derive(Clone, Debug, Default)]
pub struct Zone(BTreeMap<(String, String), Vec<Entry>>);

#[derive(Clone, Debug)]
enum Entry {
    Record(Record),
    Fails,
    NoSuchName,
    Never,
}

impl Zone {
    pub fn new(text: &str) -> Self {
        let mut zone = Self::default();
        for line in text.split('\n').map(str::trim).filter(|l| !l.is_empty()) {
            let mut words = line.split_whitespace();
            let (name, kind) = (words.next().unwrap(), words.next().unwrap());
            let words: Vec<_> = words.collect();
            let number = |i: usize| words[i].parse().unwrap();
            let text = |i: usize| words.get(i).copied().unwrap_or_default().to_owned();
            let entries = match (kind, words.as_slice()) {
                (_, ["fails"]) => vec![Entry::Fails],
                (_, ["nxdomain"]) => vec![Entry::NoSuchName],
                (_, ["never"]) => vec![Entry::Never],
                ("NAPTR", _) => vec![Entry::Record(Record::Naptr(NaptrRecord {
                    order: number(0),
                    preference: number(1),
                    flags: text(2),
                    services: text(3),
                    replacement: text(4),
                    regexp: text(5),
                }))],
                ("SRV", _) => vec![Entry::Record(Record::Srv(SrvRecord {
                    priority: number(0),
                    weight: number(1),
                    port: number(2),
                    target: text(3),
                }))],
                _ => words
                    .iter()
                    .map(|ip| Entry::Record(Record::Address(ip.parse().unwrap())))
                    .collect(),
            };
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            zone.0
                .entry((kind.to_owned(), name))
                .or_default()
                .extend(entries);
        }
        zone
    }

    /// What this zone answers; nothing for a name that never answers.
    pub fn answer(&self, kind: LookupKind, name: &str) -> Option<Answer> {
        let Some(entries) = self.0.get(&(kind.to_string(), name.to_owned())) else {
            return Some(Answer::NotFound { ttl: None });
        };
        let mut records = Vec::new();
        for entry in entries {
            match entry {
                Entry::Record(record) => records.push(record.clone()),
                Entry::Fails => return Some(Answer::Failed(io::ErrorKind::Other)),
                Entry::NoSuchName => return Some(Answer::NoSuchName { ttl: None }),
                Entry::Never => return None,
            }
        }
        let ttl = Duration::from_secs(300);
        Some(Answer::Found { records, ttl })
    }
}

/// `all`, or words such as `udp`, `tcp4`, `tls6`.
pub fn capabilities(text: &str) -> Capabilities {
    let mut all = Capabilities::NONE;
    for word in text.split_whitespace() {
        if word == "all" {
            return Capabilities::ALL;
        }
        let name = word.trim_end_matches(['4', '6']);
        let protocol = Protocol::from_token(name).expect("a protocol");
        for (family, digit) in [(Family::Ipv4, '4'), (Family::Ipv6, '6')] {
            if word == name || word.ends_with(digit) {
                all = all.with(protocol, family);
            }
        }
    }
    all
}

pub fn question(uri: &str) -> Result<Question, PlanError> {
    Question::from_uri(&SipUri::parse(uri.as_bytes()).expect("a SIP URI"))
}

/// `udp 192.0.2.1:5060`, or `tls 192.0.2.1:5061 a.example` with the name to be proven.
pub fn text(target: &Target) -> String {
    let name = target.tls_name.as_ref();
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    format!("{} {}{name}", target.protocol, target.addr)
}

pub type Targets = Result<Vec<Target>, PlanError>;

/// A resolver with its DNS and its clock.
pub struct World {
    pub resolver: Resolver,
    pub zone: Zone,
    pub now: Instant,
    pub tokens: Tokens,
    /// All lookups that were asked for, such as `SRV _sip._udp.a.example`.
    pub asked: Vec<String>,
    open: Vec<(LookupId, LookupKind, String)>,
    done: BTreeMap<PlanId, Targets>,
}

impl World {
    pub fn new(config: ResolveConfig, zone: &str) -> Self {
        Self {
            resolver: Resolver::new(config),
            zone: Zone::new(zone),
            now: Instant::now(),
            tokens: Tokens::new(SEED),
            asked: Vec::new(),
            open: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    /// Starts a plan; lookups wait for [`World::answer_one`].
    pub fn start(&mut self, uri: &str, can: &str) -> Progress {
        let progress = self.start_only(uri, can);
        self.drain();
        progress
    }

    /// Starts a plan, and leaves the outputs where they are.
    pub fn start_only(&mut self, uri: &str, can: &str) -> Progress {
        let question = match question(uri) {
            Ok(question) => question,
            Err(error) => return Progress::Done(Err(error)),
        };
        let can = capabilities(can);
        self.resolver
            .start(self.now, question, can, &mut self.tokens)
    }

    /// Takes in what the resolver wants.
    pub fn drain(&mut self) {
        while let Some(output) = self.resolver.poll_output() {
            match output {
                ResolveOutput::Lookup { id, kind, name } => {
                    self.asked.push(format!("{kind} {name}"));
                    self.open.push((id, kind, name.to_string()));
                }
                ResolveOutput::CancelLookup(id) => self.open.retain(|(open, ..)| *open != id),
                ResolveOutput::Planned { plan, result } => self.finish(plan, result),
                _ => {}
            }
        }
    }

    pub fn finish(&mut self, plan: PlanId, result: Targets) {
        assert!(self.done.insert(plan, result).is_none(), "planned twice");
    }

    /// The lookup that has been open the longest.
    pub fn first_open(&self) -> LookupId {
        self.open.first().expect("an open lookup").0
    }

    /// Lookups that were asked for and not answered.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The first of the open lookups for such a name.
    pub fn position(&self, is_such: impl Fn(&str) -> bool) -> Option<usize> {
        self.open.iter().position(|(_, _, name)| is_such(name))
    }

    /// Answers one of the open lookups as the zone says, if it does; else forgets it.
    pub fn answer_one(&mut self, which: usize) {
        let (id, kind, name) = self.open.remove(which);
        if let Some(answer) = self.zone.answer(kind, &name) {
            self.resolver.answer(self.now, id, answer);
        }
        self.drain();
    }

    /// Answers all, the one that `choose` says of so many next.
    pub fn answer_all(&mut self, mut choose: impl FnMut(usize) -> usize) {
        while !self.open.is_empty() {
            let which = choose(self.open.len());
            self.answer_one(which);
        }
    }

    pub fn result(&mut self, plan: PlanId) -> Option<Targets> {
        self.done.remove(&plan)
    }

    /// Whether no plan ended unasked for.
    pub fn result_is_none(&self) -> bool {
        self.done.is_empty()
    }

    pub fn only_result(&mut self) -> Targets {
        assert_eq!(self.done.len(), 1);
        self.done.pop_first().unwrap().1
    }

    /// Moves the clock to the next deadline.
    pub fn jump(&mut self) {
        let at = self.resolver.deadline().expect("something to wait for");
        self.now = self.now.max(at);
        self.resolver.handle_timeout(self.now);
        self.drain();
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.resolver.handle_timeout(self.now);
        self.drain();
    }

    /// A plan to its end, and how long that took.
    pub fn plan(
        &mut self,
        uri: &str,
        can: &str,
        mut choose: impl FnMut(usize) -> usize,
    ) -> (Targets, Duration) {
        let begin = self.now;
        let id = match self.start(uri, can) {
            Progress::Done(result) => return (result, Duration::ZERO),
            Progress::Waiting(id) => id,
        };
        loop {
            self.answer_all(&mut choose);
            if let Some(result) = self.result(id) {
                return (result, self.now - begin);
            }
            self.jump();
        }
    }
}

/// The targets of one plan, one a line.
pub fn lines(result: &Targets) -> String {
    match result {
        Ok(targets) => targets.iter().map(text).collect::<Vec<_>>().join("\n"),
        Err(error) => format!("error: {error}"),
    }
}
