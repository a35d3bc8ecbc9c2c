use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use sip_transport_proto::{
    Protocol, Tokens, resolve::AddressRule, resolve::Answer, resolve::Capabilities,
    resolve::DomainName, resolve::Family, resolve::LookupId, resolve::LookupKind,
    resolve::NaptrRecord, resolve::PlanError, resolve::PlanId, resolve::Progress,
    resolve::Question, resolve::Record, resolve::ResolveConfig, resolve::ResolveOutput,
    resolve::Resolver, resolve::SrvRecord, resolve::Target, sip_core::uri::SipUri, tls::TlsName,
};

/// Whatever URIs ask and DNS answers, and whenever, each plan ends once, in time, within its
/// lookups, and with targets that may be sent to; the order of answers changes nothing.
///
/// The input is a script: a byte that chooses a step, one that it may use, and for some steps
/// bytes that make a URI or records.
pub fn dns_plan(data: &[u8]) {
    let start = Instant::now();
    let once = World::run(start, data);
    if data.len().is_multiple_of(4) {
        assert_eq!(World::run(start, data), once);
    }
    let in_order = lying_zone(start, data, |_| 0);
    let reversed = lying_zone(start, data, |open| open - 1);
    assert_eq!(in_order, reversed);
}

type Targets = Result<Vec<Target>, PlanError>;

const PLAN_TIME: Duration = Duration::from_secs(6);
const MAX_LOOKUPS: usize = 32;

struct Asked {
    question: String,
    can: Capabilities,
    begin: Instant,
}

struct World {
    resolver: Resolver,
    tokens: Tokens,
    now: Instant,
    plans: BTreeMap<PlanId, Asked>,
    /// Lookups that were ever asked for, answered or not.
    lookups: Vec<(LookupId, LookupKind)>,
    targets: Vec<Target>,
    /// What came of the plans.
    trace: Vec<(String, Targets)>,
}

impl World {
    fn run(start: Instant, mut script: &[u8]) -> Vec<(String, Targets)> {
        let mut config = ResolveConfig::default();
        config.later_orders(script.len().is_multiple_of(2));
        // Small enough for scripts to reach.
        for result in [
            config.cache_names(16).err(),
            config.grey_targets(4).err(),
            config.max_open_lookups(48).err(),
            config.max_asked_lookups(12).err(),
        ] {
            result.into_iter().for_each(crate::message::never);
        }
        let mut world = Self {
            resolver: Resolver::new(config),
            tokens: Tokens::new([7; 32]),
            now: start,
            plans: BTreeMap::new(),
            lookups: Vec::new(),
            targets: Vec::new(),
            trace: Vec::new(),
        };
        while let [step, choice, rest @ ..] = script {
            script = rest;
            world.step(*step, *choice, &mut script);
            world.drain();
            assert!(world.resolver.open_lookups() <= 48);
            assert!(world.resolver.asked_lookups() <= 12);
            assert!(world.resolver.remembered() <= 16);
            assert_eq!(world.resolver.plans(), world.plans.len());
            let due = world.plans.values().map(|asked| asked.begin + PLAN_TIME);
            let first = world.resolver.deadline();
            assert!(
                due.min()
                    .is_none_or(|due| first.is_some_and(|first| first <= due))
            );
        }
        world.end();
        world.trace
    }

    fn step(&mut self, step: u8, choice: u8, script: &mut &[u8]) {
        match step % 8 {
            0 => {
                let uri = URIS[usize::from(choice) % URIS.len()];
                self.start(uri.as_bytes(), capabilities(take(script, 2)));
            }
            1 => {
                let mut uri = b"sip:".to_vec();
                uri.extend(take(script, usize::from(choice)));
                self.start(&uri, Capabilities::ALL);
            }
            2..=4 => {
                let newest = self.lookups.len().wrapping_sub(1 + usize::from(choice % 8));
                if let Some(&(id, kind)) = self.lookups.get(newest) {
                    let answer = answer(kind, step ^ choice, script);
                    self.resolver.answer(self.now, id, answer);
                }
            }
            5 => {
                self.now += Duration::from_millis(1 << (choice % 18));
                self.resolver.handle_timeout(self.now);
            }
            6 => {
                let plan = self.plans.keys().nth(usize::from(choice)).copied();
                if let Some(plan) = plan {
                    self.resolver.cancel(plan);
                    self.plans.remove(&plan);
                }
            }
            _ => {
                let target = self.targets.get(usize::from(choice / 2));
                if let (Some(target), true) = (target, choice.is_multiple_of(2)) {
                    self.resolver.target_failed(self.now, target);
                } else if let Some(target) = target {
                    self.resolver.target_worked(target);
                }
            }
        }
    }

    fn start(&mut self, uri: &[u8], can: Capabilities) {
        let Ok(uri) = SipUri::parse(uri) else {
            return;
        };
        let Ok(question) = Question::from_uri(&uri) else {
            return;
        };
        let asked = Asked {
            question: uri.to_string(),
            can,
            begin: self.now,
        };
        let before = self.resolver.stats().lookups;
        match self
            .resolver
            .start(self.now, question, can, &mut self.tokens)
        {
            Progress::Done(result) => self.ended(&asked, result),
            Progress::Waiting(plan) => {
                assert!(self.plans.insert(plan, asked).is_none(), "{plan:?} again");
            }
        }
        assert!(self.resolver.stats().lookups - before <= MAX_LOOKUPS as u64);
    }

    fn drain(&mut self) {
        while let Some(output) = self.resolver.poll_output() {
            match output {
                ResolveOutput::Lookup { id, kind, .. } => self.lookups.push((id, kind)),
                ResolveOutput::Planned { plan, result } => match self.plans.remove(&plan) {
                    Some(asked) => self.ended(&asked, result),
                    None => panic!("{plan:?} did not wait"),
                },
                _ => {}
            }
        }
    }

    fn ended(&mut self, asked: &Asked, result: Targets) {
        check(asked, &result);
        self.targets.extend(result.iter().flatten().cloned());
        self.trace.push((asked.question.clone(), result));
    }

    fn end(&mut self) {
        for _ in 0..200 {
            let Some(deadline) = self.resolver.deadline() else {
                break;
            };
            self.now = self.now.max(deadline);
            self.resolver.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.plans.is_empty(), "plans that never ended");
        assert_eq!(self.resolver.plans(), 0);
        assert_eq!(self.resolver.open_lookups(), 0);
        assert_eq!(self.resolver.asked_lookups(), 0);
        assert_eq!(self.resolver.deadline(), None);
    }
}

fn check(asked: &Asked, result: &Targets) {
    let Ok(targets) = result else {
        return;
    };
    assert!(!targets.is_empty() && targets.len() <= 64);
    let sips = asked.question.starts_with("sips");
    for (i, target) in targets.iter().enumerate() {
        let protocol = target.protocol;
        assert!(asked.can.has(protocol, Family::of(target.addr.ip())));
        assert!(
            protocol.is_secure() || !sips,
            "{target} for {}",
            asked.question
        );
        assert!(target.tls_name.is_none() || protocol.is_secure());
        if let Some(name) = target.tls_name.as_ref().and_then(TlsName::as_domain) {
            let uri = asked.question.to_ascii_lowercase();
            assert!(uri.contains(name), "{target} for {uri}");
        }
        assert_ne!(target.addr.port(), 0);
        let place = |t: &Target| (t.protocol, t.addr);
        assert!(targets[..i].iter().all(|t| place(t) != place(target)));
    }
    check_races(targets);
    assert!(targets.is_sorted_by_key(|target| target.reason.grey));
}

/// The addresses of one server race where it has some of both families, over streams; no others do.
fn check_races(targets: &[Target]) {
    let server = |target: &Target| match &target.reason.address {
        AddressRule::Record { host, .. } => Some(host.clone()),
        _ => None,
    };
    let is_one = |a: &Target, b: &Target| {
        (a.protocol, a.addr.port(), server(a)) == (b.protocol, b.addr.port(), server(b))
    };
    for addresses in targets.chunk_by(is_one) {
        let has = |family| addresses.iter().any(|t| Family::of(t.addr.ip()) == family);
        let both = has(Family::Ipv4) && has(Family::Ipv6);
        for (place, target) in addresses.iter().enumerate() {
            let races = both && place > 0 && target.protocol != Protocol::Udp;
            assert_eq!(target.races, races, "{target}");
        }
    }
}

/// A plan where every name has records that the input and the name decide on.
fn lying_zone(start: Instant, data: &[u8], choose: fn(usize) -> usize) -> Targets {
    let mut resolver = Resolver::new(ResolveConfig::default());
    let uri = URIS[usize::from(data.first().copied().unwrap_or(0)) % URIS.len()];
    let uri = SipUri::parse(uri.as_bytes()).unwrap_or_else(crate::message::never);
    let Ok(question) = Question::from_uri(&uri) else {
        return Ok(Vec::new());
    };
    let mut tokens = Tokens::new([7; 32]);
    let mut now = start;
    match resolver.start(now, question, Capabilities::ALL, &mut tokens) {
        Progress::Done(result) => return result,
        Progress::Waiting(_) => {}
    }
    let mut open: Vec<(LookupId, LookupKind, DomainName)> = Vec::new();
    loop {
        while let Some(output) = resolver.poll_output() {
            match output {
                ResolveOutput::Lookup { id, kind, name } => open.push((id, kind, name)),
                ResolveOutput::Planned { result, .. } => return result,
                _ => {}
            }
        }
        if open.is_empty() {
            now = resolver.deadline().unwrap_or(now + PLAN_TIME).max(now);
            assert!(now <= start + PLAN_TIME);
            resolver.handle_timeout(now);
            continue;
        }
        let (id, kind, name) = open.remove(choose(open.len()));
        let at = name.as_str().bytes().fold(kind as usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        let mut records = data.get(at % data.len().max(1)..).unwrap_or_default();
        let choice = records.first().copied().unwrap_or(0);
        // One in sixteen never comes.
        if choice % 16 != 15 {
            resolver.answer(now, id, answer(kind, choice, &mut records));
        }
    }
}

const URIS: [&str; 12] = [
    "sip:a.example",
    "sips:a.example",
    "sip:a.example;transport=tcp",
    "sips:A.example;transport=tcp",
    "sip:b.example:5070",
    "sip:b.example;transport=ws",
    "sips:b.example;transport=ws",
    "sip:192.0.2.1",
    "sips:[2001:db8::1]",
    "sip:x.localhost",
    "sip:x.invalid",
    "sip:c.example;maddr=a.example",
];

const NAMES: [&str; 12] = [
    "_sip._udp.a.example",
    "_sip._tcp.a.example",
    "_sips._tcp.a.example",
    "_sip._ws.b.example",
    "a.example",
    "B.EXAMPLE.",
    "s1.a.example",
    "s2.a.example",
    ".",
    "x.invalid",
    "localhost",
    "192.0.2.9",
];

const SERVICES: [&str; 8] = [
    "SIP+D2U", "SIP+D2T", "SIPS+D2T", "SIP+D2W", "SIPS+D2W", "SIP+D2S", "E2U+sip", "sip+d2t",
];

/// An answer: mostly records of the kind that was asked for.
fn answer(kind: LookupKind, choice: u8, script: &mut &[u8]) -> Answer {
    let ttl = Duration::from_secs(1 << (choice % 20));
    match choice % 8 {
        0 => return Answer::Failed(io::ErrorKind::Other),
        1 if choice >= 128 => return Answer::NoSuchName { ttl: Some(ttl) },
        1 => return Answer::NotFound { ttl: Some(ttl) },
        _ => {}
    }
    let many = usize::from(choice / 8);
    let records = (0..many).map(|_| record(kind, take(script, 6))).collect();
    Answer::Found { records, ttl }
}

fn record(kind: LookupKind, bytes: &[u8]) -> Record {
    let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let name = |i: usize| match byte(i) {
        0xF0.. => String::from_utf8_lossy(bytes).into_owned(),
        n => NAMES[usize::from(n) % NAMES.len()].to_owned(),
    };
    let kind = if byte(5) == 0xFF {
        LookupKind::Srv
    } else {
        kind
    };
    match kind {
        LookupKind::Naptr => Record::Naptr(NaptrRecord {
            order: u16::from(byte(0) % 4),
            preference: u16::from(byte(1) % 4),
            flags: if byte(2) < 0xE0 { "s" } else { "u" }.to_owned(),
            services: SERVICES[usize::from(byte(3) % 8)].to_owned(),
            regexp: if byte(2) == 1 { "!x!y!" } else { "" }.to_owned(),
            replacement: name(4),
        }),
        LookupKind::Srv => Record::Srv(SrvRecord {
            priority: u16::from(byte(0) % 4),
            weight: u16::from_be_bytes([byte(1), byte(1)]),
            port: u16::from(byte(2)),
            target: name(3),
        }),
        LookupKind::A => Record::Address(IpAddr::from(Ipv4Addr::new(
            byte(0),
            byte(1),
            byte(2),
            byte(3),
        ))),
        _ => {
            let [high, low] = [byte(0), byte(1)].map(u16::from);
            let mapped = if byte(2) == 1 { u16::MAX } else { 0 };
            Record::Address(Ipv6Addr::new(high, 0, 0, 0, 0, mapped, low, low).into())
        }
    }
}

fn capabilities(bits: &[u8]) -> Capabilities {
    let all = Protocol::ALL.into_iter().enumerate();
    all.fold(Capabilities::NONE, |can, (i, protocol)| {
        let has = |byte: usize| bits.get(byte).is_none_or(|bits| bits & (1 << i) != 0);
        let can = if has(0) {
            can.with(protocol, Family::Ipv4)
        } else {
            can
        };
        if has(1) {
            can.with(protocol, Family::Ipv6)
        } else {
            can
        }
    })
}

fn take<'a>(script: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (data, rest) = script.split_at(len.min(script.len()));
    *script = rest;
    data
}
