//! The procedure of RFC 3263 §4, from a question to its targets.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeSet;
use std::io;

use super::question::TargetHost;
use super::records::{CheckedAnswer, Server};
use super::{
    AddressRule, Capabilities, DomainName, Family, LookupKind, PlanError, ProtocolRule, Question,
    Reason, ResolveConfig, SrvChoice, Target, weights,
};
use crate::protocol::Protocol;
use crate::tokens::Tokens;

/// The procedure of RFC 3263 §4, written as straight-line code, as if every answer were available.
/// If an answer is missing, it stops, and is run again from the start when the answer has arrived.
///
/// So the targets cannot depend on the order of answers; and each run makes the lookups of the one
/// before, in the same order, so a limit on lookups cuts off the same ones whatever the timing.
pub(super) struct Procedure<'a, Ask> {
    pub(super) question: &'a Question,
    pub(super) config: &'a ResolveConfig,
    pub(super) capabilities: Capabilities,
    /// The random draws, starting from the same state in each run.
    pub(super) draws: Tokens,
    /// The answer to a lookup, or `None` while it is awaited.
    pub(super) ask: Ask,
    pub(super) seen: Observations,
}

/// The observations of a run, from which the error is derived if there is no target.
#[derive(Debug, Default)]
pub(super) struct Observations {
    /// The first lookup that failed.
    failure: Option<PlanError>,
    /// True if there are SRV records, usable or not.
    srv: bool,
    /// True if a name does not exist.
    no_such_name: bool,
}

/// The reason why a run ended without targets.
#[derive(Debug)]
pub(super) enum Stop {
    /// An answer is missing. With `ready`, the first target is known already.
    Waits {
        ready: bool,
    },
    Fails(PlanError),
}

/// A set of SRV records to look up.
struct Service {
    protocol: Protocol,
    rule: ProtocolRule,
    srv: Option<DomainName>,
}

impl<Ask: FnMut(LookupKind, &DomainName) -> Option<CheckedAnswer>> Procedure<'_, Ask> {
    pub(super) fn run(mut self) -> Result<Vec<Target>, Stop> {
        let question = self.question;
        let mut targets = match &question.host {
            TargetHost::Ip(ip) => self.numeric(*ip)?,
            TargetHost::Name(name) => {
                let targets = self.by_name(name)?;
                if targets.is_empty() {
                    return Err(Stop::Fails(self.no_target_error(name)));
                }
                targets
            }
        };
        let mut seen = BTreeSet::new();
        targets.retain(|target| seen.insert((target.protocol, target.addr)));
        targets.truncate(self.config.max_targets);
        Ok(targets)
    }

    /// The error for a plan without targets.
    fn no_target_error(self, name: &DomainName) -> PlanError {
        match self.seen {
            Observations {
                failure: Some(failure),
                ..
            } => failure,
            Observations { srv: true, .. } => PlanError::NotOffered(name.clone()),
            Observations {
                no_such_name: true, ..
            } => PlanError::NoSuchName(name.clone()),
            Observations { .. } => PlanError::NoAddress(name.clone()),
        }
    }

    /// The target for a numeric host: that address (RFC 3263 §4.1, §4.2).
    fn numeric(&self, ip: IpAddr) -> Result<Vec<Target>, Stop> {
        let family = Family::of(ip);
        let reaches = |protocol: Protocol| self.capabilities.has(protocol, family);
        let mut choices = self.choices(&reaches);
        let Some(protocol) = choices.next().filter(|protocol| reaches(*protocol)) else {
            return Err(Stop::Fails(self.cannot_send()));
        };
        let port = self
            .question
            .port
            .unwrap_or_else(|| protocol.default_port());
        let reason = Reason {
            protocol: self.plain_rule(),
            srv: None,
            address: AddressRule::Numeric,
            grey: false,
        };
        Ok(vec![self.target(protocol, ip, port, reason)])
    }

    fn by_name(&mut self, name: &DomainName) -> Result<Vec<Target>, Stop> {
        let capabilities = self.capabilities;
        let choices: Vec<_> = self
            .choices(&|protocol| capabilities.carries(protocol))
            .collect();
        let first = choices.first().copied();
        let Some(first) = first.filter(|protocol| capabilities.carries(*protocol)) else {
            return Err(Stop::Fails(self.cannot_send()));
        };
        // RFC 3263 §4.2: with a port, even the default one, there is neither NAPTR nor SRV.
        if self.question.port.is_some() || name.is_localhost() {
            return self.plain(first, self.plain_rule(), name);
        }
        if self.question.transport.is_some() {
            let services = [Service::of(first, ProtocolRule::Given, name)];
            self.ask_services(&services);
            self.ask_addresses(first, name);
            return self.by_services(&services, first, ProtocolRule::Given, name);
        }

        let services: Vec<_> = choices
            .iter()
            .map(|protocol| Service::of(*protocol, ProtocolRule::Srv, name))
            .collect();
        let naptr = self.look_up(LookupKind::Naptr, name);
        self.ask_services(&services);
        self.ask_addresses(first, name);
        match naptr.ok_or(Stop::Waits { ready: false })? {
            CheckedAnswer::Naptr(rules) => {
                let usable = rules.iter().filter(|rule| self.may_use(rule.protocol));
                let usable: Vec<_> = usable.cloned().collect();
                let mut targets = Vec::new();
                for same in usable.chunk_by(|a, b| a.order == b.order) {
                    let services: Vec<_> = same
                        .iter()
                        .map(|rule| Service {
                            protocol: rule.protocol,
                            rule: ProtocolRule::Naptr {
                                order: rule.order,
                                preference: rule.preference,
                            },
                            srv: Some(rule.srv.clone()),
                        })
                        .collect();
                    self.servers(&services, &mut targets)?;
                    // RFC 3403 §4.1: a later order is not considered once there is a match.
                    if !targets.is_empty() && !self.config.later_orders {
                        break;
                    }
                }
                if let (true, Some(best)) = (targets.is_empty(), usable.first()) {
                    let rule = ProtocolRule::Naptr {
                        order: best.order,
                        preference: best.preference,
                    };
                    return self.without_srv(best.protocol, rule, name);
                }
                if !usable.is_empty() {
                    return Ok(targets);
                }
            }
            // For sip, NAPTR merely improves the choice; for sips, its records may be the only ones
            // that name the TLS servers.
            CheckedAnswer::Failed(error) if self.question.secure => {
                self.note(LookupKind::Naptr, name, error);
                return Ok(Vec::new());
            }
            _ => {}
        }
        self.by_services(&services, first, ProtocolRule::Default, name)
    }

    /// The targets by SRV records, or else by the addresses of the domain itself.
    fn by_services(
        &mut self,
        services: &[Service],
        first: Protocol,
        rule: ProtocolRule,
        name: &DomainName,
    ) -> Result<Vec<Target>, Stop> {
        let mut targets = Vec::new();
        self.servers(services, &mut targets)?;
        if targets.is_empty() {
            return self.without_srv(first, rule, name);
        }
        Ok(targets)
    }

    /// The targets by the addresses of the domain itself, if it has no SRV records (RFC 3263 §4.2).
    /// If a lookup failed, that is not known.
    fn without_srv(
        &mut self,
        protocol: Protocol,
        rule: ProtocolRule,
        name: &DomainName,
    ) -> Result<Vec<Target>, Stop> {
        if self.seen.srv || self.seen.failure.is_some() {
            return Ok(Vec::new());
        }
        self.plain(protocol, rule, name)
    }

    fn plain(
        &mut self,
        protocol: Protocol,
        rule: ProtocolRule,
        name: &DomainName,
    ) -> Result<Vec<Target>, Stop> {
        let port = self
            .question
            .port
            .unwrap_or_else(|| protocol.default_port());
        let mut targets = Vec::new();
        self.ask_addresses(protocol, name);
        self.host(protocol, rule, None, name, port, &mut targets)?;
        Ok(targets)
    }

    /// Adds the servers of several services, service by service (RFC 2782).
    fn servers(&mut self, services: &[Service], targets: &mut Vec<Target>) -> Result<(), Stop> {
        self.ask_services(services);
        let mut servers: Vec<(&Service, SrvChoice, Server)> = Vec::new();
        let mut complete = true;
        for service in services {
            let Some(srv) = &service.srv else {
                continue;
            };
            match self.look_up(LookupKind::Srv, srv) {
                Some(CheckedAnswer::Srv(records)) => {
                    self.seen.srv = true;
                    for server in weights::order(&records, &mut self.draws) {
                        self.ask_addresses(service.protocol, &server.host);
                        let choice = SrvChoice {
                            name: srv.clone(),
                            priority: server.priority,
                            weight: server.weight,
                        };
                        servers.push((service, choice, server));
                    }
                }
                Some(CheckedAnswer::Failed(error)) => self.note(LookupKind::Srv, srv, error),
                Some(_) => {}
                None => {
                    complete = false;
                    break;
                }
            }
        }
        for (service, choice, server) in servers {
            self.host(
                service.protocol,
                service.rule.clone(),
                Some(choice),
                &server.host,
                server.port,
                targets,
            )?;
        }
        if !complete {
            let ready = !targets.is_empty();
            return Err(Stop::Waits { ready });
        }
        Ok(())
    }

    /// Adds the targets of one host. Their order is never interleaved with another host's (RFC 7984
    /// §4).
    fn host(
        &mut self,
        protocol: Protocol,
        rule: ProtocolRule,
        srv: Option<SrvChoice>,
        host: &DomainName,
        port: u16,
        targets: &mut Vec<Target>,
    ) -> Result<(), Stop> {
        let preferred = self.config.family;
        let first = self.family(protocol, preferred, host);
        let second = self.family(protocol, preferred.other(), host);
        let (Some(first), Some(second)) = (first, second) else {
            let ready = !targets.is_empty();
            return Err(Stop::Waits { ready });
        };
        for ip in interleave(&first, &second) {
            let address = if host.is_localhost() {
                AddressRule::Loopback
            } else {
                AddressRule::Record {
                    kind: Family::of(ip).into(),
                    host: host.clone(),
                }
            };
            let reason = Reason {
                protocol: rule.clone(),
                srv: srv.clone(),
                address,
                grey: false,
            };
            targets.push(self.target(protocol, ip, port, reason));
        }
        Ok(())
    }

    /// The addresses of a host in one family that can be sent to; `None` until they are known.
    fn family(
        &mut self,
        protocol: Protocol,
        family: Family,
        host: &DomainName,
    ) -> Option<Vec<IpAddr>> {
        if !self.capabilities.has(protocol, family) {
            return Some(Vec::new());
        }
        if host.is_localhost() {
            return Some(vec![match family {
                Family::Ipv4 => Ipv4Addr::LOCALHOST.into(),
                Family::Ipv6 => Ipv6Addr::LOCALHOST.into(),
            }]);
        }
        let kind = LookupKind::from(family);
        match self.look_up(kind, host)? {
            CheckedAnswer::Addresses(addresses) => {
                let usable = |ip: &IpAddr| !ip.is_multicast() || protocol == Protocol::Udp;
                return Some(addresses.iter().copied().filter(usable).collect());
            }
            CheckedAnswer::Failed(error) => self.note(kind, host, error),
            CheckedAnswer::NoSuchName => self.seen.no_such_name = true,
            _ => {}
        }
        Some(Vec::new())
    }

    fn target(&self, protocol: Protocol, ip: IpAddr, port: u16, reason: Reason) -> Target {
        Target {
            protocol,
            addr: SocketAddr::new(ip, port),
            tls_name: self.question.tls_name().filter(|_| protocol.is_secure()),
            races: false,
            reason,
        }
    }

    /// The protocol that the question asks for; else those of the configured order that can be sent
    /// on, or any other that can.
    fn choices(&self, can: &dyn Fn(Protocol) -> bool) -> impl Iterator<Item = Protocol> + use<Ask> {
        let secure = self.question.secure;
        let may = |protocol: &Protocol| (protocol.is_secure() || !secure) && can(*protocol);
        let mut choices: Vec<_> = match self.question.transport {
            Some(protocol) => vec![protocol],
            None => self.config.protocols.iter().copied().filter(may).collect(),
        };
        if choices.is_empty() {
            choices = Protocol::ALL.into_iter().filter(may).collect();
        }
        choices.into_iter()
    }

    fn may_use(&self, protocol: Protocol) -> bool {
        (protocol.is_secure() || !self.question.secure) && self.capabilities.carries(protocol)
    }

    fn plain_rule(&self) -> ProtocolRule {
        match self.question.transport {
            Some(_) => ProtocolRule::Given,
            None => ProtocolRule::Default,
        }
    }

    fn cannot_send(&self) -> PlanError {
        let default = match self.question.secure {
            true => Protocol::Tls,
            false => Protocol::Udp,
        };
        PlanError::CannotSend(self.question.transport.unwrap_or(default))
    }

    fn note(&mut self, kind: LookupKind, name: &DomainName, error: io::ErrorKind) {
        let name = name.clone();
        self.seen
            .failure
            .get_or_insert(PlanError::Lookup { kind, name, error });
    }

    /// Starts the lookups of SRV records without waiting, so that they run in parallel.
    fn ask_services(&mut self, services: &[Service]) {
        for srv in services.iter().filter_map(|service| service.srv.as_ref()) {
            self.look_up(LookupKind::Srv, srv);
        }
    }

    fn ask_addresses(&mut self, protocol: Protocol, host: &DomainName) {
        for family in [self.config.family, self.config.family.other()] {
            if self.capabilities.has(protocol, family) && !host.is_localhost() {
                self.look_up(family.into(), host);
            }
        }
    }

    fn look_up(&mut self, kind: LookupKind, name: &DomainName) -> Option<CheckedAnswer> {
        if name.is_invalid() {
            return Some(CheckedAnswer::NoSuchName);
        }
        (self.ask)(kind, name)
    }
}

impl Service {
    fn of(protocol: Protocol, rule: ProtocolRule, name: &DomainName) -> Self {
        // RFC 3263 §4.1. RFC 7118 defines no SRV labels: these follow its transport parameter.
        let prefix = match protocol {
            Protocol::Udp => "_sip._udp",
            Protocol::Tcp => "_sip._tcp",
            Protocol::Tls => "_sips._tcp",
            Protocol::Ws => "_sip._ws",
            Protocol::Wss => "_sips._ws",
        };
        Self {
            protocol,
            rule,
            srv: name.service(prefix),
        }
    }
}

/// Interleaves two lists, followed by the rest of the longer one (RFC 8305 §4).
fn interleave(first: &[IpAddr], second: &[IpAddr]) -> Vec<IpAddr> {
    let len = first.len().max(second.len());
    (0..len)
        .flat_map(|i| [first.get(i), second.get(i)])
        .flatten()
        .copied()
        .collect()
}
